"""WebSocket frames (RFC 6455) for both ends: binary messages, no extensions, everything bounded. Pure."""

import base64
import hashlib
import os
from typing import NamedTuple, Optional, Tuple

from spider.wire.frames import MAX_FRAME_BYTES

_MAX_CONTROL_BYTES = 125
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

OP_CONTINUATION, OP_TEXT, OP_BINARY, OP_CLOSE, OP_PING, OP_PONG = 0, 1, 2, 8, 9, 10
CODE_NORMAL, CODE_AWAY, CODE_PROTOCOL, CODE_UNSUPPORTED, CODE_NO_STATUS, CODE_ABNORMAL, CODE_TOO_BIG = (
    1000,
    1001,
    1002,
    1003,
    1005,
    1006,
    1009,
)


class Violation(Exception):
    """The peer violated the RFC; `code` is the code to close with."""

    def __init__(self, reason: str, code: int = CODE_PROTOCOL) -> None:
        super().__init__(reason)
        self.code = code


# -- frames ----------------------------------------------------------------------------------------


def mask(data: bytes, key: bytes) -> bytes:
    """XOR with the four bytes of `key`, repeated."""
    size = len(data)
    pad = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(size, "little")


def build_frame(opcode: int, data: bytes, masked: bool = True) -> bytes:
    """Build one complete frame: masked for a client, unmasked for a server."""
    size, bit = len(data), 0x80 if masked else 0
    if size < 126:
        head = bytes((0x80 | opcode, bit | size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, bit | 127)) + size.to_bytes(8, "big")
    if not masked:
        return head + data
    key = os.urandom(4)
    return head + key + mask(data, key)


class Incoming(NamedTuple):
    """A complete message, or a control frame."""

    opcode: int
    data: bytes


class FrameReader:
    """Decodes received bytes into messages and control frames. Pure; it buffers at most one message and one read.

    The hub uses it as well (`groundcontrol/agents/socket.py`), for the masked frames of clients.
    """

    def __init__(self, max_bytes: int = MAX_FRAME_BYTES, masked: bool = False) -> None:
        self._max = max_bytes
        self._masked = masked
        self._buffer = bytearray()
        self._parts = bytearray()
        """Buffer of a fragmented message. A list of many short fragments would take fifty times their bytes."""
        self._fragmented = False

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._buffer += data

    def next(self) -> Optional[Incoming]:
        """The next message or control frame; None: more bytes are needed.

        Raises: Violation.
        """
        while True:
            frame = self._frame()
            if frame is None:
                return None
            final, opcode, data = frame
            if opcode >= OP_CLOSE:
                return Incoming(opcode, data)
            if (opcode == OP_CONTINUATION) != self._fragmented:
                raise Violation("a fragment out of order")
            if final and not self._fragmented:
                return Incoming(OP_BINARY, data)
            self._parts += data
            self._fragmented = not final
            if final:
                whole, self._parts = bytes(self._parts), bytearray()
                return Incoming(OP_BINARY, whole)

    def _frame(self) -> Optional[Tuple[bool, int, bytes]]:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        opcode, size, at = first & 0x0F, second & 0x7F, 2
        if first & 0x70:
            raise Violation("reserved bits are set")
        if (second >> 7) != self._masked:
            raise Violation("a client must mask its frames" if self._masked else "a server must not mask its frames")
        if opcode == OP_TEXT:
            raise Violation("text messages are not supported", CODE_UNSUPPORTED)
        if opcode not in (OP_CONTINUATION, OP_BINARY, OP_CLOSE, OP_PING, OP_PONG):
            raise Violation("an unknown opcode")
        if opcode >= OP_CLOSE and (not first & 0x80 or size > _MAX_CONTROL_BYTES):
            raise Violation("a control frame that is too long or in pieces")
        if size >= 126:
            width = 2 if size == 126 else 8
            at += width
            if len(buffer) < at:
                return None
            size = int.from_bytes(buffer[2:at], "big")
            if size < (126 if width == 2 else 1 << 16) or size >> 63:
                raise Violation("a length that is not in its shortest form")
        if opcode < OP_CLOSE and len(self._parts) + size > self._max:
            raise Violation("a message that is too big", CODE_TOO_BIG)
        size += 4 * self._masked
        if len(buffer) < at + size:
            return None
        data = bytes(buffer[at : at + size])
        del buffer[: at + size]
        return bool(first & 0x80), opcode, mask(data[4:], data[:4]) if self._masked else data


def read_close(data: bytes) -> Tuple[int, str]:
    """Code and reason of a close frame.

    Raises: Violation: a code or text that the RFC forbids.
    """
    if not data:
        return CODE_NO_STATUS, ""
    code = int.from_bytes(data[:2], "big")
    if len(data) == 1 or not (code in (1000, 1001, 1002, 1003) or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise Violation("an impossible close code")
    try:
        return code, data[2:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise Violation("a close reason that is no text", 1007) from error


def close_payload(code: int, reason: str) -> bytes:
    """The payload of a close frame. The reason is cut to fit, between characters."""
    text = reason.encode("utf-8")[: _MAX_CONTROL_BYTES - 2]
    return code.to_bytes(2, "big") + text.decode("utf-8", "ignore").encode("utf-8")


def accept_for(key: bytes) -> str:
    """The Sec-WebSocket-Accept value that proves that the server understood the request."""
    return base64.b64encode(hashlib.sha1(key + _MAGIC).digest()).decode("ascii")  # noqa: S324 # nosec B324 - the RFC requires SHA-1, and no secret depends on it
