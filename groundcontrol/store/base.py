"""What every store must do, in domain terms. No SQL, rows, cursors or transactions cross this line.

A mutating method is one domain command: one durable transaction that holds the change and its audit row,
and it returns only after the commit. It may be repeated with equal arguments. Changes are compare-and-set.
Errors that cross: StoreDown, StoreBusy, StoreFull, StoreReadOnly, Fenced, Conflict, NotFound.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from groundcontrol.domain.deployments import Deployment
from groundcontrol.domain.facts import FactTable, PackageChanges, PackageList, PackageState
from groundcontrol.domain.history import Bounds, Due, HotHour, LayoutRow, Retention, StoredPack, TierName, TierSize
from groundcontrol.domain.history import StoredRow as StoredRow  # noqa: PLC0414  re-exported
from groundcontrol.domain.ids import BatchId, BootId, DeploymentId, HubId, InviteId, JobId, NodeId, SessionId, TokenId, UserId
from groundcontrol.domain.invites import Invite
from groundcontrol.domain.jobs import Batch, Job, JobEvidence, JobFilter, JobState, NewBatch, NewJob
from groundcontrol.domain.late import GapRow, LatePack, LostRows
from groundcontrol.domain.log import AuditHead, AuditRow, Event, EventFilter
from groundcontrol.domain.loglines import LogBatch, LogLine
from groundcontrol.domain.nodes import NewNode, Node, NodeIdentity, NodePolicy, NodeUpdates, Owner, Session
from groundcontrol.domain.plans import Plan, PlanPart, Report
from groundcontrol.domain.preferences import Preferences
from groundcontrol.domain.scope import Actor, Grants, Role, Scope
from groundcontrol.domain.secrets import SealedRecord as SealedRecord  # noqa: PLC0414  re-exported
from groundcontrol.domain.updates import NodeUpdateList, UpdateList
from groundcontrol.domain.users import ApiToken, LoginSession, Person, Standing, TokenStanding, TotpRule, User
from groundcontrol.history.stats import StatTable
from groundcontrol.history.window import WindowBuilder

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
    async def renew_keys(self, node: NodeId, generation: int) -> Node:
        """The node has proven that it holds keys of a later generation: those before it open nothing any more. Repeating it changes nothing.

        Raises: NotFound.
        """
        ...

    async def delete_node(self, scope: Scope, node: NodeId) -> None:
        """Remove the node, its samples, jobs and credentials (crypto-shredded); leave a tombstone."""
        ...

    async def save_identity(
        self, session: Session, identity: NodeIdentity, agent_version: str, policy: NodePolicy, reboot_required: str, at: float
    ) -> Node: ...
    async def save_updates(self, session: Session, updates: NodeUpdates) -> Node: ...
    async def save_seen(self, seen: Mapping[NodeId, float]) -> None: ...


class FactStore(Protocol):
    """What nodes say of themselves that is no number over time: the newest of each, gone with the node."""

    async def save_table(self, session: Session, table: FactTable) -> None:
        """Replace what is held of this subject."""
        ...

    async def tables(self, scope: Scope, node: NodeId) -> Sequence[FactTable]: ...
    async def packages_digest(self, session: Session) -> str:
        """The state of the node's packages that is held; empty = none."""
        ...

    async def save_packages(self, session: Session, changes: PackageChanges, at: float) -> PackageState:
        """Apply changes. What does not build on the state held, or does not lead to its digest, changes nothing and answers with none."""
        ...

    async def packages(self, scope: Scope, node: NodeId, limit: int, cursor: str | None = None, search: str = "") -> PackageList:
        """Those whose name contains `search`, by name."""
        ...

    async def updates(
        self, scope: Scope, limit: int, cursor: str | None = None, search: str = "", *, security_only: bool = False
    ) -> UpdateList:
        """Newer packages across the nodes that the caller may see: for security first, then by how many nodes they are for."""
        ...

    async def updates_of(self, scope: Scope, package: str, limit: int, cursor: str | None = None) -> NodeUpdateList:
        """The nodes that could have a newer version of this package, in the order in which they came to the hub."""
        ...


class MetricStore(Protocol):
    async def marks(self, session: Session) -> Marks:
        """Also raises the epoch that `append` compares: call it after `claim`, before the welcome."""
        ...

    async def save_layout(self, session: Session, layout: LayoutRow) -> None: ...
    async def append(self, batch: Sequence[StoredPack | LatePack | LostRows]) -> Mapping[NodeId, Marks | None]:
        """Idempotent by (node, boot, stream, seq); all or nothing per call. None: that node's session is fenced.

        A sequence number that leaves a hole is not stored and does not move the mark. What comes from a node's disk is stored once by
        (node, journal, number), where the numbers may have holes; what was sent before is left where that session's marks cover it.
        A pack without a body moves the mark and is not stored.
        """
        ...

    async def gaps(self, no: int, start: float, end: float) -> Sequence[GapRow]:
        """Rows that the node measured between these times and lost, oldest first."""
        ...

    def read(self, no: int, start: float, end: float, families: Sequence[str]) -> AsyncIterator[tuple[LayoutRow, Sequence[StoredRow]]]:
        """Rows of node number `no` taken in [start, end), by layout, each group in no particular order."""
        ...

    def figures(self, no: int, tier: TierName, start: float, end: float, families: Sequence[str]) -> AsyncIterator[tuple[str, StatTable]]:
        """What a coarser tier holds of node number `no`, by whole spans that touch [start, end) and by family."""
        ...

    async def window(self, no: int, builder: WindowBuilder) -> None:
        """Give the builder all that its window may show of node number `no`, as it is at one moment."""
        ...

    async def latest(self, no: int) -> Mapping[str, tuple[LayoutRow, StoredRow]]:
        """The newest row of each family: what a fresh process shows before the node reports again."""
        ...

    async def hot_hours(self) -> Sequence[HotHour]:
        """Which hours of which nodes have rows that are in no chunk yet."""
        ...

    async def compact(self, no: int, hour: int, *, slow: bool = True) -> int:
        """Move rows of that node and hour into chunks of every tier; with `slow` false not those of which an hour has few.

        Returns: how many packs; 0: there was nothing, or another did it.
        """
        ...

    async def dues(self) -> Sequence[Due]:
        """Spans that lie in several parts."""
        ...

    async def merge(self, due: Due, *, everything: bool = True) -> bool:
        """Make one part of them, or fewer of many small ones. Returns: whether anything was changed."""
        ...

    async def sizes(self) -> Sequence[TierSize]:
        """What the tiers take."""
        ...

    async def expire(self, bounds: Bounds) -> int:
        """Remove what is out of bounds, in short steps, and layouts that nothing uses. Returns: how many pieces went."""
        ...

    async def drop_node(self, no: int) -> None:
        """Remove everything of the node, in short steps; it writes nothing from the first one on."""
        ...


class JournalStore(Protocol):
    """Lines of nodes' system logs."""

    async def add_lines(self, session: Session, batch: LogBatch) -> str:
        """Store lines if they follow on what is held. Returns: the cursor up to which lines are held now; empty = none."""
        ...

    async def lines(self, no: int, limit: int, cursor: str | None = None) -> Page[LogLine]:
        """Lines of node number `no`, the newest first."""
        ...


class Dispatch(NamedTuple):
    job: Job
    session: Session


class JobStore(Protocol):
    async def create_job(self, scope: Scope, job: NewJob, idempotency_key: str | None) -> Job:
        """The same (actor, key) gives the first job; IdempotencyMismatch if it asked for something else."""
        ...

    async def job(self, scope: Scope, job: JobId) -> Job: ...
    async def jobs(
        self, scope: Scope, limit: int, cursor: str | None = None, node: NodeId | None = None, only: JobFilter | None = None
    ) -> Page[Job]: ...
    async def take(self, ids: Sequence[JobId] | None, sessions: Sequence[Session], now: float, at_once: int = 1000) -> Sequence[Dispatch]:
        """queued -> dispatched where the session is current and the node has no other open job; each id is won once.

        Args: at_once: of batches, so many jobs at most are open on nodes of this hub; others wait.
        """
        ...

    async def withdraw(self, now: float) -> Sequence[Job]:
        """Close queued jobs that their orderer could not order now: disabled, of a lesser role, without that node, a token that is over.

        `take` hands none of them over, in the transaction in which it looks.
        """
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

    async def stopping(self) -> Sequence[Job]:
        """Open jobs that somebody wants to stop, which their nodes have not answered to."""
        ...

    async def stop_job(self, scope: Scope, job: JobId, *, force: bool = False) -> Job:
        """queued -> cancelled; where it is open, note once that it should stop, and once that force may be used.

        Conflict: it is over, but not cancelled.
        """
        ...

    async def advance(self, job: JobId, to: JobState, by: Session | Scope, evidence: JobEvidence, follow: NewJob | None = None) -> Job:
        """Move along `domain.jobs.TRANSITIONS`. The same state again only updates the evidence. Conflict: not allowed.

        Args: follow: a job that is made with the move, in the name of who had ordered this one.
        """
        ...

    async def save_plan(self, job: JobId, part: PlanPart, by: Session) -> Job:
        """Keep a part of its plan; one of another plan replaces all parts before. Conflict: it never ran, or the plan is beyond measure."""
        ...

    async def plan(self, scope: Scope, job: JobId) -> Plan | None: ...
    async def save_report(self, job: JobId, report: Report, by: Session) -> Job:
        """Keep what it left; whether the node needs a reboot follows, where the report knows."""
        ...

    async def report(self, scope: Scope, job: JobId) -> Report | None: ...

    async def append_output(self, job: JobId, offset: int, data: bytes, by: Session) -> int:
        """Take what lies beyond the end held; returns the new end (= what to acknowledge). A hole returns the old end."""
        ...

    async def output_digest(self, job: JobId) -> tuple[int, str]:
        """How many bytes are held, and their SHA-256 in hex."""
        ...

    def output(self, scope: Scope, job: JobId, offset: int, limit: int | None = None) -> AsyncIterator[bytes]: ...
    async def expire(self, before: float) -> int:
        """Forget some jobs that are over and were made before then. Returns how many; call again until 0."""
        ...


class BatchStore(Protocol):
    """One request for many nodes."""

    async def create_batch(self, scope: Scope, batch: NewBatch, idempotency_key: str | None) -> Batch:
        """The batch with all its jobs. The same (actor, key) gives the first one; IdempotencyMismatch if it asked for something else."""
        ...

    async def batch(self, scope: Scope, batch: BatchId) -> Batch:
        """With what the caller may see of it. NotFound: that is nothing."""
        ...

    async def batches(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[Batch]: ...
    async def jobs_of(self, scope: Scope, batch: BatchId) -> Sequence[Job]:
        """Those on nodes that the caller may see."""
        ...

    async def stop_batch(self, scope: Scope, batch: BatchId) -> Sequence[Job]:
        """`stop_job` for each that is not over, of those that the caller may see; returns these."""
        ...


class DeploymentStore(Protocol):
    async def create_deployment(self, scope: Scope, deployment: Deployment, idempotency_key: str | None = None) -> Deployment: ...
    async def create_deployments(
        self, scope: Scope, deployments: Sequence[Deployment], idempotency_key: str | None = None
    ) -> Sequence[Deployment]:
        """All of them or none; they share one `batch`. A repeat with the key gives back those that were made first."""
        ...

    async def deployment_of_key(self, scope: Scope, idempotency_key: str) -> Deployment | None:
        """The one that this actor made with this key."""
        ...

    async def deployment(self, scope: Scope, deployment: DeploymentId) -> Deployment: ...
    async def deployments(self, scope: Scope, limit: int, cursor: str | None = None, batch: str | None = None) -> Page[Deployment]:
        """The newest first; with `batch` only those of one request."""
        ...

    async def save_deployment(self, scope: Scope, deployment: Deployment, audit: AuditEntry | None = None) -> Deployment:
        """Compare-and-set on `version`; returns it with the next one."""
        ...

    async def may_still_deploy(self, scope: Scope, deployment: Deployment, now: float) -> bool:
        """Whether who acts here could order this deployment at this moment, by the rows of people and tokens, not by what the scope says."""
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


PLACE_S: Final = 30 * 86_400.0
MAX_PLACES: Final = 32


Bucket = tuple[int, float] | tuple[int, float, float]
"""Of a rate limit: (limit, window_s): of any `window_s` seconds, at most `limit` attempts. (limit, window_s, every_s): those beyond it each `every_s`
seconds after the one before, so that nobody waits for longer than that."""


class Knock(NamedTuple):
    """Who wants to log in."""

    user: UserId | None
    """None: nobody has this name."""
    known: bool
    """They have logged in from this place."""
    password_version: int = 0


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
        """Raise `password_version` and revoke every session of the user but `keep`. NotFound: `keep` is over by now."""
        ...

    async def knock(self, username: str, place: bytes) -> Knock:
        """Whose name this is, and whether they have logged in from this place. Does the same work for a name that nobody has.

        A place counts for PLACE_S after a log-in there; that of the newest log-in for ever, so that everybody has one.
        """
        ...

    async def open_session(self, session: LoginSession, audit: AuditEntry, place: bytes) -> None:
        """`place`: a hash of where from; the newest MAX_PLACES of a user are kept.

        Conflict: what was proven for it is not what the account wants by now (another password, a second factor), or the account is disabled.
        """
        ...

    async def login_session(self, session: SessionId) -> tuple[LoginSession, User] | None:
        """None: unknown, revoked, or its user is gone or disabled."""
        ...

    async def refresh_session(self, session: SessionId, spent: bytes, fresh: bytes, at: float, expires_at: float) -> LoginSession:
        """Swap the refresh hash. Conflict (and the session is revoked): the spent hash is not the current one."""
        ...

    async def step_up(self, session: SessionId, at: float) -> None: ...
    async def revoke_session(self, scope: Scope, session: SessionId) -> None: ...
    async def reserve_attempt(self, buckets: Mapping[str, Bucket], at: float) -> float:
        """Count one attempt in every bucket, by its name, in one transaction, before it is made.

        Returns: 0.0 when all had room; else the seconds to wait, and nothing was counted.
        """
        ...

    async def clear_attempts(self, buckets: Sequence[str], beginnings: Sequence[str] = ()) -> None:
        """Forget what was counted in these buckets, and in all whose names begin like this."""
        ...


class LogStore(Protocol):
    async def add_event(self, event: Event) -> None: ...
    async def events(
        self, scope: Scope, limit: int, cursor: str | None = None, node: NodeId | None = None, only: EventFilter | None = None
    ) -> Page[Event]: ...
    async def add_audit(self, entry: AuditEntry, at: float) -> None:
        """For acts that change nothing else (a refused log-in, a denied request)."""
        ...

    async def audit(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[AuditRow]: ...
    async def last_audit_at(self) -> float | None:
        """The latest time of any row since the clock was last accepted; None: there is no row."""
        ...

    async def accept_clock(self, scope: Scope, behind_s: float) -> None:
        """Rows of before this moment say nothing about the clock any more."""
        ...

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
        """Everything that decides about a request, of one moment: none before the last change that anybody was told of. None: as `login_session` says."""
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


class PreferenceStore(Protocol):
    """What people have set up for their own page."""

    async def preferences(self, scope: Scope, user: UserId) -> Preferences: ...
    async def save_preferences(self, scope: Scope, user: UserId, preferences: Preferences) -> None: ...


class FactorStore(Protocol):
    """Second factors. The sealed seed is read through `SecretStore.secret("totp", user, "seed")`."""

    async def begin_totp(self, scope: Scope, user: UserId, record: SealedRecord) -> None:
        """Keep a seed that does not count yet, in place of an earlier one. Conflict: a second factor is on, or the version is not the next."""
        ...

    async def confirm_totp(
        self, scope: Scope, user: UserId, version: int, step: int, codes: Sequence[bytes], keep: SessionId, at: float, expires_at: float
    ) -> User:
        """Switch it on, once: `step` is used, `codes` are the recovery codes, `keep` is the only session left, and ends at `expires_at`.

        NotFound: `keep` is over by now.
        """
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
        """By the hash of what was sent, of a moment as `standing` says. None: unknown, over or revoked, or its owner is gone or disabled."""
        ...

    async def revoke_token(self, scope: Scope, token: TokenId) -> None: ...
    async def touch_token(self, token: TokenId, at: float, address: str) -> None:
        """Note that it was used; no audit row, and never back in time."""
        ...


class RecoveryStore(Protocol):
    async def print_recovery(self, scope: Scope, *, again: bool) -> float | None:
        """Note that the recovery key is printed now; the key itself is kept nowhere.

        Returns: when it was printed before, unless `again`: then it is not to be printed.
        """
        ...

    async def adopt_until(self) -> float:
        """Until when nodes of this fleet that the store does not know are taken in; 0: they are not."""
        ...

    async def end_adoption(self, scope: Scope) -> None: ...


class RetentionStore(Protocol):
    async def retention(self) -> Retention | None:
        """How long samples are kept; None: nobody has set it."""
        ...

    async def save_retention(self, scope: Scope, retention: Retention) -> None: ...


class InviteStore(Protocol):
    """Invites and organisation secrets; and nodes that came with one until they are in."""

    async def create_invite(self, scope: Scope, invite: Invite) -> Invite:
        """Conflict: too many are open."""
        ...

    async def invites(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[Invite]:
        """The newest first, with those that are over for some time; a page may hold fewer than `limit`."""
        ...

    async def invite(self, scope: Scope, invite: InviteId) -> Invite: ...
    async def find_invite(self, invite: InviteId, now: float) -> Invite | None:
        """For the agents' door: any organisation. None: unknown, spent, over or revoked."""
        ...

    async def use_invite(self, invite: InviteId, scope: Scope, node: NewNode) -> Node:
        """Spend one use and make the node, under a free name like that one. NotFound: there was none left."""
        ...

    async def settle_joining(self, node: NodeId) -> None:
        """The node is in: its installation stands."""
        ...

    async def unsettled(self) -> Sequence[tuple[NodeId, int]]:
        """Nodes whose installation had begun and has not been settled, with their organisations."""
        ...

    async def revoke_invite(self, scope: Scope, invite: InviteId) -> None: ...
    async def approve_node(self, scope: Scope, node: NodeId) -> Node:
        """Let a node in that waits for this; nothing happens where it does not."""
        ...


class Store(NamedTuple):
    """All stores of one hub. Control and metrics are separate databases: no transaction spans them."""

    hubs: HubStore
    sessions: SessionStore
    nodes: NodeStore
    facts: FactStore
    metrics: MetricStore
    journal: JournalStore
    jobs: JobStore
    batches: BatchStore
    deployments: DeploymentStore
    secrets: SecretStore
    users: UserStore
    log: LogStore
    people: PeopleStore
    preferences: PreferenceStore
    factors: FactorStore
    tokens: ApiTokenStore
    retention: RetentionStore
    recovery: RecoveryStore
    invites: InviteStore
