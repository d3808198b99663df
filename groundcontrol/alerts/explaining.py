"""Says in one sentence what became of an alert in one channel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from groundcontrol.alerts.deciding import Decision, Defer, Question, Send, decide, told
from groundcontrol.alerts.model import Channel, Delivery

_SKIPPED: Final[dict[str, str]] = {
    "channel_disabled": "this channel is off",
    "retroactive": "it was over before the hub learned of it",
    "never_told_firing": "the channel was never told that it began",
    "below_severity": "the channel takes only worse alerts",
    "acknowledged": "somebody acknowledged it",
    "suppressed_by_parent": "another alert of this server explains it",
    "flapping": "it changes too often",
    "nothing_left": "nothing fires any more",
    "already_told": "the channel knows it",
    "resolved_before_delivery": "it was over before the message could be sent",
    "grouped": "it is part of a larger incident",
    "cap": "the channel had too many messages in this hour",
}
_DEFERRED: Final[dict[str, str]] = {
    "settling": "the hub has just started and waits for its servers",
    "maintenance": "a maintenance window is open",
    "snoozed": "somebody snoozed it",
    "cool_down": "the channel was told of the same trouble less than an hour ago",
    "quiet_hours": "quiet hours",
    "grouping": "it waits for other alerts of the same incident",
    "update_interval": "the channel was told of this incident minutes ago",
    "cap": "the channel had too many messages in this hour",
}


class Explanation(NamedTuple):
    """The answer for one channel."""

    channel: Channel
    decision: str
    """send, defer or skip."""
    reason: str
    sentence: str
    next_at: float | None


def explain(question: Question, latest: Delivery | None) -> Explanation:
    """What was decided and done last, else what `decide` says now."""
    channel = question.channel
    clock = _clock_of(channel)
    last = told(question.history)
    if latest is None or (latest.state == "skipped" and last is None):
        decision = decide(question)
        reason, next_at = _facts_of(decision)
        return Explanation(channel, type(decision).__name__.lower(), reason, f"{channel.name}: {_decided(decision, clock)}", next_at)
    return _from_delivery(channel, latest, last, clock)


def _from_delivery(channel: Channel, latest: Delivery, last: Delivery | None, clock: ZoneInfo) -> Explanation:
    parts = []
    if last is not None and last.sent_at is not None:
        tries = f" at try {last.attempts}" if last.attempts > 1 else ""
        parts.append(f"told {_hour(last.sent_at, clock)}{tries}")
    if latest.state == "sending":
        parts.append("is being told now")
    elif latest.state in ("due", "deferred") and latest.reason in _DEFERRED:
        parts.append(f"held until {_hour(latest.next_at, clock)}: {_DEFERRED[latest.reason]}")
    elif latest.state in ("due", "deferred") and latest.attempts:
        tries = "1 try" if latest.attempts == 1 else f"{latest.attempts} tries"
        parts.append(f"{tries} failed ({latest.reason}), the next is at {_hour(latest.next_at, clock)}")
    elif latest.state in ("due", "deferred"):
        parts.append(f"will be told at {_hour(latest.next_at, clock)}")
    elif latest.state == "failed":
        parts.append(f"not told: the channel refused it ({latest.reason})")
    elif latest.state == "skipped" and last is None:
        parts.append(f"not told: {_SKIPPED.get(latest.reason, latest.reason)}")
    decision = {"deferred": "defer", "skipped": "skip"}.get(latest.state, "send")
    sentence = f"{channel.name}: {'; '.join(parts) or 'told'}"
    return Explanation(channel, decision, latest.reason, sentence, latest.next_at)


def _facts_of(decision: Decision) -> tuple[str, float | None]:
    match decision:
        case Send(at=at, reason=reason):
            return reason, at
        case Defer(until=until, reason=why):
            return why, until
        case _:
            return decision.reason, None


def _decided(decision: Decision, clock: ZoneInfo) -> str:
    match decision:
        case Send(at=at):
            return f"will be told at {_hour(at, clock)}"
        case Defer(until=until, reason=reason):
            return f"held until {_hour(until, clock)}: {_DEFERRED[reason]}"
        case _:
            return f"not told: {_SKIPPED[decision.reason]}"


def latest_of(history: Sequence[Delivery]) -> Delivery | None:
    """The delivery that speaks for the channel: one that is under way, else the newest."""
    under_way = [one for one in history if one.state in ("due", "sending", "deferred")]
    found = under_way or list(history)
    return found[-1] if found else None


def _clock_of(channel: Channel) -> ZoneInfo:
    return ZoneInfo("UTC" if channel.quiet_hours is None else channel.quiet_hours.zone)


def _hour(at: float | None, clock: ZoneInfo) -> str:
    if at is None:
        return "an unknown time"
    local = datetime.fromtimestamp(at, UTC).astimezone(clock)
    return local.strftime("%Y-%m-%d %H:%M:%S %Z")
