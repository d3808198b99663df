"""The web side in this process on a real store; only the nodes and the deployer are simulated."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.cookies
import io
import json
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import test_utils, web

from groundcontrol.access.model import LoginSession, User
from groundcontrol.access.oidc.providers import Providers
from groundcontrol.access.passwords import Passwords
from groundcontrol.access.service import AuthService
from groundcontrol.access.sessions import new_session
from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.adapters.sqlite.database import Database
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.adapters.sqlite.users import insert_account
from groundcontrol.agents.node_events import CorruptionReporter, NodeEvents
from groundcontrol.agents.node_tables import NodeTables
from groundcontrol.agents.process_history import ProcessHistoryWriter
from groundcontrol.config import Config
from groundcontrol.config_reader import read_config
from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.errors import HubError, NotFound
from groundcontrol.core.ids import DeploymentId, HubId, NodeId, UserId
from groundcontrol.core.scope import Actor as Person
from groundcontrol.core.scope import Role, Scope, hub_scope
from groundcontrol.deployments.agent_updates import UpdateService
from groundcontrol.deployments.hostlists.model import ParsedList
from groundcontrol.deployments.hostlists.reading import read_list
from groundcontrol.deployments.install_script import Invitations
from groundcontrol.deployments.model import (
    INSTALL_STEPS,
    Confirmation,
    Deployment,
    DeploymentOverrides,
    DeploymentRequest,
    HostKey,
    Step,
    Unconfirmed,
)
from groundcontrol.deployments.node_files import bundle_version
from groundcontrol.deployments.service import DeploymentService
from groundcontrol.events.refusals import Refusals
from groundcontrol.jobs.service import JobService
from groundcontrol.nodes.interfaces import AgentBundle, NewestValues, Presence, ReceivedTables, UnsavedReadings
from groundcontrol.nodes.locations import Locations
from groundcontrol.nodes.model import NewNode, Node
from groundcontrol.nodes.summary import SummaryFragment, SummaryReader
from groundcontrol.notifications.egress import Egress
from groundcontrol.samples.store import DamageReports
from groundcontrol.slices import PER_ORG, PROVIDERS, ROUTES, SLICES
from groundcontrol.vault import Vault
from groundcontrol.web import openapi
from groundcontrol.web.costs import Costs
from groundcontrol.web.cursors import Cursors
from groundcontrol.web.limits import WebLimits
from groundcontrol.web.routes import ROOT
from groundcontrol.web.server import LIVE, build_app, make_runner
from groundcontrol.web.services import Services, provide
from groundcontrol.web.static import BuiltPage
from majortom.build.bundle import read_bundle
from spider.wire.ids import new_random_id, new_time_id
from tests.support.background import cancelled
from tests.support.clock import RunningClock
from tests.support.openapi import Description
from tests.support.quick_hasher import QUICK_HASHER
from tests.support.store_files import open_new
from tests.support.vault import a_vault

ORIGIN = "https://hub.example"
PASSWORD = "three green sparrows"
ADMIN = Scope(Person("user", "0" * 25 + "a", "admin", "admin", instance_admin=True), 1)
"""The user that creates the nodes of each hub."""
KEY = bytes(range(32))
PEPPER = bytes(range(32, 64))


class PlayedNodes:
    """`Presence` and `NewestValues` without sessions, with what the test sets."""

    def __init__(self, clock: RunningClock) -> None:
        self._clock = clock
        self.connected: set[NodeId] = set()
        self.awaited: set[NodeId] = set()
        self.heard: dict[NodeId, float] = {}
        self.values: dict[NodeId, dict[str, tuple[float | None, float]]] = {}
        self.ahead: dict[NodeId, float] = {}

    def online(self, node: NodeId) -> bool:
        return node in self.connected

    def reconnecting(self, node: NodeId) -> bool:
        return node in self.awaited

    def last_seen(self, node: Node) -> float | None:
        return self.heard.get(node.id, node.last_seen_at)

    def skew(self, node: NodeId) -> float | None:
        return self.ahead.get(node)

    def latest(self, node: NodeId) -> dict[str, tuple[float | None, float]]:
        return self.values.get(node, {})

    def summary(self, node: NodeId, *, as_json: bool = False) -> list[SummaryFragment]:
        """As if each moment of `values` were a row of its own, in millionths."""
        moments: dict[float, dict[str, int | None]] = {}
        for name, (value, at) in self.values.get(node, {}).items():
            moments.setdefault(at, {})[name] = None if value is None else round(value * 1_000_000)
        return [SummaryReader(list(row), [1_000_000] * len(row)).read(list(row.values()), at) for at, row in moments.items()]


async def never_online(_node: NodeId, _timeout_s: float) -> None:
    """Wait for a node that never connects. Raises: TimeoutError, immediately."""
    raise TimeoutError


class PlayedDeployer(DeploymentService):
    """A DeploymentService without servers. `asked` has the calls."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked: list[tuple[str, object]] = []

    async def install(self, scope: Scope, request: DeploymentRequest, idempotency_key: str | None) -> Deployment:
        self.asked.append(("install", request))
        return await self._store.deployments.create_deployment(scope, a_deployment(request.host), idempotency_key)

    async def redeploy(self, scope: Scope, node_id: NodeId, overrides: DeploymentOverrides | None) -> Deployment:
        self.asked.append(("redeploy", (node_id, overrides)))
        made = a_deployment("again.example")._replace(node_id=node_id)
        return made._replace(options=made.options._replace(again=True))

    async def remove(self, scope: Scope, node_id: NodeId, overrides: DeploymentOverrides | None, force: bool) -> Deployment:
        self.asked.append(("remove", (node_id, overrides, force)))
        made = a_deployment("gone.example")._replace(kind="remove", node_id=node_id)
        return await self._store.deployments.create_deployment(scope, made)

    async def forget_all(self, org: int, nodes: Sequence[NodeId]) -> None:
        for node in nodes:
            await self._store.nodes.delete_node(hub_scope(org), node)

    async def install_many(self, scope: Scope, requests: Sequence[DeploymentRequest], idempotency_key: str | None) -> Sequence[Deployment]:
        self.asked.append(("install_many", list(requests)))
        wanted = [a_deployment(request.host)._replace(batch="b" * 26) for request in requests]
        return await self._store.deployments.create_deployments(scope, wanted, idempotency_key)

    async def preview(self, scope: Scope, text: str, form: Any) -> ParsedList:
        self.asked.append(("preview", text))
        return read_list(text, form)

    async def confirm_host_keys(
        self, scope: Scope, confirmed: Sequence[Confirmation]
    ) -> tuple[Sequence[Deployment], Sequence[Unconfirmed]]:
        self.asked.append(("confirm_host_keys", list(confirmed)))
        done = []
        refused = []
        for one in confirmed:
            try:
                done.append(await self._store.deployments.deployment(scope, one.deployment))
            except NotFound as exc:
                refused.append(Unconfirmed(one.deployment, exc.code, exc.message))
        return done, refused

    async def confirm_host_key(self, scope: Scope, deployment: DeploymentId, fingerprint: str) -> Deployment:
        self.asked.append(("confirm", fingerprint))
        return await self._store.deployments.deployment(scope, deployment)

    async def cancel(self, scope: Scope, deployment: DeploymentId) -> Deployment:
        self.asked.append(("cancel", deployment))
        return await self._store.deployments.deployment(scope, deployment)

    async def retry(self, scope: Scope, deployment: DeploymentId, overrides: DeploymentOverrides | None) -> Deployment:
        self.asked.append(("retry", overrides))
        return await self._store.deployments.deployment(scope, deployment)

    async def retry_many(
        self, scope: Scope, deployments: Sequence[DeploymentId], overrides: DeploymentOverrides | None
    ) -> tuple[Sequence[Deployment], Sequence[tuple[DeploymentId, HubError]]]:
        return [await self.retry(scope, one, overrides) for one in deployments], []


def a_deployment(host: str = "web-3.example") -> Deployment:
    steps = tuple(Step(name, "waiting", "", None, None) for name in INSTALL_STEPS)
    key = HostKey("ssh-ed25519", "SHA256:" + "a" * 43, "ssh-ed25519 AAAA")
    made = DeploymentId(new_time_id())
    return Deployment(made, 1, "install", "running", None, host, 22, "root", host, key, steps, None, "admin", 1.0, None, 1)


@dataclass
class Client:
    """A browser or a program. Every response of the API is validated against OpenAPI."""

    hub: TestHub
    session: aiohttp.ClientSession
    csrf: str = ""
    bearer: str = ""
    extra: dict[str, str] = field(default_factory=dict)
    """Headers of every request."""
    login: LoginSession = field(init=False)
    user: User = field(init=False)
    """Whose session it is. A client that is not logged in has neither."""

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str | None] | None = None,
        data: bytes | None = None,
        params: Any = None,
    ) -> Answer:
        sent: dict[str, str] = dict(self.extra)
        if self.bearer:
            sent["Authorization"] = f"Bearer {self.bearer}"
        elif method not in ("GET", "HEAD"):
            sent |= {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": self.csrf}
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        for name, value in (headers or {}).items():
            sent.pop(name, None)
            if value is not None:
                sent[name] = value
        url = self.hub.url(path if path.startswith(("/", "http")) else f"{ROOT}/{path}")
        async with self.session.request(
            method, url, data=None if data is None else io.BytesIO(data), headers=sent, params=params, allow_redirects=False
        ) as response:
            answer = Answer(response.status, response.headers.copy(), await response.read(), response.content_type)
        if url.path.startswith(ROOT) and method != "HEAD":
            self.hub.description.check(method, url.path, answer.status, answer.content_type, answer.body)
        return answer

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.request("GET", path, **more)

    async def post(self, path: str, body: object = None, **more: Any) -> Answer:
        return await self.request("POST", path, body, **more)

    @contextlib.asynccontextmanager
    async def live(self, *, organisation: str | None = None, **headers: str) -> AsyncIterator[LiveSocket]:
        """The live socket, after its hello."""
        named = "" if organisation is None else f"?organisation={organisation}"
        sent = {"Origin": ORIGIN, **headers}
        if self.bearer:
            sent["Authorization"] = f"Bearer {self.bearer}"
        async with self.session.ws_connect(self.hub.url(f"{ROOT}/live{named}"), headers=sent, max_msg_size=0) as socket:
            live = LiveSocket(socket)
            live.hello = await live.expect("hello")
            yield live


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes
    content_type: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a Problem."""
        return str(self.json["code"])


class LiveSocket:
    """The client's end of the live socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.hello: Any = None

    async def send(self, kind: str, body: object) -> None:
        await self.socket.send_bytes(msgspec.msgpack.encode([kind, body]))

    async def subscribe(self, topic: str, after: int | None = None) -> None:
        await self.send("subscribe", {"topic": topic} if after is None else {"topic": topic, "after": after})

    async def follow(self, topic: str, after: int | None = None) -> Any:
        """Subscribe to a topic. Returns: its snapshot."""
        await self.subscribe(topic, after)
        return await self.expect("snapshot")

    async def answers(self) -> None:
        """Wait until the hub has handled all that was sent, and has nothing to say to it."""
        await self.send("ping", {})
        await self.expect("pong")

    async def next(self, timeout_s: float = 20.0) -> tuple[str, Any]:
        message = await self.socket.receive(timeout=timeout_s)
        assert message.type is aiohttp.WSMsgType.BINARY, f"{message.type!r} {message.data!r} {message.extra!r}"
        kind, body = msgspec.msgpack.decode(message.data)
        return kind, body

    async def expect(self, kind: str, timeout_s: float = 20.0) -> Any:
        got, body = await self.next(timeout_s)
        assert got == kind, (got, body)
        return body

    async def closed(self, timeout_s: float = 20.0) -> int:
        """Read until the hub closes the socket. Returns: its close code; 0 = none."""
        while True:
            message = await self.socket.receive(timeout=timeout_s)
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
                return self.socket.close_code or 0


@functools.cache
def _description() -> Description:
    """The OpenAPI document, which is the same for every hub. To parse it takes more processor time than most tests, so it is done once."""
    return Description(json.loads(openapi.encode(ROUTES)))


@functools.cache
def _bundle() -> bytes:
    """Of the shipped bundle only its version, which is all that these hubs use. To open the whole one takes 5 ms."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("spider/version.py", f'VERSION = "{bundle_version(read_bundle())}"\n')
    return content.getvalue()


class _Server(test_utils.TestServer):
    async def _make_runner(self, **_options: Any) -> web.BaseRunner:
        return make_runner(self.app)


class TestHub:
    """The hub's web side, started."""

    __test__ = False

    def __init__(
        self, database: Database, store: Store, clock: RunningClock, config: Config, page: BuiltPage | None, limits: WebLimits | None = None
    ) -> None:
        self.database = database
        self.store = store
        self.clock = clock
        self.config = config
        self.bus = LocalBus()
        database.publish_to(self.bus.publish)
        self.nodes = PlayedNodes(clock)
        self.owned = False
        self.process_history = ProcessHistoryWriter(store, clock)
        self.facts = NodeTables(store, self.bus, clock, self.process_history)
        self.deployer = PlayedDeployer(store)
        self.refusals = Refusals(store.log, clock)
        self.auth = AuthService(
            store=store, bus=self.bus, clock=clock, refusals=self.refusals, sealer=a_vault(), jwt_key=KEY, pepper=PEPPER,
            passwords=Passwords(PEPPER, QUICK_HASHER), issuer="test-hub", least_totp=config.require_totp,
        )  # fmt: skip
        self.vault = a_vault()
        self.updates = UpdateService(store, self.bus, clock, _bundle(), JobService(store, self.bus, clock, 20).new_selfcare, never_online)
        invites = Invitations(
            urls=[config.node_url], fleet_id=new_random_id(), fleet_key=KEY, tls_pin=config.tls_pin, script=b"#!/bin/sh\n"
        )
        self.services = Services(
            config=config,
            clock=clock,
            bus=self.bus,
            auth=self.auth,
            refusals=self.refusals,
            hub_id=HubId(new_time_id()),
            build="test",
            costs=Costs(clock),
            stores=store,
            providers=(
                *PROVIDERS,
                provide(Config)(lambda _: config),
                provide(Vault)(lambda _: self.vault),
                provide(Cursors)(lambda _: Cursors(KEY)),
                provide(Presence)(lambda _: self.nodes),
                provide(NewestValues)(lambda _: self.nodes),
                provide(ReceivedTables)(lambda _: self.facts),
                provide(UnsavedReadings)(lambda _: self.process_history),
                provide(DamageReports)(lambda _: CorruptionReporter(NodeEvents(store, clock))),
                provide(DeploymentService)(lambda _: self.deployer),
                provide(Invitations)(lambda _: invites),
                provide(AgentBundle)(lambda _: AgentBundle(self.updates.version, b"")),
                provide(Locations)(lambda _: Locations((("hsb*", "home"),))),
                provide(UpdateService)(lambda _: self.updates),
            ),
            per_org=PER_ORG,
        )
        self.app = build_app(self.services, SLICES, page=page, limits=limits)
        self.server = _Server(self.app, skip_url_asserts=True)
        self.description = _description()
        self.sessions: list[aiohttp.ClientSession] = []

    async def close(self) -> None:
        for session in self.sessions:
            await session.close()
        await self.server.close()

    def url(self, path: str) -> Any:
        return self.server.make_url(path)

    def anonymous(self) -> Client:
        """A client that is not logged in. It stores and sends Secure cookies without TLS."""
        session = aiohttp.ClientSession(cookie_jar=_Jar(), auto_decompress=False)
        self.sessions.append(session)
        return Client(self, session)

    async def user(self, username: str, role: Role, *, must_change: bool = False, password_hash: str = "none", user_id: str = "") -> User:
        """Add a user directly to the database."""
        user = User(
            *(UserId(user_id or new_random_id()), 1, username, role, password_hash, 1, must_change, False, self.clock.now()),
            instance_admin=role == "admin",
        )
        await self.database._control.writer.run(lambda tx: insert_account(tx, user))
        return user

    async def second(self) -> int:
        """Make sure that there is a second organisation. Returns: its number."""
        await self.sql(
            "INSERT INTO organisation (no, id, slug, name, state, sso_only, require_totp, created_at, version)"
            " VALUES (2, '00000000000000000000000002', 'second', 'Second', 'active', 0, 'none', 1.0, 0) ON CONFLICT (no) DO NOTHING"
        )
        return 2

    async def join(self, user: User, org: int, role: Role) -> None:
        """Make a user a member of another organisation too."""
        await self.sql(
            "INSERT INTO membership (org, account, role, source, reason, created_at) SELECT ?, no, ?, 'local', '', 1.0 FROM account WHERE id = ?",
            *(org, role, user.id),
        )

    async def move(self, user: User) -> None:
        """Move a user to a second organisation, wholly: there they are no admin of the instance."""
        await self.sql("UPDATE membership SET org = ? WHERE account = (SELECT no FROM account WHERE id = ?)", await self.second(), user.id)
        await self.sql("UPDATE account SET instance_admin = 0 WHERE id = ?", user.id)

    async def sql(self, statement: str, *values: Any) -> None:
        """Run a statement that changes the database, without the hub's services."""
        await self.database._control.writer.run(lambda tx: tx.execute(statement, *values))

    async def logged_in(self, role: Role = "admin", *, must_change: bool = False, cookie: bool = True, user: User | None = None) -> Client:
        """A client with a session of `user`, by default a new user with this role. No password is hashed."""
        user = user or await self.user(f"{role}-{new_random_id()[:6]}", role, must_change=must_change)
        session, refresh = new_session(user, address="127.0.0.1", user_agent="test", now=self.clock.now())
        entry = AuditEntry(Person("user", user.id, user.username, role), "auth.login", user.id)
        await self.store.users.open_session(session, entry, b"a place")
        issued = self.auth._issued(session, user, refresh)
        client = self.anonymous()
        client.login, client.user, client.csrf = session, user, session.csrf_token
        if cookie:
            client.session.cookie_jar.update_cookies({"__Host-stardust": issued.token, "__Host-stardust-refresh": refresh}, self.url("/"))
        else:
            client.bearer = issued.token
        return client

    async def node(self, name: str = "web-3", tags: tuple[str, ...] = ()) -> Node:
        """Add a node to the store."""
        if not self.owned:
            self.owned = True
            await self.user("the-owner", "admin", user_id=ADMIN.actor.id)
        return await self.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), name, "192.0.2.3", tags))


class _Jar(aiohttp.CookieJar):
    """Sends all cookies on every path, and Secure ones by plain HTTP too: the proxy that terminates TLS is not part of these tests."""

    def __init__(self) -> None:
        super().__init__(unsafe=True)
        self.kept: dict[str, str] = {}

    def update_cookies(self, cookies: Any, response_url: Any = None) -> None:
        for name, morsel in dict(cookies).items():
            value = getattr(morsel, "value", morsel)
            expired = isinstance(morsel, http.cookies.Morsel) and morsel["max-age"] == "0"
            if expired:
                self.kept.pop(name, None)
            else:
                self.kept[name] = str(value)

    def update_cookies_from_headers(self, headers: Any, response_url: Any) -> None:
        for header in headers:
            self.update_cookies(http.cookies.SimpleCookie(header))

    def filter_cookies(self, request_url: Any = None) -> Any:
        found: http.cookies.BaseCookie[str] = http.cookies.SimpleCookie()
        for name, value in self.kept.items():
            found[name] = value
        return found


def a_config(folder: Path, server_url: str | None = "wss://hub.example/ws", proxies: str = "") -> Config:
    environ = {"STARDUST_SECRET": "a quite random thing 4711"}
    argv = ["--data-dir", str(folder)]
    if proxies:
        environ["STARDUST_TRUSTED_PROXIES"] = proxies
    if server_url is not None:
        argv += ["--server-url", server_url]
    return replace(read_config(environ, argv), port=8933)


async def _end(task: asyncio.Task[None]) -> None:
    await cancelled(task)


@contextlib.asynccontextmanager
async def running(
    folder: Path, *, config: Config | None = None, page: BuiltPage | None = None, limits: WebLimits | None = None
) -> AsyncIterator[TestHub]:
    """A hub for the length of a test."""
    clock = RunningClock()
    config = config or a_config(folder)
    async with contextlib.AsyncExitStack() as stack:
        database = await open_new(folder / "data", clock=clock)
        stack.push_async_callback(database.close)
        store = await database.store(audit_key=KEY, chain="test-hub")
        hub = TestHub(database, store, clock, config, page or BuiltPage({}, {}, ""), limits)
        stack.callback(hub.auth.close)
        live = asyncio.create_task(hub.app[LIVE].run(), name="live")
        stack.push_async_callback(_end, live)
        await hub.server.start_server()
        stack.push_async_callback(hub.close)
        stack.push_async_callback(hub.services[Egress].close)
        stack.push_async_callback(hub.services[Providers].close)
        yield hub
