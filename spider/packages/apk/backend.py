"""The backend for apk: Alpine Linux and its derivatives.

It is tested with recordings of apk-tools 3.0.6 in a file tree, not on a booted host. Differences of 2.14 follow its documentation.
Untested functions are not offered: chosen upgrades with apk 2, interruption after the commit began, edits of /etc/apk/world.
"""

import glob
import os
import re
import sys
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from spider.files import changed_at, read_file
from spider.packages.apk import parsers as apk_parsers
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
from spider.packages.interfaces import ENVIRONMENT, Output, PackagesUnreadable, run_query
from spider.packages.locks import flock_holder, record_lock_holder
from spider.packages.plan import NO, UNKNOWN, YES, HeldPackage, InstalledPackage, Inventory, Plan, Planned
from spider.packages.preconditions import join_names
from spider.root.terminal import StopRule, TerminalEnded
from spider.wire.report_messages import Updates
from spider.wire.sentences import sentence

DATABASES = ("/lib/apk/db", "/usr/lib/apk/db")
WORLD = "/etc/apk/world"
INDEXES = ("/var/cache/apk/APKINDEX.*", "/etc/apk/cache/APKINDEX.*")
REPOSITORIES = ("/etc/apk/repositories", "/etc/apk/repositories.d/*.list", "/lib/apk/repositories.d/*.list")
LOCK_LIMIT_S = 300
OLD_INDEX_MIN = 10 * 365 * 24 * 60
"""The maximum age of an index, in minutes. By default apk refreshes an index after four hours, so plan and run could differ."""
REFRESH_LIMITS_S = {"refresh": 900.0}
COMMIT_LIMITS_S = {"plan": 600.0, "waiting_lock": LOCK_LIMIT_S + 60.0, "download": 4 * 3600.0}
CONFIGS = ("/etc/apk/config", "/lib/apk/config")
"""Settings files of apk 3, which reads only the first that exists."""
APK_ENVIRONMENT: Dict[str, str] = {**ENVIRONMENT, "APK_CONFIG": os.devnull}
"""Makes apk 3 ignore its settings files. The valid settings of the administrator are arguments of every call instead."""

_TOO_LATE = StopRule("too_late", sentence("stop.apk_at_work"))
_NEEDED = frozenset({"apk-tools", "busybox", "musl", "alpine-base", "alpine-baselayout", "openrc", "python3"})
_CODES = (
    ("nable to lock database", "job.lock_busy"),
    ("stale/unavailable repositories", "job.repository_stale"),
    ("unable to select packages", "job.unmet_dependencies"),
    ("No space left on device", "job.no_space"),
    ("exited with error", "job.script_failed"),
    ("killed by signal", "job.script_failed"),
    ("onnection refused", "job.fetch_failed"),
    ("UNTRUSTED signature", "job.fetch_failed"),
    ("BAD signature", "job.fetch_failed"),
    ("etwork", "job.fetch_failed"),
    ("emporary error", "job.fetch_failed"),
)
_CANNOT = {
    "security-upgrade": "Alpine's repositories do not tell which updates are for security. Use upgrade.",
    "autoremove": "apk removes what nothing needs any more together with what needed it. There is nothing to remove besides.",
    "hold": "apk binds a package to a version in /etc/apk/world, the administrator's own file. Write 'name=version' there.",
    "unhold": "apk binds a package to a version in /etc/apk/world, the administrator's own file. Take the version out there.",
}
_CHOSEN = "apk 2 can upgrade chosen packages only by writing them to /etc/apk/world. Upgrade everything."


class ApkReader(OutputReader):
    """Parses the output of apk."""

    TROUBLE = re.compile(
        r"^(?:ERROR|WARNING): |^  \S.* \(no such package\)|^  .*(?:required by|conflicts|breaks): |^\d+ unavailable, \d+ stale"
    )

    def line(self, text: str) -> None:
        text = apk_parsers.without_bar(text)
        step = apk_parsers.parse_step(text)
        if step is not None:
            percent = min(99, int(100 * (step.number - 0.5) / step.of))
            self.console.progress("commit", percent, step.package, f"{step.verb.lower()} {step.package}")
        elif text.startswith("Waiting for repository lock"):
            self.waits(Lock(_database() + "/lock"))
        elif text.startswith("Executing ") and ".trigger" in text:
            self.console.progress("triggers", -1, "", text)
        super().line(text)

    def status(self, text: str) -> None:
        percent = apk_parsers.parse_progress(text)
        if percent is not None:
            self.console.progress("commit", percent)


def _database() -> str:
    """The folder of the package database: below /lib, or below /usr/lib in newer releases."""
    return next((folder for folder in DATABASES if os.path.exists(folder + "/installed")), DATABASES[0])


def _read(path: str) -> str:
    """Raises: PackagesUnreadable."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as exc:
        raise PackagesUnreadable(f"{path}: {exc.strerror}") from exc


def apk(*words: str) -> Tuple[str, ...]:
    """A call of apk with the administrator's own settings."""
    settings = next((path for path in CONFIGS if os.path.exists(path)), "")
    return ("apk", *apk_parsers.own_options(read_file(settings)), *words)


def enabled_repositories(options: Sequence[str], patterns: Sequence[str] = REPOSITORIES) -> List[str]:
    """The enabled repositories by apk's settings and repository files.

    Args:   options: options of a call of apk. patterns: paths of files that apk reads by default.
    Raises: PackagesUnreadable.
    """
    named = [value for option, value in zip(options, options[1:]) if option == "--repository"]
    files = [value for option, value in zip(options, options[1:]) if option == "--repositories-file"]
    for path in files or [path for pattern in patterns for path in glob.glob(pattern)]:
        named += apk_parsers.parse_repositories(_read(path))
    return named


def _explain(answer: Output) -> str:
    lines = [line.strip() for line in answer.err.splitlines() if line.strip()]
    return " · ".join(line[:300] for line in lines[:4]) or f"exit status {answer.rc}"


class Apk(Backend):
    """The backend for apk."""

    name = "apk"
    environment: Mapping[str, str] = APK_ENVIRONMENT
    cache_dir = "/etc/apk/cache"
    codes = _CODES
    kernels = re.compile(r"linux-(?:lts|virt|edge|rpi\d*|asahi|stable)\Z")
    reader_type = ApkReader
    commit_stop = _TOO_LATE

    def __init__(self) -> None:
        self._major = 0

    def _version(self) -> int:
        if not self._major:
            self._major = apk_parsers.major_version(run_query(["apk", "--version"], APK_ENVIRONMENT).out)
        return self._major

    def cannot(self, verb: str, packages: Sequence[str]) -> str:
        if verb in ("upgrade", "full-upgrade") and packages and self._version() < 3:
            return _CHOSEN
        return _CANNOT.get(verb, "")

    def _installed(self) -> Dict[str, apk_parsers.ApkPackage]:
        path = _database() + "/installed"
        try:
            return apk_parsers.parse_database(_read(path))
        except ValueError as exc:
            raise PackagesUnreadable(f"{path}: {exc}") from exc

    def inventory(self) -> Inventory:
        """A package with `=` in world is held."""
        _, operators = apk_parsers.parse_world(_read(WORLD))
        return {name: InstalledPackage(it.version, it.broken, operators.get(name) == "=") for name, it in self._installed().items()}

    def broken(self, inventory: Inventory) -> str:
        """Names packages with a failed script or missing files. Each later run of apk counts them as errors again."""
        names = [name for name, package in sorted(inventory.items()) if package.broken]
        return f"apk did not finish {join_names(names)}" if names else ""

    def lock(self) -> Optional[Lock]:
        path = _database() + "/lock"
        return flock_holder(path) or record_lock_holder(path)

    def lists_refreshed_at(self) -> float:
        return max((changed_at(path) for pattern in INDEXES for path in glob.glob(pattern)), default=0.0)

    def lists(self) -> List[PackageList]:
        """All lists have the same time, since apk names an index file by a digest of its URL."""
        at, missing = self.lists_refreshed_at(), set(self.missing())
        return [PackageList(name, 0.0 if name in missing else at) for name in enabled_repositories(apk())]

    def missing(self) -> List[str]:
        """The repositories about which apk warns when it lists packages."""
        need_repositories(enabled_repositories(apk()))
        return apk_parsers.parse_unopened(
            run_query(apk("--cache-max-age", str(OLD_INDEX_MIN), "list", "--upgradable"), APK_ENVIRONMENT).err
        )

    def unknown(self, packages: Sequence[str]) -> List[str]:
        """Accepts only names of real packages: `apk search` prints `name-version` of the matches."""
        answer = run_query(apk("search", "--exact", *packages), APK_ENVIRONMENT)
        known = {apk_parsers.split_name(line.strip())[0] for line in answer.out.splitlines()}
        return [name for name in packages if name not in known]

    def protected(self, packages: Sequence[str]) -> List[str]:
        """Packages that the system and Spider need, and all kernels."""
        needed = set(_NEEDED)
        answer = run_query(apk("info", "--quiet", "--who-owns", os.path.realpath(sys.executable)), APK_ENVIRONMENT)
        needed.update(apk_parsers.split_name(word)[0] for word in answer.out.split())  # apk prints `name-version`, or a sentence with it
        return [name for name in packages if name in needed or self.kernels.match(name)]

    @staticmethod
    def _words(verb: str, packages: Sequence[str]) -> List[str]:
        if verb == "install":
            return ["add", *packages]
        if verb == "remove":
            return ["del", *packages]
        return ["upgrade", "--available"] if verb == "full-upgrade" else ["upgrade", *packages]

    def simulate(self, verb: str, packages: Sequence[str]) -> Plan:
        steps = self._steps(verb, packages)
        return self._plan(steps, with_kept_back=verb in ("upgrade", "full-upgrade"))

    def _steps(self, verb: str, packages: Sequence[str]) -> List[apk_parsers.ApkStep]:
        words = apk("--cache-max-age", str(OLD_INDEX_MIN), "--simulate", *self._words(verb, packages))
        answer = run_query(words, APK_ENVIRONMENT, limit_s=300.0)
        if answer.rc:
            raise PackageError(self.code_in(answer.err), _explain(answer))
        try:
            steps = apk_parsers.parse_steps(answer.out)
        except ValueError as exc:
            raise PackagesUnreadable(f"apk's plan: {exc}") from exc
        stays = apk_parsers.not_removed(steps, packages) if verb == "remove" else []
        if stays:  # apk only removes them from world, reports so, and returns 0
            raise PackageError("job.unmet_dependencies", f"others need {', '.join(stays[:20])}: {' '.join(answer.out.split())[:300]}")
        return steps

    def _plan(self, found: Sequence[apk_parsers.ApkStep], *, with_kept_back: bool) -> Plan:
        steps = tuple(Planned(it.package, it.before, it.after, UNKNOWN if it.after else NO) for it in found if it.before != it.after)
        kernels = [step.package for step in steps if step.after and self.kernels.match(step.package)]
        reboot = (YES, f"the kernel changes: {', '.join(kernels)}") if kernels else (UNKNOWN, "") if steps else (NO, "")
        return Plan(steps, self._kept_back(steps) if with_kept_back else (), -1, None, *reboot)

    def _kept_back(self, steps: Sequence[Planned]) -> Tuple[HeldPackage, ...]:
        answer = run_query(apk("list", "--upgradable"), APK_ENVIRONMENT)
        _, operators = apk_parsers.parse_world(_read(WORLD))
        changing = {step.package for step in steps}
        left = {name: version for name, version in apk_parsers.parse_upgradable(answer.out).items() if name not in changing}
        return tuple(
            HeldPackage(name, version, "pinned" if name in operators else "unresolvable") for name, version in sorted(left.items())
        )

    def work(self, verb: str, packages: Sequence[str], plan: Plan) -> Sequence[Action]:  # noqa: ARG002  # part of the interface
        if verb == "refresh":
            return [Command(apk("--wait", str(LOCK_LIMIT_S), "update"), "refresh", REFRESH_LIMITS_S)]
        if verb == "clean":
            return [Command(apk("cache", "clean"), stoppable=False)]
        options = ["--wait", str(LOCK_LIMIT_S), "--cache-max-age", str(OLD_INDEX_MIN), "--progress-fd", "{fd}"]
        if self._version() >= 3:
            options.append("--no-interactive")
        commit = Command(apk(*options, *(["fix"] if verb == "repair" else self._words(verb, packages))), "commit", COMMIT_LIMITS_S)
        replan = Replan(lambda: self._plan(self._steps(verb, packages), with_kept_back=False))
        return [commit] if verb == "repair" else [replan, commit]

    def failure(self, verb: str, ended: TerminalEnded, reader: OutputReader) -> Optional[Failure]:
        """apk's status is the number of errors, at most 99. A missing local repository causes only a warning."""
        printed = "\n".join(reader.troubles)
        if verb == "refresh" and (apk_parsers.unreached(printed) or "WARNING: " in printed):
            return Failure("job.repository_stale", "repositories that could not be refreshed keep their old lists")
        if not ended.rc:
            return None
        return Failure(self.code_in(printed), f"apk ended with status {ended.rc}")

    def available_updates(self) -> Updates:
        self.newer = self._plan(self._steps("upgrade", ()), with_kept_back=False).upgrades
        return Updates(len(self.newer), -1, int(self.lists_refreshed_at() * 1000))
