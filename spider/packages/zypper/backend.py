"""The backend for zypper: openSUSE and SLES. zypper prints its plan as XML, with sizes, repositories and whether a reboot is due.

A first run downloads, and may be stopped. A second run installs, and may not be stopped. Three statuses of zypper are no failures: 102 = a
reboot is due, 103 = zypper itself was upgraded, 106 = a repository was skipped. 107 is a failure: a script failed.

zypper cannot be bound to a plan: the installation resolves dependencies again. So the plan is made again directly before.
"""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from spider.files import read_file
from spider.packages.backend import Failure, Lock, OutputReader, PackageError, Reboot
from spider.packages.interfaces import ENVIRONMENT, Output, PackagesUnreadable, run_query
from spider.packages.plan import NO, UNKNOWN, YES, HeldPackage, Inventory, Plan, Planned
from spider.packages.preconditions import join_names
from spider.packages.rpm import backend as rpm_backend
from spider.packages.rpm import parsers as rpm_parsers
from spider.packages.rpm import repositories as rpm_repositories
from spider.packages.rpm.backend import RpmBackend, installed, pid_file_holder
from spider.packages.rpm.parsers import RpmPackage
from spider.packages.rpm.repositories import Repository
from spider.packages.zypper import parsers as zypper_parsers
from spider.packages.zypper.parsers import INSTALL, REMOVE, ZypperSummary
from spider.packages.zypper.patches import Advisories, Needed
from spider.packages.zypper.run_reader import ZypperReader
from spider.root.terminal import TerminalEnded
from spider.wire.report_messages import Updates
from spider.wire.sentences import sentence

LOCKS = "/etc/zypp/locks"
REPOSITORIES = "/etc/zypp/repos.d"
RAW = "/var/cache/zypp/raw"
PID_FILES = ("/run/zypp.pid", "/var/run/zypp.pid")
PLAN_LIMIT_S = 300.0
PATCH_BATCH = 200
LOCK_WAIT_S = 300
ROLLING = ("opensuse-tumbleweed", "opensuse-slowroll")
"""Distributions whose only upgrade is `dup`."""
CHOSEN = ("update", "--no-force-resolution")
"""The words of an upgrade of chosen packages, and of `upgrade` where `dup` is not the only upgrade."""
REBOOT_DUE, RENEWED, NOT_FOUND, LEFT_OUT, SCRIPT_FAILED = 102, 103, 104, 106, 107
_NO_FAILURE = (0, REBOOT_DUE, RENEWED, LEFT_OUT)
_PATCH_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:+~-]*\Z")
_CODES = (
    ("System management is locked", "job.lock_busy"),
    ("No space left on device", "job.no_space"),
    ("not enough free space", "job.no_space"),
    ("needs more space", "job.no_space"),
    ("Download (curl) error", "job.fetch_failed"),
    ("Failed to provide Package", "job.fetch_failed"),
    ("Problem: ", "job.unmet_dependencies"),
    ("nothing provides", "job.unmet_dependencies"),
)
_STATUSES = {
    6: "job.lists_missing",
    7: "job.lock_busy",
    NOT_FOUND: "job.unknown_package",
}


def os_id(path: str = "/etc/os-release") -> str:
    """The ID of the distribution."""
    return next((line[3:].strip().strip("\"'") for line in read_file(path).split("\n") if line.startswith("ID=")), "")


class Zypper(RpmBackend):
    """The backend for zypper."""

    name = "zypper"
    codes = _CODES
    reader_type = ZypperReader
    cache_dir = "/var/cache/zypp"
    environment: Mapping[str, str] = {**ENVIRONMENT, "ZYPP_LOCK_TIMEOUT": str(LOCK_WAIT_S)}
    query_environment: Mapping[str, str] = {**ENVIRONMENT, "ZYPP_READONLY_HACK": "1"}
    """The environment of queries. With it they take no lock and wait for none."""

    def __init__(self, machine: str = "", distribution: str = "") -> None:
        super().__init__(machine)
        rolling = (distribution or os_id()) in ROLLING
        update: Tuple[str, ...] = ("dup", "--no-allow-vendor-change") if rolling else CHOSEN
        full: Tuple[str, ...] = update if rolling else ("update", "--force-resolution")
        self._words: Dict[str, Tuple[str, ...]] = {
            "upgrade": update,
            "full-upgrade": full,
            "security-upgrade": ("patch", "--no-force-resolution", "--category", "security"),
            "install": ("install", "--no-force-resolution"),
            "remove": ("remove", "--force-resolution"),
        }
        self._patch_wants_reboot = False

    neutral: ClassVar[Tuple[str, ...]] = ("zypper", "--no-color", "--non-interactive", "--non-interactive-include-reboot-patches")
    """The beginning of every call. Its options override zypper.conf. Without the last one, zypper skips security patches that need a reboot."""
    offline: ClassVar[Tuple[str, ...]] = (*neutral, "--no-refresh")
    """The beginning of a call that does not refresh the metadata."""

    def run_query(self, *words: str) -> Output:
        """Run a query on the existing metadata."""
        return run_query([*self.offline, *words], self.query_environment, PLAN_LIMIT_S)

    def _query_text(self, *words: str, also: Tuple[int, ...] = ()) -> str:
        """The output of a query.

        Args:   also: further statuses that are no failure of this query.
        Raises: PackagesUnreadable: the query failed.
        """
        answer = self.run_query(*words)
        if answer.rc not in (*_NO_FAILURE, *also):
            raise PackagesUnreadable(f"zypper: exit status {answer.rc}: {(answer.err or answer.out).strip()[:300]}")
        return answer.out

    def words(self, verb: str, packages: Sequence[str]) -> Tuple[str, ...]:
        """zypper's arguments for a verb. Chosen packages never use a distribution upgrade."""
        words = CHOSEN if packages and verb in ("upgrade", "full-upgrade") else self._words[verb]
        return (*words, *packages)

    # -- queries -------------------------------------------------------------------------------

    def cannot(self, verb: str, packages: Sequence[str]) -> str:
        """zypper has no reliable autoremove."""
        del packages
        if verb == "autoremove":
            return (
                "zypper cannot tell what is left over: it counts as unneeded whatever it was not asked for by name, even the shell. "
                "Look at 'zypper packages --unneeded' and remove by name what you know"
            )
        return ""

    def repositories(self) -> List[Repository]:
        names = rpm_repositories.enabled([REPOSITORIES])
        return [rpm_repositories.repository(name, [os.path.join(RAW, name, "repodata")]) for name in names]

    def held(self, packages: Sequence[RpmPackage]) -> Set[str]:
        return rpm_backend.matching(zypper_parsers.parse_locks(read_file(LOCKS)), packages, self._machine)

    def lock(self) -> Optional[Lock]:
        """The holder of zypper's lock (zypper or YaST), or of rpm's lock."""
        return next((lock for lock in map(pid_file_holder, PID_FILES) if lock is not None), None) or super().lock()

    def named_like(self, names: Sequence[str]) -> Set[str]:
        found = self._query_text("--xmlout", "search", "--match-exact", "--type", "package", "--", *names, also=(NOT_FOUND,))
        try:
            return zypper_parsers.parse_found(found)
        except ValueError as exc:
            raise PackagesUnreadable(f"zypper: {exc}") from exc

    def simulate(self, verb: str, packages: Sequence[str]) -> Plan:
        repositories = self.need_lists() if verb != "remove" else self.repositories()
        rpm_repositories.require_advisories(verb, repositories)
        with ThreadPoolExecutor(2) as pool:  # queries take no lock, so two run in parallel
            plan = pool.submit(self.summary, verb, packages)
            listed = pool.submit(self.updates, "--all") if verb.endswith("upgrade") else None
            there = installed(self.environment)
            inventory = self.inventory_of(there)
            patched, restarts = self.needed(repositories, there) if verb != "remove" else Needed([], restart=False)
            summary = plan.result()
            updates = listed.result() if listed is not None else []
        steps, replaced = self._steps_of(verb, summary, inventory, updates, patched, repositories)
        kept = self._kept_back(verb, packages, summary, inventory, updates, patched)
        reboot, why = self._reboot(summary, steps, restarts=restarts)
        return Plan(tuple(steps), tuple(kept), summary.download_bytes, summary.installed_bytes, reboot, why, tuple(replaced))

    def summary(self, verb: str, packages: Sequence[str]) -> ZypperSummary:
        """zypper's own plan.

        Raises: PackageError; PackagesUnreadable.
        """
        words = self.words(verb, packages)
        head = words[: len(words) - len(packages)]
        answer = self.run_query("--xmlout", *head, "--dry-run", *(["--", *packages] if packages else []))
        try:
            summary = zypper_parsers.parse_summary(answer.out)
        except ValueError as exc:
            raise PackagesUnreadable(f"zypper's plan: {exc}") from exc
        if summary.missing:
            raise PackageError("job.unknown_package", f"zypper does not find {join_names(summary.missing)}")
        if summary.problem:
            raise PackageError("job.unmet_dependencies", f"zypper wants a decision: {summary.problem}")
        if answer.rc == LEFT_OUT and not summary.rows:
            raise PackageError("job.repository_stale", "zypper left a repository out: " + " · ".join(summary.errors)[:400])
        if answer.rc not in _NO_FAILURE:
            errors_text = " · ".join(summary.errors)[:800] or answer.err.strip()[:800] or f"exit status {answer.rc}"
            raise PackageError(_STATUSES.get(answer.rc, "job.package_manager"), errors_text)
        return summary

    def updates(self, *options: str) -> List[zypper_parsers.Update]:
        """Packages with a newer version; with `--all` also locked and uninstallable packages. Raises: PackagesUnreadable."""
        return _updates(self._query_text("--quiet", "--xmlout", "list-updates", *options))

    def needed(self, repositories: Sequence[Repository], there: Sequence[RpmPackage]) -> Needed:
        """The packages that the needed patches fix, and whether a patch needs a reboot.

        Args:   there: the installed packages.
        Raises: PackagesUnreadable.
        """
        advisories = Advisories(there)
        try:
            for one in repositories:
                if one.advisories:
                    advisories.read(os.path.join(RAW, one.name, "repodata"))
        except (OSError, ValueError):
            return self.needed_by_zypper()
        return advisories.needed()

    def needed_by_zypper(self) -> Needed:
        """As `needed`, from zypper's own output, which takes longer."""
        listed = self._query_text("--quiet", "--xmlout", "list-patches")
        try:
            patches = zypper_parsers.parse_patches(listed)
        except ValueError as exc:
            raise PackagesUnreadable(f"zypper: {exc}") from exc
        names = sorted({patch.name for patch in patches if patch.security and _PATCH_NAME.match(patch.name)})
        found: List[RpmPackage] = []
        for start in range(0, len(names), PATCH_BATCH):
            found += zypper_parsers.parse_patched(self._query_text("--quiet", "patch-info", "--", *names[start : start + PATCH_BATCH]))
        return Needed(found, any(patch.restart for patch in patches))

    def _steps_of(
        self,
        verb: str,
        summary: ZypperSummary,
        inventory: Inventory,
        updates: Sequence[zypper_parsers.Update],
        patched: Sequence[RpmPackage],
        repositories: Sequence[Repository],
    ) -> Tuple[List[Planned], List[str]]:
        with_advisories = {one.name for one in repositories if one.advisories}
        from_list = {(update.package.name, update.package.arch): update.repository for update in updates}
        only = repositories[0].name if len(repositories) == 1 else ""
        steps: List[Planned] = []
        replaced: List[str] = []
        for row in summary.rows:
            package = row.package
            label = self.label(package.name, package.arch)
            if row.act == REMOVE:
                steps.append(Planned(label, row.before, "", NO, ""))
                if verb in ("upgrade", "security-upgrade"):  # here zypper removes replaced packages only
                    replaced.append(label)
                continue
            if row.before == package.version:
                continue
            old = "" if row.act == INSTALL else row.before or (inventory[label].version if label in inventory else "")
            repository = row.repository or from_list.get((package.name, package.arch), "") or only
            mended = zypper_parsers.mended(patched, package.name, package.arch, old)
            steps.append(
                Planned(label, old, package.version, YES if mended else NO if repository in with_advisories else UNKNOWN, repository)
            )
        return steps, replaced

    def _kept_back(
        self,
        verb: str,
        packages: Sequence[str],
        summary: ZypperSummary,
        inventory: Inventory,
        updates: Sequence[zypper_parsers.Update],
        patched: Sequence[RpmPackage],
    ) -> List[HeldPackage]:
        reached = {(row.package.name, row.package.arch) for row in summary.rows if row.act != REMOVE}
        erasing: Optional[Set[Tuple[str, str]]] = None
        kept = []
        for update in updates:
            package = update.package
            label = self.label(package.name, package.arch)
            if (package.name, package.arch) in reached or label not in inventory or (packages and label not in packages):
                continue
            if verb == "security-upgrade" and not zypper_parsers.mended(patched, package.name, package.arch, update.before):
                continue
            reason = "held" if inventory[label].held else "unresolvable"
            if reason != "held" and verb == "upgrade" and self.words("upgrade", packages) != self.words("full-upgrade", packages):
                if erasing is None:
                    erasing = self._reached_by_full()
                reason = "needs_removal" if (package.name, package.arch) in erasing else reason
            kept.append(HeldPackage(label, package.version, reason))
        return kept

    def _reached_by_full(self) -> Set[Tuple[str, str]]:
        """Name and architecture of the packages that a full upgrade would change."""
        try:
            return {(row.package.name, row.package.arch) for row in self.summary("full-upgrade", ()).rows if row.act != REMOVE}
        except PackageError:
            return set()

    def _reboot(self, summary: ZypperSummary, steps: Sequence[Planned], *, restarts: bool) -> Tuple[str, str]:
        expected, why = self.reboot_expected(steps)
        if summary.reboot and expected == NO:
            return YES, "by zypper's own list"
        if restarts and expected == NO and any(step.security == YES for step in steps):
            return UNKNOWN, "a patch asks for a reboot; it may be among these"
        return expected, why

    def available_updates(self) -> Updates:
        repositories = self.need_lists()
        newer = self.updates()
        security = -1
        patched = self.needed(repositories, installed(self.environment)).cures if any(one.advisories for one in repositories) else None
        self.newer = [
            Planned(
                rpm_parsers.label(one.package.name, one.package.arch, self._machine),
                *(one.before, one.package.version, _security(patched, one), one.repository),
            )
            for one in newer
        ]
        if patched is not None:
            security = sum(step.security == YES for step in self.newer)
        return Updates(len(newer), security, int(rpm_repositories.refreshed_at(repositories) * 1000))

    # -- changes ---------------------------------------------------------------------------------

    def argv_without_plan(self, verb: str, packages: Sequence[str]) -> Tuple[str, ...]:
        if verb == "refresh":
            return (*self.neutral, "refresh")
        if verb == "clean":
            return (*self.offline, "clean")
        if verb == "repair":
            return (*self.offline, "verify", "--no-force-resolution", "--dry-run")
        return (*self.offline, "addlock" if verb == "hold" else "removelock", "--", *packages)

    def argv_with_plan(self, verb: str, packages: Sequence[str], plan: Plan) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
        del plan
        words = self.words(verb, packages)
        head, names = words[: len(words) - len(packages)], (("--", *packages) if packages else ())
        # licenses of installed packages are already accepted; a new package that requires acceptance fails here
        sure: Tuple[str, ...] = ("--auto-agree-with-licenses",) if verb.endswith("upgrade") else ()
        install: Tuple[str, ...] = () if verb == "remove" else ("--download", "in-advance")  # zypp.conf may set download only
        return (*self.offline, *head, *sure, "--download-only", *names), (*self.offline, *head, *install, *sure, *names)

    def repeat_steps(self, verb: str, packages: Sequence[str]) -> Plan:
        inventory = self.inventory_of(installed(self.environment))
        return Plan(tuple(self._steps_of(verb, self.summary(verb, packages), inventory, (), (), ())[0]))

    def failure(self, verb: str, ended: TerminalEnded, reader: OutputReader) -> Optional[Failure]:
        assert isinstance(reader, ZypperReader)
        if verb == "refresh":
            repositories = self.repositories()
            if ended.rc == 7:
                return Failure("job.lock_busy", "somebody else has zypper's lock")
            if reader.stale or rpm_repositories.missing(repositories) or ended.rc in (4, LEFT_OUT):
                return self.stale(repositories, reader.stale)
        if reader.scripts or ended.rc == SCRIPT_FAILED:
            return Failure("job.script_failed", reader.scripts_text() if reader.scripts else "a script of a package failed")
        if ended.rc == REBOOT_DUE and not reader.downloads:
            self._patch_wants_reboot = True
        if ended.rc == RENEWED:
            reader.notes.append(sentence("report.zypper_updated_itself"))
        if ended.rc == LEFT_OUT:
            reader.notes.append(sentence("report.zypper_left_out"))
        if ended.rc is None or ended.rc in _NO_FAILURE:
            unmet = verb == "repair" and reader.unmet
            return Failure("job.packages_broken", "dependencies of installed packages are not met: see the log") if unmet else None
        code = self.code_in("\n".join(reader.troubles), _STATUSES.get(ended.rc, "job.package_manager"))
        return Failure(code, f"zypper ended with status {ended.rc}")

    def reboot_required(self) -> Reboot:
        """Uses needs-rebooting (102 = yes, 0 = no). That command ignores firmware, but a patch with firmware requests the reboot itself."""
        if self._patch_wants_reboot:
            return Reboot(YES, sentence("due.patch"))
        answer = self.run_query("needs-rebooting")
        if answer.rc == REBOOT_DUE:
            return Reboot(YES, sentence("due.core_updated"))
        if answer.rc == 0:
            return Reboot(NO, sentence("due.not_core"))
        return Reboot(UNKNOWN, sentence("due.unknown_answer", program=f"zypper needs-rebooting (status {answer.rc})"))


def _updates(listed: str) -> List[zypper_parsers.Update]:
    try:
        return zypper_parsers.parse_updates(listed)
    except ValueError as exc:
        raise PackagesUnreadable(f"zypper: {exc}") from exc


def _security(patched: Optional[Sequence[RpmPackage]], update: zypper_parsers.Update) -> str:
    if patched is None:
        return UNKNOWN
    return YES if zypper_parsers.mended(patched, update.package.name, update.package.arch, update.before) else NO
