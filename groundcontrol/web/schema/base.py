"""What every body and answer is."""

from __future__ import annotations

import msgspec


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """What a client sends."""


class Answer(msgspec.Struct):
    """What the hub sends."""


class Problem(Answer):
    """RFC 9457 `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    """Names this answer in the hub's log."""
    facts: dict[str, object] = {}
