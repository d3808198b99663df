"""alert.storm, alert.restart, alert.explain and alert.latency: times of the alert service, with a store on disk."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.model import Rule, RuleId, Threshold
from groundcontrol.alerts.states import NodeFacts
from groundcontrol.core.ids import NodeId
from groundcontrol.samples.model import StoredRow
from groundcontrol.schedules.model import Selector
from scripts.benches.measure import Results, line
from tests.support.alert_samples import BEGAN, layout_of
from tests.support.alert_trial import AlertTrial, alert_trial

NODES: Final = 1000
EXPLAINED: Final = 50
RUNS: Final = 3
MINUTE_S: Final = 60
PACKS_S: Final = (60, 10, 1)
"""Seconds of samples in a pack: by default, with `pack_seconds` at 10, and while the node is watched."""
GROUPED_S: Final = 60.0


@asynccontextmanager
async def _trial() -> AsyncIterator[AlertTrial]:
    with tempfile.TemporaryDirectory() as folder:
        async with alert_trial(Path(folder), NODES) as trial:
            yield trial


async def storm(runs: int = RUNS) -> Results:
    """One alert of every node in one tick: the transaction, the whole tick, the loop's part of the tick, and a channel's messages."""
    found = []
    for _ in range(runs):
        async with _trial() as trial:
            found.append(await _storm(trial))
    commit_s, tick_s, loop_s, messages = zip(*found, strict=True)
    return [
        line("alert.storm", statistics.median(commit_s) * 1000, "ms"),
        line("alert.storm.tick", statistics.median(tick_s) * 1000, "ms"),
        line("alert.storm.loop", statistics.median(loop_s) * 1000, "ms"),
        line("alert.storm.messages", max(messages), "messages"),
    ]


async def _storm(trial: AlertTrial) -> tuple[float, float, float, int]:
    """Returns: seconds of the transaction, of the tick, and of the loop's processor time in it; the messages of a channel."""
    before = _commits(trial)
    trial.fleet.levels = {node: {"backup": 2.0} for node in trial.nodes}
    trial.hold_all()
    began, began_loop = time.perf_counter(), time.thread_time()
    await trial.service.tick(0)
    tick_s, loop_s = time.perf_counter() - began, time.thread_time() - began_loop
    commit_s = trial.commit_s
    if _commits(trial) != before + 1 or len(await trial.firing()) != NODES:
        raise ValueError("the alerts were not stored in one transaction")
    await trial.pass_s(GROUPED_S)
    return commit_s, tick_s, loop_s, len(trial.told())


def _commits(trial: AlertTrial) -> int:
    return sum(stats.commits for stats in trial.backend.database.stats.values())


async def restart() -> Results:
    """Time from the start of the service until it evaluates, with two firing alerts on each of 1,000 nodes."""
    async with _trial() as trial:
        trial.fleet.levels = {node: {"backup": 2.0, "copy": 1.0} for node in trial.nodes}
        await trial.pass_s(GROUPED_S)
        await trial.restart(60.0, back=trial.nodes)
        began = time.perf_counter()
        await trial.start()
        await trial.service.tick(0)
        started_s = time.perf_counter() - began
        firing = await trial.firing()
        if len(firing) != 2 * NODES:
            raise ValueError(f"{len(firing)} alerts fire")
    return [line("alert.restart", started_s, "s")]


async def explain() -> Results:
    """Time to explain one of 2,000 firing alerts for five channels."""
    async with _trial() as trial:
        for number in range(4):
            await trial.channel(f"team-{number}")
        trial.fleet.levels = {node: {"backup": 2.0, "copy": 1.0} for node in trial.nodes}
        await trial.pass_s(GROUPED_S)
        took = []
        for alert in (await trial.firing())[:EXPLAINED]:
            began = time.perf_counter()
            found = await trial.intents.explain(alert)
            took.append(time.perf_counter() - began)
            if [one.reason for one in found] != ["ready"] * 5:
                raise ValueError(f"not every channel has a message: {found}")
    return [line("alert.explain", statistics.median(took) * 1000, "ms"), line("alert.explain.max", max(took) * 1000, "ms")]


def latency() -> Results:
    """The longest time from the sample that passes a threshold until the alert fires, without `for`, by the length of a pack."""
    return [line(f"alert.latency.{pack_s}", max(_latency(at, pack_s) for at in range(MINUTE_S)), "s") for pack_s in PACKS_S]


def _latency(crossed_s: int, pack_s: int) -> float:
    """Simulated seconds until the alert fires.

    Args: crossed_s: the second of the minute in which the value passes the threshold. pack_s: seconds of samples that arrive together.
    """
    engine, node, layout = Engine(), NodeId("n"), layout_of("pulse", ["cpu.total"])
    limit = Threshold(50.0, 50.0)
    engine.set_rules([Rule(RuleId("busy"), "busy", "last(cpu.total)", Selector(all=True), warn=limit)])
    engine.set_node(NodeFacts(node, cores=1, clock_skew_s=0.0))
    held: list[StoredRow] = []
    for second in range(4 * MINUTE_S):
        held.append(StoredRow((BEGAN + second) * 1000, [9000 if second >= MINUTE_S + crossed_s else 1000]))
        if len(held) == pack_s:
            engine.add_rows(node, layout, held)
            held = []
        if any(one.kind == "fired" for one in engine.tick(BEGAN + second + 1.0)):
            return second + 1.0 - MINUTE_S - crossed_s
    raise ValueError("the alert did not fire")
