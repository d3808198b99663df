"""The answers about whether and when channels were notified of an alert."""

from __future__ import annotations

from typing import Literal

from groundcontrol.notifications.explaining import Explanation
from groundcontrol.web.answer import Answer, view_of


class SentencePart(Answer):
    text: str
    at: float | None
    """The time in Unix seconds that `text` writes in the zone of the channel's quiet hours, or in UTC; null: words."""


class ChannelExplanation(Answer):
    channel_id: str
    channel_name: str
    decision: Literal["send", "defer", "skip"]
    reason: str
    sentence: str
    """A sentence that says when the channel was notified, until when the message is delayed, or why it is not sent."""
    parts: list[SentencePart]
    """`sentence` in parts, so that its times can be shown in another zone."""
    next_at: float | None


class ExplainView(Answer):
    channels: list[ChannelExplanation]


def explanation_view(found: Explanation) -> ChannelExplanation:
    parts = [SentencePart(text, at) for text, at in found.parts]
    return view_of(
        ChannelExplanation, found, channel_id=found.channel.id, channel_name=found.channel.name, sentence=found.sentence, parts=parts
    )
