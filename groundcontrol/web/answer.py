"""The base types of request bodies and answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON body of a request; unknown fields are refused."""


class NoBody(Body):
    """What a call that takes no body may be sent: an empty object."""


P = TypeVar("P", bound=Body)


def patch_of(body: type[Body]) -> Callable[[type[P]], type[P]]:
    """Give the decorated class each field of this body as one that may be left out: such a field stays as it is."""

    def made(patch: type[P]) -> type[P]:
        fields = [
            (each.name, each.type | msgspec.UnsetType, msgspec.field(default=msgspec.UNSET, name=each.encode_name))
            for each in msgspec.structs.fields(body)
        ]
        whole = msgspec.defstruct(patch.__name__, fields, bases=(patch,), module=patch.__module__)
        whole.__doc__ = patch.__doc__
        return whole  # type: ignore[return-value]  # a subclass of the decorated class

    return made


class Answer(msgspec.Struct):
    """A JSON answer of the hub."""


class Problem(Answer):
    """RFC 9457 `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    """The id of this answer in the hub's log."""
    facts: dict[str, object] = {}


class HealthView(Answer):
    """The answer of `/healthz`."""

    status: Literal["ok", "draining", "failing"]
    version: str
    database: bool


V = TypeVar("V", bound=Answer)


def view_of(kind: type[V], model: object, **computed: object) -> V:
    """Make a view of a model: it copies the model's fields of the same names, and takes `computed` for the others."""
    same = {name: getattr(model, name) for name in kind.__struct_fields__ if name not in computed}
    return kind(**{name: list(value) if type(value) is tuple else value for name, value in same.items()}, **computed)
