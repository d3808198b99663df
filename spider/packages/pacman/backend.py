"""The backend for pacman: Arch Linux and its derivatives.

Arch supports only complete upgrades. So Spider never upgrades chosen packages, and installs a package only if no upgrade is due.

A refresh writes to Spider's own copy of the package lists, and plans are made from the copy. If a refresh changed the system's lists, a
later installation by hand would be a partial upgrade. To run a plan, Spider moves its copy into the system and immediately runs `-Su`.
This equals `-Syu` with the shown plan; `-Syu` itself would fetch newer lists. (pacman does not run on the copy itself: it would take the lock
of the copy, and not the system's.)

Before the first package changes, a hook (`transaction_hook.py`) compares the transaction with the plan. pacman holds its lock then.
"""

import fnmatch
import os
import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from spider.files import changed_at, read_file
from spider.packages.backend import (
    PHASES_BEFORE_COMMIT,
    Action,
    Backend,
    Command,
    Failure,
    Lock,
    OutputReader,
    OwnStep,
    PackageError,
    PackageList,
    need_repositories,
)
from spider.packages.hook_install import TransactionHook
from spider.packages.interfaces import ENVIRONMENT, Output, PackagesUnreadable, run_query
from spider.packages.locks import open_file_holder
from spider.packages.pacman import lists as pacman_lists
from spider.packages.pacman import lists_copy
from spider.packages.pacman import parsers as pacman_parsers
from spider.packages.pacman.lists_copy import OWN_DATABASES, is_of_an_earlier_boot, newest
from spider.packages.pacman.parsers import PRINT_FORMAT, PacmanSettings, PacmanTarget, Upgrade
from spider.packages.pacman.run_reader import PacmanReader
from spider.packages.plan import NO, UNKNOWN, YES, HeldPackage, InstalledPackage, Inventory, Plan, Planned
from spider.packages.transaction_hook import hash_lists
from spider.root.terminal import StopRule, TerminalEnded
from spider.sampling.collectors.virtualization import detect_container
from spider.wire.report_messages import Updates
from spider.wire.sentences import sentence

DEFAULT_DATABASES = "/var/lib/pacman"
REFRESH_LIMITS_S = {"refresh": 900.0}
COMMIT_LIMITS_S = {"plan": 600.0, "refresh": 900.0, "download": 4 * 3600.0}
PACMAN_ENVIRONMENT: Dict[str, str] = dict(ENVIRONMENT)
MAX_QUERIED = 1000

_INTERRUPT_NOW = StopRule("now", sentence("stop.nothing_changed"), (signal.SIGINT,))
_AFTER_PACKAGE = StopRule("after_package", sentence("stop.pacman_after_package"), (signal.SIGINT,))
_TOO_LATE = StopRule("too_late", sentence("stop.pacman_hooks"))
_NEEDED = frozenset({"pacman", "glibc", "systemd", "bash", "filesystem", "python", "base"})
_CORE = frozenset({"glibc", "systemd", "dbus", "dbus-broker", "openssl"})
_KEYRING = re.compile(r"[a-z0-9-]+-keyring\Z")
_HOOK = """[Trigger]
Operation = Install
Operation = Upgrade
Operation = Remove
Type = Package
Target = *

[Action]
Description = Comparing with what was shown...
When = PreTransaction
Exec = {command}
NeedsTargets
AbortOnFail
"""
_HOOK_NAME = "00-stardust.hook"
"""The name of the hook. It runs before all other hooks, such as one that makes a snapshot."""
_NO_DATABASE = re.compile(r"database file for '([^']*)' does not exist")
_SCRIPT_FAILED = ("command failed to execute correctly", "command terminated by signal")
"""Parts of the error lines about a script or hook that failed, or that a signal ended. Source: libalpm's _alpm_run_chroot."""
_CODES = (
    ("unable to lock database", "job.lock_busy"),
    ("not enough free disk space", "job.no_space"),
    ("No space left on device", "job.no_space"),
    ("could not satisfy dependencies", "job.unmet_dependencies"),
    ("conflicting dependencies", "job.unmet_dependencies"),
    ("unresolvable package conflicts", "job.unmet_dependencies"),
    ("failed retrieving file", "job.fetch_failed"),
    ("failed to retrieve some files", "job.fetch_failed"),
    ("failed to synchronize", "job.fetch_failed"),
    ("download library error", "job.fetch_failed"),
    *((words, "job.script_failed") for words in _SCRIPT_FAILED),
)
_PARTIAL = "Arch supports whole upgrades only: to upgrade chosen packages would leave the others against libraries that have changed. "
_CANNOT = {
    "security-upgrade": "Arch's repositories do not tell which updates are for security. Use upgrade.",
    "hold": "What pacman leaves alone stands in IgnorePkg of /etc/pacman.conf, the administrator's own file. Write it there.",
    "unhold": "What pacman leaves alone stands in IgnorePkg of /etc/pacman.conf, the administrator's own file. Take it out there.",
}


def pacman(*words: str) -> Tuple[str, ...]:
    """A call of pacman without questions and colours. Other settings do not change the output that is parsed."""
    return ("pacman", "--color", "never", "--noconfirm", *words)


def _settings() -> PacmanSettings:
    """The settings of pacman.conf with its includes.

    Raises: PackagesUnreadable.
    """
    answer = run_query(["pacman-conf"], PACMAN_ENVIRONMENT)
    if answer.rc:
        raise PackagesUnreadable(f"pacman-conf: {answer.err.strip()[:300] or f'exit status {answer.rc}'}")
    return pacman_parsers.parse_settings(answer.out)


def _explain(answer: Output) -> str:
    """The error messages of pacman in one line."""
    lines = [line for line in answer.err.splitlines() if line.startswith("error:")] or answer.err.splitlines()
    printed = [line for line in answer.out.splitlines() if line.startswith(":: ")]
    return " · ".join(line.strip()[:300] for line in [*lines, *printed][:4]) or f"exit status {answer.rc}"


class Pacman(Backend):
    """The backend for pacman."""

    name = "pacman"
    environment: Mapping[str, str] = PACMAN_ENVIRONMENT
    cache_dir = "/var/cache/pacman/pkg"
    codes = _CODES
    kernels = re.compile(r"linux(?:-(?:lts|zen|hardened|rt|rt-lts))?\Z")
    list_files = pacman("-Qlq")
    reader_type = PacmanReader
    commit_stop = _AFTER_PACKAGE

    def __init__(self, own: str = OWN_DATABASES, transaction_hook: Optional[TransactionHook] = None) -> None:
        self._own = own
        self._transaction_hook = transaction_hook or TransactionHook()
        self._hook_installed = False
        self._lists: Optional[Dict[str, str]] = None
        """Digests of the lists from which the last plan was made; None = it needed no lists."""
        self._repositories: List[str] = []
        """The repositories of the last plan."""
        self._settings: Optional[PacmanSettings] = None
        """The settings as last read."""
        self._adopted = False
        """Whether this job has moved Spider's lists into the system."""

    @property
    def _system(self) -> str:
        """The folder of the system's databases."""
        return (self._settings or self._read_settings()).first("DBPath").rstrip("/") or DEFAULT_DATABASES

    def _read_settings(self) -> PacmanSettings:
        self._settings = settings = _settings()
        self.cache_dir = settings.first("CacheDir") or self.cache_dir
        return settings

    def _databases(self) -> str:
        """The folder with the newer lists: Spider's copy or the system's folder."""
        return self._own if newest(self._own + "/sync") > newest(self._system + "/sync") else self._system

    def cannot(self, verb: str, packages: Sequence[str]) -> str:
        if verb in ("upgrade", "full-upgrade") and packages:
            return _PARTIAL + "Upgrade everything."
        return _CANNOT.get(verb, "")

    # -- queries -------------------------------------------------------------------------

    def _installed(self) -> Dict[str, str]:
        answer = run_query(pacman("-Q"), PACMAN_ENVIRONMENT)
        if answer.rc and (answer.err.strip() or answer.out):
            raise PackagesUnreadable(f"pacman -Q: {_explain(answer)}")
        try:
            return pacman_parsers.parse_installed(answer.out)
        except ValueError as exc:
            raise PackagesUnreadable(f"pacman -Q: {exc}") from exc

    def inventory(self) -> Inventory:
        """A package is held if IgnorePkg (names and patterns) or IgnoreGroup has it."""
        installed = self._installed()
        settings = self._read_settings()
        ignored, groups = settings.all_of("IgnorePkg"), settings.all_of("IgnoreGroup")
        of_groups: Set[str] = set()
        if groups:
            output = run_query(pacman("-Qgq", *groups), PACMAN_ENVIRONMENT)  # status 1: nothing of a group is installed
            of_groups.update(output.out.split())
        return {
            name: InstalledPackage(version, held=name in of_groups or any(fnmatch.fnmatchcase(name, one) for one in ignored))
            for name, version in installed.items()
        }

    def broken(self, inventory: Inventory) -> str:  # noqa: ARG002  # it reads the records themselves
        """Finds a stale lock, empty records, and duplicate records of a package."""
        lock = self._left_lock()
        if lock and is_of_an_earlier_boot(lock):
            return f"the lock {lock} was left behind when this server went down, and no process holds it"
        if lock:
            return f"the lock {lock} was left behind since the last boot, and no process holds it (once you know why: 'rm {lock}')"
        try:
            records = sorted(name for name in os.listdir(self._system + "/local") if name != "ALPM_DB_VERSION")
        except OSError as exc:
            return f"pacman's database cannot be read: {exc.strerror}"
        empty = [name for name in records if not os.path.exists(f"{self._system}/local/{name}/desc")]
        if empty:
            return f"pacman did not finish {', '.join(empty[:20])}: the record in {self._system}/local is not complete"
        names = [name.rsplit("-", 2)[0] for name in records]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        return f"pacman's database has two records of {', '.join(twice[:20])}" if twice else ""

    def _left_lock(self) -> str:
        """The path of a lock file that no process has open; empty = none."""
        lock = self._system + "/db.lck"
        return lock if os.path.exists(lock) and self.lock() is None and os.path.exists(lock) else ""

    def lock(self) -> Optional[Lock]:
        """pacman has its lock file open while it works. A lock file that no process has open is stale, see `broken`.

        Only root sees the open files of other processes. For other users each lock file of this boot counts as held.
        """
        try:
            path = self._system + "/db.lck"
        except PackagesUnreadable:
            return None
        hidden = os.geteuid() != 0 and os.path.exists(path) and not is_of_an_earlier_boot(path)
        return open_file_holder(path) or (Lock(path) if hidden else None)

    def lists_refreshed_at(self) -> float:
        return max(newest(self._own + "/sync"), newest(self._system + "/sync"))

    def lists(self) -> List[PackageList]:
        folder = self._databases() + "/sync"
        return [PackageList(name, changed_at(f"{folder}/{name}.db")) for name in self._read_settings().repositories]

    def missing(self) -> List[str]:
        folder = self._databases() + "/sync"
        enabled = need_repositories(self._read_settings().repositories)
        return [name for name in enabled if not os.path.exists(f"{folder}/{name}.db")]

    def unknown(self, packages: Sequence[str]) -> List[str]:
        """Accepts only names of real packages, no groups or provided names."""
        known = set(self._run_query("-Slq").out.split())
        return [name for name in packages if name not in known]

    def protected(self, packages: Sequence[str]) -> List[str]:
        """Protects HoldPkg of pacman.conf, packages that Spider needs, and the running kernel."""
        needed = set(_NEEDED) | set(_settings().all_of("HoldPkg"))
        for path in (os.path.realpath(sys.executable), os.__file__, f"/usr/lib/modules/{os.uname().release}"):
            needed.update(run_query(pacman("-Qoq", path), PACMAN_ENVIRONMENT).out.split())  # status 1: no package owns it
        return [name for name in packages if name in needed]

    # -- plans ---------------------------------------------------------------------------------

    def _run_query(self, *words: str) -> Output:
        """Run a query on the newer lists.

        Raises: PackageError: a repository was never fetched. PackagesUnreadable.
        """
        answer = run_query(pacman(*words, "--dbpath", self._databases()), PACMAN_ENVIRONMENT, limit_s=300.0)
        missing = _NO_DATABASE.findall(answer.err)
        if answer.rc and "could not find database" in answer.err:  # this message of a plan has no name
            missing = [name for name in _settings().repositories if not os.path.exists(f"{self._databases()}/sync/{name}.db")] or [
                "a repository"
            ]
        if missing:
            raise PackageError("job.lists_missing", f"this node has no list of {', '.join(missing[:10])} yet: refresh first")
        return answer

    def _targets(self, *words: str) -> List[PacmanTarget]:
        """The steps that pacman plans for these words.

        Raises: PackageError; PackagesUnreadable.
        """
        answer = self._run_query(*words, "--print", "--print-format", PRINT_FORMAT)
        if answer.rc:
            raise PackageError(self.code_in(answer.err + answer.out), _explain(answer))
        try:
            return pacman_parsers.parse_targets(answer.out)
        except ValueError as exc:
            raise PackagesUnreadable(f"pacman's plan: {exc}") from exc

    def _upgrades(self) -> List[Upgrade]:
        answer = self._run_query("-Qu")
        if answer.rc and (answer.err.strip() or answer.out.strip()):  # status 1 without output: nothing to upgrade
            raise PackagesUnreadable(f"pacman -Qu: {_explain(answer)}")
        try:
            return pacman_parsers.parse_upgrades(answer.out)
        except ValueError as exc:
            raise PackagesUnreadable(f"pacman -Qu: {exc}") from exc

    def simulate(self, verb: str, packages: Sequence[str]) -> Plan:
        self._lists = None
        if verb == "remove":
            return self._removal(self._targets("-R", *packages))
        if verb == "autoremove":
            orphans = self._orphans()
            return self._removal(self._targets("-Rs", *orphans)) if orphans else Plan(download_bytes=0, reboot=NO)
        while True:
            settings = self._settings or self._read_settings()
            self._repositories = list(settings.repositories)
            self._lists = self._hashes()
            with ThreadPoolExecutor(1) as pool:  # the plan uses earlier settings while pacman-conf reads them again
                now = pool.submit(self._read_settings)
                plan = self._changes(verb, settings, packages)
            if now.result() == settings:
                return plan

    def _changes(self, verb: str, settings: PacmanSettings, packages: Sequence[str]) -> Plan:
        if verb != "install":
            return self._plan(settings, ["-Su"])
        waiting = self._targets("-Su")
        if waiting:
            raise PackageError(
                "job.not_supported", _PARTIAL + f"{len(waiting)} packages wait for their upgrade: upgrade first, then install."
            )
        return self._plan(settings, ["-S", "--needed", *packages])

    def _hashes(self) -> Dict[str, str]:
        try:
            return hash_lists(self._databases() + "/sync")
        except OSError:
            return {}  # without lists, the query for the plan fails with the reason

    def _orphans(self) -> List[str]:
        return run_query(pacman("-Qdtq"), PACMAN_ENVIRONMENT).out.split()  # status 1: none

    @staticmethod
    def _removal(targets: Sequence[PacmanTarget]) -> Plan:
        steps = tuple(Planned(target.package, target.version, "", NO) for target in targets)
        return Plan(steps, download_bytes=0, reboot=NO, reboot_why=sentence("due.not_by_removals"))

    def _plan(self, settings: PacmanSettings, words: Sequence[str]) -> Plan:
        """Make a plan with one query of pacman, which spends most of its time loading lists. Other values are read from files."""
        ignores = bool(settings.all_of("IgnorePkg") or settings.all_of("IgnoreGroup"))
        folder = self._databases() + "/sync"
        with ThreadPoolExecutor(2) as pool:
            planned = pool.submit(self._targets, *words)
            listed = pool.submit(self._upgrades) if ignores else None
            lists = {name: pacman_lists.SyncDatabase.read(folder, name) for name in settings.repositories}
            try:
                installed = pacman_lists.installed(self._system + "/local")
            except (OSError, ValueError):
                installed = self._installed()
            targets = planned.result()
            sizes, removed = self._sizes_and_replaced(targets, installed, lists)
            newer = listed.result() if listed is not None else []
        steps = [Planned(it.package, installed.get(it.package, ""), it.version, UNKNOWN, it.repository) for it in targets]
        steps += [Planned(name, installed[name], "", NO) for name in sorted(removed)]
        kept = tuple(HeldPackage(it.package, it.after, "held") for it in newer if it.ignored)
        grows = sum(sizes.values()) - sum(self._size(name, installed[name]) for name in {*sizes, *removed} if name in installed)
        reboot = self._expects_reboot([target.package for target in targets])
        return Plan(tuple(steps), kept, sum(target.download_bytes for target in targets), grows, *reboot)

    def _sizes_and_replaced(
        self, targets: Sequence[PacmanTarget], installed: Dict[str, str], lists: Mapping[str, pacman_lists.SyncDatabase]
    ) -> Tuple[Dict[str, int], Dict[str, str]]:
        """Installed sizes of the targets in bytes, and the packages that they replace. `--print` lists neither."""
        output = [lists[it.repository].details_of(it.package, it.version) if it.repository in lists else None for it in targets]
        found = [details for details in output if details is not None]
        missing = [it for it, details in zip(targets, output) if details is None]  # pacman is queried if Spider cannot read the list
        for start in range(0, len(missing), MAX_QUERIED):
            answer = self._run_query("-Si", *(f"{it.repository}/{it.package}" for it in missing[start : start + MAX_QUERIED]))
            if answer.rc:
                raise PackagesUnreadable(f"pacman -Si: {_explain(answer)}")
            found += pacman_parsers.parse_details(answer.out)
        return {details.package: details.installed_bytes for details in found}, pacman_parsers.replaced(found, installed)

    def _size(self, name: str, version: str) -> int:
        """The installed size of a package, in bytes, by its record; 0 = unknown."""
        return pacman_lists.size_bytes(read_file(f"{self._system}/local/{name}-{version}/desc"), "SIZE")

    def _expects_reboot(self, names: Sequence[str]) -> Tuple[str, str]:
        if not names:
            return NO, ""
        container = detect_container()
        kernels = [name for name in names if self.kernels.match(name)]
        if kernels and not container:
            return YES, f"the kernel changes: {', '.join(kernels)}"
        core = sorted(_CORE.intersection(names))
        if core and not container:
            return YES, f"core libraries change: {', '.join(core)}"
        return UNKNOWN, "neither the kernel nor core libraries change, but scripts of packages may ask for one"

    # -- changes ---------------------------------------------------------------------------------

    def work(self, verb: str, packages: Sequence[str], plan: Plan) -> Sequence[Action]:
        if verb == "refresh":
            argv = pacman("-Sy", "--dbpath", self._own, "--logfile", "/dev/null")
            return [
                OwnStep("The lists go to Stardust's own copy.", lambda: lists_copy.make_copy(self._own, self._system)),
                Command(argv, "refresh", REFRESH_LIMITS_S),
            ]
        if verb == "clean":
            paccache = "/usr/bin/paccache"
            return [Command((paccache, "-rk2") if os.path.exists(paccache) else pacman("-Sc"), stoppable=False)]
        if verb == "repair":  # pacman has no repair command, so faults other than a stale lock remain
            lock = self._left_lock()
            unlock = OwnStep(f"It is removed: {lock} is older than this boot.", lambda: os.unlink(lock))
            return [unlock] if lock and is_of_an_earlier_boot(lock) else []
        install_hook = OwnStep("", lambda: self._install_hook(plan))
        if verb in ("remove", "autoremove"):
            return [install_hook, self._commit("-R", *self._hooks("whole"), "--", *plan.removals)]
        lists = (
            [OwnStep("The lists that the plan was made from become the system's.", self._adopt)] if self._databases() == self._own else []
        )
        if verb == "install":
            return [install_hook, *lists, self._commit("-S", "--needed", *self._hooks("whole"), "--", *packages)]
        keyrings = sorted(step.package for step in plan.upgrades if _KEYRING.match(step.package))
        # keyrings come first, since pacman refuses packages that are signed by newer keys
        first = [self._commit("-S", "--needed", *self._hooks("part"), "--", *keyrings)] if keyrings else []
        return [install_hook, *lists, *first, self._commit("-Su", *self._hooks("whole"))]

    def _install_hook(self, plan: Plan) -> None:
        at = self._system + "/sync"
        self._transaction_hook.install(plan, {"lists": self._lists, "lists_at": at, "repositories": self._repositories})
        for part in ("part", "whole"):
            folder = os.path.join(self._transaction_hook.folder, part)
            os.mkdir(folder, 0o700)
            self._transaction_hook.write(
                f"{part}/{_HOOK_NAME}", _HOOK.format(command=self._transaction_hook.command("pacman", part)).encode()
            )
        self._hook_installed = True

    def _hooks(self, part: str) -> Tuple[str, ...]:
        """The options with all hook folders. Options replace the folders of pacman.conf, so these folders are named again."""
        folders = [*_settings().all_of("HookDir"), os.path.join(self._transaction_hook.folder, part)]
        return tuple(word for folder in folders for word in ("--hookdir", folder))

    @staticmethod
    def _commit(operation: str, *words: str) -> Command:
        return Command(pacman(operation, *words), "plan", COMMIT_LIMITS_S)

    def _adopt(self) -> None:
        lists_copy.move_into_system(self._own, self._system)
        self._adopted = True

    def failure(self, verb: str, ended: TerminalEnded, reader: OutputReader) -> Optional[Failure]:
        """pacman returns 0 even after a failed script, so its error lines are checked, too."""
        printed = "\n".join(reader.troubles)
        if ended.stopped == "after_package":
            reader.notes.append(sentence("report.pacman_partial"))
        elif ended.rc and self._adopted:
            reader.notes.append(sentence("report.pacman_newer_lists"))
        if not ended.rc:
            if any(words in printed for words in _SCRIPT_FAILED):
                return Failure("job.script_failed", "a script or a hook of a package failed; the package itself is in place")
            return None
        refusal = self._transaction_hook.refusal() if self._hook_installed else None
        if refusal is not None:
            return refusal
        code = self.code_in(printed)
        if verb == "refresh" and code == "job.fetch_failed":
            return Failure("job.repository_stale", "repositories that could not be refreshed keep their old lists")
        return Failure(code, f"pacman ended with status {ended.rc}")

    def stop_rule(self, phase: str) -> StopRule:
        if phase in PHASES_BEFORE_COMMIT:
            return _INTERRUPT_NOW
        return _TOO_LATE if phase == "triggers" else self.commit_stop

    def available_updates(self) -> Updates:
        """Counts upgrades of installed packages, without new packages and replacements."""
        installed = self._installed()
        targets = [target for target in self._targets("-Su") if target.package in installed]
        self.newer = [Planned(one.package, installed[one.package], one.version, UNKNOWN, one.repository) for one in targets]
        return Updates(len(targets), -1, int(self.lists_refreshed_at() * 1000))
