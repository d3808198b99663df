"""Request bodies and views of users and their grants."""

from __future__ import annotations

from typing import Literal

import msgspec

from groundcontrol.access.model import Person
from groundcontrol.core.scope import Grants
from groundcontrol.web.answer import Answer, Body, view_of


class GrantsBody(Body):
    """The only nodes that somebody may see: those of these ids or of any of these tags. At least one of either."""

    nodes: list[str] = msgspec.field(default_factory=list)
    tags: list[str] = msgspec.field(default_factory=list)


class GrantsView(Answer):
    nodes: list[str]
    tags: list[str]


class AccountView(Answer):
    username: str
    role: Literal["admin", "operator", "viewer"]
    disabled: bool
    must_change_password: bool
    totp_enabled: bool
    grants: GrantsView | None
    """Null: every node."""
    created_at: float
    last_seen_at: float | None


class AccountsView(Answer):
    users: list[AccountView]
    next: str | None


class NewUserBody(Body):
    username: str
    role: Literal["admin", "operator", "viewer"]
    grants: GrantsBody | None = None
    """Without it every node; an admin always sees every node."""


class UserPatch(Body):
    role: Literal["admin", "operator", "viewer"] | None = None
    disabled: bool | None = None
    grants: GrantsBody | None = None
    all_nodes: bool = False
    """True takes the limit to some nodes away; not together with `grants`."""


class OneTimePasswordView(Answer):
    """A password that opens one session, good only for choosing another; shown once, dead after 24 hours."""

    user: AccountView
    password: str


def account_view(person: Person) -> AccountView:
    user = person.user
    return view_of(
        AccountView,
        user,
        totp_enabled=user.totp_since is not None,
        grants=grants_view(user.grants),
        last_seen_at=person.last_seen_at,
    )


def grants_view(grants: Grants | None) -> GrantsView | None:
    return None if grants is None else GrantsView(nodes=list(grants.nodes), tags=list(grants.tags))
