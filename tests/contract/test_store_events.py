"""Events in the store: written with their cause, counted while repeated, limited per sender, retained by severity."""

from __future__ import annotations

import pytest

from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.adapters.sqlite.events import MOST_A_MINUTE, MOST_OF_NODE_A_MINUTE, SqliteLog, record_event
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.bus import BusEvent, EventStored
from groundcontrol.core.errors import Conflict, EventUnknown
from groundcontrol.core.ids import NodeId
from groundcontrol.events import making
from groundcontrol.events.catalogue import KEEP_S, ROWS, event_type, known_type
from groundcontrol.events.model import Event, EventFilter
from groundcontrol.jobs.model import JobUpdate
from scripts.gen import events
from spider.wire.events import MEASURED, REPORTED
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, STRANGER, connect, new_event, new_job, new_node, twice
from tests.support.store_backend import Backend


async def listed(store: Store, only: EventFilter | None = None) -> list[tuple[str, str, int]]:
    """Type, object and number of each stored event, oldest first."""
    found = (await store.log.events(SCOPE, 500, only=only)).items
    return [(one.type, one.object, one.times) for one in reversed(found)]


def failed(clock: ManualClock, node: NodeId, unit: str, number: str = "") -> Event:
    as_ = f"{node}/{number}" if number else ""
    return making.new_event("unit_failed", clock.now(), {"unit": unit}, node=node, name="web-1", source="agent", reported_as=as_, org=1)


async def test_events_are_listed_newest_first_and_once(store: Store, clock: ManualClock) -> None:
    node = (await store.nodes.create_node(SCOPE, new_node())).id
    made = [new_event(clock.now() + at, node if at % 2 else None) for at in range(5)]
    for event in made:
        await twice(lambda event=event: store.log.add_event(event))  # type: ignore[misc]  # bound in this turn
    page = await store.log.events(SCOPE, 3)
    rest = await store.log.events(SCOPE, 3, page.next)
    assert [*page.items, *rest.items] == made[::-1]
    assert (await store.log.events(SCOPE, 10, node=node)).items == [made[3], made[1]]
    assert (await store.log.events(STRANGER, 10)).items == []


async def test_an_event_and_its_cause_are_stored_together(backend: Backend, clock: ManualClock) -> None:
    store, told = backend.store, list[BusEvent]()
    backend.database.publish_to(told.append)
    session = await connect(store, (await store.nodes.create_node(SCOPE, new_node())).id)
    job = await store.jobs.create_job(SCOPE, new_job(session.node, clock.now()), None)
    await store.jobs.take(None, [session], clock.now())
    await store.jobs.advance(job.id, "accepted", session, JobUpdate())
    for state in ("running", "running", "succeeded"):
        await store.jobs.advance(job.id, state, session, JobUpdate())
    recorded = ["node_registered", "maintenance_opened", "job_started", "job_succeeded"]
    assert [kind for kind, *_ in await listed(store)] == recorded
    assert [one.type for one in told if isinstance(one, EventStored)] == recorded

    def broken(tx: Tx) -> None:
        record_event(tx, making.new_event("node_rekeyed", clock.now(), node=session.node, name="web-1", org=1))
        raise Conflict("the cause is refused")

    log = store.log
    assert isinstance(log, SqliteLog)
    with pytest.raises(Conflict):
        await log._writer.run(broken)
    with pytest.raises(Conflict):
        await store.jobs.advance(job.id, "failed", session, JobUpdate())
    assert len(await listed(store)) == len(told) == 4
    await store.nodes.delete_node(SCOPE, session.node)
    assert (await listed(store))[-1][0] == "node_removed"


async def test_equal_events_of_ten_minutes_share_a_row(store: Store, clock: ManualClock) -> None:
    node = NodeId("n1")
    for unit in ("a.service", "b.service", "a.service"):
        await twice(lambda unit=unit: store.log.add_event(failed(clock, node, unit)))  # type: ignore[misc]  # bound in this turn
        clock.advance(200)
    assert await listed(store) == [("unit_failed", "a.service", 4), ("unit_failed", "b.service", 2)]
    [event] = (await store.log.events(SCOPE, 9, only=EventFilter(search="a.service"))).items
    assert event.last_at - event.at == 400
    clock.advance(601)
    await store.log.add_event(failed(clock, node, "a.service"))
    await store.log.add_event(failed(clock, NodeId("n2"), "a.service"))
    assert [times for *_, times in await listed(store)] == [4, 2, 1, 1]


async def test_a_repeated_event_is_announced_and_found_by_its_own_time(backend: Backend, clock: ManualClock) -> None:
    store, told = backend.store, list[BusEvent]()
    backend.database.publish_to(told.append)
    began_at = clock.now()
    for _ in range(3):
        await store.log.add_event(failed(clock, NodeId("n1"), "a.service"))
        clock.advance(300)
    assert [(one.at - began_at, one.times) for one in told if isinstance(one, EventStored)] == [(0, 1), (300, 2), (600, 3)]
    for span, found in (((601, 900), 0), ((600, 900), 1), ((300, 301), 1), ((-9, 0), 0)):
        from_at, to_at = (began_at + seconds for seconds in span)
        assert len(await listed(store, EventFilter(from_at=from_at, to_at=to_at))) == found, span


async def test_a_row_stands_for_the_events_of_one_day_at_most(store: Store, clock: ManualClock) -> None:
    for _ in range(146):
        await store.log.add_event(failed(clock, NodeId("n1"), "a.service"))
        clock.advance(599)
    assert [times for *_, times in await listed(store)] == [145, 1]


async def test_equal_custom_events_are_counted_together_only_with_equal_text(store: Store, clock: ManualClock) -> None:
    for name, text in (("nightly", "ok"), ("nightly", "ok"), ("nightly", "2 files"), ("weekly", "ok")):
        await store.log.add_event(making.new_event("custom", clock.now(), {"name": name}, source="api", message=text, org=1))
    assert await listed(store) == [("custom", "nightly", 2), ("custom", "nightly", 1), ("custom", "weekly", 1)]


async def test_a_search_of_events_ignores_case_in_any_alphabet(store: Store, clock: ManualClock) -> None:
    await store.log.add_event(making.new_event("custom", clock.now(), {"name": "x"}, source="api", message="Übertragung fertig", org=1))
    for search, found in (("übertragung", 1), ("ÜBERTRAGUNG F", 1), ("", 1), ("ubertragung", 0)):
        assert len((await store.log.events(SCOPE, 9, only=EventFilter(search=search))).items) == found, search


async def test_a_repeated_report_of_a_sender_is_stored_once(store: Store, clock: ManualClock) -> None:
    first = await store.log.add_event(failed(clock, NodeId("n1"), "a.service", "7"))
    clock.advance(3600)
    assert await store.log.add_event(failed(clock, NodeId("n1"), "a.service", "7")) == first
    assert await store.log.add_event(failed(clock, NodeId("n2"), "a.service", "7")) != first
    assert [times for *_, times in await listed(store)] == [1, 1]


async def test_a_sender_stores_sixty_events_a_minute_and_a_count_of_the_rest(store: Store, clock: ManualClock) -> None:
    node = (await store.nodes.create_node(SCOPE, new_node())).id
    sent = [await store.log.add_event(failed(clock, node, f"u{at}", f"{at}")) for at in range(MOST_A_MINUTE + 5)]
    assert sent.count(None) == 5
    assert (await listed(store))[-1] == ("events_throttled", "", 5)
    assert len(await listed(store)) == MOST_A_MINUTE + 1
    await store.log.add_event(making.new_event("node_offline", clock.now(), node=node, name="web-1", org=1))
    assert (await listed(store))[-1][0] == "node_offline", "the hub's own events have no such limit"
    clock.advance(60)
    assert await store.log.add_event(failed(clock, node, "later", "later")) is not None


async def test_a_program_uses_up_no_budget_of_the_node_that_it_reports_about(store: Store, clock: ManualClock) -> None:
    nodes = [(await store.nodes.create_node(SCOPE, new_node(name))).id for name in ("a", "b")]
    for at in range(MOST_A_MINUTE + 2):
        details: dict[str, object] = {"name": f"e{at}"}
        node = nodes[at > MOST_A_MINUTE]
        about = making.new_event("custom", clock.now(), details, node=node, source="api", message="ok", reported_as=f"t1/{at}", org=1)
        assert (await store.log.add_event(about) is None) == (at == MOST_A_MINUTE), "it has another one for the second node"
    assert [one.node_id for one in (await store.log.events(SCOPE, 9, only=EventFilter(types=("events_throttled",)))).items] == [None]
    assert await store.log.add_event(failed(clock, nodes[0], "a.service", "7")) is not None


async def test_events_expire_by_severity_and_above_a_number(backend: Backend, clock: ManualClock) -> None:
    store, start = backend.store, clock.now()
    made = [new_event(start)._replace(severity=severity) for severity in KEEP_S]
    for event in (*made, new_event(start)._replace(org=STRANGER.org)):
        await store.log.add_event(event)
    assert await store.log.expire_events(start + KEEP_S["info"]) == 0
    for severity, left in (("info", 2), ("warning", 1), ("error", 0)):
        assert await store.log.expire_events(start + KEEP_S[severity] + 1) == (2 if severity == "info" else 1)  # type: ignore[index]
        assert len((await store.log.events(SCOPE, 10)).items) == left
    assert (await store.log.events(STRANGER, 10)).items == []
    log = store.log
    assert isinstance(log, SqliteLog)
    log._most_events = 3
    for at in range(8):
        await store.log.add_event(new_event(start + at))
    assert [await store.log.expire_events(start), await store.log.expire_events(start)] == [5, 0]
    assert [one.at - start for one in (await store.log.events(SCOPE, 10)).items] == [7, 6, 5]


async def test_the_counts_of_a_day_are_those_of_its_hours(store: Store, clock: ManualClock) -> None:
    node = (await store.nodes.create_node(SCOPE, new_node())).id
    for severity, of in (("info", node), ("error", node), ("error", None), ("error", node)):
        await store.log.add_event(new_event(clock.now(), of)._replace(severity=severity))  # type: ignore[arg-type]
        clock.advance(3600)
    assert (await store.log.count_events(SCOPE, clock.now()))[1:] == (1, 0, 3)
    assert (await store.log.count_events(SCOPE, clock.now(), node))[1:] == (1, 0, 2)
    assert (await store.log.count_events(STRANGER, clock.now()))[1:] == (0, 0, 0)
    clock.advance(20 * 3600)
    assert (await store.log.count_events(SCOPE, clock.now()))[1:] == (0, 0, 3)


def test_the_catalogue_is_one_closed_list() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert {*MEASURED, *REPORTED} <= set(names), "the hub knows what a node may report"
    assert all(set(row.key) <= set(MEASURED[row.name]) for row in ROWS if row.name in MEASURED)
    assert event_type("expected_backup_completed_missed") is not None
    assert (event_type("node.offline"), event_type("expected__missed")) == (None, None)
    for name, source in (("nothing", None), ("node_offline", "api"), ("backup_failed", "hub")):
        with pytest.raises(EventUnknown):
            known_type(name, source)  # type: ignore[arg-type]  # sources of events
    with pytest.raises(EventUnknown):
        making.new_event("custom", 0.0, {"name": "Not a slug"}, org=1)


def test_the_page_of_events_is_current() -> None:
    assert events.TARGET.read_text(encoding="utf-8") == events.generate(), "run scripts/gen/events.py"


@pytest.mark.holds("SAFETY-102", "SAFETY-53")
async def test_a_node_that_floods_is_counted_alone_and_loses_its_own_events_first(backend: Backend, clock: ManualClock) -> None:
    store = backend.store
    calm, loud = [(await store.nodes.create_node(SCOPE, new_node(name))).id for name in ("calm", "loud")]
    first = making.new_event("node_online", clock.now(), {}, node=calm, name="calm", org=1)
    await store.log.add_event(first)
    for at in range(MOST_OF_NODE_A_MINUTE + 100):
        flood = making.new_event("reboot_done", clock.now(), {"at": at}, node=loud, name="loud", org=1)._replace(window_s=0.0)
        await store.log.add_event(flood)
    assert len((await store.log.events(SCOPE, 500, node=loud)).items) == MOST_OF_NODE_A_MINUTE + 1
    [said] = [row for row in await listed(store) if row[0] == "events_throttled"]
    assert said[2] == 100, "the rest is counted"
    await store.log.add_event(making.new_event("node_offline", clock.now(), {}, node=calm, name="calm", org=1))
    log = store.log
    assert isinstance(log, SqliteLog)
    log._most_events = 50
    while await store.log.expire_events(clock.now()):
        pass
    assert {one.type for one in (await store.log.events(SCOPE, 500, node=calm)).items} == {"node_online", "node_offline"}
    log._most_of_node, log._most_events = 10, 1000
    while await store.log.expire_events(clock.now()):
        pass
    assert len((await store.log.events(SCOPE, 500, node=loud)).items) == 10
