"""Ports for tests that listen again on the same port after a restart, or that need a port where nobody listens.

The kernel may give any port of its own range to the next connection. These ports lie below that range.
Each test process locks a span of ports, so no two processes of one user give out the same port.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import socket
import tempfile
from typing import Final

_FIRST: Final = 10_240
_END: Final = 32_768
"""The kernel's own range begins here (`ip_local_port_range`)."""
_SPAN: Final = 512
_given = 0


@functools.cache
def _span() -> range:
    """The ports of this process; the lock is held until it ends."""
    for number, first in enumerate(range(_FIRST, _END, _SPAN)):
        lock = os.open(f"{tempfile.gettempdir()}/stardust-ports-{os.getuid()}-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return range(first, first + _SPAN)
        os.close(lock)
    raise RuntimeError("too many test processes run on this machine: no span of ports is free")


def free_port() -> int:
    """A port without a listener, given to no other test process. The least recently given comes first."""
    global _given  # noqa: PLW0603  # one count for this process
    span = _span()
    for _ in span:
        _given = (_given + 1) % len(span)
        with socket.socket() as probe:
            try:
                probe.bind(("", span[_given]))
            except OSError:
                continue
        return span[_given]
    raise AssertionError("no port is free")
