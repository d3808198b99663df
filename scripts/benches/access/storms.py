"""access.storms: the effect of attacks on other users of a hub, each compared with the same hub at rest."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from groundcontrol.web.routes import ROOT
from scripts.benches.measure import Results, line
from spider.reports.package_sync import digest_of
from spider.wire.frames import SUBPROTOCOL
from spider.wire.job_messages import JobProgress
from spider.wire.report_messages import InstalledPackages, LogAck, Table
from tests.support.agent import IDENTITY, QUESTION, AgentClosed, agents
from tests.support.attack_tools import addresses, ask, attackers, figure, hashes, meanwhile, try_password
from tests.support.hub import PASSWORD, Enrolled, HubProcess

GUESSES = 500
SLOW_SOCKETS = 600
DEAR_NODES = 150
UPDATES = 600
DEAR_CALLS = 33
SILENT_SOCKETS = 64
SLOW_BODIES = 1000
CHANGES = 3000
JOINING = 30
HOSTILE_S = 10.0
REPORTS = 20
"""Reports of a foreign job in each session of the hostile node."""
POLL_S = 0.05


def _line(name: str, value: float, unit: str, versus: float | None = None) -> dict[str, object]:
    return line(f"access.{name}", value, unit, versus)


async def _storm(name: str, hub: HubProcess, attack: contextlib.AbstractAsyncContextManager[Any], owner: aiohttp.ClientSession) -> Results:
    """The time of the owner's log-in at rest and during the attack, the attack's password hashes, and the hub's loop lag."""
    calm = (await try_password(owner, "admin", PASSWORD)).seconds
    before = await asyncio.to_thread(hashes, hub)
    async with attack:
        during = (await try_password(owner, "admin", PASSWORD)).seconds
    spent = await asyncio.to_thread(hashes, hub) - before - 1
    lag_ms = await asyncio.to_thread(figure, hub, "loop_lag_seconds_max") * 1000
    return [
        _line(f"{name}.good_log_in", during * 1000, "ms", calm * 1000),
        _line(f"{name}.hashes", spent, "hashes"),
        _line(f"{name}.loop_lag", lag_ms, "ms"),
    ]


async def storms() -> Results:
    """Attacks on the log-in, by a viewer, on the opening of sessions and by a node, each compared with the same hub at rest."""
    results: Results = []
    with tempfile.TemporaryDirectory() as folder:
        with HubProcess(Path(folder) / "guessed") as hub:
            async with attackers(hub, ["127.0.0.2", *addresses(100)]) as [owner, *crowd]:
                guesses = [try_password(crowd[number % 100], f"user-{number}", "a guess") for number in range(GUESSES)]
                results += await _storm("storm_of_500", hub, meanwhile(guesses), owner)
        with HubProcess(Path(folder) / "slow") as hub:
            async with attackers(hub, ["127.0.0.2"]) as [owner]:
                results += await _storm("slow_sockets_600", hub, _trickling(hub), owner)
        with HubProcess(Path(folder) / "dear") as hub:
            results += await _dear_calls(hub)
        with HubProcess(Path(folder) / "silent") as hub:
            results += await _silent_sockets(hub)
        with HubProcess(Path(folder) / "hostile") as hub:
            results += await _hostile_nodes(hub)
        with HubProcess(Path(folder) / "bodies") as hub:
            results += await _slow_bodies(hub)
        with HubProcess(Path(folder) / "changes") as hub:
            results += await _changes_in_a_loop(hub)
    return results


async def _slow_bodies(hub: HubProcess) -> Results:
    """One address begins SLOW_BODIES requests whose bodies come at one byte a second."""
    before = await asyncio.to_thread(figure, hub, "process_open_files")
    begun: list[socket.socket] = []
    async with attackers(hub, ["127.0.0.2"]) as [owner]:
        calm = await _time_good_calls(owner)
        try:
            for _ in range(SLOW_BODIES):
                one = socket.create_connection(("127.0.0.1", hub.port), timeout=10, source_address=("127.0.5.1", 0))
                one.sendall(
                    b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{"
                )
                begun.append(one)
            await asyncio.sleep(1.0)
            held = await asyncio.to_thread(figure, hub, "process_open_files") - before
            during = await _time_good_calls(owner)
        finally:
            for one in begun:
                one.close()
    return [
        _line(f"slow_bodies_{SLOW_BODIES}.held", held, "sockets", SLOW_BODIES),
        _line(f"slow_bodies_{SLOW_BODIES}.good_log_in", during.log_in, "ms", calm.log_in),
        _line(f"slow_bodies_{SLOW_BODIES}.healthz", during.health, "ms", calm.health),
    ]


async def _changes_in_a_loop(hub: HubProcess) -> Results:
    """One user changes the note of a node as fast as the hub answers."""
    [node] = await asyncio.to_thread(hub.enrol, "one")
    token, place = (await asyncio.to_thread(hub.login)).token, f"{ROOT}/nodes/{node.node_id}"
    statuses: Counter[int] = Counter()
    async with attackers(hub, ["127.0.0.2", "127.0.0.3"]) as [owner, loud]:
        calm = await _time_good_calls(owner)

        async def change(first: int) -> None:
            for number in range(first, CHANGES, 8):
                answer = await ask(loud, "PATCH", place, {"note": f"note {number}"}, Authorization=f"Bearer {token}")
                statuses[answer.status] += 1

        async with meanwhile([change(first) for first in range(8)]) as attack:
            await asyncio.sleep(POLL_S)
            during = await _time_good_calls(owner)
        await attack
    assert set(statuses) <= {200, 429}, statuses
    return [
        _line(f"changes_{CHANGES}.stored", statuses[200], "rows", CHANGES),
        _line(f"changes_{CHANGES}.good_log_in", during.log_in, "ms", calm.log_in),
        _line(f"changes_{CHANGES}.healthz", during.health, "ms", calm.health),
    ]


class _Answered(NamedTuple):
    """The times of answers to a legitimate user and a monitor, in milliseconds."""

    log_in: float
    health: float


async def _time_good_calls(owner: aiohttp.ClientSession) -> _Answered:
    health = await ask(owner, "GET", "/healthz")
    log_in = await try_password(owner, "admin", PASSWORD)
    assert (health.status, log_in.status) == (200, 200)
    return _Answered(log_in.seconds * 1000, health.seconds * 1000)


async def _dear_calls(hub: HubProcess) -> Results:
    """One user asks at the same moment for the updates of DEAR_CALLS packages at all nodes."""
    token = await _fleet_with_updates(hub)
    async with attackers(hub, ["127.0.0.2", "127.0.0.3"]) as [owner, viewer]:

        def call(number: int) -> Awaitable[Any]:
            return ask(viewer, "GET", f"{ROOT}/updates/nodes?package=package-{number}", Authorization=f"Bearer {token}")

        alone = await call(DEAR_CALLS)
        calm = await _time_good_calls(owner)
        async with meanwhile([call(number) for number in range(DEAR_CALLS)]) as attack:
            await asyncio.sleep(POLL_S)
            during = await _time_good_calls(owner)
        answers = await attack
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) <= {200, 503}, statuses
    refused = [answer.seconds * 1000 for answer in answers if answer.status == 503]
    name = f"dear_calls_{DEAR_CALLS}"
    return [
        _line(f"{name}.good_log_in", during.log_in, "ms", calm.log_in),
        _line(f"{name}.healthz", during.health, "ms", calm.health),
        _line(f"{name}.answered", statuses[200], "calls", DEAR_CALLS),
        _line(f"{name}.slowest_answer", max(answer.seconds for answer in answers) * 1000, "ms", alone.seconds * 1000),
        _line(f"{name}.slowest_refusal", max(refused, default=0.0), "ms"),
    ]


async def _silent_sockets(hub: HubProcess) -> Results:
    """Nodes open sessions one after the other, while four addresses hold SILENT_SOCKETS unfinished openings, and renew each that ends."""
    nodes = await asyncio.to_thread(hub.enrol, *(f"node-{number}" for number in range(2 * JOINING)))
    async with attackers(hub, addresses(4)) as strangers, contextlib.AsyncExitStack() as stack:
        calm, _ = await _open_sessions(hub, nodes[:JOINING])
        opened: Counter[str] = Counter()
        attack = await stack.enter_async_context(asyncio.TaskGroup())
        silent = [attack.create_task(_stay_silent(strangers[number % 4], opened)) for number in range(SILENT_SOCKETS)]
        await asyncio.sleep(1.0)
        during, tries = await _open_sessions(hub, nodes[JOINING:])
        for task in silent:
            task.cancel()
    name = f"silent_sockets_{SILENT_SOCKETS}"
    return [
        _line(f"{name}.session", statistics.median(during), "ms", statistics.median(calm)),
        _line(f"{name}.slowest_session", max(during), "ms", max(calm)),
        _line(f"{name}.tries", tries, "openings", JOINING),
        _line(f"{name}.silent", opened["sockets"], "sockets"),
    ]


async def _stay_silent(http: aiohttp.ClientSession, opened: Counter[str]) -> None:
    while True:
        with contextlib.suppress(aiohttp.ClientError):
            async with http.ws_connect("/ws", protocols=(SUBPROTOCOL,)) as ws:
                opened["sockets"] += 1
                await ws.receive()
        await asyncio.sleep(POLL_S)


async def _open_sessions(hub: HubProcess, nodes: Sequence[Enrolled]) -> tuple[list[float], int]:
    """Returns: for each node the milliseconds until its welcome, including refused tries; and the number of all tries."""
    taken, tries = [], 0
    for node in nodes:
        began = time.perf_counter()
        while True:
            tries += 1
            async with agents(hub, node) as [agent]:
                try:
                    await agent.join()
                except (AgentClosed, aiohttp.ClientError):
                    await asyncio.sleep(POLL_S)
                    continue
                taken.append((time.perf_counter() - began) * 1000)
                break
    return taken, tries


class _Written(NamedTuple):
    """Rows and log lines that a hub has written so far."""

    audit: int
    refusals: int
    events: int
    lines: int

    def since(self, before: _Written) -> _Written:
        return _Written(*(now - then for now, then in zip(self, before, strict=True)))


def _written(hub: HubProcess) -> _Written:
    with contextlib.closing(sqlite3.connect(f"file:{hub.folder / 'stardust.db'}?mode=ro", uri=True)) as db:
        audit, refusals, events = (db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("audit", "refusal", "event"))
    return _Written(audit, refusals, events, len(hub.lines))


async def _hostile_nodes(hub: HubProcess) -> Results:
    """Attack with two nodes and a stranger, compared with the same hub for the same time without them.

    One node opens sessions without a pause and reports on another node's job. One constantly changes its packages. The stranger opens
    sockets and sends nonsense.
    """
    liar, restless, other = await asyncio.to_thread(hub.enrol, "liar", "restless", "other")
    job = (await hub.call("POST", f"{ROOT}/nodes/{other.node_id}/jobs", {"action": "check"})).json["id"]
    async with attackers(hub, ["127.0.0.2"]) as [owner]:
        await _open_sessions(hub, [liar, restless])
        before = await asyncio.to_thread(_written, hub)
        calm = await _time_good_calls(owner)
        await asyncio.sleep(HOSTILE_S)
        at_rest = (await asyncio.to_thread(_written, hub)).since(before)
        sent: Counter[str] = Counter()
        until = time.monotonic() + HOSTILE_S
        async with asyncio.TaskGroup() as attack:
            attack.create_task(_lie(hub, liar, job, sent, until))
            attack.create_task(_change_packages(hub, restless, sent, until))
            attack.create_task(_talk_nonsense(owner, sent, until))
            await asyncio.sleep(HOSTILE_S / 2)
            during = await _time_good_calls(owner)
    lines_before_the_end = len(hub.lines)
    await asyncio.to_thread(hub.end)  # stores the counts of the minute, and its summary
    written = (await asyncio.to_thread(_written, hub)).since(before).since(at_rest)
    return [
        _line("hostile_nodes.good_log_in", during.log_in, "ms", calm.log_in),
        _line("hostile_nodes.healthz", during.health, "ms", calm.health),
        *(_line(f"hostile_nodes.{what.replace(' ', '_')}", count / HOSTILE_S, "1/s") for what, count in sorted(sent.items())),
        _line("hostile_nodes.audit_rows", written.audit, "rows", at_rest.audit),
        _line("hostile_nodes.refusals", written.refusals, "rows", at_rest.refusals),
        _line("hostile_nodes.events", written.events, "events", at_rest.events),
        _line("hostile_nodes.log_lines", lines_before_the_end - before.lines, "lines", at_rest.lines),
    ]


async def _lie(hub: HubProcess, node: Enrolled, job: str, sent: Counter[str], until: float) -> None:
    while time.monotonic() < until:
        sent["openings of a node"] += 1
        async with agents(hub, node) as [agent]:
            with contextlib.suppress(AgentClosed, aiohttp.ClientError):
                await agent.join()
                for _ in range(REPORTS):
                    await agent.say(JobProgress(job, int(time.time() * 1000), "commit", 40, "curl", ""))
                    sent["reports of another job"] += 1
                await agent.wait_closed()


async def _talk_nonsense(http: aiohttp.ClientSession, sent: Counter[str], until: float) -> None:
    while time.monotonic() < until:
        with contextlib.suppress(aiohttp.ClientError):
            async with http.ws_connect("/ws", protocols=(SUBPROTOCOL,)) as ws:
                sent["openings of a stranger"] += 1
                await ws.send_bytes(b"nonsense")
                await ws.receive()


async def _change_packages(hub: HubProcess, node: Enrolled, sent: Counter[str], until: float) -> None:
    state, turn = {"bash": "0"}, 0
    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.say(InstalledPackages("", digest_of(state), 0, 1, ["bash"], ["0"]))
        while time.monotonic() < until:
            turn += 1
            since, state = digest_of(state), {"bash": str(turn)}
            await agent.say(InstalledPackages(since, digest_of(state), 0, 1, ["bash"], [str(turn)]))
            await agent.hear()
            sent["changes of packages"] += 1


async def _fleet_with_updates(hub: HubProcess) -> str:
    """Fill the hub with nodes that have long tables. Returns: the token of a session that may read them."""
    cells = [cell for number in range(UPDATES) for cell in (f"package-{number}", "1.0", "1.1", "no", "main")]
    columns = ["package", "installed", "candidate", "security", "repository"]
    nodes = await asyncio.to_thread(hub.enrol, *(f"node-{number}" for number in range(DEAR_NODES)))
    for node in nodes:
        async with agents(hub, node) as [agent]:
            await agent.join()
            await agent.say(IDENTITY, Table("updates", int(time.time() * 1000), UPDATES, columns, list(cells)), QUESTION)
            await agent.expect(LogAck)
    return (await asyncio.to_thread(hub.login)).token


@contextlib.asynccontextmanager
async def _trickling(hub: HubProcess) -> Any:
    """Open sockets from many addresses. Each one begins a request and never ends it."""
    begun: list[socket.socket] = []
    try:
        for number in range(SLOW_SOCKETS):
            one = socket.create_connection(("127.0.0.1", hub.port), timeout=10, source_address=(f"127.0.5.{number % 200 + 1}", 0))
            one.sendall(b"POST /api/v1/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n")
            begun.append(one)
        yield
    finally:
        for one in begun:
            one.close()
