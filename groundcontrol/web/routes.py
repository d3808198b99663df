"""Declaration of REST calls by a slice. Router, rights matrix, OpenAPI and docs/api.md come from these rows."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from types import NoneType
from typing import Any, Final, Literal, NamedTuple, get_args, get_type_hints

import msgspec

from groundcontrol.core.permissions import Action
from groundcontrol.web.costs import Cost

ROOT: Final = "/api/v1"

Handler = Callable[..., Awaitable[Any]]
"""async (call) or (call, body) -> an Answer, its own response, or None for 204. Its annotations say the types of both: a body that may be
missing is `SomeBody | None`, and a response with an Answer is `Annotated[web.Response, SomeView]`."""

Json = type[msgspec.Struct]

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
    status: int = 200
    form: tuple[Parameter, ...] = ()
    """The fields of a body that is a form, as a program outside sends it. The handler gets them by name."""
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

    @property
    def answer(self) -> Json | None:
        """None: no JSON (204, or as `answers` says)."""
        return _types(self.handler)[0]

    @property
    def body(self) -> Json | None:
        return _types(self.handler)[1]

    @property
    def optional_body(self) -> bool:
        return _types(self.handler)[2]


@functools.lru_cache(256)  # bounded, since handlers of the local socket hold their hub
def _types(handler: Handler) -> tuple[Json | None, Json | None, bool]:
    """The answer and the body of a handler, and whether the body may be missing."""
    hints = get_type_hints(handler, include_extras=True)
    answers, bodies = get_args(found := hints.pop("return")) or (found,), [get_args(hint) or (hint,) for hint in hints.values()]
    takes = [kind for kinds in bodies for kind in kinds]
    return _json_of(answers), _json_of(takes), NoneType in takes


def _json_of(kinds: Iterable[object]) -> Json | None:
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, msgspec.Struct)), None)


LIMIT: Final = Parameter("limit", "at most this many rows, 1 to 500 (default 100)", "integer")
CURSOR: Final = Parameter("cursor", "`next` of the previous page")
NODE: Final = Parameter("node", "only those of this node")
USER: Final = Parameter("user", "those of this user, for admins; `*` = of everybody; without it the caller's own")
FORCE: Final = Parameter("force", "delete the node without contact to its server", "boolean")
