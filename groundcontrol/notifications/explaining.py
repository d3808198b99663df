"""Explains in one sentence whether and when a channel was notified of an alert."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final, NamedTuple

from groundcontrol.alerts.model import Reason
from groundcontrol.core.errors import BadRequest
from groundcontrol.notifications.deciding import Defer, Question, Send, Skip, SkipReason, decide, last_firing_message
from groundcontrol.notifications.model import EXPIRED, Channel, Delivery, QuietHours
from groundcontrol.notifications.seen import is_about
from groundcontrol.schedules.wall_clock import zone_of

SKIPPED_TEXTS: Final[dict[str, str]] = {
    "channel_disabled": "the channel is off",
    "suspended": "the organisation was suspended",
    "channel_broken": "its receiver refused messages",
    "retroactive": "it was over before Ground Control learned of it",
    "never_told_firing": "the channel was never notified that it began",
    "about_the_hub": "the channel leaves the hub out",
    "below_severity": "the channel takes only worse alerts",
    "acknowledged": "somebody acknowledged it",
    "suppressed_by_parent": "another alert of this server explains it",
    "flapping": "it changes too often",
    "nothing_left": "nothing fires any more",
    "already_told": "nothing has changed since the last message",
    "resolved_before_delivery": "it was over before the message could be sent",
    "cap": "the channel had too many messages in this hour",
    "rule_info_only": "its rule makes notices, which are shown and never sent",
    "summary": "it was over when the message could go out, and its digest names it",
}
DEFERRED_TEXTS: Final[dict[str, str]] = {
    "settling": "Ground Control has just started and waits for its servers",
    "maintenance": "a maintenance window is open",
    "snoozed": "somebody snoozed it",
    "cool_down": "the channel was notified of the same trouble less than an hour ago",
    "quiet_hours": "quiet hours",
    "grouping": "it waits for other alerts of the same incident",
    "update_interval": "the channel was notified of this incident minutes ago",
    "cap": "the channel had too many messages in this hour; one digest will name those that waited",
    "channel_retry": "the last messages to this channel failed",
}
_ENDED: Final[dict[Reason, str]] = {
    "cleared": "that it is over",
    "object_gone": "that it is no longer there",
    "rule_disabled": "that its rule was switched off",
    "rule_deleted": "that its rule was deleted",
    "not_selected": "that its rule no longer covers this server",
    "node_removed": "that its server was removed",
    "not_repeated": "that it was not reported again",
}
_UNSENT: Final = ("due", "deferred", "sending")
_NEAR_S: Final = 600.0
"""Times that are nearer than this are written with seconds."""
_HALF_DAY_S: Final = 43_200.0
_MARK: Final = "\x1f"
"""Before and after each time in the words of an answer. No text of the hub has it."""


class Part(NamedTuple):
    """A part of a sentence: words, or a time."""

    text: str
    at: float | None = None
    """The time that `text` writes in the zone of the channel's quiet hours, or in UTC; None: words."""


class Explanation(NamedTuple):
    """Whether and when one channel was, or will be, notified of an alert."""

    channel: Channel
    decision: str
    """`send`, `defer` or `skip`."""
    reason: str
    parts: Sequence[Part]
    next_at: float | None
    """When the channel is notified, or the decision is made again, in Unix seconds; None: neither is planned."""

    @property
    def sentence(self) -> str:
        """All parts as one text."""
        return "".join(part.text for part in self.parts)


class _Answer(NamedTuple):
    """The part of an explanation about the waiting message or the last decision."""

    decision: str
    reason: str
    words: str
    next_at: float | None = None


def under_way(history: Sequence[Delivery]) -> Delivery | None:
    """The unsent message that is sent first; None: there is none. A message that was tried comes before all others of its incident."""
    unsent = [one for one in history if one.state in _UNSENT]
    return min(unsent, key=lambda one: (not one.attempts, one.next_at or 0.0), default=None)


def explain(question: Question, held: Delivery | None) -> Explanation:
    """Explain past messages, and the present decision.

    Args: question: about the waiting message, or else about the next one. Its history leaves out the waiting message.
          held: the waiting message; None: there is none.
    """
    channel, last = question.channel, _last_message(question)
    sent = [] if last is None or last.sent_at is None else [f"notified at {_time(last.sent_at)}{_tries(last)}"]
    end = next((one for one in reversed(question.history) if one.kind == "resolved" and one.sent_at is not None), None)
    if last is not None and end is not None and end.sent_at is not None:
        sent.append(f"notified {_end_words(question)} at {_time(end.sent_at)}{_tries(end)}")
    if last is None and _is_past(question):
        answer = _skipped(question, Skip(_suppression(question)))
    else:
        answer = _of_held(question, held) if held is not None else _of_last(question, last, end)
    words = "; ".join(part for part in (*sent, answer.words) if part)
    return Explanation(channel, answer.decision, answer.reason, [Part(f"{channel.name}: "), *_parts(question, words)], answer.next_at)


def notice_only(channel: Channel) -> Explanation:
    """The explanation for an alert whose rule makes notices."""
    return Explanation(channel, "skip", "rule_info_only", [Part(f"{channel.name}: not notified: {SKIPPED_TEXTS['rule_info_only']}")], None)


def _last_message(question: Question) -> Delivery | None:
    """The last message that the channel got about the episode; None: there is none."""
    about = question.about
    return last_firing_message(question.history if about is None else [one for one in question.history if is_about(one, about)])


def _is_past(question: Question) -> bool:
    """Whether the episode has ended and its incident is open. The next message is then about other episodes."""
    return question.about is not None and question.about.state == "resolved" and question.incident.state == "open"


def _suppression(question: Question) -> SkipReason:
    """The reason why no message was about an episode that has ended."""
    about = question.about
    if about is not None and about.retro:
        return "retroactive"
    return "suppressed_by_parent" if about is not None and about.suppressed_by else "resolved_before_delivery"


def _of_held(question: Question, held: Delivery) -> _Answer:
    """Explain a message that is tried or waits. The outbox decides again before each try, so this calls `decide` too."""
    if held.state == "sending":
        before = f" (try {held.attempts}, the last failed: {held.reason})" if held.attempts > 1 and held.reason != "ready" else ""
        return _Answer("send", held.reason, f"is being notified now{before}", held.next_at)
    decision = decide(question._replace(held=held))
    if isinstance(decision, Skip):
        return _skipped(question, decision)
    row_at = held.next_at or question.now
    tried = held.attempts > 0 and held.reason not in DEFERRED_TEXTS and held.reason != "ready"
    until, reason = _time_of(decision)
    if tried and (until <= max(row_at, question.now) or reason == "channel_retry"):
        at = max(row_at, until)
        yet = "" if _last_message(question) else "not notified yet: "
        words = f"{yet}try {held.attempts} failed ({held.reason}), try {held.attempts + 1} at {_time(at)}"
        return _Answer("send", held.reason, words, at)
    if until < row_at:
        until, reason = row_at, held.reason
    return _waits(question, until, reason, is_deferred=isinstance(decision, Defer) or held.state == "deferred")


def _of_last(question: Question, last: Delivery | None, end: Delivery | None) -> _Answer:
    """Explain the last decision if no message waits. If the channel was not reached and works again, explain the next message instead.

    Args: last: the last message about the episode. end: the message about the end of the incident.
    """
    newest = end or (question.history[-1] if question.history else None)
    if newest is not None and newest.state == "sent" and last is not None:
        return _Answer("send", newest.reason, "")
    if newest is not None and newest.state == "failed" and question.channel.state != "ok":
        return _Answer("skip", newest.reason, f"not notified: {_failed_words(question, newest)}")
    stands = _standing(question, last)
    if stands:
        return _Answer("skip", stands, _not_notified(question, stands))
    decision = decide(question)
    if isinstance(decision, Skip):
        return _skipped(question, decision)
    until, reason = _time_of(decision)
    return _waits(question, until, reason, is_deferred=isinstance(decision, Defer))


def _failed_words(question: Question, failed: Delivery) -> str:
    if failed.reason == EXPIRED:
        return f"{failed.attempts} tries failed, and it was given up"
    again = "" if question.incident.state == "resolved" else "; it is tried again later, while it fires"
    return f"the receiver refused the message ({failed.reason}){again}"


def _standing(question: Question, last: Delivery | None) -> str:
    """The reason of a final decision not to send; empty: there is none."""
    is_over = question.incident.state == "resolved"
    rows = [one for one in question.history if one.kind != "resolved" or last is not None or not is_over]
    if not rows or rows[-1].state != "skipped" or rows[-1].reason in ("channel_disabled", "channel_broken"):
        return ""
    return rows[-1].reason if is_over or last is not None else ""


def _time_of(decision: Send | Defer) -> tuple[float, str]:
    return (decision.at, decision.reason) if isinstance(decision, Send) else (decision.until, decision.reason)


def _waits(question: Question, until: float, reason: str, *, is_deferred: bool) -> _Answer:
    why = DEFERRED_TEXTS.get(reason)
    if reason == "channel_retry":
        why = f"{why} ({question.channel.state_reason})"
    at = _time(until)
    words = f"will be notified at {at}" if why is None else f"held until {at}: {why}"
    return _Answer("defer" if is_deferred else "send", reason, words, until)


def _skipped(question: Question, decision: Skip) -> _Answer:
    return _Answer("skip", decision.reason, _not_notified(question, decision.reason))


def _not_notified(question: Question, reason: str) -> str:
    again = "" if _last_message(question) is None else " again"
    return f"not notified{again}: {SKIPPED_TEXTS.get(reason, reason)}"


def _end_words(question: Question) -> str:
    reasons = {alert.reason for alert in question.firing if alert.reason is not None}
    return _ENDED[reasons.pop() if len(reasons) == 1 else "cleared"]


def _tries(sent: Delivery) -> str:
    """Empty for the first try, otherwise such as ` (2nd try)`."""
    number = sent.attempts
    suffix = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f" ({number}{suffix} try)" if number > 1 else ""


def _time(at: float) -> str:
    """A time within the words of an answer. `_parts` later writes it in a zone."""
    return f"{_MARK}{at}{_MARK}"


def _parts(question: Question, words: str) -> list[Part]:
    """The words and times of an answer in their order: every second piece between the marks is a time."""
    pieces = enumerate(words.split(_MARK))
    return [Part(_time_text(question, float(piece)), float(piece)) if place % 2 else Part(piece) for place, piece in pieces if piece]


def _time_text(question: Question, at: float) -> str:
    """A time in the zone of the channel's quiet hours, such as `14:02 UTC`. Near times have seconds, distant ones a date."""
    distance = abs(at - question.now)
    form = "%H:%M:%S %Z" if at > question.now and distance < _NEAR_S else "%H:%M %Z" if distance < _HALF_DAY_S else "%Y-%m-%d %H:%M %Z"
    return datetime.fromtimestamp(at, _zone(question.channel.quiet_hours)).strftime(form)


def _zone(hours: QuietHours | None) -> tzinfo:
    try:
        return UTC if hours is None else zone_of(hours.zone)
    except BadRequest:  # this machine no longer has the zone
        return UTC
