"""The rights of a job's owner are checked again when the job is sent, in every store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from groundcontrol.access.model import ApiToken, User
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.ids import TokenId, UserId
from groundcontrol.core.scope import SYSTEM, Actor, Grants, Scope
from groundcontrol.deployments.model import DeploymentKind, DeploymentOptions
from groundcontrol.nodes.model import Session
from spider.wire.ids import new_random_id
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, audited, connect, new_deployment, new_job, new_node, twice, with_session


async def an_operator(store: Store, clock: ManualClock) -> tuple[User, Scope]:
    id_ = UserId(new_random_id())
    user = User(
        id=id_, org=1, username=f"op-{id_[:6]}", role="operator", password_hash="x", password_version=1, must_change_password=False,
        disabled=False, created_at=clock.now(),
    )  # fmt: skip
    made = await store.user_admin.create_user(SCOPE, user)
    return made, Scope(Actor("user", made.id, made.username, made.role), 1)


async def a_token(store: Store, user: User, clock: ManualClock, digest: bytes = b"d" * 32) -> tuple[ApiToken, Scope]:
    token = ApiToken(
        id=TokenId(new_random_id()), org=1, user_id=user.id, username=user.username, name="ci", hash=digest, role="operator",
        grants=None, sensitive=False, created_at=clock.now(), expires_at=clock.now() + 3600, last_used_at=None, last_address="",
    )  # fmt: skip
    made = await store.tokens.create_token(SCOPE, token)
    return made, Scope(Actor("token", made.id, f"{user.username}/ci", "operator"), 1)


async def queued(store: Store, clock: ManualClock, by: Scope, name: str = "web-1") -> Session:
    node = await store.nodes.create_node(SCOPE, new_node(name, tags=("web",)))
    session = await connect(store, node.id)
    await store.jobs.create_job(by, new_job(node.id, clock.now()), None)
    return session


Change = Callable[[Store, User], Awaitable[object]]
CHANGES: dict[str, Change] = {
    "disabled": lambda store, user: store.user_admin.edit_user(SCOPE, user.id, role=None, disabled=True, grants=None),
    "a viewer": lambda store, user: store.user_admin.edit_user(SCOPE, user.id, role="viewer", disabled=None, grants=None),
    "other nodes": lambda store, user: store.user_admin.edit_user(SCOPE, user.id, role=None, disabled=None, grants=Grants(tags=("db",))),
    "a one-time password": lambda store, user: store.users.save_password(SCOPE, user.id, "y", None, must_change=True),
    "a password of the console": lambda store, user: store.users.save_password(SCOPE, user.id, "y", None, must_change=False),
}


@pytest.mark.holds("SAFETY-35", "S-20")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_job_whose_orderer_lost_the_right_is_not_dispatched(store: Store, clock: ManualClock, change: Change) -> None:
    user, scope = await an_operator(store, clock)
    session = await queued(store, clock, scope)
    assert await store.jobs.cancel_unauthorized(clock.now()) == []
    await change(store, user)
    assert await store.jobs.take(None, [session], clock.now()) == []
    closed = await asyncio.gather(*(store.jobs.cancel_unauthorized(clock.now()) for _ in range(20)))
    [job] = [job for jobs in closed for job in jobs]
    assert (job.state, job.error and job.error.code) == ("failed", "job.not_allowed")
    assert "job.withdraw" in [action for _, action, _ in await audited(store)]


async def test_a_job_is_dispatched_while_its_orderer_keeps_the_right(store: Store, clock: ManualClock) -> None:
    user, scope = await an_operator(store, clock)
    session = await queued(store, clock, scope)
    await store.user_admin.edit_user(SCOPE, user.id, role=None, disabled=None, grants=Grants(tags=("web",)))
    assert await store.jobs.cancel_unauthorized(clock.now()) == []
    assert len(await store.jobs.take(None, [session], clock.now())) == 1


@pytest.mark.holds("S-20")
@pytest.mark.parametrize("how", ["revoked", "over", "its owner disabled"])
async def test_an_expired_token_orders_nothing(store: Store, clock: ManualClock, how: str) -> None:
    user, _ = await an_operator(store, clock)
    token, scope = await a_token(store, user, clock)
    session = await queued(store, clock, scope)
    if how == "revoked":
        await store.tokens.revoke_token(SCOPE, token.id)
    elif how == "over":
        clock.advance(3601)
        await store.jobs.create_job(scope, new_job(session.node, clock.now()), None)
    else:
        await store.user_admin.edit_user(SCOPE, user.id, role=None, disabled=True, grants=None)
    assert await store.jobs.take(None, [session], clock.now()) == []
    assert {job.error.code for job in await store.jobs.cancel_unauthorized(clock.now()) if job.error is not None} == {"job.not_allowed"}


@pytest.mark.parametrize(
    "actor", [Actor("user", "", "", "admin"), Actor("user", "admin", "admin", "admin"), Actor("node", "system ", "x", "admin")]
)
async def test_a_job_of_an_unknown_orderer_is_not_dispatched(store: Store, clock: ManualClock, actor: Actor) -> None:
    session = await queued(store, clock, Scope(actor, 1))
    assert await store.jobs.take(None, [session], clock.now()) == []
    assert [job.state for job in await store.jobs.cancel_unauthorized(clock.now())] == ["failed"]


@pytest.mark.holds("SAFETY-36")
@pytest.mark.parametrize("kind", ["install", "remove"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_deployment_whose_user_lost_the_right_may_not_begin(
    store: Store, clock: ManualClock, change: Change, kind: DeploymentKind
) -> None:
    user, scope = await an_operator(store, clock)
    _, program = await a_token(store, user, clock)
    node = await store.nodes.create_node(SCOPE, new_node(tags=("web",)))
    wanted = new_deployment(clock.now())._replace(
        kind=kind, options=DeploymentOptions(("web",)), node_id=node.id if kind == "remove" else None
    )
    for who in (scope, program):
        assert await store.deployments.may_still_deploy(who, wanted, clock.now(), clock.now())
    assert not await store.deployments.may_still_deploy(program, wanted, clock.now(), clock.now() + 3601)
    await store.user_admin.edit_user(SCOPE, user.id, role=None, disabled=None, grants=Grants(tags=("web",)))
    assert await store.deployments.may_still_deploy(scope, wanted, clock.now(), clock.now())
    await change(store, user)
    for who in (scope, program):
        assert not await store.deployments.may_still_deploy(who, wanted, clock.now(), clock.now())


async def test_the_hub_and_local_root_may_deploy_and_unknown_users_may_not(store: Store, clock: ManualClock) -> None:
    wanted = new_deployment(clock.now())
    known = (SYSTEM, Scope(Actor("local", "0", "local:0", "admin"), 1))
    assert [await store.deployments.may_still_deploy(who, wanted, clock.now(), clock.now()) for who in known] == [True, True]
    assert not await store.deployments.may_still_deploy(
        Scope(Actor("user", "admin", "admin", "admin"), 1), wanted, clock.now(), clock.now()
    )


@pytest.mark.parametrize("must_change", [True, False])
async def test_a_user_may_order_again_after_choosing_a_password_after_a_reset(store: Store, clock: ManualClock, must_change: bool) -> None:
    """Earlier orders stay refused, also by token; a password that users change themselves ends none of theirs."""
    user, scope = await an_operator(store, clock)
    _, program = await a_token(store, user, clock)
    before, later = await queued(store, clock, scope), await queued(store, clock, program, "web-2")
    session = await with_session(store, clock, user)
    own = await store.users.save_password(SCOPE, user.id, "own", session.id, must_change=False)
    assert await store.jobs.cancel_unauthorized(clock.now()) == []
    clock.advance(1)
    reset = await store.users.save_password(SCOPE, user.id, "given", None, must_change=must_change)
    assert reset.password_version == own.password_version + 1
    assert await store.jobs.take(None, [before, later], clock.now()) == []
    clock.advance(1)
    session = await with_session(store, clock, reset)
    await store.users.save_password(SCOPE, user.id, "chosen", session.id, must_change=False)
    assert await store.jobs.take(None, [before, later], clock.now()) == []
    assert len(await store.jobs.cancel_unauthorized(clock.now())) == 2
    _, another = await a_token(store, user, clock, b"e" * 32)
    for by, name in ((scope, "web-3"), (another, "web-4")):
        fresh = await queued(store, clock, by, name)
        assert [job.state for job, _ in await store.jobs.take(None, [fresh], clock.now())] == ["dispatched"]


@pytest.mark.holds("SAFETY-18", "S-09")
@pytest.mark.parametrize("must_change", [True, False])
async def test_a_reset_ends_the_tokens_of_a_user_and_an_own_change_does_not(store: Store, clock: ManualClock, must_change: bool) -> None:
    """An account whose password is reset may have been taken over, with ways in that need no password."""
    user, _ = await an_operator(store, clock)
    neighbour, _ = await an_operator(store, clock)
    await a_token(store, user, clock)
    await a_token(store, neighbour, clock, b"n" * 32)
    session = await with_session(store, clock, user)
    await store.users.save_password(SCOPE, user.id, "own", session.id, must_change=False)
    assert await store.tokens.token_auth_state(b"d" * 32) is not None
    await twice(lambda: store.users.save_password(SCOPE, user.id, "given", None, must_change=must_change))
    assert await store.tokens.token_auth_state(b"d" * 32) is None
    assert await store.tokens.token_auth_state(b"n" * 32) is not None
    told = [row.detail for row in (await store.log.audit(SCOPE, 10)).items if row.action == "auth.password"]
    assert told == [{"must_change": must_change, "programs_ended": 1}, {"must_change": False}]
