"""States of a BSD kernel, which macOS has in the place of /proc. No program is run."""

import ctypes
from typing import Any, Optional

MAX_BYTES = 4096
"""Larger values are not read."""


def sysctl(name: str, library: Optional[Any] = None) -> bytes:
    """The value of a kernel state; empty: this system has none of this name, or it is larger than `MAX_BYTES`.

    Args:   library: the C library, if not the one of this process.
    Source: sysctlbyname(3) of macOS.
    """
    try:
        call = (ctypes.CDLL(None) if library is None else library).sysctlbyname
    except (AttributeError, OSError):  # no BSD
        return b""
    value, size = ctypes.create_string_buffer(MAX_BYTES), ctypes.c_size_t(MAX_BYTES)
    if call(ctypes.c_char_p(name.encode("ascii")), value, ctypes.byref(size), None, ctypes.c_size_t(0)) != 0:
        return b""
    return value.raw[: size.value]


def sysctl_text(name: str, library: Optional[Any] = None) -> str:
    """A state that is a text, such as `hw.model`; empty: there is none."""
    return sysctl(name, library).split(b"\0", 1)[0].decode("utf-8", "replace").strip()


def sysctl_number(name: str, library: Optional[Any] = None) -> int:
    """A state that is a number of four or eight bytes, such as `hw.memsize`; 0: there is none."""
    value = sysctl(name, library)
    return int.from_bytes(value, "little") if len(value) in (4, 8) else 0
