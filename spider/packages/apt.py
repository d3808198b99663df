"""apt-get and dpkg: Debian, Ubuntu and what descends from them.

What a run came to is told by its exit status, by the difference of the inventories before and after, and by the error
lines, all three: apt-get answers 0 when a repository is dead or when it was interrupted, and 100 when the wanted package
was installed beside one that was broken before.
"""

import fcntl
import glob
import os
import signal
import struct
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from spider.jobfiles import JOBS_DIR, REFRESHED
from spider.packages import apt_text
from spider.packages.apt_text import Inventory, Lock
from spider.packages.base import ENVIRONMENT, Console, Outcome, PackagesUnreadable, Plan, ask
from spider.terminal import Ended
from spider.wire.frames import Updates

DPKG_STATUS = "/var/lib/dpkg/status"
DPKG_JOURNAL = "/var/lib/dpkg/updates"
DPKG_LOCK = "/var/lib/dpkg/lock-frontend"
LISTS = "/var/lib/apt/lists"
SUCCESS_STAMP = "/var/lib/apt/periodic/update-success-stamp"

LOCK_LIMIT_S = 300
LISTS_LOCK_RHYTHM_S = 5.0
OLD_LISTS_S = 7 * 86400
REFRESH_LIMITS_S = {"refresh": 900.0}
COMMIT_LIMITS_S = {"plan": 600.0, "waiting_lock": LOCK_LIMIT_S + 60.0, "download": 4 * 3600.0}
"""`commit` and `triggers` have no limit: they are never interrupted."""

APT_ENVIRONMENT: Dict[str, str] = {
    **ENVIRONMENT,
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "UCF_FORCE_CONFFOLD": "1",
    "APT_LISTCHANGES_FRONTEND": "none",
    "APT_LISTBUGS_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
}
COMMIT_OPTIONS = (
    "-o", "Dpkg::Options::=--force-confdef",
    "-o", "Dpkg::Options::=--force-confold",
    "-o", f"DPkg::Lock::Timeout={LOCK_LIMIT_S}",
    "-o", "Dpkg::Progress-Fancy=0",
    "-o", "APT::Color=0",
    "-o", "APT::Status-Fd={fd}",
)  # fmt: skip
_INVENTORY = ("dpkg-query", "-W", "-f=${db:Status-Abbrev}\\t${binary:Package}\\t${Version}\\t${Architecture}\\n")
_SIMULATE = ("apt-get", "-s", "-o", "Debug::NoLocking=1")


class _Trouble(Exception):
    """The job ends here; nothing was changed."""

    def __init__(self, code: str, text: str, exit_code: Optional[int] = None) -> None:
        super().__init__(text)
        self.outcome = Outcome("failed", exit_code, 0, (), code, text)


class Errors:
    """The lines of a run in which apt speaks of trouble, and the lock it waits for."""

    MOST = 200

    def __init__(self) -> None:
        self.lines: List[str] = []
        self.lock: Optional[Lock] = None

    def see(self, line: str) -> Optional[Lock]:
        """Take in a line; a lock when it is about one."""
        lock = apt_text.parse_lock(line)
        if lock is not None:
            self.lock = lock
        if apt_text.is_trouble(line) and len(self.lines) < self.MOST:
            self.lines.append(line)
        return lock

    @property
    def stale(self) -> List[str]:
        """Lines about repositories that could not be refreshed."""
        return [line for line in self.lines if apt_text.is_stale_repository(line)]

    def say(self, word: str) -> bool:
        return any(word in line for line in self.lines)


class Asked(NamedTuple):
    """The apt-get call that belongs to a verb."""

    words: Tuple[str, ...]
    removes: bool
    """Whether it may remove packages."""


def _asked(verb: str, packages: Sequence[str]) -> Asked:
    if verb == "full-upgrade":
        return Asked(("dist-upgrade",), removes=True)
    if packages:
        return Asked(("--only-upgrade", "install", *packages), removes=False)
    return Asked(("--with-new-pkgs", "upgrade"), removes=False)


def read_inventory() -> Inventory:
    """What dpkg has on this host.

    Raises: PackagesUnreadable.
    """
    answer = ask(_INVENTORY, APT_ENVIRONMENT)
    if answer.rc:
        raise PackagesUnreadable(f"dpkg-query: exit status {answer.rc}: {answer.err.strip()[:300]}")
    return apt_text.parse_inventory(answer.out)


def simulate(words: Sequence[str]) -> Tuple[Plan, str]:
    """What apt-get would do, and what it says about it; needs no privileges and no lock.

    Raises: PackagesUnreadable: apt-get refuses, or its plan is not understood.
    """
    answer = ask([*_SIMULATE, *words], APT_ENVIRONMENT, limit_s=300.0)
    if answer.rc:
        told = apt_text.first_errors(answer.err.splitlines()) or f"exit status {answer.rc}"
        raise PackagesUnreadable(told)
    try:
        return apt_text.parse_plan(answer.out), answer.out
    except ValueError as exc:
        raise PackagesUnreadable(f"apt-get's plan: {exc}") from exc


def lists_refreshed_at(jobs_dir: str = JOBS_DIR) -> float:
    """When the package lists were last refreshed, Unix seconds; 0 = never or unknown.

    The newest of: our own mark, made when a refresh reached every repository; apt's `update-success-stamp`, where something
    writes it; the folder of the lists, into which apt renames what it fetched. Tried on apt 2.6: a run that reached nobody
    leaves that folder alone, but touches `lists/partial` and rebuilds `pkgcache.bin`; the lists themselves carry the
    servers' times. So those three are not looked at.
    """
    newest = 0.0
    if not glob.glob(os.path.join(LISTS, "*Packages*")):
        return newest
    for path in (LISTS, SUCCESS_STAMP, os.path.join(jobs_dir, REFRESHED)):
        try:
            newest = max(newest, os.stat(path).st_mtime)
        except OSError:  # noqa: PERF203  # not there: the others tell
            continue
    return newest


def available_updates(jobs_dir: str = JOBS_DIR) -> Updates:
    """Count what `full-upgrade` would upgrade, as any user; blocks while apt-get works it out.

    Raises: PackagesUnreadable: apt-get could not say, which is not 'no updates'.
    """
    plan, _ = simulate(["dist-upgrade"])
    return Updates(len(plan.upgrades), len(plan.security), int(lists_refreshed_at(jobs_dir) * 1000))


def judge_refresh(ended: Ended, errors: Errors) -> Outcome:
    """What a refresh came to: one repository that could not be reached makes it a failure, whatever apt-get's status."""
    if ended.overran:
        return Outcome("failed", ended.rc, ended.signal, (), "job.timed_out", "the repositories did not answer in time")
    if errors.stale:
        text = "repositories that could not be refreshed keep their old lists: " + apt_text.first_errors(errors.stale)
        return Outcome("failed", ended.rc, ended.signal, (), "job.repository_stale", text)
    if ended.rc:
        return Outcome("failed", ended.rc, 0, (), "job.package_manager", apt_text.first_errors(errors.lines) or f"exit status {ended.rc}")
    if ended.rc is None:
        return Outcome("failed", None, ended.signal, (), "job.signal", f"apt-get was ended by signal {ended.signal}")
    return Outcome("succeeded", 0, 0, ())


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
)


def judge_upgrade(ended: Ended, errors: Errors, plan: Plan, before: Inventory, after: Inventory) -> Outcome:
    """What an upgrade came to, from all that is known of it."""
    changes = apt_text.compare_inventories(before, after)
    wanted = [step for step in plan.steps if step.before != step.after]
    missed = [step.package for step in wanted if (after[step.package].version if step.package in after else "") != step.after]
    broken = [name for name, package in after.items() if package.broken and not (name in before and before[name].broken)]
    said = apt_text.first_errors(errors.lines)
    done = f"{len(wanted) - len(missed)} of {len(wanted)} packages were changed"
    code, text = "", ""
    if ended.overran:
        code, text = "job.timed_out", f"the phase {ended.overran} took too long and was interrupted; {done}"
    elif broken:
        code, text = "job.packages_broken", f"dpkg did not get to the end with {', '.join(broken[:20])}; {done}"
    elif ended.rc is None:
        code, text = "job.signal", f"apt-get was ended by signal {ended.signal}; {done}"
    elif ended.rc:
        code = next((code for word, code in _CODES if errors.say(word)), "job.package_manager")
        text = f"apt-get ended with status {ended.rc}; {done}"
    elif missed:
        code, text = "job.incomplete", f"{done}; not changed: {', '.join(missed[:20])}"
    if not code:
        return Outcome("succeeded", 0, 0, changes)
    return Outcome("failed", ended.rc, ended.signal, changes, code, f"{text}. {said}" if said else text)


def lock_holder(path: str) -> Optional[Lock]:
    """Who holds a lock of apt's or dpkg's now; needs root. Newer releases of apt wait for it in silence."""
    if struct.calcsize("P") != 8:
        return None  # another layout; apt's own words must do
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        kind, _, _, _, pid = struct.unpack("hhqqi4x", fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)))
    except OSError:
        return None
    finally:
        os.close(fd)
    if kind == fcntl.F_UNLCK:
        return None
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            name = file.read().strip()
    except OSError:
        return Lock(path, "", "")
    return Lock(path, str(pid), name)


def _refuse_broken(inventory: Inventory, console: Console) -> None:
    """dpkg must be in order before anything is asked of it: one broken package spoils every later run.

    Raises: _Trouble.
    """
    broken = [name for name, package in inventory.items() if package.broken]
    try:
        journal = any(name.isdigit() for name in os.listdir(DPKG_JOURNAL))
    except OSError:
        journal = False
    if broken or journal:
        audit = ask(["dpkg", "--audit"], APT_ENVIRONMENT).out.strip()
        console.say(audit or "dpkg was interrupted")
        named = f" ({', '.join(broken[:20])})" if broken else ""
        raise _Trouble(
            "job.packages_broken",
            f"dpkg did not get to the end with an earlier run{named}: repair it with 'dpkg --configure -a' and 'apt-get -f install' first",
        )


def _check_names(packages: Sequence[str], inventory: Inventory) -> None:
    """Only names that dpkg itself has, exactly: so no option, pattern, version, suite, file, or `name-` can come through.

    Raises: _Trouble.
    """
    unknown = [name for name in packages if name not in inventory]  # the host's own architecture is never part of a name
    if unknown:
        raise _Trouble("job.unknown_package", f"not installed on this node: {', '.join(name[:100] for name in unknown[:20])}")
    held = [name for name in packages if inventory[name].held]
    if held:
        raise _Trouble("job.package_held", f"on hold on this node: {', '.join(held[:20])}")


def _refresh(_verb: str, _packages: Sequence[str], console: Console) -> Outcome:
    waited_until = time.monotonic() + LOCK_LIMIT_S
    while True:
        errors = Errors()

        def each_status(line: str) -> None:
            status = apt_text.parse_status(line)
            if status is not None:
                console.progress("refresh", status.percent, "", status.text)

        console.progress("refresh")
        ended = console.run(
            ["apt-get", "-q", "-o", "APT::Color=0", "-o", "APT::Status-Fd={fd}", "update"],
            APT_ENVIRONMENT,
            errors.see,
            each_status,
            REFRESH_LIMITS_S,
            (signal.SIGINT, signal.SIGTERM),
        )
        locked = ended.rc == 100 and errors.lock is not None and errors.lock.file.startswith(LISTS)
        if not locked or errors.lock is None:
            break
        if time.monotonic() >= waited_until:
            return Outcome("failed", ended.rc, 0, (), "job.lock_busy", f"gave up {errors.lock}")
        console.progress("waiting_lock", text=str(errors.lock))  # DPkg::Lock::Timeout does not cover this lock
        console.wait(LISTS_LOCK_RHYTHM_S)
    outcome = judge_refresh(ended, errors)
    console.progress("check")
    if outcome.state == "succeeded":
        _mark_refreshed()
    return outcome


def _mark_refreshed(jobs_dir: str = JOBS_DIR) -> None:
    path = os.path.join(jobs_dir, REFRESHED)
    with open(path, "ab"):
        os.utime(path)


def _age(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return "a minute"


def _show(console: Console, title: str, plan: Plan, without: Plan) -> None:
    known = {(step.package, step.after) for step in without.steps}
    steps = [step for step in plan.steps if (step.package, step.after) not in known]
    if not steps:
        return
    width = min(48, max(len(step.package) for step in steps))
    console.say(title)
    for step in steps:
        what = f"{step.before} -> {step.after}" if step.before and step.after else f"new {step.after}" if step.after else "REMOVED"
        console.say(f"  {step.package:{width}}  {what}{'  (security)' if step.security else ''}")
    console.say("")


def _check(_verb: str, _packages: Sequence[str], console: Console) -> Outcome:
    console.progress("plan")
    refreshed_at = lists_refreshed_at()
    if not refreshed_at:
        raise _Trouble("job.lists_missing", "this node has no package lists yet, so nothing is known of updates: refresh them first")
    inventory = read_inventory()
    safe, _ = simulate(["--with-new-pkgs", "upgrade"])
    full, _ = simulate(["dist-upgrade"])
    age_s = max(0.0, time.time() - refreshed_at)
    console.say(f"The package lists were refreshed {_age(age_s)} ago.{' Refresh them: they are old.' if age_s > OLD_LISTS_S else ''}")
    counts = f"{len(full.upgrades)} packages can be upgraded, {len(full.security)} of them for security."
    console.say(counts)
    console.say("")
    _show(console, "upgrade would do:", safe, Plan(()))
    _show(console, "full-upgrade would do besides:", full, safe)
    held = [name for name, package in inventory.items() if package.held]
    if held:
        console.say("On hold: " + ", ".join(held))
    broken = [name for name, package in inventory.items() if package.broken]
    if broken:
        console.say("dpkg did not get to the end with: " + ", ".join(broken) + ". Nothing can be upgraded before that is repaired.")
    console.progress("check", 100, "", counts)
    return Outcome("succeeded", 0, 0, ())


def _upgrade(verb: str, packages: Sequence[str], console: Console) -> Outcome:
    console.progress("plan")
    before = read_inventory()
    _refuse_broken(before, console)
    _check_names(packages, before)
    asked = _asked(verb, packages)
    plan, told = simulate(asked.words)
    if plan.removals and not asked.removes:
        raise _Trouble("job.would_remove", f"this would remove {', '.join(plan.removals[:20])}: only full-upgrade may")
    if not plan.steps:
        console.say(told.strip())
        return Outcome("succeeded", 0, 0, ())
    errors = Errors()
    holder = lock_holder(DPKG_LOCK)
    if holder is not None:
        console.progress("waiting_lock", text=str(holder))

    def each_line(line: str) -> None:
        lock = errors.see(line)
        if lock is not None:
            console.progress("waiting_lock", text=str(lock))

    def each_status(line: str) -> None:
        status = apt_text.parse_status(line)
        if status is not None:
            console.progress(status.phase, status.percent, status.package, status.text)

    ended = console.run(
        ["apt-get", "-y", "-q", *COMMIT_OPTIONS, *([] if asked.removes else ["--no-remove"]), *asked.words],
        APT_ENVIRONMENT,
        each_line,
        each_status,
        COMMIT_LIMITS_S,
    )
    console.progress("check")
    outcome = judge_upgrade(ended, errors, plan, before, read_inventory())
    if outcome.state == "succeeded":
        console.progress("check", 100)
    return outcome


_VERBS: Dict[str, Callable[[str, Sequence[str], Console], Outcome]] = {
    "refresh": _refresh,
    "check": _check,
    "upgrade": _upgrade,
    "full-upgrade": _upgrade,
}


class Apt:
    """apt-get as a `PackageManager`."""

    name = "apt"

    def perform(self, verb: str, packages: Sequence[str], console: Console) -> Outcome:
        """Carry out one verb."""
        try:
            return _VERBS[verb](verb, packages, console)
        except _Trouble as trouble:
            console.say(f"{trouble}")
            return trouble.outcome
        except PackagesUnreadable as exc:
            console.say(str(exc))
            return Outcome("failed", None, 0, (), "job.package_manager", str(exc))

    def available_updates(self) -> Updates:
        """Count what could be upgraded."""
        return available_updates()
