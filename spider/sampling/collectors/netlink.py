"""A netlink client: requests a table of the kernel and parses the answer. It needs no privileges."""

import errno
import os
import socket
import struct
from typing import Iterator, Tuple

NETLINK_ROUTE = 0
NETLINK_SOCK_DIAG = 4

HEADER = struct.Struct("=IHHII")
"""Length, type, flags, sequence, port (struct nlmsghdr)."""
ATTRIBUTE = struct.Struct("=HH")
"""Length and type (struct rtattr)."""

_NLMSG_NOOP, _NLMSG_ERROR, _NLMSG_DONE = 1, 2, 3
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_BUFFER_BYTES = 64 * 1024
_MOST_DATAGRAMS = 20_000


def parse_messages(data: bytes) -> Iterator[Tuple[int, int, int]]:
    """Iterate over the messages of one datagram.

    Returns: for each message: type, and offsets of the start and end of its body. The last message of a dump has type 3.
    Raises:  ValueError: a length that does not fit; OSError: the kernel answers with an error.
    Source:  netlink(7).
    """
    at, size = 0, len(data)
    while at < size:
        if size - at < 16:
            raise ValueError("a netlink header is cut off")
        length, kind, _flags, _seq, _port = HEADER.unpack_from(data, at)
        if length < 16 or length > size - at:
            raise ValueError("a netlink length does not fit")
        if kind == _NLMSG_ERROR:
            if length < 20:
                raise ValueError("a netlink error is cut off")
            code = -struct.unpack_from("=i", data, at + 16)[0]
            raise OSError(code, os.strerror(code) if 0 < code < 4096 else "netlink error")
        if kind != _NLMSG_NOOP:
            yield kind, at + 16, at + length
        at += (length + 3) & ~3


def parse_attributes(data: bytes, start: int, end: int) -> Iterator[Tuple[int, bytes]]:
    """Iterate over the attributes of one message.

    Returns: for each attribute: type (without its flags) and value.
    Raises:  ValueError: a length that does not fit.
    Source:  netlink(7), rtnetlink(3).
    """
    at = start
    while end - at >= 4:
        length, kind = ATTRIBUTE.unpack_from(data, at)
        if length < 4 or length > end - at:
            raise ValueError("a netlink attribute does not fit")
        yield kind & 0x3FFF, bytes(data[at + 4 : at + length])
        at += (length + 3) & ~3


class Netlink:
    """One netlink socket, kept open. The kernel has answered when the request is sent, so no call waits. Used by one thread at a time."""

    def __init__(self, protocol: int) -> None:
        self._protocol = protocol
        self._socket: socket.socket | None = None
        self._seq = 0

    def dump(self, kind: int, body: bytes) -> Iterator[Tuple[bytes, int, int]]:
        """Request a whole table. The iterator must be read to its end; else the socket is closed.

        Returns: for each message of the answer: its datagram, and offsets of the start and end of its body there.
        Raises:  OSError: no such socket here, or the kernel refuses; ValueError: the answer is malformed.
        """
        sock = self._open()
        whole = False
        self._seq = self._seq % 0x7FFFFFFF + 1
        try:
            sock.send(HEADER.pack(16 + len(body), kind, _NLM_F_REQUEST | _NLM_F_DUMP, self._seq, 0) + body)
            for _ in range(_MOST_DATAGRAMS):
                data = sock.recv(_BUFFER_BYTES)
                for answer, start, end in parse_messages(data):
                    if answer == _NLMSG_DONE:
                        whole = True
                        return
                    yield data, start, end
            raise OSError(errno.EMSGSIZE, "a netlink dump has no end")
        finally:
            if whole and self._socket is None:
                self._socket = sock
            else:  # the rest of this answer must not be read as the answer to the next request
                sock.close()

    def _open(self) -> socket.socket:
        """Take the open socket, or open one. `dump` puts it back once its request is answered completely."""
        sock, self._socket = self._socket, None
        if sock is None:
            sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, self._protocol)
        return sock

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
