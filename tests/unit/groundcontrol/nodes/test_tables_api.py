"""Tables and packages of a node, over REST and live."""

from __future__ import annotations

from groundcontrol.core.bus import NodeTable
from groundcontrol.core.tables import PackageChanges, SubjectTable
from groundcontrol.nodes.model import Session
from spider.reports.package_sync import digest_of
from spider.wire.tables import BY_NAME
from tests.support.factories import connect
from tests.support.inprocess_hub import TestHub

PROCESSES = SubjectTable(
    "processes", 1_790_000_000.0, 211, ("pid", "started_at", "name", "cpu", "command"), (7, 1_790_000_000_500, "python3", 1234, None)
)
FAILED = SubjectTable("services", 1_790_000_001.0, -1, ("unit",), ())


async def a_session(hub: TestHub) -> Session:
    return await connect(hub.store, (await hub.node()).id)


async def test_tables_have_the_units_of_the_catalogue(hub: TestHub) -> None:
    session = await a_session(hub)
    for table in (PROCESSES, FAILED):
        await hub.store.tables.save_table(session, table)
    answer = await (await hub.logged_in("viewer")).get(f"nodes/{session.node}/tables")
    assert [table["subject"] for table in answer.json["tables"]] == ["processes", "services"]
    assert answer.json["tables"][0] == {
        "subject": "processes",
        "taken_at": 1_790_000_000.0,
        "total": 211,
        "columns": [
            {"name": "pid", "kind": "number", "unit": ""},
            {"name": "started_at", "kind": "time", "unit": ""},
            {"name": "name", "kind": "text", "unit": ""},
            {"name": "cpu", "kind": "number", "unit": "percent"},
            {"name": "command", "kind": "text", "unit": ""},
        ],
        "rows": [[7, 1_790_000_000.5, "python3", 12.34, None]],
    }
    assert (answer.json["tables"][1]["total"], answer.json["tables"][1]["rows"]) == (None, [])


async def test_a_table_that_a_newer_version_of_the_hub_stored_is_left_out(hub: TestHub) -> None:
    session = await a_session(hub)
    for table in (PROCESSES._replace(subject="of a newer hub"), FAILED._replace(columns=("unit", "newer")), PROCESSES):
        await hub.store.tables.save_table(session, table)
    answer = await (await hub.logged_in("viewer")).get(f"nodes/{session.node}/tables")
    assert [table["subject"] for table in answer.json["tables"]] == ["processes"]


async def test_one_subject_may_be_asked_for_and_an_unknown_one_names_those_there_are(hub: TestHub) -> None:
    session = await a_session(hub)
    await hub.store.tables.save_table(session, PROCESSES)
    client = await hub.logged_in()
    assert (await client.get(f"nodes/{session.node}/tables?subject=services")).json == {"tables": []}
    answer = await client.get(f"nodes/{session.node}/tables?subject=secrets")
    assert answer.status == 400
    assert all(name in answer.json["detail"] for name in BY_NAME)


async def test_packages_are_listed_by_name_and_searched(hub: TestHub) -> None:
    session = await a_session(hub)
    client = await hub.logged_in("viewer")
    path = f"nodes/{session.node}/packages"
    assert (await client.get(path)).json == {"packages": [], "total": 0, "taken_at": None, "next": None}
    packages = {"bash": "5.2", "libssl3": "3.0.11", "openssl": "3.0.11"}
    await hub.store.tables.save_packages(session, PackageChanges("", digest_of(packages), packages), 5.0)
    first = await client.get(f"{path}?search=ssl&limit=1")
    assert (first.json["packages"], first.json["total"]) == ([{"name": "libssl3", "version": "3.0.11"}], 2)
    second = await client.get(f"{path}?search=ssl&limit=1&cursor={first.json['next']}")
    assert (second.json["packages"], second.json["next"]) == ([{"name": "openssl", "version": "3.0.11"}], None)
    assert (await client.get(f"{path}?search={'x' * 101}")).status == 400


async def test_an_updated_table_is_sent_to_viewers(hub: TestHub) -> None:
    node = await hub.node()
    async with (await hub.logged_in()).live() as live:
        await live.follow(f"node:{node.id}")
        hub.bus.publish(NodeTable(node.id, PROCESSES))
        change = await live.expect("change")
        assert change["data"]["table"]["rows"] == [[7, 1_790_000_000.5, "python3", 12.34, None]]
