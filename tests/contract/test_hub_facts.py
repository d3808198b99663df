"""The hub's own measurements, and the versions of its Spiders."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.alerts.hub_facts import HubFactReader
from groundcontrol.core.ids import NodeId
from groundcontrol.core.steady_clock import SteadyClock
from groundcontrol.nodes.model import NodeIdentity, NodePolicy
from tests.support.alert_trial import alert_trial
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, connect, new_node
from tests.support.some import some
from tests.support.store_backend import Backend


@pytest.fixture
def facts(backend: Backend, tmp_path: Path, clock: ManualClock) -> HubFactReader:
    return HubFactReader(tmp_path, backend.store.channels, backend.store.log, LocalBus(), lambda: 0.0, SteadyClock(clock), clock)


async def test_an_altered_audit_log_is_detected(backend: Backend, facts: HubFactReader, tmp_path: Path) -> None:
    await backend.store.nodes.create_node(SCOPE, new_node())
    assert (await facts.read()).audit_broken is None
    assert await facts.check_audit()
    assert (await facts.read()).audit_broken is False
    with sqlite3.connect(tmp_path / "data" / "stardust.db") as other:
        other.execute("UPDATE audit SET actor = 'nobody' WHERE n = 1")
    other.close()
    assert await facts.check_audit()
    assert (await facts.read()).audit_broken is True


async def test_the_disk_of_a_data_folder_that_cannot_be_read_is_unknown(backend: Backend, tmp_path: Path, clock: ManualClock) -> None:
    store = backend.store
    gone = HubFactReader(tmp_path / "gone", store.channels, store.log, LocalBus(), lambda: 0.0, SteadyClock(clock), clock)
    found = await gone.read()
    assert (found.disk_free_bytes, found.disk_free_percent, found.backup_age_s) == (None, None, None)


async def test_a_spider_is_outdated_since_the_hub_ships_another_one_or_since_the_node_exists(tmp_path: Path) -> None:
    async with alert_trial(tmp_path) as trial:
        store, clock = trial.backend.store, trial.clock

        async def since(node: NodeId, version: str) -> float | None:
            session = await connect(store, node)
            await store.nodes.save_identity(session, NodeIdentity(), version, NodePolicy("managed"), "no", clock.now())
            await trial.facts.reload(node)
            found = some(trial.facts.find(node))
            return found.outdated_since_at

        shipped_at = await store.hubs.ship_agent("0.1.0")
        clock.advance(1000)
        later = await store.nodes.create_node(SCOPE, new_node("later"))
        assert [await since(trial.nodes[0], version) for version in ("0.1.0", "0.0.9")] == [None, shipped_at]
        assert await since(later.id, "0.0.9") == clock.now()
