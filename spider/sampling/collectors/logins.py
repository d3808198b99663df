"""User names, and the `users` table of logged-in users."""

import os
import pwd
import struct
from typing import Dict, List, NamedTuple, Optional, Tuple

from spider.sampling.collectors.base import Collector
from spider.sampling.collectors.dbus import BUS, DbusRefused, SystemBus
from spider.sampling.collectors.table_reader import Reading
from spider.wire.text import plain

MAX_NAMES = 4096
"""Most names that are stored."""
MAX_SESSIONS = 200
"""Most sessions that logind is queried about."""
MAX_UTMP_BYTES = 400 * 384 * 16
"""Most bytes that are read of utmp: a multiple of both record sizes."""


class UserNames:
    """Names by uid. Each is looked up once, so that a slow directory service is not queried for each process."""

    def __init__(self) -> None:
        self._names: Dict[int, str] = {}

    def name(self, uid: int) -> str:
        """The user's name; if there is no such user, the uid as text."""
        known = self._names.get(uid)
        if known is None:
            try:
                known = plain(pwd.getpwuid(uid).pw_name, 64)
            except (KeyError, OverflowError):
                known = str(uid)
            if len(self._names) >= MAX_NAMES:
                self._names.clear()
            self._names[uid] = known
        return known


_FORMS: Dict[int, Tuple[struct.Struct, int]] = {
    384: (struct.Struct("=hxxi32s4s32s256s8xii"), 384),  # 32-bit times: x86 and most others
    400: (struct.Struct("=hxxi32s4s32s256s12xqq"), 400),  # aarch64, riscv64, loongarch64 and 32-bit ones with 64-bit times
}
_USER_PROCESS = 7
_LOGIN = "org.freedesktop.login1"
_SHOWN_CLASSES = ("user", "user-early", "user-light", "user-early-light")
"""logind's classes of persons' sessions. The other classes are of greeters, user managers and background jobs."""


class Login(NamedTuple):
    """One login session."""

    user: str
    terminal: str
    origin: str
    """The remote host; empty = none."""
    since_ms: int
    pid: int


def _text(raw: bytes) -> str:
    return plain(raw.split(b"\0", 1)[0], 200)


def record_form(wide: bool) -> Tuple[struct.Struct, int]:
    """The form of a record of utmp and wtmp (kind, pid, line, id, user, host, seconds, microseconds), and its size in bytes."""
    return _FORMS[400 if wide else 384]


def parse_utmp(data: bytes, wide: bool) -> List[Login]:
    """Parse /run/utmp.

    Args:    wide: whether a record has 400 bytes (`wide_records`), not 384.
    Returns: the records of user processes, including processes that have ended.
    Raises:  ValueError: not made of such records.
    Source:  utmp(5), bits/utmp.h. Architectures that once had 32-bit times have the short form.
    """
    form, size = record_form(wide)
    if len(data) % size:
        raise ValueError("utmp is cut off")
    found: List[Login] = []
    for at in range(0, len(data), size):
        kind, pid, line, _id, user, host, seconds, micros = form.unpack_from(data, at)
        if kind == _USER_PROCESS and user[:1] != b"\0":
            moment_ms = seconds % (1 << 32) * 1000 + micros // 1000 if not wide else seconds * 1000 + micros // 1000
            found.append(Login(_text(user), _text(line), _text(host), moment_ms, pid))
    return found


def wide_records(machine: str) -> bool:
    """Whether utmp has records of 400 bytes on this architecture (`uname -m`)."""
    return machine.startswith(("aarch64", "riscv64", "loongarch64", "arc"))


def sessions_of(bus: SystemBus) -> List[Login]:
    """Query logind for the sessions of persons.

    Raises: as `SystemBus.call`.
    Source: org.freedesktop.login1(5).
    """
    found: List[Login] = []
    manager = "/org/freedesktop/login1"
    for row in bus.call(_LOGIN, manager, _LOGIN + ".Manager", "ListSessions")[0][:MAX_SESSIONS]:
        try:
            attributes = bus.get_all(_LOGIN, row[4], _LOGIN + ".Session")
        except DbusRefused:  # the session ended meanwhile
            continue
        if attributes.get("Class") in _SHOWN_CLASSES and attributes.get("State") != "closing":
            terminal = str(attributes.get("TTY") or attributes.get("Display") or attributes.get("Service") or "")
            since_us = attributes.get("Timestamp")
            since_ms = since_us // 1000 if type(since_us) is int else 0
            user, origin, leader = str(attributes.get("Name", "")), str(attributes.get("RemoteHost") or ""), attributes.get("Leader")
            found.append(Login(plain(user), plain(terminal), plain(origin), since_ms, leader if type(leader) is int else 0))
    return found


def lives(pid: int, proc: str = "/proc") -> bool:
    """Whether the process exists. Works even if /proc hides the processes of other users (hidepid)."""
    if os.path.exists(f"{proc}/{pid}") or os.path.exists(proc + "/1"):
        return os.path.exists(f"{proc}/{pid}")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # the process belongs to another user
        return True
    return True


class LoggedIn:
    """The `users` table. A host without utmp and logind sends no table."""

    subject = "users"

    def __init__(self, root: str = "", bus: str = BUS) -> None:
        self._root = root
        self._bus = bus

    def logins(self) -> Optional[List[Login]]:
        """The present sessions, by utmp, or by logind if utmp is empty or missing. None: this host has neither.

        Raises: OSError, ValueError: neither can be read.
        """
        try:
            with open(self._root + "/run/utmp", "rb") as file:
                data = file.read(MAX_UTMP_BYTES)
        except FileNotFoundError:
            data = b""
        if data:
            logins = parse_utmp(data, wide_records(os.uname().machine))
            return [login for login in logins if lives(login.pid, self._root + "/proc")]
        if not os.path.isdir(self._root + "/run/systemd/seats") or not os.path.exists(self._bus):
            return [] if os.path.exists(self._root + "/run/utmp") else None
        with SystemBus(self._bus) as bus:
            return sessions_of(bus)

    def read(self, now: float) -> Optional[Reading]:  # noqa: ARG002 - only rates need the time
        logins = self.logins()
        if logins is None:
            return None
        ordered = sorted(logins, key=lambda login: (login.since_ms, login.user, login.terminal))
        return Reading([(login.user[:64], login.terminal[:64], login.origin, login.since_ms or None) for login in ordered], len(ordered))


class LoggedInCount(Collector):
    """users.logged_in: login sessions of persons."""

    family = "breathe"
    blocking = True  # it may query logind

    def __init__(self, root: str = "", bus: str = BUS) -> None:
        super().__init__()
        self._who = LoggedIn(root, bus)

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        logins = self._who.logins()
        return self._report(() if logins is None else [("users.logged_in", len(logins))])
