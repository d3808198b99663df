"""How a slice declares a call of the REST interface. Router, rights matrix, OpenAPI and docs/api.md come from these rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, NamedTuple

import msgspec

from groundcontrol.core.permissions import Action
from groundcontrol.web.costs import Cost

ROOT: Final = "/api/v1"

Handler = Callable[..., Awaitable[Any]]
"""async (Call) or (Call, body) -> an Answer, a response of its own, or None for 204."""


class Parameter(NamedTuple):
    """One of the query."""

    name: str
    about: str
    kind: Literal["string", "integer", "boolean"] = "string"
    required: bool = False
    many: bool = False


class Route(NamedTuple):
    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    """Below /api/v1."""
    action: Action | None
    """Asked of `authorize` before anything else; None: public, the handler guards itself."""
    handler: Handler
    answer: type[msgspec.Struct] | None
    """None: no JSON (204, or what `answers` says)."""
    body: type[msgspec.Struct] | None = None
    status: int = 200
    optional_body: bool = False
    pending: bool = False
    """Open to a session that must change its password first."""
    enrolling: bool = False
    """Open to a session that must set up a second factor first."""
    step_up: bool = False
    local: bool = False
    """Through the local socket alone; by network there is nothing at this address."""
    query: tuple[Parameter, ...] = ()
    answers: tuple[str, ...] = ()
    """Other media types of the answer."""
    keyed: bool = False
    """Takes Idempotency-Key."""
    cost: Cost = "small"
    """What it costs the hub: `web/costs.py` has the limits of each class."""


LIMIT: Final = Parameter("limit", "at most this many, 1 to 500 (100)", "integer")
CURSOR: Final = Parameter("cursor", "`next` of the page before")
NODE: Final = Parameter("node", "only those of this node")
USER: Final = Parameter("user", "those of this user, for admins; `*` = of everybody; without it the caller's own")
FORCE: Final = Parameter("force", "forget a server that is gone", "boolean")
