"""Ports that a test may count on: to listen on again after a restart, or to find nobody there.

What the kernel gives for port 0 it gives to the next connection of anybody too, once it is free for a moment. These lie below.
"""

from __future__ import annotations

import os
import random
import socket
from typing import Final

_FIRST: Final = 10_240
_END: Final = 32_768
"""From here on the kernel gives ports by itself (`ip_local_port_range`)."""
_WORKERS: Final = 16
_SPAN: Final = (_END - _FIRST) // _WORKERS
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_given = random.SystemRandom().randrange(_SPAN)


def free_port() -> int:
    """A port that is free now, and that no other process of these tests is given."""
    global _given  # noqa: PLW0603  # one count for this process
    for _ in range(_SPAN):
        _given = (_given + 1) % _SPAN
        port = _FIRST + _worker * _SPAN + _given
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
    raise AssertionError("no port is free")
