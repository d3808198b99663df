"""One admitted request, as handlers see it, and the reading of its body."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import parse_qs

import msgspec
from aiohttp import hdrs, web

from groundcontrol.access.sessions import Caller
from groundcontrol.access.store import UserAdminStore
from groundcontrol.access.users import USERNAME
from groundcontrol.core.errors import BadRequest, NotFound, TooLarge, Unauthenticated, UnsupportedType
from groundcontrol.core.ids import BatchId, DeploymentId, InviteId, JobId, NodeId, SessionId, TokenId, UserId
from groundcontrol.core.permissions import Action, Owned, authorize
from groundcontrol.core.scope import Scope
from groundcontrol.web.cookies import Cookies
from groundcontrol.web.cursors import Cursors
from groundcontrol.web.routes import Parameter
from groundcontrol.web.services import Services
from spider.wire.ids import is_id

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 500
MAX_CURSOR_CHARS: Final = 300
REAUTHORIZE_S: Final = 1.0
_KEY: Final = re.compile(r"[\x21-\x7e]{1,128}\Z")


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request that has passed admission."""

    services: Services
    request: web.Request
    cookies: Cookies
    address: str
    """The address of the client, also of one behind trusted proxies."""
    address_sure: bool
    """False: the address may be that of a proxy, and then the client is unknown."""
    caller_if_any: Caller | None
    """None on a public route, which needs no log-in."""

    @property
    def caller(self) -> Caller:
        """Raises: Unauthenticated: this is a public route."""
        if self.caller_if_any is None:
            raise Unauthenticated("log in first")
        return self.caller_if_any

    @property
    def scope(self) -> Scope:
        return self.caller.scope

    @property
    def user_id(self) -> UserId | None:
        """The user who makes the call; None: a program on the local socket. Limits for each user count by it."""
        user = self.caller.user
        return None if user is None else user.id

    def authorize(self, action: Action, resource: Owned) -> None:
        """Check that the caller may do this to this object. Admission checked only the action. Raises: as `permissions.authorize`."""
        authorize(self.scope, action, resource)

    @property
    def node_id(self) -> NodeId:
        return NodeId(self.id_of("node"))

    @property
    def job_id(self) -> JobId:
        return JobId(self.id_of("job"))

    @property
    def batch_id(self) -> BatchId:
        return BatchId(self.id_of("batch"))

    @property
    def deployment_id(self) -> DeploymentId:
        return DeploymentId(self.id_of("deployment"))

    @property
    def invite_id(self) -> InviteId:
        return InviteId(self.id_of("invite"))

    @property
    def session_id(self) -> SessionId:
        return SessionId(self.id_of("session"))

    @property
    def token_id(self) -> TokenId:
        return TokenId(self.id_of("token"))

    @property
    def username(self) -> str:
        text = self.request.match_info["username"]
        if not USERNAME.match(text):
            raise NotFound("there is no user of this name")
        return text

    async def user_filter(self) -> UserId | None:
        """The user of `?user=`; None: all users. Without the parameter it is the caller; through the local socket, all users.

        Only admins may name another user, or all with `*`.
        Raises: Forbidden; NotFound.
        """
        wanted = self.request.query.get("user")
        own = self.caller.user
        if wanted is None or (own is not None and wanted == own.username):
            return None if own is None else own.id
        authorize(self.scope, "user.manage")
        if wanted == "*":
            return None
        return (await self.services[UserAdminStore].person(self.scope, wanted)).user.id

    def id_of(self, what: str) -> str:
        """The id in the path. Raises: NotFound: it is no id; `what` is the object in the error text."""
        text = self.request.match_info["id"]
        if not is_id(text):
            raise NotFound(f"there is no {what} of this id")
        return text

    def query(self, *known: str) -> dict[str, str]:
        """The query, each name once.

        Raises: BadRequest: the query has an unknown name, or a name twice.
        """
        found: dict[str, str] = {}
        for name, value in self.request.query.items():
            if name == "organisation":  # admission has read it
                continue
            if name not in known:
                raise BadRequest(f"this call has no parameter {name[:40]!r}")
            if name in found:
                raise BadRequest(f"the parameter {name} is given twice")
            found[name] = value
        return found

    def page(self, *others: str) -> tuple[int, str | None]:
        """The parameters `limit` and `cursor`. `others`: further parameters that the call accepts.

        Raises: BadRequest.
        """
        query = self.query("limit", "cursor", *others)
        cursor = query.get("cursor") or None
        if cursor is not None and (len(cursor) > MAX_CURSOR_CHARS or not cursor.isascii() or not cursor.isprintable()):
            raise BadRequest("the parameter cursor is not a cursor of this hub")
        if cursor is not None:
            cursor = self.services[Cursors].open(cursor)
        return whole_number(query.get("limit"), "limit", 1, MAX_LIMIT, DEFAULT_LIMIT), cursor

    def idempotency_key(self) -> str | None:
        """The key by which the hub recognises a repeated request; None: there is none.

        Raises: BadRequest.
        """
        key = self.request.headers.get("Idempotency-Key")
        if key is not None and not _KEY.match(key):
            raise BadRequest("the header Idempotency-Key must have 1 to 128 visible ASCII characters")
        return key


class StreamAuthorizer:
    """Checks whether a long answer may continue. A slow caller may lose the right while the answer is sent."""

    def __init__(self, call: ApiRequest, action: Action, find: Callable[[Scope], Awaitable[object]]) -> None:
        """`find` reads the object from the store with the caller's rights, and raises NotFound if they do not cover it."""
        self._call = call
        self._action = action
        self._find = find
        self._checked_at = call.services.clock.monotonic()

    async def check(self) -> None:
        """Check again if the last check is at least REAUTHORIZE_S ago.

        Raises: as `check_now`.
        """
        if self._call.services.clock.monotonic() - self._checked_at >= REAUTHORIZE_S:
            await self.check_now()

    async def check_now(self) -> None:
        """Check again.

        Raises: Unauthenticated, PasswordChangeRequired, TotpEnrolmentRequired, Forbidden, NotFound, StoreError.
        """
        services = self._call.services
        self._checked_at = services.clock.monotonic()
        scope = (await services.auth.reload_caller(self._call.caller)).scope
        authorize(scope, self._action)
        await self._find(scope)


def whole_number(text: str | None, name: str, low: int, high: int, default: int) -> int:
    """The parameter `name`, whose value is `text`. `text` None: the parameter is missing, and the default applies.

    Raises: BadRequest: the text is not a whole number in [low, high].
    """
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", text) or not low <= int(text) <= high:
        raise BadRequest(f"the parameter {name} must be a whole number from {low} to {high}")
    return int(text)


_TIME: Final = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,16})?([eE][+-]?[0-9]{1,2})?")


def unix_time(text: str | None, name: str, default: float) -> float:
    """The parameter `name` in Unix seconds, whose value is `text`. `text` None: the parameter is missing, and the default applies.

    Raises: BadRequest: the text is not a decimal number.
    """
    if text is None:
        return default
    if not _TIME.fullmatch(text):
        raise BadRequest(f"the parameter {name} must be a time in Unix seconds")
    return float(text)


MAX_BODY_BYTES: Final = 1 << 20
MAX_PUBLIC_BYTES: Final = 16 << 10
"""Size limit of the body of a public route, since nobody is authenticated yet."""

MAX_FORM_BYTES: Final = 80 << 10
"""Size limit of a form. It holds one token of a provider."""

B = TypeVar("B", bound=msgspec.Struct)


def check_size(request: web.Request, limit: int = MAX_BODY_BYTES) -> None:
    """Refuse a body by its announced length, before any of it is read.

    Raises: TooLarge.
    """
    if (request.content_length or 0) > limit:
        raise TooLarge(f"the request body is larger than {limit} bytes", limit_bytes=limit)


GRACE_SHARE: Final = 0.3
"""The share of the time limit of a body after which its rate counts."""
LEAST_BYTES_PER_S: Final = 1024
"""The least rate of a body after that."""


async def read_body(
    request: web.Request, kind: type[B], *, optional: bool = False, limit: int = MAX_BODY_BYTES, timeout_s: float
) -> B | None:
    """Read and check a JSON body.

    Args:    optional: the body may be empty.
             limit: the most bytes of the body.
             timeout_s: the time limit for the body to arrive.
    Returns: the body; None: it is empty, and `optional`.
    Raises:  TooLarge; UnsupportedType.
             BadRequest: the body does not arrive in time or breaks off, is no JSON, is no `kind` (the text names the field, if it is one), or
             contains a text with NUL or with half of a surrogate pair.
    """
    if not request.can_read_body and optional:
        return None
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise UnsupportedType("the request body must not be compressed")
    check_size(request, limit)
    data = await _read(request, limit, timeout_s)
    if not data and optional:
        return None
    if request.content_type != "application/json":
        raise UnsupportedType("the request body must be application/json")
    try:
        body = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadRequest(f"the request body is not as expected: {exc}") from exc
    for text in _texts(msgspec.to_builtins(body)):
        if "\x00" in text or (not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)):
            raise BadRequest("the request contains a text with NUL or with half of a surrogate pair")
    return body


async def read_form(request: web.Request, fields: Sequence[Parameter], *, timeout_s: float) -> dict[str, str]:
    """Read a body of `application/x-www-form-urlencoded`, with each of these fields once. Other fields are ignored.

    Raises: TooLarge, UnsupportedType, BadRequest.
    """
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise UnsupportedType("the request body must not be compressed")
    if request.content_type != "application/x-www-form-urlencoded":
        raise UnsupportedType("the request body must be application/x-www-form-urlencoded")
    check_size(request, MAX_FORM_BYTES)
    data = await _read(request, MAX_FORM_BYTES, timeout_s)
    try:
        found = parse_qs(data.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=20, errors="strict")
    except ValueError as exc:
        raise BadRequest("the request body is no form") from exc
    for field in fields:
        if len(found.get(field.name, ())) != 1:
            raise BadRequest(f"the form needs {field.name} once", field=field.name)
    return {field.name: found[field.name][0] for field in fields}


async def _read(request: web.Request, limit: int, timeout_s: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    now = asyncio.get_running_loop().time
    due_at = now() + timeout_s * GRACE_SHARE
    try:
        async with asyncio.timeout(timeout_s):
            async for part in request.content.iter_any():
                size += len(part)
                if (late_s := now() - due_at) > 0 and size < late_s * LEAST_BYTES_PER_S:
                    raise BadRequest(f"the request body arrives too slowly: at least {LEAST_BYTES_PER_S} bytes a second are needed")
                if size > limit:
                    raise TooLarge(f"the request body is larger than {limit} bytes", limit_bytes=limit)
                parts.append(part)
    except TimeoutError as exc:
        raise BadRequest(f"the request body did not arrive within {timeout_s:g} seconds") from exc
    except web.RequestPayloadError as exc:
        raise BadRequest("the request body is broken") from exc
    return b"".join(parts)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
