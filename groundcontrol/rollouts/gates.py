"""Hard gates: compares what a node shows now with what it showed before the work. Pure.

One look is one reading. A part that it does not have is None. If the host cannot have it (`absent`), its gates are not available there;
otherwise it could not be read, and missing data holds.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from groundcontrol.rollouts.model import Gate, Verdict

FULL_PERCENT: Final = 95.0
RESTARTS: Final = 3
CLOCK_S: Final = 2.0
LOOKS: Final = 2
"""So many looks in a row must show a fault."""
LOOKS_OF: Final[Mapping[str, int]] = {"port_gone": 3, "probe": 3}
FILLING_S: Final = 1800.0
FILLING_WINDOW_S: Final = 180.0
FILLING_LEAST: Final = 3.0
"""Points by which a file system must have grown within the window, in both of its halves."""
RESTARTING_LOOKS, WINDOW_LOOKS = 3, 6
"""A unit that waits to be restarted in so many of the last looks is in a loop, also a slow one that never counts as failed."""
_FLEETING: Final = ("user@", "user-runtime-dir@", "session-", "run-", "stardust-", "systemd-", "apt-daily", "packagekit", "man-db")
"""Units that come and go by themselves, and the agent's own, which a session shows better."""
_OF_CONNECTION: Final = re.compile(r"@[0-9]+-[0-9]+-[0-9]+\.service\Z")
"""An instance that a socket starts for one connection (`Accept=yes`)."""


class Look(NamedTuple):
    """What one node shows at one time, by its own clock."""

    at: float
    boot: str = ""
    failed_units: tuple[str, ...] | None = None
    restarting_units: tuple[str, ...] | None = None
    """Those that wait to be restarted by systemd."""
    running_units: tuple[str, ...] | None = None
    restarts: dict[str, int] | None = None
    ports: tuple[str, ...] | None = None
    """`tcp 80 nginx.service`."""
    mounts: tuple[str, ...] | None = None
    full_percent: dict[str, float] | None = None
    read_only: tuple[str, ...] | None = None
    broken_packages: tuple[str, ...] | None = None
    oom_kills: float | None = None
    clock_s: float | None = None
    probes: dict[str, str] | None = None
    """Probe -> `ok`, or why it is not; only where the node probes by itself."""
    absent: tuple[str, ...] = ()
    """Parts that this host cannot have: units, ports, mounts."""

    def parts(self) -> dict[str, tuple[str, ...] | None]:
        return {"units": self.running_units, "ports": self.ports, "mounts": self.mounts}

    def unread(self) -> list[str]:
        """Parts that the host has, and that could not be read."""
        return [name for name, part in self.parts().items() if part is None and name not in self.absent]


class Run(NamedTuple):
    """Some looks that all showed the same."""

    look: Look
    looks: int
    to_at: float = 0.0
    """When the last of them was taken."""


_JUDGED_BY: Final = {
    "unit_failed": ("failed_units", "units are"),
    "unit_restarts": ("restarts", "units are"),
    "unit_gone": ("running_units", "units are"),
    "port_gone": ("ports", "ports are"),
    "mount_gone": ("mounts", "mounts are"),
    "filesystem": ("full_percent", "the use of file systems is"),
    "package_db": ("broken_packages", "the state of packages is"),
    "oom_kill": ("oom_kills", "the count of killed processes is"),
    "clock": ("clock_s", "the offset of the clock is"),
}
"""Gate -> the part of a look that it judges, and its words."""
_OF_NOW: Final = ("filesystem", "package_db")
"""Gates that judge what is there now, also where nothing is known from before."""


def not_available(before: Look, now: Look) -> list[Gate]:
    """The gates that nobody can judge here, since what they compare is not known. Without them they would seem to be clear."""
    return [
        Gate(gate, "", "not_available", f"{what} not known here", now.at)
        for gate, (part, what) in _JUDGED_BY.items()
        if getattr(now, part) is None or (gate not in _OF_NOW and getattr(before, part) is None)
    ]


def hard_gates(before: Look, now: Look, *, rebooted: bool = False, removed: Sequence[str] = ()) -> list[Gate]:
    """Each gate that is not clear in one look. What was bad before is `already` and does not count."""
    return (
        list(_units(before, now))
        + list(_places(before, now))
        + list(_host(before, now, rebooted=rebooted))
        + list(_probes(before, now))
        + [_broken(name, before, now) for name in sorted(set(now.broken_packages or ()) - set(removed))]
    )


def over_looks(before: Look, runs: Sequence[Run], *, rebooted: bool = False) -> list[Gate]:
    """The gates of all looks since a target has settled, oldest first. One look is none: a gate counts once enough of them in a row show it.

    A gate that counted stays, also when later looks are clear: what the hub learns afterwards is judged as if it had been seen live.
    """
    found: dict[tuple[str, str], Gate] = {}
    counts: dict[tuple[str, str], int] = {}
    last: deque[frozenset[str]] = deque(maxlen=WINDOW_LOOKS)
    for run in runs:
        seen = {gate.key: gate for gate in hard_gates(before, run.look, rebooted=rebooted)}
        for key in [key for key in counts if key not in seen or seen[key].verdict != "failed"]:
            del counts[key]
            if found[key].verdict != "failed":
                del found[key]
        for key, gate in seen.items():
            if gate.verdict != "failed":
                found.setdefault(key, gate)
                continue
            counts[key] = counts.get(key, 0) + run.looks
            since = found[key].since_at if key in found and found[key].verdict != "already" else gate.since_at
            if key not in found or found[key].verdict != "failed":
                found[key] = _counted(gate._replace(since_at=since), counts[key])
        last.extend([frozenset(run.look.restarting_units or ())] * min(run.looks, WINDOW_LOOKS))
        for unit in sorted(set().union(*last) - set(before.restarting_units or ())):
            times = sum(unit in one for one in last)
            key = ("unit_restarts", unit)
            if times >= RESTARTING_LOOKS and (key not in found or found[key].verdict != "failed"):
                words = f"{unit} waits to be restarted in {times} of {len(last)} looks, limit {RESTARTING_LOOKS} of {WINDOW_LOOKS}"
                found[key] = Gate("unit_restarts", unit, "failed", words, run.look.at, float(times), float(RESTARTING_LOOKS))
    for gate in _filling(runs):
        found.setdefault(gate.key, gate)
    return list(found.values())


def _filling(runs: Sequence[Run]) -> Iterator[Gate]:
    """File systems that are full soon if they go on as in the last minutes."""
    if not runs:
        return
    end = runs[-1].to_at
    points = [
        (at, run.look.full_percent or {}) for run in runs for at in dict.fromkeys((run.look.at, run.to_at)) if end - at <= FILLING_WINDOW_S
    ]
    start, before = points[0]
    middle = next((full for at, full in points if at >= (start + end) / 2), before)
    for mount, percent in sorted(points[-1][1].items()):
        old, between = before.get(mount), middle.get(mount)
        if (
            old is None
            or between is None
            or end - start < FILLING_WINDOW_S / 2
            or percent - old < FILLING_LEAST
            or not old < between < percent
        ):
            continue
        left_s = (100.0 - percent) * (end - start) / (percent - old)
        if left_s < FILLING_S:
            words = f"{mount} is {percent:.0f} % full, {percent - old:.0f} more than {end - start:.0f} s before: full in {left_s / 60:.0f} minutes"
            yield Gate("filesystem", mount, "failed", f"{words}, limit {FILLING_S / 60:.0f}", end, left_s, FILLING_S)


def _counted(gate: Gate, looks: int) -> Gate:
    """A gate that so many looks in a row have shown."""
    need = LOOKS_OF.get(gate.gate, LOOKS)
    if looks >= need:
        return gate._replace(words=f"{gate.words} ({need} looks in a row)")
    return gate._replace(verdict="unknown", words=f"{gate.words} ({looks} of {need} looks)")


def _units(before: Look, now: Look) -> Iterator[Gate]:
    if now.failed_units is not None and before.failed_units is not None:
        for unit in now.failed_units:
            already = unit in before.failed_units
            yield Gate("unit_failed", unit, "already" if already else "failed", f"{unit} failed" + (" already before" * already), now.at)
    if now.running_units is not None and before.running_units is not None:
        failed = {*(now.failed_units or ()), *(now.restarting_units or ())}
        for unit in sorted(set(before.running_units) - set(now.running_units) - failed):
            if not unit.startswith(_FLEETING) and not _OF_CONNECTION.search(unit):
                yield Gate("unit_gone", unit, "failed", f"{unit} ran before and does not run now", now.at)
    for unit, count in sorted((now.restarts or {}).items()):
        known = 0 if before.restarts is None else before.restarts.get(unit, 0)  # a unit that was never restarted is not listed
        grown = count - known if count >= known else count  # systemd counts anew once somebody starts the unit
        if before.restarts is not None and grown >= RESTARTS:
            words = f"{unit} was restarted {grown} times, limit {RESTARTS}"
            yield Gate("unit_restarts", unit, "failed", words, now.at, float(grown), float(RESTARTS))


def _places(before: Look, now: Look) -> Iterator[Gate]:
    if now.ports is not None and before.ports is not None:
        open_now = {_port(one) for one in now.ports}
        for one in before.ports:
            if _port(one) not in open_now:
                protocol, port, *who = one.split(" ", 2)
                yield Gate(
                    "port_gone",
                    one,
                    "failed",
                    f"nothing listens on {protocol} {port} any more{f' (it was {who[0]})' if who and who[0] else ''}",
                    now.at,
                )
    if now.mounts is not None and before.mounts is not None:
        for mount in sorted(set(before.mounts) - set(now.mounts)):
            yield Gate("mount_gone", mount, "failed", f"{mount} was mounted before and is not now", now.at)
    for mount in now.read_only or ():
        if before.read_only is not None and mount not in before.read_only and mount in (before.mounts or ()):
            yield Gate("filesystem", mount, "failed", f"{mount} became read-only", now.at)
    for mount, percent in sorted((now.full_percent or {}).items()):
        old = (before.full_percent or {}).get(mount, 0.0)
        if percent >= FULL_PERCENT:
            verdict: Verdict = "already" if old >= FULL_PERCENT else "failed"
            words = f"{mount} is {percent:.0f} % full, limit {FULL_PERCENT:.0f} %; it was {old:.0f} %"
            yield Gate("filesystem", mount, verdict, words, now.at, percent, FULL_PERCENT)


def _port(one: str) -> str:
    return " ".join(one.split(" ", 2)[:2])


def _host(before: Look, now: Look, *, rebooted: bool) -> Iterator[Gate]:
    if before.boot and now.boot and before.boot != now.boot and not rebooted:
        yield Gate("boot_unordered", "", "failed", "it was rebooted, and not by this roll-out", now.at)
    if now.oom_kills is not None and before.oom_kills is not None and now.oom_kills > before.oom_kills and not rebooted:
        words = f"the kernel killed {now.oom_kills - before.oom_kills:.0f} processes for want of memory, limit 0"
        yield Gate("oom_kill", "", "failed", words, now.at, now.oom_kills - before.oom_kills, 0.0)
    if now.clock_s is not None and before.clock_s is not None and abs(now.clock_s - before.clock_s) > CLOCK_S:
        moved = now.clock_s - before.clock_s
        yield Gate("clock", "", "failed", f"its clock moved by {moved:.1f} s, limit {CLOCK_S:.0f} s", now.at, moved, CLOCK_S)


def _probes(before: Look, now: Look) -> Iterator[Gate]:
    for name, answer in sorted((now.probes or {}).items()):
        if answer != "ok":
            was_good = (before.probes or {}).get(name) == "ok"
            yield Gate("probe", name, "failed" if was_good else "already", f"the probe {name} fails: {answer}", now.at)


def _broken(name: str, before: Look, now: Look) -> Gate:
    already = name in (before.broken_packages or ())
    return Gate(
        "package_db", name, "already" if already else "failed", f"the package {name} is broken" + (" already before" * already), now.at
    )


def steady(looks: Sequence[Look]) -> Look:
    """A baseline of several looks: what one of them does not show is left out, since it flaps."""
    found = looks[-1]
    for look in looks:
        found = found._replace(
            running_units=_both(look.running_units, found.running_units),
            ports=_both(look.ports, found.ports),
            mounts=_both(look.mounts, found.mounts),
            failed_units=_either(look.failed_units, found.failed_units),
            restarting_units=_either(look.restarting_units, found.restarting_units),
            probes=_good_in_all(look.probes, found.probes),
        )
    return found


def _both(one: Sequence[str] | None, other: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if one is None or other is None else tuple(sorted(set(one) & set(other)))


def _either(one: Sequence[str] | None, other: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if one is None or other is None else tuple(sorted(set(one) | set(other)))


def _good_in_all(one: Mapping[str, str] | None, other: Mapping[str, str] | None) -> dict[str, str] | None:
    if one is None or other is None:
        return None
    return {name: answer if one.get(name) == "ok" else one.get(name, answer) for name, answer in other.items()}
