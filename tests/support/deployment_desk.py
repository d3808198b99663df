"""The deployments service on a real store, bus and vault, without a network."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple

import asyncssh

from groundcontrol.access.model import User
from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.bus import Topic
from groundcontrol.core.errors import StoreFull
from groundcontrol.core.ids import DeploymentId, NodeId, UserId
from groundcontrol.core.scope import Actor, Role, Scope
from groundcontrol.deployments import credentials
from groundcontrol.deployments.limits import ServiceLimits
from groundcontrol.deployments.model import Deployment, DeploymentRequest, HostKey
from groundcontrol.deployments.service import DeploymentService
from groundcontrol.deployments.session_removal import RemovalDeps
from groundcontrol.events.model import Event
from groundcontrol.jobs.requests import check_policy
from groundcontrol.jobs.service import JobService
from groundcontrol.nodes.model import NewNode, NodeIdentity, NodePolicy, Session
from groundcontrol.vault import Vault
from majortom.ssh.connect import Limits, describe
from spider.clock import SystemClock
from spider.wire.ids import new_random_id
from tests.support.eventually import eventually
from tests.support.store_backend import replaced

KEY = asyncssh.generate_private_key("ssh-ed25519")
LIMITS = ServiceLimits(ssh=Limits(connect_s=5, login_s=5, verify_s=1))


Requests = Callable[..., DeploymentRequest]


ADMIN = Scope(Actor("user", "u1", "admin", "admin"), 1)


VIEWER = Scope(Actor("user", "u2", "eve", "viewer"), 1)


def an_account(id_: str, username: str, role: Role) -> User:
    """An account for the owner of a deployment. It must exist, because the service checks its rights again when the deployment's turn comes."""
    return User(
        id=UserId(id_), org=1, username=username, role=role, password_hash="x", password_version=1, must_change_password=False,
        disabled=False, created_at=1.0,
    )  # fmt: skip


class Config(NamedTuple):
    """The part of the hub's settings that the service reads."""

    node_url: str = "ws://127.0.0.1:8933/ws"
    server_url: str | None = None
    tls_pin: str | None = None
    loopback_only: bool = True

    def node_url_at(self, _host: str) -> str:
        return self.node_url


class Desk:
    """The service with its dependencies."""

    def __init__(self, store: Store, bus: LocalBus, vault: Vault, bundle: bytes) -> None:
        self.store = store
        self.bus = bus
        self.vault = vault
        self.bundle = bundle
        self.closed: list[NodeId] = []
        self.here: set[NodeId] = set()
        """Nodes that have a live session."""
        self.config = Config()
        self.service = self.make(self.config)

    def make(self, config: Config, limits: ServiceLimits = LIMITS) -> DeploymentService:
        orders = JobService(self.store, self.bus, SystemClock(), 10)
        return DeploymentService(
            config=config, store=self.store, bus=self.bus, vault=self.vault, clock=SystemClock(), bundle=self.bundle,
            wait_online=self._never, close=self._close, limits=limits,
            removal=RemovalDeps(orders.new_selfcare, check_policy, self.here.__contains__),
        )  # fmt: skip

    async def _never(self, _node: NodeId, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            await asyncio.Event().wait()

    def _close(self, node: NodeId, _code: int, _reason: str) -> Awaitable[None]:
        self.closed.append(node)
        return asyncio.sleep(0)

    async def tell_policy(self, session: Session, mode: str, verbs: tuple[str, ...]) -> None:
        """Store a policy as a node reports it."""
        await self.store.nodes.save_identity(session, NodeIdentity(), "0.1.0", NodePolicy(mode, verbs), "no", 1.0)

    async def until(self, deployment: DeploymentId, reached: Callable[[Deployment], bool], scope: Scope = ADMIN) -> Deployment:
        """Wait until the deployment's row fulfils `reached`, reading it again at each change on the bus. Raises: TimeoutError: after 30 s."""
        topic = Topic("changed", f"deployment:{deployment}")
        async with asyncio.timeout(60), self.bus.subscribe(topic, limit=100, policy="ordered") as events:
            row = await self.store.deployments.deployment(scope, deployment)
            while not reached(row):
                await anext(events)
                row = await self.store.deployments.deployment(scope, deployment)
        return row

    async def events(self, *kinds: str) -> Sequence[Event]:
        """Wait until events of these types are among the last ten. Returns: the last ten events. Raises: TimeoutError: after 30 s."""
        async with asyncio.timeout(60), self.bus.subscribe(Topic("event"), limit=100, policy="ordered") as changes:
            while True:
                events = (await self.store.log.events(ADMIN, 10)).items
                if set(kinds) <= {event.type for event in events}:
                    return events
                await anext(changes)

    async def end_of(self, deployment: DeploymentId, scope: Scope = ADMIN) -> Deployment:
        return await self.until(deployment, lambda row: row.ended_at is not None, scope)

    @contextlib.asynccontextmanager
    async def running(self, service: DeploymentService | None = None) -> AsyncIterator[DeploymentService]:
        """Run a service as the hub does."""
        mine = service or self.service
        task = asyncio.create_task(mine.run())
        try:
            async with asyncio.timeout(60):
                while not mine.ready:  # noqa: ASYNC110  # it reads the store first, on a thread
                    await asyncio.sleep(0.001)
            yield mine
        finally:
            await mine.close()
            await task


class Hasty(SystemClock):
    """A clock that does not sleep."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Trouble:
    """A part of the store in which the commands of `commands` fail with `error`. `failed` counts the failures."""

    def __init__(self, part: object, *commands: str) -> None:
        self._part = part
        self.commands = set(commands)
        self.error: Exception = StoreFull("no space is left")
        self.failed = 0

    def __getattr__(self, name: str) -> object:
        if name not in self.commands:
            return getattr(self._part, name)

        async def fail(*_given: object, **_more: object) -> None:
            self.failed += 1
            raise self.error

        return fail


class Hanging:
    """A part of the store in which the commands of `commands` block until `answers` is set. `reached` is set when one blocks.

    Args: done_first: whether the command itself is done before it blocks, so that only its answer is late.
    """

    def __init__(self, part: object, *commands: str, done_first: bool = False) -> None:
        self._part = part
        self.commands = set(commands)
        self._done_first = done_first
        self.reached = asyncio.Event()
        self.answers = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        if name not in self.commands:
            return getattr(self._part, name)

        async def hang(*given: object, **more: object) -> object:
            answer = await getattr(self._part, name)(*given, **more) if self._done_first else None
            self.reached.set()
            await self.answers.wait()
            return answer if self._done_first else await getattr(self._part, name)(*given, **more)

        return hang


def trouble(desk: Desk, part: str, *commands: str) -> Trouble:
    """Make these commands of a part of the store fail, for services that are made from now on. Clear `commands` to end it."""
    made = Trouble(getattr(desk.store, part), *commands)
    desk.store = replaced(desk.store, **{part: made})
    return made


def hanging(desk: Desk, part: str, *commands: str, done_first: bool = False) -> Hanging:
    """Make these commands of a part of the store hang, for services that are made from now on."""
    made = Hanging(getattr(desk.store, part), *commands, done_first=done_first)
    desk.store = replaced(desk.store, **{part: made})
    return made


async def failing(made: Trouble, times: int = 1) -> None:
    await eventually(lambda: made.failed >= times)


async def node_with(desk: Desk, request: DeploymentRequest | None, name: str = "web-1") -> NodeId:
    node = await desk.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), name, "127.0.0.1"))
    if request is not None:
        await credentials.save(desk.store.secrets, desk.vault, ADMIN, node.id, request, HostKey(*describe(KEY)))
    return node.id
