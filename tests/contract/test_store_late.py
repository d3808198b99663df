"""Late records from a node's spool: each stored once, across kills of either side."""

from __future__ import annotations

from groundcontrol.adapters.sqlite.backfill import MAX_GAPS, MAX_SKIPPED
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.ids import BootId
from groundcontrol.nodes.model import Session
from groundcontrol.samples.backfill import GapRow, LatePack, LostRows, PreviousSend
from groundcontrol.samples.model import StoredPack
from groundcontrol.samples.store import Marks
from tests.support.factories import SCOPE, connect, layout_row, new_node, pack, twice

AT_MS = 1_790_000_000_000
LAYOUT = layout_row()
JOURNAL, OTHER = b"j" * 16, b"k" * 16


async def session_of(store: Store, name: str = "web-1") -> Session:
    return await connect(store, (await store.nodes.create_node(SCOPE, new_node(name))).id)


def late(session: Session, number: int, journal: bytes = JOURNAL, sent: PreviousSend | None = None, at: int | None = None) -> LatePack:
    made = pack(session, 0, LAYOUT, AT_MS + (number if at is None else at) * 10_000)
    return LatePack(session, number, journal, number, sent, made.schema_id, made.first_ms, made.last_ms, made.coding, made.body)


def lost(session: Session, number: int, rows: int = 5, sent: PreviousSend | None = None) -> LostRows:
    first_ms = AT_MS + number * 10_000
    return LostRows(session, number, JOURNAL, number, sent, "pulse", first_ms, first_ms + 4000, rows)


async def count(store: Store, session: Session) -> int:
    return sum([len(rows) async for _, rows in store.metrics.read(session.no, 0, AT_MS / 500, ["pulse"])])


async def test_a_late_pack_is_stored_once_by_its_journal_and_number(store: Store) -> None:
    session = await session_of(store)
    packs = [late(session, number) for number in (0, 1, 5)]  # holes are allowed: the oldest may have gone
    assert await twice(lambda: store.metrics.append(packs)) == {session.node: Marks(-1, -1)}
    assert await count(store, session) == 30
    await store.metrics.append([late(session, 1), late(session, 5, at=9)])
    assert await count(store, session) == 30
    await store.metrics.append([late(session, 3, OTHER, at=20)])
    assert await count(store, session) == 40


async def test_skipped_packs_are_stored_when_they_arrive_late(store: Store) -> None:
    session = await session_of(store)
    await store.metrics.append([late(session, 0), late(session, 6)])
    await twice(lambda: store.metrics.append([late(session, number) for number in (3, 4)]))
    assert await count(store, session) == 40
    again = await connect(store, session.node)
    await twice(lambda: store.metrics.append([late(again, number) for number in range(7)]))
    assert await count(store, session) == 70


async def test_only_the_newest_skipped_packs_are_remembered(store: Store) -> None:
    session = await session_of(store)
    await store.metrics.append([lost(session, 2 * number) for number in range(1, MAX_SKIPPED + 3)])
    held = await count(store, session)
    await store.metrics.append([late(session, 3), late(session, 5)])  # 0 to 1 and 3 went, 5 is known
    assert await count(store, session) == held + 10


async def test_late_journals_survive_boots_without_moving_the_marks(store: Store) -> None:
    session = await session_of(store)
    await store.metrics.append([pack(session, 0, LAYOUT, AT_MS), late(session, 7)])
    rebooted = await connect(store, session.node, boot=BootId("ab" * 16))
    await store.metrics.append([late(rebooted, 7), late(rebooted, 8)])
    assert await store.metrics.begin_session(rebooted) == Marks(-1, -1)
    assert await count(store, session) == 30


async def test_packs_of_an_earlier_session_are_stored_only_if_missing(store: Store) -> None:
    first = await session_of(store)
    await store.metrics.append([pack(first, number, LAYOUT, AT_MS + number * 10_000) for number in range(3)])
    second = await connect(store, first.node)
    await store.metrics.append([pack(second, 3, LAYOUT, AT_MS + 90_000)])  # the same numbers again, other rows
    third = await connect(store, first.node, boot=BootId("ab" * 16))
    held, not_held = PreviousSend(first.epoch, 0, 2), PreviousSend(first.epoch, 0, 3)
    await store.metrics.append([late(third, 0, sent=held, at=2), late(third, 1, sent=not_held, at=3)])
    assert await count(store, third) == 50
    assert [gap.rows for gap in await store.metrics.gaps(third.no, 0, AT_MS / 500)] == []


async def test_an_empty_session_claims_no_packs_of_its_boot(store: Store) -> None:
    first = await session_of(store)
    second = await connect(store, first.node)
    await store.metrics.append([pack(second, number, LAYOUT, AT_MS + number * 10_000) for number in range(3)])
    third = await connect(store, first.node)
    await store.metrics.append([late(third, 0, sent=PreviousSend(first.epoch, 0, 1), at=50)])
    await store.metrics.append([late(third, 1, sent=PreviousSend(second.epoch, 0, 1), at=1)])
    await store.metrics.append(
        [late(third, 2, sent=PreviousSend(third.epoch, 0, 1), at=60), late(third, 3, sent=PreviousSend(10_000, 1, 1), at=61)]
    )
    assert await count(store, third) == 60


async def test_gaps_are_stored_once_and_found_by_time(store: Store) -> None:
    session = await session_of(store)
    await store.metrics.append([pack(session, 0, LAYOUT, AT_MS)])
    later = await connect(store, session.node)
    gaps = [lost(later, 1), lost(later, 2, 7), lost(later, 3, sent=PreviousSend(session.epoch, 0, 0))]
    await twice(lambda: store.metrics.append(gaps))
    found = await store.metrics.gaps(later.no, 0, AT_MS / 500)
    assert found == [GapRow("pulse", AT_MS + 10_000, AT_MS + 14_000, 5), GapRow("pulse", AT_MS + 20_000, AT_MS + 24_000, 7)]
    assert await store.metrics.gaps(later.no, AT_MS / 1000 + 15, AT_MS / 1000 + 20) == []
    assert len(await store.metrics.gaps(later.no, AT_MS / 1000 + 14, AT_MS / 1000 + 21)) == 2


async def test_losses_above_the_limit_are_merged_into_the_last_one(store: Store) -> None:
    session = await session_of(store)
    await store.metrics.append([lost(session, number, 1) for number in range(MAX_GAPS + 50)])
    found = await store.metrics.gaps(session.no, 0, AT_MS / 500)
    assert len(found) == MAX_GAPS
    assert sum(gap.rows for gap in found) == MAX_GAPS + 50


async def test_a_refused_pack_moves_its_mark_without_being_stored(store: Store) -> None:
    session = await session_of(store)
    refused: list[StoredPack | LatePack] = [pack(session, 0, LAYOUT, AT_MS)._replace(body=b""), late(session, 0)._replace(body=b"")]
    assert await store.metrics.append(refused) == {session.node: Marks(0, -1)}
    await store.metrics.append([pack(session, 0, LAYOUT, AT_MS), late(session, 0)])
    assert await count(store, session) == 0


async def test_a_removed_node_leaves_no_gap(store: Store) -> None:
    session = await session_of(store)
    await store.metrics.append([lost(session, 1)])
    await store.nodes.delete_node(SCOPE, session.node)
    await store.nodes.sweep()
    assert await store.metrics.gaps(session.no, 0, AT_MS / 500) == []
