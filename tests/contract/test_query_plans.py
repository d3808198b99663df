"""Every statement of a list or a sweep finds its rows by an index: none reads a whole table that grows, and no list sorts what it then cuts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

import groundcontrol
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx, Value
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.alerts.store import AlertFilter
from groundcontrol.core.scope import Grants
from groundcontrol.events.model import EventFilter
from groundcontrol.jobs.model import JobFilter
from groundcontrol.notifications.store import DeliveryFilter
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, connect, new_event, new_job, new_node
from tests.support.store_backend import Backend

GROWING = ("alert", "incident", "event", "audit", "refusal", "job", "deployment", "delivery", "event_reported", "log_line", "job_output")
COUNTS = ("SELECT org, node_id, count(*)", "SELECT coalesce(max(no) - min(no)", "SELECT count(*)", "SELECT max(at)")
"""Counts for limits: they read an index alone, at most once an hour, on a reading thread."""


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Sequence[Value], list[str]]]:
    """Every statement that runs, with its values and plan."""
    found: list[tuple[str, Sequence[Value], list[str]]] = []
    fetch_all, execute = Rows.fetch_all, Tx.execute

    def plan(rows: Rows, sql: str, values: Sequence[Value]) -> None:
        if sql.lstrip().split(" ", 1)[0] in ("SELECT", "DELETE", "UPDATE", "WITH"):
            found.append((sql, values, [row["detail"] for row in fetch_all(rows, "EXPLAIN QUERY PLAN " + sql, *values)]))

    def fetched(self: Rows, sql: str, *values: Value) -> object:
        plan(self, sql, values)
        return fetch_all(self, sql, *values)

    def executed(self: Tx, sql: str, *values: Value) -> int:
        plan(self, sql, values)
        return execute(self, sql, *values)

    monkeypatch.setattr(Rows, "fetch_all", fetched)
    monkeypatch.setattr(Tx, "execute", executed)
    return found


PARTIAL = {
    name
    for path in Path(groundcontrol.__file__).parent.joinpath("adapters/sqlite/migrations").glob("*/sqlite.sql")
    for name in re.findall(r"CREATE (?:UNIQUE )?INDEX (\w+) ON [^;]+ WHERE ", path.read_text())
}
"""Indexes of few rows, such as those of open jobs: they may be read whole."""


def faults(statements: Sequence[tuple[str, Sequence[Value], list[str]]]) -> list[str]:
    bad = []
    for sql, _, plan in statements:
        for line in plan:
            table = re.match(r"SCAN (\w+)", line)
            scans = table is not None and table[1] in GROWING and not (sql.startswith(COUNTS) and "COVERING INDEX" in line)
            used = re.search(r"INDEX (\w+)", line)
            scans = scans and not (used is not None and used[1] in PARTIAL)
            in_order = re.search(r"USING (?:COVERING )?INDEX", line) is not None and " LIMIT " in sql
            if scans and not in_order and "INTEGER PRIMARY KEY" not in line:
                bad.append(f"{line}: {sql}")
            if line == "USE TEMP B-TREE FOR ORDER BY" and sql.rstrip().endswith("ORDER BY no DESC LIMIT ?"):
                bad.append(f"{line}: {sql}")
    return bad


async def test_lists_and_sweeps_use_indexes(
    backend: Backend, clock: ManualClock, statements: list[tuple[str, Sequence[Value], list[str]]]
) -> None:
    store: Store = backend.store
    node = (await store.nodes.create_node(SCOPE, new_node())).id
    session = await connect(store, node)
    await store.jobs.create_job(SCOPE, new_job(node, clock.now()), None)
    await store.log.add_event(new_event(clock.now(), node))
    limited = SCOPE._replace(grants=(Grants(tags=("web",)),))
    statements.clear()
    for scope in (SCOPE, limited):
        for only in (AlertFilter(), AlertFilter(state="firing"), AlertFilter(state="resolved"), AlertFilter(node=node)):
            await store.alerts.alerts(scope, 50, None, only)
        for state in ("", "open", "resolved"):
            await store.alerts.incidents(scope, 50, None, state)
        await store.log.events(scope, 50)
        await store.log.events(scope, 50, node=node)
        await store.log.events(scope, 50, only=EventFilter(severities=("error",)))
        await store.jobs.jobs(scope, 50, None)
        await store.jobs.jobs(scope, 50, None, node, JobFilter(("queued",)))
        await store.deployments.deployments(scope, 50)
        await store.deliveries.deliveries(scope, 50, None, DeliveryFilter())
        await store.nodes.nodes(scope, 50)
    assert faults(statements) == []
    statements.clear()
    await store.alerts.expire_alerts(clock.now())
    await store.log.expire_events(clock.now())
    await store.log.expire_refusals(clock.now())
    await store.deployments.expire(clock.now())
    await store.jobs.any_open()
    await store.jobs.overdue(clock.now())
    await store.jobs.waiting()
    await store.jobs.stopping()
    await store.jobs.take(None, [session], clock.now())
    assert faults(statements) == []
