"""What every store must do, in domain terms. No SQL, rows, cursors or transactions cross this line.

A mutating method is one domain command: one durable transaction that holds the change and its audit row,
and it returns only after the commit. It may be repeated with equal arguments. Changes are compare-and-set.
Errors that cross: StoreDown, StoreBusy, StoreFull, StoreReadOnly, Fenced, Conflict, NotFound.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from groundcontrol.domain.deployments import Deployment
from groundcontrol.domain.history import LayoutRow, StoredPack
from groundcontrol.domain.history import StoredRow as StoredRow  # noqa: PLC0414  re-exported
from groundcontrol.domain.ids import BootId, DeploymentId, HubId, JobId, NodeId, SessionId, TokenId, UserId
from groundcontrol.domain.jobs import Job, JobEvidence, JobState, NewJob
from groundcontrol.domain.log import AuditHead, AuditRow, Event
from groundcontrol.domain.nodes import NewNode, Node, NodeIdentity, NodePolicy, NodeUpdates, Owner, Session
from groundcontrol.domain.scope import Actor, Grants, Role, Scope
from groundcontrol.domain.secrets import SealedRecord as SealedRecord  # noqa: PLC0414  re-exported
from groundcontrol.domain.users import ApiToken, LoginSession, Person, Standing, TokenStanding, TotpRule, User

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """A slice of a list; `next` is the cursor of the following one, or None at the end."""

    items: list[T]
    next: str | None


class AuditEntry(NamedTuple):
    """Written in the same transaction as the change that it tells of."""

    actor: Actor
    action: str
    target: str
    result: str = "done"
    detail: Mapping[str, object] = {}


class Marks(NamedTuple):
    """Highest gap-free sequence number held of each stream of a boot; -1 = none."""

    live: int
    backfill: int


class HubFacts(NamedTuple):
    id: HubId
    address: str
    version: str


class Lease(NamedTuple):
    task: str
    hub: HubId
    token: int


class HubStore(Protocol):
    async def beat(self, hub: HubId, facts: HubFacts, ttl_s: float) -> Sequence[HubFacts]: ...
    async def lease(self, task: str, hub: HubId, ttl_s: float) -> Lease | None:
        """Win the right to do `task` until `ttl_s` from now by the store's clock."""
        ...


class SessionStore(Protocol):
    async def claim(self, node: NodeId, boot: BootId, hub: HubId) -> Session:
        """Own the node from now on; its epoch is above all before. NotFound: no such node, or deleted."""
        ...

    async def owner(self, node: NodeId) -> Owner | None: ...
    async def release(self, session: Session) -> None:
        """Give the node up; nothing happens unless the session is the current one."""
        ...


class NodeStore(Protocol):
    async def create_node(self, scope: Scope, node: NewNode) -> Node:
        """Conflict: the id was used before, ever, or the name is taken in this organisation."""
        ...

    async def node(self, scope: Scope, node: NodeId) -> Node: ...
    async def nodes(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[Node]: ...
    async def find_node(self, node: NodeId) -> Node | None:
        """For the agents' door: any organisation; None: unknown or deleted."""
        ...

    async def edit_node(self, scope: Scope, node: NodeId, *, name: str | None, tags: tuple[str, ...] | None) -> Node: ...
    async def delete_node(self, scope: Scope, node: NodeId) -> None:
        """Remove the node, its samples, jobs and credentials (crypto-shredded); leave a tombstone."""
        ...

    async def save_identity(
        self, session: Session, identity: NodeIdentity, agent_version: str, policy: NodePolicy, reboot_required: str, at: float
    ) -> Node: ...
    async def save_updates(self, session: Session, updates: NodeUpdates) -> Node: ...
    async def save_seen(self, seen: Mapping[NodeId, float]) -> None: ...


class MetricStore(Protocol):
    async def marks(self, session: Session) -> Marks:
        """Also raises the epoch that `append` compares: call it after `claim`, before the welcome."""
        ...

    async def save_layout(self, session: Session, layout: LayoutRow) -> None: ...
    async def append(self, batch: Sequence[StoredPack]) -> Mapping[NodeId, Marks | None]:
        """Idempotent by (node, boot, stream, seq); all or nothing per call. None: that node's session is fenced.

        A sequence number that leaves a hole is not stored and does not move the mark.
        """
        ...

    def read(self, no: int, start: float, end: float, families: Sequence[str]) -> AsyncIterator[tuple[LayoutRow, Sequence[StoredRow]]]:
        """Rows of node number `no` taken in [start, end), by layout, each group in no particular order."""
        ...

    async def latest(self, no: int) -> Mapping[str, tuple[LayoutRow, StoredRow]]:
        """The newest row of each family: what a fresh process shows before the node reports again."""
        ...

    async def expire(self, before: float) -> int: ...
    async def drop_node(self, no: int) -> None: ...


class Dispatch(NamedTuple):
    job: Job
    session: Session


class JobStore(Protocol):
    async def create_job(self, scope: Scope, job: NewJob, idempotency_key: str | None) -> Job:
        """The same (actor, key) gives the first job; IdempotencyMismatch if it asked for something else."""
        ...

    async def job(self, scope: Scope, job: JobId) -> Job: ...
    async def jobs(self, scope: Scope, limit: int, cursor: str | None = None, node: NodeId | None = None) -> Page[Job]: ...
    async def take(self, ids: Sequence[JobId] | None, sessions: Sequence[Session], now: float) -> Sequence[Dispatch]:
        """queued -> dispatched where the session is current and the node has no other open job; each id is won once."""
        ...

    async def undispatched(self, session: Session) -> Sequence[Job]:
        """Jobs that were dispatched to this node and have not been accepted yet."""
        ...

    async def open_jobs(self, node: NodeId) -> Sequence[Job]:
        """Those that are dispatched, accepted or running."""
        ...

    async def held(self, ids: Sequence[JobId], node: NodeId) -> Mapping[JobId, int]:
        """How many bytes of output are held of each of these jobs that is of this node and not yet held completely."""
        ...

    async def finished(self, ids: Sequence[JobId], node: NodeId) -> Sequence[JobId]:
        """Which of these are completely held (terminal, output whole), or are not of this node at all."""
        ...

    async def overdue(self, now: float) -> Sequence[Job]:
        """Queued or dispatched jobs whose `not_after` has passed."""
        ...

    async def advance(self, job: JobId, to: JobState, by: Session | Scope, evidence: JobEvidence) -> Job:
        """Move along `domain.jobs.TRANSITIONS`. The same state again only updates the evidence. Conflict: not allowed."""
        ...

    async def append_output(self, job: JobId, offset: int, data: bytes, by: Session) -> int:
        """Take what lies beyond the end held; returns the new end (= what to acknowledge). A hole returns the old end."""
        ...

    def output(self, scope: Scope, job: JobId, offset: int, limit: int | None = None) -> AsyncIterator[bytes]: ...


class DeploymentStore(Protocol):
    async def create_deployment(self, scope: Scope, deployment: Deployment, idempotency_key: str | None = None) -> Deployment: ...
    async def deployment_of_key(self, scope: Scope, idempotency_key: str) -> Deployment | None:
        """The one that this actor made with this key."""
        ...

    async def deployment(self, scope: Scope, deployment: DeploymentId) -> Deployment: ...
    async def deployments(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[Deployment]: ...
    async def save_deployment(self, scope: Scope, deployment: Deployment, audit: AuditEntry | None = None) -> Deployment:
        """Compare-and-set on `version`; returns it with the next one."""
        ...

    async def unfinished_deployments(self) -> Sequence[Deployment]: ...


class KeyRotation(Protocol):
    """A new keyring that takes over (`vault.Rotation`)."""

    @property
    def keyring(self) -> bytes: ...
    @property
    def audit_key(self) -> bytes: ...
    @property
    def carried(self) -> SealedRecord:
        """A record of its own, which replaces the one of its place."""
        ...

    def reseal(self, record: SealedRecord) -> SealedRecord: ...
    def prove(self, keyring: bytes, records: Sequence[SealedRecord]) -> None:
        """Raises when what was stored does not open."""
        ...


class SecretStore(Protocol):
    async def keyring(self) -> bytes | None: ...
    async def create_keyring(self, keyring: bytes, recovery: SealedRecord) -> bytes:
        """Store the first keyring and the sealed fleet key together; an existing one wins and is returned."""
        ...

    async def secret(self, table: str, record: str, column: str) -> SealedRecord | None: ...
    async def secrets(self) -> Sequence[SealedRecord]: ...
    async def save_credentials(self, scope: Scope, node: NodeId, records: Sequence[SealedRecord]) -> None:
        """Replace what is kept for this node (`table` = "credential", `id` = the node)."""
        ...

    async def credentials(self, node: NodeId) -> Sequence[SealedRecord]: ...
    async def shred_credentials(self, scope: Scope, node: NodeId) -> None: ...


class UserStore(Protocol):
    async def count_users(self) -> int: ...
    async def initialised_at(self) -> float | None: ...
    async def create_first_admin(self, user: User, setup_code_hash: bytes, at: float) -> None:
        """Once per database, for ever: Conflict when it was done before."""
        ...

    async def setup_code_hash(self) -> bytes | None: ...
    async def user(self, user: UserId) -> User | None: ...
    async def user_by_name(self, username: str) -> User | None: ...
    async def save_password(self, scope: Scope, user: UserId, password_hash: str, keep: SessionId | None, *, must_change: bool) -> User:
        """Raise `password_version` and revoke every session of the user but `keep`."""
        ...

    async def open_session(self, session: LoginSession, audit: AuditEntry) -> None: ...
    async def login_session(self, session: SessionId) -> tuple[LoginSession, User] | None:
        """None: unknown, revoked, or its user is gone or disabled."""
        ...

    async def refresh_session(self, session: SessionId, spent: bytes, fresh: bytes, at: float, expires_at: float) -> LoginSession:
        """Swap the refresh hash. Conflict (and the session is revoked): the spent hash is not the current one."""
        ...

    async def step_up(self, session: SessionId, at: float) -> None: ...
    async def revoke_session(self, scope: Scope, session: SessionId) -> None: ...
    async def sessions_of(self, user: UserId) -> Sequence[LoginSession]: ...
    async def reserve_attempt(self, buckets: Mapping[str, tuple[int, float]], at: float) -> float:
        """Count one attempt in every bucket `name -> (limit, window_s)`, in one transaction, before it is made.

        Returns: 0.0 when all had room; else the seconds to wait, and nothing was counted.
        """
        ...

    async def clear_attempts(self, buckets: Sequence[str]) -> None: ...


class LogStore(Protocol):
    async def add_event(self, event: Event) -> None: ...
    async def events(self, scope: Scope, limit: int, cursor: str | None = None, node: NodeId | None = None) -> Page[Event]: ...
    async def add_audit(self, entry: AuditEntry, at: float) -> None:
        """For acts that change nothing else (a refused log-in, a denied request)."""
        ...

    async def audit(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[AuditRow]: ...
    async def verify_audit(self) -> str | None:
        """None: every chain holds; else the first row that does not."""
        ...

    async def audit_heads(self) -> Sequence[AuditHead]:
        """The ends that no chain names yet: whoever holds these holds everything before them."""
        ...


class ListedSession(NamedTuple):
    """A live log-in, as lists show it."""

    session: LoginSession
    username: str


class PeopleStore(Protocol):
    """Users with their rights, lists of sessions, and the rule about second factors."""

    async def standing(self, session: SessionId) -> Standing | None:
        """Everything that decides about a request, of one moment. None: as `login_session` says."""
        ...

    async def create_user(self, scope: Scope, user: User) -> User:
        """Conflict: the name is taken."""
        ...

    async def person(self, scope: Scope, username: str) -> Person: ...
    async def people(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[Person]: ...
    async def edit_user(
        self, scope: Scope, user: UserId, *, role: Role | None, disabled: bool | None, grants: Grants | None, all_nodes: bool = False
    ) -> User:
        """None leaves what is. Who is disabled has no session any more. Conflict: an admin with grants, or no admin would be left."""
        ...

    async def listed_sessions(self, scope: Scope, limit: int, cursor: str | None = None, user: UserId | None = None) -> Page[ListedSession]:
        """Those that are live, the newest first; `user` None: of everybody."""
        ...

    async def listed_session(self, scope: Scope, session: SessionId) -> LoginSession: ...
    async def revoke_others(self, scope: Scope, user: UserId, keep: SessionId) -> int: ...
    async def totp_rule(self) -> TotpRule: ...
    async def save_totp_rule(self, scope: Scope, rule: TotpRule) -> None: ...


class FactorStore(Protocol):
    """Second factors. The sealed seed is read through `SecretStore.secret("totp", user, "seed")`."""

    async def begin_totp(self, scope: Scope, user: UserId, record: SealedRecord) -> None:
        """Keep a seed that does not count yet, in place of an earlier one. Conflict: a second factor is on, or the version is not the next."""
        ...

    async def confirm_totp(
        self, scope: Scope, user: UserId, version: int, step: int, codes: Sequence[bytes], keep: SessionId, at: float, expires_at: float
    ) -> User:
        """Switch it on, once: `step` is used, `codes` are the recovery codes, `keep` is the only session left, and ends at `expires_at`."""
        ...

    async def use_step(self, user: UserId, step: int) -> bool:
        """Whether this step, and every one before it, had not been used; it is now. Of many callers one gets True."""
        ...

    async def use_recovery_code(self, user: UserId, code: bytes, address: str) -> int | None:
        """Spend a code: how many are left, or None where it is none. Of many callers one gets a number."""
        ...

    async def save_recovery_codes(self, scope: Scope, user: UserId, codes: Sequence[bytes]) -> None: ...
    async def stop_totp(self, scope: Scope, user: UserId, keep: SessionId | None) -> User:
        """Switch it off, shred the seed, forget the codes, and end every session but `keep`."""
        ...


class ApiTokenStore(Protocol):
    async def create_token(self, scope: Scope, token: ApiToken) -> ApiToken: ...
    async def tokens(self, scope: Scope, limit: int, cursor: str | None = None, user: UserId | None = None) -> Page[ApiToken]:
        """Those that are live, the newest first; `user` None: of everybody."""
        ...

    async def token(self, scope: Scope, token: TokenId) -> ApiToken: ...
    async def token_standing(self, digest: bytes) -> TokenStanding | None:
        """By the hash of what was sent. None: unknown, over or revoked, or its owner is gone or disabled."""
        ...

    async def revoke_token(self, scope: Scope, token: TokenId) -> None: ...
    async def touch_token(self, token: TokenId, at: float, address: str) -> None:
        """Note that it was used; no audit row, and never back in time."""
        ...


class Store(NamedTuple):
    """All stores of one hub. Control and metrics are separate databases: no transaction spans them."""

    hubs: HubStore
    sessions: SessionStore
    nodes: NodeStore
    metrics: MetricStore
    jobs: JobStore
    deployments: DeploymentStore
    secrets: SecretStore
    users: UserStore
    log: LogStore
    people: PeopleStore
    factors: FactorStore
    tokens: ApiTokenStore
