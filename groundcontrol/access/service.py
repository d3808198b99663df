"""Authentication: log-in, sessions, and the identity of each caller."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from groundcontrol.access.access_tokens import AccessTokens
from groundcontrol.access.addresses import is_loopback, is_private, rate_limit_key
from groundcontrol.access.api_tokens import PREFIX, ApiTokens
from groundcontrol.access.clock_guard import ClockGuard
from groundcontrol.access.first_log_in import FirstLogIn, FirstLogInRefused
from groundcontrol.access.model import AuthState, LoginSession, NoOrganisation, Organisation, TotpRule, User, must_enrol, stricter
from groundcontrol.access.oidc.store import OidcStore
from groundcontrol.access.passwords import Passwords, check_new
from groundcontrol.access.portions import ChangeLimit
from groundcontrol.access.rate_limits import (
    LONGEST_WAIT_S,
    Attempt,
    KnownAddresses,
    LoginOrigin,
    everything_of,
    failures_of,
    login_attempt,
    name_key,
    proof_attempt,
)
from groundcontrol.access.second_factor import ProvePasskey, Sealer, SecondFactor
from groundcontrol.access.sessions import (
    STEP_UP_S,
    STRICT_STEP_UP_S,
    Caller,
    Issued,
    caller_of,
    check_organisation,
    new_refresh,
    new_session,
    next_expiry,
    refresh_hash,
    refresh_session_id,
    scope_of,
    within_session,
)
from groundcontrol.access.store import ApiTokenStore, OrganisationStore, UserAdminStore, UserStore
from groundcontrol.access.trusted_browsers import BrowserCookies
from groundcontrol.access.users import UserAdmin
from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.bus import Bus, Revoked
from groundcontrol.core.errors import (
    BadCredentials,
    BadRequest,
    Conflict,
    NotFound,
    PasswordChangeRequired,
    SsoRequired,
    StepUpRequired,
    TooManyAttempts,
    TotpEnrolmentRequired,
    TotpRequired,
    Unauthenticated,
    WeakPassword,
)
from groundcontrol.core.ids import NodeId, SessionId
from groundcontrol.core.scope import NO_ORG, Actor, Scope
from groundcontrol.core.stores import Stores
from groundcontrol.events.refusals import Refusals
from groundcontrol.events.store import LogStore
from spider.clock import Clock
from spider.logs import event

REFRESH_GRACE_S: Final = 10.0
"""Two tabs may send the same refresh token at the same time. Within this time both get the same answer."""
_MAX_REFRESHES: Final = 1024

log = logging.getLogger(__name__)


class _Refresh(NamedTuple):
    at: float
    answer: asyncio.Future[Issued]


class AuthService:
    """Authenticates users and programs. `core.permissions` checks their rights for each action."""

    def __init__(
        self,
        *,
        store: Stores,
        bus: Bus,
        clock: Clock,
        refusals: Refusals,
        sealer: Sealer,
        jwt_key: bytes,
        pepper: bytes,
        passwords: Passwords,
        issuer: str,
        words: tuple[str, ...] = (),
        least_totp: TotpRule = "none",
        always_setup_code: bool = False,
    ) -> None:
        """Args:
        issuer: names the installation, and stays the same over restarts.
        words: names of the hub, which make a password weak.
        least_totp: who must have a second factor, whatever the stored settings say.
        always_setup_code: ask for the setup code at a first log-in from any address, this machine included.
        """
        self._users = store[UserStore]
        self._auth_states = store[UserAdminStore]
        self._sso = store[OidcStore]
        self._organisations = store[OrganisationStore]
        self._refusals = refusals
        self._least_totp = least_totp
        self._bus = bus
        self._clock = clock
        self._words = words
        self.issuer = issuer
        self._tokens = AccessTokens(jwt_key, issuer)
        self._refreshes: dict[bytes, _Refresh] = {}
        self._portions = ChangeLimit(clock)
        self.clock_guard = ClockGuard(store[LogStore], clock)
        self.passwords = passwords
        self.first_log_in = FirstLogIn(store[UserStore], clock, passwords, words, always_setup_code=always_setup_code)
        self._addresses = KnownAddresses(store[UserStore], pepper)
        self._devices = BrowserCookies(pepper)
        self.factors = SecondFactor(
            store=store, bus=bus, clock=clock, refusals=refusals, sealer=sealer, pepper=pepper, addresses=self._addresses
        )
        self.user_admin = UserAdmin(store=store, bus=bus, clock=clock, hash_password=self.passwords.hash, least_totp=least_totp)
        self.api_tokens = ApiTokens(tokens=store[ApiTokenStore], bus=bus, clock_guard=self.clock_guard, clock=clock, least_totp=least_totp)

    def close(self) -> None:
        self.passwords.close()

    # -- log-in --------------------------------------------------------------------------

    async def login(
        self,
        username: str,
        password: str,
        *,
        totp: str | None = None,
        setup_code: str | None,
        address: str,
        address_sure: bool = True,
        user_agent: str,
        device: str = "",
        passkey: ProvePasskey | None = None,
    ) -> Issued:
        """Open a session.

        Args:   totp: a code of the second factor or a recovery code; ignored if the user has no second factor.
                address_sure: whether `address` is certainly the client's. Behind an unknown proxy a private address proves nothing.
                device: the cookie of a known browser.
                passkey: checks a passkey, in place of a code.
        Raises: BadCredentials: unknown user or wrong password, with the same text after the same time; TooManyAttempts;
                TotpRequired: the password is correct, and a code is missing; TotpWrong;
                SetupCodeRequired: a first password without the setup code, from an address that is not certainly private, or from any address
                if `always_setup_code`;
                Forbidden: a first or one-time password is older than 24 hours; Unavailable: too many log-ins at the same time; ClockBehind.
        """
        self.clock_guard.check()
        origin, account, browser = await self._origin(
            username, address, device, inside=address_sure and is_loopback(address), code=setup_code
        )
        attempt = login_attempt(account, address, origin=origin, browser=browser)
        await self._reserve(attempt)
        user = await self._users.user_by_name(username)
        stored = None if user is None else user.password_hash or None
        right = await self.passwords.verify(stored, password, known=origin in ("place", "device"))
        if user is None or not right or user.disabled:
            await self._note_refusal(user, username, address, "password")
            raise BadCredentials("the user name or the password is wrong")
        if await self._sso.needs_provider(user.id):
            await self._note_refusal(user, user.username, address, "password, not the provider")
            raise SsoRequired("your organisation wants you to sign in through its provider: use its button")
        if user.must_change_password:
            try:
                await self.first_log_in.check(user, setup_code, inside=address_sure and is_private(address))
            except FirstLogInRefused as refused:
                await self._note_refusal(user, user.username, address, refused.why)
                raise refused.error from None
        second = user.totp_since is not None
        if second:
            await self._prove_second(user, totp, address, origin, browser, passkey)
        await self._users.clear_attempts(attempt.returned, failures_of(user.id))
        now = self._clock.now()
        session, refresh = new_session(user, address=address, user_agent=user_agent, now=now, second_factor=second)
        detail = {"session": session.id, "second_factor": second}
        entry = AuditEntry(scope_of(user, address).actor, "auth.login", f"user:{user.id}", detail=detail)
        try:
            await self._users.open_session(session, entry, self._addresses.address_hash(address))
        except Conflict as exc:  # the password, the second factor or the account has changed since it was read
            raise BadCredentials("the user name or the password is wrong") from exc
        event(log, "logged_in", user=user.username, address=address)
        issued = await self.issue(session, user, refresh)
        return issued._replace(device=self._devices.make(user.id, user.password_version, now))

    async def _origin(self, username: str, address: str, cookie: str, *, inside: bool, code: str | None) -> tuple[LoginOrigin, str, str]:
        """Returns: the origin of the attempt, the account whose buckets count it, and the id of the browser; empty: it is not known."""
        device = self._devices.read(cookie, self._clock.now())
        lookup = await self._addresses.lookup_login(username, address)
        account = lookup.user or name_key(username)
        if device is not None and (device.user, device.password_version) == (lookup.user, lookup.password_version):
            return "device", account, device.browser
        if lookup.known:
            return "place", account, ""
        # at first no address and no browser is known, and strangers must not be able to lock the owner out
        return "here" if inside or await self.first_log_in.is_setup_code(code) else "elsewhere", account, ""

    async def _prove_second(
        self, user: User, code: str | None, address: str, origin: LoginOrigin, browser: str = "", passkey: ProvePasskey | None = None
    ) -> None:
        if not code and passkey is None:
            raise TotpRequired("this log-in also needs a code of your authenticator app, or a recovery code")
        await self.factors.prove(user, code or "", address, origin, browser, passkey)

    def _must_enrol(self, found: AuthState) -> bool:
        """Whether an organisation of the user asks for a second factor that is not set up. One that the provider has proved counts for its
        session."""
        return not found.session.second_factor and any(
            must_enrol(found.user._replace(role=one.role), stricter(one.require_totp, self._least_totp)) for one in found.memberships
        )

    async def issuer_of(self, provider: str) -> str:
        """The issuer of a provider whose button the log-in page shows. Raises: BadRequest: there is none of this name."""
        for one in await self._sso.providers():
            if one.name == provider and one.enabled:
                return one.issuer
        raise BadRequest("there is no provider of this name: GET /api/v1/auth/oidc lists them", field="provider")

    # -- log-ins that somebody else has proved -------------------------------------------

    def address_hash(self, address: str) -> bytes:
        """The stored hash of an address."""
        return self._addresses.address_hash(address)

    async def prove_code(self, user: User, code: str, address: str) -> None:
        """Check a code of the second factor of a user who is not logged in. Raises: TotpWrong, TooManyAttempts."""
        await self.factors.prove(user, code, address, await self._addresses.origin_of(user.username, address))

    async def issue(self, session: LoginSession, user: User, refresh: str) -> Issued:
        """The tokens of a session that was opened just now."""
        found = await self._live(session.id)
        return self._issued(session, user, refresh, must_enrol=self._must_enrol(found))._replace(several=len(found.memberships) > 1)

    async def refresh(self, token: str) -> Issued:
        """Issue a new refresh token and a new access token for a refresh token. Within REFRESH_GRACE_S a repeated token gets the same answer.

        Raises: Unauthenticated: the session has ended, or the token was used before, which ends the session;
                PasswordChangeRequired; ClockBehind.
        """
        self.clock_guard.check()
        now = self._clock.now()
        self._forget_refreshes(now)
        spent = refresh_hash(token)
        going = self._refreshes.get(spent)
        if going is not None:
            issued = await asyncio.shield(going.answer)
            await self._live(issued.session.id)  # the session may have ended since
            return issued
        session_id = refresh_session_id(token)
        answer: asyncio.Future[Issued] = asyncio.get_running_loop().create_future()
        self._refreshes[spent] = _Refresh(now, answer)
        try:
            issued = await self._refresh(session_id, spent, now)
        except BaseException as exc:
            del self._refreshes[spent]
            answer.set_exception(exc if isinstance(exc, Exception) else Unauthenticated("log in again"))
            answer.exception()  # marks the exception as retrieved, since no other request may await it
            raise
        answer.set_result(issued)
        return issued

    async def _refresh(self, session_id: SessionId, spent: bytes, now: float) -> Issued:
        found = await self._live(session_id)
        session, user = found.session, found.user
        if user.must_change_password:
            raise PasswordChangeRequired("change the password first")
        fresh = new_refresh(session_id)
        try:
            session = await self._users.refresh_session(session_id, spent, refresh_hash(fresh), now, next_expiry(session, now))
        except (Conflict, NotFound) as exc:
            self._bus.publish(Revoked(session_id, user.id))
            event(log, "refresh_token_reused", logging.WARNING, user=user.username, session=session_id)
            raise Unauthenticated("the session is over; log in again") from exc
        return self._issued(session, user, fresh, must_enrol=self._must_enrol(found))

    def _forget_refreshes(self, now: float) -> None:
        old = [key for key, entry in self._refreshes.items() if entry.answer.done() and not 0 <= now - entry.at <= REFRESH_GRACE_S]
        spare = len(self._refreshes) - len(old) - _MAX_REFRESHES
        done = (key for key, entry in self._refreshes.items() if entry.answer.done())
        for key in {*old, *(key for key, _ in zip(done, range(max(0, spare)), strict=False))}:
            del self._refreshes[key]

    # -- every request -------------------------------------------------------------------

    async def authenticate(self, token: str, address: str, slug: str | None = None) -> Caller:
        """The caller of an access token, by the stored row of its session.

        Args:   slug: the organisation that the request names; None: it names none.
        Raises: Unauthenticated.
        """
        claims = self._tokens.read(token, self._clock.now())
        found = await self._live(SessionId(claims.session))
        if claims.user != found.user.id or claims.password_version != found.user.password_version:
            raise Unauthenticated("the session is over; log in again")
        return caller_of(found, address, self._clock.now(), self._least_totp, slug=slug)

    async def authenticate_bearer(self, token: str, address: str, slug: str | None = None) -> Caller:
        """The caller of a token in the Authorization header: an API token or an access token.

        Raises: Unauthenticated.
        """
        if token.startswith(PREFIX):
            return await self.api_tokens.authenticate(token, address, slug)
        return await self.authenticate(token, address, slug)

    async def reload_caller(self, caller: Caller) -> Caller:
        """The same caller with the rights that the store has now, for connections that outlive their token.

        Raises: Unauthenticated: the session or token has ended; PasswordChangeRequired; TotpEnrolmentRequired;
            OrganisationUnknown: the membership has ended; OrganisationSuspended.
        """
        now = await self.reload_unfinished_caller(caller)
        check_complete(now)
        check_organisation(now)
        return now

    async def reload_unfinished_caller(self, caller: Caller) -> Caller:
        """As `reload_caller`, but also if a password change or the set-up of a second factor is due.

        Raises: Unauthenticated.
        """
        address = caller.scope.actor.address
        if caller.session is not None:
            found = await self._live(caller.session.id)
            return caller_of(found, address, self._clock.now(), self._least_totp, org=caller.scope.org)
        if caller.token is not None:
            return await self.api_tokens.reload_caller(caller.token, address)
        if caller.no_org is not None:
            return caller
        return _local_caller(caller.scope.actor, [one for one in await self._organisations.organisations() if one.no == caller.scope.org])

    async def local_caller(self, actor: Actor, slug: str | None) -> Caller:
        """The caller on the local socket, an admin of the instance. Without a name it works in the only organisation.

        Raises: NotFound: there is no organisation of this name.
        """
        if slug is not None:
            return _local_caller(actor, [await self._organisations.organisation(slug)])
        return _local_caller(actor, await self._organisations.organisations())

    def require_step_up(self, caller: Caller, *, strict: bool = False) -> None:
        """Refuse an action unless the password was proved within the last 15 minutes.

        A sensitive token and the local socket need no proof. Other tokens are refused.

        Args:   strict: within the last five minutes. For users, second factors, secrets, keys, policies of nodes and removals.
        Raises: StepUpRequired.
        """
        if caller.token is not None and not caller.token.sensitive:
            raise StepUpRequired("users must prove their password for this; a token may do it only if it was created as sensitive")
        if (session := caller.session) is None:
            return
        limit_s = STRICT_STEP_UP_S if strict else STEP_UP_S
        if not 0 <= self._clock.now() - session.authenticated_at <= limit_s:
            raise StepUpRequired("prove your password once more for this")

    def require_step_up_for_many(self, caller: Caller, nodes: Collection[NodeId]) -> None:
        """As `require_step_up`, if a session or token changes more than `portions.MANY_NODES` nodes within `portions.WINDOW_S`.

        Raises: StepUpRequired.
        """
        try:
            self.require_step_up(caller)
        except StepUpRequired:
            holder = caller.session or caller.token
            if holder is None or not self._portions.take(holder.id, nodes):
                raise

    async def _live(self, session_id: SessionId) -> AuthState:
        """The state of a session. Raises: Unauthenticated: the session has ended."""
        found = await self._auth_states.auth_state(session_id)
        if found is None or found.session.revoked_at is not None or found.user.disabled or found.session.expires_at <= self._clock.now():
            raise Unauthenticated("the session is over; log in again")
        if found.session.password_version != found.user.password_version:
            raise Unauthenticated("the session is over; log in again")
        return found

    # -- within a session ----------------------------------------------------------------

    async def change_password(self, caller: Caller, current: str, new: str) -> Issued:
        """Set a new password; the user's other sessions end.

        Raises: BadCredentials: `current` is wrong; WeakPassword; TooManyAttempts; Unavailable; Unauthenticated: the session has ended;
                StepUpRequired: there is a second factor, and it was not proved within the last five minutes; not if the password must be changed.
        """
        user, session = person_of(caller)
        if user.totp_since is not None and not user.must_change_password:
            self.require_step_up(caller, strict=True)
        attempt = await self._prove(caller, user, current)
        await self._users.clear_attempts(attempt.returned)
        check_new(new, username=user.username, words=self._words)
        if hmac.compare_digest(current.encode("utf-8", "surrogatepass"), new.encode("utf-8", "surrogatepass")):
            raise WeakPassword("the new password is the old one; choose another")
        made = await self.passwords.hash(new)
        with within_session():
            user = await self._users.save_password(caller.scope, user.id, made, session.id, must_change=False)
        self._bus.publish(Revoked("", user.id))
        now = self._clock.now()
        with within_session():
            await self._users.step_up(session.id, now)
        issued = self._issued(session._replace(authenticated_at=now), user, "", must_enrol=caller.must_enrol)
        return issued._replace(device=self._devices.make(user.id, user.password_version, now))

    async def step_up(self, caller: Caller, password: str, totp: str | None = None, passkey: ProvePasskey | None = None) -> None:
        """Prove the password once more, and the second factor if the user has one.

        Raises: BadCredentials; TotpRequired; TotpWrong; TooManyAttempts; Unavailable; Unauthenticated: the session has ended.
        """
        user, session = person_of(caller)
        attempt = await self._prove(caller, user, password)
        if user.totp_since is not None:
            address = caller.scope.actor.address
            await self._prove_second(user, totp, address, await self._addresses.origin_of(user.username, address), passkey=passkey)
        await self._users.clear_attempts(attempt.returned)
        with within_session():
            await self._users.step_up(session.id, self._clock.now())

    async def logout(self, caller: Caller) -> None:
        """End the session, its tokens and its sockets."""
        user, session = person_of(caller)
        await self._users.revoke_session(caller.scope, session.id)
        self._bus.publish(Revoked(session.id, user.id))

    async def _prove(self, caller: Caller, user: User, password: str) -> Attempt:
        """Check the password. Returns: the attempt, whose buckets are to be emptied after all proofs have succeeded."""
        address = caller.scope.actor.address
        attempt = proof_attempt(user.id, address, origin=await self._addresses.origin_of(user.username, address))
        await self._reserve(attempt)
        if not await self.passwords.verify(user.password_hash or None, password, known=True):
            await self._note_refusal(user, user.username, address, "proof")
            raise BadCredentials("the password is wrong")
        return attempt

    async def reset_password(self, scope: Scope, username: str, new: str) -> User:
        """Set a password without the old one, for the owner of the hub's machine. The user's sessions and tokens end, and the limits are emptied.

        Raises: NotFound; WeakPassword; Unavailable.
        """
        user = await self._users.user_by_name(username)
        if user is None:
            raise NotFound("there is no user of this name")
        check_new(new, username=user.username, words=self._words)
        made = await self.passwords.hash(new)
        user = await self._users.save_password(scope, user.id, made, None, must_change=False)
        self._bus.publish(Revoked("", user.id))
        await self._users.clear_attempts((), everything_of(user.id))
        return user

    # -- parts ---------------------------------------------------------------------------

    async def _reserve(self, attempt: Attempt) -> None:
        wait = await self._users.reserve_attempt(attempt.buckets, self._clock.now())
        if wait > 0:
            wait_s = min(int(wait) + 1, LONGEST_WAIT_S)
            raise TooManyAttempts(f"too many attempts; try again in {wait_s} seconds", retry_after_s=wait_s)

    async def _note_refusal(self, user: User | None, username: str, address: str, why: str) -> None:
        name = user.username if user is not None else "unknown"
        actor = Actor("user", user.id if user is not None else "", name, "viewer", address)
        target = f"user:{user.id}" if user is not None else "user:unknown"
        if await self._refusals.note(actor, "auth.login", why, target=target, address_key=rate_limit_key(address)):
            event(log, "login_refused", logging.WARNING, user=username[:64] if user is not None else "unknown", address=address, why=why)

    def _issued(self, session: LoginSession, user: User, refresh: str, *, must_enrol: bool = False) -> Issued:
        token, expires_at = self._tokens.issue(
            user=user.id,
            session=session.id,
            password_version=user.password_version,
            authenticated_at=session.authenticated_at,
            now=self._clock.now(),
        )
        return Issued(session, user, token, expires_at, refresh, must_enrol)


def check_complete(caller: Caller) -> None:
    """Refuse a caller who must change their password or set up a second factor first.

    Raises: PasswordChangeRequired; TotpEnrolmentRequired.
    """
    if caller.user is not None and caller.user.must_change_password:
        raise PasswordChangeRequired("change the password first: nothing else is open until then")
    if caller.must_enrol:
        raise TotpEnrolmentRequired("set up a second factor first: nothing else is open until then")


def person_of(caller: Caller) -> tuple[User, LoginSession]:
    """The logged-in user and their session.

    Raises: BadRequest: the caller uses a token or the local socket.
    """
    if caller.user is None or caller.session is None:
        raise BadRequest("this belongs to a log-in session; a token or the local socket has none")
    return caller.user, caller.session


def _local_caller(actor: Actor, found: Sequence[Organisation]) -> Caller:
    """The caller on the local socket who works in the only organisation of these, or in none."""
    if len(found) != 1:
        missing = NoOrganisation("required", tuple(one.slug for one in found)) if found else NoOrganisation("unknown")
    elif found[0].state == "active":
        return Caller(Scope(actor, found[0].no), None, None)
    else:
        missing = NoOrganisation("suspended")
    return Caller(Scope(actor, NO_ORG), None, None, no_org=missing)
