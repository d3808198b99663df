"""Reads the facts of nodes for rules: the node's row, session, tables and last job."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Final

from groundcontrol.agents.store import HubStore
from groundcontrol.alerts.incidents import Fleet
from groundcontrol.alerts.model import RANK
from groundcontrol.alerts.states import SUBJECTS, NodeFacts
from groundcontrol.core.errors import NotFound, StoreError
from groundcontrol.core.ids import JobId, NodeId
from groundcontrol.core.scope import hub_scope
from groundcontrol.jobs.model import TERMINAL, Job
from groundcontrol.jobs.store import JobStore
from groundcontrol.nodes.interfaces import Presence, ReceivedTables
from groundcontrol.nodes.model import Node, agent_state
from groundcontrol.nodes.store import NodeStore
from groundcontrol.schedules.dead_man import DeadMan
from groundcontrol.schedules.deadline_checker import DeadlineChecker
from groundcontrol.schedules.deadlines import Unmet
from spider.clock import Clock
from spider.logs import event
from spider.wire.verbs import CATALOGUE, READONLY

log = logging.getLogger(__name__)

PAGE_NODES: Final = 200
MASS_SILENCE_S: Final = 45.0
"""Nodes that are silent for this long count for an outage of many. Within this time the hub notices that a connection is dead."""
WATCHED: Final = frozenset(verb.name for verb in CATALOGUE if verb.policy != READONLY)
"""Verbs whose failure somebody has to look at. It counts until a later job of the node with one of these verbs ends without failing."""
SKEW_DIGITS: Final = 1
"""The skew of a clock is rounded to tenths of a second. Without it facts would always differ, and their states be judged each time."""
FAILED: Final = frozenset({"failed", "interrupted"})
"""States of a job that somebody has to look at."""


class FactReader:
    """Holds the rows of all nodes of one organisation in memory, and makes the facts of some nodes at each tick."""

    def __init__(
        self, org: int, nodes: NodeStore, jobs: JobStore, presence: Presence, tables: ReceivedTables, silences: DeadMan, deadlines: DeadlineChecker,
        hubs: HubStore, shipped: str, clock: Clock,
    ) -> None:  # fmt: skip
        """Args: shipped: the version of Spider that comes with this hub."""
        self._org = org
        self._store = nodes
        self._jobs = jobs
        self._presence = presence
        self._tables = tables
        self._silences = silences
        self._deadlines = deadlines
        self._hubs = hubs
        self._shipped = shipped
        self._shipped_since: float | None = None
        self._clock = clock
        self._nodes: dict[NodeId, Node] = {}
        self._failed_at: dict[NodeId, float] = {}
        """Node -> when its last job failed, in Unix seconds."""
        self._unread_jobs: set[JobId] = set()
        """Jobs that changed and could not be read again. Until `load` no last job is known."""
        self._removed: list[NodeId] = []
        self._former: dict[NodeId, str] = {}
        """Names of nodes that were removed since the start. Their alerts end after the removal."""
        self._reading = asyncio.Lock()
        """Held while rows are read, so that an older row never replaces a newer one."""
        self._silent: set[NodeId] = set()
        """Nodes that had been silent for MASS_SILENCE_S at their last turn."""

    @property
    def fleet(self) -> Fleet:
        """How many nodes there are, and how many had been silent for `MASS_SILENCE_S` at their last turn."""
        return Fleet(len(self._nodes), len(self._silent))

    def silent(self) -> list[NodeId]:
        """The nodes that `fleet` counts as silent and that are not connected now."""
        return [node for node in self._silent if not self._presence.online(node)]

    def name(self, node: NodeId) -> str:
        """The name of a node, even if it was removed since the start; otherwise its id."""
        found = self._nodes.get(node)
        return self._former.get(node, node) if found is None else found.name

    def tags(self, node: NodeId) -> tuple[str, ...]:
        found = self._nodes.get(node)
        return () if found is None else found.tags

    def heard_at(self, node: NodeId) -> float | None:
        """When the hub last received something from a node, in Unix seconds; None: never, or the node is unknown."""
        found = self._nodes.get(node)
        return None if found is None else self._presence.last_seen(found)

    def number(self, node: NodeId) -> int | None:
        """The store's number of a node, by which samples are stored; None: there is no such node."""
        found = self._nodes.get(node)
        return None if found is None else found.no

    def pop_removed(self) -> list[NodeId]:
        """The nodes that were removed since the last call."""
        gone, self._removed = self._removed, []
        return gone

    async def load(self) -> None:
        """Read all nodes and the last job of each. Raises: StoreError."""
        async with self._reading:
            await self._note_shipped()
            found: dict[NodeId, Node] = {}
            cursor: str | None = None
            while True:
                page = await self._store.nodes(hub_scope(self._org), PAGE_NODES, cursor)
                found.update((node.id, node) for node in page.items)
                cursor = page.next
                if cursor is None:
                    break
            jobs = await self._jobs.last_ended(WATCHED)
            for gone in self._nodes.keys() - found.keys():
                self._note_removed(self._nodes[gone])
            self._nodes = found
            self._silent &= found.keys()
            self._failed_at = {}
            self._unread_jobs.clear()
            for job in jobs:
                self._note(job)

    async def reload(self, node: NodeId) -> None:
        """Read one node again. Raises: StoreError."""
        async with self._reading:
            try:
                self._nodes[node] = await self._store.node(hub_scope(self._org), node)
            except NotFound:
                if (gone := self._nodes.pop(node, None)) is not None:
                    self._note_removed(gone)
                self._failed_at.pop(node, None)
                self._silent.discard(node)

    def _note_removed(self, node: Node) -> None:
        self._removed.append(node.id)
        self._former[node.id] = node.name

    async def reload_job(self, job: JobId) -> None:
        """Read a job, and note whether it failed. Raises: StoreError."""
        async with self._reading:
            try:
                self._note(await self._jobs.job(hub_scope(self._org), job))
            except NotFound:  # it was deleted with its node
                return
            except StoreError:
                self._unread_jobs.add(job)
                raise

    def _note(self, job: Job) -> None:
        if job.action not in WATCHED:
            return
        if job.state in FAILED:
            self._failed_at[job.node_id] = job.ended_at or self._clock.now()
        elif job.state in TERMINAL:
            self._failed_at.pop(job.node_id, None)

    def has_turn(self, turn: int) -> bool:
        """Whether `read` gives facts in this turn. The first turn is also that of what belongs to no node."""
        return turn < max(1, len(self._nodes))

    def read(self, turn: int, turns: int) -> Iterator[NodeFacts]:
        """The facts of one part of all nodes. Args: turn: the number of the part, from 0. turns: how many parts there are."""
        for index, node in enumerate(list(self._nodes.values())):
            if index % turns == turn:
                yield self.of(node)

    def find(self, node: NodeId) -> NodeFacts | None:
        """The present facts of a node; None: there is no such node."""
        found = self._nodes.get(node)
        return None if found is None else self.of(found)

    def of(self, node: Node) -> NodeFacts:
        """The present facts of a node. It also notes whether the node counts as silent in `fleet`."""
        online = self._presence.online(node.id)
        silent = None if online else self._silences.silent_s(node.id)
        reconnecting = self._presence.reconnecting(node.id) or not (online or self._silences.is_read)
        (self._silent.add if silent is not None and silent >= MASS_SILENCE_S else self._silent.discard)(node.id)
        failed_at, unmet = self._failed_at.get(node.id), self._deadlines.unmet(node.id)
        tables, skew_s = self._tables.tables(node.id), self._presence.skew(node.id)
        return NodeFacts(
            id=node.id,
            tags=node.tags,
            silent_s=silent,
            heard_at=None if online else self._presence.last_seen(node),
            reconnecting=reconnecting,
            simulated=node.simulated,
            pending=node.pending,
            waiting=node.waiting,
            cores=node.identity.cpu_cores,
            reboot_required=node.reboot_required,
            reboot_since_at=node.reboot_since_at,
            updates_security=node.updates.security,
            security_since_at=node.security_since_at,
            patch_missed=node.patch_missed,
            lists_checked_at=node.updates.checked_at,
            tables={subject: tables[subject] for subject in SUBJECTS if subject in tables},
            clock_skew_s=None if skew_s is None else round(skew_s, SKEW_DIGITS),
            agent=agent_state(node.agent_version, self._shipped),
            outdated_since_at=self._outdated_since(node),
            jobs=None if self._unread_jobs else {} if failed_at is None else {"job_failed": failed_at},
            deadlines=None if unmet is None else {name: float(RANK[one.level]) for name, one in unmet.items()},
            missing_since={} if unmet is None else {name: one.by_at for name, one in unmet.items()},
            expectations=self._deadlines.names(),
        )

    def unmet(self, node: NodeId, expectation: str) -> Unmet | None:
        """The open missed deadline of a node; None: there is none. Args: expectation: its name."""
        return (self._deadlines.unmet(node) or {}).get(expectation)

    def _outdated_since(self, node: Node) -> float | None:
        if self._shipped_since is None or agent_state(node.agent_version, self._shipped) != "outdated":
            return None
        return max(self._shipped_since, node.created_at)

    async def _note_shipped(self) -> None:
        """Note since when this Spider comes with the hub. If the store fails, alerts are evaluated, but no Spider counts as outdated."""
        try:
            self._shipped_since = await self._hubs.ship_agent(self._shipped)
        except StoreError as exc:
            event(log, "shipped_agent_unnoted", logging.WARNING, error=exc.code)
