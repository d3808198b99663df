"""Errors as HTTP answers."""

from __future__ import annotations

import logging
import sys
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import hdrs, web

from groundcontrol.core import errors
from groundcontrol.core.errors import HubError
from groundcontrol.web.answer import Problem
from groundcontrol.web.live.views import ErrorMessage
from spider.logs import event
from spider.wire.ids import new_time_id

log = logging.getLogger(__name__)

RETRY_S: Final = 2
PROBLEM_TYPE: Final = "application/problem+json"


def problem_of(error: HubError, instance: str) -> Problem:
    """An error as clients see it. For an internal error it gives only a reference to the hub's log."""
    status = error.status
    ours = status == HTTPStatus.INTERNAL_SERVER_ERROR
    return Problem(
        type=f"urn:stardust:error:{error.code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail="the hub failed; its log says why, under this instance" if ours else error.message,
        code=error.code,
        instance=instance,
        facts={} if ours else error.detail,
    )


def live_error(error: HubError, topic: str = "") -> ErrorMessage:
    """An error as a message of the live socket."""
    problem = problem_of(error, "")
    return ErrorMessage(code=problem.code, message=problem.detail, topic=topic)


def problem_response(error: HubError, kind: type[web.Response] = web.Response, *, logged: bool = True, **fields: str) -> web.Response:
    """An RFC 9457 answer. An error of the hub is logged, with `fields`; an internal error also with the current traceback.

    `logged`: False: the log has a line about this error already. `Unavailable` is never logged: a crowd of refused clients must not fill
    the log and block the loop.
    """
    instance = f"urn:stardust:answer:{new_time_id()}"
    problem = problem_of(error, instance)
    if logged and problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR and type(error) is not errors.Unavailable:
        level = logging.ERROR if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR else logging.WARNING
        crashed = problem.status == HTTPStatus.INTERNAL_SERVER_ERROR and sys.exc_info()[0] is not None
        event(log, "request_failed", level, exc_info=crashed, instance=instance, code=error.code, message=error.message, **fields)
    response = kind(body=msgspec.json.encode(problem), status=problem.status, content_type=PROBLEM_TYPE)
    wait = error.detail.get("retry_after_s", RETRY_S if problem.status == HTTPStatus.SERVICE_UNAVAILABLE else None)
    if isinstance(wait, int):
        response.headers[hdrs.RETRY_AFTER] = str(wait)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        response.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="stardust"'
    return response


def from_http(error: web.HTTPException) -> HubError:
    """An error of aiohttp itself as one of the hub's errors."""
    match error.status:
        case HTTPStatus.NOT_FOUND:
            return errors.NotFound("there is nothing at this address")
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return errors.MethodNotAllowed("this address does not support this method")
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return errors.TooLarge("the request is larger than allowed")
        case HTTPStatus.EXPECTATION_FAILED | HTTPStatus.BAD_REQUEST | HTTPStatus.UPGRADE_REQUIRED:
            return errors.BadRequest("this is not a request that the hub understands")
        case _:
            return HubError(f"unforeseen HTTP error {error.status}")
