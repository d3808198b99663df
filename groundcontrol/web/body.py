"""Request bodies: checks the size first, then the type, then the schema."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec
from aiohttp import hdrs, web

from groundcontrol.core.errors import BadRequest, TooLarge, UnsupportedType

MAX_BODY_BYTES: Final = 1 << 20
MAX_PUBLIC_BYTES: Final = 16 << 10
"""Size limit before authentication: a log-in is small, and many at the same time must stay small."""

B = TypeVar("B", bound=msgspec.Struct)


def check_size(request: web.Request, limit: int = MAX_BODY_BYTES) -> None:
    """Refuse a body by its announced length, before any of it is read.

    Raises: TooLarge.
    """
    if (request.content_length or 0) > limit:
        raise TooLarge(f"the request body is larger than {limit} bytes", limit_bytes=limit)


async def read_body(
    request: web.Request, kind: type[B], *, optional: bool = False, limit: int = MAX_BODY_BYTES, timeout_s: float
) -> B | None:
    """Read and check a JSON body.

    Args:   optional: an empty body gives None; limit: the most bytes it may have; timeout_s: for it to arrive.
    Raises: TooLarge, UnsupportedType, BadRequest (the text names the field).
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
        raise BadRequest(f"the request does not fit: {exc}") from exc
    for text in _texts(msgspec.to_builtins(body)):
        if "\x00" in text or (not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)):
            raise BadRequest("the request holds a text with a NUL or half a character")
    return body


async def _read(request: web.Request, limit: int, timeout_s: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for part in request.content.iter_any():
                size += len(part)
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
