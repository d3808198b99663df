"""Who may come in, by password, second factor or token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from groundcontrol.access.model import ApiToken, LoginSession, Person, Standing, TokenStanding, TotpRule, User
from groundcontrol.access.preferences import Preferences
from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.ids import SessionId, TokenId, UserId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Grants, Role, Scope
from groundcontrol.core.secrets import SealedRecord

PLACE_S: Final = 30 * 86_400.0
MAX_PLACES: Final = 32

Bucket = tuple[int, float] | tuple[int, float, float]
"""Of a rate limit: (limit, window_s): of any `window_s` seconds, at most `limit` attempts. (limit, window_s, every_s): those beyond it each `every_s`
seconds after the one before, so that nobody waits for longer than that."""


class LoginLookup(NamedTuple):
    """Who wants to log in."""

    user: UserId | None
    """None: nobody has this name."""
    known: bool
    """They have logged in from this place."""
    password_version: int = 0


class UserStore(Protocol):
    async def count_users(self) -> int: ...
    async def initialised_at(self) -> float | None: ...
    async def create_first_admin(self, user: User, setup_code_hash: bytes, at: float) -> None:
        """Once per database, for ever: Conflict when it was done before."""
        ...

    async def setup_code_hash(self) -> bytes | None: ...
    async def user(self, user: UserId) -> User | None: ...
    async def user_by_name(self, username: str) -> User | None: ...
    async def save_password(self, scope: Scope, user: UserId, password_hash: str, keep: SessionId | None, *, must_change: bool) -> User:
        """Raise `password_version` and revoke every session of the user but `keep`. NotFound: `keep` is over by now.

        Without `keep` it is a reset: what the user, or a token of theirs, has ordered and what waits still is not begun any more,
        invites of theirs are not good any more, and their tokens end.
        """
        ...

    async def knock(self, username: str, place: bytes) -> LoginLookup:
        """Whose name this is, and whether they have logged in from this place. Does the same work for a name that nobody has.

        A place counts for PLACE_S after a log-in there; that of the newest log-in for ever, so that everybody has one.
        """
        ...

    async def open_session(self, session: LoginSession, audit: AuditEntry, place: bytes) -> None:
        """`place`: a hash of where from; the newest MAX_PLACES of a user are kept.

        Conflict: what was proven for it is not what the account wants by now (another password, a second factor), or the account is disabled.
        """
        ...

    async def login_session(self, session: SessionId) -> tuple[LoginSession, User] | None:
        """None: unknown, revoked, or its user is gone or disabled."""
        ...

    async def refresh_session(self, session: SessionId, spent: bytes, fresh: bytes, at: float, expires_at: float) -> LoginSession:
        """Swap the refresh hash. Conflict (and the session is revoked): the spent hash is not the current one."""
        ...

    async def step_up(self, session: SessionId, at: float) -> None: ...
    async def revoke_session(self, scope: Scope, session: SessionId) -> None: ...
    async def reserve_attempt(self, buckets: Mapping[str, Bucket], at: float) -> float:
        """Count one attempt in every bucket, by its name, in one transaction, before it is made.

        Returns: 0.0 when all had room; else the seconds to wait, and nothing was counted.
        """
        ...

    async def clear_attempts(self, buckets: Sequence[str], beginnings: Sequence[str] = ()) -> None:
        """Forget what was counted in these buckets, and in all whose names begin like this."""
        ...


class ListedSession(NamedTuple):
    """A live log-in, as lists show it."""

    session: LoginSession
    username: str


class PeopleStore(Protocol):
    """Users with their rights, lists of sessions, and the rule about second factors."""

    async def standing(self, session: SessionId) -> Standing | None:
        """Everything that decides about a request, of one moment: none before the last change that anybody was told of. None: as `login_session` says."""
        ...

    async def create_user(self, scope: Scope, user: User) -> User:
        """Conflict: the name is taken."""
        ...

    async def person(self, scope: Scope, username: str) -> Person: ...
    async def people(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[Person]: ...
    async def edit_user(
        self, scope: Scope, user: UserId, *, role: Role | None, disabled: bool | None, grants: Grants | None, all_nodes: bool = False
    ) -> User:
        """None leaves what is. Who is disabled has no session any more. Conflict: an admin with grants, or no admin would be left."""
        ...

    async def listed_sessions(self, scope: Scope, limit: int, cursor: str | None = None, user: UserId | None = None) -> Page[ListedSession]:
        """Those that are live, the newest first; `user` None: of everybody."""
        ...

    async def listed_session(self, scope: Scope, session: SessionId) -> LoginSession: ...
    async def revoke_others(self, scope: Scope, user: UserId, keep: SessionId) -> int:
        """End every session of the user but `keep`. NotFound: `keep` is over by now, and ends nobody."""
        ...

    async def totp_rule(self) -> TotpRule: ...
    async def save_totp_rule(self, scope: Scope, rule: TotpRule) -> None: ...


class PreferenceStore(Protocol):
    """What people have set up for their own page."""

    async def preferences(self, scope: Scope, user: UserId) -> Preferences: ...
    async def save_preferences(self, scope: Scope, user: UserId, preferences: Preferences) -> None: ...


class FactorStore(Protocol):
    """Second factors. The sealed seed is read through `SecretStore.secret("totp", user, "seed")`."""

    async def begin_totp(self, scope: Scope, user: UserId, record: SealedRecord) -> None:
        """Keep a seed that does not count yet, in place of an earlier one.

        Conflict: a second factor is on, or the version is not the next; of many callers with one version one gets through.
        """
        ...

    async def confirm_totp(
        self, scope: Scope, user: UserId, version: int, step: int, codes: Sequence[bytes], keep: SessionId, at: float, expires_at: float
    ) -> User:
        """Switch it on, once: `step` is used, `codes` are the recovery codes, `keep` is the only session left, and ends at `expires_at`.

        NotFound: `keep` is over by now.
        """
        ...

    async def use_step(self, user: UserId, step: int) -> bool:
        """Whether this step, and every one before it, had not been used; it is now. Of many callers one gets True."""
        ...

    async def use_recovery_code(self, user: UserId, code: bytes, address: str) -> int | None:
        """Spend a code: how many are left, or None where it is none. Of many callers one gets a number."""
        ...

    async def save_recovery_codes(self, scope: Scope, user: UserId, codes: Sequence[bytes]) -> None: ...
    async def stop_totp(self, scope: Scope, user: UserId, keep: SessionId | None) -> User:
        """Switch it off, shred the seed, forget the codes, and end every session but `keep`. NotFound: it is on, and `keep` is over by now."""
        ...


class ApiTokenStore(Protocol):
    async def create_token(self, scope: Scope, token: ApiToken) -> ApiToken: ...
    async def tokens(self, scope: Scope, limit: int, cursor: str | None = None, user: UserId | None = None) -> Page[ApiToken]:
        """Those that are live, the newest first; `user` None: of everybody."""
        ...

    async def token(self, scope: Scope, token: TokenId) -> ApiToken: ...
    async def token_standing(self, digest: bytes) -> TokenStanding | None:
        """By the hash of what was sent, of a moment as `standing` says. None: unknown, over or revoked, or its owner is gone or disabled."""
        ...

    async def revoke_token(self, scope: Scope, token: TokenId) -> None: ...
    async def touch_token(self, token: TokenId, at: float, address: str) -> None:
        """Note that it was used; no audit row, and never back in time."""
        ...
