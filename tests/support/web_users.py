"""Users with real passwords and authenticator apps."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from groundcontrol.access import totp
from groundcontrol.core.scope import Role
from tests.support.inprocess_hub import PASSWORD, Answer, Client, TestHub


@dataclass
class Someone:
    """A user who can log in."""

    hub: TestHub
    username: str
    seed: bytes = b""
    codes: tuple[str, ...] = ()

    async def try_to_log_in(self, totp: str | None = None, password: str = PASSWORD) -> Answer:
        body = {"username": self.username, "password": password, **({} if totp is None else {"totp": totp})}
        return await self.hub.anonymous().post("auth/login", body)

    async def log_in(self, totp: str | None = None) -> Client:
        client = self.hub.anonymous()
        body = {"username": self.username, "password": PASSWORD, **({} if totp is None else {"totp": totp})}
        answer = await client.post("auth/login", body)
        assert answer.status == 200, answer.body
        client.csrf = answer.json["csrf_token"]
        return client

    def code(self, offset: int = 0) -> str:
        """What the app shows now; each step counts once, so tests move the clock on."""
        return totp.code_of(self.seed, int(self.hub.clock.now() // 30) + offset)

    def next_code(self) -> str:
        """The code of a step that was not used yet."""
        self.hub.clock.shift += 30
        return self.code()

    async def enrol(self, client: Client) -> Client:
        """Set up the second factor, with this session."""
        begun = await client.post("auth/totp")
        assert begun.status == 201, begun.body
        text = begun.json["secret"]
        self.seed = base64.b32decode(text + "=" * (-len(text) % 8))
        confirmed = await client.post("auth/totp/confirm", {"code": self.code()})
        assert confirmed.status == 200, confirmed.body
        self.codes = tuple(confirmed.json["codes"])
        return client


async def somebody(hub: TestHub, role: Role = "admin", username: str = "ada") -> Someone:
    """A user with a password."""
    await hub.user(username, role, password_hash=await hub.auth.passwords.hash(PASSWORD))
    return Someone(hub, username)


async def with_second_factor(hub: TestHub, role: Role = "admin", username: str = "ada") -> tuple[Someone, Client]:
    """A user with a second factor, and the session that switched it on."""
    person = await somebody(hub, role, username)
    return person, await person.enrol(await person.log_in())


def user_of(answer: Answer) -> Any:
    return answer.json["user"]
