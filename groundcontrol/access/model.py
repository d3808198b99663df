"""Users, their log-in sessions, API tokens and preferences."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from groundcontrol.core.ids import SessionId, TokenId, UserId
from groundcontrol.core.scope import Grants, Role

TotpRule = Literal["none", "admins", "all"]
"""Which users must have a second factor."""
TOTP_RULES: Final[tuple[TotpRule, ...]] = ("none", "admins", "all")
"""From the mildest rule to the strictest."""


class User(NamedTuple):
    id: UserId
    org: int
    username: str
    role: Role
    password_hash: str
    """argon2id hash of the peppered password."""
    password_version: int
    must_change_password: bool
    disabled: bool
    created_at: float
    grants: Grants | None = None
    """The nodes that the user is limited to; None: every node."""
    password_at: float | None = None
    """When a one-time password was made; None: the user chose the password, or it is the first password of this hub."""
    totp_version: int = 0
    """The version of the sealed TOTP seed; 0: the user never had a seed."""
    totp_since: float | None = None
    """When the second factor was confirmed; None: no second factor is confirmed."""


class LoginSession(NamedTuple):
    """The session row that every request checks; without it an access token is invalid."""

    id: SessionId
    user_id: UserId
    password_version: int
    csrf_token: str
    refresh_hash: bytes
    """SHA-256 of the current refresh token."""
    created_at: float
    authenticated_at: float
    """When the password, and the second factor if the user has one, were last proved (log-in or step-up)."""
    last_seen_at: float
    expires_at: float
    address: str
    user_agent: str
    revoked_at: float | None
    second_factor: bool = False
    """Whether a second factor was proved when the session was opened or confirmed."""


class ApiToken(NamedTuple):
    """A token that authenticates a program. Its rights never exceed the present rights of its owner."""

    id: TokenId
    org: int
    user_id: UserId
    username: str
    name: str
    hash: bytes
    """SHA-256 of the token."""
    role: Role
    grants: Grants | None
    """The nodes that the token is limited to; None: every node that its owner sees."""
    sensitive: bool
    """Allows actions for which users must prove their password again."""
    created_at: float
    expires_at: float
    last_used_at: float | None = None
    last_address: str = ""


class AuthState(NamedTuple):
    """The facts that decide whether a request with an access token is allowed, read in one transaction."""

    session: LoginSession
    user: User
    require_totp: TotpRule


class TokenAuthState(NamedTuple):
    """The facts that decide whether a request with an API token is allowed, read in one transaction."""

    token: ApiToken
    user: User
    require_totp: TotpRule


class Person(NamedTuple):
    """A user as lists show them."""

    user: User
    last_seen_at: float | None


FIRST_PASSWORD_LIFE_S: Final = 24 * 3600.0


def password_expired(user: User, initialised_at: float | None, now: float) -> bool:
    """Whether the user did not change a first or one-time password in time. Such a user cannot log in.

    Args: initialised_at: when the hub was first started, if that is known. now: Unix seconds, as all times here.
    """
    since = initialised_at if user.password_at is None else user.password_at
    return user.must_change_password and (since is None or not now - since < FIRST_PASSWORD_LIFE_S)


def stricter(one: TotpRule, other: TotpRule) -> TotpRule:
    """The stricter of two rules."""
    return max(one, other, key=TOTP_RULES.index)


def must_enrol(user: User, rule: TotpRule) -> bool:
    """Whether this user must set up a second factor before anything else."""
    wanted = rule == "all" or (rule == "admins" and user.role == "admin")
    return wanted and user.totp_since is None


MAX_VIEWS: Final = 40
MAX_NAME_CHARS: Final = 60
MAX_QUERY_CHARS: Final = 400
MAX_COLUMNS: Final = 20


class SavedView(NamedTuple):
    """A named filter, order and grouping of the fleet."""

    name: str
    query: str
    """The query part of the page's address, without the question mark."""


class Preferences(NamedTuple):
    views: tuple[SavedView, ...] = ()
    single_keys: bool = True
    """Whether single letters are keyboard shortcuts of the page."""
    network_bits: bool = False
    """Whether the page shows network rates in bits a second."""
    columns: tuple[str, ...] = ()
    """Names of the columns that the user added to the list of servers."""


class PreferencesEdit(NamedTuple):
    """Changes of preferences. None leaves a value as it is."""

    views: tuple[SavedView, ...] | None = None
    single_keys: bool | None = None
    network_bits: bool | None = None
    columns: tuple[str, ...] | None = None

    def applied_to(self, before: Preferences) -> Preferences:
        return before._replace(**{name: value for name, value in self._asdict().items() if value is not None})
