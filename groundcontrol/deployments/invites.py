"""Invites: how a server joins without anybody logging in to it."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from groundcontrol.core.ids import InviteId, NodeId

InviteKind = Literal["node", "organisation"]
InviteState = Literal["open", "used", "expired", "revoked"]

INVITE_S: Final = 300.0
"""How long an invite for one node is good."""
MOST_USES: Final = 1000
LONGEST_DAYS: Final = 90
"""Of an organisation secret."""
MOST_OPEN: Final = 100
"""Invites of an organisation that are open at a time."""


class Invite(NamedTuple):
    """What the hub knows of an invite; its secret is not among it."""

    id: InviteId
    org: int
    kind: InviteKind
    name: str
    """Of the node (empty: what the server calls itself), or what an organisation secret is for."""
    tags: tuple[str, ...]
    policy: str
    """What the node's owner allows the hub at first."""
    approval: bool
    """Its nodes wait until somebody approves them."""
    most_uses: int
    uses: int
    node_id: NodeId | None
    """The latest that it made."""
    created_by: str
    created_at: float
    expires_at: float
    revoked_at: float | None

    def state(self, now: float) -> InviteState:
        """What may still be done with it."""
        if self.uses >= self.most_uses:
            return "used"
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= now else "open"
