"""Key generations in the store: they only increase, and the recovery key is recorded without being stored."""

from __future__ import annotations

import pytest

from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import NotFound
from groundcontrol.core.ids import NodeId
from spider.wire.ids import new_random_id
from tests.support.factories import SCOPE, new_node


async def test_a_generation_only_rises_and_each_rise_is_in_the_log(store: Store) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    assert node.generation == 1
    assert (await store.nodes.renew_keys(node.id, 2)).generation == 2
    assert (await store.nodes.renew_keys(node.id, 2)).generation == 2
    assert (await store.nodes.renew_keys(node.id, 1)).generation == 2
    rows = (await store.log.audit(SCOPE, 50)).items
    assert [dict(row.detail) for row in rows if row.action == "node.rekeyed"] == [{"from": 1, "to": 2}]
    with pytest.raises(NotFound):
        await store.nodes.renew_keys(NodeId(new_random_id()), 2)


async def test_the_recovery_key_is_printed_once_unless_repeated_explicitly(store: Store) -> None:
    assert await store.recovery.note_recovery_print(SCOPE, again=False) is None
    assert await store.recovery.note_recovery_print(SCOPE, again=False)
    assert await store.recovery.note_recovery_print(SCOPE, again=True) is None
    assert await store.recovery.adopt_until() == 0.0
    await store.recovery.end_adoption(SCOPE)
