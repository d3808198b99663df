"""Who acts, and in which organisation."""

from __future__ import annotations

from typing import Literal, NamedTuple

ActorKind = Literal["user", "local", "node", "system"]
Role = Literal["admin", "operator", "viewer"]


class Actor(NamedTuple):
    """Who does something. `name` is what the audit log shows: `admin`, `local:0`, `node:<id>`, `system`."""

    kind: ActorKind
    id: str
    name: str
    role: Role
    address: str = ""
    """Where a request came from; empty = not by network."""


class Scope(NamedTuple):
    """Taken by every repository method that a person's request reaches."""

    actor: Actor
    org: int


SYSTEM = Scope(Actor("system", "system", "system", "admin"), 1)
DEFAULT_ORG = 1
