"""Creates the first admin of a new hub, and checks log-ins with a first or one-time password: its age, and the setup code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

from groundcontrol.access.model import User, password_expired
from groundcontrol.access.passwords import Passwords, check_new
from groundcontrol.access.store import UserStore
from groundcontrol.core.errors import ConfigError, Conflict, Forbidden, HubError, SetupCodeRequired, WeakPassword
from groundcontrol.core.ids import UserId
from groundcontrol.core.scope import DEFAULT_ORG
from spider.clock import Clock
from spider.wire.ids import new_random_id

DEFAULT_PASSWORD: Final = "admin"  # noqa: S105  # the documented first password, which expires after 24 hours


class FirstLogInRefused(Exception):
    """A refused log-in, with the reason for the audit log (`why`) and the error for the client."""

    def __init__(self, why: str, error: HubError) -> None:
        super().__init__(why)
        self.why = why
        self.error = error


class FirstLogIn:
    """Creates the first admin, and checks log-ins of users who must change their password."""

    def __init__(self, users: UserStore, clock: Clock, passwords: Passwords, words: tuple[str, ...], *, always_setup_code: bool) -> None:
        """Args: words: names of the hub, which make a password weak. always_setup_code: ask for the setup code from private addresses too."""
        self._users = users
        self._clock = clock
        self._passwords = passwords
        self._words = words
        self._always_setup_code = always_setup_code

    async def create_admin(self, username: str, password: str | None) -> str | None:
        """Create the first admin if the database never had one.

        Args:    password: None: the default password, which must be changed at the first log-in.
        Returns: the setup code to print once on the console; None: this is not a first start, or the password was chosen.
        Raises:  ConfigError: the password is weak; or the database was set up before, but its users or its record of that are gone. A second
                 set-up would give the hub to a stranger.
        """
        set_up = await self._users.set_up()
        if set_up.at is not None:
            if not set_up.has_users:
                raise ConfigError("this database was set up before, but it holds no user any more; restore it from a backup")
            return None
        given = DEFAULT_PASSWORD if password is None else password
        default = given == DEFAULT_PASSWORD
        if not default:
            try:
                check_new(given, username=username, words=self._words)
            except WeakPassword as exc:
                raise ConfigError(f"the first admin cannot have the password of STARDUST_ADMIN_PASS: {exc.message}") from exc
        now = self._clock.now()
        code = base64.b32encode(secrets.token_bytes(15)).decode()[:20]
        admin = User(
            id=UserId(new_random_id()),
            org=DEFAULT_ORG,
            username=username,
            role="admin",
            password_hash=await self._passwords.hash(given),
            password_version=1,
            must_change_password=default,
            disabled=False,
            created_at=now,
            instance_admin=True,
        )
        try:
            await self._users.create_first_admin(admin, _code_hash(code), now)
        except Conflict as exc:
            raise ConfigError("this database was set up before, but its record of that is missing; restore it from a backup") from exc
        return code if default else None

    async def check(self, user: User, setup_code: str | None, *, inside: bool) -> None:
        """Check a log-in with a password that must be changed.

        Args:   inside: whether the client's address is certain and private.
        Raises: FirstLogInRefused.
        """
        expired = password_expired(user, (await self._users.set_up()).at, self._clock.now())
        if user.password_at is not None:
            if expired:
                text = "the one-time password was not changed within 24 hours and no longer works; ask an admin for another"
                raise FirstLogInRefused("one-time password too old", Forbidden(text))
            return
        if expired:
            text = "the first password was not changed within 24 hours and no longer works; set a new one on the hub's own machine"
            raise FirstLogInRefused("first password too old", Forbidden(text))
        if inside and not self._always_setup_code:
            return
        if not await self.is_setup_code(setup_code):
            text = (
                "the first log-in also needs the setup code that the hub printed when it was first started"
                if self._always_setup_code
                else "from another network, or through a proxy that the hub does not trust, the first log-in also needs the setup code that the hub"
                " printed when it was first started"
            )
            raise FirstLogInRefused("setup code", SetupCodeRequired(text))

    async def is_setup_code(self, code: str | None) -> bool:
        """Whether this is the code that the hub printed at its first start."""
        wanted = (await self._users.set_up()).code_hash if code else None
        return wanted is not None and hmac.compare_digest(wanted, _code_hash(code or ""))


def _code_hash(code: str) -> bytes:
    return hashlib.sha256(code.strip().upper().replace("-", "").encode("utf-8", "surrogatepass")).digest()
