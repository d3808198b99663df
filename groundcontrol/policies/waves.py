"""Divides the targets of a roll-out into waves, and estimates how long they take. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from groundcontrol.core.ids import NodeId
from groundcontrol.policies.model import Order
from spider.wire.verbs import REBOOT

LEAST_WAVE: Final = 3
MOST_WAVE: Final = 25
JOB_S: Final = 180.0
"""How long the work on one node usually takes, until its own history is known."""
REBOOT_S: Final = 180.0
LATER_WATCH_S: Final = 600.0
"""How long waves after the canaries are watched at most."""
FEW: Final = 4
"""With this many targets or fewer, one canary is enough."""


class Candidate(NamedTuple):
    """A target before it has a wave."""

    node: NodeId
    tags: tuple[str, ...]
    kind: str
    """Operating system and role: canaries come from the commonest kind."""
    fit: bool
    """Whether it could run now: healthy, online, with nothing that holds it."""
    open_at: float = 0.0
    """When its own window opens: earlier ones go first."""
    last: bool = False
    """The hub's own host."""
    first: bool = False
    """It was not reached the last time, so it goes right after the canaries."""


class WorkTime(NamedTuple):
    """How many seconds the last ten jobs of one kind took on a node."""

    longest_s: float
    median_s: float


WorkTimes = Mapping[str, WorkTime]
"""By verb. What never succeeded is missing."""


def work_s(verb: str, times: WorkTimes, *, reboots: bool) -> float:
    """How long the work on one node takes, by its own last runs of that kind."""
    return (times[verb].longest_s if verb in times else JOB_S) + (reboot_s(times) if reboots else 0.0)


def reboot_s(times: WorkTimes) -> float:
    """How long a reboot of one node takes, by its own last ones."""
    return times[REBOOT].longest_s if REBOOT in times else REBOOT_S


def watch_of(wave: int, watch_s: float) -> float:
    """How long the targets of a wave are watched."""
    return watch_s if wave == 0 else min(watch_s, LATER_WATCH_S)


def canaries(order: Order, total: int) -> int:
    """How many canaries a roll-out of so many targets has."""
    if total <= 1 or order.groups:
        return 0
    return min(order.canary if order.canary is not None else 1 if total <= FEW else 2, total)


def waves_of(order: Order, candidates: Sequence[Candidate]) -> list[list[NodeId]]:
    """Targets by wave; the hub's own host is a wave of its own, the last. A node without a group of the order comes after all groups."""
    rest = [one for one in candidates if not one.last]
    ends = [[one.node] for one in candidates if one.last]
    if order.groups:
        groups: list[list[NodeId]] = []
        for tag in order.groups:
            groups.append([one.node for one in rest if tag in one.tags])
            rest = [one for one in rest if tag not in one.tags]
        return [group for group in (*groups, [one.node for one in rest], *ends) if group]
    common = Counter(one.kind for one in rest)
    by_fitness = sorted(rest, key=lambda one: (not one.fit, -common[one.kind], one.open_at))
    count = canaries(order, len(candidates))
    waves = [[one.node for one in by_fitness[:count]]] if count else []
    chosen = {node for wave in waves for node in wave}
    left = sorted((one for one in rest if one.node not in chosen), key=lambda one: (not one.first, one.open_at))
    size = max(LEAST_WAVE, min(MOST_WAVE, -(-len(candidates) * order.percent // 100)))
    while left:
        waves.append([one.node for one in left[:size]])
        left, size = left[size:], MOST_WAVE
    return waves + ends


def expected_s(order: Order, sizes: Sequence[int], watch_s: float, job_s: float = JOB_S) -> float:
    """How long these waves take together."""
    total = 0.0
    for index, size in enumerate(sizes):
        total += -(-size // order.at_once) * job_s + watch_of(index, watch_s)
    return total


def fits(order: Order, sizes: Sequence[int], watch_s: float, length_s: float, job_s: float = JOB_S) -> int:
    """How many targets fit into a window."""
    done, used = 0, 0.0
    for index, size in enumerate(sizes):
        used += expected_s(order, [size], watch_of(index, watch_s), job_s)
        if used > length_s:
            return done
        done += size
    return done
