"""One organisation neither reads nor changes what another one stores, also where a statement forgets the organisation."""

from __future__ import annotations

import inspect
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Final

import pytest

from groundcontrol.adapters.sqlite.control_store import SERVED
from groundcontrol.adapters.sqlite.engine.organisation import OF_ACCOUNTS, acting_for, owned_tables
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.core.errors import StoreError
from groundcontrol.core.scope import NO_ORG, hub_scope
from tests.support.factories import SCOPE, STRANGER, a_token, an_invite, connect, new_batch, new_node
from tests.support.race_cases import Ground
from tests.support.race_cases_alerts import a_window
from tests.support.race_cases_oidc import a_link
from tests.support.race_cases_organisations import second
from tests.support.race_cases_passkeys import a_passkey
from tests.support.race_cases_users import with_factor_of
from tests.support.store_backend import Backend

FOR_THE_HUB: Final[dict[str, str]] = {
    "hubs": "beat lease ship_agent",
    "sessions": "claim left_online release release_dead",
    "nodes": "find_node id_by_number organisations renew_keys save_identity save_seen save_updates sweep",
    "tables": "packages_digest save_events save_packages save_table",
    "metrics": "append begin_session check_chunks compact drop_node expire gaps hot_hours latest merge pending_merges read read_rollups save_schema sizes unreadable window",
    "node_logs": "add_lines lines",
    "process_history": "expire_readings reading save_reading",
    "jobs": "advance any_open append_output cancel_unauthorized expire last_ended move_limits open_jobs output_digest overdue save_plan save_report stopping take unaccepted unfinished waiting",
    "deployments": "expire unfinished_deployments",
    "secrets": "create_keyring credentials keyring secret secrets",
    "users": "clear_attempts create_first_admin lookup_login open_session refresh_session reserve_attempt revoke_session save_password set_up step_up user user_by_name",
    "log": "add_event archive_audit audit_heads expire_events expire_refusals last_audit_at save_refusals verify_audit write_refusal_summary",
    "user_admin": "auth_state instance_admins revoke_others",
    "organisations": "create delete organisation organisations save summaries",
    "memberships": "answer_offer claim_offers end_memberships is_offered join offers_to set_instance_admin",
    "preferences": "edit_preferences",
    "factors": "begin_totp confirm_totp save_recovery_codes stop_totp use_recovery_code use_step",
    "passkeys": "add_passkey passkeys remove_passkey use_passkey",
    "oidc": "account_of add_link belongs_somewhere create_account create_provider delete_provider end_sessions keep_local_admin links needs_provider open_session providers remove_link replace_memberships save_provider session_at_provider",
    "tokens": "token_auth_state touch_token",
    "retention": "retention save_retention",
    "recovery": "adopt_until",
    "invites": "find_invite settle_joining unsettled",
    "maintenance": "automatic open_windows record_begin record_ends",
    "channels": "target",
    "deliveries": "claim correct_times decide expire_deliveries extend finish next_due note_repetition parts usage",
    "expectations": "expire_days first_reports missed_days save_judgements undecided unmet",
    "silence": "absences known_nodes save_recovery save_stage",
    "rollouts": "busy_elsewhere expire_rollouts jobs_of live_rollouts role_reboots",
    "alerts": "commit expire_alerts",
}
"""The methods of each store that act for no organisation: the hub's own tasks, agents' sessions, log-ins, and objects that say whose they are.
Each declared record also has `of_every_org`."""
UNOWNED: Final = frozenset(
    {
        *("fact", "keyring", "hub", "lease", "attempt", "hub_absence", "organisation", "oidc_provider", "audit_pack"),  # of the instance
        *OF_ACCOUNTS,
        *("node_session", "node_silence", "job_output", "job_plan", "job_report"),  # found by the number of an owned row
    }
)
"""Tables without organisation. A new table has the column `org`, or a reason not to."""


def test_t5_methods_without_an_organisation_are_a_closed_list() -> None:
    found = dict[str, str]()
    for name, (kind, _, _) in SERVED.items():
        methods = [
            method
            for method, function in inspect.getmembers(kind, inspect.isfunction)
            if not method.startswith("_")
            and method != "of_every_org"
            and {"scope", "org"}.isdisjoint(inspect.signature(function).parameters)
        ]
        if methods and not name.startswith("_"):
            found[name] = " ".join(methods)
    assert found == FOR_THE_HUB


@pytest.fixture
async def files(backend: Backend) -> tuple[Writer, Reader]:
    """A control database with a node of organisation 1 and one of organisation 2."""
    await backend.store.nodes.create_node(SCOPE, new_node("mine"))
    await backend.store.nodes.create_node(STRANGER, new_node("foreign"))
    return backend.database._control.writer, backend.database._control.reader


async def test_t3_every_table_has_an_organisation_or_a_reason(files: tuple[Writer, Reader]) -> None:
    writer, _ = files
    tables = await writer.run(lambda tx: {str(row["name"]) for row in tx.fetch_all("SELECT name FROM sqlite_schema WHERE type = 'table'")})
    owned = set(await writer._thread.run(owned_tables))
    assert {name for name in tables if not name.startswith("sqlite_")} - owned == UNOWNED


FORGETFUL: Final = (
    "SELECT name FROM node",
    "SELECT n.name FROM node AS n JOIN node AS other ON other.no <> n.no OR other.no = n.no",
    "WITH every AS (SELECT * FROM node) SELECT name FROM every",
    "SELECT name FROM node WHERE EXISTS (SELECT 1 FROM node)",
    "SELECT name FROM node UNION SELECT name FROM node",
    "SELECT name FROM node WHERE org = 1 OR org = 2",
)


async def test_t3_a_query_that_forgets_the_organisation_sees_its_own_rows(files: tuple[Writer, Reader]) -> None:
    _, reader = files
    for sql in FORGETFUL:
        seen = dict[int, set[str]]()
        for org in (1, 2, 3):
            with acting_for(org):
                seen[org] = {row["name"] for row in await reader.fetch_all(sql)}
        assert seen == {1: {"mine"}, 2: {"foreign"}, 3: set()}, sql


AROUND: Final = (
    "SELECT * FROM main.node",
    "SELECT count(*) FROM main.node",
    "SELECT rowid FROM main.node",
    "SELECT name FROM main.node INDEXED BY sqlite_autoindex_node_1",
    "SELECT 1 FROM node JOIN main.node AS every ON true",
    "WITH every AS (SELECT * FROM main.node) SELECT * FROM every",
    "SELECT EXISTS (SELECT 1 FROM main.node)",
    "DROP VIEW temp.node",
    "CREATE TEMP VIEW every AS SELECT * FROM main.node",
    "ATTACH DATABASE ':memory:' AS other",
    "PRAGMA query_only = OFF",
    "SELECT * FROM pragma_table_info('node')",
    "UPDATE node SET name = 'mine'",
)


async def test_t3_no_statement_reaches_the_table_itself(files: tuple[Writer, Reader]) -> None:
    _, reader = files
    for sql in AROUND:
        with acting_for(2), pytest.raises((StoreError, sqlite3.Error)):
            await reader.fetch_all(sql)


async def test_t3_every_owned_table_is_a_view_where_organisations_read(files: tuple[Writer, Reader]) -> None:
    writer, reader = files
    owned = await writer._thread.run(owned_tables)

    def foreign(rows: Rows) -> dict[str, int]:
        return {table: len(rows.fetch_all(f"SELECT * FROM {table}")) for table in owned}

    with acting_for(77):  # nobody's
        assert set((await reader.run(foreign)).values()) == {0}


WRITES: Final[dict[str, Callable[[Tx], object]]] = {
    "change": lambda tx: tx.execute("UPDATE node SET name = 'taken' WHERE name = 'foreign'"),
    "change all": lambda tx: tx.execute("UPDATE node SET note = 'taken'"),
    "move in": lambda tx: tx.execute("UPDATE node SET org = 1 WHERE name = 'foreign'"),
    "move out": lambda tx: tx.execute("UPDATE node SET org = 2 WHERE name = 'mine'"),
    "delete": lambda tx: tx.execute("DELETE FROM node WHERE name = 'foreign'"),
    "delete all": lambda tx: tx.execute("DELETE FROM event"),
    "insert": lambda tx: tx.execute("INSERT INTO alert_engine VALUES (2, 0, x'')"),
    "replace": lambda tx: tx.execute(
        "INSERT OR REPLACE INTO node_grave SELECT id, 1, no, deleted_at, samples_dropped FROM node_grave WHERE org = 2"
    ),
    "upsert": lambda tx: tx.execute("INSERT INTO alert_engine VALUES (2, 0, x'') ON CONFLICT (org) DO UPDATE SET at = 1"),
    "returning": lambda tx: tx.fetch_all("UPDATE node SET note = 'taken' WHERE name = 'foreign' RETURNING id"),
}


async def test_t4_a_command_cannot_change_rows_of_another_organisation(files: tuple[Writer, Reader]) -> None:
    writer, _ = files

    def prepare(tx: Tx) -> None:
        tx.execute("INSERT INTO node_grave VALUES ('gone', 2, 99, 0, 1)")
        tx.execute("INSERT INTO event SELECT * FROM event WHERE false")
        tx.execute(
            "INSERT INTO event (org, id, type, severity, source, at, message, details, received_at) VALUES (2, 'e', 'custom', 'info', 'hub', 0, '', '{}', 0)"
        )

    def content(tx: Tx) -> list[tuple[object, ...]]:
        return [tuple(row) for table in ("node", "node_grave", "event", "alert_engine") for row in tx.fetch_all(f"SELECT * FROM {table}")]

    await writer.run(prepare)
    before = await writer.run(content)
    for name, write in WRITES.items():
        with acting_for(1), pytest.raises(StoreError):
            await writer.run(write)
        assert await writer.run(content) == before, name


async def test_the_limit_of_bulk_jobs_is_of_each_organisation(backend: Backend) -> None:
    """A large batch of one keeps none of another's jobs waiting."""
    store, now, sessions = backend.store, backend.clock.now(), []
    for scope in (SCOPE, STRANGER):
        nodes = await store.nodes.create_nodes(scope, [new_node(f"{scope.org}-{number}") for number in range(3)])
        sessions += [await connect(store, node.id) for node in nodes]
        hub = hub_scope(scope.org)
        await store.batches.create_batch(hub, new_batch([node.id for node in nodes], now, "check"), None)
    taken = await store.jobs.take(None, sessions, now, 2)
    assert sorted(one.job.org for one in taken) == [1, 1, 2, 2]


async def test_what_a_user_does_with_an_account_is_noted_in_each_of_their_organisations(backend: Backend) -> None:
    """A request about the own account may name none of them."""
    ground, store = Ground(backend), backend.store
    user, _ = await with_factor_of(ground)
    other = SCOPE._replace(org=(await second(ground)).no)
    await store.memberships.join(other, user.id, "viewer")
    by, passkey = SCOPE._replace(org=NO_ORG), a_passkey(user, ground.now)
    await store.passkeys.add_passkey(by, passkey)
    await store.passkeys.remove_passkey(by, user.id, passkey.id)
    await store.oidc.add_link(by, a_link(user, ground.now))
    for scope in (SCOPE, other):
        noted = {row.action for row in (await store.log.audit(scope, 100)).items}
        assert {"auth.passkey_add", "auth.passkey_remove", "auth.link"} <= noted


def _give_away(tx: Tx, table: str) -> int:
    return tx.execute(f"UPDATE {table} SET org = 2")


async def test_t5_what_others_left_behind_stops_nobody(backend: Backend) -> None:
    """A command removes old rows of its own organisation alone: the guard refuses others, and with them the command."""
    ground, store, user = Ground(backend), backend.store, await Ground(backend).user()
    for _ in range(2):
        await store.invites.create_invite(SCOPE, an_invite(ground.now))
        await store.maintenance.create_window(SCOPE, a_window(ground.now))
        await store.tokens.create_token(SCOPE, a_token(user, ground.now))
        for table in ("invite", "maintenance", "api_token"):
            await backend.database._control.writer.run(partial(_give_away, table=table))
        backend.clock.advance(400 * 86_400.0)
