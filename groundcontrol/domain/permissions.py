"""Who may do what: one table, one question, everything else is denied."""

from __future__ import annotations

from typing import Final, Literal, Protocol

from groundcontrol.domain.scope import Role, Scope
from groundcontrol.errors import Forbidden, NotFound

Action = Literal[
    "account.use",
    "node.read",
    "node.edit",
    "node.delete",
    "node.enrol",
    "metric.read",
    "history.read",
    "deployment.create",
    "deployment.read",
    "deployment.control",
    "job.create",
    "job.read",
    "job.cancel",
    "event.read",
    "audit.read",
    "live.open",
    "user.reset",
]

_ALL: Final = frozenset[Role]({"admin", "operator", "viewer"})
_ACTING: Final = frozenset[Role]({"admin", "operator"})
_ADMIN: Final = frozenset[Role]({"admin"})

PERMISSIONS: Final[dict[Action, frozenset[Role]]] = {
    "account.use": _ALL,
    "node.read": _ALL,
    "node.edit": _ACTING,
    "node.delete": _ACTING,
    "node.enrol": _ADMIN,
    "metric.read": _ALL,
    "history.read": _ALL,
    "deployment.create": _ACTING,
    "deployment.read": _ALL,
    "deployment.control": _ACTING,
    "job.create": _ACTING,
    "job.read": _ALL,
    "job.cancel": _ACTING,
    "event.read": _ALL,
    "audit.read": _ADMIN,
    "live.open": _ALL,
    "user.reset": _ADMIN,
}
"""action -> the roles that may. `account.use` is a person's own log-in: password, step-up, log-out."""


class Owned(Protocol):
    """Anything that belongs to an organisation: a Node, a Job, a Deployment, an Event."""

    @property
    def org(self) -> int: ...


def authorize(scope: Scope, action: Action, resource: Owned | None = None) -> None:
    """Allow, or raise. Ask again at every step: the answer is never kept.

    Args:   resource: what is acted on, when it exists already.
    Raises: NotFound: it belongs to another organisation, so the caller may not learn that it exists;
            Forbidden: the caller's role may not do this.
    """
    actor = scope.actor
    if actor.kind == "system":
        return
    if resource is not None and resource.org != scope.org:
        raise NotFound("there is no such thing here")
    if actor.kind not in ("user", "local") or actor.role not in PERMISSIONS.get(action, frozenset()):
        raise Forbidden(f"the role {actor.role!r} may not do this ({action})", action=action)


def allowed(scope: Scope, action: Action, resource: Owned | None = None) -> bool:
    """The same question for filters."""
    try:
        authorize(scope, action, resource)
    except (Forbidden, NotFound):
        return False
    return True
