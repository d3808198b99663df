"""One node's stored alerts are bounded: beyond the limit its own oldest ones go, and nobody else's."""

from __future__ import annotations

import pytest

from groundcontrol.adapters.sqlite.alerts import SqliteAlerts
from groundcontrol.alerts.incidents import Book, Fleet, Names
from groundcontrol.alerts.model import InstanceKey, RuleId, Transition
from groundcontrol.alerts.store import AlertChange
from groundcontrol.core.ids import NodeId
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE
from tests.support.store_backend import Backend


@pytest.mark.holds("SAFETY-102")
async def test_a_node_with_too_many_ended_alerts_loses_its_own_oldest(backend: Backend, clock: ManualClock) -> None:
    store, now = backend.store.alerts, clock.now()
    assert isinstance(store, SqliteAlerts)
    store._most_of_node = 30
    keys = [InstanceKey(RuleId("r"), NodeId("loud"), str(at)) for at in range(50)] + [InstanceKey(RuleId("r"), NodeId("calm"), "one")]
    book, names = Book(SCOPE.org), Names(str, lambda _: None)
    for kind, reason in (("fired", None), ("resolved", "cleared")):
        steps = [Transition(key, kind, "warning" if kind == "fired" else None, now, now, 1.0, 1.0, reason) for key in keys]  # type: ignore[arg-type]  # two of its kinds
        plan = book.plan(steps, now, names, Fleet(2))
        await store.commit(AlertChange(list(plan.alerts.values()), list(plan.incidents.values())))
        book.accept(plan)
    while await store.expire_alerts(now - 1):
        pass
    left = (await store.alerts(SCOPE, 200)).items
    assert sum(one.node_id == "calm" for one in left) == 1
    assert sorted(int(one.object) for one in left if one.node_id == "loud") == list(range(20, 50))
