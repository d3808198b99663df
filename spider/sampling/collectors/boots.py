"""The `boots` table: how the boot before this one ended, by wtmp or by Spider's own record. No program is run."""

import json
import logging
import os
import threading
import time
from typing import NamedTuple, Optional

from spider.files import create_anew, read_file, read_text
from spider.logs import event
from spider.sampling.collectors.identity import parse_uptime
from spider.sampling.collectors.logins import record_form, wide_records
from spider.sampling.collectors.table_reader import Reading

RECORD = "boot"
"""Name of the record in the folder of Spider's state."""
MAX_WTMP_BYTES = 400 * 384 * 8
"""Most bytes that are read from the end of wtmp: a multiple of both record sizes."""
SAME_BOOT_S = 600.0
"""Greatest difference between the times of this boot by wtmp and by the kernel. A clock may be set after the start."""
_RUN_LEVEL, _BOOT_TIME = 1, 2
YES, NO, UNKNOWN = "yes", "no", "unknown"

log = logging.getLogger(__name__)


class Ending(NamedTuple):
    """How a boot ended."""

    clean: str
    """yes: Spider was stopped, or wtmp has a shutdown; no: neither; unknown: there is no record of that boot."""
    at_ms: Optional[int]
    """When the shutdown began; None: unknown."""


class _Known(NamedTuple):
    """The content of the record."""

    boot: str
    ended: bool
    """Whether Spider was stopped."""
    at_ms: int
    """When the record was written, Unix milliseconds."""
    before: Ending
    """How the boot before `boot` ended."""


def ending_in_wtmp(data: bytes, wide: bool, booted_at: float) -> Ending:
    """How the boot before the present one ended, by the last records of wtmp.

    Args:   data: whole records, oldest first. wide: whether a record has 400 bytes, not 384. booted_at: Unix seconds of the present boot.
    Source: utmp(5), systemd-update-utmp.service(8): `reboot` records at the start, a `shutdown` record at an orderly end.
    """
    form, size = record_form(wide)
    present = False
    for at in range(len(data) // size * size - size, -1, -size):
        kind, _pid, _line, _id, user, _host, seconds, _micros = form.unpack_from(data, at)
        if kind == _BOOT_TIME:
            if present:
                return Ending(NO, None)
            if abs(seconds % (1 << 32) - booted_at) > SAME_BOOT_S:
                return Ending(UNKNOWN, None)  # the present boot is not recorded here
            present = True
        elif present and kind == _RUN_LEVEL and user.split(b"\0", 1)[0] == b"shutdown":
            return Ending(YES, seconds % (1 << 32) * 1000)
    return Ending(UNKNOWN, None)


def _wtmp(path: str, size: int) -> bytes:
    """The last records of wtmp. Empty: wtmp cannot be read, or has none."""
    try:
        with open(path, "rb") as file:
            whole = os.fstat(file.fileno()).st_size // size * size
            file.seek(max(0, whole - MAX_WTMP_BYTES // size * size))
            return file.read(min(whole, MAX_WTMP_BYTES // size * size))
    except OSError:
        return b""


class BootRecord:
    """Spider's record of the present boot. Spider writes it when it starts and when it is stopped."""

    def __init__(self, state_dir: str, boot: str, root: str = "") -> None:
        """Args: boot: id of the present boot."""
        self._path = os.path.join(state_dir, RECORD)
        self.boot = boot
        self._root = root
        self._once = threading.Lock()
        self.before: Optional[Ending] = None
        """How the boot before ended; None: `begin` was not called yet."""
        self.first = False
        """Set by `begin`. True: this is the first start of Spider in this boot, and Spider has a record of an earlier boot."""

    def begin(self) -> Ending:
        """Find out how the boot before ended, and record that Spider runs. Later calls return the same result. Reads and writes files."""
        with self._once:
            if self.before is None:
                self.before = self._begin()
            return self.before

    def _begin(self) -> Ending:
        known = self._read()
        if known is not None and known.boot == self.boot:
            before = known.before
        else:
            self.first = known is not None
            before = self._find_out(known)
        self._write(before, ended=False)
        return before

    def _find_out(self, known: Optional[_Known]) -> Ending:
        by_wtmp = self._by_wtmp()
        if known is None or by_wtmp.clean == YES:
            return by_wtmp
        return Ending(YES, known.at_ms) if known.ended else Ending(NO, None)

    def end(self) -> None:
        """Record that Spider was stopped. Every orderly shutdown of the host stops Spider."""
        if self.before is not None:
            self._write(self.before, ended=True)

    @property
    def booted_at(self) -> float:
        """When the present boot began, Unix seconds; 0 = unknown."""
        try:
            return time.time() - parse_uptime(read_text(self._root + "/proc/uptime"))
        except ValueError:
            return 0.0

    def _by_wtmp(self) -> Ending:
        wide = wide_records(os.uname().machine)
        return ending_in_wtmp(_wtmp(self._root + "/var/log/wtmp", record_form(wide)[1]), wide, self.booted_at)

    def _read(self) -> Optional[_Known]:
        try:
            boot, ended, at_ms, clean, down_at_ms = json.loads(read_file(self._path, 4096))
            return _Known(str(boot), bool(ended), int(at_ms), Ending(str(clean), None if down_at_ms is None else int(down_at_ms)))
        except (ValueError, TypeError):  # it is missing, or not of this form
            return None

    def _write(self, before: Ending, *, ended: bool) -> None:
        facts = [self.boot, ended, int(time.time() * 1000), before.clean, before.at_ms]
        new = self._path + ".new"
        try:
            create_anew(new, json.dumps(facts).encode(), 0o600)
            os.replace(new, self._path)
        except OSError as error:  # only wtmp can say how this boot ended
            event(log, "boot_not_recorded", logging.WARNING, why=str(error))


class Boots:
    """The `boots` table."""

    subject = "boots"

    def __init__(self, record: BootRecord) -> None:
        self._record = record

    def read(self, now: float) -> Optional[Reading]:  # noqa: ARG002 - it is no rate
        """One row: the present boot, and how the one before ended."""
        before = self._record.before or self._record.begin()
        return Reading([(self._record.boot[:32], round(self._record.booted_at) * 1000 or None, before.clean, before.at_ms)], 1)
