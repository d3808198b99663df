"""Messages of the live socket as bytes."""

from __future__ import annotations

from typing import Literal

import msgspec

from groundcontrol.web import schema

_ENCODER = msgspec.msgpack.Encoder()


def encode(kind: Literal["hello", "snapshot", "change", "gap", "rights", "error", "pong"], body: schema.Answer) -> bytes:
    """`[kind, body]`."""
    return _ENCODER.encode((kind, body))


def topic_message(kind: Literal["snapshot", "change"], topic: str, seq: int, data: schema.Answer) -> bytes:
    """A snapshot or a change of a topic."""
    return encode(kind, schema.TopicMessage(topic=topic, seq=seq, data=data))
