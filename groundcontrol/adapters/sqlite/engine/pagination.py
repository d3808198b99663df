"""Where a list goes on: opaque to its readers, bound to the list and the organisation it was made for."""

from __future__ import annotations

import base64
import binascii
from typing import Final

import msgspec

from groundcontrol.core.errors import BadRequest

LIMIT: Final = 1000
BEHIND_ALL: Final = (1 << 63) - 1
"""No row has such a number. Lists begin at their ends: what was made last comes first, whatever the clock showed then."""
_Key = tuple[str, int, list[str | int | float]]
_decode: Final[msgspec.msgpack.Decoder[_Key]] = msgspec.msgpack.Decoder(_Key)


def make_cursor(kind: str, org: int, *key: str | int | float) -> str:
    """Write the sort key of the last row that was shown."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((kind, org, key))).rstrip(b"=").decode()


def read_cursor(text: str, kind: str, org: int, *types: type) -> list[str | int | float]:
    """Read what `make_cursor` wrote for this list.

    Raises: BadRequest: it was not made for this list, or was altered.
    """
    try:
        found, owner, key = _decode.decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise BadRequest("the cursor is not one that this list gave", field="cursor") from None
    if (found, owner) != (kind, org) or [type(part) for part in key] != list(types):
        raise BadRequest("the cursor is not one that this list gave", field="cursor")
    return key


def check_limit(limit: int) -> int:
    """Refuse pages of nothing; cap large ones.

    Raises: BadRequest: less than 1.
    """
    if limit < 1:
        raise BadRequest("the limit must be at least 1", field="limit")
    return min(limit, LIMIT)
