"""`/api/v1/tokens`: the API tokens of users, by which programs authenticate."""

from __future__ import annotations

from groundcontrol.access.model import User
from groundcontrol.access.service import person_of
from groundcontrol.access.store import ApiTokenStore
from groundcontrol.access.users_api import grants_of
from groundcontrol.access.views import ApiTokensView, NewTokenBody, NewTokenView, token_view
from groundcontrol.core.errors import NotFound
from groundcontrol.core.permissions import allowed
from groundcontrol.web.request import ApiRequest


async def list_tokens(call: ApiRequest) -> ApiTokensView:
    """A page of live tokens, newest first: the caller's own, or for admins those of `?user=`."""
    limit, cursor = call.page("user")
    page = await call.services[ApiTokenStore].tokens(call.scope, limit, cursor, await call.whose())
    return ApiTokensView(tokens=[token_view(one) for one in page.items], next=page.next)


async def create_token(call: ApiRequest, body: NewTokenBody) -> NewTokenView:
    """Make a token of the caller's own; it is shown once."""
    owner, _ = person_of(call.caller)
    return await new_token(call, owner, body)


async def new_token(call: ApiRequest, owner: User, body: NewTokenBody) -> NewTokenView:
    """Create a token for this user."""
    made = await call.services.auth.programs.create(
        call.scope, owner, name=body.name, role=body.role, days=body.days, grants=grants_of(body.grants), sensitive=body.sensitive
    )
    return NewTokenView(token=made.text, info=token_view(made.token))


async def revoke_token(call: ApiRequest) -> None:
    """End a token and its sockets: an own one, or as admin anybody's."""
    token = await call.services[ApiTokenStore].token(call.scope, call.token_id)
    own = call.caller.user is not None and token.user_id == call.caller.user.id
    if not own and not allowed(call.scope, "user.manage"):
        raise NotFound("there is no such token")
    await call.services.auth.programs.revoke(call.scope, token)
