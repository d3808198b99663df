"""`/api/v1/auth`: log-in, password, refresh, step-up, log-out, and the caller's own account."""

from __future__ import annotations

import msgspec
from aiohttp import hdrs, web

from groundcontrol.access.sessions import Issued
from groundcontrol.access.views import LoginBody, LoginView, MeView, PasswordBody, StepUpBody, user_view
from groundcontrol.core.errors import BadRequest, Unauthenticated
from groundcontrol.web.cookies import check_same_origin
from groundcontrol.web.errors import problem_response
from groundcontrol.web.request import ApiRequest


def _answer(call: ApiRequest, issued: Issued) -> web.Response:
    view = LoginView(
        token=issued.token,
        expires_at=issued.token_expires_at,
        csrf_token=issued.session.csrf_token,
        user=user_view(issued.user, must_enrol=issued.must_enrol),
    )
    response = web.Response(body=msgspec.json.encode(view), content_type="application/json")
    call.cookies.set(response, issued.token, issued.refresh, issued.device)
    return response


async def login(call: ApiRequest, body: LoginBody) -> web.Response:
    """Open a session."""
    check_same_origin(call.request, call.services.config.origins, required=False)
    issued = await call.services.auth.login(
        body.username,
        body.password,
        totp=body.totp,
        setup_code=body.setup_code,
        address=call.address,
        address_sure=call.address_sure,
        user_agent=call.request.headers.get(hdrs.USER_AGENT, ""),
        device=call.cookies.device(call.request),
    )
    return _answer(call, issued)


async def refresh(call: ApiRequest) -> web.Response:
    """Swap the refresh cookie for new ones."""
    check_same_origin(call.request, call.services.config.origins, required=True)
    token = call.cookies.refresh(call.request)
    if not token:
        raise Unauthenticated("log in first")
    try:
        return _answer(call, await call.services.auth.refresh(token))
    except Unauthenticated as exc:
        response = problem_response(exc)
        call.cookies.clear(response)
        return response


async def password(call: ApiRequest, body: PasswordBody) -> web.Response:
    """Change the own password; every other session ends."""
    return _answer(call, await call.services.auth.change_password(call.caller, body.current, body.new))


async def step_up(call: ApiRequest, body: StepUpBody) -> None:
    """Prove the password once more, and the second factor where there is one."""
    await call.services.auth.step_up(call.caller, body.password, body.totp)


async def logout(call: ApiRequest) -> web.Response:
    """End this session."""
    await call.services.auth.logout(call.caller)
    response = web.Response(status=204)
    call.cookies.clear(response)
    return response


async def me(call: ApiRequest) -> MeView:
    """Who this session belongs to, and until when."""
    user, session = call.caller.user, call.caller.session
    if user is None or session is None:
        raise BadRequest("the local socket has no session")
    return MeView(user=user_view(user, must_enrol=call.caller.must_enrol), csrf_token=session.csrf_token, expires_at=session.expires_at)
