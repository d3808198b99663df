"""Races of commands about jobs, deployments and invites (`race_cases.py`)."""

from __future__ import annotations

import hashlib

from groundcontrol.deployments.model import MOST_OPEN, Invite
from groundcontrol.jobs.model import START_LIMIT_S, JobUpdate
from groundcontrol.jobs.store import MovedLimit
from groundcontrol.nodes.model import Node
from spider.wire.ids import new_random_id
from tests.support.factories import (
    SCOPE,
    an_invite,
    new_deployment,
    new_event,
    new_job,
    new_node,
    running_job,
)
from tests.support.race_cases import CALLERS, Cases, Ground, Race, Rivals

CASES = Cases()


# -- jobs and deployments -------------------------------------------------------------------------------------


@CASES.of("jobs.append_output")
async def _append_output(ground: Ground) -> Race:
    """Twenty calls bring different bytes for one offset: those of one call are stored. Every caller learns the same end."""
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


@CASES.of("jobs.move_limits")
async def _move_limits(ground: Ground) -> Race:
    """A repeated move does not move again. Neither does one of a job that was handed over meanwhile, or that has ended."""
    store, now = ground.store, ground.now
    session = await ground.session()
    ended, sent, waiting = [await store.jobs.create_job(SCOPE, new_job(session.node, now), None) for _ in range(3)]
    await store.jobs.take([ended.id], [session], now)
    await store.jobs.advance(ended.id, "failed", session, JobUpdate())
    await store.jobs.take([sent.id], [session], now)
    moves = [MovedLimit(one.id, one.not_after, one.not_after + 60.0) for one in (ended, sent, waiting)]

    async def held() -> object:
        return [(await store.jobs.job(SCOPE, one.id)).not_after - now for one in (ended, sent, waiting)]

    return Race(lambda: store.jobs.move_limits(moves), held, [START_LIMIT_S, START_LIMIT_S, 3660.0])


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
        found = await ground.stored_node(node.id)
        return (found.waiting, found.version)

    return Race(lambda: ground.store.invites.approve_node(SCOPE, node.id), held, (False, node.version + 1), ("node.approve",))


@CASES.of("invites.reject_node")
async def _reject_node(ground: Ground) -> Race:
    _, node = await joined(ground)

    async def held() -> object:
        return await ground.store.nodes.find_node(node.id)

    return Race(lambda: ground.store.invites.reject_node(SCOPE, node.id), held, None, ("node.delete",))
