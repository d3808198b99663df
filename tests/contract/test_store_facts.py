"""Tables and packages of nodes, in every store."""

from __future__ import annotations

import asyncio

import pytest

from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import BadRequest, Fenced, NotFound
from groundcontrol.core.tables import InstalledPackage, PackageChanges, PackageState, SubjectTable
from groundcontrol.nodes.model import Session
from spider.reports.package_sync import digest_of
from tests.support.factories import SCOPE, STRANGER, connect, new_node

TABLE = SubjectTable("services", 1_790_000_000.0, 2, ("unit", "since"), ("a.service", 1_790_000_000_000, "b.service", None))
FIRST = {"bash": "5.2-1", "libc6": "2.36-9", "openssl": "3.0.11-1"}
SECOND = {"bash": "5.2-1", "curl": "8.0-1", "openssl": "3.0.13-1"}
CHANGES = {"libc6": "", "curl": "8.0-1", "openssl": "3.0.13-1"}


async def a_session(store: Store) -> Session:
    return await connect(store, (await store.nodes.create_node(SCOPE, new_node())).id)


def everything(packages: dict[str, str]) -> PackageChanges:
    return PackageChanges("", digest_of(packages), dict(packages))


async def test_the_newest_table_of_a_subject_replaces_the_one_before(store: Store) -> None:
    session = await a_session(store)
    newer = TABLE._replace(taken_at=TABLE.taken_at + 60, total=0, cells=())
    for table in (TABLE, TABLE, newer, TABLE._replace(subject="timers")):
        await store.tables.save_table(session, table)
    assert tuple(await store.tables.tables(SCOPE, session.node)) == (newer, TABLE._replace(subject="timers"))


async def test_tables_and_packages_belong_to_the_organisation_and_the_node(store: Store) -> None:
    session = await a_session(store)
    await store.tables.save_table(session, TABLE)
    await store.tables.save_packages(session, everything(FIRST), 1.0)
    with pytest.raises(NotFound):
        await store.tables.tables(STRANGER, session.node)
    with pytest.raises(NotFound):
        await store.tables.packages(STRANGER, session.node, 10)
    await store.nodes.delete_node(SCOPE, session.node)
    with pytest.raises(NotFound):
        await store.tables.tables(SCOPE, session.node)
    assert await store.tables.packages_digest(session) == ""


async def test_packages_follow_their_changes(store: Store) -> None:
    session = await a_session(store)
    assert await store.tables.packages_digest(session) == ""
    for _ in range(2):
        assert await store.tables.save_packages(session, everything(FIRST), 1.0) == PackageState(digest_of(FIRST), 0)
    assert await store.tables.packages_digest(session) == digest_of(FIRST)
    step = PackageChanges(digest_of(FIRST), digest_of(SECOND), CHANGES)
    assert await store.tables.save_packages(session, step, 2.0) == PackageState(digest_of(SECOND), 3)
    assert await store.tables.save_packages(session, step, 3.0) == PackageState(digest_of(SECOND), 0)
    page = await store.tables.packages(SCOPE, session.node, 10)
    assert dict(page.items) == SECOND
    assert (page.total, page.taken_at, page.next) == (3, 2.0, None)


@pytest.mark.parametrize(
    "step",
    [
        PackageChanges("0" * 32, digest_of(SECOND), CHANGES),
        PackageChanges(digest_of(FIRST), digest_of(SECOND), {"curl": "8.0-1"}),
        PackageChanges("", "0" * 32, dict(SECOND)),
    ],
    ids=["builds on another state", "leads to another state", "is not what it says"],
)
async def test_package_changes_that_do_not_apply_change_nothing(store: Store, step: PackageChanges) -> None:
    session = await a_session(store)
    await store.tables.save_packages(session, everything(FIRST), 1.0)
    assert await store.tables.save_packages(session, step, 2.0) == PackageState("", 0)
    assert dict((await store.tables.packages(SCOPE, session.node, 10)).items) == FIRST


async def test_of_twenty_equal_package_reports_one_changes_the_table(store: Store) -> None:
    session = await a_session(store)
    await store.tables.save_packages(session, everything(FIRST), 1.0)
    step = PackageChanges(digest_of(FIRST), digest_of(SECOND), CHANGES)
    told = await asyncio.gather(*(store.tables.save_packages(session, step, 2.0) for _ in range(20)))
    assert sorted(state.changed for state in told) == [*[0] * 19, 3]
    assert {state.digest for state in told} == {digest_of(SECOND)}


async def test_pages_and_searches_show_every_package_once(store: Store) -> None:
    session = await a_session(store)
    packages = {f"package-{number:03}": str(number) for number in range(25)}
    await store.tables.save_packages(session, everything(packages), 1.0)
    seen: list[InstalledPackage] = []
    cursor: str | None = None
    while True:
        page = await store.tables.packages(SCOPE, session.node, 10, cursor)
        assert page.total == 25
        seen += page.items
        cursor = page.next
        if cursor is None:
            break
    assert dict(seen) == packages
    assert [item.name for item in (await store.tables.packages(SCOPE, session.node, 10, search="-02")).items] == [
        f"package-02{digit}" for digit in range(5)
    ]
    with pytest.raises(BadRequest):
        await store.tables.packages(SCOPE, session.node, 10, "nonsense")


async def test_an_older_session_is_refused(store: Store) -> None:
    session = await a_session(store)
    await connect(store, session.node)
    with pytest.raises(Fenced):
        await store.tables.save_table(session, TABLE)
    with pytest.raises(Fenced):
        await store.tables.save_packages(session, everything(FIRST), 1.0)
