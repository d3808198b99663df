"""Users with grants, second factors, API tokens: repeated, raced, and isolated from other organisations."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from groundcontrol.access.model import FIRST_PASSWORD_LIFE_S, LoginSession, User
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import BadRequest, Conflict, Forbidden, LastAdmin, NotFound
from groundcontrol.core.ids import NodeId, UserId
from groundcontrol.core.scope import Actor, Grants, Scope
from groundcontrol.core.secrets import SealedRecord
from tests.support.clock import ManualClock
from tests.support.factories import (
    CODES,
    SCOPE,
    STRANGER,
    a_token,
    audited,
    logged_in,
    login,
    new_deployment,
    new_event,
    new_job,
    new_node,
    new_user,
    seed,
    twice,
    with_session,
)
from tests.support.some import some
from tests.support.store_backend import Backend


async def made_user(store: Store, name: str = "bob", **more: object) -> User:
    return await store.user_admin.create_user(SCOPE, new_user(name)._replace(**more))  # type: ignore[arg-type]  # fields of a User


async def with_factor(store: Store, clock: ManualClock, name: str = "bob", codes: Sequence[bytes] = CODES) -> tuple[User, LoginSession]:
    user = await made_user(store, name)
    session = await with_session(store, clock, user)
    await store.factors.begin_totp(SCOPE, user.id, seed(user))
    user = await store.factors.confirm_totp(SCOPE, user.id, 1, 100, codes, session.id, clock.now(), clock.now() + 1800)
    return user, session


def limited(*nodes: str, tags: tuple[str, ...] = ()) -> Scope:
    return SCOPE._replace(actor=Actor("user", "0" * 26, "bob", "operator"), grants=(Grants(nodes, tags),))


# -- people ----------------------------------------------------------------------------------


async def test_creating_a_user_is_idempotent(store: Store) -> None:
    user = new_user("bob")._replace(grants=Grants((), ("web",)), password_at=3.0)
    assert await twice(lambda: store.user_admin.create_user(SCOPE, user)) == user
    with pytest.raises(Conflict):
        await store.user_admin.create_user(SCOPE, new_user("BOB"))
    assert (await store.user_admin.person(SCOPE, "Bob")).user == user
    with pytest.raises(NotFound):
        await store.user_admin.person(STRANGER, "bob")
    assert [action for _, action, _ in await audited(store)] == ["user.create"]


async def test_of_twenty_users_of_one_name_one_is_created(store: Store) -> None:
    results = await asyncio.gather(*(store.user_admin.create_user(SCOPE, new_user("bob")) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(result, User) for result in results) == 1


async def test_users_are_paged(store: Store) -> None:
    for at in range(5):
        await made_user(store, f"u{at}")
    first = await store.user_admin.users(SCOPE, 3)
    rest = await store.user_admin.users(SCOPE, 3, first.next)
    assert [person.user.username for person in (*first.items, *rest.items)] == [f"u{at}" for at in range(5)]
    assert (await store.user_admin.users(STRANGER, 3)).items == []


async def test_the_last_admin_cannot_be_removed(store: Store) -> None:
    one, other = [await made_user(store, name, must_change_password=False) for name in ("one", "other")]
    results = await asyncio.gather(
        *(store.user_admin.edit_user(SCOPE, user.id, role="viewer", disabled=None, grants=None) for user in (one, other)),
        return_exceptions=True,
    )
    assert {type(result) for result in results} == {User, LastAdmin}
    left = [person.user for person in (await store.user_admin.users(SCOPE, 10)).items if person.user.role == "admin"]
    assert len(left) == 1
    with pytest.raises(Conflict):
        await store.user_admin.edit_user(SCOPE, left[0].id, role=None, disabled=True, grants=None)
    with pytest.raises(NotFound):
        await store.user_admin.edit_user(STRANGER, left[0].id, role="viewer", disabled=None, grants=None)
    with pytest.raises(Conflict):
        await store.user_admin.edit_user(SCOPE, left[0].id, role=None, disabled=None, grants=Grants((), ("web",)))


async def test_admins_whose_first_or_one_time_password_has_expired_do_not_count_as_another_admin(store: Store, clock: ManualClock) -> None:
    first = new_user("first")
    await store.users.create_first_admin(first, b"", clock.now())
    await made_user(store, "other", password_at=clock.now())
    one = await made_user(store, "one", must_change_password=False)
    clock.advance(FIRST_PASSWORD_LIFE_S)
    with pytest.raises(Conflict, match="last admin that can log in"):
        await store.user_admin.edit_user(SCOPE, one.id, role="viewer", disabled=None, grants=None)
    with pytest.raises(Conflict, match="last admin that can log in"):
        await store.user_admin.edit_user(SCOPE, one.id, role=None, disabled=True, grants=None)
    await store.user_admin.edit_user(SCOPE, first.id, role=None, disabled=True, grants=None)


@pytest.mark.holds("SAFETY-18")
async def test_disabling_a_user_ends_all_sessions_immediately(store: Store, clock: ManualClock) -> None:
    user = await made_user(store, role="viewer")
    session = await with_session(store, clock, user)
    assert await store.user_admin.auth_state(session.id) is not None
    await twice(lambda: store.user_admin.edit_user(SCOPE, user.id, role=None, disabled=True, grants=None))
    assert await store.user_admin.auth_state(session.id) is None
    await store.user_admin.edit_user(SCOPE, user.id, role=None, disabled=False, grants=None)
    assert await store.user_admin.auth_state(session.id) is None
    assert [action for _, action, _ in await audited(store)] == ["user.create", "auth.login", "user.edit", "user.edit"]


async def test_sessions_are_listed_by_user_and_page(store: Store, clock: ManualClock) -> None:
    bob, eve = await made_user(store, "bob"), await made_user(store, "eve")
    mine = [await with_session(store, clock, bob) for _ in range(3)]
    theirs = await with_session(store, clock, eve)
    first = await store.user_admin.listed_sessions(SCOPE, 2, user=bob.id)
    rest = await store.user_admin.listed_sessions(SCOPE, 2, first.next, bob.id)
    assert [listed.session.id for listed in (*first.items, *rest.items)] == [session.id for session in reversed(mine)]
    assert {listed.username for listed in (await store.user_admin.listed_sessions(SCOPE, 10)).items} == {"bob", "eve"}
    assert (await store.user_admin.listed_sessions(STRANGER, 10)).items == []
    assert await twice(lambda: store.user_admin.listed_session(SCOPE, theirs.id)) == theirs
    with pytest.raises(NotFound):
        await store.user_admin.listed_session(STRANGER, theirs.id)
    assert await store.user_admin.revoke_others(SCOPE, bob.id, mine[0].id) == 2
    assert await store.user_admin.revoke_others(SCOPE, bob.id, mine[0].id) == 0
    assert [listed.session.id for listed in (await store.user_admin.listed_sessions(SCOPE, 10, user=bob.id)).items] == [mine[0].id]
    assert await store.user_admin.auth_state(theirs.id) is not None


async def test_the_second_factor_requirement_is_part_of_the_auth_state(backend: Backend) -> None:
    store = backend.store
    user = await made_user(store)
    session = await with_session(store, backend.clock, user)
    assert await store.user_admin.totp_rule(SCOPE) == "none"
    await twice(lambda: store.user_admin.save_totp_rule(SCOPE, "admins"))
    store = await backend.reopen()
    standing = some(await store.user_admin.auth_state(session.id))
    assert standing.memberships[0].require_totp == "admins"
    await backend.database._control.writer.run(lambda tx: tx.execute("UPDATE organisation SET require_totp = 'some'"))
    damaged = some(await store.user_admin.auth_state(session.id))
    assert damaged.memberships[0].require_totp == "all", "a damaged rule is the strictest one"


# -- second factors --------------------------------------------------------------------------


async def test_a_second_factor_is_active_after_its_confirmation(store: Store, clock: ManualClock) -> None:
    user = await made_user(store)
    here, there = await with_session(store, clock, user), await with_session(store, clock, user)
    await twice(lambda: store.factors.begin_totp(SCOPE, user.id, seed(user)))
    assert (await store.user_admin.person(SCOPE, "bob")).user.totp_since is None
    assert not await store.factors.use_step(user.id, 200)
    on = await twice(lambda: store.factors.confirm_totp(SCOPE, user.id, 1, 100, CODES, here.id, clock.now(), clock.now() + 1800))
    assert on.totp_since == clock.now()
    assert await store.user_admin.auth_state(there.id) is None
    standing = some(await store.user_admin.auth_state(here.id))
    assert (standing.session.second_factor, standing.session.expires_at) == (True, clock.now() + 1800)
    assert not await store.factors.use_step(user.id, 100)
    with pytest.raises(Conflict):
        await store.factors.begin_totp(SCOPE, user.id, seed(user, 2))
    with pytest.raises(NotFound):
        await store.factors.begin_totp(STRANGER, user.id, seed(user, 2))
    with pytest.raises(BadRequest):
        await store.factors.begin_totp(SCOPE, user.id, SealedRecord("fleet", "fleet", "key", 2, b"mine"))


async def test_a_replaced_seed_cannot_be_confirmed(store: Store, clock: ManualClock) -> None:
    user = await made_user(store)
    session = await with_session(store, clock, user)
    await store.factors.begin_totp(SCOPE, user.id, seed(user))
    await store.factors.begin_totp(SCOPE, user.id, seed(user, 2, b"other"))
    with pytest.raises(Conflict):
        await store.factors.confirm_totp(SCOPE, user.id, 1, 100, CODES, session.id, clock.now(), clock.now() + 1800)
    kept = some(await store.secrets.secret("totp", user.id, "seed"))
    assert kept.sealed == b"other"


async def test_of_twenty_equal_codes_one_counts_and_none_before_it(store: Store, clock: ManualClock) -> None:
    user, _ = await with_factor(store, clock)
    assert sum(await asyncio.gather(*(store.factors.use_step(user.id, 101) for _ in range(20)))) == 1
    assert not await store.factors.use_step(user.id, 100)
    assert await store.factors.use_step(user.id, 102)


@pytest.mark.holds("SAFETY-21")
async def test_of_twenty_equal_recovery_codes_one_counts(store: Store, clock: ManualClock) -> None:
    user, _ = await with_factor(store, clock)
    _, _ = await with_factor(store, clock, "eve", [b"e" * 32])
    left = await asyncio.gather(*(store.factors.use_recovery_code(user.id, CODES[0], "192.0.2.1") for _ in range(20)))
    assert sorted(left, key=str) == [9] + [None] * 19
    assert await store.factors.use_recovery_code(user.id, b"e" * 32, "") is None
    await twice(lambda: store.factors.save_recovery_codes(SCOPE, user.id, [b"n" * 32]))
    assert await store.factors.use_recovery_code(user.id, CODES[1], "") is None
    assert await store.factors.use_recovery_code(user.id, b"n" * 32, "") == 0
    with pytest.raises(NotFound):
        await store.factors.save_recovery_codes(STRANGER, user.id, CODES)


async def test_a_session_without_the_second_factor_is_not_opened_once_there_is_one(store: Store, clock: ManualClock) -> None:
    user, session = await with_factor(store, clock)
    with pytest.raises(Conflict):
        await store.users.open_session(login(user, clock.now()), logged_in(user), b"a place")
    assert [one.session.id for one in (await store.user_admin.listed_sessions(SCOPE, 10, user=user.id)).items] == [session.id]


@pytest.mark.holds("S-09")
async def test_an_ended_session_cannot_enable_a_second_factor(store: Store, clock: ManualClock) -> None:
    user = await made_user(store)
    thief, owner = await with_session(store, clock, user), await with_session(store, clock, user)
    await store.factors.begin_totp(SCOPE, user.id, seed(user))
    await store.users.save_password(SCOPE, user.id, "$argon2id$owner", owner.id, must_change=False)
    with pytest.raises(NotFound):
        await store.factors.confirm_totp(SCOPE, user.id, 1, 100, CODES, thief.id, clock.now(), clock.now() + 1800)
    after = some(await store.users.user(user.id))
    assert after.totp_since is None


async def test_a_disabled_second_factor_is_deleted_and_ends_other_sessions(store: Store, clock: ManualClock) -> None:
    user, session = await with_factor(store, clock)
    other = await with_session(store, clock, user)
    off = await twice(lambda: store.factors.stop_totp(SCOPE, user.id, session.id))
    assert off.totp_since is None
    assert await store.secrets.secret("totp", user.id, "seed") is None
    assert await store.user_admin.auth_state(other.id) is None
    standing = some(await store.user_admin.auth_state(session.id))
    assert not standing.session.second_factor
    assert await store.factors.use_recovery_code(user.id, CODES[0], "") is None
    await store.factors.begin_totp(SCOPE, user.id, seed(user, 2))
    with pytest.raises(NotFound):
        await store.factors.stop_totp(STRANGER, user.id, None)


async def test_an_ended_session_cannot_disable_the_second_factor(store: Store, clock: ManualClock) -> None:
    user, owner = await with_factor(store, clock)
    thief = await with_session(store, clock, user)
    await store.users.revoke_session(SCOPE, thief.id)
    with pytest.raises(NotFound):
        await store.factors.stop_totp(SCOPE, user.id, thief.id)
    with pytest.raises(NotFound):
        await store.user_admin.revoke_others(SCOPE, user.id, thief.id)
    other = await with_session(store, clock, await made_user(store, "eve"))
    with pytest.raises(NotFound):
        await store.user_admin.revoke_others(SCOPE, user.id, other.id)
    standing = some(await store.user_admin.auth_state(owner.id))
    assert standing.user.totp_since is not None


# -- tokens ----------------------------------------------------------------------------------


async def test_a_token_is_valid_until_it_is_revoked(store: Store, clock: ManualClock) -> None:
    user = await made_user(store)
    token = a_token(user, clock.now(), grants=Grants(("a",), ("web",)))
    assert await twice(lambda: store.tokens.create_token(SCOPE, token)) == token
    standing = some(await store.tokens.token_auth_state(token.hash))
    assert (standing.token, standing.user) == (token, user)
    assert await store.tokens.token_auth_state(b"other") is None
    await twice(lambda: store.tokens.touch_token(token.id, clock.now() + 5, "192.0.2.9"))
    await store.tokens.touch_token(token.id, clock.now() + 1, "192.0.2.1")
    used = await store.tokens.token(SCOPE, token.id)
    assert (used.last_used_at, used.last_address) == (clock.now() + 5, "192.0.2.9")
    for call in (store.tokens.token(STRANGER, token.id), store.tokens.revoke_token(STRANGER, token.id)):
        with pytest.raises(NotFound):
            await call
    await twice(lambda: store.tokens.revoke_token(SCOPE, token.id))
    assert await store.tokens.token_auth_state(token.hash) is None
    assert (await store.tokens.tokens(SCOPE, 10)).items == []
    assert [action for _, action, _ in await audited(store)] == ["user.create", "token.create", "token.revoke"]
    with pytest.raises(NotFound):
        await store.tokens.create_token(SCOPE, a_token(user, clock.now(), user_id=UserId("nobody")))


async def test_a_token_expires_and_ends_with_its_owner(store: Store, clock: ManualClock) -> None:
    user = await made_user(store, role="viewer")
    token = await store.tokens.create_token(SCOPE, a_token(user, clock.now()))
    await store.user_admin.edit_user(SCOPE, user.id, role=None, disabled=True, grants=None)
    assert await store.tokens.token_auth_state(token.hash) is None
    await store.user_admin.edit_user(SCOPE, user.id, role=None, disabled=False, grants=None)
    assert await store.tokens.token_auth_state(token.hash) is not None
    clock.advance(86_400.0)
    assert await store.tokens.token_auth_state(token.hash) is None


async def test_one_user_has_a_hundred_tokens_at_most(store: Store, clock: ManualClock) -> None:
    user = await made_user(store)
    results = await asyncio.gather(
        *(store.tokens.create_token(SCOPE, a_token(user, clock.now())) for _ in range(110)), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict) for result in results) == 10
    seen, cursor = [], None
    while True:
        page = await store.tokens.tokens(SCOPE, 40, cursor, user.id)
        seen += [token.id for token in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert len(set(seen)) == len(seen) == 100


# -- grants ----------------------------------------------------------------------------------


async def test_a_node_outside_the_grants_is_not_found(store: Store, clock: ManualClock) -> None:
    mine = await store.nodes.create_node(SCOPE, new_node("mine", tags=("web",)))
    other = await store.nodes.create_node(SCOPE, new_node("other", tags=("db",)))
    jobs = {node.id: await store.jobs.create_job(SCOPE, new_job(node.id, clock.now()), None) for node in (mine, other)}
    for scope in (limited(mine.id), limited(tags=("web",)), limited("x", tags=("web", "y"))):
        assert [node.id for node in (await store.nodes.nodes(scope, 10)).items] == [mine.id]
        assert (await store.nodes.node(scope, mine.id)).id == mine.id
        assert [job.node_id for job in (await store.jobs.jobs(scope, 10)).items] == [mine.id]
        assert (await store.jobs.jobs(scope, 10, node=other.id)).items == []
        refused = (
            lambda scope=scope: store.nodes.node(scope, other.id),
            lambda scope=scope: store.nodes.edit_node(scope, other.id, name="x", tags=None),
            lambda scope=scope: store.nodes.delete_node(scope, other.id),
            lambda scope=scope: store.jobs.job(scope, jobs[other.id].id),
            lambda scope=scope: store.jobs.create_job(scope, new_job(other.id, clock.now()), None),
            lambda scope=scope: anext(store.jobs.output(scope, jobs[other.id].id, 0)),
        )
        for call in refused:
            with pytest.raises(NotFound) as there:
                await call()
            assert other.id in there.value.message or jobs[other.id].id in there.value.message
    both = limited(mine.id)._replace(grants=(Grants((mine.id, other.id)), Grants((), ("db",))))
    assert [node.id for node in (await store.nodes.nodes(both, 10)).items] == [other.id]
    nothing = SCOPE._replace(grants=(Grants(),))
    assert (await store.nodes.nodes(nothing, 10)).items == []


async def test_events_and_deployments_of_others_are_not_listed(store: Store, clock: ManualClock) -> None:
    mine = await store.nodes.create_node(SCOPE, new_node("mine", tags=("web",)))
    other = await store.nodes.create_node(SCOPE, new_node("other", tags=("db",)))
    events = [new_event(clock.now() + at, node) for at, node in enumerate((mine.id, other.id, None))]
    for event in events:
        await store.log.add_event(event)
    scope = limited(tags=("web",))
    assert [event.node_id for event in (await store.log.events(scope, 10)).items] == [mine.id]
    assert (await store.log.events(scope, 10, node=other.id)).items == []
    made, same = {}, SCOPE._replace(actor=scope.actor)
    for name, by, node in (("a", SCOPE, mine.id), ("b", SCOPE, other.id), ("c", SCOPE, None), ("d", scope, None), ("e", same, other.id)):
        wanted = new_deployment(clock.now(), name=name)._replace(node_id=node)
        made[name] = await store.deployments.create_deployment(by, wanted)
    seen = {row.name for row in (await store.deployments.deployments(scope, 10)).items}
    assert seen == {"a", "d"}
    for name, row in made.items():
        if name in seen:
            assert (await store.deployments.deployment(scope, row.id)).id == row.id
        else:
            with pytest.raises(NotFound):
                await store.deployments.deployment(scope, row.id)


def test_grants_admit_by_id_or_tag_and_all_must_admit() -> None:
    node = NodeId("n")
    assert SCOPE.admits(node, ())
    assert limited("n").admits(node, ())
    assert limited(tags=("a",)).admits(node, ("a", "b"))
    assert not limited(tags=("a",)).admits(node, ("b",))
    assert not SCOPE._replace(grants=(Grants(("n",)), Grants(("m",)))).admits(node, ())


@pytest.mark.holds("S-19")
async def test_a_tag_of_a_grant_can_only_be_changed_by_user_admins(store: Store, clock: ManualClock) -> None:
    node = await store.nodes.create_node(SCOPE, new_node(tags=("prod",)))
    await made_user(store, "limited", grants=Grants(tags=("web", "db")), disabled=True)
    owner = await made_user(store, "owner")
    token = a_token(owner, clock.now(), grants=Grants(tags=("ci",)))
    await store.tokens.create_token(SCOPE, token)
    operator = Scope(Actor("user", owner.id, owner.username, "operator"), 1)
    program = Scope(Actor("token", token.id, "owner/ci", "admin"), 1)
    assert await store.nodes.tags_in_grants(SCOPE, ("web", "ci", "prod", "x")) == {"web", "ci"}
    assert await store.nodes.tags_in_grants(STRANGER, ("web", "ci")) == frozenset()
    for scope in (operator, program):
        for tag in ("web", "db", "ci"):
            with pytest.raises(Forbidden, match=tag):
                await store.nodes.edit_node(scope, node.id, name="moved", tags=("prod", tag))
        assert (await store.nodes.edit_node(scope, node.id, name=None, tags=("eu", scope.actor.kind))).name == node.name
    await store.nodes.edit_node(SCOPE, node.id, name=None, tags=("web",))
    for scope in (operator, program):
        with pytest.raises(Forbidden, match="web"):
            await store.nodes.edit_node(scope, node.id, name=None, tags=())
    await store.tokens.revoke_token(SCOPE, token.id)
    assert (await store.nodes.edit_node(operator, node.id, name=None, tags=("web", "ci"))).tags == ("web", "ci")
