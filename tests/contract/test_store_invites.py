"""Invites: repeated, raced, expired, and isolated from other organisations."""

from __future__ import annotations

import asyncio

import pytest

from groundcontrol.access.model import User
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import Conflict, NotFound
from groundcontrol.core.ids import UserId
from groundcontrol.core.scope import Grants, Scope
from groundcontrol.deployments.model import MOST_OPEN, Invite
from groundcontrol.nodes.model import Node
from spider.wire.ids import new_random_id
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, STRANGER, an_invite, audited, new_event, new_node, twice
from tests.support.some import some


async def use(store: Store, invite: Invite, name: str = "web-1", scope: Scope = SCOPE) -> Node:
    return await store.invites.use_invite(invite.id, scope, new_node(name))


@pytest.mark.holds("S-45")
async def test_of_twenty_callers_one_uses_an_invite(store: Store, clock: ManualClock) -> None:
    invite = await store.invites.create_invite(SCOPE, an_invite(clock.now()))

    got = await asyncio.gather(*(use(store, invite, f"web-{number}") for number in range(20)), return_exceptions=True)

    (node,) = [one for one in got if isinstance(one, Node)]
    assert all(isinstance(one, NotFound) for one in got if not isinstance(one, Node))
    assert [one.id for one in (await store.nodes.nodes(SCOPE, 100)).items] == [node.id]
    after = await store.invites.invite(SCOPE, invite.id)
    assert (after.uses, after.node_id, after.state(clock.now())) == (1, node.id, "used")
    assert [(action, target) for _, action, target in await audited(store)] == [("invite.create", invite.id), ("invite.use", node.id)]


@pytest.mark.holds("S-45")
async def test_an_organisation_secret_has_a_number_of_uses_and_needs_approval(store: Store, clock: ManualClock) -> None:
    many = an_invite(clock.now(), kind="organisation", name="cloud", most_uses=3, approval=True)
    invite = await twice(lambda: store.invites.create_invite(SCOPE, many))
    got = await asyncio.gather(*(use(store, invite) for _ in range(10)), return_exceptions=True)
    nodes = [one for one in got if isinstance(one, Node)]
    assert sorted(node.name for node in nodes) == ["web-1", "web-1-2", "web-1-3"]
    assert all(node.waiting for node in nodes)

    first = nodes[0]
    with pytest.raises(NotFound):
        await store.invites.approve_node(STRANGER, first.id)
    approved = await twice(lambda: store.invites.approve_node(SCOPE, first.id))
    assert not approved.waiting
    found = some(await store.nodes.find_node(nodes[1].id))
    assert found.waiting
    assert ("local:1000", "node.approve", first.id) in await audited(store)


@pytest.mark.holds("S-45")
async def test_a_node_that_another_user_has_approved_cannot_be_rejected(store: Store, clock: ManualClock) -> None:
    many = an_invite(clock.now(), kind="organisation", name="cloud", most_uses=3, approval=True)
    invite = await store.invites.create_invite(SCOPE, many)
    approved, rejected = await use(store, invite), await use(store, invite)
    await store.invites.approve_node(SCOPE, approved.id)

    with pytest.raises(Conflict):
        await store.invites.reject_node(SCOPE, approved.id)
    with pytest.raises(NotFound):
        await store.invites.reject_node(STRANGER, rejected.id)
    await twice(lambda: store.invites.reject_node(SCOPE, rejected.id))

    assert [node.id for node in (await store.nodes.nodes(SCOPE, 10)).items] == [approved.id]


async def test_using_an_invite_again_after_a_lost_answer_is_idempotent(store: Store, clock: ManualClock) -> None:
    invite = await store.invites.create_invite(SCOPE, an_invite(clock.now()))
    node = new_node()
    await twice(lambda: store.invites.use_invite(invite.id, SCOPE, node))
    assert await store.invites.unsettled() == [(node.id, 1)]
    await twice(lambda: store.invites.settle_joining(node.id, new_event(0.0)))
    assert await store.invites.unsettled() == []


@pytest.mark.holds("S-45")
async def test_an_expired_or_revoked_invite_is_not_found(store: Store, clock: ManualClock) -> None:
    expired = await store.invites.create_invite(SCOPE, an_invite(clock.now()))
    clock.advance(301)
    revoked = await store.invites.create_invite(SCOPE, an_invite(clock.now()))
    await twice(lambda: store.invites.revoke_invite(SCOPE, revoked.id))
    unknown = an_invite(clock.now())
    told = set()
    for one in (expired, revoked, unknown):
        assert await store.invites.find_invite(one.id, clock.now()) is None
        with pytest.raises(NotFound) as refused:
            await use(store, one)
        told.add(refused.value.message)
    assert len(told) == 1
    assert [(await store.invites.invite(SCOPE, one.id)).state(clock.now()) for one in (expired, revoked)] == ["expired", "revoked"]


async def test_invites_are_hidden_from_other_organisations_and_bounded(store: Store, clock: ManualClock) -> None:
    invite = await store.invites.create_invite(SCOPE, an_invite(clock.now()))
    assert (await store.invites.invites(STRANGER, 10)).items == []
    for act in (store.invites.invite, store.invites.revoke_invite):
        with pytest.raises(NotFound):
            await act(STRANGER, invite.id)
    for _ in range(MOST_OPEN - 1):
        await store.invites.create_invite(SCOPE, an_invite(clock.now()))
    with pytest.raises(Conflict):
        await store.invites.create_invite(SCOPE, an_invite(clock.now()))
    page = await store.invites.invites(SCOPE, 60)
    assert len(page.items) + len((await store.invites.invites(SCOPE, 60, page.next)).items) == MOST_OPEN


async def test_a_page_of_invites_for_a_user_with_grants_is_full(store: Store, clock: ManualClock) -> None:
    granted = [await store.invites.create_invite(SCOPE, an_invite(clock.now(), tags=("web",))) for _ in range(3)]
    for _ in range(3):
        await store.invites.create_invite(SCOPE, an_invite(clock.now(), tags=("db",)))
    limited = SCOPE._replace(grants=(Grants(tags=("web",)),))

    first = await store.invites.invites(limited, 2)
    rest = await store.invites.invites(limited, 2, first.next)

    assert [len(page.items) for page in (first, rest)] == [2, 1]
    assert [one.id for one in (*first.items, *rest.items)] == [one.id for one in reversed(granted)]


@pytest.mark.holds("SAFETY-36", "S-09", "S-21")
@pytest.mark.parametrize("change", ["disabled", "an operator now", "limited to other nodes", "another password", "never there"])
async def test_an_invite_is_valid_while_its_creator_has_the_rights(store: Store, clock: ManualClock, change: str) -> None:
    """Also an organisation secret of many days: it ends with the rights of its creator."""
    for name in ("root", "ada"):
        user = User(
            UserId(new_random_id()), 1, name, "admin", "hash", 1, must_change_password=False, disabled=False, created_at=clock.now()
        )
        await store.user_admin.create_user(SCOPE, user)
    ada = (await store.user_admin.person(SCOPE, "ada")).user
    maker = "nobody" if change == "never there" else "ada"
    many = an_invite(clock.now(), kind="organisation", name="cloud", most_uses=9, created_by=maker)
    invite = await store.invites.create_invite(SCOPE, many)
    if maker == "ada":
        assert (await use(store, invite)).name == "web-1"
        limits = Grants((), ("db",)) if change == "limited to other nodes" else None
        clock.advance(1)
        if change == "another password":
            await store.users.save_password(SCOPE, ada.id, "given", None, must_change=False)
        else:
            await store.user_admin.edit_user(
                SCOPE, ada.id, role=None if change == "disabled" else "operator", disabled=change == "disabled", grants=limits
            )
    with pytest.raises(NotFound):
        await use(store, invite, "web-2")
    assert (await store.invites.invite(SCOPE, invite.id)).uses == (1 if maker == "ada" else 0)


@pytest.mark.holds("S-09")
async def test_an_invite_ends_with_its_creators_rights_for_any_name(store: Store, clock: ManualClock) -> None:
    """The hub itself has this name in the audit log, and any user may have it."""
    for name in ("root", "system"):
        user = User(
            UserId(new_random_id()), 1, name, "admin", "hash", 1, must_change_password=False, disabled=False, created_at=clock.now()
        )
        made = await store.user_admin.create_user(SCOPE, user)
    invite = await store.invites.create_invite(
        SCOPE, an_invite(clock.now(), kind="organisation", name="cloud", most_uses=9, created_by="system")
    )
    assert (await use(store, invite)).name == "web-1"
    await store.user_admin.edit_user(SCOPE, made.id, role=None, disabled=True, grants=None)
    with pytest.raises(NotFound):
        await use(store, invite, "web-2")
