"""Request bodies and views of API tokens."""

from __future__ import annotations

from typing import Literal

from groundcontrol.access.model import ApiToken
from groundcontrol.access.users_views import GrantsBody, GrantsView, grants_view
from groundcontrol.web.answer import Answer, Body, view_of


class ApiTokenView(Answer):
    id: str
    username: str
    """Whose it is; it never may more than they may at that moment."""
    name: str
    role: Literal["admin", "operator", "viewer"]
    grants: GrantsView | None
    """Null: every node that its owner sees."""
    sensitive: bool
    """May also do what asks people for their password again: delete a node, restart one."""
    created_at: float
    expires_at: float
    last_used_at: float | None
    last_address: str


class ApiTokensView(Answer):
    tokens: list[ApiTokenView]
    next: str | None


class NewTokenBody(Body):
    name: str
    role: Literal["admin", "operator", "viewer"] = "viewer"
    days: int = 90
    """1 to 365."""
    grants: GrantsBody | None = None
    sensitive: bool = False


class NewTokenView(Answer):
    """The token itself, shown once: for `Authorization: Bearer`."""

    token: str
    info: ApiTokenView


def token_view(token: ApiToken) -> ApiTokenView:
    return view_of(ApiTokenView, token, grants=grants_view(token.grants))
