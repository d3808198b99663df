"""Every statement of the control stores on a real PostgreSQL, which prepares it. Nothing is served from PostgreSQL yet.

The statements are the constants of the stores, and those that the race cases run. Both lists may only shrink: statements that PostgreSQL still
refuses, and functions that make a statement which no race case runs.
"""

from __future__ import annotations

import ast
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest

from groundcontrol.adapters.sqlite.admin.migrate import CONTROL, make_database
from groundcontrol.adapters.sqlite.engine.dialect import POSTGRES_FUNCTIONS, to_postgres
from groundcontrol.adapters.sqlite.engine.organisation import owned_tables
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.alerts.model import IncidentId, RuleId
from groundcontrol.core.ids import EventId
from groundcontrol.jobs.model import JobFilter
from groundcontrol.notifications.model import DeliveryId
from groundcontrol.rollouts.model import RolloutId
from spider.wire.ids import new_time_id
from tests.support.case_files import case_files
from tests.support.factories import SCOPE, new_batch, new_event
from tests.support.postgres import postgres
from tests.support.postgres_lists import REFUSED, UNREACHED
from tests.support.race_cases import Ground
from tests.support.store_backend import Backend

STORES: Final = Path("groundcontrol/adapters/sqlite")
SAMPLES: Final = {
    "backfill", "chunks", "compaction", "exports", "expiry", "hot_packs", "node_logs", "process_history", "samples", "windows",
}  # fmt: skip
"""Stores of samples, which get an adapter of their own."""
METHODS: Final = ("fetch_all", "fetch_one", "execute", "execute_many")
SWEEPS: Final = {"SELECT chain, n FROM audit ORDER BY rowid DESC LIMIT 1"}
"""Statements of commands of an organisation that look at every row: the audit log's newest row says whether this process has begun a chain."""
ONE_ROW: Final = re.compile(r"\borg = |^INSERT|WHERE (?:\w+\.)?(?:id|no|node|batch|account|chain|hash) = ")
"""How a statement says which rows it means: by their organisation, or by a key of one row or object."""
_TYPES: Final = {"INTEGER": "bigint", "TEXT": "text", "REAL": "double precision", "BLOB": "bytea", "ANY": "text"}


def is_control(path: Path) -> bool:
    return path.parent.name == "sqlite" and path.stem not in {*SAMPLES, "database", "json_columns"}


def sites() -> Iterator[tuple[str, str | None]]:
    """(`<file>:<function>`, statement) of each call; None: the statement is known only when it runs."""

    def below(node: ast.AST, names: tuple[str, ...], module: Any) -> Iterator[tuple[str, str | None]]:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            yield f"{module.__name__.rpartition('.')[2]}:{'.'.join(names)}", _text(node.args[0], vars(module))
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for child in ast.iter_child_nodes(node):
            yield from below(child, (*names, node.name) if named else names, module)  # type: ignore[attr-defined]

    for path in sorted(STORES.glob("*.py")):
        if is_control(path):
            yield from below(ast.parse(path.read_text()), (), import_module(".".join(path.with_suffix("").parts)))


def _text(node: ast.AST, names: dict[str, Any]) -> str | None:
    """The text of an expression of constants; None: it has other parts."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return found if isinstance(found := names.get(name), str) else None
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return _text(value, names)
        case ast.JoinedStr(values=parts):
            texts = [_text(part, names) for part in parts]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            texts = [_text(left, names), _text(right, names)]
        case _:
            return None
    return None if None in texts else "".join(text or "" for text in texts)


def schema(folder: Path) -> str:
    """The control database's tables for PostgreSQL."""
    make_database(folder / "control.db", CONTROL)
    with closing(sqlite3.connect(folder / "control.db")) as db:
        made = [
            sql
            for (sql,) in db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' ORDER BY type DESC")
        ]
    return POSTGRES_FUNCTIONS + "".join(f"{_translated(sql)};\n" for sql in made)


def _translated(sql: str) -> str:
    sql = re.sub(r"--[^\n]*", "", sql)
    sql = re.sub(r"\)\s*(STRICT|WITHOUT ROWID)(,\s*(STRICT|WITHOUT ROWID))*\s*$", ")", sql)
    sql = re.sub(r",\s*FOREIGN KEY \([^)]*\)(?= REFERENCES)|\s*REFERENCES \w+ ?\([^)]*\)( ON DELETE (CASCADE|SET NULL))?", "", sql)
    sql = re.sub(r"\bINTEGER PRIMARY KEY( AUTOINCREMENT)?", "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY", sql)
    return re.sub(r"\b(INTEGER|TEXT|REAL|BLOB|ANY)\b", lambda found: _TYPES[found.group()], sql)


def _empty(tx: Tx) -> None:
    """Delete what a case made. A database of its own would cost more than the case."""
    tx.execute("PRAGMA defer_foreign_keys = ON")
    for row in tx.fetch_all(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT IN ('fact', 'keyring')"
    ):
        tx.execute(f"DELETE FROM {row['name']}" + (" WHERE no > 1" if row["name"] == "organisation" else ""))


@pytest.fixture
def owned(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The statements of commands that act for an organisation."""
    found = set[str]()
    fetch, execute = Rows.fetch_all, Tx.execute

    def noted(rows: Rows, sql: str) -> str:
        if isinstance(rows, Tx) and rows._acting.org is not None:
            found.add(sql)
        return sql

    monkeypatch.setattr(Rows, "fetch_all", lambda self, sql, *values: fetch(self, noted(self, sql), *values))
    monkeypatch.setattr(Tx, "execute", lambda self, sql, *values: execute(self, noted(self, sql), *values))
    return found


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Statement -> the functions that ran it."""
    found: dict[str, set[str]] = {}

    def watched(method: Callable[..., Any]) -> Callable[..., Any]:
        def run(self: Rows, sql: str, *values: Any) -> Any:
            frame: Any = sys._getframe(1)
            while frame.f_code.co_filename.endswith(("engine/tx.py", "engine/reader.py")) or frame.f_code.co_filename == __file__:
                frame = frame.f_back
            path = Path(frame.f_code.co_filename)
            if is_control(path):
                name = re.sub(r"\.?<(locals|lambda|listcomp|dictcomp|setcomp|genexpr)>", "", frame.f_code.co_qualname)
                found.setdefault(sql, set()).add(f"{path.stem}:{name}")
            return method(self, sql, *values)

        return run

    for kind, method in ((Rows, "fetch_all"), (Tx, "execute"), (Tx, "execute_many")):
        monkeypatch.setattr(kind, method, watched(getattr(kind, method)))
    return found


async def _read(ground: Ground) -> None:
    """Calls of reading functions that no race case needs."""
    store, now, node = ground.store, ground.now, (await ground.node()).id
    some, since = new_time_id(now), now - 3600
    await store.alerts.alerts_of(SCOPE, [IncidentId(some)], 5)
    await store.alerts.ended_since(1, since)
    await store.deliveries.last_notified(1, RuleId(some), node, since)
    await store.alerts.expire_alerts(since)
    made = await store.batches.create_batch(SCOPE, new_batch([node], now), "a key")
    await store.batches.batches(SCOPE, 5)
    await store.batches.batch(SCOPE, made.id)
    await store.batches.jobs_of(SCOPE, made.id)
    await store.jobs.waiting()
    await store.deliveries.attempts(SCOPE, [DeliveryId(some)])
    await store.deliveries.event_to_send(1, EventId(some))
    await store.deliveries.held(1, "quiet_hours")
    for number in range(2):
        await store.log.add_event(new_event(now + number, node)._replace(window_s=600.0))
    await store.log.count_events(SCOPE, now)
    await store.log.events_of(SCOPE, [node], (since, now), 5, without=(), fleet=True)
    await store.log.events_of(SCOPE, [node], (since, now), 5, without=(), fleet=True, types=("node_online",))
    await store.jobs.jobs(SCOPE, 5, only=JobFilter(changed_between=(since, now)))
    await store.rollouts.targeting(SCOPE, node, [RolloutId(some)])
    await store.log.find_event(SCOPE, EventId(some))
    await store.expectations.missed_days(date(2026, 1, 1))
    await store.expectations.was_reported(SCOPE, "backup")
    await store.tables.updates(SCOPE, 5)
    await store.tables.updates_of(SCOPE, "bash", 5)
    await store.oidc.belongs_somewhere((await ground.user()).id, "company")
    await store.orders.orders(SCOPE, [made.id])
    await store.orders.subjects(SCOPE, [made.id])
    await store.policies.last_event(1, node, "backup")
    await store.policies.last_patched(SCOPE)
    await store.policies.work_times(SCOPE, [node])
    await store.policies.node_updates(SCOPE)
    await store.rules.of_every_org()
    await store.rules.page(SCOPE, 5)
    await store.rollouts.patched_by(SCOPE)
    await store.rollouts.reboots_by_policy(1, [node])


@pytest.mark.holds("SAFETY-108")
async def test_t5_control_statements_name_their_organisation_and_postgresql_prepares_them(
    backend: Backend, seen: dict[str, set[str]], owned: set[str], tmp_path: Path
) -> None:
    """Nothing below the statements guards what a command reads (`engine/organisation.py`), so each of them is looked at here."""
    for case in (case for file in case_files("race") for case in file.CASES.values()):
        race = await case(Ground(backend))
        await race.act()
        await race.held()
        await backend.database._control.writer.run(_empty)
    await _read(Ground(backend))
    tables = await backend.database._control.writer._thread.run(owned_tables)
    touches = re.compile(rf"(?:FROM|JOIN|UPDATE|INTO) (?:{'|'.join(tables)})\b")
    assert {sql for sql in owned if touches.search(sql) and not ONE_ROW.search(sql)} == SWEEPS
    assert len(owned) > 100
    run = {site for of in seen.values() for site in of}
    unknown = {site for site, sql in sites() if sql is None and site not in run}
    for site, sql in sites():
        if sql is not None:
            seen.setdefault(sql, set()).add(site)
    statements = {sql: to_postgres(sql) for sql in seen}
    with postgres() as server:
        assert server.run(schema(tmp_path)) == ""
        refusals = server.refusals(sorted(set(statements.values())))
    refused = Counter(f"{min(seen[sql])}: {refusals[text]}" for sql, text in statements.items() if text in refusals)
    assert sorted(refused - Counter(REFUSED)) == [], "write the statement for both engines: dialect.py"
    assert sorted(unknown - set(UNREACHED)) == [], "let a race case or `_read` run the statement"
    assert (sorted(Counter(REFUSED) - refused), sorted(set(UNREACHED) - unknown)) == ([], []), "take them off the lists"
