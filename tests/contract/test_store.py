"""Nodes, their owners, hubs and leases."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.agents.store import HubInfo
from groundcontrol.core.errors import BadRequest, Conflict, Fenced, NotFound
from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.core.scope import Grants
from groundcontrol.nodes.model import NodeIdentity, NodePolicy, NodeUpdates
from spider.wire.ids import new_random_id
from tests.support.clock import ManualClock
from tests.support.factories import BOOT, HUB, SCOPE, STRANGER, audited, connect, is_current, layout_row, new_job, new_node, pack, twice
from tests.support.some import some
from tests.support.store_backend import Backend


async def test_creating_a_node_is_idempotent(store: Store) -> None:
    wanted = new_node()
    node = await twice(lambda: store.nodes.create_node(SCOPE, wanted))
    assert (node.name, node.address, node.tags, node.pending, node.generation) == ("web-1", "192.0.2.1", ("web",), True, 1)
    assert await store.nodes.node(SCOPE, node.id) == node
    assert await store.nodes.find_node(node.id) == node
    assert await store.nodes.id_by_number(node.no) == node.id
    assert await audited(store) == [("local:1000", "node.create", node.id)]


async def test_an_id_in_use_is_refused_for_another_node(store: Store) -> None:
    first = await store.nodes.create_node(SCOPE, new_node())
    with pytest.raises(Conflict):
        await store.nodes.create_node(SCOPE, new_node("other")._replace(id=first.id))


async def test_names_are_unique_within_an_organisation_ignoring_case(store: Store) -> None:
    await store.nodes.create_node(SCOPE, new_node("Straße-1"))
    with pytest.raises(Conflict, match="already"):
        await store.nodes.create_node(SCOPE, new_node("STRASSE-1"))
    await store.nodes.create_node(STRANGER, new_node("Straße-1"))


async def test_a_name_of_a_hidden_node_is_refused_without_details(store: Store) -> None:
    await store.nodes.create_node(SCOPE, new_node("hidden-1", tags=("db",)))
    own = await store.nodes.create_node(SCOPE, new_node("own-1", tags=("web",)))
    limited = SCOPE._replace(grants=(Grants(tags=("web",)),))
    with pytest.raises(Conflict) as told:
        await store.nodes.edit_node(limited, own.id, name="Hidden-1", tags=None)
    assert (told.value.message, told.value.detail) == ("this name cannot be given: choose another one", {"field": "name"})


async def test_of_twenty_creators_of_one_name_one_wins(store: Store) -> None:
    results = await asyncio.gather(*(store.nodes.create_node(SCOPE, new_node()) for _ in range(20)), return_exceptions=True)
    assert sum(not isinstance(result, Conflict) for result in results) == 1
    assert len((await store.nodes.nodes(SCOPE, 100)).items) == 1


async def test_of_twenty_bulk_creators_one_creates_all_nodes(store: Store) -> None:
    lists = [[new_node(f"own-{maker}"), new_node("wanted-by-all")] for maker in range(20)]
    results = await asyncio.gather(*(store.nodes.create_nodes(SCOPE, lists[maker]) for maker in range(20)), return_exceptions=True)
    [won] = [maker for maker, result in enumerate(results) if not isinstance(result, BaseException)]
    assert all(isinstance(result, Conflict) for maker, result in enumerate(results) if maker != won)
    there = (await store.nodes.nodes(SCOPE, 100)).items
    assert [node.name for node in there] == [f"own-{won}", "wanted-by-all"]
    assert there == results[won]
    assert await twice(lambda: store.nodes.create_nodes(SCOPE, lists[won])) == there
    assert len(await audited(store)) == 2


@pytest.mark.holds("SAFETY-33")
async def test_another_organisation_cannot_read_or_change_a_node(store: Store) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    with pytest.raises(NotFound):
        await store.nodes.node(STRANGER, node.id)
    with pytest.raises(NotFound):
        await store.nodes.edit_node(STRANGER, node.id, name="mine", tags=None)
    with pytest.raises(NotFound):
        await store.nodes.delete_node(STRANGER, node.id)
    with pytest.raises(NotFound):
        await store.jobs.create_job(STRANGER, new_job(node.id, 1.0), None)
    assert (await store.nodes.nodes(STRANGER, 10)).items == []


async def test_editing_changes_only_given_fields_and_is_audited_once(store: Store) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    renamed = await twice(lambda: store.nodes.edit_node(SCOPE, node.id, name="db-1", tags=None))
    assert (renamed.name, renamed.tags, renamed.version) == ("db-1", ("web",), node.version + 1)
    tagged = await store.nodes.edit_node(SCOPE, node.id, name=None, tags=("db", "eu"))
    assert (tagged.name, tagged.tags) == ("db-1", ("db", "eu"))
    assert [action for _, action, _ in await audited(store)] == ["node.create", "node.edit", "node.edit"]


async def test_pages_show_every_node_once(store: Store) -> None:
    made = [await store.nodes.create_node(SCOPE, new_node(f"n{at}")) for at in range(7)]
    seen, cursor = [], None
    while True:
        page = await store.nodes.nodes(SCOPE, 3, cursor)
        seen += page.items
        cursor = page.next
        if cursor is None:
            break
    assert seen == made
    assert len(page.items) == 1


async def test_an_unknown_cursor_is_refused(store: Store) -> None:
    for cursor in ["", "x", "AAAA", "k5Vub2RlcwGRAQ==", "é", "a" * 5000]:
        with pytest.raises(BadRequest):
            await store.nodes.nodes(SCOPE, 3, cursor)


async def test_a_cursor_serves_one_list_of_one_organisation(store: Store) -> None:
    for at in range(3):
        await store.nodes.create_node(SCOPE, new_node(f"n{at}"))
    cursor = some((await store.nodes.nodes(SCOPE, 2)).next)
    with pytest.raises(BadRequest):
        await store.nodes.nodes(STRANGER, 2, cursor)
    with pytest.raises(BadRequest):
        await store.jobs.jobs(SCOPE, 2, cursor)


@pytest.mark.holds("SAFETY-41", "SAFETY-48", "S-43")
async def test_deleting_a_node_deletes_its_data_and_its_id_is_never_reused(store: Store, clock: ManualClock) -> None:
    wanted = new_node()
    node = await store.nodes.create_node(SCOPE, wanted)
    session = await connect(store, node.id)
    await store.metrics.append([pack(session, 0, layout_row(), 1_790_000_000_000)])
    job = await store.jobs.create_job(SCOPE, new_job(node.id, clock.now()), None)
    await store.jobs.take(None, [session], clock.now())
    await store.jobs.append_output(job.id, 0, b"hello", session)

    await twice(lambda: store.nodes.delete_node(SCOPE, node.id))
    await twice(store.nodes.sweep)

    assert await store.nodes.find_node(node.id) is None
    assert await store.nodes.id_by_number(node.no) is None
    assert (await store.jobs.jobs(SCOPE, 10)).items == []
    assert await store.metrics.latest(node.no) == {}
    with pytest.raises(NotFound):
        await store.sessions.claim(node.id, BOOT, HUB)
    with pytest.raises(Fenced):
        await store.metrics.begin_session(session._replace(epoch=session.epoch + 1))
    assert (await store.metrics.append([pack(session, 1, layout_row(), 1_790_000_010_000)]))[node.id] is None
    for scope, again in ((SCOPE, wanted), (STRANGER, wanted), (SCOPE, wanted._replace(name="new"))):
        with pytest.raises(Conflict, match="used before"):
            await store.nodes.create_node(scope, again)
    successor = await store.nodes.create_node(SCOPE, new_node())
    assert successor.no != node.no


async def test_deleting_an_unknown_node_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.nodes.delete_node(SCOPE, NodeId(new_random_id()))


async def test_the_store_records_since_when_updates_and_a_reboot_are_due(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    session = await connect(store, node.id)
    began = clock.now()

    async def since(security: int | None, total: int = 9) -> float | None:
        clock.advance(100.0)
        return (await store.nodes.save_updates(session, NodeUpdates(total, security, clock.now()))).security_since_at

    assert [await since(0), await since(2), await since(None), await since(5)] == [None, began + 200, began + 200, began + 200]
    assert [await since(0), await since(1)] == [None, began + 600]

    async def due(reboot: str) -> float | None:
        clock.advance(100.0)
        return (
            await store.nodes.save_identity(session, NodeIdentity(kernel=reboot), "0.1.0", NodePolicy("monitor"), reboot, clock.now())
        ).reboot_since_at

    assert [await due("no"), await due("yes"), await due("yes"), await due("unknown")] == [None, began + 800, began + 800, None]


async def test_the_identity_of_a_node_is_stored_and_counted_once(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    session = await connect(store, node.id)
    identity = NodeIdentity(hostname="web-1", os_id="debian", cpu_cores=4, memory_bytes=1 << 40, addresses=("192.0.2.1", "2001:db8::1"))
    policy = NodePolicy("managed", ("refresh", "upgrade"))
    told = await twice(lambda: store.nodes.save_identity(session, identity, "0.1.0", policy, "yes", clock.now()))
    assert (told.identity, told.policy, told.agent_version, told.reboot_required) == (identity, policy, "0.1.0", "yes")
    assert told.last_seen_at == clock.now()
    updates = NodeUpdates(12, 3, clock.now())
    assert (await twice(lambda: store.nodes.save_updates(session, updates))).updates == updates
    await store.nodes.save_seen({node.id: clock.now() + 60, NodeId(new_random_id()): 5.0})
    await store.nodes.save_seen({node.id: clock.now() - 60})
    after = await store.nodes.node(SCOPE, node.id)
    assert after.last_seen_at == clock.now() + 60
    assert after.version == 4  # made, joined, identity, updates


async def test_the_first_session_ends_pending_and_is_audited(store: Store) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    await store.sessions.claim(node.id, BOOT, HUB)
    await store.sessions.claim(node.id, BOOT, HUB)
    assert not (await store.nodes.node(SCOPE, node.id)).pending
    assert (await audited(store))[1:] == [(f"node:{node.id}", "node.join", node.id)]


async def test_of_twenty_claims_each_has_its_own_epoch_and_the_last_owns(store: Store) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    hubs = [HubId(f"hub-{at}") for at in range(20)]
    sessions = await asyncio.gather(*(store.sessions.claim(node.id, BOOT, hub) for hub in hubs))
    epochs = sorted(session.epoch for session in sessions)
    assert epochs == list(range(epochs[0], epochs[0] + 20))
    current = [session for session in sessions if await is_current(store, session)]
    assert current == [max(sessions, key=lambda session: session.epoch)]


async def test_an_older_session_is_fenced_from_every_write(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    old = await connect(store, node.id)
    job = await store.jobs.create_job(SCOPE, new_job(node.id, clock.now()), None)
    await store.jobs.take(None, [old], clock.now())
    new = await connect(store, node.id, boot=BootId("1e" * 16))
    for write in (
        lambda: store.nodes.save_identity(old, NodeIdentity(), "", NodePolicy("managed"), "no", 1.0),
        lambda: store.nodes.save_updates(old, NodeUpdates()),
        lambda: store.metrics.begin_session(old),
        lambda: store.metrics.save_schema(old, layout_row()),
        lambda: store.jobs.append_output(job.id, 0, b"x", old),
        lambda: store.jobs.unaccepted(old),
    ):
        with pytest.raises(Fenced):
            await write()
    await store.sessions.release(old)
    assert await is_current(store, new)


async def test_a_released_session_has_no_owner_and_the_epoch_continues(store: Store) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    session = await store.sessions.claim(node.id, BOOT, HUB)
    await twice(lambda: store.sessions.release(session))
    assert not await is_current(store, session)
    assert (await store.sessions.claim(node.id, BOOT, HUB)).epoch == session.epoch + 1


async def test_a_hub_is_alive_while_it_sends_heartbeats(backend: Backend) -> None:
    store, clock = backend.store, backend.clock
    node = await store.nodes.create_node(SCOPE, new_node())
    await store.sessions.claim(node.id, BOOT, HUB)
    facts = HubInfo(HUB, "127.0.0.1:8933", "0.1.0")
    assert list(await twice(lambda: store.hubs.beat(HUB, facts, 15.0))) == [facts]
    other = HubInfo(HubId("other"), "", "")
    assert await store.sessions.left_online(other.id) == frozenset()
    clock.advance(16.0)
    assert await store.sessions.left_online(other.id) == {node.id}
    assert list(await store.hubs.beat(other.id, other, 15.0)) == [other]


async def test_a_lease_has_one_holder_and_its_token_grows(store: Store, clock: ManualClock) -> None:
    hubs = [HubId(f"hub-{at}") for at in range(20)]
    leases = [lease for lease in await asyncio.gather(*(store.hubs.lease("sweep", hub, 10.0) for hub in hubs)) if lease]
    assert len(leases) == 1
    again = await twice(lambda: store.hubs.lease("sweep", leases[0].hub, 10.0))
    assert again == leases[0]
    clock.advance(11.0)
    other = some(await store.hubs.lease("sweep", HubId("late"), 10.0))
    assert other.token == leases[0].token + 1


async def test_all_data_survives_a_restart(backend: Backend) -> None:
    node = await backend.store.nodes.create_node(SCOPE, new_node())
    session = await connect(backend.store, node.id)
    await backend.store.metrics.append([pack(session, 0, layout_row(), 1_790_000_000_000)])
    store = await backend.reopen()
    assert (await store.nodes.node(SCOPE, node.id)).name == node.name
    assert await store.sessions.left_online(HubId("other")) == {node.id}, "no hub of before is alive"
    after = await connect(store, node.id)
    assert after.epoch == session.epoch + 1
    assert (await store.metrics.begin_session(after)).live == 0
    assert await store.log.verify_audit() is None


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "b\udfff!"])
async def test_text_that_not_every_database_holds_is_refused(store: Store, clock: ManualClock, text: str) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    for act in (
        lambda: store.nodes.create_node(SCOPE, new_node(text)),
        lambda: store.nodes.create_node(SCOPE, new_node(tags=(text,))),
        lambda: store.nodes.edit_node(SCOPE, node.id, name=text, tags=None),
        lambda: store.nodes.edit_node(SCOPE, node.id, name=None, tags=(text,)),
        lambda: store.nodes.node(SCOPE, NodeId(text)),
        lambda: store.users.user_by_name(text),
        lambda: store.jobs.create_job(SCOPE, new_job(node.id, clock.now()), text),
    ):
        with pytest.raises(BadRequest):
            await act()
    assert [found.name for found in (await store.nodes.nodes(SCOPE, 10)).items] == ["web-1"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40))
async def test_all_other_text_is_stored_unchanged(store: Store, text: str) -> None:
    node = await store.nodes.create_node(SCOPE, new_node(new_random_id(), address=text, tags=(text, "\\u0000")))
    again = await store.nodes.node(SCOPE, node.id)
    assert (again.address, again.tags) == (text, (text, "\\u0000"))
