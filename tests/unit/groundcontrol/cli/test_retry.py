"""`stardust retry` sends one log-in for all deployments of a batch that failed."""

from __future__ import annotations

import argparse
import io
from types import TracebackType
from typing import Any, Self

import pytest

from groundcontrol.cli import retry
from groundcontrol.cli.client import CliError

GATE = {"host": "gate", "port": 2222, "username": "ops", "fingerprint": None}
JUMPS: dict[str, dict[str, Any] | None] = {"web-1": GATE, "web-2": GATE, "web-3": GATE}


def row(name: str, state: str = "failed") -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "batch_id": "b",
        "state": state,
        "kind": "install",
        "jump": JUMPS.get(name),
        "error": {"message": "hub stopped"},
        "ended_at": 0.0,
    }


class Told:
    """A hub with three deployments of one batch, which refuses those in `lacking` unless a log-in is sent."""

    def __init__(self, *lacking: str, code: str = "credentials_required") -> None:
        self.lacking = lacking
        self.code = code
        self.sent: list[Any] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is open."""

    async def every(self, _path: str, _key: str) -> Any:
        for one in (row("web-1"), row("web-2"), row("web-3", "succeeded")):
            yield one

    async def post(self, path: str, body: Any) -> Any:
        assert path == "/deployments/retry"
        self.sent.append(body)
        lacking = () if "password" in body else self.lacking
        refused = [{"deployment": one, "code": self.code, "message": "no credentials"} for one in lacking]
        return {"deployments": [row(one, "running") for one in body["deployments"] if one not in lacking], "refused": refused}


async def retried(monkeypatch: pytest.MonkeyPatch, hub: Told, *ids: str, password: bool = False, jump: bool = False) -> int:
    monkeypatch.setattr(retry, "Hub", lambda _args: hub)
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\nof the gate\n"))
    given = {"username": None, "key": None, "hub_key": False, "passphrase": False, "sudo_password": False, "password": password}
    given |= {"jump_username": None, "jump_key": None, "jump_passphrase": False, "jump_password": jump}
    return await retry.run(argparse.Namespace(ids=list(ids), json=False, **given))


async def test_a_batch_is_retried_with_one_log_in(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    hub = Told("web-2")
    assert await retried(monkeypatch, hub, "b") == 5
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "web-1: begun again; stardust jobs follow web-1\n",
        "web-2: not retried: no credentials (here: --key, --password or --hub-key)\n",
    )
    assert await retried(monkeypatch, hub, "web-2") == 1
    assert await retried(monkeypatch, hub, "b", password=True) == 0
    both = ["web-1", "web-2"]
    assert hub.sent == [{"deployments": both}, {"deployments": ["web-2"]}, {"deployments": both, "password": "secret"}]


async def test_only_what_has_failed_is_retried(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    hub = Told()
    with pytest.raises(CliError, match="there is no failed deployment web-3"):
        await retried(monkeypatch, hub, "web-3")
    assert await retried(monkeypatch, hub) == 0
    assert "web-3" not in capsys.readouterr().out
    assert hub.sent == []


async def test_the_log_in_of_a_jump_host_goes_to_no_other_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    hub = Told("web-2", code="deployment.jump_credentials_required")
    assert await retried(monkeypatch, hub, "web-2") == 1
    assert "--jump-key or --jump-password" in capsys.readouterr().err
    assert await retried(monkeypatch, hub, "b", password=True, jump=True) == 0
    assert hub.sent[1]["jumps"] == [{"host": "gate", "port": 2222, "password": "of the gate"}]
    for ways, had in (({"web-1": GATE, "web-2": {**GATE, "port": 22}}, "have 2"), ({}, "have none")):
        monkeypatch.setattr(f"{__name__}.JUMPS", ways)
        with pytest.raises(CliError, match=had):
            await retried(monkeypatch, hub, "b", jump=True)
    assert len(hub.sent) == 2
