"""What a roll-out that runs waits for while it is at work on no node. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from groundcontrol.core.ids import NodeId
from groundcontrol.policies.reasons import remedy_for
from groundcontrol.rollouts.model import Rollout, Target

MOST_NAMED: Final = 3
"""So many reasons are said; the others stand at their nodes."""


class Wait(NamedTuple):
    words: str
    """Nodes with what each of them waits for, and until when where that is known."""
    remedy: str
    """What helps; empty: waiting does."""


def wait_of(rollout: Rollout, seen: frozenset[NodeId] | None) -> Wait | None:
    """None: it is at work, about to begin, or its state says why it is not.

    Args: seen: the nodes that the caller may see; None: all.
    """
    ours = sorted((one for one in rollout.targets if one.state in ("pending", "held", "running")), key=lambda one: one.wave)
    if rollout.state != "running" or rollout.words or any(one.state == "running" and not _waits(one) for one in ours):
        return None
    said = [one for one in ours if one.words]
    by_words: dict[str, list[Target]] = {}
    for one in said:
        if seen is None or one.node in seen:
            by_words.setdefault(one.words, []).append(one)
    if not by_words:
        return Wait("it waits for servers beyond your rights", "") if said else None
    groups = list(by_words.values())
    shown = groups[:MOST_NAMED]
    more = sum(len(group) for group in groups[MOST_NAMED:])
    parts = [f"{_names(group)}: {group[0].words}" for group in shown] + ([f"{more} more wait for other reasons"] if more else [])
    remedies = dict.fromkeys(remedy for group in shown if (remedy := remedy_for(group[0].why, [one.name for one in group], rollout.id)))
    return Wait("; ".join(parts), "; ".join(remedies))


def _waits(one: Target) -> bool:
    """Whether a node that has begun does nothing: until another program gives its lock back, or others of its role have rebooted."""
    return bool(one.words) and (one.step in ("plan", "patch") or (one.step == "reboot" and one.attempt == 0))


def _names(group: Sequence[Target]) -> str:
    return group[0].name if len(group) == 1 else f"{group[0].name} and {len(group) - 1} more"
