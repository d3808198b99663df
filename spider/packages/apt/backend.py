"""The backend for apt-get and dpkg: Debian, Ubuntu and their derivatives."""

import glob
import os
import re
import signal
import sys
import time
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from spider.files import listed, read_file
from spider.packages.apt import parsers as apt_parsers
from spider.packages.apt.calls import DPKG_OPTIONS, apt_cache, apt_config, apt_get, apt_mark
from spider.packages.apt.plan import plan_of, run_words
from spider.packages.backend import (
    PHASES_BEFORE_COMMIT,
    Action,
    Backend,
    Command,
    Failure,
    Lock,
    OutputReader,
    OwnStep,
    PackageList,
    Reboot,
    need_repositories,
)
from spider.packages.hook_install import TransactionHook
from spider.packages.interfaces import ENVIRONMENT, Console, query_output, run_query
from spider.packages.locks import record_lock_holder
from spider.packages.plan import UNKNOWN, YES, Inventory, Plan
from spider.packages.preconditions import join_names
from spider.root.terminal import StopRule, TerminalEnded
from spider.wire.report_messages import Updates
from spider.wire.sentences import name_list, sentence

DPKG_JOURNAL = "/var/lib/dpkg/updates"
DPKG_LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock")
STAMPS = ("/var/lib/apt/periodic/update-success-stamp", "/var/lib/apt/periodic/update-stamp")
"""Stamp files of a successful refresh, by Ubuntu's hook and by apt.systemd.daily."""
REBOOT_REQUIRED = ("/run/reboot-required", "/var/run/reboot-required")

REFRESH_LIMITS_S = {"refresh": 900.0}
COMMIT_LIMITS_S = {"plan": 600.0, "download": 4 * 3600.0}

APT_ENVIRONMENT: Dict[str, str] = {
    **ENVIRONMENT,
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "UCF_FORCE_CONFFOLD": "1",
    "APT_LISTCHANGES_FRONTEND": "none",
    "APT_LISTBUGS_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
}
# the driver waits for the lock and then makes the plan again, so apt-get must not wait
COMMIT_OPTIONS = (
    *(word for option in DPKG_OPTIONS for word in ("-o", f"Dpkg::Options::={option}")),
    "-o", "DPkg::Lock::Timeout=0",
    "-o", "APT::Status-Fd={fd}",
)  # fmt: skip
MAX_RELEASE_HEAD = 16 * 1024
"""Bytes of a Release file that are read: its fields come before the file lists."""
_HOOK_WORD = "exec"
_INVENTORY = ("dpkg-query", "-W", "-f=${db:Status-Abbrev}\\t${binary:Package}\\t${Version}\\t${Architecture}\\n")
_NEEDED = frozenset({"apt", "dpkg", "init", "libc6", "openrc", "python3", "python3-minimal", "systemd", "systemd-sysv", "sysvinit-core"})
_INTERRUPTIBLE = StopRule("after_package", sentence("stop.apt_after_packages"), (signal.SIGINT,))
_REST_NOT_BEGUN = StopRule("now", sentence("stop.apt_rest"), (signal.SIGINT, signal.SIGTERM))
_CODES = (
    ("Unable to acquire the dpkg frontend lock", "job.lock_busy"),
    ("Could not get lock", "job.lock_busy"),
    ("enough free space", "job.no_space"),
    ("No space left on device", "job.no_space"),
    ("Held packages were changed", "job.package_held"),
    ("Unable to fetch some archives", "job.fetch_failed"),
    ("Failed to fetch", "job.fetch_failed"),
    ("dpkg was interrupted", "job.packages_broken"),
    ("unmet dependencies", "job.unmet_dependencies"),
    ("Unmet dependencies", "job.unmet_dependencies"),
    ("but --no-remove", "job.would_remove"),
    ("Packages need to be removed", "job.would_remove"),
    ("script subprocess ", "job.script_failed"),
)


def read_inventory() -> Inventory:
    """The packages of dpkg's database.

    Raises: PackagesUnreadable.
    """
    return apt_parsers.parse_inventory(query_output(_INVENTORY, APT_ENVIRONMENT))


def _targets() -> List[apt_parsers.AptTarget]:
    """The package lists that apt-get expects. Empty if no repository is enabled, or if the settings disable all lists.

    Raises: PackagesUnreadable.
    """
    words = ("indextargets", "--no-release-info", "--format", apt_parsers.TARGET_FORMAT, "Created-By: Packages")
    return apt_parsers.parse_targets(query_output(apt_get(*words), APT_ENVIRONMENT))


def lists_refreshed_at(stamps: Sequence[str] = STAMPS) -> float:
    """When the package lists were last refreshed, Unix seconds; 0 = never or unknown.

    It is the newest time of the stamp files and of the lists folder: apt renames new lists into that folder. The lists themselves have the
    servers' times, and a failed run also changes `lists/partial` and `pkgcache.bin` (apt 2.6).

    Raises: PackagesUnreadable.
    """
    targets = _targets()
    if not any(map(_exists, targets)):
        return 0.0
    newest = 0.0
    for path in (os.path.dirname(targets[0].file), *stamps):  # all lists are in `Dir::State::lists`
        try:
            newest = max(newest, os.stat(path).st_mtime)
        except OSError:  # noqa: PERF203  # this host has no such file
            continue
    return newest


def _exists(target: apt_parsers.AptTarget) -> bool:
    """Whether a list exists, compressed or not. True also if the repository has no such list."""
    if os.path.exists(target.file) or any(os.path.exists(path) for path in glob.glob(glob.escape(target.file) + ".*")):
        return True
    base = target.file[: -len(target.key)]  # the name equals the key with `_` for `/`
    for name in ("InRelease", "Release"):
        release = read_file(base + name)
        if release:
            return not apt_parsers.has_list(release, target)
    return False


def _has_expired(target: apt_parsers.AptTarget) -> bool:
    """Whether the repository's Release file has expired. apt still uses the file, but refuses to download an expired one."""
    base = target.file[: -len(target.key)]
    return any(apt_parsers.valid_until(read_file(base + name, MAX_RELEASE_HEAD)) < time.time() for name in ("InRelease", "Release"))


class AptReader(OutputReader):
    """Parses the output of apt-get and dpkg."""

    TROUBLE = re.compile(r"^(?:E|W|Err)(?::\d+|:) ?\S|^dpkg: (?:error|warning)|^ \S.{0,300}script subprocess (?:returned|was) ")

    def __init__(self, verb: str, console: Console) -> None:
        super().__init__(console)
        self._verb = verb

    def line(self, text: str) -> None:
        lock = apt_parsers.parse_lock(text)
        if lock is not None:
            if self._verb == "refresh":
                self.lock = lock  # apt-get does not wait for this lock
            else:
                self.waits(lock)
        super().line(text)

    def status(self, text: str) -> None:
        status = apt_parsers.parse_status(text)
        if status is None:
            return
        if self._verb == "refresh":
            self.console.progress("refresh", status.percent, "", status.text)
        else:
            self.console.progress(status.phase, status.percent, status.package, status.text)


class Apt(Backend):
    """The backend for apt-get."""

    name = "apt"
    environment: Mapping[str, str] = APT_ENVIRONMENT
    cache_dir = "/var/cache/apt/archives"
    codes = _CODES
    kernels = re.compile(r"(?!.*-dbg)(?:linux-(?:image|modules)-.+|(?:proxmox|pve)-kernel-\d.*|raspberrypi-kernel)\Z")
    list_files = ("dpkg-query", "-L")
    commit_stop = _INTERRUPTIBLE

    def __init__(self, transaction_hook: Optional[TransactionHook] = None) -> None:
        self._transaction_hook = transaction_hook or TransactionHook()
        self._hook_installed = False

    def inventory(self) -> Inventory:
        return read_inventory()

    def broken(self, inventory: Inventory) -> str:
        """Half-configured packages, and an unfinished journal of dpkg."""
        names = [name for name, package in sorted(inventory.items()) if package.broken]
        journal = any(name.isdigit() for name in listed(DPKG_JOURNAL))
        if not names and not journal:
            return ""
        return "an earlier run of dpkg was not finished" + (f" ({join_names(names)})" if names else "")

    def lock(self) -> Optional[Lock]:
        """The lock is checked directly, since newer releases of apt wait without a message."""
        return next((lock for lock in map(record_lock_holder, DPKG_LOCKS) if lock is not None), None)

    def lists_refreshed_at(self) -> float:
        return lists_refreshed_at()

    def lists(self) -> List[PackageList]:
        """All lists have the same time, since the file of an unchanged list keeps the repository's time."""
        found: Dict[str, List[apt_parsers.AptTarget]] = {}
        for target in _targets():
            found.setdefault(target.repository, []).append(target)
        at = lists_refreshed_at()
        return [
            PackageList(name, at if all(map(_exists, targets)) else 0.0, any(map(_has_expired, targets))) for name, targets in found.items()
        ]

    def missing(self) -> List[str]:
        """Compares the existing lists with the lists that apt-get expects."""
        return list(dict.fromkeys(one.repository for one in need_repositories(_targets()) if not _exists(one)))

    def unknown(self, packages: Sequence[str]) -> List[str]:
        """`apt-cache pkgnames` prints only real packages, no virtual ones."""
        known = set(query_output(apt_cache("pkgnames"), APT_ENVIRONMENT).split())
        foreign = set(run_query(["dpkg", "--print-foreign-architectures"], APT_ENVIRONMENT).out.split())

        def is_known(name: str) -> bool:
            base, colon, arch = name.partition(":")
            return base in known and (not colon or arch in foreign)

        return [name for name in packages if not is_known(name)]

    def protected(self, packages: Sequence[str]) -> List[str]:
        """Protects essential packages, packages that Spider needs, and the running kernel."""
        marked = query_output(["dpkg-query", "-W", "-f=${binary:Package}\\t${Essential}\\t${Protected}\\n"], APT_ENVIRONMENT)
        needed = set(_NEEDED)
        for line in marked.split("\n"):
            name, *marks = line.split("\t")
            if YES in marks:
                needed.add(name.partition(":")[0])
        paths = {os.path.realpath(sys.executable), os.__file__, "/boot/vmlinuz-" + os.uname().release}
        owners = run_query(["dpkg-query", "-S", *sorted(paths)], APT_ENVIRONMENT).out  # status 1: no package owns one of them
        for line in owners.split("\n"):
            owner, found, _ = line.partition(": /")
            if found:
                needed.update(name.strip().partition(":")[0] for name in owner.split(","))
        return [name for name in packages if name.partition(":")[0] in needed]

    def simulate(self, verb: str, packages: Sequence[str]) -> Plan:
        self.cache_dir = (
            apt_parsers.parse_folder(run_query(apt_config("shell", "FOLDER", "Dir::Cache::archives/d"), APT_ENVIRONMENT).out)
            or self.cache_dir
        )
        return plan_of(verb, packages, read_inventory(), APT_ENVIRONMENT)

    def work(self, verb: str, packages: Sequence[str], plan: Plan) -> Sequence[Action]:
        if verb == "refresh":
            argv = apt_get("-o", "APT::Status-Fd={fd}", "update")
            return [Command(argv, "refresh", REFRESH_LIMITS_S, signals=(signal.SIGINT, signal.SIGTERM))]
        if verb in ("hold", "unhold"):
            return [Command(apt_mark(verb, "--", *packages), stoppable=False)]
        if verb == "clean":
            return [Command(apt_get("clean"), stoppable=False)]
        if verb == "repair":
            configure = Command(("dpkg", *DPKG_OPTIONS, "--configure", "-a"), stops_on_failure=False, stoppable=False)
            return [configure, self._commit("--no-remove", "-f", "install")._replace(stop_rule=self._stop_rule_of_the_rest)]
        options = () if plan.removals else ("--no-remove",)
        commit = self._commit(*self._hook(), *options, *run_words(verb, packages, plan))
        return [OwnStep("", lambda: self._install_hook(plan)), commit, *self._marks(verb, packages, plan)]

    def _install_hook(self, plan: Plan) -> None:
        self._transaction_hook.install(plan, {"native": run_query(["dpkg", "--print-architecture"], APT_ENVIRONMENT).out.strip()})
        self._hook_installed = True

    def _hook(self) -> Tuple[str, ...]:
        """The options with which apt-get runs the hook while it holds dpkg's lock. If the hook fails, apt-get exits without a change.

        apt decides by the first word of the command which protocol a hook gets.
        """
        words = (
            f"DPkg::Tools::Options::{_HOOK_WORD}::Version=3",
            f"DPkg::Pre-Install-Pkgs::={_HOOK_WORD} {self._transaction_hook.command('apt')}",
        )
        return tuple(word for option in words for word in ("-o", option))

    @staticmethod
    def _commit(*words: str) -> Command:
        return Command(apt_get("-y", *COMMIT_OPTIONS, *words), "plan", COMMIT_LIMITS_S)

    @staticmethod
    def _marks(verb: str, packages: Sequence[str], plan: Plan) -> List[Action]:
        """Restore the `auto` mark of dependencies: apt-get marks each named package as manually installed."""
        if verb not in ("upgrade", "security-upgrade") or (verb == "upgrade" and not packages):
            return []
        automatic = set(run_query(apt_mark("showauto"), APT_ENVIRONMENT).out.split())
        names = [step.package for step in plan.upgrades if step.package in automatic]
        return [Command(apt_mark("-o", "quiet=2", "auto", "--", *names), "check", always=True, stoppable=False)] if names else []

    def reader(self, verb: str, console: Console) -> AptReader:
        return AptReader(verb, console)

    def failure(self, verb: str, ended: TerminalEnded, reader: OutputReader) -> Optional[Failure]:
        """A refresh fails if one repository is unreachable, even if apt-get returns 0."""
        if verb == "refresh":
            if ended.rc and reader.lock is not None:
                return Failure("job.lock_busy", f"gave up {reader.lock}")
            stale = [line for line in reader.troubles if apt_parsers.is_stale_repository(line)]
            if stale:
                reader.troubles[:] = [*stale, *(line for line in reader.troubles if line not in stale)]
                return Failure("job.repository_stale", "repositories that could not be refreshed keep their old lists")
        if not ended.rc:
            return None
        refusal = self._transaction_hook.refusal() if self._hook_installed else None
        if refusal is not None:
            return refusal
        return Failure(self.code_in("\n".join(reader.troubles)), f"apt-get ended with status {ended.rc}")

    @staticmethod
    def _stop_rule_of_the_rest(phase: str) -> StopRule:
        return _REST_NOT_BEGUN if phase in PHASES_BEFORE_COMMIT else _INTERRUPTIBLE

    def reboot_required(self) -> Reboot:
        """Unknown without a marker file: on Debian no program creates it for a new kernel."""
        path = next((path for path in REBOOT_REQUIRED if os.path.exists(path)), None)
        if path is None:
            return Reboot(UNKNOWN)
        names = list(dict.fromkeys(read_file(path + ".pkgs").split()))
        return Reboot(YES, sentence("due.asked_by", names=name_list(names, 20)) if names else sentence("due.file", path=path))

    def available_updates(self) -> Updates:
        plan = plan_of("full-upgrade", (), {}, APT_ENVIRONMENT, counts_only=True)
        self.newer, self.deferred = plan.upgrades, [one.package for one in plan.kept]
        security = [step for step in self.newer if step.security == YES]
        return Updates(len(self.newer), len(security), int(lists_refreshed_at() * 1000))
