"""The report of an ended roll-out in one line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from groundcontrol.core.ids import NodeId
from groundcontrol.rollouts.model import Rollout

MOST_NAMED: Final = 10
_MEANT: Final = frozenset({"never_by_schedule", "not_selected", "up_to_date"})
"""Reasons for which a node that was not reached has missed nothing."""


class Reach(NamedTuple):
    """The nodes that a roll-out of a patch policy missed, and those that it reached, whatever came of it."""

    missed: tuple[NodeId, ...]
    reached: tuple[NodeId, ...]


def reach_of(rollout: Rollout) -> Reach:
    """Of an ended roll-out. One that was stopped has missed no node: a person or a gate decided so."""
    left = [one for one in rollout.targets if one.state == "not_started"]
    missed = [one.node for one in left if one.why not in _MEANT] if rollout.policy_id and rollout.state == "expired" else []
    return Reach(tuple(missed), tuple(one.node for one in rollout.targets if one.state not in ("not_started", "pending", "held")))


def report_words(rollout: Rollout) -> str:
    """Such as: `stopped by gate: web-1: shop.service failed; 1 failed (web-1), 3 not started (…)`."""
    counts = rollout.counts()
    parts = []
    missed = reach_of(rollout).missed
    counts["not_started"] -= len(missed)
    for state, words in (
        ("passed", "passed"),
        ("worse", "worse"),
        ("failed", "failed"),
        ("unknown", "unknown"),
        ("not_started", "not started"),
    ):
        if counts[state]:
            names = [one.name for one in rollout.targets if one.state == state and one.node not in missed]
            parts.append(f"{counts[state]} {words}" + ("" if state == "passed" else _named(names)))
    if missed:
        parts.append(f"{len(missed)} missed" + _named([f"{one.name}: {one.words}" for one in rollout.targets if one.node in missed]))
    owed = [one.name for one in rollout.targets if one.reboot_owed]
    if owed:
        parts.append(f"a reboot is owed on {', '.join(owed[:MOST_NAMED])}")
    by = " by gate" if rollout.stopped_by == "gate" else ""  # the words name the person
    how = f"stopped{by}: {rollout.words}" if rollout.state == "stopped" else rollout.state
    return f"{how}; {', '.join(parts)}" if parts else how


def _named(names: Sequence[str]) -> str:
    return f" ({', '.join(names[:MOST_NAMED])}{', …' if len(names) > MOST_NAMED else ''})"
