"""The store interfaces of users, log-in sessions, second factors and tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from groundcontrol.access.model import (
    ApiToken,
    AuthState,
    LoginSession,
    Offer,
    Organisation,
    OrganisationSummary,
    Person,
    Preferences,
    PreferencesEdit,
    TokenAuthState,
    TotpRule,
    User,
)
from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.ids import SessionId, TokenId, UserId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Grants, Role, Scope
from groundcontrol.core.secrets import SealedRecord

ADDRESS_LIFETIME_S: Final = 30 * 86_400.0
MAX_ADDRESSES: Final = 32


class Bucket(NamedTuple):
    """A rate limit: at most `limit` attempts in any `window_s` seconds."""

    limit: int
    window_s: float
    every_s: float | None = None
    """Beyond the limit one attempt is allowed this long after the last one; None: none is allowed."""


class LoginLookup(NamedTuple):
    """What the store knows about the user name and the address of a log-in attempt."""

    user: UserId | None
    """None: no user has this name."""
    known: bool
    """Whether this user has logged in from this address."""
    password_version: int = 0


class SetUp(NamedTuple):
    """How far the hub is set up."""

    at: float | None
    """When the first admin was created, in Unix seconds; None: there never was one."""
    code_hash: bytes | None
    """Of the setup code; None: it does not count any more."""
    has_users: bool


class UserStore(Protocol):
    async def set_up(self) -> SetUp: ...
    async def create_first_admin(self, user: User, setup_code_hash: bytes, at: float) -> None:
        """Store the first admin, once in the life of a database. Raises: Conflict: there was a first admin before."""
        ...

    async def user(self, user: UserId) -> User | None: ...
    async def user_by_name(self, username: str) -> User | None:
        """The user of this name, in any case of letters; None: there is none."""
        ...

    async def save_password(self, by: Scope, user: UserId, password_hash: str, keep: SessionId | None, *, must_change: bool) -> User:
        """Store the hash with the next `password_version`, and revoke the user's sessions except `keep`.

        Without `keep` it is a reset: the user's waiting jobs, invites and tokens end too.
        Raises: NotFound: `keep` has ended.
        """
        ...

    async def lookup_login(self, username: str, address: bytes) -> LoginLookup:
        """The user of this name, and whether they have logged in from this address. It takes equally long for an unknown name.

        An address is known for ADDRESS_LIFETIME_S after a log-in. The address of the newest log-in stays known even longer, so that every user has a known address.
        """
        ...

    async def open_session(self, session: LoginSession, audit: AuditEntry, address: bytes) -> None:
        """Store a session and a known address, with an audit row. The newest MAX_ADDRESSES addresses of a user stay.

        Args:   address: a hash of the client's address.
        Raises: Conflict: the account is disabled, or its password or second factor has changed.
        """
        ...

    async def refresh_session(self, session: SessionId, spent: bytes, fresh: bytes, at: float, expires_at: float) -> LoginSession:
        """Replace the refresh hash `spent` by `fresh`.

        Raises: Conflict: the session is over, or `spent` is not its current hash. The latter revokes the session.
        """
        ...

    async def step_up(self, session: SessionId, at: float) -> None:
        """Record a proof of the password. Raises: NotFound: the session has ended."""
        ...

    async def revoke_session(self, by: Scope, session: SessionId) -> None:
        """End a session. A repeated call changes nothing. Raises: NotFound."""
        ...

    async def reserve_attempt(self, buckets: Mapping[str, Bucket], at: float) -> float:
        """Count one attempt in each bucket, in one transaction. Args: buckets: by name; at: Unix seconds.

        Returns: 0.0: it is counted; otherwise the seconds to wait, and no bucket has counted it.
        """
        ...

    async def clear_attempts(self, buckets: Sequence[str], beginnings: Sequence[str] = ()) -> None:
        """Empty these buckets, and those whose names start with one of `beginnings`."""
        ...


class ListedSession(NamedTuple):
    """A live log-in session as lists show it."""

    session: LoginSession
    username: str


class UserAdminStore(Protocol):
    """The store interface of users with their rights, lists of sessions, and the rule about second factors."""

    async def auth_state(self, session: SessionId) -> AuthState | None:
        """The session, its user and the user's memberships. They include every change that the bus has announced.

        None: the session is unknown or revoked, or its user is gone or disabled.
        """
        ...

    async def create_user(self, scope: Scope, user: User) -> User:
        """Store a user. Raises: Conflict: the name is taken."""
        ...

    async def person(self, scope: Scope, username: str) -> Person:
        """Raises: NotFound."""
        ...

    async def users(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[Person]: ...
    async def instance_admins(self, limit: int, cursor: str | None = None) -> Page[Person]:
        """The admins of the instance, oldest account first, without their rights in an organisation."""
        ...

    async def edit_user(
        self, scope: Scope, user: UserId, *, role: Role | None, disabled: bool | None, grants: Grants | None, all_nodes: bool = False
    ) -> User:
        """Change the values that are not None. A disabled user loses all sessions.

        Raises: Conflict: an admin would have grants, or no admin would be left.
        """
        ...

    async def listed_sessions(self, scope: Scope, limit: int, cursor: str | None = None, user: UserId | None = None) -> Page[ListedSession]:
        """The live sessions, newest first. Args: user: None: of all users."""
        ...

    async def listed_session(self, scope: Scope, session: SessionId) -> LoginSession:
        """Raises: NotFound: the session is unknown or has ended."""
        ...

    async def revoke_others(self, by: Scope, user: UserId, keep: SessionId) -> int:
        """End the user's sessions except `keep`. Returns: their number. Raises: NotFound: `keep` has ended, and no other session was ended."""
        ...

    async def totp_rule(self, scope: Scope) -> TotpRule: ...
    async def save_totp_rule(self, scope: Scope, rule: TotpRule) -> None: ...


class OrganisationStore(Protocol):
    """The store interface of the instance's organisations."""

    async def organisation(self, slug: str) -> Organisation:
        """Raises: NotFound."""
        ...

    async def organisations(self) -> Sequence[Organisation]:
        """All of them, oldest first."""
        ...

    async def summaries(self) -> Sequence[OrganisationSummary]: ...
    async def create(self, by: Scope, organisation: Organisation) -> Organisation:
        """Store an organisation; the store gives it its number. Raises: Conflict: the short name is taken."""
        ...

    async def save(self, by: Scope, after: Organisation) -> Organisation:
        """Save the changed values. Raises: NotFound; Conflict: it was changed since `after.version`, or the short name is taken."""
        ...

    async def delete(self, by: Scope, organisation: int) -> None:
        """Delete an organisation without nodes with all its rows, and the accounts that belong to it alone.

        A repeated call changes nothing. Raises: HasNodes; Conflict: it is the first organisation.
        """
        ...


class MembershipStore(Protocol):
    """The store interface of memberships, and of offers of them."""

    async def offers(self, scope: Scope) -> Sequence[Offer]:
        """Those of the organisation, by name."""
        ...

    async def offer(self, scope: Scope, username: str, role: Role, grants: Grants | None, issuer: str = "") -> None:
        """Offer a membership to the user of this name. It answers the same if nobody has the name.

        Args:   issuer: of a provider, at which the user has the address of e-mail `username`.

        Raises: Conflict: the user is a member, or the organisation has too many open offers.
        """
        ...

    async def is_offered(self, issuer: str, address: str) -> bool:
        """Whether a membership of an active organisation waits for the user with this address at a provider."""
        ...

    async def claim_offers(self, by: Scope, user: UserId, issuer: str, address: str) -> None:
        """Let the offers to an address be offers to this user, once, who must still accept.

        Args: address: the provider has just said that it belongs to the user.
        """
        ...

    async def offers_to(self, user: UserId) -> Sequence[Offer]: ...
    async def answer_offer(self, by: Scope, user: UserId, slug: str, *, accept: bool) -> None:
        """Accept or decline an offer. A repeated call changes nothing. Raises: NotFound: there is no such offer to accept."""
        ...

    async def remove_member(self, scope: Scope, username: str, issuer: str = "") -> UserId | None:
        """Remove a member with their tokens in the organisation, or an offer. An account of no organisation stays. Args: as for `offer`.

        A repeated call changes nothing. Returns: the user; None: it was an offer, or nothing. Raises: LastAdmin.
        """
        ...

    async def join(
        self, by: Scope, user: UserId, role: Role, grants: Grants | None = None, *, until: float | None = None, reason: str = ""
    ) -> None:
        """Make a user a member. `until`: of a break-glass membership, told in the organisation's events.

        A repeated call changes nothing. Raises: NotFound; Conflict: the user is a member with other rights.
        """
        ...

    async def set_instance_admin(self, by: Scope, username: str, *, admin: bool) -> UserId:
        """Raises: NotFound: nobody has this name; LastAdmin."""
        ...

    async def end_memberships(self) -> Sequence[UserId]:
        """Remove the memberships whose time is over. Returns: their users."""
        ...


class PreferenceStore(Protocol):
    """The store interface of each user's preferences for the page."""

    async def preferences(self, scope: Scope, user: UserId) -> Preferences: ...
    async def edit_preferences(self, by: Scope, user: UserId, edit: PreferencesEdit) -> Preferences:
        """Change preferences. Returns: all of them. Concurrent edits of different values all take effect."""
        ...


class FactorStore(Protocol):
    """The store interface of second factors. `SecretStore.secret("totp", user, "seed")` reads the sealed seed."""

    async def begin_totp(self, by: Scope, user: UserId, record: SealedRecord) -> None:
        """Store a seed that is not confirmed yet, in place of an earlier one.

        Raises: Conflict: a second factor is on, or the version is not the next one. Of concurrent callers with the same version one succeeds.
        """
        ...

    async def confirm_totp(
        self, by: Scope, user: UserId, version: int, step: int, codes: Sequence[bytes], keep: SessionId, at: float, expires_at: float
    ) -> User:
        """Switch the second factor on, and end the user's sessions except `keep`.

        Args:   step: the step of the first code, which is marked as used. codes: hashes of the recovery codes.
                expires_at: when `keep` expires.
        Raises: NotFound: `keep` has ended; Conflict: the seed was replaced, or is confirmed already.
        """
        ...

    async def use_step(self, user: UserId, step: int) -> bool:
        """Mark this step and all earlier ones as used.

        Returns: False: this step or a later one was used before. Of concurrent callers one gets True.
        """
        ...

    async def use_recovery_code(self, user: UserId, code: bytes, address: str) -> int | None:
        """Use up a code. Returns: how many are left; None: the code is invalid. Of concurrent callers one gets a number."""
        ...

    async def save_recovery_codes(self, by: Scope, user: UserId, codes: Sequence[bytes]) -> None: ...
    async def stop_totp(self, by: Scope, user: UserId, keep: SessionId | None) -> User:
        """Switch the second factor off, shred the seed, delete the codes, and end the user's sessions except `keep`.

        Raises: NotFound: there was a seed, and `keep` has ended.
        """
        ...


class ApiTokenStore(Protocol):
    async def create_token(self, scope: Scope, token: ApiToken, password_version: int | None = None) -> ApiToken:
        """Store a token.

        Args:   password_version: of the owner, as the caller has read it; None: not compared.
        Raises: NotFound: there is no such owner; Conflict: the owner has too many tokens, or another password by now.
        """
        ...

    async def tokens(self, scope: Scope, limit: int, cursor: str | None = None, user: UserId | None = None) -> Page[ApiToken]:
        """The live tokens, newest first. Args: user: None: of all users."""
        ...

    async def token(self, scope: Scope, token: TokenId) -> ApiToken:
        """Raises: NotFound: the token is unknown, expired or revoked."""
        ...

    async def token_auth_state(self, digest: bytes) -> TokenAuthState | None:
        """Look up a token by the hash of its text. The answer is as current as that of `auth_state`.

        None: the token is unknown, expired or revoked, or its owner is gone or disabled.
        """
        ...

    async def revoke_token(self, scope: Scope, token: TokenId) -> None: ...
    async def touch_token(self, token: TokenId, at: float, address: str) -> None:
        """Record when a token was used, without an audit row. An earlier time changes nothing."""
        ...
