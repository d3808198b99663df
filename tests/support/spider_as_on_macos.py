"""Spider on this machine as if it were a Mac: without what only Linux's Python has, without /proc, /sys and /run, and with psutil.

It shows that the agent needs nothing else. It does not show what a Mac's kernel answers.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import sys
import time
from typing import Any

import psutil  # noqa: F401  # loaded as the system that it was built for
from aiohttp import web  # noqa: F401  # modules of the tests are loaded before the names below are gone

MISSING = {
    os: ("memfd_create", "O_PATH", "O_TMPFILE", "sched_getaffinity", "pidfd_open", "eventfd", "posix_fallocate", "posix_fadvise", "getresuid", "copy_file_range"),
    socket: ("AF_NETLINK", "AF_PACKET", "SO_PEERCRED", "SOCK_CLOEXEC", "SOCK_NONBLOCK", "MSG_CMSG_CLOEXEC", "TCP_USER_TIMEOUT", "SO_BINDTODEVICE", "SO_MARK"),
    select: ("epoll",),
    signal: ("SIGRTMIN", "SIGRTMAX", "sigwaitinfo", "sigtimedwait"),
    time: ("CLOCK_BOOTTIME",),
}  # fmt: skip
"""Names that Python has on Linux and not on macOS (docs.python.org, «Availability»)."""
HIDDEN = ("/proc/", "/sys/", "/run/", "/var/lib/dpkg")
STATES = {
    b"kern.bootsessionuuid": b"0F0E0D0C-0B0A-0908-0706-050403020100\0",
    b"machdep.cpu.brand_string": b"Apple M2 Pro\0",
    b"hw.memsize": (16 << 30).to_bytes(8, "little"),
    b"kern.boottime": (1_790_000_000).to_bytes(8, "little") + bytes(8),
}


class Library:
    """The calls of a Mac's C library that Spider uses, with the answers of `STATES`."""

    @staticmethod
    def sysctlbyname(name: Any, value: Any, size: Any, _new: None, _length: Any) -> int:
        state = STATES.get(name.value)
        if state is None or size._obj.value < len(state):
            return -1
        ctypes.memmove(value, state, len(state))
        size._obj.value = len(state)
        return 0

    @staticmethod
    def gethostuuid(raw: Any, _wait: Any) -> int:
        ctypes.memmove(raw, bytes(range(16)), 16)
        return 0


def _hide(event: str, args: tuple[Any, ...]) -> None:
    if event in ("open", "os.listdir", "os.scandir") and isinstance(args[0], str) and args[0].startswith(HIDDEN):
        caller = sys._getframe(1)
        if "psutil" not in caller.f_code.co_filename and (caller.f_back is None or "psutil" not in caller.f_back.f_code.co_filename):
            raise FileNotFoundError(2, "not on a Mac", args[0])


def become_a_mac() -> None:
    for module, names in MISSING.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    real = ctypes.CDLL
    vars(ctypes)["CDLL"] = lambda name=None, *rest, **more: Library if name is None else real(name, *rest, **more)
    sys.platform = "darwin"
    sys.addaudithook(_hide)


if __name__ == "__main__":
    import asyncio  # noqa: F401  # it chose its selector already, and its child watcher

    become_a_mac()
    from spider import __main__ as program

    program.main()
