"""The common backend of dnf 4, dnf 5 and yum. The manager prints the plan as a table, and then runs twice with the same arguments.

The first run downloads, and may be stopped at any moment. The second run installs without the network (`-C`), and is never interrupted.
Directly before the second run the plan is made again and compared. If the manager supports `includepkgs`, both runs are limited to the
exact versions of the plan, even if settings or metadata change.
"""

import contextlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Collection, Dict, FrozenSet, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple, Type

from spider.files import read_file
from spider.packages.backend import Failure, Lock, OutputReader, PackageError, Reboot
from spider.packages.dnf import parsers as dnf_parsers
from spider.packages.dnf.parsers import Advisory, DnfRow, DnfTable
from spider.packages.dnf.run_reader import CODES, DnfReader
from spider.packages.interfaces import Output, PackagesUnreadable, run_query
from spider.packages.locks import record_lock_holder
from spider.packages.plan import NO, UNKNOWN, YES, HeldPackage, Inventory, Plan, Planned
from spider.packages.preconditions import join_names
from spider.packages.rpm import backend as rpm_backend
from spider.packages.rpm import parsers as rpm_parsers
from spider.packages.rpm import repositories as rpm_repositories
from spider.packages.rpm.backend import RpmBackend, RpmReader, installed, pid_file_holder
from spider.packages.rpm.parsers import RpmPackage
from spider.packages.rpm.repositories import Repository
from spider.root.terminal import TerminalEnded
from spider.wire.report_messages import Updates
from spider.wire.sentences import name_list, sentence

Secured = Optional[FrozenSet[Tuple[str, str]]]
"""Name and architecture of packages with a security advisory for a newer version; None = unknown."""
PLAN_LIMIT_S = 300.0
LOCK_WORDS = {"hold": "add", "unhold": "delete"}
MOST_INCLUDED = 600
"""Maximum number of package patterns in one argument. The kernel allows 128 KiB for an argument."""
QUERY = "%{name}|%{arch}|%{epoch}:%{version}-%{release}|%{repoid}|%{size}"


class ExtraResults(NamedTuple):
    """Results of the queries that run in parallel with the plan."""

    advisories: Optional[List[Advisory]] = None
    """None = not queried, or unknown."""
    newer: Sequence[RpmPackage] = ()
    """Packages with a newer version, including held packages."""
    sizes: Optional[Mapping[RpmPackage, int]] = None
    """Installed sizes in bytes, if the same query returned them."""


class DnfFamily(RpmBackend):
    """The common part of dnf 4, dnf 5 and yum. Subclasses define the differences."""

    program = ""
    codes = CODES
    reader_type: Type[RpmReader] = DnfReader
    upgrading: Tuple[str, ...] = ()
    """Options of every upgrade. With them, unresolvable packages are skipped and printed with the reason."""
    erasing: Tuple[str, ...] = ("--allowerasing",)
    """Additional options of full-upgrade."""
    settings = "/etc/dnf/dnf.conf"
    cache_option = "cachedir"
    """The setting of the cache folder."""
    repo_folders: Tuple[str, ...] = ("/etc/yum.repos.d", "/etc/yum/repos.d", "/etc/distro.repos.d")
    repo_overrides: Tuple[str, ...] = ()
    pid_files: Tuple[str, ...] = ()
    """Lock files that contain a process id."""
    lock_files: Tuple[str, ...] = ()
    """Lock files with record locks (fcntl)."""
    neutral: Tuple[str, ...] = ("--setopt=color=never", "--setopt=defaultyes=0")
    """Options of every call, so that settings change neither output nor actions."""
    verbose: Tuple[str, ...] = ("--setopt=debuglevel=2", "--setopt=errorlevel=3", "--setopt=rpmverbosity=info")
    """Further options of calls whose plan or progress is parsed. Other calls use `-q`, which these options would cancel."""
    unattended: Tuple[str, ...] = ("-y", "--setopt=assumeno=0")
    """Options of calls that change packages. `assumeno` in the settings must not prevent the change."""
    online: Tuple[str, ...] = ("--setopt=cacheonly=0",)
    """Options of calls that may use the network."""
    ignore_holds: Tuple[str, ...] = ()
    """Options that ignore excludes and locks."""
    side_by_side = False
    """Whether queries run in parallel. They do not with yum: it locks its metadata, and a waiting yum checks the lock once a second."""
    keep_metadata: Tuple[str, ...] = ("--setopt=*.metadata_expire=never",)
    """Options that prevent a refresh of the metadata in a run with network access."""
    tells_sizes = True
    """Whether the plan has the change of the disk space. False: the change is computed from the sizes of other queries."""
    can_include = True
    """Whether the manager supports a list of allowed packages."""

    def __init__(self, machine: str = "") -> None:
        super().__init__(machine)
        self._origins: Dict[Tuple[str, str], str] = {}
        self.cache_dir = rpm_repositories.option(self.settings, self.cache_option) or self.cache_dir
        folders = tuple(re.split(r"[\s,]+", rpm_repositories.option(self.settings, "reposdir")))
        self.repo_folders = folders if folders[0] else self.repo_folders

    def words(self, verb: str, packages: Sequence[str]) -> Tuple[str, ...]:
        """The manager's arguments for a verb with a plan."""
        if not verb.endswith("upgrade"):
            return (verb, *packages)
        more = {"full-upgrade": self.erasing, "security-upgrade": ("--security",)}.get(verb, ())
        return (*self.upgrading, *more, *packages)

    # -- differences ------------------------------------------------------------------------

    def locked_patterns(self) -> List[str]:
        """Version locks in the manager's own notation."""
        raise NotImplementedError

    def can_lock(self) -> str:
        """Why packages cannot be locked; empty: they can be locked."""
        raise NotImplementedError

    def cached(self, name: str) -> Repository:
        """The cached metadata files of a repository."""
        return rpm_repositories.dnf_repository(name, self.cache_dir)

    def advisories(self, options: Sequence[str] = ()) -> List[Advisory]:
        """Advisories for newer versions of installed packages. Raises: PackagesUnreadable."""
        raise NotImplementedError

    def upgrades(self, options: Sequence[str] = ()) -> List[RpmPackage]:
        """The newest version of each installed package that has a newer version, installable or not. Raises: PackagesUnreadable."""
        raise NotImplementedError

    def query_extras(self, *, advisories: bool, newer: bool) -> ExtraResults:
        """Run the requested queries.

        Raises: PackagesUnreadable: the query of newer versions failed.
        """
        with ThreadPoolExecutor(2 if self.side_by_side else 1) as pool:
            answer_text = pool.submit(self.advisories) if advisories else None
            found = pool.submit(self.upgrades, self.ignore_holds) if newer else None
            try:
                secure = None if answer_text is None else answer_text.result()
            except PackagesUnreadable:
                secure = None  # in an old release, for example: the plan is valid, but security is unknown
            return ExtraResults(secure, () if found is None else found.result())

    # -- queries -------------------------------------------------------------------------------

    def run_query(self, *words: str, limit_s: float = PLAN_LIMIT_S) -> Output:
        """Run a query on the existing metadata."""
        return run_query([self.program, *self.neutral, "-C", *words], self.environment, limit_s)

    def command(self, *words: str, online: bool = False) -> Tuple[str, ...]:
        """A call that may change packages. Args: online: whether it may use the network."""
        return (self.program, *self.neutral, *self.verbose, *(self.online if online else ("-C",)), *self.unattended, *words)

    def repositories(self) -> List[Repository]:
        return [self.cached(name) for name in rpm_repositories.enabled(self.repo_folders, self.settings, self.repo_overrides)]

    def excluded_patterns(self) -> List[str]:
        """Patterns of the packages that the settings exclude."""
        return rpm_repositories.excluded(self.settings, self.repo_folders, self.repo_overrides)

    def held(self, packages: Sequence[RpmPackage]) -> Set[str]:
        """Labels of the packages that the settings exclude, or that are locked to a version."""
        from_locks = [pattern for pattern in self.locked_patterns() if not pattern.startswith("!")]
        return rpm_backend.matching([*self.excluded_patterns(), *from_locks], packages, self._machine)

    def lock(self) -> Optional[Lock]:
        """The holder of one of the manager's own locks, or of rpm's lock."""
        for holders, paths in ((pid_file_holder, self.pid_files), (record_lock_holder, self.lock_files)):
            any_held = next((lock for lock in map(holders, paths) if lock is not None), None)
            if any_held is not None:
                return any_held
        return super().lock()

    def cannot(self, verb: str, packages: Sequence[str]) -> str:
        """hold and unhold need versionlock. A package that the settings exclude cannot be unheld."""
        if verb not in ("hold", "unhold"):
            return ""
        why = self.can_lock()
        if why:
            return why
        if verb == "unhold":
            excluded = rpm_backend.matching(self.excluded_patterns(), installed(self.environment), self._machine)
            by_settings = [name for name in packages if name in excluded]
            if by_settings:
                return f"{join_names(by_settings)} is excluded by the settings of {self.name} ({self.settings} or a .repo file): take it out there"
        return ""

    def query_output(self, *words: str) -> str:
        """The output of a query.

        Raises: PackagesUnreadable: as `run_query`, or the command failed.
        """
        answer = self.run_query("-q", *words)
        if answer.rc:
            raise PackagesUnreadable(self._failure_text(answer))
        return answer.out

    def named_like(self, names: Sequence[str]) -> Set[str]:
        return {name for package in self.available(names) for name in (package.name, f"{package.name}.{package.arch}")}

    def available(self, names: Sequence[str]) -> List[RpmPackage]:
        """The packages with these names in the repositories. Raises: PackagesUnreadable."""
        return self._packages(self.query_output("repoquery", "--qf", self.query(), *names))

    def query(self) -> str:
        """The format of a line of repoquery."""
        return QUERY

    def _packages(self, text: str) -> List[RpmPackage]:
        try:
            self._origins = dnf_parsers.parse_origins(text)
            return list(dnf_parsers.parse_repoquery(text).values())
        except ValueError as exc:
            raise PackagesUnreadable(f"{self.name}: {exc}") from exc

    def _failure_text(self, answer: Output) -> str:
        lines = [line.strip() for line in (answer.err + "\n" + answer.out).split("\n") if line.strip()]
        errors = [line for line in lines if line.startswith(("Error", "Failed", "Problem", "- nothing", "No match", "filesystem error"))]
        return " · ".join((errors or lines)[:4])[:800] or f"{self.name}: exit status {answer.rc}"

    def simulate(self, verb: str, packages: Sequence[str]) -> Plan:
        repositories = self.need_lists() if verb not in ("remove", "autoremove") else self.repositories()
        rpm_repositories.require_advisories(verb, repositories)
        now, takes = rpm_backend.installed_with_sizes(self.environment)
        inventory = self.inventory_of(now)
        table, secure, extras = self._gather(verb, packages, inventory, repositories)
        steps, replaced = self.steps_of(table.rows, inventory, secure, repositories)
        kept = self._kept_back(verb, packages, table, inventory, secure, () if packages else extras.newer)
        reboot, why = self.reboot_expected(steps)
        more = (
            self._growth(table.rows, now, {**takes, **extras.sizes})
            if table.installed_bytes is None and extras.sizes
            else table.installed_bytes
        )
        return Plan(tuple(steps), tuple(kept), table.download_bytes, more, reboot, why, tuple(replaced))

    def _growth(self, rows: Sequence[DnfRow], now: Sequence[RpmPackage], sizes: Dict[RpmPackage, int]) -> Optional[int]:
        """The change of the installed size, in bytes; None: unknown. Sizes that `sizes` lacks are queried."""
        comes = [row.package for row in rows if row.act not in ("skip", "reinstall", "remove")]
        new = [f"{one.name}-{one.version}.{one.arch}" for one in comes if one not in sizes]
        if new:
            sizes.update(dnf_parsers.parse_sizes(self.run_query("-q", "repoquery", "--qf", self.query(), *new).out))
        return dnf_parsers.growth(rows, now, sizes)

    def table(self, words: Sequence[str]) -> DnfTable:
        """The plan that the manager prints. Raises: PackageError; PackagesUnreadable."""
        answer = self.run_query("--assumeno", *self.verbose, *words)
        unmatched = dnf_parsers.parse_unmatched(answer.out + "\n" + answer.err)
        if unmatched:
            raise PackageError("job.unknown_package", f"{self.name} does not find {join_names(unmatched)}")
        try:
            return dnf_parsers.parse_table(answer.out, answer.err)
        except ValueError as exc:
            answer_text = self._failure_text(answer)
            if answer.rc:
                raise PackageError(self.code_in(answer.out + "\n" + answer.err), answer_text) from exc
            raise PackagesUnreadable(f"{self.name}'s plan: {exc}") from exc

    def _gather(
        self, verb: str, packages: Sequence[str], inventory: Inventory, repositories: Sequence[Repository]
    ) -> Tuple[DnfTable, Secured, ExtraResults]:
        """The plan, the security advisories, and all newer versions if packages are held or sizes are needed."""
        comes = verb not in ("remove", "autoremove")
        any_held = not packages and any(one.held for one in inventory.values())
        newer = verb.endswith("upgrade") and (any_held or not self.tells_sizes)
        with ThreadPoolExecutor(2 if self.side_by_side else 1) as pool:
            table = pool.submit(self.table, self.words(verb, packages))
            more = pool.submit(self.query_extras, advisories=comes and any(one.advisories for one in repositories), newer=newer)
            found, extras = table.result(), more.result()
        return found, None if extras.advisories is None else dnf_parsers.secured(extras.advisories), extras

    def steps_of(
        self, rows: Iterable[DnfRow], inventory: Inventory, secure: Secured, repositories: Sequence[Repository]
    ) -> Tuple[List[Planned], List[str]]:
        """The steps, and the removed packages that another package replaces."""
        with_advisories = {one.name for one in repositories if one.advisories} if secure is not None else set()
        steps: List[Planned] = []
        replaced: List[str] = []
        came = {row.package.name for row in rows if row.act == "install"}
        for row in rows:
            package = row.package
            label = self.label(package.name, package.arch)
            if row.act in ("skip", "reinstall"):
                continue
            if row.act == "remove":
                steps.append(Planned(label, package.version, "", NO, ""))
                if package.name in came:  # a new kernel replaces the oldest one
                    replaced.append(label)
                continue
            old = inventory[label].version.split(" ")[-1] if label in inventory and row.act != "install" else ""
            security = YES if (package.name, package.arch) in (secure or ()) else NO if row.repository in with_advisories else UNKNOWN
            steps.append(Planned(label, old, package.version, security, row.repository))
            for obsolete in row.replaces:
                name = self.label(obsolete.name, obsolete.arch)
                if all(step.package != name for step in steps):
                    steps.append(Planned(name, obsolete.version, "", NO, ""))
                    replaced.append(name)
        return steps, replaced

    def _kept_back(
        self,
        verb: str,
        packages: Sequence[str],
        table: DnfTable,
        inventory: Inventory,
        secure: Secured,
        newer: Sequence[RpmPackage],
    ) -> List[HeldPackage]:
        if verb not in ("upgrade", "full-upgrade", "security-upgrade"):
            return []
        skipped = [row.package for row in table.rows if row.act == "skip"]
        done = {self.label(row.package.name, row.package.arch) for row in table.rows if row.act not in ("skip", "remove")}
        kept: List[HeldPackage] = []
        erasing: Set[str] = set()
        if skipped and verb == "upgrade":
            with contextlib.suppress(PackageError):  # without a plan for full-upgrade, the reason is not its removals
                with_removals = self.table(self.words("full-upgrade", packages)).rows
                erasing = {self.label(row.package.name, row.package.arch) for row in with_removals if row.act == "upgrade"}
        for package in skipped:
            label = self.label(package.name, package.arch)
            kept.append(HeldPackage(label, package.version, "needs_removal" if label in erasing else "unresolvable"))
        for package in newer:
            label = self.label(package.name, package.arch)
            if label in inventory and inventory[label].held and label not in done:
                kept.append(HeldPackage(label, package.version, "held"))
        if packages:
            kept = [one for one in kept if one.package in packages]
        if verb == "security-upgrade":
            if any(one.reason == "held" for one in kept) and secure is not None:
                secure = dnf_parsers.secured(self.advisories(self.ignore_holds))
            names = {self.label(name, arch) for name, arch in secure or ()}
            kept = [one for one in kept if one.package in names]
        return kept

    def available_updates(self) -> Updates:
        repositories = self.need_lists()
        newer = self.upgrades()
        secure = None
        if any(one.advisories for one in repositories):
            with contextlib.suppress(PackagesUnreadable):  # security is then unknown
                secure = dnf_parsers.secured(self.advisories())
        self.newer = self._newer(newer, secure)
        security = -1 if secure is None else sum(step.security == YES for step in self.newer)
        return Updates(len(newer), security, int(rpm_repositories.refreshed_at(repositories) * 1000))

    def _newer(self, packages: Sequence[RpmPackage], secure: Optional[Collection[Tuple[str, str]]]) -> List[Planned]:
        installed = self.inventory()
        answer_text = []
        for package in packages:
            name = rpm_parsers.label(package.name, package.arch, self._machine)
            safe = UNKNOWN if secure is None else YES if (package.name, package.arch) in secure else NO
            before = installed[name].version if name in installed else ""
            answer_text.append(Planned(name, before, package.version, safe, self._origins.get((package.name, package.arch), "")))
        return answer_text

    # -- changes ---------------------------------------------------------------------------------

    def argv_without_plan(self, verb: str, packages: Sequence[str]) -> Tuple[str, ...]:
        if verb == "refresh":
            return self.command(*self.refresh_words(), online=True)
        if verb == "clean":
            return self.command("clean", "packages")
        return self.command(*self.check_words()) if verb == "repair" else self.command("versionlock", LOCK_WORDS[verb], *packages)

    def argv_with_plan(self, verb: str, packages: Sequence[str], plan: Plan) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
        words, only = self.words(verb, packages), self.only(plan)
        fetch = self.command(*self.keep_metadata, *only, words[0], "--downloadonly", *words[1:], online=True)
        return fetch, self.command(*only, *words)

    def repeat_steps(self, verb: str, packages: Sequence[str]) -> Plan:
        inventory = self.inventory_of(installed(self.environment))
        return Plan(tuple(self.steps_of(self.table(self.words(verb, packages)).rows, inventory, None, ())[0]))

    def only(self, plan: Plan) -> Tuple[str, ...]:
        """Options that allow only the packages of the plan. They apply to repositories, so installed packages stay visible.

        The empty first entry removes the entries that a `.repo` file has.
        """
        names = [pattern for step in plan.steps if step.after for pattern in rpm_parsers.patterns(step.package, step.after, self._machine)]
        if not self.can_include or not names:
            return ()
        parts = [",".join(names[start : start + MOST_INCLUDED]) for start in range(0, len(names), MOST_INCLUDED)]
        return (f"--setopt=*.includepkgs=,{parts[0]}", *(f"--setopt=*.includepkgs={part}" for part in parts[1:]))

    def refresh_words(self) -> Tuple[str, ...]:
        """The arguments that refresh the metadata."""
        return ("--refresh", "makecache")

    def check_words(self) -> Tuple[str, ...]:
        """The arguments that check the database."""
        return ("check", "--dependencies", "--duplicates")

    def failure(self, verb: str, ended: TerminalEnded, reader: OutputReader) -> Optional[Failure]:
        """A failed package script is a failure at any status: dnf 4.14 returns 0, dnf 4.24 and dnf 5 return 1."""
        assert isinstance(reader, DnfReader)
        if verb == "refresh":
            repositories = self.repositories()
            if reader.stale or rpm_repositories.missing(repositories):
                return self.stale(repositories, reader.stale)
        if reader.scripts:
            return Failure("job.script_failed", reader.scripts_text())
        if not ended.rc:
            return None
        otherwise = "job.packages_broken" if verb == "repair" else "job.package_manager"
        text = f"{self.name} ended with status {ended.rc}"
        lock = self.lock()
        code = self.code_in("\n".join(reader.troubles), otherwise)
        if code == "job.package_manager" and lock is not None:
            code, text = "job.lock_busy", f"{text}; {lock}"
        return Failure(code, text)

    def reboot_required(self) -> Reboot:
        """Uses the plugin needs-restarting. Without the plugin the result is unknown."""
        answer = self.run_query("needs-restarting", "-r", limit_s=120.0)
        if "Reboot is required" in answer.out:
            names = [line.strip().lstrip("* ") for line in answer.out.split("\n") if line.strip().startswith("* ")]
            return Reboot(YES, sentence("due.updated", names=name_list(names, 20)) if names else sentence("due.core_updated"))
        if "Reboot should not be necessary" in answer.out:
            return Reboot(NO, sentence("due.not_core"))
        return Reboot(UNKNOWN, sentence("due.unknown_no_check", program="needs-restarting"))


def lines_of(path: str) -> List[str]:
    """The lines of a file, without comments. Empty if there is no file."""
    return [line.strip() for line in read_file(path).split("\n") if line.strip() and not line.lstrip().startswith("#")]


def plugin_setting(path: str, key: str, otherwise: str) -> str:
    """The value of an option in a plugin's settings file; `otherwise` if it is not set."""
    for line in lines_of(path):
        name, found, value = line.partition("=")
        if found and name.strip() == key and value.strip():
            return os.path.expanduser(value.strip())
    return otherwise
