"""Hub processes, leases, and the session that owns a node."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.facts import save_fact
from groundcontrol.adapters.sqlite.engine.methods import command
from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.adapters.sqlite.events import record_event
from groundcontrol.adapters.sqlite.node_sessions import node_scope
from groundcontrol.agents.store import HubInfo, HubStore, Lease, SessionStore
from groundcontrol.core.errors import NotFound
from groundcontrol.core.ids import BootId, EventId, HubId, NodeId
from groundcontrol.events.making import hub_event, new_event
from groundcontrol.nodes.model import Session


def unused_epoch(now: float) -> int:
    """An epoch (number of a session) that no earlier session of a node has had, even if the hub has lost its data. `now`: Unix seconds.

    A node may store data under the epoch of an old session, so no new session may have that epoch. An epoch grows by one with each
    session, and time grows faster.
    """
    return max(1, int(now))


@serves("hubs", HubStore)
class SqliteHubs(ControlStore):
    @command
    def beat(self, tx: Tx, hub: HubId, info: HubInfo, ttl_s: float) -> Sequence[HubInfo]:
        if tx.fetch_one("SELECT 1 FROM hub WHERE id = ?", hub) is None:  # the event has the hub's id, so each process has only one
            record_event(tx, hub_event("hub_started", tx.now, {"version": info.version})._replace(id=EventId(hub)))
        tx.execute("DELETE FROM hub WHERE alive_until <= ?", tx.now)
        tx.execute(
            "INSERT INTO hub VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
            " SET address = excluded.address, version = excluded.version, alive_until = excluded.alive_until",
            *(hub, info.address, info.version, tx.now + ttl_s),
        )
        return [HubInfo(HubId(row["id"]), row["address"], row["version"]) for row in tx.fetch_all("SELECT * FROM hub ORDER BY id")]

    @command
    def ship_agent(self, tx: Tx, version: str) -> float:
        facts = {row["name"]: row["value"] for row in tx.fetch_all("SELECT name, value FROM fact WHERE name IN ('ships', 'ships_since')")}
        if facts.get("ships") == version:
            return float(facts["ships_since"])
        save_fact(tx, "ships", version)
        save_fact(tx, "ships_since", tx.now)
        return tx.now

    @command
    def lease(self, tx: Tx, task: str, hub: HubId, ttl_s: float) -> Lease | None:
        row = tx.fetch_one("SELECT hub, token, until FROM lease WHERE task = ?", task)
        mine = row is not None and row["hub"] == hub and row["until"] > tx.now
        if row is not None and row["until"] > tx.now and not mine:
            return None
        token = 1 if row is None else row["token"] + (0 if mine else 1)
        tx.execute(
            "INSERT INTO lease VALUES (?, ?, ?, ?) ON CONFLICT (task) DO UPDATE SET hub = excluded.hub, token = excluded.token, until = excluded.until",
            task,
            hub,
            token,
            tx.now + ttl_s,
        )
        return Lease(task, hub, token)


_DEAD: Final = "s.hub <> ? AND NOT EXISTS (SELECT 1 FROM hub WHERE hub.id = s.hub AND hub.alive_until > ?)"
"""The condition for a session `s` whose hub ended without releasing it."""


@serves("sessions", SessionStore, urgent=True)
class SqliteSessions(ControlStore):
    @command
    def claim(self, tx: Tx, node: NodeId, boot: BootId, hub: HubId) -> Session:
        row = tx.fetch_one("SELECT no, org, name, address, pending FROM node WHERE id = ?", node)
        if row is None:
            raise NotFound(f"there is no node {node}")
        epoch = tx.fetch_all(
            "INSERT INTO node_session VALUES (?, ?, ?, ?, ?) ON CONFLICT (node) DO UPDATE"
            " SET epoch = node_session.epoch + 1, hub = excluded.hub, boot = excluded.boot, claimed_at = excluded.claimed_at RETURNING epoch",
            *(row["no"], unused_epoch(tx.now), hub, boot, tx.now),
        )[0]["epoch"]
        session = Session(node, row["no"], epoch, hub, boot, row["org"])
        if row["pending"]:
            tx.execute("UPDATE node SET pending = 0, version = version + 1 WHERE no = ?", row["no"])
            self._chain.write(tx, node_scope(session, row["org"]), "node.join", node)
            details: dict[str, object] = {"address": row["address"]}
            record_event(tx, new_event("node_registered", tx.now, details, node=node, name=row["name"], org=row["org"]))
        return session

    async def left_online(self, hub: HubId) -> Collection[NodeId]:
        sql = f"SELECT node.id FROM node_session AS s JOIN node ON node.no = s.node WHERE {_DEAD}"  # noqa: S608 - built from constants only
        found = await self._reader.run(lambda rows: rows.fetch_all(sql, hub, self._clock.now()))
        return frozenset(NodeId(row["id"]) for row in found)

    async def release_dead(self, hub: HubId) -> None:
        await self._writer.run(lambda tx: tx.execute(f"UPDATE node_session AS s SET hub = NULL WHERE {_DEAD}", hub, tx.now))  # noqa: S608 - built from constants only

    @command
    def release(self, tx: Tx, session: Session) -> None:
        tx.execute("UPDATE node_session SET hub = NULL WHERE node = ? AND epoch = ? AND hub = ?", session.no, session.epoch, session.hub)
