"""Messages of the live socket as bytes."""

from __future__ import annotations

from typing import Literal

import msgspec

from groundcontrol.web.answer import Answer
from groundcontrol.web.live.views import TopicMessage

_ENCODER = msgspec.msgpack.Encoder()


def encode(kind: Literal["hello", "snapshot", "change", "gap", "rights", "error", "pong"], body: Answer) -> bytes:
    """`[kind, body]`."""
    return _ENCODER.encode((kind, body))


def topic_message(kind: Literal["snapshot", "change"], topic: str, seq: int, data: Answer) -> bytes:
    """A snapshot or a change of a topic."""
    return encode(kind, TopicMessage(topic=topic, seq=seq, data=data))
