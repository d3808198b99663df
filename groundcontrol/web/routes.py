"""Declaration of REST calls by a slice. Router, rights matrix, OpenAPI and docs/api.md come from these rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, NamedTuple

import msgspec

from groundcontrol.core.permissions import Action
from groundcontrol.web.costs import Cost

ROOT: Final = "/api/v1"

Handler = Callable[..., Awaitable[Any]]
"""async (call) or (call, body) -> an Answer, its own response, or None for 204."""


Whose = Literal["granted", "caller", "person", "organisation", "hub"]


class Parameter(NamedTuple):
    """A parameter of the query."""

    name: str
    about: str
    kind: Literal["string", "integer", "boolean"] = "string"
    required: bool = False
    many: bool = False
    """Whether a request may repeat the parameter."""


class Route(NamedTuple):
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    """The path below /api/v1."""
    action: Action | None
    """The right that `authorize` checks before anything else; None: a public route, whose handler checks access itself."""
    handler: Handler
    answer: type[msgspec.Struct] | None
    """None: no JSON (204, or as `answers` says)."""
    body: type[msgspec.Struct] | None = None
    status: int = 200
    form: tuple[Parameter, ...] = ()
    """The fields of a body that is a form, as a program outside sends it. The handler gets them by name."""
    optional_body: bool = False
    pending: bool = False
    """Open to a session that must change its password first."""
    enrolling: bool = False
    """Open to a session that must set up a second factor first."""
    step_up: bool = False
    """Needs a password check within the last 15 minutes."""
    strict: bool = False
    """The password check must be at most five minutes old: for users, second factors, secrets, keys and removals."""
    local: bool = False
    """Only through the local socket; over the network the address does not exist."""
    query: tuple[Parameter, ...] = ()
    answers: tuple[str, ...] = ()
    """Other media types of the answer."""
    keyed: bool = False
    """Accepts Idempotency-Key."""
    cost: Cost = "small"
    """Cost class; `web/costs.py` has the limits of each."""
    whose: Whose = "granted"
    """Whose objects a call reaches; all others look like missing ones.

    granted: those within the caller's grants. caller: the caller's own, whatever the role. person: the caller's own, for an admin also
    those of other users. organisation: all of the caller's organisation. hub: the hub's own, which all organisations share.
    """


LIMIT: Final = Parameter("limit", "at most this many rows, 1 to 500 (default 100)", "integer")
CURSOR: Final = Parameter("cursor", "`next` of the previous page")
NODE: Final = Parameter("node", "only those of this node")
USER: Final = Parameter("user", "those of this user, for admins; `*` = of everybody; without it the caller's own")
FORCE: Final = Parameter("force", "delete the node without contact to its server", "boolean")
