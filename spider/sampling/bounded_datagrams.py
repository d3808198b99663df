"""Reads a datagram socket at a bounded cost: a limited number of datagrams a minute. Spider or the kernel discards further ones unread."""

import asyncio
import contextlib
import socket
import struct
import sys
from typing import Callable, Optional

PER_MINUTE = 60_000
BATCH = 64
"""Datagrams that are read before other tasks of the event loop run."""
SKIM = 100
SKIM_S = 0.1
"""Above the limit, `SKIM` datagrams are read and discarded every `SKIM_S`. A sender that waits for room in a Unix socket can then continue. The
kernel drops the rest of a UDP flood."""
_OVERFLOW = 40
"""SO_RXQ_OVFL: each datagram carries the number of datagrams that the kernel has dropped so far. Source: socket(7)."""
_COUNT = struct.Struct("=I")


class Datagrams:
    """Reads one socket. `close` ends the reader and closes the socket."""

    def __init__(self, sock: socket.socket, longest: int, take: Callable[[bytes], None], per_minute: int = PER_MINUTE) -> None:
        """Args: longest: most bytes that are read of one datagram; the rest is cut off. take: called with each datagram. per_minute: most
        datagrams between two calls of `renew`."""
        self._sock = sock
        self._longest = longest
        self._take = take
        self._per_minute = per_minute
        self._left = per_minute
        self._dropped = 0
        """Number of datagrams that the kernel has dropped since the start, modulo 2**32."""
        self._loop = asyncio.get_running_loop()
        self.unread = 0
        """Datagrams that Spider or the kernel has discarded since the last `renew`."""
        sock.setblocking(False)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # an older kernel does not count
                sock.setsockopt(socket.SOL_SOCKET, _OVERFLOW, 1)
        self._later: Optional[asyncio.TimerHandle] = None
        self._loop.add_reader(sock, self._ready)

    def renew(self) -> int:
        """Start a new minute; the caller calls this once a minute. Returns: how many datagrams were discarded in the last one."""
        unread, self.unread, self._left = self.unread, 0, self._per_minute
        return unread

    def close(self) -> None:
        self._loop.remove_reader(self._sock)
        if self._later is not None:
            self._later.cancel()
        self._sock.close()

    def _ready(self) -> None:
        for _ in range(min(BATCH, self._left)):
            data = self._next(self._longest)
            if data is None:
                return
            self._left -= 1
            self._take(data)
        if self._left <= 0:
            self._loop.remove_reader(self._sock)
            self._skim()

    def _skim(self) -> None:
        self._later = None
        if self._left > 0:
            self._loop.add_reader(self._sock, self._ready)
            return
        for _ in range(SKIM):
            if self._next(1) is None:
                break
            self.unread += 1
        self._later = self._loop.call_later(SKIM_S, self._skim)

    def _next(self, most: int) -> Optional[bytes]:
        try:
            data, notes, _, _ = self._sock.recvmsg(most, 64)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:  # the socket's pending error, which this call has cleared
            return b""
        for level, kind, value in notes:
            if (level, kind) == (socket.SOL_SOCKET, _OVERFLOW) and len(value) >= _COUNT.size:
                dropped = _COUNT.unpack_from(value)[0]
                self.unread += (dropped - self._dropped) & 0xFFFFFFFF
                self._dropped = dropped
        return data
