"""Who acts, in which organisation, and on which nodes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal, NamedTuple

ActorKind = Literal["user", "token", "local", "node", "system"]
Role = Literal["admin", "operator", "viewer"]

RANK: Final[dict[Role, int]] = {"viewer": 0, "operator": 1, "admin": 2}
"""Each role may what those below it may."""


def min_role(one: Role, other: Role) -> Role:
    """The weaker of two roles."""
    return one if RANK[one] <= RANK[other] else other


class Actor(NamedTuple):
    """Who does something. `name` is what the audit log shows: `admin`, `admin/backup` (a token), `local:0`, `node:<id>`, `system`."""

    kind: ActorKind
    id: str
    name: str
    role: Role
    address: str = ""
    """Where a request came from; empty = not by network."""


def node_actor(node: str, address: str = "") -> Actor:
    """A node as the one who acts; an empty id: nobody knows yet which node it is."""
    return Actor("node", node, f"node:{node}" if node else "unknown", "viewer", address)


class Grants(NamedTuple):
    """A limit to some nodes: those of these ids or of any of these tags. Two empty ones admit nothing."""

    nodes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def admit(self, node: str, tags: Collection[str]) -> bool:
        """Whether a node is among them."""
        return node in self.nodes or any(tag in tags for tag in self.tags)


class Scope(NamedTuple):
    """Taken by every repository method that a person's request reaches."""

    actor: Actor
    org: int
    grants: tuple[Grants, ...] = ()
    """Every one of these must admit a node (a user's, and those of a token); none: every node."""

    def admits(self, node: str, tags: Collection[str]) -> bool:
        """Whether the caller may know of this node."""
        return all(grant.admit(node, tags) for grant in self.grants)


SYSTEM = Scope(Actor("system", "system", "system", "admin"), 1)
DEFAULT_ORG = 1
