"""What every body and answer is."""

from __future__ import annotations

from typing import Literal, TypeVar

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


class HealthView(Answer):
    """The answer of `/healthz`."""

    status: Literal["ok", "draining", "failing"]
    version: str
    database: bool


V = TypeVar("V", bound=Answer)


def view_of(kind: type[V], model: object, **computed: object) -> V:
    """The view of a model: its fields of the same names, and those that are computed. Fields that the view does not have are left out."""
    same = {name: getattr(model, name) for name in kind.__struct_fields__ if name not in computed}
    return kind(**{name: list(value) if type(value) is tuple else value for name, value in same.items()}, **computed)
