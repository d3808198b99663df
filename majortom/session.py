"""The first steps of every deployment: reach the server, know its key, log in, be root."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from majortom import shell
from majortom.base import HostKey, Reporter, StepName, Target
from majortom.connect import Connector, Limits, Reached, check_host_key
from majortom.errors import failure
from majortom.keys import LoadedKey, load_key
from majortom.shell import Login

_ROOT_CHECK = "main() { printf 'uid %s\\n' \"$(id -u)\"; printf 'ok\\n'; }\nmain </dev/null\nexit $?\n"


class Steps:
    """Reports steps and remembers which one is at work, so that whatever goes wrong has a place."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.now: StepName = "connect"

    async def detail(self, text: str) -> None:
        await self._reporter.detail(self.now, text)

    async def confirm(self, key: HostKey) -> bool:
        return await self._reporter.confirm_host_key(key)

    @contextlib.asynccontextmanager
    async def step(self, name: StepName) -> AsyncIterator[list[str]]:
        """One step; what is appended to the list becomes its closing detail."""
        self.now = name
        await self._reporter.started(name)
        closing: list[str] = []
        yield closing
        await self._reporter.done(name, ", ".join(closing))


class Way(NamedTuple):
    """How to log in again: the confirmed key, and the opened private key."""

    target: Target
    reached: Reached
    key: LoadedKey | None


Restart = Callable[[], None]
"""Starts the time limit anew: a person has answered."""


async def find_way(connector: Connector, target: Target, steps: Steps, restart: Restart) -> Way:
    """Do `connect` and `host_key`, and open the private key.

    The key is opened first: a bad one ends the deployment before anything is contacted.
    Raises: DeployError.
    """
    key = None
    if target.private_key is not None:
        key = await load_key(target.private_key, target.passphrase)
    elif target.password is None:
        raise failure("no_credentials", "authenticate")
    async with steps.step("connect") as closing:
        reached = await connector.reach(target)
        closing.append(f"{reached.address} port {target.port} answers")
    async with steps.step("host_key") as closing:
        closing.append(f"{reached.key.type} {reached.key.fingerprint}")
        if not check_host_key(target, reached):
            confirmed = await steps.confirm(reached.key)
            restart()
            if not confirmed:
                raise failure("host_key_unconfirmed", "host_key", host=target.host)
        closing.extend(filter(None, [reached.warning]))
    return Way(target, reached, key)


@contextlib.asynccontextmanager
async def enter(connector: Connector, way: Way, steps: Steps, limits: Limits) -> AsyncIterator[Login]:
    """Do `authenticate` and `become_root`; the connection is closed at the end.

    Raises: DeployError.
    """
    target = way.target
    async with contextlib.AsyncExitStack() as stack:
        async with steps.step("authenticate") as closing:
            connection = await stack.enter_async_context(connector.login(target, way.reached, way.key))
            how = f"{way.key.type} key {way.key.fingerprint}" if way.key else "password"
            closing.append(f"{target.username} by {how}")
            closing.extend(filter(None, [way.key.warning if way.key else ""]))
            login = Login(connection, target.username, sudo=False, sudo_password=target.sudo_password or target.password)
            answer = await shell.run(login, _ROOT_CHECK, [], "authenticate", limits.step_s, root=False)
            login = login._replace(sudo=answer.of("uid") != ["0"])
        async with steps.step("become_root") as closing:
            if login.sudo:
                answer = await shell.run(login, _ROOT_CHECK, [], "become_root", limits.step_s)
                if answer.of("uid") != ["0"]:
                    raise failure("sudo_failed", "become_root", why="it gave another user")
            closing.append("by sudo" if login.sudo else "logged in as root")
        yield login


@contextlib.asynccontextmanager
async def enter_again(connector: Connector, way: Way) -> AsyncIterator[Login]:
    """Log in without a word to anybody, to clear up after a connection that broke."""
    target = way.target
    async with connector.login(target, way.reached, way.key) as connection:
        login = Login(connection, target.username, sudo=False, sudo_password=target.sudo_password or target.password)
        answer = await shell.run(login, _ROOT_CHECK, [], "authenticate", 30, root=False)
        yield login._replace(sudo=answer.of("uid") != ["0"])


async def finish_anyway(work: asyncio.Task[str]) -> str:
    """Wait for clearing-up that a single cancellation must not stop; a second one does."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        if work.cancelled():
            raise
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            work.cancel()
            raise
        raise
