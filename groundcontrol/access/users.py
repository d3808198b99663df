"""Administration of users, and the rule about second factors."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from groundcontrol.access.model import Person, TotpRule, User, stricter
from groundcontrol.access.rate_limits import everything_of
from groundcontrol.access.store import UserAdminStore, UserStore
from groundcontrol.core.bus import Bus, Revoked
from groundcontrol.core.errors import BadRequest, Conflict
from groundcontrol.core.ids import UserId
from groundcontrol.core.scope import Grants, Role, Scope
from groundcontrol.core.stores import Stores
from groundcontrol.core.text import is_visible
from spider.clock import Clock
from spider.wire.ids import is_id, new_random_id

USERNAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\Z")
MAX_GRANTS: Final = 500
MAX_TAG_CHARS: Final = 64
ALL_USERS: Final = "*"
"""The value of `Revoked.user` after a change that may affect the rights of every user of an organisation."""
_WORD_CHARS: Final = "abcdefghjkmnpqrstuvwxyz23456789"

HashPassword = Callable[[str], Awaitable[str]]


class Rule(NamedTuple):
    """Which users must have a second factor."""

    holds: TotpRule
    """The rule in force."""
    least: TotpRule
    """The mildest rule that the hub's configuration allows."""


def one_time_password() -> str:
    """A random password of 99 bits that is easy to read out by telephone."""
    return "-".join("".join(secrets.choice(_WORD_CHARS) for _ in range(5)) for _ in range(4))


def checked_grants(nodes: Sequence[str], tags: Sequence[str]) -> Grants:
    """Check grants and bring them into their stored form.

    Raises: BadRequest: the grants are empty, or an id or tag is invalid. Empty grants must never mean every node.
    """
    if not nodes and not tags:
        raise BadRequest("grants name at least one node or tag", field="grants")
    if len(nodes) + len(tags) > MAX_GRANTS:
        raise BadRequest(f"grants name at most {MAX_GRANTS} nodes and tags; give the nodes a common tag", field="grants")
    if not all(is_id(node) for node in nodes):
        raise BadRequest("grants.nodes holds ids of nodes", field="grants")
    trimmed = [tag.strip() for tag in tags]
    if not all(1 <= len(tag) <= MAX_TAG_CHARS and is_visible(tag) for tag in trimmed):
        raise BadRequest(f"grants.tags holds tags of 1 to {MAX_TAG_CHARS} visible characters", field="grants")
    return Grants(tuple(dict.fromkeys(nodes)), tuple(dict.fromkeys(trimmed)))


class UserAdmin:
    """The actions of an admin on users. Changes take effect immediately, also on open connections."""

    def __init__(self, *, store: Stores, bus: Bus, clock: Clock, hash_password: HashPassword, least_totp: TotpRule) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._hash = hash_password
        self._least_totp = least_totp

    async def create(self, scope: Scope, username: str, role: Role, grants: Grants | None) -> tuple[Person, str]:
        """Create a user with a one-time password.

        Raises: BadRequest; Conflict: the name is taken; Unavailable.
        """
        if not USERNAME.match(username):
            raise BadRequest("a user name has 1 to 64 of a-z, A-Z, 0-9 and . _ @ + -, and begins with a letter or digit", field="username")
        if role == "admin" and grants is not None:
            raise BadRequest("an admin sees every node: leave out `grants`", field="grants")
        password = one_time_password()
        now = self._clock.now()
        user = User(
            id=UserId(new_random_id()),
            org=scope.org,
            username=username,
            role=role,
            password_hash=await self._hash(password),
            password_version=1,
            must_change_password=True,
            disabled=False,
            created_at=now,
            grants=grants,
            password_at=now,
        )
        return Person(await self._store[UserAdminStore].create_user(scope, user), None), password

    async def edit(
        self, scope: Scope, username: str, *, role: Role | None, disabled: bool | None, grants: Grants | None, all_nodes: bool
    ) -> Person:
        """Change the given values.

        Raises: NotFound; BadRequest; Conflict: no admin would be left, or an admin would have grants.
        """
        if grants is not None and all_nodes:
            raise BadRequest("give `grants` or all_nodes, not both", field="grants")
        if role is None and disabled is None and grants is None and not all_nodes:
            raise BadRequest("nothing to change: give role, disabled, grants or all_nodes")
        before = await self._store[UserAdminStore].person(scope, username)
        await self._store[UserAdminStore].edit_user(
            scope, before.user.id, role=role, disabled=disabled, grants=grants, all_nodes=all_nodes or (role == "admin" and grants is None)
        )
        self._bus.publish(Revoked("", before.user.id))
        return await self._store[UserAdminStore].person(scope, before.user.username)

    async def reset_password(self, scope: Scope, username: str) -> tuple[Person, str]:
        """Give a user a one-time password, and end their sessions and tokens. The second factor stays.

        Raises: NotFound; Unavailable.
        """
        person = await self._store[UserAdminStore].person(scope, username)
        password = one_time_password()
        await self._store[UserStore].save_password(scope, person.user.id, await self._hash(password), None, must_change=True)
        self._bus.publish(Revoked("", person.user.id))
        await self._store[UserStore].clear_attempts((), everything_of(person.user.id))
        return await self._store[UserAdminStore].person(scope, person.user.username), password

    async def rule(self, scope: Scope) -> Rule:
        """The rule about second factors that is in force."""
        return Rule(stricter(await self._store[UserAdminStore].totp_rule(scope), self._least_totp), self._least_totp)

    def check_rule(self, rule: TotpRule) -> None:
        """Raises: Conflict: the rule is milder than the hub's configuration demands."""
        if stricter(rule, self._least_totp) != rule:
            raise Conflict(f"STARDUST_REQUIRE_TOTP demands at least {self._least_totp!r} on this hub", field="require_totp")

    async def set_rule(self, scope: Scope, rule: TotpRule) -> Rule:
        """Change the rule about second factors.

        Raises: Conflict: the rule is milder than the hub's configuration demands.
        """
        self.check_rule(rule)
        await self._store[UserAdminStore].save_totp_rule(scope, rule)
        self._bus.publish(Revoked("", ALL_USERS, scope.org))
        return await self.rule(scope)
