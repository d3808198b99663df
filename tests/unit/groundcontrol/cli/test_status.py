"""`stardust status` of a hub whose database fails: readable values are shown, unreadable ones are not shown as empty."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from typing import Any, Self

import pytest

from groundcontrol.cli import status
from groundcontrol.cli.client import CliError

NODES = [
    {
        "name": "web-1",
        "state": "online",
        "reconnecting": False,
        "updates": {"security": 3},
        "agent": "outdated",
        "agent_version": "0.9",
        "health": {"level": "critical", "findings": []},
    },
    {
        "name": "web-2",
        "state": "offline",
        "reconnecting": False,
        "updates": {"security": None},
        "agent": "current",
        "agent_version": "1.0",
        "health": {"level": "unknown", "findings": []},
    },
]


class FailingHub:
    """Says that it takes nothing."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.reads = args.reads

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        pass

    async def health(self) -> tuple[int, Any]:
        return 503, {"status": "failing", "version": "1.0", "database": False}

    async def get(self, _path: str) -> Any:
        return {"address": "http://localhost:8933", "port": 8933, "only_here": True}

    async def every(self, _path: str, _name: str) -> AsyncIterator[Any]:
        for node in NODES:
            yield node
            if not self.reads:
                raise CliError("the database stardust.db failed", "store.down")


@pytest.mark.parametrize(
    ("reads", "nodes", "security", "line"),
    [
        (True, {"online": 1, "reconnecting": 0, "offline": 1, "pending": 0}, 3, "nodes: 1 online, 1 offline, 0 pending"),
        (False, None, None, "nodes: unknown (the database stardust.db failed)"),
    ],
)
async def test_status_counts_nodes_or_shows_them_as_unknown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reads: bool, nodes: object, security: object, line: str
) -> None:
    monkeypatch.setattr(status, "Hub", FailingHub)
    assert await status.run(argparse.Namespace(json=True, reads=reads, url=None)) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["nodes"], told["security_updates"]) == (nodes, security)
    assert await status.run(argparse.Namespace(json=False, reads=reads, url=None)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Ground Control 1.0: failing (the database refuses writes)", line]
    named = "outdated Spiders: web-1 (0.9); stardust update --outdated updates them"
    assert (told["outdated_agents"], named in lines) == (({"web-1": "0.9"}, True) if reads else (None, False))
