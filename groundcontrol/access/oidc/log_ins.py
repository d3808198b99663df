"""Log-in, linking and step-up through a provider."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from groundcontrol.access.addresses import rate_limit_key
from groundcontrol.access.model import User
from groundcontrol.access.oidc.claims import GroupsMissing, groups_at, verified_address
from groundcontrol.access.oidc.errors import (
    OidcFlowOver,
    OidcGroupsMissing,
    OidcNoOrganisation,
    OidcRefused,
    OidcUnknownAccount,
)
from groundcontrol.access.oidc.flows import Flow, Flows, challenge_of
from groundcontrol.access.oidc.model import (
    HINT,
    HINT_TABLE,
    Link,
    Provider,
    Purpose,
    SignInAttempt,
    SsoSession,
)
from groundcontrol.access.oidc.proof import Proved, Returned, prove
from groundcontrol.access.oidc.providers import Providers
from groundcontrol.access.oidc.store import Granted, OidcStore
from groundcontrol.access.rate_limits import check_limit
from groundcontrol.access.sessions import Caller, Issued, new_session, scope_of
from groundcontrol.access.store import Bucket, MembershipStore, UserStore
from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.bus import Revoked
from groundcontrol.core.errors import (
    Conflict,
    Forbidden,
    HubError,
    NotFound,
    TotpRequired,
    TotpWrong,
    Unauthenticated,
)
from groundcontrol.core.ids import UserId
from groundcontrol.core.scope import NO_ORG, Actor
from groundcontrol.vault import Vault
from groundcontrol.web.services import Services
from spider.logs import event
from spider.wire.ids import new_random_id

log = logging.getLogger(__name__)

RETURN_PATH: Final = "/oidc"
KEPT_ATTEMPTS: Final = 50
MOST_HINT_CHARS: Final = 3000
"""A longer ID token is not kept: it would not fit into the URL of a log-out."""
BEGINNINGS: Final = Bucket(60, 60.0)
ENDS: Final = Bucket(60, 60.0)
"""Limits for one address."""


class Finished(NamedTuple):
    """A flow that ended well."""

    purpose: Purpose
    return_to: str
    issued: Issued | None
    """Of a log-in."""


class Visitor(NamedTuple):
    """The browser that brings it."""

    binder: str
    address: str
    user_agent: str
    session: Callable[[], Awaitable[Caller]]
    """Checks the session of the browser, for links and step-ups. Raises: Unauthenticated, CrossSite."""


class ProviderLogIns:
    """Log-ins through the providers of one hub."""

    def __init__(self, services: Services) -> None:
        self._oidc = services[OidcStore]
        self._providers = services[Providers]
        self._users = services[UserStore]
        self._memberships = services[MembershipStore]
        self._auth = services.auth
        self._bus = services.bus
        self._clock = services.clock
        self._refusals = services.refusals
        self._sealer = services[Vault]
        self._origin = services.config.origin
        self._flows = Flows(services.clock)
        self._waiting: dict[str, Proved] = {}
        """State of a flow that waits for a code of the second factor -> whom the provider has proved."""
        self._attempts: deque[SignInAttempt] = deque(maxlen=KEPT_ATTEMPTS)

    @property
    def redirect_uri(self) -> str:
        """Where browsers return to. It comes from the hub's settings, never from a header."""
        return self._origin + RETURN_PATH

    def attempts(self, provider: str) -> list[SignInAttempt]:
        """The last log-ins through a provider since the hub started, newest first."""
        return [one for one in reversed(self._attempts) if one.provider == provider]

    def end_of_provider(self, provider: str) -> None:
        """End the open log-ins of a provider that was changed or deleted."""
        self._flows.end_of_provider(provider)

    # -- to the provider and back --------------------------------------------------------

    async def start(self, name: str, purpose: Purpose, return_to: str, address: str, caller: Caller | None) -> tuple[str, str]:
        """Begin a flow.

        Args:    caller: the session that asks for a link or a step-up.
        Returns: the provider's URL for the browser, and the cookie that binds the flow to the browser.
        Raises:  NotFound; OidcUnavailable; OidcIssuerMismatch; TooManyRequests; StepUpRequired: a link needs a recent proof.
        """
        await check_limit(self._users, self._clock, "oidc-start", address, BEGINNINGS)
        provider = await self._providers.provider(name)
        if not provider.enabled:
            raise NotFound("there is no provider of this name")
        if purpose == "link" and caller is not None:
            self._auth.require_step_up(caller, strict=True)
        description = await (await self._providers.remote(provider)).description()
        session = None if caller is None else caller.session
        flow, binder = self._flows.begin(
            provider.id, provider.version, purpose, _local_path(return_to), rate_limit_key(address),
            None if session is None else session.id, None if session is None else session.user_id,
        )  # fmt: skip
        query = {
            "response_type": "code", "client_id": provider.client_id, "redirect_uri": self.redirect_uri, "scope": " ".join(provider.scopes),
            "state": flow.state, "nonce": flow.nonce, "code_challenge": challenge_of(flow.verifier), "code_challenge_method": "S256",
        }  # fmt: skip
        if purpose == "step_up":
            query |= {"prompt": "login", "max_age": "0"}
        elif purpose == "link":  # asks for the log-in again; of `prompt`, several providers refuse `select_account`, and others `login`
            query["max_age"] = "0"
        joint = "&" if urlsplit(description.authorization).query else "?"
        return f"{description.authorization}{joint}{urlencode(query)}", binder

    async def finish(self, returned: Returned, visitor: Visitor) -> Finished:
        """End a flow.

        Raises: OidcFlowOver; OidcRefused; OidcIssuerMismatch; OidcUnavailable; OidcUnknownAccount; OidcGroupsMissing; OidcLinked;
                TotpRequired: the user has a second factor, and the provider has not proved one: repeat with the state in `continue` and a
                code; TotpWrong: as well; TooManyRequests; TooManyAttempts; Forbidden: the account is disabled.
        """
        flow = self._flows.take(returned.state, visitor.binder)
        proved = self._waiting.pop(flow.state, None)
        await check_limit(self._users, self._clock, "oidc-finish", visitor.address, ENDS)
        self._auth.clock_guard.check()
        provider = next((one for one in await self._oidc.providers() if one.id == flow.provider), None)
        if provider is None or provider.version != flow.provider_version:
            raise OidcFlowOver("the settings of this provider were changed meanwhile: start the log-in again")
        try:
            if proved is None:
                proved = await prove(self._providers, provider, flow, returned, self.redirect_uri, self._clock)
            return await self._conclude(provider, flow, proved, returned, visitor)
        except (TotpRequired, TotpWrong):
            raise
        except HubError as exc:
            await self._note(provider, proved, exc, visitor.address)
            raise

    async def _conclude(self, provider: Provider, flow: Flow, proved: Proved, returned: Returned, visitor: Visitor) -> Finished:
        issuer, subject = provider.issuer, proved.token.subject
        if flow.purpose == "link":
            caller = await self._caller_of(flow, visitor)
            assert caller.user is not None  # a session has a user
            self._auth.require_step_up(caller, strict=True)
            link = Link(
                new_random_id(), caller.user.id, caller.user.username, provider.name, issuer, subject, proved.shown, self._clock.now(), None
            )
            await self._oidc.add_link(caller.scope, link)
            await self._note(provider, proved, None, visitor.address, caller.user.username)
            return Finished("link", flow.return_to, None)
        found = await self._oidc.account_of(issuer, subject)
        if flow.purpose == "step_up":
            return await self._step_up(provider, flow, proved, returned, visitor, found)
        granted = granted_by(provider, proved.claims)
        address = verified_address(proved.claims)
        offered = address != "" and await self._memberships.is_offered(issuer, address)
        if found is None:
            found = await self._create_account(provider, proved, granted, visitor, offered=offered)
        link, user = found
        if user.disabled:
            raise Forbidden("this account is disabled: ask an admin")
        actor = scope_of(user, visitor.address).actor
        if await self._oidc.replace_memberships(actor, user.id, provider.name, granted):
            self._bus.publish(Revoked("", user.id))
        if offered:
            await self._memberships.claim_offers(scope_of(user, visitor.address), user.id, issuer, address)
        if (
            not user.instance_admin
            and not await self._oidc.belongs_somewhere(user.id, provider.name)
            and not await self._memberships.offers_to(user.id)
        ):
            raise OidcNoOrganisation(
                "you belong to no organisation of this hub: none of your groups gives a membership; an admin sees which groups came"
            )
        second = await self._second_factor(flow, proved, user, returned, visitor)
        issued = await self._open(provider, proved, link, user, visitor, second_factor=second)
        await self._note(provider, proved, None, visitor.address, user.username)
        return Finished("login", flow.return_to, issued)

    async def _create_account(
        self, provider: Provider, proved: Proved, granted: Sequence[Granted], visitor: Visitor, *, offered: bool
    ) -> tuple[Link, User]:
        """An account for an unknown user. Args: offered: whether a membership waits for the user.

        Raises: OidcUnknownAccount; OidcNoOrganisation: no row gives a membership.
        """
        if not provider.create_accounts and not offered:
            raise OidcUnknownAccount(
                "this account of the provider is not linked to anybody here: log in with a password and link it in the profile, or ask an admin",
                subject=proved.token.subject,
            )
        if not granted and not offered:
            raise OidcNoOrganisation("none of your groups gives a membership of this hub; an admin sees which groups came")
        now = self._clock.now()
        user = User(
            UserId(new_random_id()), NO_ORG, user_name_of(proved.shown), "viewer", password_hash="", password_version=1,
            must_change_password=False, disabled=False, created_at=now,
        )  # fmt: skip
        link = Link(new_random_id(), user.id, user.username, provider.name, provider.issuer, proved.token.subject, proved.shown, now, None)
        actor = Actor("user", user.id, user.username, "viewer", visitor.address)
        return await self._oidc.create_account(actor, user, link, granted)

    async def _step_up(
        self, provider: Provider, flow: Flow, proved: Proved, returned: Returned, visitor: Visitor, found: tuple[Link, User] | None
    ) -> Finished:
        caller = await self._caller_of(flow, visitor)
        assert caller.session is not None  # so has the flow
        if found is None or found[1].id != flow.user:
            raise OidcRefused("the provider proved another account than that of this session")
        await self._second_factor(flow, proved, found[1], returned, visitor)
        try:
            await self._users.step_up(caller.session.id, self._clock.now())
        except NotFound as exc:
            raise Unauthenticated("the session is over; log in again") from exc
        await self._note(provider, proved, None, visitor.address, found[1].username)
        return Finished("step_up", flow.return_to, None)

    async def _caller_of(self, flow: Flow, visitor: Visitor) -> Caller:
        """The session that began the flow. Raises: Unauthenticated, CrossSite; OidcFlowOver: the browser has another one by now."""
        caller = await visitor.session()
        if caller.session is None or caller.session.id != flow.session:
            raise OidcFlowOver("the session that began this has ended: log in, and begin again")
        return caller

    async def _second_factor(self, flow: Flow, proved: Proved, user: User, returned: Returned, visitor: Visitor) -> bool:
        """Whether a second factor is proved, by the provider or by a code. Raises: TotpRequired, TotpWrong, TooManyAttempts."""
        if proved.second_factor or user.totp_since is None:
            return proved.second_factor
        try:
            if not returned.totp:
                raise TotpRequired(
                    "the provider did not ask for a second factor: give a code of your authenticator app, or a recovery code"
                )
            await self._auth.prove_code(user, returned.totp, visitor.address)
        except (TotpRequired, TotpWrong) as exc:
            again = self._flows.renew(flow)
            self._waiting = {state: one for state, one in self._waiting.items() if self._flows.is_open(state)}
            self._waiting[again.state] = proved
            exc.detail["continue"] = again.state
            raise
        return True

    async def _open(self, provider: Provider, proved: Proved, link: Link, user: User, visitor: Visitor, *, second_factor: bool) -> Issued:
        session, refresh = new_session(
            user, address=visitor.address, user_agent=visitor.user_agent, now=self._clock.now(), second_factor=second_factor,
            provider=provider.name,
        )  # fmt: skip
        hint = None
        if len(proved.raw) <= MOST_HINT_CHARS:
            hint = await asyncio.to_thread(self._sealer.seal, HINT_TABLE, session.id, HINT, 1, proved.raw.encode())
        detail = {"session": session.id, "second_factor": second_factor, "provider": provider.name, "subject": proved.token.subject}
        entry = AuditEntry(scope_of(user, visitor.address).actor, "auth.login", f"user:{user.id}", detail=detail)
        at_provider = SsoSession(session.id, provider.name, provider.issuer, proved.token.subject, proved.token.session)
        try:
            await self._oidc.open_session(
                session, entry, self._auth.address_hash(visitor.address), at_provider, link.id, proved.shown, hint
            )
        except (Conflict, NotFound) as exc:
            raise OidcFlowOver("the account was changed meanwhile: start the log-in again") from exc
        event(log, "logged_in", user=user.username, address=visitor.address, provider=provider.name)
        return await self._auth.issue(session, user, refresh)

    async def _note(self, provider: Provider, proved: Proved | None, error: HubError | None, address: str, username: str = "") -> None:
        """Remember how a log-in ended, for the admin; a refusal also in the audit log."""
        claims: dict[str, list[str]] = {}
        if proved is not None:
            for row in provider.groups:
                with contextlib.suppress(GroupsMissing):
                    claims[row.claim] = groups_at(proved.claims, row.claim)[:100]
        self._attempts.append(SignInAttempt(
            self._clock.now(), provider.name, "done" if error is None else error.code, "" if error is None else error.message,
            "" if proved is None else proved.token.subject, "" if proved is None else proved.shown, claims, username, address,
        ))  # fmt: skip
        if error is None:
            return
        actor = Actor("user", "", "unknown", "viewer", address)
        if await self._refusals.note(
            actor, "auth.sso", error.code, target=f"provider:{provider.name}", address_key=rate_limit_key(address)
        ):
            event(log, "sso_refused", logging.WARNING, provider=provider.name, code=error.code, why=error.message, address=address)


def granted_by(provider: Provider, claims: Mapping[str, Any]) -> tuple[Granted, ...]:
    """The memberships that the user's groups give. A provider without rows gives none.

    Raises: OidcGroupsMissing: the provider left out a claim that a row names.
    """
    found: dict[str, Granted] = {}
    try:
        values = {claim: groups_at(claims, claim) for claim in {row.claim for row in provider.groups}}
    except GroupsMissing as exc:
        raise OidcGroupsMissing(str(exc)) from exc
    for row in provider.groups:
        if row.value in values[row.claim]:
            found.setdefault(row.organisation, Granted(row.organisation, row.role, row.grants))
    return tuple(found.values())


def user_name_of(shown: str) -> str:
    """A user name of this hub that resembles what the provider calls the user."""
    return re.sub(r"[^A-Za-z0-9._@+-]", "", shown).lstrip("._@+-")[:60] or "user"


def _local_path(text: str) -> str:
    """A path of the page to return to. Anything else becomes the start page, so that no link leads elsewhere."""
    good = text.startswith("/") and not text.startswith(("//", "/\\")) and len(text) <= 1000 and text.isprintable() and "\\" not in text
    return text if good else "/"
