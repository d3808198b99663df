"""The common backend of rpm-based managers: database, faults, lock, protected packages, results of scripts."""

import fnmatch
import glob
import os
import re
import signal
import sys
import time
from typing import Collection, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Set, Tuple, Type

from spider.files import read_file, read_text
from spider.packages.backend import (
    Action,
    Backend,
    Command,
    Failure,
    Lock,
    OutputReader,
    PackageError,
    PackageList,
    Replan,
    need_repositories,
)
from spider.packages.interfaces import Console, PackagesUnreadable, run_query
from spider.packages.locks import process_name, record_lock_holder
from spider.packages.plan import Inventory, Plan, Planned
from spider.packages.preconditions import join_names
from spider.packages.rpm import parsers as rpm_parsers
from spider.packages.rpm import repositories as rpm_repositories
from spider.packages.rpm.parsers import RpmPackage, ScriptFailed
from spider.packages.rpm.repositories import Repository
from spider.root.terminal import StopRule
from spider.wire.sentences import sentence

DOWNLOAD_LIMITS_S: Mapping[str, float] = {"plan": 600.0, "waiting_lock": 360.0, "download": 4 * 3600.0}
COMMIT_LIMITS_S: Mapping[str, float] = {"waiting_lock": 360.0}
REFRESH_LIMITS_S: Mapping[str, float] = {"refresh": 900.0, "waiting_lock": 360.0}
TOO_LATE = StopRule("too_late", sentence("stop.rpm_at_work"), ())
INSTALLONLY = (
    "installonlypkg(kernel)",
    "installonlypkg(kernel-module)",
    "installonlypkg(vm)",
    "multiversion(kernel)",
    "kernel",
)
"""Packages that provide one of these may be installed in several versions."""
CORE = ("kernel", "kernel-core", "kernel-rt", "kernel-rt-core", "kernel-default", "glibc", "linux-firmware", "systemd", "dbus")
CORE_MORE = ("dbus-broker", "dbus-daemon", "dbus-1", "kernel-firmware-all", "ucode-intel", "ucode-amd", "microcode_ctl")
"""CORE and CORE_MORE: packages that need a reboot after an upgrade, from the list of `needs-restarting`, with SUSE's names."""
NEEDED = ("rpm", "rpm-libs", "glibc", "bash", "coreutils", "filesystem", "systemd", "setup", "basesystem")


def installed(env: Mapping[str, str]) -> List[RpmPackage]:
    """All packages of the rpm database.

    Raises: PackagesUnreadable.
    """
    return installed_with_sizes(env)[0]


def installed_with_sizes(env: Mapping[str, str]) -> Tuple[List[RpmPackage], Dict[RpmPackage, int]]:
    """All packages of the rpm database, and their sizes in bytes.

    Raises: PackagesUnreadable.
    """
    answer = run_query(["rpm", "-qa", "--qf", rpm_parsers.QUERY], env)
    if answer.rc:
        failure_text = f"rpm cannot read its database (exit status {answer.rc}): {answer.err.strip()[:300]}"
        raise PackagesUnreadable(f"{failure_text}. Keep a copy of it before 'rpm --rebuilddb', which only a person should run")
    try:
        return rpm_parsers.parse_installed(answer.out), rpm_parsers.parse_installed_sizes(answer.out)
    except ValueError as exc:
        raise PackagesUnreadable(f"rpm: {exc}") from exc


def side_by_side(names: Collection[str], env: Mapping[str, str]) -> FrozenSet[str]:
    """The names in `names` that may be installed in several versions: kernels and their modules."""
    if not names:
        return frozenset()
    # the status is 1 if no package provides one of the capabilities
    answer = run_query(["rpm", "-q", "--qf", "%{NAME}\\n", "--whatprovides", *INSTALLONLY], env)
    return frozenset(line for line in answer.out.split("\n") if line in names)


def wrongly_doubled(packages: Sequence[RpmPackage], env: Mapping[str, str]) -> Dict[Tuple[str, str], List[str]]:
    """Packages that an interrupted upgrade left in two versions: name and architecture -> versions, oldest first."""
    doubled = rpm_parsers.doubled(packages)
    may = side_by_side({name for name, _ in doubled}, env)
    return {key: versions for key, versions in doubled.items() if key[0] not in may}


def matching(patterns: Iterable[str], packages: Iterable[RpmPackage], machine: str) -> Set[str]:
    """Labels (`rpm_parsers.label`) of the packages that match one of the patterns. A pattern may have any notation of dnf and yum."""
    wanted = list(patterns)
    if not wanted:
        return set()
    found = set()
    for package in packages:
        epoch, colon, evr = package.version.rpartition(":")
        epoch = epoch if colon else "0"
        forms = (
            package.name,
            f"{package.name}.{package.arch}",
            f"{package.name}-{evr}",
            f"{package.name}-{evr}.{package.arch}",
            f"{package.name}-{epoch}:{evr}.{package.arch}",
            f"{package.name}-{epoch}:{evr}",
            f"{epoch}:{package.name}-{evr}.{package.arch}",
            f"{package.name}-{evr.rpartition('-')[0]}",
        )
        if any(fnmatch.fnmatchcase(form, pattern) for pattern in wanted for form in forms):
            found.add(rpm_parsers.label(package.name, package.arch, machine))
    return found


def pid_file_holder(path: str) -> Optional[Lock]:
    """The holder of a lock file that contains a process id, as with dnf 4, yum and zypper. None: nobody holds it."""
    pid = read_text(path, 32)
    name = process_name(pid) if pid.isdecimal() and int(pid) != os.getpid() else ""
    return Lock(path, pid, name) if name else None


class RpmReader(OutputReader):
    """Parses rpm's messages in the output of a manager. All managers print them unchanged."""

    def __init__(self, console: Console, steps: Iterable[Planned] = ()) -> None:
        super().__init__(console)
        self.scripts: List[ScriptFailed] = []
        """Failed package scripts."""
        self._names = {f"{step.package.partition('.')[0]}-{version}": step.package for step in steps for version in step[1:3] if version}
        self._plain = {f"{step.package}-{version}": step.package for step in steps for version in step[1:3] if version}

    def line(self, text: str) -> None:
        failed = rpm_parsers.parse_script_failed(text)
        if failed is not None:
            self.trouble(text.strip())
            if failed not in self.scripts:
                self.scripts.append(failed)
        else:
            super().line(text)

    def package(self, nevra: str) -> str:
        """The planned package of a possibly truncated `name-[epoch:]version-release.arch`; empty = ambiguous, or not planned."""
        text = nevra.replace("-0:", "-", 1)
        bare = text.rpartition(".")[0]
        if bare in self._plain or text in self._plain:
            return self._plain.get(bare) or self._plain[text]
        if bare in self._names:
            return self._names[bare]
        fitting = {name for full, name in self._plain.items() if full.startswith(text)}
        return fitting.pop() if len(fitting) == 1 else ""

    def waits(self, lock: Lock) -> None:
        """Record that the manager waits for a lock. If its message has only a process id, the name is read from /proc."""
        super().waits(lock if lock.name or not lock.pid else lock._replace(name=process_name(lock.pid)))

    def scripts_text(self) -> str:
        """The failed scripts as a sentence."""
        one = [f"%{failed.script} of {failed.package} ended with {failed.how or 'an error'}" for failed in self.scripts[:10]]
        return "a script of a package failed: " + ", ".join(one)


_NOT_IN_BOOT = "headers|tools|macros|devel|doc|source|syms|firmware|abi|stablelists|selftests|livepatch|debuginfo|debugsource"
"""Parts of the names of `kernel-…` packages without a kernel."""


class RpmBackend(Backend):
    """The common part of the backends for dnf, yum and zypper."""

    commit_stop = TOO_LATE
    list_files = ("rpm", "-ql")
    kernels = re.compile(rf"(?!.*-(?:{_NOT_IN_BOOT}))kernel[\d.]*(?:[-.:].*)?\Z")
    reader_type: Type[RpmReader] = RpmReader

    def __init__(self, machine: str = "") -> None:
        self._machine = machine or os.uname().machine
        self._steps: Tuple[Planned, ...] = ()
        """The steps of the running plan. With them the readers find the names of packages."""
        self._reader: Optional[RpmReader] = None
        """The reader of the running command."""
        self._began_at = 0.0
        """When this job's steps began, Unix seconds."""

    def held(self, packages: Sequence[RpmPackage]) -> Set[str]:
        """Labels of held packages."""
        raise NotImplementedError

    def inventory(self) -> Inventory:
        packages = installed(self.environment)
        return self.inventory_of(packages)

    def inventory_of(self, packages: Sequence[RpmPackage]) -> Inventory:
        """The inventory of these packages."""
        broken = {self.label(name, arch) for name, arch in self.left_doubled(packages)}
        return rpm_parsers.inventory_of(packages, self._machine, self.held(packages), broken)

    def left_doubled(self, packages: Sequence[RpmPackage]) -> Dict[Tuple[str, str], List[str]]:
        """Packages in two versions. Empty while a program changes packages: an upgrade in progress also has two versions."""
        doubled = wrongly_doubled(packages, self.environment)
        if not doubled or self.lock() is not None:
            return {}
        # another program may have ended just before the check of the lock
        return wrongly_doubled(installed(self.environment), self.environment)

    def label(self, name: str, arch: str) -> str:
        """The name of a package in orders and texts."""
        return rpm_parsers.label(name, arch, self._machine)

    def broken(self, inventory: Inventory) -> str:
        names = [name for name, package in sorted(inventory.items()) if package.broken]
        return f"an upgrade was interrupted and left two versions of {join_names(names)}" if names else ""

    def lock(self) -> Optional[Lock]:
        """The holder of rpm's lock."""
        try:
            path = run_query(["rpm", "--eval", "%{_rpmlock_path}"], self.environment).out.strip()
        except PackagesUnreadable:
            return None
        return record_lock_holder(path) if path.startswith("/") else None

    def repositories(self) -> List[Repository]:
        """The enabled repositories with their metadata."""
        raise NotImplementedError

    def need_lists(self) -> Sequence[Repository]:
        """The enabled repositories, as `repositories`.

        Raises: PackageError: no repository has metadata, so updates are unknown.
        """
        return rpm_repositories.require_metadata(self.repositories())

    def lists_refreshed_at(self) -> float:
        """When the oldest metadata was refreshed, Unix seconds; 0 = no repository has metadata."""
        return rpm_repositories.refreshed_at(self.repositories())

    def lists(self) -> List[PackageList]:
        return [PackageList(one.name, one.refreshed_at) for one in self.repositories()]

    def missing(self) -> List[str]:
        return rpm_repositories.missing(need_repositories(self.repositories()))

    def unknown(self, packages: Sequence[str]) -> List[str]:
        sound = [name for name in packages if rpm_parsers.NAME.match(name)]
        if not sound:
            return list(packages)
        self.need_lists()
        there = self.named_like(sound)
        return [name for name in packages if name not in sound or name not in there]

    def named_like(self, names: Sequence[str]) -> Set[str]:
        """The names in `names` that the repositories have. The result may also have other names.

        Raises: PackagesUnreadable.
        """
        raise NotImplementedError

    def protected(self, packages: Sequence[str]) -> List[str]:
        needed = self._needed()
        return [name for name in packages if name in needed or name.rpartition(".")[0] in needed]

    def _needed(self) -> Set[str]:
        needed = {*NEEDED, self.name}
        for path in glob.glob("/etc/dnf/protected.d/*.conf") + glob.glob("/etc/yum/protected.d/*.conf"):
            needed.update(line.strip() for line in read_file(path).split("\n") if line.strip() and not line.startswith("#"))
        owners = [os.path.realpath(path) for path in (sys.executable, "/sbin/init", f"/usr/bin/{self.name}") if path]
        answer = run_query(["rpm", "-qf", "--qf", "%{NAME}\\n", *owners], self.environment)
        return needed | {line for line in answer.out.split("\n") if rpm_parsers.NAME.match(line)}

    def reader(self, verb: str, console: Console) -> RpmReader:
        del verb
        self._reader = reader = self.reader_type(console, self._steps)
        return reader

    def stale(self, repositories: Sequence[Repository], lines: Sequence[str]) -> Failure:
        """The failure of a refresh that did not reach all repositories. Its text names the repositories whose files are old."""
        names = rpm_repositories.not_refreshed_since(repositories, self._began_at)
        failure_text = " · ".join([*([join_names(names)] if names else []), *dict.fromkeys(line[:400] for line in lines[:3])])
        return Failure(
            "job.repository_stale", f"repositories that could not be refreshed keep their old lists: {failure_text or 'see the log'}"
        )

    def commit_rule(self, phase: str) -> StopRule:
        """The stop rule of a command that installs: a stop is too late, except while the command waits for the lock.

        The command counts as waiting while the process that it named holds the lock: its message alone may be old.
        """
        waits = self._reader.lock if self._reader is not None else None
        if phase == "waiting_lock" and waits is not None and waits.pid:
            holder = self.lock()
            if holder is not None and holder.pid == waits.pid:
                return StopRule("now", sentence("stop.rpm_waits"), (signal.SIGINT,))
        return TOO_LATE

    def reboot_expected(self, steps: Iterable[Planned]) -> Tuple[str, str]:
        """Whether the plan makes a reboot due (yes or no), and why."""
        core = [step.package for step in steps if step.after and step.package in (*CORE, *CORE_MORE)]
        return ("yes", join_names(core)) if core else ("no", "")

    def work(self, verb: str, packages: Sequence[str], plan: Plan) -> Sequence[Action]:
        """A plan runs in two steps: a download, and an installation without the network."""
        self._steps = plan.steps
        self._began_at = time.time()
        if verb == "repair":
            return [*self.repair_commands(), Command(self.argv_without_plan(verb, packages), "check")]
        if verb == "refresh":
            return [Command(self.argv_without_plan(verb, packages), "refresh", REFRESH_LIMITS_S)]
        if verb in ("clean", "hold", "unhold"):
            return [Command(self.argv_without_plan(verb, packages), "commit")]
        fetch, install = self.argv_with_plan(verb, packages, plan)
        work: List[Action] = [
            Replan(lambda: self.repeat_steps(verb, packages)),
            Command(install, "commit", COMMIT_LIMITS_S, stop_rule=self.commit_rule),
        ]
        if any(step.after for step in plan.steps):
            work.insert(0, Command(fetch, "download", DOWNLOAD_LIMITS_S))
        return work

    def argv_without_plan(self, verb: str, packages: Sequence[str]) -> Tuple[str, ...]:
        """The command line of refresh, clean, hold and unhold, and of the check of the database after a repair."""
        raise NotImplementedError

    def argv_with_plan(self, verb: str, packages: Sequence[str], plan: Plan) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
        """The command lines of the download and of the installation."""
        raise NotImplementedError

    def repeat_steps(self, verb: str, packages: Sequence[str]) -> Plan:
        """Make a plan with its steps only: one query instead of three."""
        raise NotImplementedError

    def repair_commands(self) -> List[Command]:
        """The commands that complete an interrupted upgrade: they remove the older of two versions.

        rpm runs the removal scripts as in an upgrade, since the newer version stays, and leaves the files of that version in place.
        `dnf remove --duplicates` would need the network and reinstall packages.

        Raises: PackageError; PackagesUnreadable.
        """
        packages = installed(self.environment)
        commands = []
        for (name, arch), versions in sorted(wrongly_doubled(packages, self.environment).items()):
            if len(set(versions)) != len(versions):
                raise PackageError(
                    "job.packages_broken", f"{name} {versions[0]} is in rpm's database twice: 'rpm --rebuilddb' by hand may help"
                )
            old = [f"{name}-{version.rpartition(':')[2]}.{arch}" for version in versions[:-1]]
            commands.append(Command(("rpm", "-e", "-v", "--", *old), "commit", stops_on_failure=False, stop_rule=self.commit_rule))
        return commands
