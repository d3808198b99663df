"""Domain types of invites, with which a server joins without a login by the hub."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from groundcontrol.core.ids import InviteId, NodeId

InviteKind = Literal["node", "organisation"]
InviteState = Literal["open", "used", "expired", "revoked"]

INVITE_S: Final = 300.0
"""How long an invite for one node is valid."""
MOST_USES: Final = 1000
LONGEST_DAYS: Final = 90
"""Longest validity of an organisation secret."""
MOST_OPEN: Final = 100
"""Open invites of one organisation at the same time."""


class Invite(NamedTuple):
    """An invite as the hub stores it, without its secret."""

    id: InviteId
    org: int
    kind: InviteKind
    name: str
    """Name of the new node (empty: the server's host name), or the purpose of an organisation secret."""
    tags: tuple[str, ...]
    policy: str
    """The initial policy of the node."""
    approval: bool
    """Whether its nodes wait for an approval by a user."""
    most_uses: int
    uses: int
    node_id: NodeId | None
    """The latest node that joined with it."""
    created_by: str
    created_at: float
    expires_at: float
    revoked_at: float | None

    def state(self, now: float) -> InviteState:
        """Whether the invite is open, used, expired or revoked."""
        if self.uses >= self.most_uses:
            return "used"
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= now else "open"
