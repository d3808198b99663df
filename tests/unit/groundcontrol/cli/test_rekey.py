"""`stardust rekey` ends when the node is back with its new keys: later orders are sealed for them."""

from __future__ import annotations

import argparse
from types import TracebackType
from typing import Any, Self

import pytest

from groundcontrol.cli import rekey

NODE = {"id": "n", "name": "web-1", "state": "online", "keys_generation": 1}


class Told:
    """A hub that is asked by the command: the job ends as the test wants, and the node shows itself in these ways, one after the other."""

    def __init__(self, state: str, *nodes: dict[str, Any]) -> None:
        self._job = {"id": "j", "action": "rekey", "state": state, "error": None}
        self._nodes = list(nodes)
        self.asked = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is open."""

    async def every(self, _path: str, _key: str) -> Any:
        yield NODE

    async def post(self, _path: str, _body: object, _headers: dict[str, str]) -> Any:
        return {**self._job, "state": "queued"}

    async def get(self, path: str) -> Any:
        if path.startswith("/jobs/"):
            return self._job
        self.asked += 1
        return self._nodes.pop(0) if len(self._nodes) > 1 else self._nodes[0]


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("groundcontrol.cli.rekey.asyncio.sleep", sleep)
    monkeypatch.setattr("groundcontrol.cli.rekey.time.monotonic", lambda: now[0])


async def ordered(monkeypatch: pytest.MonkeyPatch, hub: Told, *, no_wait: bool = False) -> int:
    monkeypatch.setattr(rekey, "Hub", lambda _args: hub)
    return await rekey.run(argparse.Namespace(node="web-1", no_wait=no_wait, json=False))


async def test_rekey_waits_until_the_node_returns_with_its_new_keys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    renewed = {**NODE, "keys_generation": 2}
    hub = Told("succeeded", NODE, {**NODE, "state": "offline"}, {**renewed, "state": "offline"}, renewed)
    assert await ordered(monkeypatch, hub) == 0
    assert hub.asked == 4
    assert capsys.readouterr().out == "web-1: it is back with its new keys\n"


async def test_waiting_for_a_rekeyed_node_is_bounded(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    hub = Told("succeeded", NODE)
    assert await ordered(monkeypatch, hub) == 1
    assert hub.asked <= rekey.BACK_LIMIT_S / rekey.POLL_S + 1
    assert "it has new keys, but has not come back with them" in capsys.readouterr().out


async def test_a_failed_rekey_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    hub = Told("failed", NODE)
    assert await ordered(monkeypatch, hub) == 1
    assert (hub.asked, capsys.readouterr().out) == (0, "web-1: the job is failed\n")


async def test_without_waiting_the_node_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Told("succeeded", NODE)
    assert await ordered(monkeypatch, hub, no_wait=True) == 0
    assert hub.asked == 0
