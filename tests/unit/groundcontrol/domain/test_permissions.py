"""The one question of who may do what."""

from __future__ import annotations

import typing

import pytest

from groundcontrol.domain.permissions import PERMISSIONS, Action, allowed, authorize
from groundcontrol.domain.scope import SYSTEM, Actor, Role, Scope
from groundcontrol.errors import Forbidden, NotFound


class Thing(typing.NamedTuple):
    org: int


def scope_of(role: Role, kind: typing.Literal["user", "local", "node"] = "user", org: int = 1) -> Scope:
    return Scope(Actor(kind, "x", "x", role), org)


ROLES: tuple[Role, ...] = typing.get_args(Role)


def test_every_action_has_a_row() -> None:
    assert set(PERMISSIONS) == set(typing.get_args(Action))


@pytest.mark.parametrize("action", typing.get_args(Action))
@pytest.mark.parametrize("role", ROLES)
def test_the_table_decides(action: Action, role: Role) -> None:
    assert allowed(scope_of(role), action) == (role in PERMISSIONS[action])


def test_a_higher_role_may_all_that_a_lower_one_may() -> None:
    for roles in PERMISSIONS.values():
        assert "admin" in roles
        assert "operator" in roles or "viewer" not in roles


def test_what_another_organisation_owns_does_not_exist() -> None:
    with pytest.raises(NotFound):
        authorize(scope_of("admin"), "node.read", Thing(2))
    authorize(scope_of("admin"), "node.read", Thing(1))


def test_an_unknown_action_is_denied() -> None:
    with pytest.raises(Forbidden):
        authorize(scope_of("admin"), typing.cast("Action", "node.explode"))


def test_a_node_may_do_nothing() -> None:
    assert not any(allowed(scope_of("admin", "node"), action) for action in PERMISSIONS)


def test_the_hub_itself_may_act_in_every_organisation() -> None:
    authorize(SYSTEM, "node.delete", Thing(7))
