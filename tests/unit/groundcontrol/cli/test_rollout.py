"""`stardust rollout watch` tells a gate's stop from other ends by its exit status."""

from __future__ import annotations

import argparse
from types import TracebackType
from typing import Any, Self

import pytest

from groundcontrol.cli import rollout

COUNTS = {"total": 2, "passed": 1, "failed": 1}


class Told:
    """A hub whose roll-out has ended."""

    def __init__(self, state: str, stopped_by: str) -> None:
        self._one = {
            "id": "r",
            "name": "nights",
            "state": state,
            "stopped_by": stopped_by,
            "why": stopped_by,
            "words": "",
            "waits": False,
            "remedy": "",
            "close_at": None,
            "targets": COUNTS,
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is open."""

    async def every(self, _path: str, _key: str, _params: object) -> Any:
        yield self._one

    async def get(self, path: str) -> Any:
        assert path == "/rollouts/r"
        return self._one


@pytest.mark.parametrize(
    ("state", "stopped_by", "status"), [("succeeded", "", 0), ("stopped", "gate", 5), ("stopped", "ada", 1), ("expired", "", 1)]
)
async def test_a_stop_by_a_gate_is_exit_status_5(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: str, stopped_by: str, status: int
) -> None:
    monkeypatch.setattr(rollout, "Hub", lambda _args: Told(state, stopped_by))
    assert await rollout.run(argparse.Namespace(act="watch", rollout="nights", json=False)) == status
    assert f"nights (r): {state}" in capsys.readouterr().out
