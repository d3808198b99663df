"""The owner of a node: the session whose messages may change the node's rows."""

from __future__ import annotations

from groundcontrol.adapters.sqlite.engine.tx import Rows
from groundcontrol.core.errors import Fenced
from groundcontrol.core.scope import Scope, node_actor
from groundcontrol.nodes.model import Session


def check_session(rows: Rows, session: Session) -> None:
    """Check that this session may write for its node.

    Raises: Fenced: the node was removed, another session owns it, or no session does.
    """
    row = rows.fetch_one("SELECT epoch, hub FROM node_session WHERE node = ?", session.no)
    if row is None or (row["epoch"], row["hub"]) != (session.epoch, session.hub):
        raise Fenced(f"session {session.epoch} of node {session.node} is over")


def node_scope(session: Session, org: int) -> Scope:
    """The scope for changes that a message of a node causes."""
    return Scope(node_actor(session.node), org)
