"""Races of commands about hubs, sessions, nodes and events (`race_cases.py`)."""

from __future__ import annotations

from groundcontrol.agents.store import HubInfo
from groundcontrol.core.errors import Conflict
from groundcontrol.core.ids import HubId
from groundcontrol.core.secrets import SealedRecord
from groundcontrol.core.tables import SubjectTable
from groundcontrol.events.catalogue import KEEP_S
from groundcontrol.nodes.model import LogBatch, LogLine, Node, NodeIdentity, NodePolicy, NodeUpdates
from tests.support.factories import (
    SCOPE,
    connect,
    is_current,
    layout_row,
    new_event,
    pack,
)
from tests.support.race_cases import AT_MS, CALLERS, Cases, Ground, Race, Rivals

CASES = Cases()


def told(node: Node) -> tuple[object, ...]:
    return (node.name, node.address, node.tags, node.generation, node.version)


# -- hubs and sessions -------------------------------------------------------------------------------------


@CASES.of("hubs.beat")
async def _beat(ground: Ground) -> Race:
    session = await ground.session()
    facts = HubInfo(session.hub, "127.0.0.1:8933", "0.1.0")

    async def held() -> object:
        return await ground.store.sessions.left_online(HubId("another"))

    return Race(lambda: ground.store.hubs.beat(facts.id, facts, 15.0), held, frozenset())


@CASES.of("hubs.ship_agent")
async def _ship_agent(ground: Ground) -> Race:
    """Since when a version is shipped does not move while it is shipped."""
    hubs = ground.store.hubs
    await hubs.ship_agent("0.1.0")
    return Race(lambda: hubs.ship_agent("0.2.0"), lambda: hubs.ship_agent("0.2.0"), ground.now)


@CASES.of("sessions.release")
async def _release(ground: Ground) -> Race:
    session = await ground.session()
    return Race(lambda: ground.store.sessions.release(session), lambda: is_current(ground.store, session), False)


@CASES.of("sessions.release_dead")
async def _release_dead(ground: Ground) -> Race:
    sessions, own = ground.store.sessions, HubId("another")
    await ground.session()

    async def held() -> object:
        return await sessions.left_online(own)

    return Race(lambda: sessions.release_dead(own), held, frozenset())


@CASES.of("sessions.release: of one that is not the current one")
async def _release_older(ground: Ground) -> Race:
    older = await ground.session()
    current = await connect(ground.store, older.node)
    return Race(lambda: ground.store.sessions.release(older), lambda: is_current(ground.store, current), True)


# -- nodes -------------------------------------------------------------------------------------------------


@CASES.of("nodes.edit_node")
async def _edit_node(ground: Ground) -> Race:
    store, node = ground.store, await ground.node()

    async def held() -> object:
        return told(await ground.stored_node(node.id))

    def after(name: str, tag: str, version: int) -> tuple[object, ...]:
        return (name, node.address, (tag,), 1, version)

    rivals = Rivals(
        "last",
        lambda at: store.nodes.edit_node(SCOPE, node.id, name=f"n{at}", tags=(f"t{at}",)),
        lambda at: after(f"n{at}", f"t{at}", node.version + CALLERS),
    )
    return Race(
        lambda: store.nodes.edit_node(SCOPE, node.id, name="db-1", tags=("db",)),
        held,
        after("db-1", "db", node.version + 1),
        ("node.edit",),
        rivals=rivals,
    )


@CASES.of("nodes.edit_node: one name for twenty nodes")
async def _one_name(ground: Ground) -> Race:
    store, nodes = ground.store, [await ground.node() for _ in range(CALLERS)]

    async def held() -> object:
        return [node.id for node in (await store.nodes.nodes(SCOPE, 100)).items if node.name == "wanted"]

    rivals = Rivals(
        "one", lambda at: store.nodes.edit_node(SCOPE, nodes[at].id, name="wanted", tags=None), lambda at: [nodes[at].id], Conflict
    )
    return Race(
        lambda: store.nodes.edit_node(SCOPE, nodes[0].id, name="wanted", tags=None), held, [nodes[0].id], ("node.edit",), rivals=rivals
    )


@CASES.of("nodes.move_node")
async def _move_node(ground: Ground) -> Race:
    store, node = ground.store, await ground.node()

    async def held() -> object:
        return told(await ground.stored_node(node.id))

    def after(address: str, version: int) -> tuple[object, ...]:
        return (node.name, address, node.tags, 1, version)

    rivals = Rivals(
        "last",
        lambda at: store.nodes.move_node(SCOPE, node.id, f"198.51.100.{at}"),
        lambda at: after(f"198.51.100.{at}", node.version + CALLERS),
    )
    return Race(
        lambda: store.nodes.move_node(SCOPE, node.id, "203.0.113.9"),
        held,
        after("203.0.113.9", node.version + 1),
        ("node.move",),
        rivals=rivals,
    )


@CASES.of("nodes.renew_keys")
async def _renew_keys(ground: Ground) -> Race:
    store, node = ground.store, await ground.node()

    async def held() -> object:
        return (await ground.stored_node(node.id)).generation

    rivals = Rivals("most", lambda at: store.nodes.renew_keys(node.id, 2 + (at * 7) % CALLERS), lambda _: CALLERS + 1)
    return Race(lambda: store.nodes.renew_keys(node.id, 2), held, 2, ("node.rekeyed",), rivals=rivals)


@CASES.of("nodes.delete_node")
async def _delete_node(ground: Ground) -> Race:
    store = ground.store
    session = await ground.session()

    async def held() -> object:
        return await store.nodes.find_node(session.node)

    return Race(lambda: store.nodes.delete_node(SCOPE, session.node), held, None, ("node.delete",))


@CASES.of("nodes.sweep")
async def _sweep(ground: Ground) -> Race:
    store = ground.store
    session = await ground.session()
    await store.metrics.append([pack(session, 0, layout_row(), AT_MS)])
    await store.node_logs.add_lines(session, LogBatch("", "c1", [LogLine(AT_MS, 4, "sshd", "hello")]))
    await store.nodes.delete_node(SCOPE, session.node)

    async def held() -> object:
        return (await ground.stored_rows(session.no), (await store.node_logs.lines(session.no, 10)).items)

    return Race(store.nodes.sweep, held, (0, []))


@CASES.of("nodes.save_identity")
async def _save_identity(ground: Ground) -> Race:
    store, session = ground.store, await ground.session()
    version, at = (await ground.stored_node(session.node)).version, ground.now

    async def held() -> object:
        node = await ground.stored_node(session.node)
        return (node.identity.hostname, node.agent_version, node.policy, node.reboot_required, node.last_seen_at, node.version)

    async def say(name: str) -> Node:
        return await store.nodes.save_identity(session, NodeIdentity(hostname=name), name, NodePolicy(name), name, at)

    def after(name: str, changes: int) -> tuple[object, ...]:
        return (name, name, NodePolicy(name), name, at, version + changes)

    rivals = Rivals("last", lambda number: say(f"h{number}"), lambda number: after(f"h{number}", CALLERS))
    return Race(lambda: say("h"), held, after("h", 1), rivals=rivals)


@CASES.of("nodes.save_updates")
async def _save_updates(ground: Ground) -> Race:
    store, session = ground.store, await ground.session()
    version = (await ground.stored_node(session.node)).version

    async def held() -> object:
        node = await ground.stored_node(session.node)
        return (node.updates, node.version)

    def counted(number: int) -> NodeUpdates:
        return NodeUpdates(number, number, float(number))

    rivals = Rivals(
        "last", lambda at: store.nodes.save_updates(session, counted(at)), lambda at: (counted(at), version + CALLERS), writes=False
    )
    return Race(lambda: store.nodes.save_updates(session, counted(99)), held, (counted(99), version + 1), rivals=rivals)


@CASES.of("nodes.save_seen")
async def _save_seen(ground: Ground) -> Race:
    store, node, start = ground.store, await ground.node(), ground.now

    async def held() -> object:
        found = await ground.stored_node(node.id)
        return (found.last_seen_at, found.version)

    rivals = Rivals(
        "most", lambda at: store.nodes.save_seen({node.id: start + (at * 7) % CALLERS}), lambda _: (start + CALLERS - 1, node.version)
    )
    return Race(lambda: store.nodes.save_seen({node.id: start}), held, (start, node.version), rivals=rivals)


@CASES.of("nodes.audit_journal")
async def _audit_journal(ground: Ground) -> Race:
    store, node = ground.store, await ground.node()

    async def held() -> object:
        return (await ground.stored_node(node.id)).version

    return Race(lambda: store.nodes.audit_journal(SCOPE, node.id, "ssh.service"), held, node.version, ("journal.read",), each=True)


@CASES.of("tables.save_table")
async def _save_table(ground: Ground) -> Race:
    store, session = ground.store, await ground.session()

    def table(number: int) -> SubjectTable:
        return SubjectTable("services", float(number), number, ("unit", "since"), ("a.service", number))

    async def held() -> object:
        return tuple(await store.tables.tables(SCOPE, session.node))

    rivals = Rivals("last", lambda at: store.tables.save_table(session, table(at)), lambda at: (table(at),))
    return Race(lambda: store.tables.save_table(session, table(99)), held, (table(99),), rivals=rivals)


# -- recovery and adoption -------------------------------------------------------------------------------


@CASES.of("recovery.note_recovery_print")
async def _print_recovery(ground: Ground) -> Race:
    """One prints it; all others get its time, and that it is not to be printed again unless they insist."""
    store = ground.store

    async def held() -> object:
        return await store.recovery.note_recovery_print(SCOPE, again=False)

    rivals = Rivals("last", lambda _: store.recovery.note_recovery_print(SCOPE, again=True), lambda _: ground.now)
    return Race(
        lambda: store.recovery.note_recovery_print(SCOPE, again=False),
        held,
        ground.now,
        ("recovery.print",),
        alone=(None, ground.now),
        rivals=rivals,
    )


@CASES.of("recovery.end_adoption")
async def _end_adoption(ground: Ground) -> Race:
    record = SealedRecord("fleet", "fleet", "key", 1, b"sealed")
    await ground.backend.database.secrets.restore_keyring(b"keyring", record, ground.now + 3600)
    assert await ground.store.recovery.adopt_until() == ground.now + 3600
    return Race(lambda: ground.store.recovery.end_adoption(SCOPE), ground.store.recovery.adopt_until, 0.0, ("recovery.end",))


# -- events ----------------------------------------------------------------------------------------------


@CASES.of("log.expire_events")
async def _expire_events(ground: Ground) -> Race:
    store, young = ground.store, new_event(ground.now)
    for made in (new_event(ground.now - KEEP_S["info"] - 1), young):
        await store.log.add_event(made)

    async def held() -> object:
        return (await store.log.events(SCOPE, 10)).items

    return Race(lambda: store.log.expire_events(ground.now), held, [young], alone=(1, 0))


@CASES.of("log.add_event")
async def _add_event(ground: Ground) -> Race:
    event = new_event(ground.now)

    async def held() -> object:
        return (await ground.store.log.events(SCOPE, 100)).items

    return Race(lambda: ground.store.log.add_event(event), held, [event])


@CASES.of("tables.save_events")
async def _save_events(ground: Ground) -> Race:
    session = await ground.session()
    events = [new_event(ground.now + at, session.node)._replace(source="agent", reported_as=f"{session.node}/{at}") for at in range(2)]

    async def held() -> object:
        return [one.id for one in (await ground.store.log.events(SCOPE, 2)).items]

    return Race(lambda: ground.store.tables.save_events(session, events), held, [events[1].id, events[0].id])
