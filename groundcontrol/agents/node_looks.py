"""Orders fast looks of agents, and keeps in memory what they tell. An agent tells all again in each session, so nothing is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import AgentSession
from groundcontrol.core.ids import NodeId
from groundcontrol.core.text import clean
from groundcontrol.nodes.looks import LookRun, LooksState, LookWish
from spider.clock import Clock
from spider.wire.errors import ProtocolError
from spider.wire.frames import LOOKS
from spider.wire.probes import MAX_PROBE_CHARS
from spider.wire.report_messages import MAX_PROBES, Looked, LookedOn, LookOrder

LOOKS_S: Final = 5
LEASE_S: Final = 2 * 3600
"""So long a node looks on while no hub is there."""
RENEW_S: Final = 600.0
MAX_RUNS: Final = 500
MAX_BYTES: Final = 4_000_000
"""Most runs of a node, and about most bytes of memory for them. The oldest are dropped, and the gap in the times holds."""
RUN_BYTES: Final = 1000
ITEM_BYTES: Final = 80
"""About what a run, and each item of its lists, takes beside its characters."""
MAX_NAME: Final = 200
MAX_ANSWER: Final = 100
LATEST_MS: Final = 4_102_444_800_000
_PARTS: Final = frozenset({"units", "ports", "mounts"})


class _Watched:
    """A node that is looked at."""

    def __init__(self, wish: LookWish) -> None:
        self.wish = wish
        self.runs: dict[int, LookRun] = {}
        """By the milliseconds of the first look."""
        self.sizes: dict[int, int] = {}
        self.epoch = -1
        """Session to which the order was sent last."""
        self.sent_at = 0.0


class NodeLooks:
    """The looks of the nodes that roll-outs have in hand."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._watched: dict[NodeId, _Watched] = {}

    async def keep(self, wanted: Mapping[NodeId, LookWish]) -> None:
        """Have exactly these nodes looked at. The looks of all others end, and are forgotten."""
        for node in [node for node in self._watched if node not in wanted]:
            gone, agent = self._watched.pop(node), self._registry.agent(node)
            if agent is not None and agent.session.epoch == gone.epoch:
                await agent.send(LookOrder(gone.wish.order, 0, LOOKS_S, []))
        now = self._clock.monotonic()
        for node, wish in wanted.items():
            one = self._watched.get(node)
            if one is None or one.wish != wish:
                one = self._watched[node] = _Watched(wish)
            agent = self._registry.agent(node)
            if agent is None or LOOKS not in agent.hello.features:
                continue
            if one.epoch != agent.session.epoch or now - one.sent_at >= RENEW_S:
                one.epoch, one.sent_at = agent.session.epoch, now
                await agent.send(LookOrder(wish.order, LEASE_S, LOOKS_S, list(wish.probes)))

    def state(self, node: NodeId) -> LooksState:
        agent = self._registry.agent(node)
        if agent is None:
            return "offline"
        return "asked" if LOOKS in agent.hello.features else "too_old"

    def runs(self, node: NodeId, order: str) -> Sequence[LookRun]:
        one = self._watched.get(node)
        return [one.runs[at] for at in sorted(one.runs)] if one is not None and one.wish.order == order else []

    def looked(self, agent: AgentSession, message: Looked) -> None:
        """Receive a run. One that nobody ordered is dropped. Raises: ProtocolError."""
        run = _read(message)
        one = self._watched.get(agent.node.id)
        if one is None or one.wish.order != message.order:
            return
        one.runs[message.from_ms] = run
        one.sizes[message.from_ms] = _size_bytes(message)
        total = sum(one.sizes.values())
        while len(one.runs) > MAX_RUNS or (total > MAX_BYTES and len(one.runs) > 1):
            oldest = min(one.runs)
            del one.runs[oldest]
            total -= one.sizes.pop(oldest)

    def looked_on(self, agent: AgentSession, message: LookedOn) -> None:
        """Receive that a run goes on. Raises: ProtocolError."""
        _check_times(message)
        one = self._watched.get(agent.node.id)
        run = None if one is None or one.wish.order != message.order else one.runs.get(message.from_ms)
        if one is not None and run is not None and message.looks >= run.looks:
            one.runs[message.from_ms] = run._replace(to_at=message.to_ms / 1000, looks=message.looks)


def _size_bytes(message: Looked) -> int:
    """About the memory that a run takes: each of its lists counts."""
    lists: list[Sequence[object]] = [value for value in message if isinstance(value, list)]
    return RUN_BYTES + sum(ITEM_BYTES + (4 * len(item) if isinstance(item, str) else 0) for items in lists for item in items)


def _check_times(message: Looked | LookedOn) -> None:
    if not (0 < message.from_ms <= message.to_ms <= LATEST_MS and 0 < message.looks <= 1 << 20):
        raise ProtocolError("looks with impossible times")


def _read(message: Looked) -> LookRun:
    """Decode a run; texts of a hostile node become plain. Raises: ProtocolError."""
    _check_times(message)
    if (
        len(message.restarted) != len(message.restarts)
        or len(message.mounts) != len(message.full_percent)
        or len(message.probes) != len(message.answers)
        or len(message.probes) > MAX_PROBES
        or not all(0 <= count < 1 << 32 for count in message.restarts)
        or not all(-1 <= percent <= 100 for percent in message.full_percent)
    ):
        raise ProtocolError("looks with impossible lists")
    missing = _PARTS & {*message.absent, *message.unreadable}
    units, ports, mounts = ("units" not in missing, "ports" not in missing, "mounts" not in missing)
    return LookRun(
        message.from_ms / 1000,
        message.to_ms / 1000,
        message.looks,
        _PARTS & set(message.absent),
        _names(message.failed) if units else None,
        _names(message.restarting) if units else None,
        _names(message.active) if units else None,
        dict(zip(_names(message.restarted), message.restarts, strict=True)) if units else None,
        _names(message.ports) if ports else None,
        {mount: None if full < 0 else full for mount, full in zip(_names(message.mounts), message.full_percent, strict=True)}
        if mounts
        else None,
        _names(message.read_only) if mounts else None,
        None if message.oom_kills < 0 else message.oom_kills,
        {clean(probe, MAX_PROBE_CHARS): clean(answer, MAX_ANSWER) for probe, answer in zip(message.probes, message.answers, strict=True)},
    )


def _names(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(clean(text, MAX_NAME) for text in texts)
