"""Makes the exact plan of an apt-get call: its steps, the packages that are kept back and why, and the sizes."""

import contextlib
import re
import subprocess
from typing import Dict, Iterable, List, Mapping, NamedTuple, Sequence, Set, Tuple

from spider.packages.apt import parsers as apt_parsers
from spider.packages.apt.calls import apt_cache, apt_get
from spider.packages.backend import PackageError
from spider.packages.interfaces import Output, PackagesUnreadable, query_output
from spider.packages.plan import NO, YES, HeldPackage, Inventory, Plan, Planned

OPTIONS_NO_LOCK = ("-o", "Debug::NoLocking=1")
SIMULATION_LIMIT_S = 300.0
MOST_NAMES = 200
"""Maximum number of packages in one apt-cache call."""
_REBOOT = re.compile(
    r"(?:linux-image|linux-generic|linux-modules|linux-virtual|linux-raspi|proxmox-kernel|pve-kernel|raspberrypi-kernel)(?:-.*)?\Z"
    r"|(?:.*-)?kernel\Z|libc6\Z|systemd\Z|dbus(?:-daemon|-broker)?\Z|(?:intel|amd64)-microcode\Z"
)
"""Packages that need a reboot after an upgrade."""


class _Simulation(NamedTuple):
    """The steps and the report of one simulation."""

    steps: Tuple[Planned, ...]
    report: apt_parsers.AptReport


def words(verb: str, packages: Sequence[str]) -> Tuple[str, ...]:
    """The arguments of apt-get to simulate a verb."""
    if verb == "full-upgrade":
        return ("dist-upgrade",)
    if verb == "autoremove":
        return ("autoremove",)
    if verb in ("install", "remove"):
        return (verb, "--", *packages)
    if packages:
        return ("--only-upgrade", "install", "--", *packages)
    return ("--with-new-pkgs", "upgrade")


def run_words(verb: str, packages: Sequence[str], plan: Plan) -> Tuple[str, ...]:
    """The arguments of apt-get to run a verb. Packages are named with their planned versions, so that no other version is installed."""
    versions = {step.package: step.after for step in plan.steps if step.after}
    if verb == "security-upgrade":
        packages = [step.package for step in plan.upgrades if step.security == YES]
    if verb == "install" or (verb in ("upgrade", "security-upgrade") and packages):
        packages = [f"{name}={versions[name]}" for name in packages if name in versions]
        verb = "install" if verb == "install" else "upgrade"
    return words(verb, packages)


def _run_all(calls: Sequence[Sequence[str]], env: Mapping[str, str]) -> List[Output]:
    """Run read-only commands in parallel: each of them spends most of its time reading the lists.

    Raises: PackagesUnreadable.
    """
    running: List[subprocess.Popen[bytes]] = []
    try:
        for argv in calls:
            process = subprocess.Popen(
                list(argv), env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/"
            )
            running.append(process)
        found = []
        for process in running:
            out, err = process.communicate(timeout=SIMULATION_LIMIT_S)
            found.append(Output(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")))
        return found
    except subprocess.TimeoutExpired as exc:
        raise PackagesUnreadable(f"{calls[0][0]} did not end within {SIMULATION_LIMIT_S:.0f} s") from exc
    except OSError as exc:
        raise PackagesUnreadable(f"{calls[0][0]}: {exc.strerror}") from exc
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.communicate()


def _simulation(call: Sequence[str]) -> Tuple[str, ...]:
    return apt_get("-s", *OPTIONS_NO_LOCK, *call)


def _parse_answer(answer: Output, inventory: Inventory) -> _Simulation:
    """Read the output of a simulation. Raises: PackagesUnreadable; PackageError."""
    if answer.rc:
        lines = [line for line in answer.err.split("\n") if line.startswith("E:")] or answer.err.strip().split("\n")
        summary = " · ".join(line[:400] for line in lines[:3]) or f"apt-get: exit status {answer.rc}"
        if "nmet dependencies" in summary or "nmet dependencies" in answer.out:
            code = "job.packages_broken" if "--fix-broken" in answer.err or "-f install" in answer.err else "job.unmet_dependencies"
            reasons = [
                line.strip() for line in answer.out.split("\n") if ": Depends:" in line or ": Breaks:" in line or ": Conflicts:" in line
            ]
            named = {word.strip(":") for line in reasons for word in line.split()}
            held = [f"on hold on this node: {name}" for name in sorted(named) if name in inventory and inventory[name].held]
            raise PackageError(code, " · ".join([summary, *reasons[:5], *held[:5]]))
        if "Essential packages were removed" in summary or "rotected packages were removed" in summary:
            raise PackageError("job.protected", summary)
        raise PackagesUnreadable(summary)
    try:
        return _Simulation(apt_parsers.parse_plan(answer.out), apt_parsers.parse_report(answer.out))
    except ValueError as exc:
        raise PackagesUnreadable(f"apt-get's plan: {exc}") from exc


def _policy(names: Iterable[str], env: Mapping[str, str]) -> Dict[str, apt_parsers.Versions]:
    found: Dict[str, apt_parsers.Versions] = {}
    rest = list(names)
    while rest:
        found.update(apt_parsers.parse_policy(query_output(apt_cache("policy", "--", *rest[:MOST_NAMES]), env)))
        rest = rest[MOST_NAMES:]
    return found


def _phased(kept_back: Sequence[str], env: Mapping[str, str]) -> List[str]:
    """Those of the packages that apt-get only calls kept back whose update is phased."""
    if not kept_back:
        return []
    with contextlib.suppress(PackagesUnreadable):
        text = query_output(apt_cache("policy", "--", *kept_back[:MOST_NAMES]), env)
        return [name for name in apt_parsers.parse_phased(text) if name in kept_back]
    return []


def _kept_back(verb: str, found: _Simulation, inventory: Inventory, env: Mapping[str, str]) -> Dict[str, str]:
    """The packages that are kept back, each with its reason."""
    reasons = dict.fromkeys(found.report.phased, "phased")
    for name in found.report.kept_back:
        if name in inventory and inventory[name].held:
            reasons[name] = "held"
    reasons.update(dict.fromkeys(_phased([name for name in found.report.kept_back if name not in reasons], env), "phased"))
    unexplained = [name for name in found.report.kept_back if name not in reasons]
    if unexplained and verb != "full-upgrade":
        with contextlib.suppress(PackageError, PackagesUnreadable):  # without a plan for full-upgrade, the reason is not its removals
            full = {step.package for step in _parse_answer(_run_all([_simulation(["dist-upgrade"])], env)[0], inventory).steps}
            reasons.update({name: "needs_removal" for name in unexplained if name in full})
    reasons.update({name: "unresolvable" for name in unexplained if name not in reasons})
    return reasons


def plan_of(verb: str, packages: Sequence[str], inventory: Inventory, env: Mapping[str, str], *, counts_only: bool = False) -> Plan:
    """Make a plan, as any user and without a lock.

    Args:   inventory: the installed packages. counts_only: omit sizes, and what is kept back for other reasons than phasing.
    Raises: PackagesUnreadable: apt-get failed, or its plan has an unknown format. PackageError.
    """
    if verb == "security-upgrade":
        everything = plan_of("full-upgrade", (), inventory, env, counts_only=True)
        packages = [step.package for step in everything.upgrades if step.security == YES]
        if not packages:
            return Plan(download_bytes=0, installed_bytes=0, reboot=NO)
    call = words("upgrade" if verb == "security-upgrade" else verb, packages)
    calls = [_simulation(call)]
    if not counts_only:
        calls += [apt_get("--print-uris", "-y", *OPTIONS_NO_LOCK, *call), apt_cache("policy")]
    answers = _run_all(calls, env)
    found = _parse_answer(answers[0], inventory)
    if counts_only:
        deferred = tuple(HeldPackage(name, "", "phased") for name in sorted({*found.report.phased, *_phased(found.report.kept_back, env)}))
        return Plan(_more_security(found.steps, _policy(_perhaps_for_security(found.steps), env)), deferred)
    reasons = {} if verb in ("install", "remove", "autoremove", "security-upgrade") or packages else _kept_back(verb, found, inventory, env)
    pinned: Set[str] = set(apt_parsers.parse_pinned(answers[2].out)) & set(inventory)
    versions = _policy(dict.fromkeys([*reasons, *pinned, *_perhaps_for_security(found.steps)]), env)
    for name in pinned & set(versions):
        if name not in reasons and inventory[name].version == versions[name].candidate != versions[name].newest:
            reasons[name] = "pinned"
    kept_back = tuple(
        HeldPackage(name, versions[name].newest if name in versions else "", reason) for name, reason in sorted(reasons.items())
    )
    sizes = apt_parsers.parse_sizes(answers[1].out) if answers[1].rc == 0 else apt_parsers.Sizes(-1, None)
    restart = [step.package for step in found.steps if step.after and _REBOOT.match(step.package)]
    return Plan(
        _more_security(found.steps, versions),
        kept_back,
        sizes.download_bytes if found.steps else 0,
        sizes.installed_bytes if found.steps else 0,
        YES if restart else NO,
        "changes " + ", ".join(restart[:10]) if restart else "",
    )


def _perhaps_for_security(steps: Iterable[Planned]) -> List[str]:
    return [step.package for step in steps if step.before and step.after and step.security != YES]


def _more_security(steps: Tuple[Planned, ...], versions: Mapping[str, apt_parsers.Versions]) -> Tuple[Planned, ...]:
    """Mark an ordinary update as a security update if it is newer than a version of a security pocket: it contains the same fix."""
    return tuple(
        step._replace(security=YES)
        if step.before and step.after and step.package in versions and versions[step.package].security_above
        else step
        for step in steps
    )
