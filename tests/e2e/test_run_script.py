"""scripts/run: one for each checkout, nothing left behind, and stop finds what runs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 60
pytestmark = pytest.mark.timeout(180)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(state: Path, port: int) -> subprocess.Popen[str]:
    env = dict(os.environ, STARDUST_PORT=str(port), PYTHONUNBUFFERED="1")
    return subprocess.Popen(
        [sys.executable, "scripts/run.py", str(state)], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def said(process: subprocess.Popen[str], words: str) -> str:
    """Read what it prints up to these words."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def processes_of(state: Path) -> list[str]:
    """Command lines of what runs for this folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:  # it has just ended
            continue
        if str(state) in words:
            found.append(words)
    return found


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path, int]]:
    state, port = tmp_path / ".stardust", free_port()
    process = start(state, port)
    said(process, "stop")
    yield process, state, port
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=START_LIMIT_S)


def test_ctrl_c_leaves_no_process(started: tuple[subprocess.Popen[str], Path, int]) -> None:
    process, state, _port = started
    spider = int((state / "spider.pid").read_text())
    assert processes_of(state)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=START_LIMIT_S)
    assert process.returncode == 0
    assert processes_of(state) == []
    assert not Path(f"/proc/{spider}").exists()
    assert not list(state.glob("*.pid"))


def test_a_second_one_is_refused_and_takes_nothing_from_the_first(started: tuple[subprocess.Popen[str], Path, int]) -> None:
    _process, state, _port = started
    before = {path.name: path.read_text() for path in state.glob("*.pid")}
    second = start(state, free_port())
    output, _ = second.communicate(timeout=START_LIMIT_S)
    assert second.returncode == 1
    assert "running already in this checkout" in output
    assert {path.name: path.read_text() for path in state.glob("*.pid")} == before


def test_a_taken_port_is_one_sentence(started: tuple[subprocess.Popen[str], Path, int], tmp_path: Path) -> None:
    _process, _state, port = started
    second = start(tmp_path / "other", port)
    output, _ = second.communicate(timeout=START_LIMIT_S)
    assert second.returncode == 1
    assert f"port {port} is taken" in output
    assert len(output.strip().splitlines()) == 1


def test_what_is_made_is_closed_to_others(started: tuple[subprocess.Popen[str], Path, int]) -> None:
    _process, state, _port = started
    assert state.stat().st_mode & 0o777 == 0o700
    for name in ("secret", "spider.key", "stardust.db", "control.sock"):
        assert (state / name).stat().st_mode & 0o077 == 0, name
