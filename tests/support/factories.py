"""Factories of records for the stores."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

import msgpack

from groundcontrol.access.model import ApiToken, LoginSession, User
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.errors import Fenced
from groundcontrol.core.ids import (
    BatchId,
    BootId,
    DeploymentId,
    EventId,
    HubId,
    InviteId,
    JobId,
    NodeId,
    RefusalId,
    SessionId,
    TokenId,
    UserId,
)
from groundcontrol.core.scope import Actor, Scope
from groundcontrol.core.secrets import SealedRecord
from groundcontrol.deployments.model import Deployment, Invite, Step
from groundcontrol.events.model import Event, Refusal
from groundcontrol.jobs.model import Job, JobRequest, NewBatch, NewJob, RefusedNode
from groundcontrol.nodes.model import NewNode, Session
from groundcontrol.samples.model import SeriesSchema, StoredPack
from spider.wire.ids import new_random_id, new_time_id
from tests.support.clock import ManualClock

T = TypeVar("T")

HUB = HubId(new_time_id(1_790_000_000.0))
BOOT = BootId("0f" * 16)
ADMIN = Actor("local", "1000", "local:1000", "admin", "192.0.2.7")
SCOPE = Scope(ADMIN, 1)
STRANGER = Scope(Actor("user", "01h00000000000000000strange", "eve", "admin"), 2)
LAYOUT_SERIES = ("cpu.total", "memory.used", "disk.read{device=sda}")


def layout_row(family: str = "pulse", series: tuple[str, ...] = LAYOUT_SERIES, interval_s: int = 1) -> SeriesSchema:
    digest = hashlib.sha256("\0".join((family, *series)).encode()).digest()[:8]
    return SeriesSchema(digest, family, interval_s, series)


def new_node(name: str = "web-1", address: str = "192.0.2.1", tags: tuple[str, ...] = ("web",)) -> NewNode:
    return NewNode(NodeId(new_random_id()), name, address, tags)


def pack_body(rows: Sequence[tuple[int, Sequence[int | None]]], coding: int = 1) -> bytes:
    body: bytes = msgpack.packb([msgpack.packb([at, list(values)]) for at, values in rows])
    return zlib.compress(body) if coding else body


def pack(session: Session, seq: int, layout: SeriesSchema, at_ms: int, rows: int = 10, stream: int = 0, coding: int = 1) -> StoredPack:
    """`rows` rows, a second apart; each value is the row's number within the pack plus the series' place."""
    made = [(at_ms + at * 1000, [at + place for place in range(len(layout.series))]) for at in range(rows)]
    return StoredPack(session, stream, seq, layout.schema_id, at_ms, made[-1][0], coding, pack_body(made, coding))


async def is_current(store: Store, session: Session) -> bool:
    """Whether a session may write for its node."""
    try:
        await store.jobs.unaccepted(session)
    except Fenced:
        return False
    return True


async def connect(store: Store, node: NodeId, hub: HubId = HUB, boot: BootId = BOOT) -> Session:
    """A session as a hub makes it: claimed, fenced, its layout saved."""
    session = await store.sessions.claim(node, boot, hub)
    await store.metrics.begin_session(session)
    await store.metrics.save_schema(session, layout_row())
    return session


def new_job(node: NodeId, at: float, action: str = "upgrade", packages: tuple[str, ...] = ()) -> NewJob:
    return NewJob(JobId(new_time_id(at)), node, JobRequest(action, packages), created_at=at, not_after=at + 3600.0)


def new_batch(nodes: Sequence[NodeId], at: float, action: str = "upgrade", refused: Sequence[RefusedNode] = ()) -> NewBatch:
    jobs = tuple(new_job(node, at, action) for node in nodes)
    asked = (*nodes, *(node.node_id for node in refused))
    return NewBatch(BatchId(new_time_id(at)), JobRequest(action), asked, jobs, tuple(refused), at)


class Running(NamedTuple):
    job: Job
    session: Session


async def running_job(store: Store, at: float, name: str = "web-1") -> Running:
    """A job that was dispatched to its node."""
    node = await store.nodes.create_node(SCOPE, new_node(name))
    session = await connect(store, node.id)
    job = await store.jobs.create_job(SCOPE, new_job(node.id, at), None)
    (dispatch,) = await store.jobs.take([job.id], [session], at)
    return Running(dispatch.job, session)


def new_user(name: str = "admin") -> User:
    return User(UserId(new_time_id()), 1, name, "admin", "$argon2id$first", 1, must_change_password=True, disabled=False, created_at=1.0)


def login(user: User, at: float) -> LoginSession:
    return LoginSession(
        id=SessionId(new_random_id()),
        user_id=user.id,
        password_version=user.password_version,
        csrf_token="c" * 43,
        refresh_hash=b"r" * 32,
        created_at=at,
        authenticated_at=at,
        last_seen_at=at,
        expires_at=at + 86400.0,
        address="192.0.2.7",
        user_agent="Firefox",
        revoked_at=None,
    )


def logged_in(user: User) -> AuditEntry:
    return AuditEntry(Actor("user", user.id, user.username, user.role), "auth.login", user.id)


async def with_session(store: Store, clock: ManualClock, user: User) -> LoginSession:
    session = login(user, clock.now())._replace(second_factor=user.totp_since is not None)
    await store.users.open_session(session, logged_in(user), b"a place")
    return session


def new_deployment(at: float, host: str = "192.0.2.1", name: str = "web-1") -> Deployment:
    steps = (Step("connect", "waiting", "", None, None), Step("verify", "waiting", "", None, None))
    return Deployment(
        *(DeploymentId(new_time_id(at)), 1, "install", "running", None, host, 22, "root", name, None, steps, None, "admin", at, None, 1)
    )


def new_event(at: float, node: NodeId | None = None) -> Event:
    return Event(EventId(new_time_id(at)), 1, "node_online", "info", "hub", at, node, "web-1 is online", {"epoch": 1}, "", at, 1, at)


def new_refusal(at: float, address: str = "192.0.2.1", times: int = 1) -> Refusal:
    actor = Actor("user", "", "unknown", "viewer", address)
    return Refusal(RefusalId(new_time_id(at)), actor, "auth.login", "password", "user:unknown", at, at, times)


async def twice(act: Callable[[], Awaitable[T]]) -> T:
    """A command whose first response was lost: its repetition gives the same."""
    first, second = await act(), await act()
    assert first == second
    return second


async def audited(store: Store) -> list[tuple[str, str, str]]:
    """(actor, action, target) of everything so far, the oldest first, without the chain's own first row."""
    page = await store.log.audit(SCOPE, 1000)
    return [(row.actor, row.action, row.target) for row in reversed(page.items) if row.action != "audit.anchor"]


def an_invite(at: float, **more: object) -> Invite:
    invite = Invite(InviteId(new_random_id()), 1, "node", "", ("web",), "managed", False, 1, 0, None, "local:1000", at, at + 300.0, None)
    return invite._replace(**more)  # type: ignore[arg-type]  # fields of an Invite


CODES = [bytes([at]) * 32 for at in range(10)]


def seed(user: User, version: int = 1, body: bytes = b"sealed") -> SealedRecord:
    return SealedRecord("totp", user.id, "seed", version, body)


def a_token(user: User, at: float, **more: object) -> ApiToken:
    token = ApiToken(
        TokenId(new_random_id()), 1, user.id, user.username, "backup", new_random_id().encode(), "viewer", None, False, at, at + 86_400
    )
    return token._replace(**more)  # type: ignore[arg-type]  # fields of an ApiToken
