"""The hub's one HTTP application: REST, the live socket, the page, and handlers that other parts add."""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from groundcontrol.core.errors import HubError, NotFound, StoreBusy, StoreDown, StoreFull, StoreReadOnly
from groundcontrol.events.refusals import Refusals
from groundcontrol.web import openapi
from groundcontrol.web.admission import Admission
from groundcontrol.web.answer import NoBody
from groundcontrol.web.connections import HubRunner
from groundcontrol.web.cookies import SAFE_METHODS
from groundcontrol.web.costs import ChangeLimiter, Costs
from groundcontrol.web.cursors import Cursors
from groundcontrol.web.declare import Slice
from groundcontrol.web.errors import from_http, problem_response
from groundcontrol.web.headers import HeaderWriter, security_headers
from groundcontrol.web.limits import WebLimits
from groundcontrol.web.live.hub import LiveHub
from groundcontrol.web.request import MAX_BODY_BYTES, MAX_PUBLIC_BYTES, read_body, read_form
from groundcontrol.web.routes import ROOT, Route
from groundcontrol.web.services import Services
from groundcontrol.web.static import BuiltPage
from spider.logs import event

log = logging.getLogger(__name__)

SERVICES: Final = web.AppKey("services", Services)
GATE: Final = web.AppKey("gate", Admission)
LIVE: Final = web.AppKey("live", LiveHub)
HEADERS: Final = web.AppKey("headers", HeaderWriter)
LIMITS: Final = web.AppKey("limits", WebLimits)

_TROUBLE: Final = (StoreFull, StoreReadOnly, StoreBusy, StoreDown)
"""While such an error lasts, every request fails with it. So the log gets only one line a minute for each route."""

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_app(
    services: Services,
    slices: Sequence[Slice],
    *,
    routes: Sequence[Route] = (),
    page: BuiltPage | None = None,
    limits: WebLimits | None = None,
) -> web.Application:
    """Make the application. Pass it to `make_runner` to serve it.

    The caller may add handlers with their own access checks (`/ws`, `/healthz`), and must run `app[LIVE].run()`. When that ends, no page
    learns of revocations any more, so the hub must end too.

    Args: slices: their declarations become the router and the topics of the live socket.
          routes: further REST calls with the same admission (the local-only calls).
          page: the built Capsule; None: the shipped one. Its files are read in this call and block the event loop, so call it
              before the hub serves requests.
    """
    limits = limits or WebLimits()
    built_page = BuiltPage.load() if page is None else page
    gate = Admission(services)
    topics = {topic.kind: topic for each in slices for topic in each.topics}
    changes = ChangeLimiter(services.clock)
    live = LiveHub(services, gate, topics, page_build=built_page.build or services.build, limits=limits.live)
    headers = HeaderWriter(security_headers(services.config.origins, secure=services.config.signed))
    app = web.Application(middlewares=[_error_middleware(built_page, services.refusals)], client_max_size=MAX_BODY_BYTES)
    app[SERVICES], app[GATE], app[LIVE], app[HEADERS], app[LIMITS] = services, gate, live, headers, limits
    table = tuple(route for each in slices for route in each.routes)
    for route in (*table, *routes):
        app.router.add_route(route.method, ROOT + route.path, _handler_of(gate, services.costs, changes, route, limits.body_s))
    app.router.add_route("GET", ROOT + "/openapi.json", _description_handler(openapi.encode(table)))
    app.router.add_route("GET", ROOT + "/live", live.handle)
    app.on_response_prepare.append(headers)
    app.on_shutdown.append(_close_live)
    return app


def make_runner(app: web.Application) -> HubRunner:
    """The runner that serves the application with the hub's limits."""
    return HubRunner(app, app[HEADERS], app[SERVICES].config.trusted_proxies, app[LIMITS])


def _handler_of(gate: Admission, costs: Costs, changes: ChangeLimiter, route: Route, body_s: float) -> Handle:
    async def handle(request: web.Request) -> web.StreamResponse:
        call = await gate.admit(
            request,
            route.action,
            pending=route.pending,
            enrolling=route.enrolling,
            step_up=route.step_up,
            strict=route.strict,
            local=route.local,
        )
        body: list[msgspec.Struct | dict[str, str] | None] = []
        read: msgspec.Struct | None = None
        if route.form:
            body = [await read_form(request, route.form, timeout_s=body_s)]
        elif route.method not in SAFE_METHODS:
            limit = MAX_PUBLIC_BYTES if route.action is None else MAX_BODY_BYTES
            optional = route.optional_body or route.body is None
            read = await read_body(request, route.body or NoBody, optional=optional, limit=limit, timeout_s=body_s)
            body = [] if route.body is None else [read]
        if call.caller_if_any is not None and route.method not in SAFE_METHODS:
            changes.spend(call.user_id)
        async with costs.take(route.cost, None if call.caller_if_any is None else call.user_id) as waited:
            if body or read is not None or waited:
                call = await gate.readmit(
                    call, route.action, pending=route.pending, enrolling=route.enrolling, step_up=route.step_up, strict=route.strict
                )
            answer = await route.handler(call, *body)
        if isinstance(answer, web.StreamResponse):
            return answer
        if answer is None:
            return web.Response(status=route.status)
        answer = call.services[Cursors].seal_next(answer)
        return web.Response(body=msgspec.json.encode(answer), status=route.status, content_type="application/json")

    return handle


def _description_handler(description: bytes) -> Handle:
    async def describe(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=description, content_type="application/json")

    return describe


def _error_middleware(page: BuiltPage, refusals: Refusals) -> Middleware:
    @web.middleware
    async def answer_errors(request: web.Request, handler: Handle) -> web.StreamResponse:
        try:
            return await handler(request)
        except HubError as exc:
            return _answer_error(request, exc, refusals)
        except web.HTTPException as exc:
            if exc.status == 404 and request.method in ("GET", "HEAD") and not _is_for_programs(request.path):
                return _page_answer(page, request)
            response = _answer_error(request, from_http(exc), refusals)
            if "Allow" in exc.headers:
                response.headers["Allow"] = exc.headers["Allow"]
            return response
        except ConnectionError:
            raise
        except Exception:
            return _answer_error(request, HubError("a handler crashed"), refusals)

    return answer_errors


def _answer_error(request: web.Request, error: HubError, refusals: Refusals) -> web.StreamResponse:
    """Answer with an error. If the answer has begun already, abort the connection and log the reason."""
    if request.writer.output_size > 0:
        event(
            log,
            "request_failed",
            logging.ERROR,
            exc_info=sys.exc_info()[0] is not None,
            code=error.code,
            message=error.message,
            method=request.method,
            route=_route_of(request),
            means="the answer had begun, and was cut off",
        )
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the answer had begun") from error
    route = _route_of(request)
    logged = not isinstance(error, _TROUBLE) or refusals.first_line(f"request_failed {error.code}", f"{request.method} {route}")
    return problem_response(error, logged=logged, method=request.method, route=route)


def _is_for_programs(path: str) -> bool:
    """Whether the path belongs to an interface for programs, where the page never answers."""
    return path in ("/api", "/ws", "/healthz", "/metrics", "/install.sh") or path.startswith(("/api/", "/ws/"))


def _page_answer(page: BuiltPage, request: web.Request) -> web.StreamResponse:
    try:
        return page.answer(request)
    except NotFound as exc:
        return problem_response(exc)


def _route_of(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"


async def _close_live(app: web.Application) -> None:
    await app[LIVE].close()
