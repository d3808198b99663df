"""`/api/v1/users`: the users, with their roles and the nodes that they are limited to."""

from __future__ import annotations

from groundcontrol.access.store import PeopleStore
from groundcontrol.access.users import checked_grants
from groundcontrol.access.views import AccountsView, AccountView, GrantsBody, NewUserBody, OneTimePasswordView, UserPatch, account_view
from groundcontrol.core.scope import Grants
from groundcontrol.web.request import ApiRequest


async def list_users(call: ApiRequest) -> AccountsView:
    """A page of users, the first ones first."""
    limit, cursor = call.page()
    page = await call.services[PeopleStore].people(call.scope, limit, cursor)
    return AccountsView(users=[account_view(one) for one in page.items], next=page.next)


async def create_user(call: ApiRequest, body: NewUserBody) -> OneTimePasswordView:
    """Make a user with a one-time password."""
    person, password = await call.services.auth.people.create(call.scope, body.username, body.role, grants_of(body.grants))
    return OneTimePasswordView(user=account_view(person), password=password)


async def edit_user(call: ApiRequest, body: UserPatch) -> AccountView:
    """Change somebody's role or nodes, lock them out, or let them in again; it holds from their next request on."""
    person = await call.services.auth.people.edit(
        call.scope, call.username, role=body.role, disabled=body.disabled, grants=grants_of(body.grants), all_nodes=body.all_nodes
    )
    return account_view(person)


async def reset_password(call: ApiRequest) -> OneTimePasswordView:
    """Give somebody a one-time password, and end all their sessions and tokens."""
    person, password = await call.services.auth.people.reset_password(call.scope, call.username)
    return OneTimePasswordView(user=account_view(person), password=password)


def grants_of(body: GrantsBody | None) -> Grants | None:
    """Check grants and bring them into their stored form.

    Raises: BadRequest.
    """
    return None if body is None else checked_grants(body.nodes, body.tags)
