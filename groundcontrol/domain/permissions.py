"""Who may do what: one table, one question, everything else is denied."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal, Protocol

from groundcontrol.domain.nodes import Node
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
    "user.manage",
    "token.use",
    "settings.manage",
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
    "user.manage": _ADMIN,
    "token.use": _ALL,
    "settings.manage": _ADMIN,
}
"""action -> the roles that may. `account.use` is a person's own log-in: password, step-up, log-out; `token.use` their own tokens."""

FOR_TOKENS: Final = frozenset[Action](
    {
        "node.read",
        "node.edit",
        "node.delete",
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
    }
)
"""What an API token may do at all. People, rights, tokens and the keys of nodes are for people."""

WHOLE_FLEET: Final = frozenset[Action]({"audit.read", "node.enrol"})
"""Shows or changes more than some nodes: not for those who are limited to some."""


class Owned(Protocol):
    """Anything that belongs to an organisation: a Node, a Job, a Deployment, an Event."""

    @property
    def org(self) -> int: ...


def authorize(scope: Scope, action: Action, resource: Owned | None = None) -> None:
    """Allow, or raise. Ask again at every step: the answer is never kept.

    Args:   resource: what is acted on, when it exists already.
    Raises: NotFound: it belongs to another organisation, so the caller may not learn that it exists,
            or it is a node that the caller is not granted, for which the same holds;
            Forbidden: the caller's role, or a token, may not do this.
    """
    actor = scope.actor
    if actor.kind == "system":
        return
    if resource is not None and resource.org != scope.org:
        raise NotFound("there is no such thing here")
    if isinstance(resource, Node) and not scope.admits(resource.id, resource.tags):
        raise NotFound("there is no such thing here")
    if actor.kind not in ("user", "token", "local") or actor.role not in PERMISSIONS.get(action, frozenset()):
        raise Forbidden(f"the role {actor.role!r} may not do this ({action})", action=action)
    if actor.kind == "token" and action not in FOR_TOKENS:
        raise Forbidden(f"a token may not do this ({action}): log in", action=action)
    if scope.grants and action in WHOLE_FLEET:
        raise Forbidden(f"who is limited to some nodes may not do this ({action})", action=action)


def check_new_tags(scope: Scope, tags: Collection[str]) -> None:
    """Whether the caller may give a node these tags, since rights hang on them.

    Raises: Forbidden: the caller is limited to some nodes, and a node of these tags would not be among them.
    """
    if not all(any(tag in tags for tag in grant.tags) for grant in scope.grants):
        raise Forbidden("your rights are limited to some nodes: give the new one a tag that you are granted")


def allowed(scope: Scope, action: Action, resource: Owned | None = None) -> bool:
    """The same question for filters."""
    try:
        authorize(scope, action, resource)
    except (Forbidden, NotFound):
        return False
    return True
