"""The first steps of every deployment: connect to the server, check its key, log in, become root."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import NamedTuple, Protocol, TypeVar

import asyncssh

from majortom.errors import failure
from majortom.interfaces import DeployError, HostKey, Reporter, StepName, Target
from majortom.ssh import shell
from majortom.ssh.connect import Connector, Limits, ReachedServer, Tunnel, check_host_key
from majortom.ssh.private_keys import LoadedKey, with_certificate
from majortom.ssh.shell import ShellLogin
from majortom.ssh.sudo import RootMethod

_ROOT_CHECK = "main() { printf 'uid %s\\n' \"$(id -u)\"; printf 'ok\\n'; }\nmain </dev/null\nexit $?\n"


class Steps:
    """Reports steps and remembers the current one, so that any error belongs to a step."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.now: StepName = "connect"

    async def detail(self, text: str) -> None:
        await self._reporter.detail(self.now, text)

    async def confirm(self, key: HostKey) -> bool:
        return await self._reporter.confirm_host_key(key)

    @contextlib.asynccontextmanager
    async def step(self, name: StepName) -> AsyncIterator[list[str]]:
        """One step; the text that the caller appends to the list becomes its closing detail."""
        self.now = name
        await self._reporter.started(name)
        closing: list[str] = []
        yield closing
        await self._reporter.done(name, ", ".join(closing))


class LoginContext(NamedTuple):
    """The data for each log-in: the confirmed host key and the opened private key."""

    target: Target
    reached: ReachedServer
    key: LoadedKey | None
    jump: Jump | None = None


class Jump(NamedTuple):
    """The login context of the jump host, and the connection to it."""

    context: LoginContext
    tunnel: Tunnel


class SetTimeLimit(Protocol):
    """Switches the time limit of the deployment off, or on with the whole time. It is off while a person is awaited."""

    def __call__(self, *, on: bool) -> None: ...


@contextlib.asynccontextmanager
async def prepare_login(connector: Connector, target: Target, steps: Steps, set_time_limit: SetTimeLimit) -> AsyncIterator[LoginContext]:
    """Do `connect` and `host_key`, and open the private key. If there is a jump host, its connection stays open until the end.

    The keys are opened first: an invalid key ends the deployment before any connection.
    Raises: DeployError.
    """
    async with contextlib.AsyncExitStack() as stack:
        key = await _open_key(connector, stack, target)
        jump_key = None if target.jump is None else await _at_jump_host(target.jump, _open_key(connector, stack, target.jump))
        async with steps.step("connect") as closing:
            jump = None
            if target.jump is not None:
                jump = await stack.enter_async_context(_log_in_to_jump_host(connector, target.jump, jump_key, steps, set_time_limit))
                closing.append(f"over {target.jump.host}, {jump.context.reached.key.type} {jump.context.reached.key.fingerprint}")
            reached = await connector.reach(target, jump and jump.tunnel, jump.context.reached.address if jump else "")
            contact = "answers" if reached.contacted else "is not contacted yet, its host key is already known"
            closing.append(f"{reached.address} port {target.port} {contact}")
        async with steps.step("host_key") as closing:
            closing.append(f"{reached.key.type} {reached.key.fingerprint}")
            await _confirm_host_key(target, reached, steps, set_time_limit, reached.key)
            closing.extend(filter(None, [reached.warning]))
        yield LoginContext(target, reached, key, jump)


async def _open_key(connector: Connector, stack: contextlib.AsyncExitStack, target: Target) -> LoadedKey | None:
    if target.private_key is None:
        if target.password is None:
            raise failure("no_credentials", "authenticate")
        return None
    key = await stack.enter_async_context(connector.keys.opened(target.private_key, target.passphrase))
    return key if target.certificate is None else with_certificate(key, target.certificate)


async def _confirm_host_key(target: Target, reached: ReachedServer, steps: Steps, set_time_limit: SetTimeLimit, shown: HostKey) -> None:
    if check_host_key(target, reached):
        return
    set_time_limit(on=False)
    confirmed = await steps.confirm(shown)
    set_time_limit(on=True)
    if not confirmed:
        raise failure("host_key_unconfirmed", "host_key", host=target.host)


T = TypeVar("T")


async def _at_jump_host(target: Target, work: Awaitable[T]) -> T:
    """Do a step at the jump host; an error there names the jump host."""
    try:
        return await work
    except DeployError as exc:
        raise DeployError(exc.code, f"At the jump host {target.host}: {exc.message}", exc.step, at_jump_host=True) from None


@contextlib.asynccontextmanager
async def _log_in_to_jump_host(
    connector: Connector, target: Target, key: LoadedKey | None, steps: Steps, set_time_limit: SetTimeLimit
) -> AsyncIterator[Jump]:
    """Log in to the jump host by the same rules as to any server. No script runs there; one connection goes through it."""
    reached = await _at_jump_host(target, connector.reach(target, through=True))
    await _at_jump_host(target, _confirm_host_key(target, reached, steps, set_time_limit, reached.key._replace(host=target.host)))
    context = LoginContext(target, reached, key)
    async with contextlib.AsyncExitStack() as stack:
        tunnel = await _at_jump_host(target, stack.enter_async_context(connector.login(target, reached, key, through=True)))
        yield Jump(context, tunnel)


@contextlib.asynccontextmanager
async def _connection(connector: Connector, context: LoginContext) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Log in to the server, over a new connection to the jump host if the old one is lost."""
    async with contextlib.AsyncExitStack() as stack:
        tunnel = None
        if context.jump is not None:
            tunnel, jump = context.jump.tunnel, context.jump.context
            if tunnel.is_closed():
                next_login = connector.login(jump.target, jump.reached, jump.key, through=True)
                tunnel = await _at_jump_host(jump.target, stack.enter_async_context(next_login))
        yield await stack.enter_async_context(connector.login(context.target, context.reached, context.key, tunnel))


@contextlib.asynccontextmanager
async def log_in_as_root(connector: Connector, context: LoginContext, steps: Steps, limits: Limits) -> AsyncIterator[ShellLogin]:
    """Do `authenticate` and `become_root`; the connection is closed at the end.

    Raises: DeployError.
    """
    target = context.target
    async with contextlib.AsyncExitStack() as stack:
        async with steps.step("authenticate") as closing:
            connection = await stack.enter_async_context(_connection(connector, context))
            how = f"{context.key.type} key {context.key.fingerprint}" if context.key else "password"
            if context.key and context.key.certificate:
                how += " and its certificate"
            closing.append(f"{target.username} by {how}")
            closing.extend(filter(None, [context.key.warning if context.key else ""]))
            login = ShellLogin(connection, target.username, "", target.sudo_password or target.password)
            answer = await shell.run(login, _ROOT_CHECK, [], "authenticate", limits.step_s, root=False)
            root = answer.of("uid") == ["0"]
        async with steps.step("become_root") as closing:
            if not root:
                login = await _become_root(login, limits.step_s)
            closing.append("logged in as root" if root else f"by {login.by}")
        yield login


@contextlib.asynccontextmanager
async def log_in_again(connector: Connector, context: LoginContext) -> AsyncIterator[ShellLogin]:
    """Log in without reports, to clean up after a lost connection, even if the deployment is no longer wanted."""
    context = context._replace(target=context.target._replace(ensure_wanted=None))
    if context.jump is not None:
        jump = context.jump.context
        context = context._replace(jump=context.jump._replace(context=jump._replace(target=jump.target._replace(ensure_wanted=None))))
    target = context.target
    async with _connection(connector, context) as connection:
        login = ShellLogin(connection, target.username, "", target.sudo_password or target.password)
        answer = await shell.run(login, _ROOT_CHECK, [], "authenticate", 30, root=False)
        yield login if answer.of("uid") == ["0"] else await _become_root(login, 30)


async def _become_root(login: ShellLogin, limit_s: float) -> ShellLogin:
    """Find out how this user becomes root: try sudo; if it is not installed, try doas.

    Raises: DeployError: `become_root` codes.
    """
    methods: tuple[RootMethod, ...] = ("sudo", "doas", "doas with its password")
    for by in methods:
        tried = login._replace(by=by)
        try:
            answer = await shell.run(tried, _ROOT_CHECK, [], "become_root", limit_s)
        except DeployError as exc:
            if (by, exc.code) in (("sudo", "no_sudo"), ("doas", "doas_password_required")) and (by == "sudo" or login.sudo_password):
                continue
            raise
        if answer.of("uid") != ["0"]:
            raise failure("sudo_failed", "become_root", why="it gave another user")
        return tried
    raise failure("no_sudo", "become_root", user=login.user)


async def await_shielded(work: asyncio.Task[str]) -> str:
    """Wait for a clean-up. A first cancellation is raised only after it; a second one stops it."""
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
