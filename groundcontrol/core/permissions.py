"""Who may do what: one table, one question, everything else is denied."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, Literal, NamedTuple, NewType, Protocol

from groundcontrol.core.errors import Forbidden, NotFound
from groundcontrol.core.scope import Role, Scope
from groundcontrol.core.verbs import ACTING as _ACTING
from groundcontrol.core.verbs import WORDS

FixedAction = Literal[
    "account.use",
    "node.read",
    "node.edit",
    "node.delete",
    "node.enrol",
    "node.approve",
    "invite.create",
    "invite.read",
    "invite.revoke",
    "invite.organisation",
    "metric.read",
    "hub.read",
    "history.read",
    "deployment.create",
    "deployment.read",
    "deployment.control",
    "job.create",
    "job.read",
    "job.cancel",
    "node.update",
    "node.rekey",
    "event.read",
    "audit.read",
    "live.open",
    "user.reset",
    "user.manage",
    "token.use",
    "settings.manage",
]
JobRight = NewType("JobRight", str)
"""The right to order one verb, `job.<verb>`: the catalogue of verbs gives them."""
Action = FixedAction | JobRight

_ALL: Final = frozenset[Role]({"admin", "operator", "viewer"})
_ADMIN: Final = frozenset[Role]({"admin"})


class _Right(NamedTuple):
    roles: frozenset[Role]
    for_tokens: bool
    """Whether an API token may do it at all: people, rights, tokens and the keys of nodes are for people."""


def job_action(verb: str) -> JobRight:
    """What is asked of `authorize` for a job of this verb; `job.create` is asked before it is known which."""
    return JobRight(f"job.{verb}")


_RIGHTS: Final[dict[Action, _Right]] = {
    "account.use": _Right(_ALL, for_tokens=False),
    "node.read": _Right(_ALL, for_tokens=True),
    "node.edit": _Right(_ACTING, for_tokens=True),
    "node.delete": _Right(_ACTING, for_tokens=True),
    "node.enrol": _Right(_ADMIN, for_tokens=False),
    "node.approve": _Right(_ACTING, for_tokens=False),
    "invite.create": _Right(_ACTING, for_tokens=False),
    "invite.read": _Right(_ACTING, for_tokens=False),
    "invite.revoke": _Right(_ACTING, for_tokens=False),
    "invite.organisation": _Right(_ADMIN, for_tokens=False),
    "metric.read": _Right(_ALL, for_tokens=True),
    "hub.read": _Right(_ALL, for_tokens=True),
    "history.read": _Right(_ALL, for_tokens=True),
    "deployment.create": _Right(_ACTING, for_tokens=True),
    "deployment.read": _Right(_ALL, for_tokens=True),
    "deployment.control": _Right(_ACTING, for_tokens=True),
    "job.create": _Right(_ACTING, for_tokens=True),
    "job.read": _Right(_ALL, for_tokens=True),
    "job.cancel": _Right(_ACTING, for_tokens=True),
    "node.update": _Right(_ACTING, for_tokens=True),
    "node.rekey": _Right(_ADMIN, for_tokens=False),
    "event.read": _Right(_ALL, for_tokens=True),
    "audit.read": _Right(_ADMIN, for_tokens=True),
    "live.open": _Right(_ALL, for_tokens=True),
    "user.reset": _Right(_ADMIN, for_tokens=False),
    "user.manage": _Right(_ADMIN, for_tokens=False),
    "token.use": _Right(_ALL, for_tokens=False),
    "settings.manage": _Right(_ADMIN, for_tokens=False),
    **{job_action(verb): _Right(row.roles, row.for_tokens) for verb, row in WORDS.items()},
}
"""`account.use` is a person's own log-in: password, step-up, log-out; `token.use` their own tokens."""

PERMISSIONS: Final[dict[Action, frozenset[Role]]] = {action: right.roles for action, right in _RIGHTS.items()}
"""action -> the roles that may."""

FOR_TOKENS: Final = frozenset(action for action, right in _RIGHTS.items() if right.for_tokens)
"""What an API token may do at all."""

WHOLE_FLEET: Final = frozenset[Action]({"audit.read", "hub.read", "node.enrol", "invite.organisation"})
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
    admitted: Callable[[Scope], bool] | None = getattr(resource, "admitted", None)  # a node has it: grants name nodes
    if admitted is not None and not admitted(scope):
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


def check_granting_tags(scope: Scope, tags: Collection[str]) -> None:
    """Whether the caller may give these tags to a node that there is, or take them: somebody's limit names them, so it is a change of rights.

    Raises: Forbidden: the caller is not one who may change what others may (`user.manage`).
    """
    if tags and not allowed(scope, "user.manage"):
        named = ", ".join(sorted(tags))
        raise Forbidden(f"somebody's rights hang on the tag {named}: an admin who is logged in may give or take it", action="user.manage")


def allowed(scope: Scope, action: Action, resource: Owned | None = None) -> bool:
    """The same question for filters."""
    try:
        authorize(scope, action, resource)
    except (Forbidden, NotFound):
        return False
    return True
