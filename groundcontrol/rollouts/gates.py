"""Hard gates: compares what a node shows now with what it showed before the work. Pure.

One look is one reading. A reading that a node cannot give is None, and its gate is not available there; that is not missing data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from groundcontrol.rollouts.model import Gate, Verdict

FULL_PERCENT: Final = 95.0
RESTARTS: Final = 3
CLOCK_S: Final = 2.0
EPHEMERAL_PORT: Final = 32_768
_FLEETING: Final = ("user@", "user-runtime-dir@", "session-", "run-", "stardust-", "systemd-", "apt-daily", "packagekit", "man-db")
"""Units that come and go by themselves, and the agent's own, which a session shows better."""
_OF_CONNECTION: Final = re.compile(r"@[0-9]+-[0-9]+-[0-9]+\.service\Z")
"""An instance that a socket starts for one connection (`Accept=yes`)."""


class Look(NamedTuple):
    """What one node shows at one time, by its own clock."""

    at: float
    boot: str = ""
    failed_units: tuple[str, ...] | None = None
    running_units: tuple[str, ...] | None = None
    restarts: dict[str, int] | None = None
    ports: tuple[str, ...] | None = None
    """`tcp 80 nginx.service`."""
    mounts: tuple[str, ...] | None = None
    full_percent: dict[str, float] | None = None
    broken_packages: tuple[str, ...] | None = None
    oom_kills: float | None = None
    clock_s: float | None = None
    probes: dict[str, str] | None = None
    """Probe -> `ok`, or why it is not; only where the node probes by itself."""


def hard_gates(before: Look, now: Look, *, rebooted: bool = False, removed: Sequence[str] = ()) -> list[Gate]:
    """Each gate that is not clear. What was bad before is `already` and does not count."""
    return (
        list(_units(before, now))
        + list(_places(before, now))
        + list(_host(before, now, rebooted=rebooted))
        + list(_probes(before, now))
        + [_broken(name, before, now) for name in sorted(set(now.broken_packages or ()) - set(removed))]
    )


def _units(before: Look, now: Look) -> Iterator[Gate]:
    if now.failed_units is not None and before.failed_units is not None:
        for unit in now.failed_units:
            already = unit in before.failed_units
            yield Gate("unit_failed", unit, "already" if already else "failed", f"{unit} failed" + (" already before" * already), now.at)
    if now.running_units is not None and before.running_units is not None:
        failed = set(now.failed_units or ())
        for unit in sorted(set(before.running_units) - set(now.running_units) - failed):
            if not unit.startswith(_FLEETING) and not _OF_CONNECTION.search(unit):
                yield Gate("unit_gone", unit, "failed", f"{unit} ran before and does not run now", now.at)
    for unit, count in sorted((now.restarts or {}).items()):
        known = 0 if before.restarts is None else before.restarts.get(unit, 0)  # a unit that was never restarted is not listed
        if before.restarts is not None and count - known >= RESTARTS:
            words = f"{unit} was restarted {count - known} times, limit {RESTARTS}"
            yield Gate("unit_restarts", unit, "failed", words, now.at, float(count - known), float(RESTARTS))


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
        yield Gate("boot_unordered", "", "failed", "it was rebooted, and nobody had ordered that", now.at)
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


def steady(first: Look, second: Look) -> Look:
    """A baseline of two looks: what one of them does not show is left out, since it flaps."""
    return second._replace(
        running_units=_both(first.running_units, second.running_units),
        ports=_both(first.ports, second.ports),
        mounts=_both(first.mounts, second.mounts),
        failed_units=_either(first.failed_units, second.failed_units),
        probes=_good_twice(first.probes, second.probes),
    )


def _both(one: Sequence[str] | None, other: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if one is None or other is None else tuple(sorted(set(one) & set(other)))


def _either(one: Sequence[str] | None, other: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if one is None or other is None else tuple(sorted(set(one) | set(other)))


def _good_twice(one: Mapping[str, str] | None, other: Mapping[str, str] | None) -> dict[str, str] | None:
    if one is None or other is None:
        return None
    return {name: answer if one.get(name) == "ok" else one.get(name, answer) for name, answer in other.items()}
