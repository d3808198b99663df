"""Admission of requests before every handler: size, identity, origin, rights. Anything that the route does not allow is denied."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from aiohttp import hdrs, web

from groundcontrol.access.service import check_complete
from groundcontrol.access.sessions import Caller, check_organisation
from groundcontrol.core.errors import BadRequest, NotFound, Unauthenticated
from groundcontrol.core.permissions import WITHOUT_ORGANISATION, Action, authorize
from groundcontrol.core.scope import NO_ORG
from groundcontrol.web.client_address import client_of_request
from groundcontrol.web.connections import charge_answer_to
from groundcontrol.web.cookies import SAFE_METHODS, Cookies, check_csrf, check_same_origin
from groundcontrol.web.local_socket import local_actor
from groundcontrol.web.request import ApiRequest, check_size
from groundcontrol.web.services import Services

_BEARER: Final = "bearer "
ORGANISATION: Final = "Stardust-Organisation"


class Admission:
    """Admits requests of one hub."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._origins = services.config.origins
        self.cookies = Cookies(services.auth.issuer, secure=services.config.secure)

    async def admit(
        self,
        request: web.Request,
        action: Action | None,
        *,
        pending: bool = False,
        enrolling: bool = False,
        step_up: bool = False,
        strict: bool = False,
        local: bool = False,
    ) -> ApiRequest:
        """Admit a request, or raise.

        Args:   action: what the route does; None: public.
                pending: admits a session that must change its password first.
                enrolling: admits a session that must set up a second factor first.
                step_up: needs a password check within the last 15 minutes, with `strict` within five.
                local: the route exists on the local socket only.
        Raises: TooLarge, NotFound, Unauthenticated, CrossSite, PasswordChangeRequired, TotpEnrolmentRequired, Forbidden, StepUpRequired.
        """
        check_size(request)
        config = self._services.config
        address, sure = client_of_request(request, config.trusted_proxies, direct=config.direct)
        caller: Caller | None = None
        if action is not None:
            caller = await self._caller(request, address, named_organisation(request))
            if caller.user is not None:
                charge_answer_to(request, caller.user.id)
            if local and caller.scope.actor.kind != "local":
                raise NotFound("there is nothing at this address")
            self._check(caller, action, pending=pending, enrolling=enrolling, step_up=step_up, strict=strict)
        services = self._services if caller is None or caller.scope.org == NO_ORG else self._services.of(caller.scope.org)
        return ApiRequest(services, request, self.cookies, address, sure, caller)

    async def readmit(
        self, call: ApiRequest, action: Action | None, *, pending: bool, enrolling: bool, step_up: bool, strict: bool
    ) -> ApiRequest:
        """Check the rights again after a wait for the body or for a slot, since they may have changed meanwhile.

        Returns: the request with its current caller.
        Raises:  as `admit`.
        """
        if action is None:
            return call
        caller = await self._services.auth.reload_unfinished_caller(call.caller)
        self._check(caller, action, pending=pending, enrolling=enrolling, step_up=step_up, strict=strict)
        return replace(call, caller_if_any=caller)

    def _check(self, caller: Caller, action: Action, *, pending: bool, enrolling: bool, step_up: bool, strict: bool) -> None:
        if not _admits_unfinished(caller, pending=pending, enrolling=enrolling):
            check_complete(caller)
        if action not in WITHOUT_ORGANISATION:
            check_organisation(caller)
        authorize(caller.scope, action)
        if step_up:
            self._services.auth.require_step_up(caller, strict=strict)

    async def _caller(self, request: web.Request, address: str, slug: str | None) -> Caller:
        local = local_actor(request)
        if local is not None:
            return await self._services.auth.local_caller(local, slug)
        bearer = bearer_token(request)
        if bearer is not None:
            return await self._services.auth.authenticate_bearer(bearer, address, slug)
        token = self.cookies.access(request)
        if not token:
            raise Unauthenticated("log in first")
        unsafe = request.method not in SAFE_METHODS
        check_same_origin(request, self._origins, required=unsafe)
        caller = await self._services.auth.authenticate(token, address, slug)
        if unsafe and caller.session is not None:
            check_csrf(request, caller.session.csrf_token)
        return caller


def _admits_unfinished(caller: Caller, *, pending: bool, enrolling: bool) -> bool:
    """Whether the route admits this caller even if the log-in is unfinished."""
    if caller.user is not None and caller.user.must_change_password:
        return pending
    return enrolling


def named_organisation(request: web.BaseRequest) -> str | None:
    """The short name of the organisation that a request names; None: it names none. A browser sends no header with
    a WebSocket or a download, so a GET may name it in its address.

    Raises: BadRequest: the name is given twice.
    """
    given = request.headers.getall(ORGANISATION, []) + (request.query.getall("organisation", []) if request.method == "GET" else [])
    if len(given) > 1:
        raise BadRequest(f"give the header {ORGANISATION} once")
    return given[0] if given else None


def bearer_token(request: web.BaseRequest) -> str | None:
    """The token of the Authorization header; None: the request has no such header.

    Raises: Unauthenticated: the header holds no Bearer token.
    """
    given = request.headers.getall(hdrs.AUTHORIZATION, [])
    if not given:
        return None
    if len(given) != 1 or given[0][: len(_BEARER)].lower() != _BEARER:
        raise Unauthenticated("log in first")
    return given[0][len(_BEARER) :].strip()
