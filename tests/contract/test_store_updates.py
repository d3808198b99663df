"""Package updates across the fleet, filtered lists and user preferences, in every store."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from groundcontrol.access.model import Preferences, PreferencesEdit, SavedView
from groundcontrol.adapters.sqlite import node_tables as sqlite_node_tables
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import BadRequest, NotFound
from groundcontrol.core.ids import NodeId, UserId
from groundcontrol.core.scope import Grants
from groundcontrol.core.tables import PackageChanges, SubjectTable
from groundcontrol.events.model import EventFilter
from groundcontrol.jobs.model import JobFilter
from groundcontrol.nodes.updates import Candidate, NodeUpdate
from spider.reports.package_sync import digest_of
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, STRANGER, connect, new_event, new_job, new_node, new_user

COLUMNS = ("package", "installed", "candidate", "security", "repository")
Line = tuple[str, str, str, str, str]


async def tell(store: Store, name: str, *lines: Line, total: int | None = None, held: tuple[str, ...] = (), at: float = 5.0) -> NodeId:
    node = await store.nodes.create_node(SCOPE, new_node(name, tags=(name[:2],)))
    session = await connect(store, node.id)
    cells = tuple(cell for line in lines for cell in line)
    await store.tables.save_table(session, SubjectTable("updates", at, len(lines) if total is None else total, COLUMNS, cells))
    await store.tables.save_table(session, SubjectTable("held", at, len(held), ("package",), held))
    return node.id


async def a_fleet(store: Store) -> list[NodeId]:
    curl, libc, vim = ("curl", "7", "8", "no", "main"), ("libc6", "2.36", "2.37", "yes", "security"), ("vim", "9.0", "9.1", "", "")
    nodes = [
        await tell(store, "a-1", curl, libc, vim, held=("vim",)),
        await tell(store, "a-2", curl, vim, at=3.0),
        await tell(store, "b-1", ("curl", "6", "7.5", "no", "main"), total=900),
        await tell(store, "b-2", total=-1),
    ]
    await store.nodes.create_node(SCOPE, new_node("silent", tags=()))
    return nodes


async def test_updates_come_for_security_first_then_by_how_many_nodes_they_are_for(store: Store) -> None:
    await a_fleet(store)
    found = await store.tables.updates(SCOPE, 10)
    assert [(one.package, one.security, one.nodes, one.security_nodes) for one in found.items] == [
        ("libc6", "yes", 1, 1), ("curl", "no", 3, 0), ("vim", "unknown", 2, 0),
    ]  # fmt: skip
    assert found.items[1].candidates == (Candidate("8", "no", "main", 2), Candidate("7.5", "no", "main", 1))
    assert (found.total, found.security, found.told, found.silent, found.cut, found.oldest_at, found.next) == (3, 1, 3, 2, 1, 3.0, None)
    pages, cursor = [], None
    while True:
        page = await store.tables.updates(SCOPE, 1, cursor)
        pages += [one.package for one in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert pages == ["libc6", "curl", "vim"]
    assert [one.package for one in (await store.tables.updates(SCOPE, 10, search="c")).items] == ["libc6", "curl"]
    only = await store.tables.updates(SCOPE, 10, security_only=True)
    assert [one.package for one in only.items] == ["libc6"]
    with pytest.raises(BadRequest):
        await store.tables.updates(SCOPE, 1, (await store.tables.updates(SCOPE, 1)).next, search="c")


async def test_a_package_counts_once_for_a_node_and_is_found_in_any_case(store: Store, clock: ManualClock) -> None:
    """Two rows of one package: of two repositories, or of two architectures."""
    node = await tell(store, "a-1", ("ImageMagick", "6", "7", "no", "main"), ("ImageMagick", "6", "7", "yes", "security"))
    [found] = (await store.tables.updates(SCOPE, 10, search="imagemagick")).items
    assert (found.nodes, found.security_nodes, found.candidates) == (1, 0, (Candidate("7", "no", "main", 1),))
    session = await connect(store, node)
    versions = {"ImageMagick": "6"}
    await store.tables.save_packages(session, PackageChanges("", digest_of(versions), versions), clock.now())
    assert [one.name for one in (await store.tables.packages(SCOPE, node, 10, search="IMAGE")).items] == ["ImageMagick"]


async def test_an_update_lists_its_nodes_and_where_it_is_held(store: Store) -> None:
    first, second, *_ = await a_fleet(store)
    page = await store.tables.updates_of(SCOPE, "vim", 1)
    rest = await store.tables.updates_of(SCOPE, "vim", 1, page.next)
    assert page.items == (NodeUpdate(first, "9.0", "9.1", "unknown", "", held=True),)
    assert rest.items == (NodeUpdate(second, "9.0", "9.1", "unknown", "", held=False),)
    assert (page.total, rest.next) == (2, None)
    assert (await store.tables.updates_of(SCOPE, "emacs", 1)).total == 0


@pytest.mark.holds("S-27")
async def test_the_nodes_of_a_package_are_read_again_only_after_a_change(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = await a_fleet(store)
    decoded = 0
    real = sqlite_node_tables._tables

    def count(*given: Any) -> Any:
        nonlocal decoded
        decoded += 1
        return real(*given)

    monkeypatch.setattr(sqlite_node_tables, "_tables", count)
    first = await store.tables.updates_of(SCOPE, "vim", 1)
    assert decoded == 2
    assert [(await store.tables.updates_of(SCOPE, "vim", 1)), (await store.tables.updates_of(SCOPE, "vim", 1, first.next)).total] == [
        first,
        2,
    ]
    assert decoded == 2, "each node's tables are decoded once"
    assert (await store.tables.updates_of(STRANGER, "vim", 10)).total == 0
    limited = SCOPE._replace(grants=(Grants((nodes[1],)),))
    assert [one.node for one in (await store.tables.updates_of(limited, "vim", 10)).items] == [nodes[1]]
    session = await connect(store, nodes[0])
    await store.tables.save_table(session, SubjectTable("held", 6.0, 0, ("package",), ()))
    assert [one.held for one in (await store.tables.updates_of(SCOPE, "vim", 10)).items] == [False, False]
    for number in range(100):
        await store.tables.updates_of(SCOPE, f"p{number}", 10)
    kept = cast("sqlite_node_tables.SqliteNodeTables", store.tables)._nodes_of._cache
    assert len(kept) == sqlite_node_tables._PACKAGES


async def test_updates_of_others_are_neither_listed_nor_counted(store: Store) -> None:
    first, *_ = await a_fleet(store)
    for scope in (SCOPE._replace(grants=(Grants((first,), ()),)), SCOPE._replace(grants=(Grants((), ("a-",)), Grants((first,), ())))):
        found = await store.tables.updates(scope, 10)
        assert [(one.package, one.nodes) for one in found.items] == [("libc6", 1), ("curl", 1), ("vim", 1)]
        assert (found.told, found.silent) == (1, 0)
        assert [one.node for one in (await store.tables.updates_of(scope, "curl", 10)).items] == [first]
    stranger = await store.tables.updates(STRANGER, 10)
    assert (stranger.items, stranger.told, stranger.silent) == ((), 0, 0)


async def test_filtered_lists_contain_matches_and_continue_over_pages(store: Store, clock: ManualClock) -> None:
    nodes = [await store.nodes.create_node(SCOPE, new_node(f"web-{n}")) for n in range(3)]
    for at, node in enumerate(nodes):
        await store.jobs.create_job(SCOPE, new_job(node.id, clock.now() + at, "check" if at == 1 else "upgrade"), None)
    only = JobFilter(("queued",), "upgrade", SCOPE.actor.name)
    page = await store.jobs.jobs(SCOPE, 1, only=only)
    rest = await store.jobs.jobs(SCOPE, 1, page.next, only=only)
    assert [job.node_id for job in (*page.items, *rest.items)] == [nodes[2].id, nodes[0].id]
    for other in (JobFilter(("running",)), JobFilter((), "hold"), JobFilter((), "", "somebody")):
        assert (await store.jobs.jobs(SCOPE, 9, only=other)).items == []
    with pytest.raises(BadRequest):
        await store.jobs.jobs(SCOPE, 1, page.next)
    for search, found in (("WEB-1", [nodes[1]]), ("check", [nodes[1]]), ("%", []), (SCOPE.actor.name, nodes[::-1])):
        listed = await store.jobs.jobs(SCOPE, 9, only=JobFilter(search=search))
        assert [job.node_id for job in listed.items] == [node.id for node in found], search

    made = [new_event(clock.now() + at, nodes[0].id) for at in range(3)]
    made[1] = made[1]._replace(type="job_failed", severity="error", message="Upgrade of WEB-0 failed: 100% full")
    for event in made:
        await store.log.add_event(event)
    for fits in (
        EventFilter(("error", "warning")),
        EventFilter((), ("job_failed", "job_unknown")),
        EventFilter((), (), "web-0 failed: 100%"),
        EventFilter(("error",), from_at=clock.now() + 1, to_at=clock.now() + 2),
    ):
        assert [event.id for event in (await store.log.events(SCOPE, 9, only=fits)).items] == [made[1].id]
        assert [event.id for event in (await store.log.events(SCOPE, 9, node=nodes[0].id, only=fits)).items] == [made[1].id]
    for misses in (
        EventFilter(("warning",)),
        EventFilter((), ("job",)),
        EventFilter((), (), "%"),
        EventFilter(from_at=clock.now() + 1),
        EventFilter(to_at=clock.now()),
    ):
        assert made[0].id not in [event.id for event in (await store.log.events(SCOPE, 9, only=misses)).items]


async def test_preferences_belong_to_a_user_and_only_changes_are_audited(store: Store) -> None:
    user = new_user("ada")
    await store.user_admin.create_user(SCOPE, user)
    assert await store.preferences.preferences(SCOPE, user.id) == Preferences()
    wanted = Preferences((SavedView("Full disks", "q=disk%3E90&sort=-disk"),), single_keys=False, network_bits=True, columns=("kernel",))
    for _ in range(2):
        assert await store.preferences.edit_preferences(SCOPE, user.id, PreferencesEdit(*wanted)) == wanted
    assert await store.preferences.preferences(SCOPE, user.id) == wanted
    rows = [row for row in (await store.log.audit(SCOPE, 50)).items if row.action == "preferences.edit"]
    assert [(row.target, row.detail["views"]) for row in rows] == [(user.id, ["Full disks"])]
    for scope, who in ((STRANGER, user.id), (SCOPE, UserId("0" * 26))):
        with pytest.raises(NotFound):
            await store.preferences.preferences(scope, who)
        with pytest.raises(NotFound):
            await store.preferences.edit_preferences(scope, who, PreferencesEdit())


async def test_preferences_that_are_edited_at_the_same_time_are_all_kept(store: Store) -> None:
    user = new_user("ada")
    await store.user_admin.create_user(SCOPE, user)
    edits = (PreferencesEdit(single_keys=False), PreferencesEdit(network_bits=True), PreferencesEdit(columns=("kernel",)))
    await asyncio.gather(*(store.preferences.edit_preferences(SCOPE, user.id, edit) for edit in edits))
    assert await store.preferences.preferences(SCOPE, user.id) == Preferences((), False, True, ("kernel",))
