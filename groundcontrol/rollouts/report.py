"""The report of an ended roll-out in one line. Pure."""

from __future__ import annotations

from groundcontrol.rollouts.model import Rollout

MOST_NAMED = 10


def report_words(rollout: Rollout) -> str:
    """Such as: `stopped by gate: web-1: shop.service failed; 1 failed (web-1), 3 not started (…)`."""
    counts = rollout.counts()
    parts = []
    for state, words in (
        ("passed", "passed"),
        ("worse", "worse"),
        ("failed", "failed"),
        ("unknown", "unknown"),
        ("not_started", "not started"),
    ):
        if counts[state]:
            names = [one.name for one in rollout.targets if one.state == state]
            shown = "" if state == "passed" else f" ({', '.join(names[:MOST_NAMED])}{', …' if len(names) > MOST_NAMED else ''})"
            parts.append(f"{counts[state]} {words}{shown}")
    owed = [one.name for one in rollout.targets if one.reboot_owed]
    if owed:
        parts.append(f"a reboot is owed on {', '.join(owed[:MOST_NAMED])}")
    how = f"{rollout.state} by {rollout.stopped_by}: {rollout.words}" if rollout.state == "stopped" else rollout.state
    return f"{how}; {', '.join(parts)}" if parts else how
