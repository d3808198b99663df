"""`/api/v1/auth/sessions`: list and end log-in sessions."""

from __future__ import annotations

from groundcontrol.access.service import person_of
from groundcontrol.access.store import PeopleStore, UserStore
from groundcontrol.access.views import SessionsView, session_view
from groundcontrol.core.bus import Revoked
from groundcontrol.core.errors import NotFound, Unauthenticated
from groundcontrol.core.permissions import allowed
from groundcontrol.web.request import ApiRequest


async def list_sessions(call: ApiRequest) -> SessionsView:
    """A page of live sessions, newest first: the caller's own, or for admins those of `?user=`."""
    limit, cursor = call.page("user")
    current = call.caller.session.id if call.caller.session is not None else None
    page = await call.services[PeopleStore].listed_sessions(call.scope, limit, cursor, await call.whose())
    return SessionsView(sessions=[session_view(one, current) for one in page.items], next=page.next)


async def end_session(call: ApiRequest) -> None:
    """End one session and its sockets: an own one, or as admin anybody's."""
    session = await call.services[PeopleStore].listed_session(call.scope, call.session_id)
    own = call.caller.user is not None and session.user_id == call.caller.user.id
    if not own and not allowed(call.scope, "user.manage"):
        raise NotFound("there is no such session")
    await call.services[UserStore].revoke_session(call.scope, session.id)
    call.services.bus.publish(Revoked(session.id, session.user_id))


async def end_other_sessions(call: ApiRequest) -> None:
    """End every session of the caller but this one."""
    user, session = person_of(call.caller)
    try:
        await call.services[PeopleStore].revoke_others(call.scope, user.id, session.id)
    except NotFound as exc:  # another request ended this session meanwhile, and its change stays
        raise Unauthenticated("the session is over; log in again") from exc
    call.services.bus.publish(Revoked("", user.id))
