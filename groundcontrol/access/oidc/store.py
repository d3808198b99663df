"""The store interface of single sign-on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from groundcontrol.access.model import LoginSession, User
from groundcontrol.access.oidc.model import Link, Provider, SsoRule, SsoSession
from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.ids import SessionId, UserId
from groundcontrol.core.scope import Actor, Grants, Role, Scope
from groundcontrol.core.secrets import SealedRecord


class Ended(NamedTuple):
    """A session that ended."""

    session: SessionId
    user: UserId


class Granted(NamedTuple):
    """A membership that a group gives."""

    organisation: str
    """The slug. A group of an organisation that does not exist gives nothing."""
    role: Role
    grants: Grants | None


class OidcStore(Protocol):
    async def providers(self) -> Sequence[Provider]:
        """All readable providers, by name."""
        ...

    async def create_provider(self, by: Scope, provider: Provider, secret: SealedRecord | None) -> Provider:
        """Store a provider with its sealed client secret. Raises: Conflict: the name is taken, or there are too many."""
        ...

    async def save_provider(
        self, by: Scope, provider: Provider, secret: SealedRecord | None, *, end_sessions: bool
    ) -> tuple[Provider, Sequence[Ended]]:
        """Replace a provider of the same version. Without `secret` the sealed client secret stays.

        Args:    end_sessions: also end the sessions that it opened.
        Returns: the stored provider, and the ended sessions.
        Raises:  NotFound; Conflict: another version is stored, or the name is taken.
        """
        ...

    async def delete_provider(self, by: Scope, provider: str) -> Sequence[Ended]:
        """Delete a provider with the memberships that it gave, shred its secret, and end the sessions that it opened.

        Links stay. If there is no such provider, nothing changes.
        """
        ...

    async def account_of(self, issuer: str, subject: str) -> tuple[Link, User] | None:
        """The link of a provider's account, and its user; None: nobody has it."""
        ...

    async def links(self, user: UserId) -> Sequence[Link]:
        """The links of a user, the oldest first."""
        ...

    async def create_account(self, actor: Actor, user: User, link: Link, granted: Sequence[Granted]) -> tuple[Link, User]:
        """Store an account for an unknown user of a provider, with its link and memberships. A taken user name gets a number at its end.

        If the provider's account is linked meanwhile, nothing changes. Returns: the link and its user.
        """
        ...

    async def replace_memberships(self, actor: Actor, user: UserId, provider: str, granted: Sequence[Granted]) -> bool:
        """Let the memberships that a provider gave be these. Others stay: where a user has another one, the provider gives none.

        Args:    provider: its name.
        Returns: whether something changed.
        """
        ...

    async def belongs_somewhere(self, user: UserId, provider: str) -> bool:
        """Whether a user has a membership that has not ended and counts in a session through this provider."""
        ...

    async def sso_rule(self, scope: Scope) -> SsoRule:
        """The rule of the caller's organisation."""
        ...

    async def save_sso_rule(self, scope: Scope, local_admin: UserId | None) -> tuple[SsoRule, Sequence[Ended]]:
        """Let members of the caller's organisation log in through providers only, but this admin; None: with passwords as well.

        Returns: the rule, and the sessions with a password that ended.
        Raises:  Conflict: this user is no admin of the organisation who can log in with a password.
        """
        ...

    async def needs_provider(self, user: UserId) -> bool:
        """Whether this user may not log in with a password, since one of the user's organisations forbids it."""
        ...

    async def keep_local_admin(self, by: Scope, user: UserId) -> None:
        """Let an admin whose password was reset on the hub's machine log in with it, in place of the admin who was chosen before."""
        ...

    async def add_link(self, by: Scope, link: Link) -> Link:
        """Link an account of a provider to `link.user`. If it is linked already, that link. Raises: OidcLinked: it belongs to another user."""
        ...

    async def remove_link(self, by: Scope, user: UserId, link: str, keep: SessionId) -> Sequence[Ended]:
        """Remove a link, with the memberships that the provider gave and the sessions that it opened. If there is none, nothing changes.

        Args:    keep: the caller's own session, which stays.
        Returns: the ended sessions.
        Raises:  Conflict: it is the only way to log in.
        """
        ...

    async def open_session(
        self,
        session: LoginSession,
        audit: AuditEntry,
        address: bytes,
        at_provider: SsoSession,
        link: str,
        shown: str,
        hint: SealedRecord | None,
    ) -> None:
        """As `UserStore.open_session`, with what the session is called at the provider.

        Args:   link: its id, which was used. hint: the sealed ID token, kept for the log-out at the provider; None: none is kept.
        Raises: Conflict: the account has changed meanwhile; NotFound: the link was removed meanwhile.
        """
        ...

    async def session_at_provider(self, session: SessionId) -> SsoSession | None:
        """What a session is called at its provider; None: it was opened with a password."""
        ...

    async def end_sessions(self, actor: Actor, issuer: str, subject: str, sid: str) -> Sequence[Ended]:
        """End the live sessions with this subject, this id at the provider, or both. Args: an empty one of the two matches every value."""
        ...
