"""Messages of the live socket, and their bytes."""

from __future__ import annotations

from typing import Literal

import msgspec

from groundcontrol.web.answer import Answer, Body

# MessagePack, `[kind, body]`. Client: ["subscribe", {topic, after?}], ["unsubscribe", {topic}], ["ping", {}].
# Hub: ["hello", LiveHello], ["snapshot", {topic, seq, data}], ["change", {topic, seq, data}], ["gap", {topic}],
# ["rights", {}], ["error", {code, message, topic}], ["pong", {}]. `after` is the number of the last received change, or an offset in the output
# of a job. The later changes follow; if the hub does not have all of them any more, a snapshot follows. docs/live.md describes all this in words.
# Data by topic:
#   fleet            snapshot FleetData; change FleetChange (values as they come, up to 40 times a second; a node's facts at most once a second)
#   node:<id>        snapshot NodeView with all of `latest`; change NodeChange (each row as it arrives)
#   job:<id>         snapshot JobView, then output as JobChunk changes from `after` on (`seq` = offset behind the chunk);
#                    a change whose data has no `output` is a JobChange (state, phase, progress)
#   deployment:<id>  snapshot and change DeploymentView
#   events           snapshot {events: last 50}; change EventView
#   jobs             snapshot {jobs: newest 50}; change JobsChange (at most one a second)


class SubscribeBody(Body):
    topic: str
    after: int | None = None


class UnsubscribeBody(Body):
    topic: str


class LiveHello(Answer):
    hub_id: str
    """Id of this start of the hub. After a change, sequence numbers restart."""
    build: str
    """Build of the page. After a change, a newer page is available."""
    now: float
    started_at: float
    """When the hub started. A node that was last seen earlier has not reconnected."""
    session_expires_at: float
    """Unix seconds; a day from now if the connection belongs to no session that ends."""


class TopicMessage(Answer):
    """Body of `snapshot` and `change`. `seq` starts anywhere and grows by one with each change; for `job:<id>` it is an output offset."""

    topic: str
    seq: int
    data: object


class GapMessage(Answer):
    """Changes of this topic were lost. Wait for the new snapshot, or subscribe again."""

    topic: str


class ErrorMessage(Answer):
    """`topic` is empty if the message itself was invalid."""

    code: str
    message: str
    topic: str = ""


class Nothing(Answer):
    """An empty body."""


_ENCODER = msgspec.msgpack.Encoder()


def encode(kind: Literal["hello", "snapshot", "change", "gap", "rights", "error", "pong"], body: Answer) -> bytes:
    """The bytes of the message `[kind, body]`."""
    return _ENCODER.encode((kind, body))


def topic_message(kind: Literal["snapshot", "change"], topic: str, seq: int, data: Answer) -> bytes:
    """The bytes of a snapshot or a change of a topic."""
    return encode(kind, TopicMessage(topic=topic, seq=seq, data=data))
