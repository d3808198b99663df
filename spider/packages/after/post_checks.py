"""Checks before and after each job that changes packages, on any distribution."""

import logging
import os
import pwd
import time
from typing import Callable, FrozenSet, List, Optional, Sequence, Tuple, TypeVar

from spider.files import read_text
from spider.jobs.files import JOBS_DIR
from spider.logs import event
from spider.packages.after import config_leftovers, reboot, services, units
from spider.packages.plan import UNKNOWN
from spider.packages.report import MAX_SERVICES, Leftover, Report
from spider.sampling.collectors.virtualization import detect_container
from spider.wire.sentences import name_list, sentence

_Part = TypeVar("_Part")
_log = logging.getLogger(__name__)


def read_host(manager: str, root: str = "", booted_at: float = 0.0) -> reboot.Host:
    """The properties of this host that decide whether it needs a reboot.

    Args: booted_at: when it was booted, Unix seconds; 0 = read it from /proc.
    """
    return reboot.Host(
        manager=manager,
        kernel=os.uname().release,
        booted_at=booted_at or _booted_at(root),
        container=detect_container(root),
        boot=read_text(root + "/proc/sys/kernel/random/boot_id").replace("-", ""),
    )


def need_of_reboot(manager: str, root: str = "") -> reboot.RebootVerdict:
    """Whether this host needs a reboot now, with the reason. Reads files only."""
    try:
        host = read_host(manager, root)
        return reboot.reboot_required(root, host, reboot.load_verdict(host.boot, root))
    except Exception:  # a failed check must not prevent the reboot
        event(_log, "care_failed", logging.ERROR, exc_info=True)
        return reboot.RebootVerdict(UNKNOWN, sentence("due.unknown"))


def _booted_at(root: str) -> float:
    try:
        return time.time() - float(read_text(root + "/proc/uptime").split()[0])
    except (ValueError, IndexError):
        return 0.0


def _guarded(part: Callable[[], _Part], otherwise: _Part, notes: List[str]) -> _Part:
    """Run one part of a report. If it fails, return `otherwise`: an error must not affect other parts or the outcome of the job."""
    try:
        return part()
    except Exception:
        event(_log, "care_failed", logging.ERROR, exc_info=True)
        notes.append(sentence("report.checks_failed"))
        return otherwise


class PostJobChecks:
    """The `AfterCare` of this host."""

    def __init__(self, manager: str, root: str = "", jobs_dir: str = JOBS_DIR) -> None:
        self._manager = manager
        self._root = root
        self._jobs = jobs_dir
        self._left = config_leftovers.ConfigLeftovers({})
        self._failed: Optional[FrozenSet[str]] = None

    def begin(self) -> None:
        """Record the state before the job."""
        try:
            self._left = self._find_left()
            self._failed = units.failed_units(self._root)
        except Exception:  # a failed check must not prevent the job
            event(_log, "care_failed", logging.ERROR, exc_info=True)

    def report(  # the driver reports version changes
        self,
        native_reboot: Tuple[str, str],
        changes: Sequence[Tuple[str, str, str]],  # noqa: ARG002
    ) -> Report:
        """What is new since `begin`. See `AfterCare.report`."""
        notes: List[str] = []
        verdict = _guarded(lambda: self._reboot(native_reboot), reboot.RebootVerdict(UNKNOWN, sentence("due.unknown")), notes)
        nothing: Tuple[str, ...] = ()
        no_files: Tuple[Leftover, ...] = ()
        leftovers = _guarded(lambda: self._leftovers(notes), no_files, notes)
        failed = _guarded(self._failed_units, nothing, notes)
        names = _guarded(lambda: self._services(notes), nothing, notes)
        return Report(verdict.required, verdict.why, names, leftovers, failed, tuple(dict.fromkeys(notes)))

    def _find_left(self) -> config_leftovers.ConfigLeftovers:
        return config_leftovers.find_left(self._root, config_leftovers.listed_by(self._manager, self._root))

    def _reboot(self, native: Tuple[str, str]) -> reboot.RebootVerdict:
        host = read_host(self._manager, self._root)
        if os.path.isdir(self._jobs):
            reboot.save_verdict(native, host.boot, self._jobs)
        return reboot.reboot_required(self._root, host, native)

    def _leftovers(self, notes: List[str]) -> Tuple[Leftover, ...]:
        now = self._find_left()
        leftovers, left_out = config_leftovers.describe(
            config_leftovers.appeared(self._left, now), lambda path: config_leftovers.difference(path, self._root)
        )
        if left_out:
            notes.append(sentence("report.more_config_files", count=left_out))
        older = [path for path, stamp in now.files.items() if self._left.files.get(path) == stamp]
        if older:
            notes.append(sentence("report.older_config_files", names=name_list(sorted(older))))
        if not now.complete:
            notes.append(sentence("report.etc_too_large"))
        return leftovers

    def _failed_units(self) -> Tuple[str, ...]:
        now = units.failed_units(self._root)
        return () if now is None or self._failed is None else tuple(sorted(now - self._failed))

    def _services(self, notes: List[str]) -> Tuple[str, ...]:
        found = services.find_replaced(self._root + "/proc")
        alone = [name for name in found.services if name in services.NEVER_ALONE]
        if alone:
            notes.append(sentence("report.old_login_services", names=name_list(alone)))
        if found.init:
            notes.append(sentence("report.old_init"))
        if found.own:
            notes.append(sentence("report.old_agent"))
        if found.sessions:
            notes.append(sentence("report.old_sessions", names=name_list([_user(uid) for uid in found.sessions])))
        if found.others:
            notes.append(sentence("report.old_processes", names=name_list(found.others)))
        if not found.complete:
            notes.append(sentence("report.unchecked_processes"))
        return found.services[:MAX_SERVICES]


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
