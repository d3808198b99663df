"""The store of nodes. It creates, edits and deletes nodes, and stores their reports about themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.control_store import serves
from groundcontrol.adapters.sqlite.engine.columns import Columns
from groundcontrol.adapters.sqlite.engine.json_codec import digest, record_to_json, to_json
from groundcontrol.adapters.sqlite.engine.methods import command, query
from groundcontrol.adapters.sqlite.engine.pagination import place
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.events import record_event
from groundcontrol.adapters.sqlite.node_changes import note_policy, note_reboot, note_updates
from groundcontrol.adapters.sqlite.node_sessions import check_session
from groundcontrol.adapters.sqlite.rights import admitted, grant_values
from groundcontrol.adapters.sqlite.secrets import shred
from groundcontrol.core.errors import Conflict, NotFound, QuotaReached
from groundcontrol.core.ids import NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.permissions import check_granting_tags
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.core.text import fold
from groundcontrol.events.making import new_event
from groundcontrol.events.model import Event
from groundcontrol.nodes.model import NewNode, Node, NodeIdentity, NodePolicy, NodeUpdates, Session, adopted_name
from groundcontrol.nodes.store import NodeStore
from groundcontrol.samples.store import MetricStore
from spider.clock import Clock

T = TypeVar("T")

_NODE: Final = "SELECT * FROM node "
_GRANTING: Final = (
    "SELECT DISTINCT tag.value AS tag FROM (SELECT grants FROM membership WHERE org = ? AND grants IS NOT NULL UNION ALL"
    " SELECT grants FROM api_token WHERE org = ? AND grants IS NOT NULL AND revoked_at IS NULL AND expires_at > ?) AS limited"
    " JOIN json_each(json_extract(limited.grants, '$.tags')) AS tag ON true WHERE tag.value IN (SELECT value FROM json_each(?))"
)


AlsoDelete = Callable[[Tx, int], None]
"""(transaction, number of a node)"""


@serves("nodes", NodeStore)
class SqliteNodes:
    def __init__(
        self, writer: Writer, reader: Reader, urgent: Reader, chain: Chain, metrics: MetricStore, clock: Clock, also_delete: AlsoDelete
    ) -> None:
        """Args: also_delete: deletes the rows of later slices, with a node."""
        self._also_delete = also_delete
        self._writer = writer
        self._reader = reader
        self._urgent = urgent
        self._chain = chain
        self._metrics = metrics
        self._clock = clock
        self._sweeping = asyncio.Lock()
        """Held by a sweep, so that each of many simultaneous deletions drops its own samples, and not those of all."""

    async def create_node(self, scope: Scope, node: NewNode, event: Event | None = None) -> Node:
        return await self._writer.run(lambda tx: self._create(tx, scope, node, event))

    async def create_nodes(self, scope: Scope, nodes: Sequence[NewNode]) -> list[Node]:
        return await self._writer.run(lambda tx: [self._create(tx, scope, node) for node in nodes])

    def _create(self, tx: Tx, scope: Scope, node: NewNode, event: Event | None = None) -> Node:
        made = digest(scope.org, node)  # first, since it refuses text that cannot be stored
        known = tx.fetch_one("SELECT * FROM node WHERE id = ?", node.id)
        if known is not None and known["made"] == made:
            return NODES.read(known)
        if known is not None or tx.fetch_one("SELECT 1 FROM node_grave WHERE id = ?", node.id) is not None:
            raise Conflict(f"the node id {node.id} was used before")
        _refuse_taken_name(tx, scope, node.id, node.name)
        insert_node(tx, scope, node)
        self._chain.write(tx, scope, "node.create", node.id, {"name": node.name, "address": node.address})
        if event is not None:
            record_event(tx, event)
        return load_node(tx, scope, node.id)

    async def node(self, scope: Scope, node: NodeId) -> Node:
        return await self._reader.run(lambda rows: load_node(rows, scope, node))

    @query
    def nodes(self, rows: Rows, scope: Scope, limit: int, cursor: str | None = None, only: Collection[NodeId] | None = None) -> Page[Node]:
        at = place("nodes", scope.org, limit, cursor, 0)
        wanted, ids = ("", ()) if only is None else (" AND id IN (SELECT value FROM json_each(?))", (json.dumps(list(only)),))
        where = "WHERE org = ? AND no > ?" + wanted + admitted(scope) + " ORDER BY no LIMIT ?"
        return at.page(rows.fetch_all(_NODE + where, scope.org, at.start, *ids, *grant_values(scope), at.most), NODES.read)

    async def organisations(self) -> Sequence[int]:
        return [row["org"] for row in await self._reader.run(lambda rows: rows.fetch_all("SELECT DISTINCT org FROM node ORDER BY org"))]

    async def find_node(self, node: NodeId) -> Node | None:
        row = await self._urgent.run(lambda rows: rows.fetch_one("SELECT * FROM node WHERE id = ?", node))
        return None if row is None else NODES.read(row)

    async def id_by_number(self, no: int) -> NodeId | None:
        row = await self._reader.run(lambda rows: rows.fetch_one("SELECT id FROM node WHERE no = ?", no))
        return None if row is None else NodeId(row["id"])

    @command
    def edit_node(
        self,
        tx: Tx,
        scope: Scope,
        node: NodeId,
        *,
        name: str | None,
        tags: tuple[str, ...] | None,
        note: str | None = None,
        never: str | None = None,
        location: str | None = None,
    ) -> Node:
        before = load_node(tx, scope, node)
        new_name = before.name if name is None else name
        new_tags = before.tags if tags is None else tuple(tags)
        new_note = before.note if note is None else note
        new_never = before.never_why if never is None else never
        new_location = before.location if location is None else location
        old = (before.name, before.tags, before.note, before.never_why, before.location)
        if (new_name, new_tags, new_note, new_never, new_location) == old:
            return before
        _refuse_taken_name(tx, scope, node, new_name)
        check_granting_tags(scope, _tags_in_grants(tx, scope, {*before.tags} ^ {*new_tags}, tx.now))
        tx.execute(
            "UPDATE node SET name = ?, name_key = ?, tags = ?, note = ?, location = ?, never_why = ?, never_by = ?, version = version + 1 WHERE no = ?",
            *(new_name, fold(new_name), to_json(new_tags), new_note, new_location, new_never),
            *(before.never_by if new_never == before.never_why else scope.actor.name if new_never else "", before.no),
        )
        detail = {"name": new_name, "tags": new_tags} | ({} if new_note == before.note else {"note": new_note})
        detail |= {} if new_never == before.never_why else {"never_by_schedule": new_never}
        detail |= {} if new_location == before.location else {"location": new_location}
        self._chain.write(tx, scope, "node.edit", node, detail)
        return load_node(tx, scope, node)

    async def tags_in_grants(self, scope: Scope, tags: Collection[str]) -> frozenset[str]:
        now = self._clock.now()
        return await self._reader.run(lambda rows: _tags_in_grants(rows, scope, tags, now))

    @command
    def move_node(self, tx: Tx, scope: Scope, node: NodeId, address: str) -> Node:
        before = load_node(tx, scope, node)
        if before.address == address:
            return before
        tx.execute("UPDATE node SET address = ?, version = version + 1 WHERE no = ?", address, before.no)
        self._chain.write(tx, scope, "node.move", node, {"from": before.address, "to": address})
        return load_node(tx, scope, node)

    @command
    def renew_keys(self, tx: Tx, node: NodeId, generation: int) -> Node:
        row = tx.fetch_one("SELECT * FROM node WHERE id = ?", node)
        if row is None:
            raise NotFound(f"there is no node {node}")
        if row["generation"] < generation:
            tx.execute("UPDATE node SET generation = ?, version = version + 1 WHERE no = ?", generation, row["no"])
            by = hub_scope(row["org"])
            self._chain.write(tx, by, "node.rekeyed", node, {"from": row["generation"], "to": generation})
            record_event(tx, new_event("node_rekeyed", tx.now, {"generation": generation}, node=node, name=row["name"], org=row["org"]))
        return NODES.read(tx.fetch_all("SELECT * FROM node WHERE id = ?", node)[0])

    @command
    def delete_node(self, tx: Tx, scope: Scope, node: NodeId, event: Event | None = None) -> None:
        """Delete the node from the control database. `sweep` removes its samples later, so the caller need not wait for that."""
        if not is_deleted(tx, scope, node):
            delete_loaded(tx, self._chain, scope, load_node(tx, scope, node), self._also_delete, event)

    async def sweep(self) -> None:
        async with self._sweeping:
            graves = await self._reader.run(lambda rows: rows.fetch_all("SELECT no FROM node_grave WHERE samples_dropped = 0"))
            for no in [grave["no"] for grave in graves]:
                await self._metrics.drop_node(no)
                await self._writer.run(partial(_note_dropped, no))

    @command
    def audit_journal(self, tx: Tx, scope: Scope, node: NodeId, unit: str) -> None:
        load_node(tx, scope, node)
        self._chain.write(tx, scope, "journal.read", node, {"unit": unit})

    @command
    def save_identity(
        self, tx: Tx, session: Session, identity: NodeIdentity, agent_version: str, policy: NodePolicy, reboot_required: str, at: float
    ) -> Node:
        check_session(tx, session)
        fields = (record_to_json(identity), agent_version, record_to_json(policy), reboot_required)
        note_policy(tx, session, policy)
        note_reboot(tx, session, reboot_required)
        tx.execute(
            "UPDATE node SET identity = ?1, agent_version = ?2, policy = ?3, reboot_required = ?4, version = version + 1,"
            " reboot_since = CASE WHEN ?4 = 'yes' THEN coalesce(reboot_since, ?6) END"
            " WHERE no = ?5 AND (identity, agent_version, coalesce(policy, ''), reboot_required) <> (?1, ?2, ?3, ?4)",
            *(*fields, session.no, tx.now),
        )
        tx.execute("UPDATE node SET last_seen_at = ? WHERE no = ? AND coalesce(last_seen_at, 0) < ?", at, session.no, at)
        _call_by_hostname(tx, _of_session(tx, session), identity.hostname)
        return _of_session(tx, session)

    @command
    def save_updates(self, tx: Tx, session: Session, updates: NodeUpdates) -> Node:
        check_session(tx, session)
        note_updates(tx, session, updates)
        # An unknown count leaves `security_since` unchanged: a repository that does not answer must not move that time.
        tx.execute(
            "UPDATE node SET updates = ?1, version = version + 1, security_since ="
            " CASE WHEN CAST(?3 AS INTEGER) IS NULL THEN security_since WHEN ?3 > 0 THEN coalesce(security_since, ?4) END"
            " WHERE no = ?2 AND updates <> ?1",
            *(record_to_json(updates), session.no, updates.security, tx.now),
        )
        return _of_session(tx, session)

    @command
    def save_seen(self, tx: Tx, seen: Mapping[NodeId, float]) -> None:
        for node, at in seen.items():
            tx.execute("UPDATE node SET last_seen_at = ? WHERE id = ? AND coalesce(last_seen_at, 0) < ?", at, node, at)


def _note_dropped(no: int, tx: Tx) -> None:
    tx.execute("UPDATE node_grave SET samples_dropped = 1 WHERE no = ?", no)


def _call_by_hostname(tx: Tx, node: Node, hostname: str) -> None:
    """Name an adopted node after its host, if the node has no other name yet, and the host's name is free."""
    if node.name != adopted_name(node.id) or not hostname:
        return
    taken = tx.fetch_one("SELECT 1 FROM node WHERE org = ? AND name_key = ?", node.org, fold(hostname))
    if taken is None:
        tx.execute("UPDATE node SET name = ?, name_key = ?, version = version + 1 WHERE no = ?", hostname, fold(hostname), node.no)


def _refuse_taken_name(tx: Tx, scope: Scope, node: NodeId, name: str) -> None:
    same = "SELECT 1 FROM node WHERE org = ? AND name_key = ? AND id <> ?"
    if tx.fetch_one(same, scope.org, fold(name), node) is None:
        return
    if tx.fetch_one(same + admitted(scope), scope.org, fold(name), node, *grant_values(scope)) is None:
        raise Conflict("this name cannot be given: choose another one", field="name")  # the caller may not learn which node has the name
    raise Conflict(f"there is a node named {name} already", field="name")


def _tags_in_grants(rows: Rows, scope: Scope, tags: Collection[str], now: float) -> frozenset[str]:
    """The tags among these that appear in the grants of a user or of a valid token. Disabled users count, since they may be enabled again."""
    if not tags:
        return frozenset()
    return frozenset(row["tag"] for row in rows.fetch_all(_GRANTING, scope.org, scope.org, now, json.dumps(sorted(tags))))


def insert_node(tx: Tx, scope: Scope, node: NewNode) -> None:
    """Insert the row of a node whose id and name are free.

    Raises: QuotaReached: the organisation may have no more nodes.
    """
    row = tx.fetch_one("SELECT node_quota FROM organisation WHERE no = ? AND node_quota IS NOT NULL", scope.org)
    if row is not None and tx.fetch_all("SELECT count(*) AS n FROM node WHERE org = ?", scope.org)[0]["n"] >= row["node_quota"]:
        raise QuotaReached(f"this organisation may have {row['node_quota']} nodes, and has them", quota=row["node_quota"])
    tx.execute(
        "INSERT INTO node (org, id, name, name_key, address, tags, generation, pending, simulated, identity, agent_version,"
        " updates, reboot_required, created_at, version, made) VALUES (?, ?, ?, ?, ?, ?, 1, 1, ?, ?, '', ?, 'unknown', ?, 1, ?)",
        *(scope.org, node.id, node.name, fold(node.name), node.address, to_json(node.tags), node.simulated),
        *(record_to_json(NodeIdentity()), record_to_json(NodeUpdates()), tx.now, digest(scope.org, node)),
    )


def load_node(rows: Rows, scope: Scope, node: NodeId) -> Node:
    """A node that the caller may see.

    Raises: NotFound.
    """
    row = rows.fetch_one(_NODE + "WHERE org = ? AND id = ?" + admitted(scope), scope.org, node, *grant_values(scope))
    if row is None:
        raise NotFound(f"there is no node {node}")
    return NODES.read(row)


def is_deleted(rows: Rows, scope: Scope, node: NodeId) -> bool:
    """Whether the organisation had a node of this id, which was deleted."""
    return rows.fetch_one("SELECT 1 FROM node_grave WHERE id = ? AND org = ?", node, scope.org) is not None


def delete_loaded(tx: Tx, chain: Chain, scope: Scope, node: Node, also: AlsoDelete, event: Event | None = None) -> None:
    """Delete a node with its jobs (`also`) and credentials, and leave a tombstone. `event`: is stored instead of `node_removed`."""
    also(tx, node.no)
    shred(tx, scope.org, "credential", node.id)
    tx.execute("DELETE FROM node WHERE no = ?", node.no)
    tx.execute("INSERT INTO node_grave VALUES (?, ?, ?, ?, 0)", node.id, scope.org, node.no, tx.now)
    chain.write(tx, scope, "node.delete", node.id, {"name": node.name, "address": node.address})
    if event is not None:
        record_event(tx, event)
    elif not node.pending:
        facts: dict[str, object] = {"node": node.id, "address": node.address, "by": scope.actor.name}
        record_event(tx, new_event("node_removed", tx.now, facts, name=node.name, org=scope.org))


def _of_session(rows: Rows, session: Session) -> Node:
    return NODES.read(rows.fetch_all("SELECT * FROM node WHERE no = ?", session.no)[0])


NODES: Final = Columns(
    Node, "node", {"security_since_at": "security_since", "reboot_since_at": "reboot_since"},
    damaged={"tags": (), "identity": NodeIdentity(), "policy": None, "updates": NodeUpdates()}, apart=("damaged",), node="id",
)  # fmt: skip
"""The node sends most of its damaged parts again when it connects."""
