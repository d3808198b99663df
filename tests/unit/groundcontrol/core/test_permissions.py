"""Permissions: which role may do what."""

from __future__ import annotations

import typing

import pytest

from groundcontrol.core.errors import Forbidden, NotFound
from groundcontrol.core.ids import NodeId
from groundcontrol.core.permissions import (
    FOR_TOKENS,
    OF_INSTANCE,
    PERMISSIONS,
    WHOLE_FLEET,
    Action,
    FixedAction,
    StoredRights,
    allowed,
    authorize,
    check_new_tags,
    job_action,
    still_authorized,
)
from groundcontrol.core.scope import SYSTEM, Actor, ActorKind, Grants, Role, Scope, min_role
from groundcontrol.core.verbs import HUB_VERBS
from groundcontrol.nodes.model import Node, NodeIdentity, NodeUpdates
from spider.wire.verbs import VERBS


class Thing(typing.NamedTuple):
    org: int


def scope_of(role: Role, kind: ActorKind = "user", org: int = 1) -> Scope:
    return Scope(Actor(kind, "x", "x", role), org)


ROLES: tuple[Role, ...] = typing.get_args(Role)


def test_every_action_has_a_row() -> None:
    assert set(PERMISSIONS) == {*typing.get_args(FixedAction), *map(job_action, VERBS)}


def test_each_verb_has_its_roles_and_description() -> None:
    assert set(HUB_VERBS) == set(VERBS)


@pytest.mark.parametrize("action", PERMISSIONS)
@pytest.mark.parametrize("role", ROLES)
def test_the_permission_table_decides(action: Action, role: Role) -> None:
    assert allowed(scope_of(role), action) == (role in PERMISSIONS[action] and action not in OF_INSTANCE)
    of_instance = scope_of(role)._replace(actor=Actor("user", "x", "x", role, instance_admin=True))
    assert allowed(of_instance, action) == (role in PERMISSIONS[action] or action in OF_INSTANCE)


def test_a_higher_role_includes_the_rights_of_lower_ones() -> None:
    for roles in PERMISSIONS.values():
        assert "admin" in roles
        assert "operator" in roles or "viewer" not in roles


def test_resources_of_another_organisation_do_not_exist() -> None:
    with pytest.raises(NotFound):
        authorize(scope_of("admin"), "node.read", Thing(2))
    authorize(scope_of("admin"), "node.read", Thing(1))


@pytest.mark.holds("SAFETY-33")
def test_an_unknown_action_is_denied() -> None:
    with pytest.raises(Forbidden):
        authorize(scope_of("admin"), typing.cast("Action", "node.explode"))


def test_a_node_has_no_permissions() -> None:
    assert not any(allowed(scope_of("admin", "node"), action) for action in PERMISSIONS)


def test_the_hub_itself_may_act_in_every_organisation() -> None:
    authorize(SYSTEM, "node.delete", Thing(7))


def a_node(name: str, *tags: str) -> Node:
    return Node(NodeId(name), 1, 1, name, "", tags, 1, True, NodeIdentity(), "", None, NodeUpdates(), "unknown", 1.0, None, 1)


@pytest.mark.parametrize("action", PERMISSIONS)
@pytest.mark.parametrize("role", ROLES)
def test_a_token_has_fewer_permissions_than_a_user(action: Action, role: Role) -> None:
    assert allowed(scope_of(role, "token"), action) == (role in PERMISSIONS[action] and action in FOR_TOKENS)


def test_tokens_have_no_permission_for_users_rights_or_keys() -> None:
    assert not FOR_TOKENS & {"account.use", "token.use", "user.manage", "user.reset", "settings.manage", "node.enrol"}


def test_a_node_without_a_grant_does_not_exist() -> None:
    scope = scope_of("operator")._replace(grants=(Grants(("a",), ("web",)),))
    for node in (a_node("a"), a_node("b", "web")):
        authorize(scope, "job.create", node)
    with pytest.raises(NotFound):
        authorize(scope, "job.create", a_node("c", "db"))
    with pytest.raises(NotFound):
        authorize(scope._replace(grants=(Grants(),)), "node.read", a_node("a"))


def test_a_node_without_a_grant_hides_the_required_role() -> None:
    with pytest.raises(NotFound):
        authorize(scope_of("viewer")._replace(grants=(Grants(("a",)),)), "node.delete", a_node("b"))


@pytest.mark.parametrize("action", sorted(WHOLE_FLEET))
def test_a_limited_user_may_not_act_on_the_whole_fleet(action: Action) -> None:
    assert allowed(scope_of("admin"), action)
    assert not allowed(scope_of("admin")._replace(grants=(Grants(("a",)),)), action)


def test_a_new_node_must_be_within_its_creators_grants() -> None:
    check_new_tags(scope_of("operator"), ())
    scope = scope_of("operator")._replace(grants=(Grants((), ("web", "dev")), Grants((), ("web",))))
    check_new_tags(scope, ("web", "more"))
    for tags in ((), ("dev",), ("db",)):
        with pytest.raises(Forbidden):
            check_new_tags(scope, tags)


def test_the_lesser_of_two_roles_counts() -> None:
    assert [min_role(one, other) for one in ROLES for other in ROLES] == [
        *("admin", "operator", "viewer"),
        *("operator", "operator", "viewer"),
        *("viewer", "viewer", "viewer"),
    ]


@pytest.mark.parametrize(
    ("rights", "action", "allowed_now"),
    [
        (StoredRights("operator"), "deployment.create", True),
        (StoredRights("viewer"), "deployment.create", False),
        (StoredRights("operator", disabled=True), "deployment.create", False),
        (StoredRights("operator", reset_at=99.0), "deployment.create", True),
        (StoredRights("operator", reset_at=100.0), "deployment.create", False),
        (StoredRights("operator", (Grants(("a",)), Grants((), ("web",)))), "deployment.create", True),
        (StoredRights("operator", (Grants(("a",)), Grants((), ("db",)))), "deployment.create", False),
        (StoredRights("admin", (Grants(("a",)),)), "invite.organisation", False),
        (StoredRights("admin", token_until=201.0), "deployment.create", True),
        (StoredRights("admin", token_until=200.0), "deployment.create", False),
        (StoredRights("admin", token_until=201.0), "node.enrol", False),
        (StoredRights("admin"), job_action("a-verb-of-a-newer-hub"), False),
        (None, "deployment.create", False),
    ],
)
def test_an_order_is_valid_while_its_actor_has_the_rights(rights: StoredRights | None, action: Action, *, allowed_now: bool) -> None:
    assert still_authorized(rights, action, "a", ("web",), ordered_at=100.0, now=200.0) == allowed_now


def test_admins_may_do_everything_since_the_hub_acts_as_one() -> None:
    assert all("admin" in roles for roles in PERMISSIONS.values())
