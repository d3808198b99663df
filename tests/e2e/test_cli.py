"""The command against a real hub: answers and refusals for programs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

from tests.support.hub import ROOT, HubProcess

LIMIT_S = 60


def stardust(hub: HubProcess, *words: str) -> tuple[int, Any, Any]:
    """Exit status, and what stands on both outputs as JSON."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STARDUST_")}
    environ |= {"STARDUST_DATA_DIR": str(hub.folder), "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "groundcontrol", *words, "--json"]
    done = subprocess.run(line, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    return done.returncode, json.loads(done.stdout or "null"), json.loads(done.stderr or "null")


async def test_answers_come_on_one_output_and_errors_on_the_other(shared_hub: HubProcess) -> None:
    async def run(*words: str) -> tuple[int, Any, Any]:
        return await asyncio.to_thread(stardust, shared_hub, *words)

    status, listed, nothing = await run("logs", "--limit", "500")
    assert (status, nothing) == (0, None)
    assert isinstance(listed["events"], list)
    for words, code in (
        (("jobs", "--node", "nobody"), "not_found"),
        (("user", "role", "nobody", "viewer"), "not_found"),
        (("user", "add", "x y\x1b[31m"), "request.invalid"),
        (("token", "new", "ci", "--days", "0"), "request.invalid"),
        (("logs", "--url", "https://hub.example"), "command.failed"),
    ):
        status, answer, told = await run(*words)
        assert (status, answer) == (1, None), words
        assert told["error"]["code"] == code
        assert told["error"]["message"].isprintable()


def test_a_hub_that_cannot_start_says_so_in_json(shared_hub: HubProcess) -> None:
    status, answer, told = stardust(shared_hub, "serve", "--port", "0")
    assert (status, answer, told["error"]["code"]) == (78, None, "config.invalid")
    assert "STARDUST_SECRET" in told["error"]["message"]
