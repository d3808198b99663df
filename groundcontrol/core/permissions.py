"""The permission engine: one table of actions and roles, and one function that checks it. Anything outside the table is denied."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, Literal, NamedTuple, NewType, Protocol

from groundcontrol.core.errors import Forbidden, NotFound
from groundcontrol.core.scope import Grants, Role, Scope
from groundcontrol.core.verbs import ACTING as _ACTING
from groundcontrol.core.verbs import HUB_VERBS

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
    "hub_key.use",
    "hub_key.manage",
    "journal.read",
    "job.create",
    "job.read",
    "job.cancel",
    "node.update",
    "node.rekey",
    "event.read",
    "event.write",
    "audit.read",
    "live.open",
    "user.reset",
    "user.manage",
    "member.manage",
    "instance.manage",
    "token.use",
    "settings.manage",
    "alert.read",
    "alert.manage",
    "maintenance.manage",
    "alert.handle",
    "delivery.read",
    "patch.read",
    "patch.manage",
    "patch.run",
    "patch.take_over",
]
JobRight = NewType("JobRight", str)
"""The right to order one verb, `job.<verb>`; the catalogue of verbs defines these rights."""
Action = FixedAction | JobRight

_ALL: Final = frozenset[Role]({"admin", "operator", "viewer"})
_ADMIN: Final = frozenset[Role]({"admin"})


class _Right(NamedTuple):
    roles: frozenset[Role]
    for_tokens: bool
    """Whether an API token may use this right at all. Only human users may manage users, rights, tokens and node keys."""


def job_action(verb: str) -> JobRight:
    """The action that `authorize` checks for a job of this verb. `job.create` is checked before the verb is known."""
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
    "hub_key.use": _Right(_ACTING, for_tokens=True),
    "hub_key.manage": _Right(_ADMIN, for_tokens=False),
    "journal.read": _Right(_ACTING, for_tokens=True),
    "job.create": _Right(_ACTING, for_tokens=True),
    "job.read": _Right(_ALL, for_tokens=True),
    "job.cancel": _Right(_ACTING, for_tokens=True),
    "node.update": _Right(_ACTING, for_tokens=True),
    "node.rekey": _Right(_ADMIN, for_tokens=False),
    "event.read": _Right(_ALL, for_tokens=True),
    "event.write": _Right(_ACTING, for_tokens=True),
    "audit.read": _Right(_ADMIN, for_tokens=True),
    "live.open": _Right(_ALL, for_tokens=True),
    "user.reset": _Right(_ADMIN, for_tokens=False),
    "user.manage": _Right(_ADMIN, for_tokens=False),
    "member.manage": _Right(_ADMIN, for_tokens=False),
    "instance.manage": _Right(_ADMIN, for_tokens=False),
    "token.use": _Right(_ALL, for_tokens=False),
    "settings.manage": _Right(_ADMIN, for_tokens=False),
    "alert.read": _Right(_ALL, for_tokens=True),
    "alert.manage": _Right(_ADMIN, for_tokens=False),
    "maintenance.manage": _Right(_ACTING, for_tokens=True),
    "alert.handle": _Right(_ACTING, for_tokens=True),
    "delivery.read": _Right(_ALL, for_tokens=True),
    "patch.read": _Right(_ALL, for_tokens=True),
    "patch.manage": _Right(_ACTING, for_tokens=False),
    "patch.run": _Right(_ACTING, for_tokens=True),
    "patch.take_over": _Right(_ADMIN, for_tokens=False),
    **{job_action(verb): _Right(row.roles, row.for_tokens) for verb, row in HUB_VERBS.items()},
}
"""`account.use` covers a user's own log-in: password, step-up, log-out. `token.use` covers their own tokens."""

PERMISSIONS: Final[dict[Action, frozenset[Role]]] = {action: right.roles for action, right in _RIGHTS.items()}
"""Action -> the roles that may do it."""

FOR_TOKENS: Final = frozenset(action for action, right in _RIGHTS.items() if right.for_tokens)
"""The actions that an API token may do at all."""

WHOLE_FLEET: Final = frozenset[Action](
    {"audit.read", "hub.read", "node.enrol", "invite.organisation", "alert.manage", "delivery.read", "hub_key.use", "hub_key.manage"}
)
"""Actions that concern the whole fleet. A user with grants may not do them, since grants limit a user to some nodes."""


OF_INSTANCE: Final = frozenset[Action]({"instance.manage"})
"""Actions of an admin of the instance, whatever their role in an organisation."""
WITHOUT_ORGANISATION: Final = OF_INSTANCE | {"account.use"}
"""Actions that need no organisation: those of the instance, and those on the caller's own account."""


class Owned(Protocol):
    """An object that belongs to an organisation: a Node, a Job, a Deployment, an Event."""

    @property
    def org(self) -> int: ...


def authorize(scope: Scope, action: Action, resource: Owned | None = None) -> None:
    """Raise if the actor may not do this. After each wait, read the rights again and repeat this call, since they may have changed.

    Args:   resource: the object of the action, if it exists already.
    Raises: NotFound: the object belongs to another organisation, or is a node outside the caller's grants;
                the caller may not learn that it exists;
            Forbidden: the caller's role, or a token, may not do this.
    """
    actor = scope.actor
    if actor.kind == "system":
        return
    if resource is not None and resource.org != scope.org:
        raise NotFound("there is no such thing here")
    admitted: Callable[[Scope], bool] | None = getattr(resource, "admitted", None)  # only a node has this method, since grants name nodes
    if admitted is not None and not admitted(scope):
        raise NotFound("there is no such thing here")
    if action in OF_INSTANCE:
        if not actor.instance_admin:
            raise Forbidden("only an admin of this hub may do this", action=action)
        return
    if actor.kind not in ("user", "token", "local") or actor.role not in PERMISSIONS.get(action, frozenset()):
        raise Forbidden(f"your role ({actor.role}) does not allow this", action=action)
    if actor.kind == "token" and action not in FOR_TOKENS:
        raise Forbidden("a token does not allow this: log in to the page, or use the command stardust on the hub's machine", action=action)
    if scope.grants and action in WHOLE_FLEET:
        raise Forbidden("your rights are limited to some nodes, and this is about all of them", action=action)


class StoredRights(NamedTuple):
    """The rights of a user, or of an API token and its owner, as they are stored now."""

    role: Role
    """Of a token: the weaker of the token's role and the owner's role."""
    grants: tuple[Grants, ...] = ()
    """Each grant must admit the node."""
    disabled: bool = False
    reset_at: float | None = None
    """When an admin reset the password, Unix seconds. Before that, somebody else may have used the account."""
    token_until: float | None = None
    """When the token expires, Unix seconds; 0: it was revoked; None: these are the rights of a user."""


def still_authorized(
    rights: StoredRights | None, action: Action, node: str, tags: Collection[str], *, ordered_at: float, now: float
) -> bool:
    """Whether the user or token that ordered something may still order it. Call this right before the work starts.

    Args: rights: None: the user or token does not exist any more.
          node: the id; empty: the node does not exist yet.
          tags: the node's tags.
          ordered_at, now: Unix seconds.
    """
    if rights is None or rights.disabled or (rights.reset_at is not None and ordered_at <= rights.reset_at):
        return False
    if rights.token_until is not None and (rights.token_until <= now or action not in FOR_TOKENS):
        return False
    if rights.role not in PERMISSIONS.get(action, frozenset()) or (rights.grants and action in WHOLE_FLEET):
        return False
    return all(grant.admit(node, tags) for grant in rights.grants)


def check_new_tags(scope: Scope, tags: Collection[str]) -> None:
    """Check that the caller may give a node these tags, since grants by tag depend on them.

    Raises: Forbidden: the caller is limited to some nodes, and a node with these tags would not be among them.
    """
    if not all(any(tag in tags for tag in grant.tags) for grant in scope.grants):
        raise Forbidden("your rights are limited to some nodes: give the new node a tag that you are granted")


def check_granting_tags(scope: Scope, tags: Collection[str]) -> None:
    """Check that the caller may add these tags to an existing node, or remove them.

    Grants of users name these tags, so adding or removing one changes rights.

    Raises: Forbidden: the caller may not change the rights of users (`user.manage`).
    """
    if tags and not allowed(scope, "user.manage"):
        named = ", ".join(sorted(tags))
        raise Forbidden(f"rights of users depend on the tag {named}: only a logged-in admin may add or remove it", action="user.manage")


def allowed(scope: Scope, action: Action, resource: Owned | None = None) -> bool:
    """Whether `authorize` allows this. Filters of lists use it."""
    try:
        authorize(scope, action, resource)
    except (Forbidden, NotFound):
        return False
    return True
