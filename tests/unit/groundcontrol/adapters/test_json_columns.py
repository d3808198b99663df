"""Records damaged on disk: unreadable ones are left out, the others are returned."""

from __future__ import annotations

import itertools
import sqlite3
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import msgspec
import pytest

from groundcontrol.access.model import TOTP_RULES, Preferences, PreferencesEdit
from groundcontrol.adapters.sqlite.database import Database
from groundcontrol.adapters.sqlite.engine.json_codec import (
    decoded,
    inflated,
    object_from_json,
    record_from_json,
    records_from_json,
    texts_from_json,
)
from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.adapters.sqlite.job_rows import DAMAGED
from groundcontrol.adapters.sqlite.json_columns import COLUMNS, damaged_records
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.alerts.defaults import DEFAULT_RULES
from groundcontrol.core.errors import NotFound, StoreError
from groundcontrol.core.scope import Actor, Grants, Scope
from groundcontrol.jobs.model import JobError, JobUpdate
from groundcontrol.nodes.model import NodeIdentity, NodePolicy, Session
from groundcontrol.samples.model import MAX_RETENTION_S, Moved, Retention, RetentionChange
from groundcontrol.samples.query import WindowBuilder
from groundcontrol.schedules.deadlines import Expectation, ExpectationId
from groundcontrol.schedules.model import Selector
from groundcontrol.schedules.wall_clock import DAYS
from tests.support.factories import (
    SCOPE,
    an_invite,
    connect,
    layout_row,
    new_batch,
    new_deployment,
    new_event,
    new_job,
    new_node,
    new_user,
    pack,
    running_job,
)
from tests.support.race_cases_channels import a_channel, a_target
from tests.support.some import some

AT_MS = 1_790_000_000_000 // 3_600_000 * 3_600_000
LAYOUT = layout_row()
SPOILT = ("'Z' || substr({0}, 2)", "substr({0}, 1, length({0}) / 2)", "'17'", "CAST(x'e3' || substr(CAST({0} AS BLOB), 2) AS TEXT)")
"""What becomes of a text: another first letter, half of it, another kind, and no UTF-8."""


@pytest.mark.parametrize("text", ["", "{", "[1]", "5", "null", '"x"', '{"hostname": 5}', '{"hostname": "\\ud8"}', "[" * 100_000, b"\xff"])
def test_any_damaged_record_raises_storeerror(text: str | bytes) -> None:
    body = text if isinstance(text, bytes) else text.encode()
    reads: tuple[Callable[[], object], ...] = (
        lambda: record_from_json(NodeIdentity, text),
        lambda: records_from_json(NodeIdentity, b"[" + (body or b"5") + b"]"),
        lambda: texts_from_json(text),
        lambda: object_from_json(b"[" + body),
        lambda: decoded(msgspec.json.Decoder(list[str]), text),
        lambda: inflated(msgspec.json.Decoder(list[str]), body),
        lambda: inflated(msgspec.json.Decoder(list[str]), zlib.compress(body)),
    )
    for read in reads:
        with pytest.raises(StoreError):
            read()


def test_a_record_without_a_required_field_is_damaged() -> None:
    with pytest.raises(StoreError):
        record_from_json(NodePolicy, "{}")


async def test_a_node_with_a_damaged_record_keeps_its_other_data(database: Database, store: Store) -> None:
    for column, spoilt in itertools.product(("identity", "updates", "policy", "tags"), SPOILT):
        harmed, sound = [await store.nodes.create_node(SCOPE, new_node(name)) for name in ("web-1", "web-2")]
        harm = f"UPDATE node SET {column} = {spoilt.format(column)} WHERE id = ?"
        await change(database, 'UPDATE node SET policy = \'{"mode": "managed"}\'')
        await change(database, harm, harmed.id)

        found = {node.id: node for node in (await store.nodes.nodes(SCOPE, 10)).items}

        assert found[sound.id] == sound._replace(policy=NodePolicy("managed")), harm
        assert (found[harmed.id].name, found[harmed.id].damaged) == ("web-1", (column,)), harm
        granted = SCOPE._replace(grants=(Grants(nodes=(sound.id,), tags=("web",)),))
        assert sound.id in {node.id for node in (await store.nodes.nodes(granted, 10)).items}, "who sees a part of the fleet sees that"
        for node in (harmed, sound):
            await store.nodes.delete_node(SCOPE, node.id)


async def change(database: Database, sql: str, *values: str) -> None:
    await database._control.writer.run(lambda tx: tx.execute(sql, *values))


@pytest.mark.parametrize("spoilt", SPOILT)
async def test_an_unreadable_layout_hides_its_samples_until_it_is_sent_again(database: Database, store: Store, spoilt: str) -> None:
    one, other = [await session_of(store, name) for name in ("web-1", "web-2")]
    await database._samples.writer.run(
        lambda tx: tx.execute(f"UPDATE layout SET series = {spoilt.format('series')} WHERE node = ?", one.no)
    )

    assert await store.metrics.unreadable() == [(one.no, "pulse")]
    assert (await shown(store, one), await shown(store, other)) == ((0, 1), (10, 0))
    assert (await store.metrics.latest(one.no), len(await store.metrics.latest(other.no))) == ({}, 1)
    await store.metrics.sizes(0.0)
    for hour in await store.metrics.hot_hours():
        moved = await store.metrics.compact(hour.no, hour.hour)
        assert moved == (Moved(0, 1) if hour.no == one.no else Moved(1, 0))

    await store.metrics.save_schema(one, LAYOUT)

    assert await store.metrics.unreadable() == []
    assert await shown(store, one) == (10, 0)
    assert await store.metrics.compact(one.no, AT_MS // 3_600_000) == Moved(1, 0)


@pytest.mark.parametrize("column", ["args", "changes", "error"])
@pytest.mark.parametrize("spoilt", SPOILT)
async def test_a_job_with_a_damaged_record_is_listed_and_ends(database: Database, store: Store, column: str, spoilt: str) -> None:
    now = time.time()
    job, session = await running_job(store, now)
    await store.jobs.advance(job.id, "running", session, JobUpdate(error=JobError("x", "before")))
    await database._control.writer.run(lambda tx: tx.execute(f"UPDATE job SET {column} = {spoilt.format(column)}"))

    [shown] = (await store.jobs.jobs(SCOPE, 10)).items
    assert (shown.id, shown.state, shown.error) == (job.id, "running", DAMAGED)
    assert [one.id for one in await store.jobs.open_jobs(session.node)] == [job.id]
    ended = await store.jobs.advance(job.id, "succeeded", session, JobUpdate(exit_code=0))
    assert ended.state == "succeeded"


@pytest.mark.parametrize("spoilt", SPOILT)
async def test_a_deployment_with_a_damaged_record_hides_no_others(database: Database, store: Store, spoilt: str) -> None:
    harmed, sound = new_deployment(1.0), new_deployment(2.0, "192.0.2.2", "web-2")
    for one in (harmed, sound):
        await store.deployments.create_deployment(SCOPE, one)
    await database._control.writer.run(
        lambda tx: tx.execute(f"UPDATE deployment SET steps = {spoilt.format('steps')} WHERE id = ?", harmed.id)
    )

    found = {one.id: one for one in (await store.deployments.deployments(SCOPE, 10)).items}
    assert found.keys() == {harmed.id, sound.id}
    assert found[sound.id] == sound
    error = some(found[harmed.id].error)
    assert (found[harmed.id].host, found[harmed.id].steps, error.code) == (harmed.host, (), "store.damaged")


async def test_a_damaged_channel_or_invite_hides_no_others(database: Database, store: Store) -> None:
    channels = [a_channel(1.0, name) for name in ("one", "two")]
    for channel in channels:
        await store.channels.create_channel(SCOPE, channel, a_target(channel))
    invites = [await store.invites.create_invite(SCOPE, an_invite(time.time())) for _ in range(2)]

    def spoil(tx: Tx) -> None:
        tx.execute("UPDATE channel SET quiet_hours = '{' WHERE id = ?", channels[0].id)
        tx.execute("UPDATE invite SET tags = '{' WHERE id = ?", invites[0].id)

    await database._control.writer.run(spoil)

    assert [(one.name, one.quiet_hours) for one in await store.channels.all(SCOPE)] == [("one", None), ("two", None)]
    assert {one.id for one in (await store.invites.invites(SCOPE, 10)).items} == {invites[1].id}


@pytest.mark.parametrize("spoilt", SPOILT)
async def test_a_user_with_damaged_grants_is_listed_sees_no_node_and_can_be_granted_again(
    database: Database, store: Store, spoilt: str
) -> None:
    user = new_user("ada")._replace(role="viewer", grants=Grants(tags=("web",)))
    await store.user_admin.create_user(SCOPE, user)
    await database._control.writer.run(
        lambda tx: tx.execute(
            f"UPDATE membership SET grants = {spoilt.format('grants')} WHERE account = (SELECT no FROM account WHERE id = ?)", user.id
        )
    )

    listed = [one.user for one in (await store.user_admin.users(SCOPE, 10)).items]
    assert [one.grants for one in listed] == [Grants()], "a damaged limit admits no node"
    assert (await store.user_admin.edit_user(SCOPE, user.id, role=None, disabled=None, grants=user.grants)).grants == user.grants


FIRST_ORGANISATION = "00000000000000000000000001"


@pytest.mark.parametrize("spoilt", ["x'e3'", "x''", "'all'", "17", "CAST('[1' AS BLOB)"])
async def test_damaged_settings_read_as_the_safest_values_are_named_and_can_be_saved_again(
    database: Database, store: Store, tmp_path: Path, spoilt: str
) -> None:
    ada = await store.user_admin.create_user(SCOPE, new_user("ada"))
    change = RetentionChange(2 * 3600, 86_400, 86_400)
    names = ["retention", f"preferences:{ada.id}"]

    async def spoil() -> None:
        await store.user_admin.save_totp_rule(SCOPE, "admins")
        await store.retention.save_retention(SCOPE, change, Retention())
        await store.preferences.edit_preferences(SCOPE, ada.id, PreferencesEdit(single_keys=False))
        await database._control.writer.run(lambda tx: [tx.execute(f"UPDATE fact SET value = {spoilt} WHERE name = ?", n) for n in names])
        await database._control.writer.run(lambda tx: tx.execute("UPDATE organisation SET require_totp = 'some'"))

    await spoil()
    if spoilt != "'all'":  # another type, and the right bytes
        assert sorted(row for _, row, _, _ in look(tmp_path / "stardust.db")) == sorted([*names, FIRST_ORGANISATION])
    assert await store.user_admin.totp_rule(SCOPE) == "all"
    kept = some(await store.retention.retention())
    assert min(kept) == MAX_RETENTION_S, "no samples are removed"
    assert await store.preferences.preferences(SCOPE, ada.id) == Preferences()

    for rule in reversed(TOTP_RULES):
        await spoil()
        await store.user_admin.save_totp_rule(SCOPE, rule)
        assert await store.user_admin.totp_rule(SCOPE) == rule
    assert await store.retention.save_retention(SCOPE, change, Retention()) == change.of(Retention())
    await store.preferences.edit_preferences(SCOPE, ada.id, PreferencesEdit(single_keys=True))
    assert look(tmp_path / "stardust.db") == []


async def test_damaged_tags_count_as_none_for_rights_and_stop_no_other_job(database: Database, store: Store) -> None:
    """The order of a user with grants by tag is checked against the tags. The jobs of other nodes start all the same."""
    user = new_user("ada")._replace(role="operator", grants=Grants(tags=("web",)))
    await store.user_admin.create_user(SCOPE, user)
    ada = Scope(Actor("user", user.id, user.username, "operator"), 1, (Grants(tags=("web",)),))
    sessions = [await session_of(store, name) for name in ("web-1", "web-2")]
    harmed, sound = [await store.jobs.create_job(ada, new_job(session.node, time.time()), None) for session in sessions]
    invite = await store.invites.create_invite(SCOPE, an_invite(time.time()))

    def spoil(tx: Tx) -> None:
        tx.execute("UPDATE node SET tags = '{' WHERE id = ?", harmed.node_id)
        tx.execute("UPDATE invite SET tags = '{'")

    await database._control.writer.run(spoil)

    assert [taken.job.id for taken in await store.jobs.take(None, sessions, time.time())] == [sound.id]
    with pytest.raises(NotFound):
        await store.jobs.job(ada, harmed.id)
    assert [(one.id, one.state) for one in await store.jobs.cancel_unauthorized(time.time())] == [(harmed.id, "failed")]
    await store.invites.revoke_invite(SCOPE, invite.id)


async def test_a_damaged_rule_stops_no_other_and_can_be_replaced(database: Database, store: Store) -> None:
    harmed, sound = (rule._replace(version=0) for rule in DEFAULT_RULES[:2])
    await store.rules.save_all(SCOPE, [harmed, sound])
    await database._control.writer.run(lambda tx: tx.execute("UPDATE alert_rule SET body = '{' WHERE id = ?", harmed.id))
    assert [rule.id for rule in await store.rules.all(SCOPE)] == [sound.id]
    [saved] = await store.rules.save_all(SCOPE, [harmed])
    assert saved in await store.rules.all(SCOPE)


async def test_a_node_with_damaged_tags_stops_no_deadline(database: Database, store: Store) -> None:
    nodes = [await store.nodes.create_node(SCOPE, new_node(name)) for name in ("web-1", "web-2")]
    await database._control.writer.run(lambda tx: tx.execute("UPDATE node SET tags = '{' WHERE id = ?", nodes[0].id))
    expected = Expectation(ExpectationId("x"), 1, "Backup", Selector(all=True), "backup", "05:00", "UTC", DAYS)
    found = await store.expectations.undecided(expected, date(2026, 11, 20))
    assert {(node.id, node.tags) for node in found} == {(nodes[0].id, ()), (nodes[1].id, nodes[1].tags)}


@pytest.mark.parametrize("column", ["wish", "refused"])
async def test_a_damaged_batch_is_listed_with_its_action(database: Database, store: Store, column: str) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    for _ in range(2):
        await store.batches.create_batch(SCOPE, new_batch([node.id], time.time()), None)
    await database._control.writer.run(lambda tx: tx.execute(f"UPDATE batch SET {column} = '{{' WHERE no = 1"))
    found = (await store.batches.batches(SCOPE, 10)).items
    assert len(found) == 2
    assert found[0].request.action == found[1].request.action


@pytest.mark.parametrize("spoilt", [*SPOILT, """'{{"all":false,"tags":[],"nodes":[]}}'"""])
async def test_a_damaged_window_of_a_job_leaves_the_others_open(database: Database, store: Store, spoilt: str) -> None:
    harmed, sound = [(await running_job(store, time.time(), name)).job for name in ("web-1", "web-2")]
    await database._control.writer.run(
        lambda tx: tx.execute(f"UPDATE maintenance SET selector = {spoilt.format('selector')} WHERE id = ?", harmed.id)
    )

    assert [(one.node, str(one.window.id)) for one in await store.maintenance.automatic()] == [(sound.node_id, str(sound.id))]
    assert str(sound.id) in [str(window.id) for window in await store.maintenance.windows(SCOPE)]


async def test_an_unreadable_order_is_not_sent_and_blocks_no_other(database: Database, store: Store) -> None:
    now = time.time()
    one, other = await session_of(store, "web-1"), await session_of(store, "web-2")
    spoilt, good = new_job(one.node, now, packages=("bash",)), new_job(other.node, now)
    for job in (spoilt, good):
        await store.jobs.create_job(SCOPE, job, None)
    await database._control.writer.run(lambda tx: tx.execute("UPDATE job SET args = 'Z' || substr(args, 2) WHERE id = ?", spoilt.id))

    assert [taken.job.id for taken in await store.jobs.take(None, [one, other], now)] == [good.id]
    await database._control.writer.run(lambda tx: tx.execute("UPDATE job SET state = 'dispatched' WHERE id = ?", spoilt.id))
    assert await store.jobs.unaccepted(one) == []
    assert [job.id for job in await store.jobs.overdue(spoilt.not_after + 1) if job.id == spoilt.id] == [spoilt.id]


async def test_a_damaged_event_or_audit_row_hides_no_others(database: Database, store: Store) -> None:
    now = time.time()
    told = [new_event(now), new_event(now + 1)]
    for event in told:
        await store.log.add_event(event)
    await store.nodes.create_node(SCOPE, new_node())
    await database._control.writer.run(lambda tx: tx.execute("UPDATE event SET details = 'z' WHERE id = ?", told[0].id))
    await database._control.writer.run(lambda tx: tx.execute("UPDATE audit SET detail = 'z'"))

    assert [event.details for event in (await store.log.events(SCOPE, 10)).items] == [told[1].details, {"damaged": True}]
    assert all(row.detail == {"damaged": True} for row in (await store.log.audit(SCOPE, 10)).items)
    assert await store.log.verify_audit() is not None


async def test_every_record_is_checked_and_damaged_ones_are_named(database: Database, store: Store, tmp_path: Path) -> None:
    session = await session_of(store, "web-1")
    control, samples = tmp_path / "stardust.db", tmp_path / "stardust-samples.db"
    assert look(control) + look(samples) == []
    await database._control.writer.run(lambda tx: tx.execute("UPDATE node SET identity = 'z' || substr(identity, 2)"))
    await database._samples.writer.run(lambda tx: tx.execute("UPDATE layout SET series = 'Z' || substr(series, 2)"))

    assert look(control) == [("node", session.node, "identity", session.node)]
    assert look(samples) == [("layout", LAYOUT.schema_id.hex(), "series", str(session.no))]


def test_every_json_column_is_checked() -> None:
    """As the migrations say of themselves."""
    said: set[tuple[str, str]] = set()
    for path in sorted(Path("groundcontrol/adapters/sqlite/migrations").glob("*/*.sql")):
        table = ""
        for line in path.read_text().splitlines():
            words = line.replace("(", " ").split()
            if words[:2] == ["CREATE", "TABLE"] or words[:2] == ["ALTER", "TABLE"]:
                table = words[2]
            if words[3:5] == ["DROP", "COLUMN"]:
                said.discard((table, words[5].rstrip(";")))
            code, _, comment = line.partition("--")
            if "JSON" in comment and code.strip():
                column = code.split("ADD COLUMN")[-1].split()[0]
                said.add((table, column))

    assert said
    assert said <= {(column.table, column.name) for column in COLUMNS}


def look(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return [tuple(found) for found in damaged_records(db)]


async def session_of(store: Store, name: str) -> Session:
    session = await connect(store, (await store.nodes.create_node(SCOPE, new_node(name))).id)
    await store.metrics.append([pack(session, 0, LAYOUT, AT_MS)])
    return session


async def shown(store: Store, session: Session) -> tuple[int, int]:
    """How many seconds a chart shows, and of how many times it says that they are damaged."""
    builder = WindowBuilder(["cpu.total"], AT_MS / 1000, AT_MS / 1000 + 60, 60)
    await store.metrics.window(session.no, builder)
    window = builder.finish()
    return sum(one is not None for one in window.series["cpu.total"].avg), len(window.damaged)
