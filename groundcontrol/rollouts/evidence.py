"""The evidence of one target: its looks, its samples of the last minutes, and what its gates make of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final, NamedTuple

import msgspec

from groundcontrol.core.errors import HubError
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import hub_scope
from groundcontrol.core.stores import Stores
from groundcontrol.nodes.looks import LookWish
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from groundcontrol.policies.preview import AGENT_TOO_OLD
from groundcontrol.policies.reasons import Hold
from groundcontrol.rollouts.gates import Look, Run, not_available, over_looks, steady
from groundcontrol.rollouts.looks import HostState, Looks
from groundcontrol.rollouts.model import Gate, Rollout, Target
from groundcontrol.rollouts.soft import (
    HISTORY,
    HOUR_S,
    LEFT_OUT_S,
    METRICS,
    MOST_PEERS,
    SETTLE_S,
    SOFT_GATES,
    STEP_S,
    Grown,
    Past,
    Points,
    blamed,
    history,
    is_above,
    leak_gate,
    soft_gate,
)
from groundcontrol.samples.query import WindowBuilder
from groundcontrol.samples.store import MetricStore
from spider.clock import Clock

JUDGE_EVERY_S: Final = 10.0
JUDGE_S: Final = 5.0
"""So long at most is spent on the samples of one target and its peers."""
BASELINE_APART_S: Final = 10.0
BASELINE_S: Final = 600.0
"""A baseline is what all looks of this time before the work show."""
UNLOOKED_S: Final = 60.0
"""A connected node that can look, and has told nothing for so long after it was asked, is held."""
SERIES: Final = ("cpu.total", "memory.used", "memory.total")
HISTORY_ENOUGH_S, HISTORY_AGAIN_S = 600.0, 30.0
"""How long it is remembered that a node has enough samples from before the work, or has not."""
HISTORY_READS: Final = 20
"""Most nodes of one roll-out whose past is read in one sweep."""


class Seen(NamedTuple):
    heard_to: float
    coverage: float
    gates: tuple[Gate, ...]
    baseline: str
    hold: Hold | None = None
    """Why its looks bar a start; None: they do not."""
    looked: bool = True
    """Whether its baseline is complete."""


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
        self._asked: dict[NodeId, float] = {}
        """Node -> since when its first looks are waited for, in monotonic seconds."""
        self._grown: dict[NodeId, tuple[float, Grown]] = {}
        """Node -> until when it holds, in monotonic seconds, and how much of its past there is."""
        self._reads: dict[str, tuple[float, int]] = {}
        """Roll-out -> the sweep of its last reads of a past, and their number."""

    def host(self, node: NodeId) -> HostState | None:
        return self._looks.host(node)

    async def keep(self, wanted: Mapping[NodeId, LookWish]) -> None:
        """Have exactly these nodes looked at."""
        await self._looks.keep(wanted)
        self._asked = {node: self._asked.get(node, self._clock.monotonic()) for node in wanted}

    async def read(self, rollout: Rollout, target: Target, node: Node, settle_s: float = 0.0) -> Seen:
        """Args: settle_s: hard gates count so long after the work. Raises: StoreError."""
        host = self._looks.host(node.id)
        sampled_to = 0.0 if host is None else host.heard_to
        if target.step != "watch":
            self._judged.pop((rollout.id, node.id), None)
            runs = self._looks.runs(node.id, rollout.id)
            heard_to = max([sampled_to, *(run.to_at for run in runs[-1:])])
            if target.state not in ("pending", "held"):
                return Seen(heard_to, 1.0, (), target.baseline)
            baseline = _baseline(runs)
            return Seen(heard_to, 1.0, (), baseline, self._unlooked(node.id, runs, baseline), bool(baseline))
        settled = target.settled_at or 0.0
        runs = self._looks.runs(node.id, rollout.id, settled + settle_s)
        every = self._looks.runs(node.id, rollout.id, settled)
        heard_to = max([settled + target.watched_s, *(run.to_at for run in every[-1:])])  # after a restart of the hub the looks come again
        judged = await self._judge(rollout, target, node, sampled_to)
        gates = list(judged.soft)
        before = baseline_of(target.baseline)
        if before is None:
            gates.append(Gate("baseline", "", "unknown", "what it showed before the work is not known", heard_to))
        else:
            gates += over_looks(before, runs, rebooted=target.rebooted)
            gates += _unreadable(before, runs)
        if runs:
            gates += not_available(before or Look(settled), runs[-1].look)
        looked = self._looks.coverage(node.id, rollout.id, max(settled, sampled_to - 180.0), sampled_to)
        return Seen(heard_to, min(judged.coverage, looked), tuple(gates), target.baseline)

    async def grown(self, rollout: Rollout, node: Node, at: float, scale: float) -> Grown | None:
        """How much of its past a node has before it begins; None: it is read in one of the next sweeps. Raises: StoreError."""
        now = self._clock.monotonic()
        self._grown = {one: found for one, found in self._grown.items() if found[0] > now}
        known = self._grown.get(node.id)
        if known is not None:
            return known[1]
        begun, count = self._reads.get(rollout.id, (0.0, 0))
        if now - begun >= 1.0:
            begun, count = now, 0
        if count >= HISTORY_READS:
            return None
        self._reads[rollout.id] = begun, count + 1
        end = at - LEFT_OUT_S * scale
        points = (await self._series(node, end - HOUR_S, end)).get("cpu", ())
        found = history(points, scale)
        self._grown[node.id] = now + (HISTORY_ENOUGH_S if found.enough else HISTORY_AGAIN_S), found
        return found

    def _unlooked(self, node: NodeId, runs: Sequence[Run], baseline: str) -> Hold | None:
        """Why a node that has shown no baseline yet is held; None: it has, or its looks are still waited for."""
        if baseline or (state := self._looks.state(node)) == "offline":
            return None
        if state == "too_old":
            return AGENT_TOO_OLD
        if runs and (unread := runs[-1].look.unread()):
            last = max((run.to_at for run in runs if not run.look.unread()), default=runs[0].look.at)
            blind_s = runs[-1].to_at - last
            return ("no_looks", f"its {' and '.join(unread)} could not be read for {blind_s:.0f} s") if blind_s > UNLOOKED_S else None
        waited_s = self._clock.monotonic() - self._asked.get(node, self._clock.monotonic())
        return ("no_looks", f"its agent has not told what it shows for {waited_s:.0f} s") if waited_s > UNLOOKED_S else None

    async def _judge(self, rollout: Rollout, target: Target, node: Node, heard_to: float) -> _Judged:
        key = (rollout.id, node.id)
        known = self._judged.get(key)
        if known is not None and abs(heard_to - known.at) < JUDGE_EVERY_S:
            return known
        coverage = 1.0
        try:
            async with asyncio.timeout(self._judge_s):
                recent = await self._series(node, heard_to - 180.0, heard_to)
                coverage = _coverage(recent.get("cpu", ()))
                judges = heard_to - (target.settled_at or 0.0) >= SETTLE_S
                soft = await self._soft(rollout, target, node, heard_to, recent) if judges else ()
        except TimeoutError:  # the other roll-outs must not wait for it, and what was not read holds
            soft = (Gate("samples", "", "unknown", f"its samples could not be read within {self._judge_s:.0f} s", heard_to, soft=True),)
        self._judged[key] = _Judged(heard_to, coverage, soft)
        return self._judged[key]

    async def _soft(self, rollout: Rollout, target: Target, node: Node, at: float, recent: dict[str, Points]) -> tuple[Gate, ...]:
        begun = min(target.started_at or at, target.settled_at or at)
        before = await self._series(node, begun - HOUR_S - LEFT_OUT_S, begun - LEFT_OUT_S)
        if accepts(rollout, target, HISTORY) and not history(before.get("cpu", ())).enough:
            words = "a person has accepted that nothing is compared with the past"
            return tuple(Gate(name, "", "not_available", words, at, soft=True) for name in SOFT_GATES)
        risen = any(is_above(metric, Past(recent.get(metric, ()), before.get(metric, ()))) for metric in METRICS)
        yesterday = await self._series(node, at - 24 * HOUR_S - 1800.0, at - 24 * HOUR_S + 1800.0) if risen else {}
        peers = [await self._past_of(peer, begun, at) for peer in await self._peers(rollout, target)] if risen else []
        found: list[Gate] = []
        for metric in METRICS:
            own = Past(recent.get(metric, ()), before.get(metric, ()), yesterday.get(metric, ()))
            since = next((gate.since_at for gate in target.gates if gate.gate == metric and gate.verdict in ("worse", "already")), None)
            others = [past[metric] for past in peers]
            gate = soft_gate(metric, own, others, since, at)
            if gate is not None and gate.verdict in ("worse", "already"):
                gate = soft_gate(metric, own, others, since, at, await self._blame(node, metric, begun, at))
            if gate is not None:
                found.append(gate)
        longer = await self._series(node, at - 360.0, at)
        leak = leak_gate(longer.get("memory", ()), before.get("memory", ()), at)
        return tuple(found if leak is None else [*found, leak])

    async def _blame(self, node: Node, metric: str, begun: float, at: float) -> str:
        """The services and containers whose use of a metric rose most. Empty: none did, or they are not known."""
        host = self._looks.host(node.id)
        whole = {"cpu": float(node.identity.cpu_cores), "memory": node.identity.memory_bytes / 100.0}.get(metric, 0.0)
        names = [name for name in host.services if name.partition("{")[0].endswith(f".{metric}")] if host is not None and whole else []
        if not names:
            return ""
        before = await self._medians(node, names, begun - HOUR_S - LEFT_OUT_S, begun - LEFT_OUT_S)
        now = await self._medians(node, names, at - 180.0, at)
        return blamed({name.partition("=")[2].rstrip("}"): (now[name] - before.get(name, 0.0)) / whole for name in now})

    async def _medians(self, node: Node, names: Sequence[str], start: float, end: float) -> dict[str, float]:
        """The median of each series over a time; those without samples are left out."""
        try:
            builder = WindowBuilder(names, start, end, 60)
            await self._stores[MetricStore].window(node.no, builder)
        except HubError:
            return {}
        window = await asyncio.to_thread(builder.finish)
        points = {name: [one for one in window.series[name].avg if one is not None] for name in names}
        return {name: median(known) for name, known in points.items() if known}

    async def _peers(self, rollout: Rollout, target: Target) -> Sequence[Node]:
        """Targets of the same role that are compared with. Without a role there are none."""
        if not target.role:
            return []
        ids = [one.node for one in rollout.targets if one.role == target.role and one.node != target.node and is_peer(one)]
        page = await self._stores[NodeStore].nodes(hub_scope(rollout.org), MOST_PEERS, only=ids[:MOST_PEERS])
        return page.items

    async def _past_of(self, node: Node, begun: float, at: float) -> dict[str, Past]:
        now = await self._series(node, at - 180.0, at)
        before = await self._series(node, begun - HOUR_S - LEFT_OUT_S, begun - LEFT_OUT_S)
        return {metric: Past(now.get(metric, ()), before.get(metric, ())) for metric in METRICS}

    async def _series(self, node: Node, start: float, end: float) -> dict[str, Points]:
        """Means of ten seconds, in percent. Empty: the time is out of bounds, or nothing is there."""
        if start <= 0 or end <= start:
            return {}
        start, end = (at // STEP_S * STEP_S for at in (start, end))  # whole steps, or the window would have wider ones
        host = self._looks.host(node.id)
        disks = () if host is None else host.disks
        builder = WindowBuilder((*SERIES, *disks), start, end, max(1, round((end - start) / STEP_S)))
        try:
            await self._stores[MetricStore].window(node.no, builder)
        except HubError:
            return {}
        window = await asyncio.to_thread(builder.finish)
        cpu, used, total = (window.series[name].avg for name in SERIES)
        memory = [None if part is None or not whole else 100.0 * part / whole for part, whole in zip(used, total, strict=True)]
        return {"cpu": cpu, "memory": memory, "disk": _busiest([window.series[name].avg for name in disks])}


def _busiest(disks: Sequence[Points]) -> Points:
    """The busiest disk at each time; None: no disk was measured then."""
    return [max((one for one in at if one is not None), default=None) for at in zip(*disks, strict=True)]


def _baseline(runs: Sequence[Run]) -> str:
    """What all whole looks of the last minutes show, as JSON; empty: there are too few yet, or the newest is not whole.

    A part that could not be read must not seem to be one that the host does not have: its gates would never be judged.
    """
    if not runs or runs[-1].look.unread():
        return ""
    recent = [run for run in runs if runs[-1].to_at - run.to_at <= BASELINE_S and not run.look.unread()]
    if recent[-1].to_at - recent[0].look.at < BASELINE_APART_S:
        return ""
    return msgspec.json.encode(steady([run.look for run in recent])._asdict()).decode()


def _unreadable(before: Look, runs: Sequence[Run]) -> list[Gate]:
    """Parts that the node showed before the work and cannot read now. Missing data holds."""
    if not runs:
        return []
    now = runs[-1].look
    missing = [name for name, part in before.parts().items() if part is not None and now.parts()[name] is None]
    return [Gate("evidence", name, "unknown", f"its {name} cannot be read now", now.at) for name in missing]


def is_peer(one: Target) -> bool:
    """Whether a target of the same role is compared with: it was not begun, or it was watched to its end and is well.

    The latter are all that is left in the last wave. Without them, a rise of the whole fleet would stop it.
    """
    return one.started_at is None or one.state == "passed"


def accepts(rollout: Rollout, target: Target, hold: str) -> bool:
    """Whether a person has accepted that this target begins in spite of one of `ACCEPTED_HOLDS`."""
    return any(one.gate in (hold, "*") and one.wave >= target.wave for one in rollout.overrides)


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
