"""Commands that wait: an unreachable hub is retried for a bounded time; any other error ends the command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from groundcontrol.cli import client, watch
from groundcontrol.cli.client import UNREACHABLE, CliError, Hub
from groundcontrol.cli.watch import JobWatch
from tests.support.waiting_clock import WaitingClock

AWAY = CliError("no hub answers in the data folder /srv/hub", UNREACHABLE)


class Restarting:
    """Refuses so many questions, then answers; keeps what was ordered by its key."""

    def __init__(self, *refusals: CliError) -> None:
        self._refusals = list(refusals)
        self.keys: list[str] = []

    async def get(self, _path: str) -> str:
        if self._refusals:
            raise self._refusals.pop(0)
        return "answer"

    async def post(self, path: str, _body: object, headers: dict[str, str]) -> str:
        self.keys.append(headers["Idempotency-Key"])
        return await self.get(path)


class Deploying(Restarting):
    """Loses the answers to its first orders: they are begun all the same, where `begins` says so."""

    def __init__(self, *before: dict[str, Any], lost: int, begins: bool) -> None:
        super().__init__()
        self.rows = list(before)
        self.asked = 0
        self._lost = lost
        self._begins = begins

    async def get(self, path: str, params: dict[str, str] | None = None) -> Any:
        assert (path, params) == ("/deployments", {"limit": "1"})
        return {"deployments": self.rows[:1]}

    async def every(self, _path: str, _name: str) -> AsyncIterator[Any]:
        for row in self.rows:
            yield row

    async def order(self) -> list[Any]:
        self.asked += 1
        if self.asked > self._lost or self._begins:
            self.rows.insert(0, row(f"new{self.asked}", "web-1", "update"))
        if self.asked <= self._lost:
            raise AWAY
        return [self.rows[0]]


def row(ident: str, node: str, kind: str) -> dict[str, Any]:
    return {"id": ident, "node_id": node, "kind": kind}


def watching(hub: Restarting, *, quiet: bool = False) -> JobWatch:
    made = JobWatch(cast("Hub", hub), quiet=quiet)
    made.follows("0123")
    return made


@pytest.mark.parametrize("code", sorted(client.TEMPORARY))
async def test_a_missing_hub_is_retried_with_a_message(
    code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    WaitingClock(monkeypatch)
    answer: Any = await watching(Restarting(*[CliError("it is away", code)] * 3)).get("/jobs/0123")
    assert answer == "answer"
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == ["stardust: it is away; trying again for up to 10 min …", "stardust: the hub answers again"]


async def test_an_absent_hub_is_given_up_after_a_time_limit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = WaitingClock(monkeypatch)
    with pytest.raises(CliError, match="stardust jobs follow 0123") as caught:
        await watching(Restarting(*[AWAY] * 10_000)).get("/jobs/0123")
    assert caught.value.code == UNREACHABLE
    assert watch.RECONNECT_S <= clock.now - 1000 < watch.RECONNECT_S + 2
    reminders = [line for line in capsys.readouterr().err.splitlines() if "still no answer" in line]
    assert len(reminders) == watch.RECONNECT_S / watch.REMIND_S - 1


async def test_a_refusal_of_the_hub_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    WaitingClock(monkeypatch)
    hub = Restarting(CliError("there is no such job", "not_found"))
    with pytest.raises(CliError, match="no such job"):
        await watching(hub).get("/jobs/0123")


async def test_an_order_without_an_answer_is_repeated_with_the_same_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    WaitingClock(monkeypatch)
    hub = Restarting(AWAY, AWAY)
    assert await watching(hub, quiet=True).order("/nodes/0/jobs", {}) == "answer"
    assert len(hub.keys) == 3
    assert len(set(hub.keys)) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("nodes", [["web-1"], ["web-1", "at-it"]])
async def test_a_deployment_without_an_answer_is_followed_and_not_repeated(nodes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    WaitingClock(monkeypatch)
    at_it = row("older", "at-it", "update")
    hub = Deploying(row("last", "web-1", "install"), at_it, row("first", "web-1", "update"), lost=1, begins=True)
    found = await watching(hub).begin("update", nodes, hub.order)
    assert (hub.asked, found) == (1, [row("new1", "web-1", "update"), at_it][: len(nodes)])


async def test_a_deployment_that_did_not_reach_the_hub_is_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier one is not the one that was begun now."""
    WaitingClock(monkeypatch)
    hub = Deploying(row("last", "web-1", "update"), lost=3, begins=False)
    found = await watching(hub).begin("update", ["web-1"], hub.order)
    assert (hub.asked, found) == (4, [row("new4", "web-1", "update")])


async def test_a_hub_lost_at_the_next_order_names_no_earlier_job(monkeypatch: pytest.MonkeyPatch) -> None:
    WaitingClock(monkeypatch)
    hub = Deploying(lost=10_000, begins=False)
    with pytest.raises(CliError, match=r"see: stardust jobs$"):
        await watching(hub).begin("remove", ["web-1"], hub.order)


WITHOUT_A_LOOP = """
import sys
from groundcontrol.cli.main import to_its_end

class Hub:
    async def get(self, path):
        return {"ended_at": 1.0, "state": "succeeded"}

async def verb():
    from groundcontrol.cli.watch import JobWatch, end_of_deployment
    return await end_of_deployment(JobWatch(Hub(), quiet=True), {"id": "d", "ended_at": None, "state": "running"})

assert "asyncio" not in sys.modules
print(to_its_end(verb(), remote=False)["state"])
"""
"""A verb over the local socket that imports asyncio on its way, as a removal does."""


def test_a_verb_that_runs_without_a_loop_waits_too() -> None:
    run = subprocess.run([sys.executable, "-c", WITHOUT_A_LOOP], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout) == (0, "succeeded\n"), run.stderr
