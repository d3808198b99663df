"""The store of invites. An invite is spent in the same transaction that creates the node."""

from __future__ import annotations

from typing import Final

from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.columns import Columns
from groundcontrol.adapters.sqlite.engine.methods import command, query
from groundcontrol.adapters.sqlite.engine.pagination import place
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.adapters.sqlite.events import record_event
from groundcontrol.adapters.sqlite.jobs import delete_jobs_of
from groundcontrol.adapters.sqlite.nodes import delete_loaded, insert_node, is_deleted, load_node
from groundcontrol.adapters.sqlite.rights import admitted_by_tags, grant_values, may, rights_of_user, tags_of
from groundcontrol.core.errors import Conflict, NotFound
from groundcontrol.core.ids import InviteId, NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.core.text import fold
from groundcontrol.deployments.model import MOST_OPEN, Invite, named_lines, right_to_make
from groundcontrol.deployments.store import InviteStore
from groundcontrol.events.making import new_event
from groundcontrol.events.model import Event
from groundcontrol.nodes.model import NewNode, Node

_RETENTION_S: Final = 30 * 86400.0
"""How long a spent or expired invite stays in the list."""
_INVITE: Final = "SELECT * FROM invite "
_FIND: Final = "SELECT * FROM invite WHERE id = ? AND revoked_at IS NULL AND uses < most_uses AND expires_at > ?"
_COUNT: Final = "SELECT count(*) AS n FROM invite WHERE org = ? AND revoked_at IS NULL AND uses < most_uses AND expires_at > ?"
_USE: Final = "UPDATE invite SET uses = uses + 1, node_id = ? WHERE id = ? AND revoked_at IS NULL AND uses < most_uses AND expires_at > ?"
_NAMES: Final = 1000

INVITES: Final = Columns(Invite, "invite")


@serves("invites", InviteStore)
class SqliteInvites(ControlStore):
    @command
    def create_invite(self, tx: Tx, scope: Scope, invite: Invite) -> Invite:
        known = tx.fetch_one("SELECT * FROM invite WHERE id = ?", invite.id)
        if known is not None:
            if known["created_at"] != invite.created_at or known["org"] != scope.org:
                raise Conflict("this invite id was used before")
            return INVITES.read(known)
        tx.execute("DELETE FROM invite WHERE org = ? AND expires_at < ?", scope.org, tx.now - _RETENTION_S)
        count = tx.fetch_all(_COUNT, scope.org, tx.now)[0]["n"]
        if count >= MOST_OPEN:
            raise Conflict(f"{MOST_OPEN} invites are open: revoke some first")
        stored = invite._replace(org=scope.org)
        tx.execute(INVITES.insertion(), *INVITES.values(stored))
        detail = {"kind": invite.kind, "name": invite.name, "tags": invite.tags, "policy": invite.policy, **named_lines(invite.lines)}
        limits = {"approval": invite.approval, "most_uses": invite.most_uses, "expires_at": invite.expires_at}
        self._chain.write(tx, scope, "invite.create", invite.id, {**detail, **limits})
        return stored

    @query
    def invites(self, rows: Rows, scope: Scope, limit: int, cursor: str | None = None) -> Page[Invite]:
        at = place("invites", scope.org, limit, cursor)
        where = "WHERE org = ? AND no < ?" + admitted_by_tags(scope, "invite.tags") + " ORDER BY no DESC LIMIT ?"
        return at.page(rows.fetch_all(_INVITE + where, scope.org, at.start, *grant_values(scope), at.most), INVITES.or_none)

    async def invite(self, scope: Scope, invite: InviteId) -> Invite:
        row = await self._reader.run(lambda rows: rows.fetch_one("SELECT * FROM invite WHERE org = ? AND id = ?", scope.org, invite))
        if row is None or not scope.admits("", tags_of(row["tags"])):
            raise NotFound("there is no such invite")
        return INVITES.read(row)

    async def find_invite(self, invite: InviteId, now: float) -> Invite | None:
        row = await self._reader.run(lambda rows: rows.fetch_one(_FIND, invite, now))
        return None if row is None else INVITES.read(row)

    @command
    def revoke_invite(self, tx: Tx, scope: Scope, invite: InviteId) -> None:
        row = tx.fetch_one("SELECT * FROM invite WHERE org = ? AND id = ?", scope.org, invite)
        if row is None or not scope.admits("", tags_of(row["tags"])):
            raise NotFound("there is no such invite")
        if row["revoked_at"] is None:
            tx.execute("UPDATE invite SET revoked_at = ? WHERE id = ?", tx.now, invite)
            self._chain.write(tx, scope, "invite.revoke", invite, {"kind": row["kind"], "name": row["name"], "uses": row["uses"]})

    @command
    def use_invite(self, tx: Tx, invite: InviteId, scope: Scope, node: NewNode) -> Node:
        if tx.fetch_one("SELECT 1 FROM node WHERE id = ? AND joining = 1", node.id) is not None:
            return load_node(tx, scope, node.id)  # a repeated request: no other node has this id
        row = tx.fetch_one("SELECT * FROM invite WHERE id = ?", invite)
        if row is None or not may_still_invite(tx, row) or tx.execute(_USE, node.id, invite, tx.now) != 1:
            raise NotFound("this invite is not valid any more: it was used, has expired, or was revoked")
        row = tx.fetch_all("SELECT * FROM invite WHERE id = ?", invite)[0]
        named = node._replace(name=_free_name(tx, scope, node.name))
        insert_node(tx, scope, named)
        tx.execute("UPDATE node SET waiting = ?, joining = 1 WHERE id = ?", row["approval"], named.id)
        detail = {"name": named.name, "address": named.address, "invite": invite, "invited_by": row["created_by"]}
        self._chain.write(tx, scope, "invite.use", named.id, {**detail, "waiting": bool(row["approval"]), "use": row["uses"]})
        facts: dict[str, object] = {"invite": invite, "kind": row["kind"], "invited_by": row["created_by"], "address": named.address}
        record_event(tx, new_event("invite_used", tx.now, facts, node=named.id, name=named.name, org=scope.org))
        return load_node(tx, scope, named.id)

    @command
    def settle_joining(self, tx: Tx, node: NodeId, event: Event) -> None:
        if tx.execute("UPDATE node SET joining = 0 WHERE id = ? AND joining = 1", node):
            record_event(tx, event)

    async def unsettled(self) -> list[tuple[NodeId, int]]:
        found = await self._reader.run(lambda rows: rows.fetch_all("SELECT id, org FROM node WHERE joining = 1"))
        return [(NodeId(row["id"]), int(row["org"])) for row in found]

    @command
    def approve_node(self, tx: Tx, scope: Scope, node: NodeId) -> Node:
        before = load_node(tx, scope, node)
        if before.waiting:
            tx.execute("UPDATE node SET waiting = 0, version = version + 1 WHERE no = ?", before.no)
            self._chain.write(tx, scope, "node.approve", node, {"name": before.name, "address": before.address})
            record_event(tx, new_event("node_approved", tx.now, {"by": scope.actor.name}, node=node, name=before.name, org=scope.org))
        return load_node(tx, scope, node)

    @command
    def reject_node(self, tx: Tx, scope: Scope, node: NodeId) -> None:
        if is_deleted(tx, scope, node):
            return
        found = load_node(tx, scope, node)
        if not found.waiting:
            raise Conflict(f"the node {found.name} does not wait for approval: remove it instead")
        delete_loaded(tx, self._chain, scope, found, delete_jobs_of)


def may_still_invite(rows: Rows, invite: Row) -> bool:
    """Whether the maker of this invite may still make it. An invite is valid for up to 90 days, and must not outlive its maker's rights."""
    rights = rights_of_user(rows, invite["org"], invite["created_by"], invite["created_at"])
    return may(rights, right_to_make(invite["kind"]), "", invite["tags"], invite["created_at"], invite["created_at"])


def _free_name(tx: Tx, scope: Scope, wanted: str) -> str:
    """The name, with a number if it is taken. A server that joins with an organisation secret cannot be asked for another name."""
    for number in range(1, _NAMES):
        name = wanted if number == 1 else f"{wanted[:90]}-{number}"
        if tx.fetch_one("SELECT 1 FROM node WHERE org = ? AND name_key = ?", scope.org, fold(name)) is None:
            return name
    raise Conflict(f"there are {_NAMES} nodes named {wanted} already", field="name")
