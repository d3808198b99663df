"""`/api/v1/tokens`: what programs log in with."""

from __future__ import annotations

from groundcontrol.auth.service import person_of
from groundcontrol.domain.permissions import allowed
from groundcontrol.domain.users import User
from groundcontrol.errors import NotFound
from groundcontrol.web import schema, views
from groundcontrol.web.call import Call
from groundcontrol.web.http.users import grants_of


async def list_tokens(call: Call) -> schema.ApiTokensView:
    """A page of live tokens, newest first: the caller's own, or for admins those of `?user=`."""
    limit, cursor = call.page("user")
    page = await call.services.store.tokens.tokens(call.scope, limit, cursor, await call.whose())
    return schema.ApiTokensView(tokens=[views.token_view(one) for one in page.items], next=page.next)


async def create_token(call: Call, body: schema.NewTokenBody) -> schema.NewTokenView:
    """Make a token of the caller's own; it is shown once."""
    owner, _ = person_of(call.caller)
    return await new_token(call, owner, body)


async def new_token(call: Call, owner: User, body: schema.NewTokenBody) -> schema.NewTokenView:
    """Make a token of this user."""
    made = await call.services.auth.programs.create(
        call.scope, owner, name=body.name, role=body.role, days=body.days, grants=grants_of(body.grants), sensitive=body.sensitive
    )
    return schema.NewTokenView(token=made.text, info=views.token_view(made.token))


async def revoke_token(call: Call) -> None:
    """End a token and its sockets: an own one, or as admin anybody's."""
    token = await call.services.store.tokens.token(call.scope, call.token_id)
    own = call.caller.user is not None and token.user_id == call.caller.user.id
    if not own and not allowed(call.scope, "user.manage"):
        raise NotFound("there is no such token")
    await call.services.auth.programs.revoke(call.scope, token)
