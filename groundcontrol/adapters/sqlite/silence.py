"""The stages of silent nodes, and the absences of the hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.methods import command
from groundcontrol.adapters.sqlite.engine.tx import Row, Tx
from groundcontrol.adapters.sqlite.events import record_event
from groundcontrol.core.ids import NodeId
from groundcontrol.events.making import hub_event, new_event
from groundcontrol.schedules.silence import Absence, KnownNode, Stage, stages_after
from groundcontrol.schedules.silence_store import SilenceStore

AWAY_S: Final = 60.0
"""A shorter absence counts as a restart, and is no event."""
_KEEP: Final = 1000
"""The number of absences that stay stored."""
_NODES: Final = (
    "SELECT node.id, node.org, coalesce(node.last_seen_at, s.claimed_at) AS heard_at, s.epoch, q.stage, coalesce(q.epoch, 0) AS stage_epoch"
    " FROM node JOIN node_session AS s ON s.node = node.no LEFT JOIN node_silence AS q ON q.node = node.no WHERE node.waiting = 0"
)
_NODE: Final = (
    "SELECT node.no, node.org, node.name, s.epoch, s.boot, q.epoch AS stage_epoch, q.stage, q.at AS stage_at, q.silence_s,"
    " q.boot AS stage_boot FROM node JOIN node_session AS s ON s.node = node.no LEFT JOIN node_silence AS q ON q.node = node.no WHERE node.id = ?"
)


def note_absence(tx: Tx) -> None:
    """Record the hub's absence since the last heartbeat of any hub process. Call this in the command that forgets dead hubs.

    The start is up to 20 s late, since `alive_until` is 20 s after a heartbeat.
    """
    row = tx.fetch_one("SELECT max(alive_until) AS until FROM hub")
    if row is not None and row["until"] is not None:
        tx.execute("INSERT INTO hub_absence (from_at, until_at) VALUES (?, ?)", min(row["until"], tx.now), tx.now)
        tx.execute("DELETE FROM hub_absence WHERE no <= (SELECT max(no) FROM hub_absence) - ?", _KEEP)
        if tx.now - row["until"] >= AWAY_S:
            details: dict[str, object] = {"since": row["until"], "until": tx.now, "minutes": max(1, round((tx.now - row["until"]) / 60))}
            record_event(tx, hub_event("hub_was_away", tx.now, details))


def correct_absences(tx: Tx, ahead_s: float) -> None:
    """End absences now that end later than that: the hub started by a clock that was ahead. Args: ahead_s: how far ahead is no fault."""
    tx.execute(
        "UPDATE hub_absence SET until_at = ?, from_at = CASE WHEN from_at > ? THEN ? ELSE from_at END WHERE until_at > ?",
        *(tx.now, tx.now, tx.now, tx.now + ahead_s),
    )


@serves("silence", SilenceStore)
class SqliteSilence(ControlStore):
    async def absences(self) -> Sequence[Absence]:
        found = await self._reader.run(lambda rows: rows.fetch_all("SELECT from_at, until_at FROM hub_absence ORDER BY no"))
        return [Absence(row["from_at"], row["until_at"]) for row in found]

    async def known_nodes(self) -> Sequence[KnownNode]:
        found = await self._reader.run(lambda rows: rows.fetch_all(_NODES))
        return [KnownNode(NodeId(row["id"]), row["heard_at"], row["epoch"], row["stage"], row["stage_epoch"], row["org"]) for row in found]

    @command
    def save_stage(self, tx: Tx, node: KnownNode, stage: Stage, silence_s: float) -> bool:
        row = tx.fetch_one(_NODE, node.id)
        if row is None or row["epoch"] != node.epoch or (row["stage_epoch"] == node.epoch and stage not in stages_after(row["stage"])):
            return False
        tx.execute(
            "INSERT INTO node_silence VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (node) DO UPDATE SET epoch = excluded.epoch, stage = excluded.stage,"
            " silence_s = excluded.silence_s, at = excluded.at, boot = excluded.boot",
            *(row["no"], node.epoch, stage, silence_s, tx.now, row["boot"]),
        )
        minutes = round(silence_s / 60)
        _record(tx, node, row, f"node_{stage}", {"minutes": minutes})
        return True

    @command
    def save_recovery(self, tx: Tx, node: KnownNode) -> bool:
        row = tx.fetch_one(_NODE, node.id)
        if row is None or row["stage"] is None or row["stage_epoch"] >= row["epoch"]:
            return False
        tx.execute("DELETE FROM node_silence WHERE node = ?", row["no"])
        minutes = round((row["silence_s"] + max(0.0, tx.now - row["stage_at"])) / 60)
        why = "network" if row["boot"] == row["stage_boot"] else "reboot"
        _record(tx, node, row, "node_recovered", {"minutes": minutes, "why": why, "stage": row["stage"]})
        return True


def _record(tx: Tx, node: KnownNode, row: Row, kind: str, details: dict[str, object]) -> None:
    record_event(tx, new_event(kind, tx.now, details, node=node.id, name=row["name"], org=row["org"]))
