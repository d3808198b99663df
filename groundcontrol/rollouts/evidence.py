"""The evidence of one target: its looks, its samples of the last minutes, and what its gates make of them."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

import msgspec

from groundcontrol.core.errors import HubError
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import hub_scope
from groundcontrol.core.stores import Stores
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from groundcontrol.rollouts.gates import Look, hard_gates, steady
from groundcontrol.rollouts.looks import Looks
from groundcontrol.rollouts.model import Gate, Rollout, Target
from groundcontrol.rollouts.soft import MOST_PEERS, SETTLE_S, STEP_S, Past, Points, leak_gate, soft_gate
from groundcontrol.samples.query import WindowBuilder
from groundcontrol.samples.store import MetricStore
from spider.clock import Clock

JUDGE_EVERY_S: Final = 10.0
JUDGE_S: Final = 5.0
"""So long at most is spent on the samples of one target and its peers."""
BASELINE_APART_S: Final = 10.0
SERIES: Final = ("cpu.total", "memory.used", "memory.total")
HOUR_S: Final = 3600.0


class Seen(NamedTuple):
    heard_to: float
    coverage: float
    gates: tuple[Gate, ...]
    baseline: str


class _Judged(NamedTuple):
    at: float
    coverage: float
    soft: tuple[Gate, ...]


class Evidence:
    """Reads looks and samples. Its memory is a cache only: after a restart the same samples give the same gates."""

    def __init__(self, stores: Stores, clock: Clock, looks: Looks, judge_s: float = JUDGE_S) -> None:
        self._stores = stores
        self._clock = clock
        self._looks = looks
        self._judge_s = judge_s
        self._judged: dict[tuple[str, NodeId], _Judged] = {}
        self._first: dict[NodeId, Look] = {}

    def look(self, node: NodeId) -> Look | None:
        return self._looks.look(node)

    async def read(self, rollout: Rollout, target: Target, node: Node) -> Seen:
        """Raises: StoreError."""
        look = self._looks.look(node.id)
        heard_to = 0.0 if look is None else look.at
        if target.step != "watch":
            self._judged.pop((rollout.id, node.id), None)
            waiting = target.state in ("pending", "held")
            return Seen(heard_to, 1.0, (), self._baseline(node.id, look) if waiting and look is not None else target.baseline)
        judged = await self._judge(rollout, target, node, heard_to)
        gates = list(judged.soft)
        before = baseline_of(target.baseline)
        if look is not None and before is not None:
            gates += hard_gates(before, look, rebooted=target.rebooted)
        elif before is None:
            gates.append(Gate("baseline", "", "unknown", "what it showed before the work is not known", heard_to))
        return Seen(heard_to, judged.coverage, tuple(gates), target.baseline)

    def _baseline(self, node: NodeId, look: Look) -> str:
        """What two looks that are ten seconds apart both show; until then, what one shows."""
        first = self._first.get(node)
        if first is None or look.boot != first.boot or look.at - first.at > HOUR_S:
            self._first[node] = first = look
        found = steady(first, look) if look.at - first.at >= BASELINE_APART_S else look
        return msgspec.json.encode(found._asdict()).decode()

    async def _judge(self, rollout: Rollout, target: Target, node: Node, heard_to: float) -> _Judged:
        key = (rollout.id, node.id)
        known = self._judged.get(key)
        if known is not None and abs(heard_to - known.at) < JUDGE_EVERY_S:
            return known
        coverage = 1.0
        try:
            async with asyncio.timeout(self._judge_s):
                recent = await self._series(node.no, heard_to - 180.0, heard_to)
                coverage = _coverage(recent.get("cpu", ()))
                judges = heard_to - (target.settled_at or 0.0) >= SETTLE_S
                soft = await self._soft(rollout, target, node, heard_to, recent) if judges else ()
        except TimeoutError:  # the other roll-outs must not wait for it, and what was not read holds
            soft = (Gate("samples", "", "unknown", f"its samples could not be read within {self._judge_s:.0f} s", heard_to, soft=True),)
        self._judged[key] = _Judged(heard_to, coverage, soft)
        return self._judged[key]

    async def _soft(self, rollout: Rollout, target: Target, node: Node, at: float, recent: dict[str, Points]) -> tuple[Gate, ...]:
        begun = min(target.started_at or at, target.settled_at or at)
        before = await self._series(node.no, begun - HOUR_S - 120.0, begun - 120.0)
        yesterday = await self._series(node.no, at - 24 * HOUR_S - 1800.0, at - 24 * HOUR_S + 1800.0)
        peers = [await self._past_of(peer, begun, at) for peer in await self._peers(rollout, target)]
        found: list[Gate] = []
        for metric in ("cpu", "memory"):
            own = Past(recent.get(metric, ()), before.get(metric, ()), yesterday.get(metric, ()))
            since = next((gate.since_at for gate in target.gates if gate.gate == metric and gate.verdict in ("worse", "already")), None)
            gate = soft_gate(metric, own, [past[metric] for past in peers], since, at)
            if gate is not None:
                found.append(gate)
        longer = await self._series(node.no, at - 360.0, at)
        leak = leak_gate(longer.get("memory", ()), before.get("memory", ()), at)
        return tuple(found if leak is None else [*found, leak])

    async def _peers(self, rollout: Rollout, target: Target) -> list[int]:
        """Numbers of nodes of the same role that this roll-out has not begun. Without a role there are none."""
        if not target.role:
            return []
        ids = [one.node for one in rollout.targets if one.role == target.role and one.started_at is None and one.node != target.node]
        page = await self._stores[NodeStore].nodes(hub_scope(rollout.org), MOST_PEERS, only=ids[:MOST_PEERS])
        return [node.no for node in page.items]

    async def _past_of(self, no: int, begun: float, at: float) -> dict[str, Past]:
        now = await self._series(no, at - 180.0, at)
        before = await self._series(no, begun - HOUR_S - 120.0, begun - 120.0)
        return {metric: Past(now.get(metric, ()), before.get(metric, ())) for metric in ("cpu", "memory")}

    async def _series(self, no: int, start: float, end: float) -> dict[str, Points]:
        """Means of ten seconds, in percent. Empty: the time is out of bounds, or nothing is there."""
        if start <= 0 or end <= start:
            return {}
        builder = WindowBuilder(SERIES, start, end, max(1, round((end - start) / STEP_S)))
        try:
            await self._stores[MetricStore].window(no, builder)
        except HubError:
            return {}
        window = await asyncio.to_thread(builder.finish)
        cpu, used, total = (window.series[name].avg for name in SERIES)
        memory = [None if part is None or not whole else 100.0 * part / whole for part, whole in zip(used, total, strict=True)]
        return {"cpu": cpu, "memory": memory}


def _coverage(points: Points) -> float:
    return sum(1 for one in points if one is not None) / len(points) if points else 0.0


def baseline_of(text: str) -> Look | None:
    """None: there is none, or it cannot be read."""
    if not text:
        return None
    try:
        found = msgspec.json.decode(text, type=dict[str, object])
        return msgspec.convert([found.get(name, default) for name, default in {"at": 0.0, **Look._field_defaults}.items()], Look)
    except (msgspec.MsgspecError, KeyError, TypeError):
        return None
