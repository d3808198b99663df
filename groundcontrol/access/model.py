"""Users, their log-in sessions, API tokens and preferences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from groundcontrol.core.ids import SessionId, TokenId, UserId
from groundcontrol.core.scope import DEFAULT_ORG, Grants, Role

TotpRule = Literal["none", "admins", "all"]
"""Which users must have a second factor."""
TOTP_RULES: Final[tuple[TotpRule, ...]] = ("none", "admins", "all")
"""From the mildest rule to the strictest."""


class User(NamedTuple):
    """An account of the instance, with its rights in one organisation."""

    id: UserId
    org: int
    """The organisation that `role` and `grants` apply to; `NO_ORG`: none."""
    username: str
    role: Role
    password_hash: str
    """argon2id hash of the peppered password; empty: the user has none, and logs in through a provider."""
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
    instance_admin: bool = False
    """Whether the user administers the instance: its organisations, settings and backups."""


OrganisationState = Literal["active", "suspended"]


class Membership(NamedTuple):
    """The rights of an account in one organisation."""

    org: int
    slug: str
    """The short name of the organisation, by which requests name it."""
    name: str
    state: OrganisationState
    """Of the organisation."""
    role: Role
    grants: Grants | None
    require_totp: TotpRule
    """Which users of the organisation must have a second factor."""
    source: str = "local"
    """`local`, or `oidc:<provider>` if a log-in there made it."""
    until: float | None = None
    """When a break-glass membership ends, Unix seconds; None: it has no end."""


class Organisation(NamedTuple):
    """A hard wall inside the instance: nothing of one organisation may reach another."""

    no: int
    id: str
    slug: str
    """The short name by which requests name it."""
    name: str
    state: OrganisationState
    sso_only: bool
    """Whether its members log in through single sign-on only."""
    require_totp: TotpRule
    node_quota: int | None
    """The most nodes; None: no limit."""
    created_at: float
    version: int

    @property
    def is_first(self) -> bool:
        """Whether it is the first organisation, which stays: nodes come back to it when the hub is rebuilt."""
        return self.no == DEFAULT_ORG


class NoOrganisation(NamedTuple):
    """Why a request works in no organisation."""

    why: Literal["required", "unknown", "suspended"]
    slugs: tuple[str, ...] = ()
    """The organisations among which the user has to choose."""


def choose(memberships: Sequence[Membership], slug: str | None, now: float, org: int | None = None) -> Membership | NoOrganisation:
    """The membership by which a request works: the named one, or else the only one. An absent name is never all.

    Args: slug: as the request names it; None: it names none. now: Unix seconds. org: instead of `slug`, an organisation chosen before.
    """
    valid = [one for one in memberships if one.until is None or one.until > now]
    if org is not None:
        valid = [one for one in valid if one.org == org]
    elif slug is not None:
        valid = [one for one in valid if one.slug == slug]
    if not valid:
        return NoOrganisation("unknown")
    if len(valid) > 1:
        return NoOrganisation("required", tuple(sorted(one.slug for one in valid)))
    return valid[0] if valid[0].state == "active" else NoOrganisation("suspended")


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
    provider: str = ""
    """The name of the provider through which the user logged in; empty: with a password."""


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
    """With the rights of its first membership."""
    memberships: tuple[Membership, ...] = ()
    """Those that count in this session, by number of the organisation; some may have ended. What a provider's groups gave counts only in a
    session that the provider opened, since a log-in with a password does not read the groups."""


class TokenAuthState(NamedTuple):
    """The facts that decide whether a request with an API token is allowed, read in one transaction."""

    token: ApiToken
    user: User
    """With the rights of its owner in the token's organisation."""
    membership: Membership | None
    """Of the owner in the token's organisation; None: it has ended."""


class Person(NamedTuple):
    """A user as lists show them."""

    user: User
    last_seen_at: float | None
    source: str = "local"
    """As in `Membership`."""
    until: float | None = None
    """As in `Membership`."""
    reason: str = ""
    """Of a break-glass membership."""
    whole: bool = True
    """Whether the account belongs to this organisation alone, so that its admins may manage the account itself."""


class Offer(NamedTuple):
    """A membership that waits for the acceptance of the user. Perhaps nobody has the name: an admin cannot tell."""

    org: int
    slug: str
    name: str
    """Of the organisation."""
    username: str
    role: Role
    grants: Grants | None
    made_by: str
    made_at: float
    issuer: str = ""
    """The provider at which `username` is an address of e-mail; empty: it is a user name."""


class OrganisationSummary(NamedTuple):
    """An organisation as the admins of the instance see it: counts, never content."""

    organisation: Organisation
    nodes: int
    members: int
    jobs: int
    events: int


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
