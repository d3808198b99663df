"""A command that waits: a hub that goes away is asked again, for a bounded time; whatever else it says ends the command."""

from __future__ import annotations

from typing import Any, cast

import pytest

from groundcontrol.cli import watch
from groundcontrol.cli.client import UNREACHABLE, CliError, Hub
from groundcontrol.cli.watch import Watch

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


class Clock:
    """Time that passes by waiting alone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("groundcontrol.cli.watch.time.monotonic", lambda: self.now)
        monkeypatch.setattr("groundcontrol.cli.watch.asyncio.sleep", self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds


def watching(hub: Restarting, *, quiet: bool = False) -> Watch:
    made = Watch(cast("Hub", hub), quiet=quiet)
    made.follows("0123")
    return made


@pytest.mark.parametrize("code", sorted(watch.PASSING))
async def test_a_hub_that_is_away_is_asked_again_and_the_person_is_told(
    code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Clock(monkeypatch)
    answer: Any = await watching(Restarting(*[CliError("it is away", code)] * 3)).get("/jobs/0123")
    assert answer == "answer"
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == ["stardust: it is away; trying again for up to 10 min …", "stardust: the hub answers again"]


async def test_a_hub_that_stays_away_is_given_up_after_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    with pytest.raises(CliError, match="stardust jobs follow 0123") as caught:
        await watching(Restarting(*[AWAY] * 10_000)).get("/jobs/0123")
    assert caught.value.code == UNREACHABLE
    assert watch.RECONNECT_S <= clock.now - 1000 < watch.RECONNECT_S + 2
    reminders = [line for line in capsys.readouterr().err.splitlines() if "still no answer" in line]
    assert len(reminders) == watch.RECONNECT_S / watch.REMIND_S - 1


async def test_what_the_hub_refuses_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    hub = Restarting(CliError("there is no such job", "not_found"))
    with pytest.raises(CliError, match="no such job"):
        await watching(hub).get("/jobs/0123")


async def test_an_order_whose_answer_was_lost_is_repeated_as_the_same_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Clock(monkeypatch)
    hub = Restarting(AWAY, AWAY)
    assert await watching(hub, quiet=True).order("/nodes/0/jobs", {}) == "answer"
    assert len(hub.keys) == 3
    assert len(set(hub.keys)) == 1
    assert capsys.readouterr().err == ""
