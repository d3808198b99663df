"""Commands about nodes and what nodes say: what each needs, does and leaves (`race_cases.py`)."""

from __future__ import annotations

import hashlib

from groundcontrol.agents.store import HubInfo
from groundcontrol.core.errors import Conflict, Fenced
from groundcontrol.core.ids import HubId, NodeId
from groundcontrol.core.secrets import SealedRecord
from groundcontrol.core.tables import SubjectTable
from groundcontrol.deployments.model import MOST_OPEN, Invite
from groundcontrol.events.catalogue import KEEP_S
from groundcontrol.jobs.model import JobUpdate
from groundcontrol.nodes.model import LogBatch, LogLine, Node, NodeIdentity, NodePolicy, NodeUpdates
from groundcontrol.nodes.processes import ProcessReading, ProcessUse
from groundcontrol.samples.model import Bounds, Retention, RetentionChange, SeriesSchema
from spider.wire.ids import new_random_id
from tests.support.factories import (
    BOOT,
    HUB,
    SCOPE,
    an_invite,
    connect,
    layout_row,
    new_deployment,
    new_event,
    new_job,
    new_node,
    pack,
    running_job,
)
from tests.support.race_cases import CALLERS, Cases, Ground, Race, Rivals

CASES = Cases()

AT_MS = 1_790_000_000_000
HOUR_S = 3600.0


def told(node: Node) -> tuple[object, ...]:
    return (node.name, node.address, node.tags, node.generation, node.version)


async def shown(ground: Ground, node: NodeId) -> Node:
    return await ground.store.nodes.node(SCOPE, node)


async def samples(ground: Ground, no: int) -> int:
    return sum([len(rows) async for _, rows in ground.store.metrics.read(no, 0, AT_MS / 500, ["pulse"])])


# -- hubs and sessions -------------------------------------------------------------------------------------


@CASES.of("hubs.beat")
async def _beat(ground: Ground) -> Race:
    session = await ground.session()
    facts = HubInfo(session.hub, "127.0.0.1:8933", "0.1.0")

    async def held() -> object:
        owner = await ground.store.sessions.owner(session.node)
        return owner and owner.hub_alive

    return Race(lambda: ground.store.hubs.beat(facts.id, facts, 15.0), held, True)


@CASES.of("hubs.ship_agent")
async def _ship_agent(ground: Ground) -> Race:
    """Since when a version is shipped does not move while it is shipped."""
    hubs = ground.store.hubs
    await hubs.ship_agent("0.1.0")
    return Race(lambda: hubs.ship_agent("0.2.0"), lambda: hubs.ship_agent("0.2.0"), ground.now)


@CASES.of("sessions.release")
async def _release(ground: Ground) -> Race:
    session = await ground.session()
    return Race(lambda: ground.store.sessions.release(session), lambda: ground.store.sessions.owner(session.node), None)


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

    async def held() -> object:
        owner = await ground.store.sessions.owner(older.node)
        return owner and owner.session

    return Race(lambda: ground.store.sessions.release(older), held, current)


# -- nodes -------------------------------------------------------------------------------------------------


@CASES.of("nodes.edit_node")
async def _edit_node(ground: Ground) -> Race:
    store, node = ground.store, await ground.node()

    async def held() -> object:
        return told(await shown(ground, node.id))

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
        return told(await shown(ground, node.id))

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
        return (await shown(ground, node.id)).generation

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
        return (await samples(ground, session.no), (await store.node_logs.lines(session.no, 10)).items)

    return Race(store.nodes.sweep, held, (0, []))


@CASES.of("nodes.save_identity")
async def _save_identity(ground: Ground) -> Race:
    store, session = ground.store, await ground.session()
    version, at = (await shown(ground, session.node)).version, ground.now

    async def held() -> object:
        node = await shown(ground, session.node)
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
    version = (await shown(ground, session.node)).version

    async def held() -> object:
        node = await shown(ground, session.node)
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
        found = await shown(ground, node.id)
        return (found.last_seen_at, found.version)

    rivals = Rivals(
        "most", lambda at: store.nodes.save_seen({node.id: start + (at * 7) % CALLERS}), lambda _: (start + CALLERS - 1, node.version)
    )
    return Race(lambda: store.nodes.save_seen({node.id: start}), held, (start, node.version), rivals=rivals)


@CASES.of("nodes.audit_journal")
async def _audit_journal(ground: Ground) -> Race:
    store, node = ground.store, await ground.node()

    async def held() -> object:
        return (await shown(ground, node.id)).version

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


# -- samples and log lines ----------------------------------------------------------------------------------


@CASES.of("metrics.marks")
async def _marks(ground: Ground) -> Race:
    """Of many sessions of a node the newest may write, whenever the older ones ask."""
    store, node = ground.store, await ground.node()
    sessions = [await store.sessions.claim(node.id, BOOT, HUB) for _ in range(CALLERS)]
    order = [*sessions[::2], *sessions[::-2]]  # the newest in the middle

    async def held() -> object:
        found: dict[bool, set[int]] = {True: set(), False: set()}
        for session in sessions:
            answer = await store.metrics.append([pack(session, 0, layout_row(), AT_MS)._replace(body=b"")])
            found[answer[node.id] is not None].add(session.epoch)
        return found[True]

    newest = sessions[-1].epoch
    order.remove(sessions[-1])
    rivals = Rivals("most", lambda at: store.metrics.marks([*order, sessions[-1]][at]), lambda _: {newest}, Fenced)
    return Race(lambda: store.metrics.marks(sessions[-1]), held, {newest}, rivals=rivals)


@CASES.of("metrics.save_schema")
async def _save_layout(ground: Ground) -> Race:
    store, session = ground.store, await ground.session()
    layout = layout_row("breathe", ("temperature{sensor=cpu}",), 60)

    async def held() -> object:
        await store.metrics.append([pack(session, 0, layout, AT_MS, rows=1)])
        return [found async for found, _ in store.metrics.read(session.no, 0, AT_MS / 500, ["breathe"])]

    def other(at: int) -> SeriesSchema:
        return layout._replace(series=(f"temperature{{sensor=c{at}}}",))

    rivals = Rivals("one", lambda at: store.metrics.save_schema(session, other(at)), lambda at: [other(at)], Conflict)
    return Race(lambda: store.metrics.save_schema(session, layout), held, [layout], rivals=rivals)


@CASES.of("metrics.expire")
async def _expire_samples(ground: Ground) -> Race:
    store, session = ground.store, await ground.session()
    await store.metrics.append([pack(session, 0, layout_row(), AT_MS), pack(session, 1, layout_row(), AT_MS + 10 * 3_600_000)])
    limit = AT_MS / 1000 + 2 * HOUR_S
    bounds = Bounds(limit, limit, limit, 2 * limit)
    return Race(lambda: store.metrics.expire(bounds), lambda: samples(ground, session.no), 10, alone=(1, 0))


@CASES.of("metrics.drop_node")
async def _drop_node(ground: Ground) -> Race:
    store, session = ground.store, await ground.session()
    await store.metrics.append([pack(session, 0, layout_row(), AT_MS)])
    await store.node_logs.add_lines(session, LogBatch("", "c1", [LogLine(AT_MS, 4, "sshd", "hello")]))

    async def held() -> object:
        answer = await store.metrics.append([pack(session, 1, layout_row(), AT_MS + 10_000)])
        return (await samples(ground, session.no), answer[session.node], (await store.node_logs.lines(session.no, 9)).items)

    return Race(lambda: store.metrics.drop_node(session.no), held, (0, None, []))


@CASES.of("node_logs.add_lines")
async def _add_lines(ground: Ground) -> Race:
    """Of twenty that follow on the same line one is taken, whole; all are told up to where lines are held now."""
    store, session = ground.store, await ground.session()

    def batch(name: str) -> LogBatch:
        return LogBatch("", name, [LogLine(AT_MS + at, 4, "sshd", f"{name}/{at}") for at in range(2)])

    async def held() -> object:
        return [line.text for line in (await store.node_logs.lines(session.no, 100)).items]

    rivals = Rivals("same", lambda at: store.node_logs.add_lines(session, batch(f"c{at}")), lambda at: [f"c{at}/1", f"c{at}/0"])
    return Race(lambda: store.node_logs.add_lines(session, batch("c")), held, ["c/1", "c/0"], rivals=rivals)


@CASES.of("process_history.save_reading")
async def _save_reading(ground: Ground) -> Race:
    """Of twenty readings of a minute the last is kept, whenever it arrives."""
    store, session = ground.store, await ground.session()
    minute_ms = AT_MS - AT_MS % 60_000

    def reading(at: int) -> ProcessReading:
        return ProcessReading(minute_ms + at, [ProcessUse("sh", "root", at, 4096)])

    async def held() -> object:
        return await store.process_history.reading(session.no, minute_ms / 1000 + 60)

    order = [*range(1, CALLERS, 2), *range(0, CALLERS, 2)]
    last = reading(CALLERS - 1)
    rivals = Rivals("most", lambda at: store.process_history.save_reading(session, reading(order[at])), lambda _: last)
    return Race(lambda: store.process_history.save_reading(session, reading(0)), held, reading(0), rivals=rivals)


@CASES.of("process_history.expire_readings")
async def _expire_readings(ground: Ground) -> Race:
    store, session = ground.store, await ground.session()
    use = [ProcessUse("sh", "root", 1, 4096)]
    for at_ms in (AT_MS, AT_MS + 3_600_000):
        await store.process_history.save_reading(session, ProcessReading(at_ms, use))

    async def held() -> object:
        return [await store.process_history.reading(session.no, AT_MS / 1000 + ahead_s) for ahead_s in (1800, 3600)]

    kept = ProcessReading(AT_MS + 3_600_000, use)
    return Race(lambda: store.process_history.expire_readings(AT_MS / 1000 + 1800), held, [None, kept], alone=(1, 0))


@CASES.of("retention.save_retention")
async def _save_retention(ground: Ground) -> Race:
    store, wanted = ground.store, Retention(7200, 86_400, 864_000)
    rivals = Rivals(
        "last",
        lambda at: store.retention.save_retention(SCOPE, RetentionChange(minutes_s=100_000 + at, hours_s=900_000 + at), wanted),
        lambda at: wanted._replace(minutes_s=100_000 + at, hours_s=900_000 + at),
    )
    return Race(
        lambda: store.retention.save_retention(SCOPE, RetentionChange(*wanted), Retention()),
        store.retention.retention,
        wanted,
        ("settings.edit",),
        rivals=rivals,
    )


# -- jobs and deployments -------------------------------------------------------------------------------------


@CASES.of("jobs.append_output")
async def _append_output(ground: Ground) -> Race:
    """Of twenty that bring other bytes of one place those of one are kept, and all are told the same end."""
    store = ground.store
    job, session = await running_job(store, ground.now, new_random_id())

    async def held() -> object:
        return b"".join([piece async for piece in store.jobs.output(SCOPE, job.id, 0)])

    rivals = Rivals("same", lambda at: store.jobs.append_output(job.id, 0, b"%04d" % at, session), lambda at: b"%04d" % at)
    return Race(lambda: store.jobs.append_output(job.id, 0, b"hello", session), held, b"hello", rivals=rivals)


@CASES.of("jobs.output_digest")
async def _output_digest(ground: Ground) -> Race:
    """It changes nothing, and goes by the one who writes: it must be of what is held at one moment."""
    store = ground.store
    job, session = await running_job(store, ground.now, new_random_id())
    await store.jobs.append_output(job.id, 0, b"hello", session)

    async def held() -> object:
        return await store.jobs.output_digest(job.id)

    return Race(held, held, (5, hashlib.sha256(b"hello").hexdigest()))


@CASES.of("jobs.expire")
async def _expire_jobs(ground: Ground) -> Race:
    store = ground.store
    job, session = await running_job(store, ground.now, new_random_id())
    await store.jobs.append_output(job.id, 0, b"printed", session)
    await store.jobs.advance(job.id, "succeeded", session, JobUpdate(output_bytes=7))
    kept = await store.jobs.create_job(SCOPE, new_job(job.node_id, ground.now + 10), None)

    async def held() -> object:
        return [one.id for one in (await store.jobs.jobs(SCOPE, 10)).items]

    return Race(lambda: store.jobs.expire(ground.now + 1), held, [kept.id], alone=(1, 0))


@CASES.of("deployments.create_deployment")
async def _create_deployment(ground: Ground) -> Race:
    store = ground.store
    wanted = [new_deployment(ground.now + at) for at in range(CALLERS)]

    async def held() -> object:
        return (await store.deployments.deployments(SCOPE, 100)).items

    rivals = Rivals("same", lambda at: store.deployments.create_deployment(SCOPE, wanted[at], "key"), lambda at: [wanted[at]])
    return Race(
        lambda: store.deployments.create_deployment(SCOPE, wanted[0], "key"), held, [wanted[0]], ("deployment.create",), rivals=rivals
    )


@CASES.of("deployments.create_deployments")
async def _create_deployments(ground: Ground) -> Race:
    """One for each of two servers, by one key: all of one caller's, none of the others'."""
    store = ground.store
    wanted = [
        [new_deployment(ground.now + 2 * at + one, name=f"n{one}")._replace(batch=f"b{at}") for one in range(2)] for at in range(CALLERS)
    ]

    async def held() -> object:
        return (await store.deployments.deployments(SCOPE, 100)).items

    rivals = Rivals("same", lambda at: store.deployments.create_deployments(SCOPE, wanted[at], "key"), lambda at: wanted[at][::-1])
    return Race(
        lambda: store.deployments.create_deployments(SCOPE, wanted[0], "key"),
        held,
        wanted[0][::-1],
        ("deployment.create",) * 2,
        rivals=rivals,
    )


@CASES.of("deployments.expire")
async def _expire_deployments(ground: Ground) -> Race:
    store = ground.store
    ended, goes_on = [await store.deployments.create_deployment(SCOPE, new_deployment(ground.now + at)) for at in range(2)]
    await store.deployments.save_deployment(SCOPE, ended._replace(state="failed", ended_at=ground.now + 1))

    async def held() -> object:
        return (await store.deployments.deployments(SCOPE, 10)).items

    return Race(lambda: store.deployments.expire(ground.now + 2), held, [goes_on], alone=(1, 0))


# -- how nodes come in ------------------------------------------------------------------------------------------


async def joined(ground: Ground) -> tuple[Invite, Node]:
    """A node that came with an organisation secret, and waits."""
    invite = await ground.store.invites.create_invite(
        SCOPE, an_invite(ground.now, kind="organisation", name="cloud", most_uses=3, approval=True)
    )
    return invite, await ground.store.invites.use_invite(invite.id, SCOPE, new_node(new_random_id()))


@CASES.of("invites.create_invite")
async def _create_invite(ground: Ground) -> Race:
    """There is one place left: twenty that want it."""
    store = ground.store
    for _ in range(MOST_OPEN - 1):
        await store.invites.create_invite(SCOPE, an_invite(ground.now))
    wanted = [an_invite(ground.now) for _ in range(CALLERS)]

    async def held() -> object:
        page = await store.invites.invites(SCOPE, 1)
        rest = await store.invites.invites(SCOPE, 200, page.next)
        return (page.items[0], len(rest.items))

    rivals = Rivals("one", lambda at: store.invites.create_invite(SCOPE, wanted[at]), lambda at: (wanted[at], MOST_OPEN - 1))
    return Race(lambda: store.invites.create_invite(SCOPE, wanted[0]), held, (wanted[0], MOST_OPEN - 1), ("invite.create",), rivals=rivals)


@CASES.of("invites.revoke_invite")
async def _revoke_invite(ground: Ground) -> Race:
    invite = await ground.store.invites.create_invite(SCOPE, an_invite(ground.now))
    at = ground.now

    async def held() -> object:
        found = await ground.store.invites.invite(SCOPE, invite.id)
        return (found.revoked_at, await ground.store.invites.find_invite(invite.id, at))

    return Race(lambda: ground.store.invites.revoke_invite(SCOPE, invite.id), held, (at, None), ("invite.revoke",))


@CASES.of("invites.settle_joining")
async def _settle_joining(ground: Ground) -> Race:
    _, node = await joined(ground)
    event = new_event(ground.now)
    return Race(lambda: ground.store.invites.settle_joining(node.id, event), ground.store.invites.unsettled, [])


@CASES.of("invites.approve_node")
async def _approve_node(ground: Ground) -> Race:
    _, node = await joined(ground)

    async def held() -> object:
        found = await shown(ground, node.id)
        return (found.waiting, found.version)

    return Race(lambda: ground.store.invites.approve_node(SCOPE, node.id), held, (False, node.version + 1), ("node.approve",))


@CASES.of("recovery.print_recovery")
async def _print_recovery(ground: Ground) -> Race:
    """One prints it; all others are told when, and that it is not to be printed again, unless they insist."""
    store = ground.store

    async def held() -> object:
        return await store.recovery.print_recovery(SCOPE, again=False)

    rivals = Rivals("last", lambda _: store.recovery.print_recovery(SCOPE, again=True), lambda _: ground.now)
    return Race(
        lambda: store.recovery.print_recovery(SCOPE, again=False),
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
