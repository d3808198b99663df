"""The table of maintenance windows. A job or deployment opens its window in the transaction that starts it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.columns import Columns
from groundcontrol.adapters.sqlite.engine.methods import command
from groundcontrol.adapters.sqlite.engine.tx import Row, Tx
from groundcontrol.adapters.sqlite.events import record_event
from groundcontrol.core.errors import Conflict, NotFound, StoreError
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.events.making import new_event
from groundcontrol.schedules.maintenance import COVERED, MOST_WINDOWS, AutomaticWindow, Origin, Window, latest_end
from groundcontrol.schedules.maintenance_store import MaintenanceStore
from groundcontrol.schedules.model import MaintenanceId, Selector

_KEEP_S: Final = 7 * 86_400.0
"""How long an ended window stays in the list."""
_OVER: Final = "coalesce(closed_at, until_at, 9e99)"
_EXPIRE: Final = f"DELETE FROM maintenance WHERE org = ? AND {_OVER} < ?"  # noqa: S608  words of our own
_COUNT: Final = f"SELECT count(*) AS n FROM maintenance WHERE org = ? AND origin = 'user' AND {_OVER} > ?"  # noqa: S608  words of our own
_LIST: Final = f"SELECT * FROM maintenance WHERE org = ? AND {_OVER} > ? ORDER BY created_at DESC, id"  # noqa: S608  words of our own
_OPEN: Final = "SELECT * FROM maintenance WHERE closed_at IS NULL AND coalesce(until_at, 9e99) > ?"
_ENDED: Final = "SELECT * FROM maintenance WHERE closed_at IS NULL AND opened_until <= ?"
_AUTOMATIC: Final = (
    "SELECT m.*, (job.id IS NULL AND deployment.id IS NULL) OR node.id IS NULL AS gone, coalesce(job.ended_at, deployment.ended_at) AS ended_at"
    " FROM maintenance AS m LEFT JOIN job ON m.origin = 'job' AND job.org = m.org AND job.id = m.id LEFT JOIN deployment"
    " ON m.origin = 'deployment' AND deployment.org = m.org AND deployment.id = m.id"
    " LEFT JOIN node ON node.id = CASE WHEN json_valid(m.selector) THEN json_extract(m.selector, '$.nodes[0]') END"
    " WHERE m.closed_at IS NULL AND m.origin <> 'user'"
)

WINDOWS: Final = Columns(Window, "maintenance", {"select": "selector"})


@serves("maintenance", MaintenanceStore)
class SqliteMaintenance(ControlStore):
    @command
    def create_window(self, tx: Tx, scope: Scope, window: Window) -> Window:
        known = tx.fetch_one("SELECT * FROM maintenance WHERE org = ? AND id = ?", scope.org, window.id)
        if known is not None:
            if WINDOWS.read(known) != window._replace(org=scope.org):
                raise Conflict("this id of a window was used before")
            return WINDOWS.read(known)
        tx.execute(_EXPIRE, scope.org, tx.now - _KEEP_S)
        count = tx.fetch_all(_COUNT, scope.org, tx.now)
        if count[0]["n"] >= MOST_WINDOWS:
            raise Conflict(f"there are {MOST_WINDOWS} maintenance windows: end some first")
        tx.execute(WINDOWS.insertion(), *WINDOWS.values(window._replace(org=scope.org)))
        detail = {"select": window.select, "from_at": window.from_at, "until_at": window.until_at, "weekly": window.weekly}
        self._chain.write(tx, scope, "maintenance.create", window.id, detail)
        return window._replace(org=scope.org)

    async def window(self, scope: Scope, window: MaintenanceId) -> Window:
        row = await self._reader.run(lambda rows: rows.fetch_one("SELECT * FROM maintenance WHERE org = ? AND id = ?", scope.org, window))
        if row is None:
            raise NotFound("there is no such maintenance window")
        return WINDOWS.read(row)

    async def windows(self, scope: Scope) -> Sequence[Window]:
        since = self._clock.now() - _KEEP_S
        return WINDOWS.readable(await self._reader.run(lambda rows: rows.fetch_all(_LIST, scope.org, since)))

    async def open_windows(self) -> Sequence[Window]:
        now = self._clock.now()
        return WINDOWS.readable(await self._reader.run(lambda rows: rows.fetch_all(_OPEN, now)))

    async def automatic(self) -> Sequence[AutomaticWindow]:
        return [
            AutomaticWindow(window, window.select.nodes[0], bool(row["gone"]), row["ended_at"])
            for row in await self._reader.run(lambda rows: rows.fetch_all(_AUTOMATIC))
            if (window := WINDOWS.or_none(row)) is not None and window.select.nodes
        ]

    @command
    def end_window(self, tx: Tx, scope: Scope, window: MaintenanceId) -> None:
        row = tx.fetch_one("SELECT * FROM maintenance WHERE org = ? AND id = ?", scope.org, window)
        if row is None:
            raise NotFound("there is no such maintenance window")
        if row["closed_at"] is None:
            tx.execute("UPDATE maintenance SET closed_at = ? WHERE org = ? AND id = ?", tx.now, scope.org, window)
            _record_end(tx, row, tx.now)
            self._chain.write(tx, scope, "maintenance.end", window, {"origin": row["origin"], "reason": row["reason"]})

    @command
    def end_automatic(self, tx: Tx, org: int, window: MaintenanceId, *, ended_at: float | None, overran: bool) -> bool:
        row = tx.fetch_one(_AUTOMATIC + " AND m.org = ? AND m.id = ?", org, window)
        if row is None or row["ended_at"] != ended_at:
            return False
        tx.execute("UPDATE maintenance SET closed_at = ? WHERE org = ? AND id = ?", tx.now, org, window)
        tx.execute(_EXPIRE, org, tx.now - _KEEP_S)
        if overran:
            _record(tx, WINDOWS.read(row), "maintenance_overran", tx.now)
        _record_end(tx, row, tx.now)
        return True

    @command
    def record_begin(self, tx: Tx, window: Window, from_at: float, until_at: float) -> None:
        new = tx.execute(
            "UPDATE maintenance SET opened_at = ?, opened_until = ? WHERE org = ? AND id = ? AND opened_at IS NULL AND closed_at IS NULL",
            *(from_at, until_at, window.org, window.id),
        )
        if new:
            _record(tx, window, "maintenance_opened", from_at)

    async def record_ends(self) -> None:
        now = self._clock.now()
        if await self._reader.run(lambda rows: rows.fetch_one(_ENDED, now)) is None:
            return

        def command(tx: Tx) -> None:
            for row in tx.fetch_all(_ENDED, tx.now):
                _record_end(tx, row, row["opened_until"])

        await self._writer.run(command)


def open_for(tx: Tx, org: int, node: NodeId, origin: Origin, source: str, reason: str, by: str) -> None:
    """Open a window for the node of a job or deployment, within the command that starts it. An open window stays. If the job or
    deployment starts again, its ended window opens again. A job that covers nothing (`COVERED`) has none."""
    if origin == "job" and reason not in COVERED:
        return
    found = tx.fetch_one("SELECT closed_at FROM maintenance WHERE org = ? AND id = ?", org, source)
    if found is not None and found["closed_at"] is None:
        return
    tx.execute("DELETE FROM maintenance WHERE org = ? AND id = ?", org, source)
    until = latest_end(tx.now)
    window = Window(MaintenanceId(source), org, Selector(nodes=(node,)), tx.now, until, reason, origin, by, tx.now)
    tx.execute(WINDOWS.insertion(), *WINDOWS.values(window))
    tx.execute("UPDATE maintenance SET opened_at = ?, opened_until = ? WHERE org = ? AND id = ?", tx.now, until, org, source)
    _record(tx, window, "maintenance_opened", tx.now)


def _record_end(tx: Tx, row: Row, at: float) -> None:
    """Record that an occurrence of a window ended at this time (Unix seconds), if its start was recorded."""
    if row["opened_at"] is None:
        return
    tx.execute("UPDATE maintenance SET opened_at = NULL, opened_until = NULL WHERE org = ? AND id = ?", row["org"], row["id"])
    with contextlib.suppress(StoreError):  # a damaged window, which the doctor reports
        _record(tx, WINDOWS.read(row), "maintenance_closed", at)


def _record(tx: Tx, window: Window, kind: str, at: float) -> None:
    """Record an event of a window. If the window selects a single node by its id, the event belongs to that node."""
    details: dict[str, object] = {"maintenance": window.id, "origin": window.origin, "reason": window.reason or "planned work"}
    select = window.select
    node = select.nodes[0] if len(select.nodes) == 1 and not select.tags and not select.all else None
    found = None if node is None else tx.fetch_one("SELECT name FROM node WHERE org = ? AND id = ?", window.org, node)
    name = _servers(select) if found is None else found["name"]
    record_event(tx, new_event(kind, at, details, node=node, name=name, org=window.org, received_at=tx.now))


def _servers(select: Selector) -> str:
    """The selected servers, for the text of an event."""
    if select.all:
        return "all servers"
    count = len(select.nodes)
    named = f"{count} server{'s' * (count > 1)}" if count else ""
    tagged = f"servers with the tag {' or '.join(select.tags)}" if select.tags else ""
    return " and ".join(filter(None, (named, tagged)))
