"""`stardust top` over the live socket of a real hub, over a restart of the hub, on plain terminals, and as one frame."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import pytest

from groundcontrol.cli.dashboard.feed import Feed
from groundcontrol.cli.dashboard.state import Fleet
from tests.support.agent import agents
from tests.support.command import said_by
from tests.support.eventually import eventually
from tests.support.hub import ROOT, HubProcess

LIMIT_S = 60
CODES = re.compile(r"\x1b(?:\[[0-9;?>=<]*[ -/]*[@-~]|[()].|[=>])")
PLAIN = {0, 1, 2, 3, 4, 7, 22, 23, 24, 27, 39, 49}
SIXTEEN = {*range(30, 38), *range(40, 48), *range(90, 98), *range(100, 108)}


async def test_the_dashboard_is_filled_by_the_live_socket_and_again_after_a_restart(tmp_path: Path) -> None:
    fleet = Fleet()
    with HubProcess(tmp_path / "hub") as hub:
        [first] = await asyncio.to_thread(hub.enrol, "web-1")
        args = argparse.Namespace(url=None, data_dir=str(hub.folder), tls_ca=None, tls_pin=None)
        feed = Feed(args, fleet)
        following = asyncio.create_task(feed.run())
        try:
            await eventually(lambda: feed.is_live, LIMIT_S)
            assert [node["name"] for node in fleet.nodes.values()] == ["web-1"]
            [second] = await asyncio.to_thread(hub.enrol, "web-2")
            await eventually(lambda: len(fleet.nodes) == 2, LIMIT_S)
            async with agents(hub, first) as [agent]:
                await agent.join()
                await eventually(lambda: fleet.nodes[first.node_id]["state"] == "online", LIMIT_S)
                await feed.open_node(first.node_id)
                job = await asyncio.to_thread(hub.local, "POST", f"/api/v1/nodes/{first.node_id}/jobs", {"action": "check"})
                assert job.status == 202
                await eventually(lambda: [one["id"] for one in fleet.jobs] == [job.json["id"]], LIMIT_S)
            await asyncio.to_thread(hub.local, "DELETE", f"/api/v1/nodes/{second.node_id}?force=true")
            await eventually(lambda: list(fleet.nodes) == [first.node_id], LIMIT_S)
            await hub.stop()
            await eventually(lambda: not feed.is_live and bool(fleet.trouble), LIMIT_S)
            await hub.start()
            await eventually(lambda: feed.is_live and not fleet.trouble, LIMIT_S)
            assert list(fleet.nodes) == [first.node_id]
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def on_a_terminal(folder: Path, wanted: str, end: signal.Signals | None = None, **env: str) -> tuple[int, str]:
    """The dashboard on a terminal of 80 by 24, until it has shown this and `q`, or a signal, ended it. Returns: its exit status and all that it wrote."""
    pid, terminal = pty.fork()
    if pid == 0:
        usual = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "STARDUST_ALLOW_VOLATILE": "yes", **env}
        os.execve(sys.executable, [sys.executable, "-m", "groundcontrol", "top", "--data-dir", str(folder)], usual)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    written, until, asked = "", time.monotonic() + LIMIT_S, False
    with contextlib.suppress(OSError):  # the other end is closed
        while data := os.read(terminal, 65536) if select.select([terminal], [], [], LIMIT_S)[0] else b"":
            written += data.decode(errors="replace")
            assert time.monotonic() < until, repr(written[-2000:])
            if not asked and wanted in CODES.sub("", written):
                if end is None:
                    os.write(terminal, b"q")
                else:
                    os.kill(pid, end)
                asked = True
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), written


@pytest.mark.parametrize(
    ("kinds", "env"),
    [(PLAIN | SIXTEEN, {"TERM": "xterm"}), pytest.param(PLAIN, {"TERM": "xterm-256color", "NO_COLOR": "1"}, marks=pytest.mark.slow)],
    ids=["sixteen colours", "none"],
)
def test_the_dashboard_fits_plain_terminals(shared_hub: HubProcess, kinds: set[int], env: dict[str, str]) -> None:
    shared_hub.enrol(f"top-plain-{len(kinds)}")
    status, written = on_a_terminal(shared_hub.folder, "●", None, **env)
    assert status == 0, written[-2000:]
    used = {int(number or 0) for codes in re.findall(r"\x1b\[([0-9;]*)m", written) for number in codes.split(";")}
    assert used <= kinds, env
    assert "\x1b[?1049l" in written, "the screen from before is back"
    assert max(int(column) for column in re.findall(r"\x1b\[\d+;(\d+)H", written)) <= 80


@pytest.mark.parametrize("end", [signal.SIGHUP, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)], ids=lambda end: end.name)
def test_a_dashboard_that_is_ended_brings_the_screen_back(shared_hub: HubProcess, end: signal.Signals) -> None:
    shared_hub.enrol(f"top-ended-{end:d}")
    status, written = on_a_terminal(shared_hub.folder, "●", end, TERM="xterm")
    assert status == 0, written[-2000:]
    assert "\x1b[?1049l" in written
    assert "\x1b[?1000l" in written, "and the mouse is the terminal's again"


def test_one_frame_is_printed_as_text_and_as_json(shared_hub: HubProcess) -> None:
    shared_hub.enrol("top-once")
    frame = said_by(shared_hub, "top", "--once")
    assert "top-once" in frame
    assert "\x1b" not in frame
    document = json.loads(said_by(shared_hub, "top", "--once", "--json"))
    assert set(document) == {"nodes", "alerts", "jobs", "at"}
    assert "top-once" in [node["name"] for node in document["nodes"]]
    assert "top-once" in said_by(shared_hub, "top"), "without a terminal it prints one frame"
