"""Reads the identity of a macOS host from sysctl(3), one file and psutil, without starting a program."""

import ctypes
import os
import plistlib
import re
import uuid
from typing import Any, Dict, List, Optional, Sequence

from spider.sampling.collectors.darwin import Psutil, find_psutil
from spider.sampling.collectors.identity import clean, read_timezone
from spider.sysctl import sysctl, sysctl_number, sysctl_text
from spider.wire.report_messages import Identity

MAX_ADDRESSES = 64
_VERSION_FILE = "/System/Library/CoreServices/SystemVersion.plist"
_MAX_VERSION_BYTES = 64 * 1024
_UNUSABLE = re.compile(r"127\.|169\.254\.|fe80:|::1\Z", re.IGNORECASE)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def parse_system_version(data: bytes) -> Dict[str, str]:
    """The texts of SystemVersion.plist, such as ProductName and ProductVersion. Empty: it is no property list of a dictionary."""
    try:
        found = plistlib.loads(data)
    except Exception:  # plistlib raises what its parser raises: an unreadable file names no version
        return {}
    return {str(key): value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


def machine_uuid(library: Optional[Any] = None) -> str:
    """The hardware's UUID as 32 hex digits; empty: unknown. Source: gethostuuid(2) of macOS."""
    try:
        call = (ctypes.CDLL(None) if library is None else library).gethostuuid
    except (AttributeError, OSError):
        return ""
    raw, wait = ctypes.create_string_buffer(16), _Timespec(1, 0)
    return uuid.UUID(bytes=raw.raw).hex if call(raw, ctypes.byref(wait)) == 0 else ""


def addresses(psutil: Optional[Psutil]) -> List[str]:
    """IPv4, then IPv6 addresses, without loopback and link-local ones. Empty: psutil is not there, or could not ask."""
    try:
        rows = [row for rows in psutil.net_if_addrs().values() for row in rows] if psutil is not None else []
    except OSError:
        return []
    texts = [str(row.address).partition("%")[0] for row in rows if getattr(row.family, "name", "") in ("AF_INET", "AF_INET6")]
    usable = dict.fromkeys(text for text in texts if not _UNUSABLE.match(text))
    return sorted(usable, key=lambda text: ":" in text)[:MAX_ADDRESSES]


class DarwinIdentityReader:
    """The `IdentityReader` of macOS."""

    def __init__(self, psutil: Optional[Psutil] = None, library: Optional[Any] = None, version_file: str = _VERSION_FILE) -> None:
        """Args: library: the C library, if not the one of this process."""
        self._psutil = psutil or find_psutil()
        self._library = library
        self._version_file = version_file

    def read(self, now: float, version: str, policy_mode: str, policy_verbs: Sequence[str], units: int = 0) -> Identity:  # noqa: ARG002 - the kernel knows when it was booted
        """Read it in less than a millisecond. Args: as for `IdentityReader.read`."""
        system, release = os.uname(), self._release()
        return Identity(
            hostname=clean(system.nodename),
            machine_id=machine_uuid(self._library),
            os_id="macos",
            os_name=clean(release.get("ProductName", "macOS")),
            os_version=clean(release.get("ProductVersion", "")),
            kernel=clean(system.release),
            architecture=clean(system.machine),
            virtualization="vm" if sysctl_number("kern.hv_vmm_present", self._library) else "",
            cpu_model=clean(sysctl_text("machdep.cpu.brand_string", self._library)),
            cpu_cores=os.cpu_count() or 0,
            memory_bytes=sysctl_number("hw.memsize", self._library),
            package_manager="",
            timezone=clean(read_timezone()),
            booted_at_ms=self._booted_at_ms(),
            addresses=addresses(self._psutil),
            agent_version=version,
            policy_mode=policy_mode,
            policy_verbs=list(policy_verbs),
            reboot_required="unknown",
            units=units,
        )

    def _release(self) -> Dict[str, str]:
        try:
            with open(self._version_file, "rb") as file:
                return parse_system_version(file.read(_MAX_VERSION_BYTES))
        except OSError:
            return {}

    def _booted_at_ms(self) -> int:
        """From `kern.boottime`, a `struct timeval`: eight bytes of seconds first. 0: unknown."""
        value = sysctl("kern.boottime", self._library)
        return int.from_bytes(value[:8], "little") * 1000 if len(value) == 16 else 0
