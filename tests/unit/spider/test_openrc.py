"""The replacement for systemd under OpenRC; tests/system/test_openrc.py runs it on a host."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spider.jobs.files import Run
from spider.jobs.status import WantedFiles, runner_lives, take_snapshot
from spider.root import systemctl_shim
from spider.wire.ids import new_time_id
from tests.support.eventually import wait_until

ROOT = Path(__file__).resolve().parents[3]
HANDLER = """
import json, os, socket
with socket.socket(fileno=3) as client:
    client.sendall(json.dumps([os.environ["LISTEN_PID"] == str(os.getpid()), os.environ["LISTEN_FDS"]]).encode() + b"\\n")
    client.recv(1)
"""


def host(folder: Path, level: str, *marks: str) -> str:
    """The state of OpenRC as a host shows it."""
    (folder / "run/openrc").mkdir(parents=True)
    (folder / "run/openrc/softlevel").write_text(level)
    for mark in marks:
        (folder / "run/openrc" / mark).mkdir()
    return str(folder)


@pytest.mark.parametrize(
    ("level", "marks", "up", "down"),
    [
        ("default\n", (), True, False),
        ("sysinit", (), False, False),
        ("boot", ("rc.starting",), False, False),
        ("default", ("rc.starting",), False, False),
        ("default", ("rc.stopping",), True, True),
        ("shutdown", (), False, True),
        ("off", (), False, True),
        ("", (), False, False),
    ],
)
def test_openrc_reports_whether_a_host_is_up_or_going_down(
    tmp_path: Path, level: str, marks: tuple[str, ...], up: bool, down: bool
) -> None:
    root = host(tmp_path, level, *marks)
    assert systemctl_shim.is_here(root)
    assert (systemctl_shim.is_up(root), systemctl_shim.is_going_down(root)) == (up, down)


def test_openrc_is_not_detected_where_systemd_runs(tmp_path: Path) -> None:
    assert not systemctl_shim.is_here(str(tmp_path))
    root = host(tmp_path, "default")
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert not systemctl_shim.is_here(root)


@pytest.mark.parametrize(
    "name", ["stardust-job@../../bin/sh.service", "stardust-job@.service", "ssh.service", "stardust-job@" + "a" * 27 + ".service"]
)
def test_only_the_units_of_jobs_are_started(name: str) -> None:
    assert not systemctl_shim.start_job(name)


@contextlib.contextmanager
def listening(path: Path) -> Iterator[None]:
    """The listener as a separate process, whose launchers are `HANDLER`."""
    words = f"from spider.root import systemctl_shim as openrc; import os, sys; openrc.listen({str(path)!r}, os.getuid(), [sys.executable, '-c', {HANDLER!r}])"
    with subprocess.Popen([sys.executable, "-c", words], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: path.is_socket() and stat.S_IMODE(path.stat().st_mode) == 0o600 and connects(path))
            yield
        finally:
            process.kill()


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_each_connection_gets_its_own_launcher_process_up_to_eight(tmp_path: Path) -> None:
    path = tmp_path / "run" / "launcher.sock"
    with listening(path), contextlib.ExitStack() as stack:
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(systemctl_shim.MAX_CONNECTIONS + 1)]
        for client in clients:
            client.connect(str(path))
            client.settimeout(30)
        answered = [json.loads(client.recv(100)) for client in clients[:-1]]
        assert answered == [[True, "1"]] * systemctl_shim.MAX_CONNECTIONS
        clients[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            clients[-1].recv(100)
        clients[-1].settimeout(30)
        clients[0].close()
        assert json.loads(clients[-1].recv(100)) == [True, "1"]


def test_the_peer_of_a_socket_is_identified_by_the_kernel() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert systemctl_shim.peer_of(one) == os.getuid()


def test_a_detached_program_continues_without_its_parent(tmp_path: Path) -> None:
    words = (
        "import resource as r; from spider.root import systemctl_shim as openrc; hard = r.getrlimit(r.RLIMIT_FSIZE)[1]; r.setrlimit(r.RLIMIT_FSIZE, (4096, hard));"
        "openrc.detach(['sleep', '1000.25'])"
    )
    said = tmp_path / "said"
    with said.open("wb") as file:
        subprocess.run([sys.executable, "-W", "error", "-c", words], cwd=ROOT, stdout=file, stderr=file, check=True, umask=0o077)
    assert said.read_bytes() == b""

    def pids() -> list[int]:
        return [
            int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit() and cmdline(folder) == b"sleep\x001000.25\0"
        ]

    wait_until(pids)
    (pid,) = pids()
    assert os.getsid(pid) == pid
    status, limits = Path(f"/proc/{pid}/status").read_text(), Path(f"/proc/{pid}/limits").read_text()
    os.kill(pid, 9)
    soft, hard = next(line.split()[3:5] for line in limits.splitlines() if line.startswith("Max file size"))
    assert soft == hard != "4096", "the bound of the launcher's log is none of a job"
    assert "Umask:\t0022\n" in status


def cmdline(folder: Path) -> bytes:
    try:
        return (folder / "cmdline").read_bytes()
    except OSError:
        return b""


def test_without_control_groups_a_job_is_alive_while_its_runner_is(tmp_path: Path) -> None:
    job = new_time_id()
    (tmp_path / job).mkdir()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)", "run", job]) as runner:
        (tmp_path / job / "run").write_text(json.dumps({"pid": runner.pid, "boot": "b" * 32, "started_at": 1.0}))
        wait_until(lambda: take_snapshot(str(tmp_path), job, WantedFiles(), lambda _job: None).alive)
        (tmp_path / job / "run").write_text(json.dumps({"pid": os.getpid(), "boot": "b" * 32, "started_at": 1.0}))
        assert not take_snapshot(str(tmp_path), job, WantedFiles(), lambda _job: None).alive, "its number is another process's by now"
        runner.kill()


def test_a_hidden_runner_counts_as_alive_until_the_next_boot(tmp_path: Path) -> None:
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb\n")
    run = Run(pid=4711, boot="b" * 32, started_at=1.0)
    assert runner_lives(run, new_time_id(), str(tmp_path))
    assert not runner_lives(run._replace(boot="a" * 32), new_time_id(), str(tmp_path))
    (tmp_path / "1").mkdir()
    assert not runner_lives(run, new_time_id(), str(tmp_path))
