"""Refusals: counted beside the audit log, summarised in it, and pruned."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite import events as sqlite_log
from groundcontrol.adapters.sqlite.admin.offline_reader import Inspection
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import node_actor
from spider.wire.ids import new_random_id
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, STRANGER, new_node, new_refusal
from tests.support.store_backend import Backend


async def everything(store: Store, limit: int) -> list[tuple[str, object]]:
    """(action, name or address) of all rows, the last one first, page by page."""
    found, cursor = [], None
    while True:
        page = await store.log.audit(SCOPE, limit, cursor)
        found += [(row.action, row.detail.get("name") or row.address) for row in page.items if row.action != "audit.anchor"]
        cursor = page.next
        if cursor is None:
            return found


@pytest.mark.holds("S-48", "S-34")
async def test_refusals_are_listed_in_the_audit_log_and_belong_to_no_chain(backend: Backend, clock: ManualClock, tmp_path: Path) -> None:
    store = backend.store
    expected = []
    for turn in range(3):
        await store.nodes.create_node(SCOPE, new_node(f"n{turn}"))
        made = [new_refusal(clock.now(), f"192.0.2.{turn}{at}") for at in range(turn)]
        await store.log.save_refusals(made)
        expected += [("node.create", f"n{turn}"), *(("auth.login", one.actor.address) for one in made)]
        clock.jump(-7200.0)
    for limit in (1, 2, 3, 100):
        assert await everything(store, limit) == expected[::-1]
    assert await store.log.verify_audit() is None
    assert (await store.log.audit(STRANGER, 100)).items == []
    async with await Inspection.open(tmp_path / "data" / "stardust.db") as inspection:
        assert [row.action for row in await inspection.newest_audit(100)][1:] == [action for action, _ in expected]
        assert [row.action async for row in inspection.audit_rows()].count("auth.login") == 0, (
            "an export is proof: it holds the chains alone"
        )


@pytest.mark.holds("S-48")
async def test_a_minute_of_refusals_is_one_row_of_the_audit_log(store: Store, clock: ManualClock) -> None:
    node = NodeId(new_random_id())
    by_node = new_refusal(clock.now())._replace(actor=node_actor(node, "192.0.2.9"), action="agent.open", why="wrong_host", target="hub")
    await store.log.save_refusals([new_refusal(clock.now(), f"192.0.2.{at}", times=1000) for at in range(5)])
    await store.log.save_refusals([by_node])
    await store.log.save_refusals([by_node._replace(times=20, last_at=clock.now() + 5)])
    await store.log.write_refusal_summary()
    await store.log.write_refusal_summary()
    rows = [row for row in (await store.log.audit(SCOPE, 100)).items if row.chain and row.action != "audit.anchor"]
    assert [(row.action, row.detail) for row in rows] == [
        ("refusal.summary", {"auth.login": 5000, "agent.open": 20, "since_at": clock.now(), "until_at": clock.now() + 5})
    ]
    [row] = [row for row in (await store.log.audit(SCOPE, 100)).items if row.action == "agent.open"]
    assert (row.actor, row.result) == (f"node:{node}", "refused")
    assert row.detail == {"why": "wrong_host", "count": 20, "last_at": clock.now() + 5}
    await store.log.save_refusals([by_node._replace(times=21)])
    await store.log.write_refusal_summary()
    assert (await store.log.audit(SCOPE, 1)).items[0].detail["agent.open"] == 1, "what is in no summary yet"
    assert await store.log.verify_audit() is None


@pytest.mark.holds("S-48")
async def test_refusals_are_bounded_and_the_oldest_expire(store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.log, "_most_refusals", 100)
    assert sqlite_log.MOST_REFUSALS == 100_000
    for turn in range(10):
        await store.log.save_refusals([new_refusal(clock.now() + turn, f"10.0.{turn}.{at}") for at in range(30)])
    kept = [address for _, address in await everything(store, 1000)]
    assert len(kept) == 100
    assert kept[0] == "10.0.9.29"
    assert await store.log.expire_refusals(clock.now() - 1) == 0
    assert await store.log.expire_refusals(clock.now() + 9) == 70
    assert len(await everything(store, 1000)) == 30
    await store.log.write_refusal_summary()
    assert await store.log.verify_audit() is None


async def test_refusals_are_stored_without_control_characters(store: Store, clock: ManualClock) -> None:
    await store.log.save_refusals([new_refusal(clock.now(), "192.0.2.1\x1b[31m")._replace(target="job:\u202e\n" + "x" * 5000)])
    [row] = (await store.log.audit(SCOPE, 1)).items
    assert row.address == "192.0.2.1\\x1b[31m"
    assert row.target.startswith("job:\\u202e\\nxxx")
    assert len(row.target) < 1100
