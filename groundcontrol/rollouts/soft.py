"""Soft gates: a metric of a node rose above its own past and above its peers. Pure, over means of ten seconds.

One node that is worse holds the roll-out. Two at once, in the same metric, stop it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final, NamedTuple

from groundcontrol.rollouts.model import Gate

STEP_S: Final = 10
NOW_POINTS: Final = 18
"""Three minutes."""
LEAST_POINTS: Final = 12
COVERAGE: Final = 0.8
SETTLE_S: Final = 120.0
HELD_S: Final = 240.0
"""The work that a good upgrade leaves behind, four minutes at most, has then left the median of the last three."""
HELD_ALONE_S: Final = 300.0
"""Without peers the rise must last longer."""
LEAST_PEERS: Final = 2
MOST_PEERS: Final = 20
FLOORS: Final[Mapping[str, float]] = {"cpu": 10.0, "memory": 5.0, "disk": 15.0}
NAMES: Final[Mapping[str, str]] = {"cpu": "CPU", "memory": "memory", "disk": "the busiest disk"}
METRICS: Final = ("cpu", "memory", "disk")
"""What is compared with the past."""
SOFT_GATES: Final = (*METRICS, "leak")
ALWAYS: Final = ("cpu", "memory")
"""What each host measures."""

Points = Sequence[float | None]


class Past(NamedTuple):
    """One metric of one node in percent: the last three minutes, the hour before the work, and that time of yesterday."""

    now: Points
    before: Points
    yesterday: Points = ()


def middle(points: Points, least: int) -> float | None:
    """The median; None: fewer than `least` points, or than 80 % of them, are there."""
    known = [one for one in points if one is not None]
    if len(known) < max(least, COVERAGE * len(points)):
        return None
    return median(known)


HOUR_S: Final = 3600.0
LEFT_OUT_S: Final = 120.0
"""The last two minutes before the work are left out of its past."""
HISTORY: Final = "history"
"""Code of the hold, and of its acceptance by a person, of a node that has too few samples from before the work."""
ALREADY_RED: Final = "already_red"
"""As `HISTORY`, of a node that is critical before the work."""
ACCEPTED_HOLDS: Final = (HISTORY, ALREADY_RED)


class Grown(NamedTuple):
    """How much of its past a node has to be compared with."""

    has_s: float
    need_s: float
    grows: bool
    """Whether it has samples without holes since it began, so that it is known when it has enough."""

    @property
    def enough(self) -> bool:
        return self.has_s >= self.need_s


def history(points: Points, scale: float = 1.0) -> Grown:
    """Args: points: means of the hour before now, in order. scale: this share of the usual time is enough."""
    known = [index for index, one in enumerate(points) if one is not None]
    need = COVERAGE * HOUR_S * scale
    if not known:
        return Grown(0.0, need, True)
    return Grown(len(known) * STEP_S, need, len(known) >= COVERAGE * (len(points) - known[0]))


def is_above(metric: str, own: Past) -> bool:
    """Whether a metric rose by more than its floor at all: peers and yesterday only explain a rise, so without one they need not be read."""
    now, before = middle(own.now, LEAST_POINTS), middle(own.before, LEAST_POINTS)
    return now is not None and before is not None and now - before > FLOORS[metric]


def rise(own: Past, peers: Sequence[Past]) -> tuple[float, bool] | None:
    """How many points a metric is above what its past and its peers explain, and whether peers were there; None: it is not known."""
    now, before = middle(own.now, LEAST_POINTS), middle(own.before, LEAST_POINTS)
    if now is None or before is None:
        return None
    pairs = [
        (then, since)
        for one in peers[:MOST_PEERS]
        if (then := middle(one.before, LEAST_POINTS)) is not None and (since := middle(one.now, LEAST_POINTS)) is not None
    ]
    grown = now - before
    if len(pairs) >= LEAST_PEERS:
        by_points = median(since - then for then, since in pairs)
        by_ratio = (before + 1) * (median((since + 1) / (then + 1) for then, since in pairs) - 1)
        return grown - max(by_points, by_ratio, 0.0), True
    past = middle(own.yesterday, LEAST_POINTS)
    if past is not None:
        grown = min(grown, now - past)
    return grown, False


def soft_gate(metric: str, own: Past, peers: Sequence[Past], since: float | None, at: float, blame: str = "") -> Gate | None:
    """The gate of a metric; None: it is clear.

    Args: since: since when it is above its floor, by the clock of the node; None: it was not. at: now, by that clock.
          blame: the units that rose most.
    """
    if metric not in ALWAYS and not any(one is not None for points in own for one in points):
        return Gate(metric, "", "not_available", f"{NAMES[metric]} is not measured here", at, soft=True)  # such as the disks of a container
    found = rise(own, peers)
    if found is None:
        which = "of now" if middle(own.now, LEAST_POINTS) is None else "from before the work"
        return Gate(metric, "", "unknown", f"{NAMES[metric]}: too few samples {which} to judge", at, soft=True)
    above, with_peers = found
    floor = FLOORS[metric]
    if above <= floor:
        return None
    begun = at if since is None else since
    held = HELD_S if with_peers else HELD_ALONE_S
    against = "its past and its peers" if with_peers else "its past (it has no peers)"
    words = f"{NAMES[metric]} is {above:.1f} points above {against}, limit {floor:.0f}{f'; {blame}' if blame else ''}"
    return Gate(metric, "", "worse" if at - begun >= held else "already", words, begun, above, floor, soft=True)


def blamed(rises: Mapping[str, float]) -> str:
    """The units whose use rose most, in words. Args: rises: in points, by unit. Empty: none rose by a point."""
    most = sorted(((rise, name) for name, rise in rises.items() if rise >= 1.0), reverse=True)[:3]
    return "" if not most else "of it " + ", ".join(f"{rise:.1f} by {name}" for rise, name in most)


def slope(points: Points) -> float | None:
    """The median slope between all pairs of points, in units a second (Theil and Sen); None: too few points."""
    known = [(index * STEP_S, one) for index, one in enumerate(points) if one is not None]
    if len(known) < LEAST_POINTS:
        return None
    slopes = [(b - a) / (t2 - t1) for index, (t1, a) in enumerate(known) for t2, b in known[index + 1 :]]
    return median(slopes)


LEAK_FULL_S: Final = 7200.0


def leak_gate(now: Points, before: Points, at: float) -> Gate | None:
    """Memory that grows so that it is full within two hours, does not flatten, and is above its old level. Observed, it stops nothing."""
    recent, past = slope(now), slope(before)
    level, old = middle(now[-NOW_POINTS:], LEAST_POINTS), middle(before, LEAST_POINTS)
    if recent is None or level is None or old is None or recent <= 0 or level <= old:
        return None
    half = len(now) // 2
    first, second = slope(now[:half]), slope(now[half:])
    flattens = first is None or second is None or second < 0.6 * first
    if flattens or (100.0 - level) / recent >= LEAK_FULL_S or recent <= 1.5 * max(past or 0.0, 0.0):
        return None
    minutes = (100.0 - level) / recent / 60
    return Gate(
        "leak",
        "",
        "already",
        f"memory grows so that it is full in {minutes:.0f} minutes, limit {LEAK_FULL_S / 60:.0f} (observed only)",
        at,
        soft=True,
    )
