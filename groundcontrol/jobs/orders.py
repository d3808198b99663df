"""Seals orders and sends them to nodes. An order is a signed message to the launcher, the program of a node that starts jobs as root.
Remembers in memory which orders were sent and not accepted yet.

An order may always be sent again: the launcher on the node records the ids that it accepted, and starts none of them twice.
"""

from __future__ import annotations

import hashlib
import logging
import weakref
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import AgentSession
from groundcontrol.core import failpoints
from groundcontrol.core.errors import Conflict
from groundcontrol.core.ids import JobId, NodeId
from groundcontrol.jobs.messages import NEVER_BEGUN, NEVER_STARTED
from groundcontrol.jobs.model import Job
from groundcontrol.jobs.requests import order_args
from groundcontrol.nodes.model import Session
from spider.clock import Clock
from spider.logs import event
from spider.wire.job_messages import MAX_BUNDLE_PART_BYTES, Bundle, JobStart, JobStop
from spider.wire.orders import MAX_LIFE_S, ORDER_TIME, SignedOrder, seal_order
from spider.wire.proof import node_keys, rekey_mask
from spider.wire.verbs import REKEY, STOP, UPDATE

log = logging.getLogger(__name__)

RETRY_EVERY_S: Final = 5.0
STOP_CORRECTIONS: Final = 3
"""How often the time of a stop order is corrected. One is enough, but for a clock that is set meanwhile, and for the answer to an order that was
repeated before it was corrected."""
KEYS_CHANGE_S: Final = 120.0
"""How long after a `rekey` a node may still be in the session of its former keys. It normally reconnects within some seconds."""
MAX_GENERATION: Final = (1 << 32) - 1


class NotAccepted(NamedTuple):
    """Why a node has not accepted a job yet."""

    why: str
    answer: str
    skew_s: float
    """Seconds by which the node's clock is ahead of the hub's, if it refused for its clock; else 0."""


@dataclass
class _Sent:
    """A job that its node has not accepted yet."""

    org: int
    unanswered: int = 0
    """Orders sent and not answered. While this is not 0, no refusal is conclusive: an order in flight may still start the job."""
    refusal: NotAccepted | None = None
    """The latest refusal. The job is sent again at the monotonic time `again_at`."""
    again_at: float = 0.0
    held_skew_s: float | None = None
    """Clock skew of the node, if the order is held back: the node may be cloned, or changes its keys. None: not held back."""


class _StopSent(NamedTuple):
    """The last stop order of a job."""

    at: float = 0.0
    """Monotonic seconds."""
    epoch: int = -1
    force: bool = False
    skew_s: float = 0.0
    """Seconds by which the order's time was corrected after a refusal for the node's clock."""
    corrections: int = 0


class _NewKeys(NamedTuple):
    """The latest `rekey` order that was sent to a node."""

    job: JobId
    epoch: int
    """Epoch of the session in which the order was sent."""
    done_at: float | None
    """Monotonic time at which the node reported the new keys in that session; None: not yet."""


class OrderSender:
    """Sends the orders of this hub. It changes no job's state: `JobTracker` decides what is sent and what an answer means."""

    def __init__(self, clock: Clock, registry: Registry, fleet_key: bytes, bundle: bytes) -> None:
        """Args: bundle: the agent bundle that `update` jobs install."""
        self._clock = clock
        self._registry = registry
        self._fleet_key = fleet_key
        self._bundle = bundle
        self._digest = hashlib.sha256(bundle).digest()
        self._given: weakref.WeakSet[AgentSession] = weakref.WeakSet()
        """Sessions that have the bundle."""
        self._sent: dict[JobId, _Sent] = {}
        self._withdrawn: set[JobId] = set()
        """Jobs that the hub is closing. A caller that read such a job before does not send it either."""
        self._stops: dict[JobId, _StopSent] = {}
        self._new_keys: dict[NodeId, _NewKeys] = {}
        """The latest `rekey` of each node that has not reconnected since."""

    async def start(self, agent: AgentSession, job: Job, skew_s: float = 0.0) -> None:
        """Seal the order of a job and send it. The order carries the time of the node's clock.

        A node suspected of a clone receives `rekey` alone. A node that changes its keys receives nothing until it reconnects.
        Jobs held back here are `due` after that. A job that is too late, withdrawn or to be stopped is not sent.

        Args:   skew_s: seconds by which the node's clock is ahead of the hub's.
        Raises: Conflict: a `rekey` of a node that has the last generation of keys.
        """
        if job.id in self._withdrawn:
            return
        sent = self._sent.setdefault(job.id, _Sent(job.org))
        if self.left_behind(agent.session) or (job.action != REKEY and self._registry.is_cloned(job.node_id)):
            sent.held_skew_s = skew_s
            return
        sent.held_skew_s = None
        issued = int(self._clock.now() + skew_s)
        expires = min(issued + MAX_LIFE_S, int(job.not_after + skew_s))
        if expires <= issued or job.stop is not None:
            return
        args = self._new_keys_of(job, agent.hello.generation) if job.action == REKEY else order_args(job.request, agent.hello.features)
        sent.unanswered += 1  # before any wait: a stop meanwhile must not end the job as one that was certainly never started
        for part in self._parts(agent, job):
            await agent.send(part)
        at = int(self._clock.now()) if ORDER_TIME in agent.hello.features else None
        frame = self._seal(agent, SignedOrder(job.node_id, agent.hello.generation, job.id, job.action, args, issued, expires, at))
        event(log, "job_sent", job=job.id, node=job.node_id, action=job.action)
        if job.action == REKEY:
            self._new_keys[job.node_id] = _NewKeys(job.id, agent.session.epoch, None)
        await agent.send(JobStart(job.id, frame))
        failpoints.hit("job.send.post")

    def _seal(self, agent: AgentSession, order: SignedOrder) -> bytes:
        return seal_order(node_keys(self._fleet_key, order.node, agent.hello.generation).launch, order)

    # -- answers ---------------------------------------------------------------------------------

    def answered(self, job_id: JobId) -> None:
        """Count one order of this job as answered."""
        sent = self._sent.get(job_id)
        if sent is not None and sent.unanswered:
            sent.unanswered -= 1

    def refusal(self, job_id: JobId) -> NotAccepted | None:
        """The latest refusal of a job that is going to be sent again; else None."""
        sent = self._sent.get(job_id)
        return None if sent is None else sent.refusal

    def final_refusal(self, job_id: JobId) -> NotAccepted | None:
        """As `refusal`, but None while an order is not answered, since it may still start the job."""
        sent = self._sent.get(job_id)
        return None if sent is None or sent.unanswered else sent.refusal

    def never_started(self, job_id: JobId, why: str) -> bool:
        """Whether this refusal proves that the job was not started and never will be."""
        sent = self._sent.get(job_id)
        return why in NEVER_BEGUN or (why in NEVER_STARTED and (sent is None or not sent.unanswered))

    def send_later(self, job: Job, reason: NotAccepted) -> None:
        """Have the job sent again every RETRY_EVERY_S until its `not_after`."""
        sent = self._sent.setdefault(job.id, _Sent(job.org))
        sent.refusal, sent.again_at = reason, self._clock.monotonic() + RETRY_EVERY_S

    def due(self) -> list[tuple[JobId, int, float]]:
        """Jobs to send again now, each with its organisation and the clock skew of its node: refused jobs whose time has come, and all that are held back."""
        now = self._clock.monotonic()
        found = []
        for job_id, sent in self._sent.items():
            if sent.refusal is not None and sent.again_at <= now:
                sent.again_at = now + RETRY_EVERY_S
                found.append((job_id, sent.org, sent.refusal.skew_s))
            elif sent.refusal is None and sent.held_skew_s is not None:
                found.append((job_id, sent.org, sent.held_skew_s))
        return found

    def withdraw(self, job_id: JobId) -> None:
        """Stop sending a job, before the store closes it."""
        self._withdrawn.add(job_id)

    def settled(self, job_id: JobId) -> None:
        """Send the job no more: the node has accepted it, or never will."""
        self._sent.pop(job_id, None)

    # -- stops -----------------------------------------------------------------------------------

    def forget_other_stops(self, jobs: Collection[JobId]) -> None:
        """Drop the records of all stop orders, and of all withdrawn jobs, but those of these jobs."""
        self._withdrawn.intersection_update(jobs)
        self._stops = {job_id: stop for job_id, stop in self._stops.items() if job_id in jobs}

    async def stop(self, job: Job) -> None:
        """Send a stop order, at most every RETRY_EVERY_S in a session. A node suspected of a clone gets it once that is resolved."""
        agent = self._registry.agent(job.node_id)
        if agent is None or (job.action != REKEY and self._registry.is_cloned(job.node_id)):
            return
        now, epoch, force = self._clock.monotonic(), agent.session.epoch, job.stop is not None and job.stop.force
        last = self._stops.get(job.id, _StopSent())
        if (last.epoch, last.force) == (epoch, force) and now - last.at < RETRY_EVERY_S:
            return
        self._stops[job.id] = last._replace(at=now, epoch=epoch, force=force)
        issued = int(self._clock.now() + last.skew_s)
        args: dict[str, object] = {"force": True} if force else {}
        order = SignedOrder(job.node_id, agent.hello.generation, job.id, STOP, args, issued, issued + MAX_LIFE_S)
        await agent.send(JobStop(job.id, self._seal(agent, order)))

    def correct_stop(self, job_id: JobId, skew_s: float) -> bool:
        """Correct the time of the next stop order, and allow it immediately. Returns: False: that was tried STOP_CORRECTIONS times."""
        corrections = self._stops.get(job_id, _StopSent()).corrections + 1
        if corrections > STOP_CORRECTIONS:
            return False
        self._stops[job_id] = _StopSent(skew_s=skew_s, corrections=corrections)
        return True

    # -- the agent's own bundle and keys ---------------------------------------------------------

    def _parts(self, agent: AgentSession, job: Job) -> Iterator[Bundle]:
        """The parts of the bundle, to send before an `update` order. Empty: the session has them, or the job installs another version."""
        if job.action != UPDATE or job.plan != self._digest.hex() or agent in self._given:
            return
        self._given.add(agent)
        for at in range(0, len(self._bundle), MAX_BUNDLE_PART_BYTES):
            yield Bundle(self._digest, at, len(self._bundle), self._bundle[at : at + MAX_BUNDLE_PART_BYTES])

    def forget_bundle(self, agent: AgentSession) -> None:
        """Send the bundle again with the next `update`: the job that ended may have consumed it."""
        self._given.discard(agent)

    def _new_keys_of(self, job: Job, generation: int) -> dict[str, object]:
        """The arguments of a `rekey`: masked keys of the next generation, which are stored nowhere. Raises: Conflict: there is none."""
        if generation >= MAX_GENERATION:
            raise Conflict("this node has the last generation of keys that there is: remove it and add it again for new ones")
        new = node_keys(self._fleet_key, job.node_id, generation + 1)
        clear = new.session + new.launch
        mask = rekey_mask(node_keys(self._fleet_key, job.node_id, generation).launch, job.id)
        masked = bytes(left ^ right for left, right in zip(clear, mask, strict=True))
        return {"generation": generation + 1, "keys": masked.hex(), "digest": hashlib.sha256(clear).hexdigest()}

    def keys_changed(self, session: Session, job: JobId) -> None:
        """Record that the node has new keys. Its launcher refuses orders under the former keys, so jobs wait for its next session."""
        keys = self._new_keys.get(session.node)
        if keys is not None and (keys.job, keys.epoch) == (job, session.epoch):
            self._new_keys[session.node] = keys._replace(done_at=self._clock.monotonic())

    def left_behind(self, session: Session) -> bool:
        """Whether the node has replaced the keys of this session within KEYS_CHANGE_S."""
        keys = self._new_keys.get(session.node)
        if keys is None or keys.done_at is None or keys.epoch != session.epoch:
            return False
        return self._clock.monotonic() - keys.done_at < KEYS_CHANGE_S

    def reconnected(self, node: NodeId) -> None:
        """Forget the last `rekey` of a node that has a new session."""
        self._new_keys.pop(node, None)
