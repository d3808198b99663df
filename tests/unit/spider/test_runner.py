"""The runner records the outcome of a job, whatever happens to it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spider.files import create_once
from spider.jobs.files import JobResult, StopRecord, read_plan, read_progress, read_result, read_run, read_stopped, write_result
from spider.packages.interfaces import Console, Outcome
from spider.root.job_lock import JobNotStarted, take_lock
from spider.root.runner import RunnerPaths, run_job
from spider.wire.ids import new_time_id
from tests.support.eventually import wait_until
from tests.support.scripted_job import Scripted
from tests.support.some import some

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def job(tmp_path: Path) -> str:
    return plan(tmp_path)


def run_to_end(job: str, manager: Scripted | None, boot: str, places: RunnerPaths) -> JobResult:
    """Run a job that ends before the server goes down."""
    return some(run_job(job, manager, boot, places))


def plan(jobs: Path, verb: str = "upgrade", packages: tuple[str, ...] = ("a",)) -> str:
    job = new_time_id()
    (jobs / job).mkdir()
    create_once(str(jobs / job / "plan"), json.dumps({"job": job, "verb": verb, "args": {"packages": packages}}).encode(), 0o640)
    return job


def start(jobs: Path, job: str, script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.support.scripted_job", str(jobs), job, script], cwd=ROOT, stdout=subprocess.PIPE)


def until_there(path: Path) -> str:
    """Commands of a script that wait for a file."""
    return f"until test -e {path}; do sleep 0.01; done"


def wait_for(path: Path, word: bytes) -> None:
    wait_until(lambda: path.exists() and word in path.read_bytes(), what=f"{word!r} in {path}")


def test_a_job_leaves_plan_run_log_progress_and_result(tmp_path: Path, job: str) -> None:
    result = run_to_end(job, Scripted("echo hello"), "b" * 32, RunnerPaths(str(tmp_path)))
    folder = tmp_path / job
    assert read_result(str(folder)) == result
    assert (result.state, result.rc, result.changes, result.lost) == ("succeeded", 0, [("a", "1", "2")], 0)
    log = (folder / "log").read_bytes()
    assert log == b"hello\r\n"
    assert (result.bytes, result.sha256) == (len(log), hashlib.sha256(log).hexdigest())
    run = some(read_run(str(folder)))
    assert (run.pid, run.boot) == (os.getpid(), "b" * 32)
    progress = some(read_progress(str(folder)))
    assert (progress.phase, progress.percent, progress.text) == ("commit", 10, "upgrade")
    assert not (folder / "result.tmp").exists()
    assert (folder / "stopped.tmp").stat().st_size == 512  # room for systemd's hook


@pytest.mark.holds("SAFETY-86", "F-16")
@pytest.mark.slow
def test_a_flood_is_cut_at_256_mib_and_the_log_says_how_much_there_was(tmp_path: Path, job: str) -> None:
    total = 270 * 1024 * 1024
    result = some(run_to_end(job, Scripted(f"head -c {total} /dev/zero | tr '\\0' x"), "", RunnerPaths(str(tmp_path))))
    assert (result.state, result.bytes <= 256 * 1024 * 1024, result.bytes > 255 * 1024 * 1024) == ("succeeded", True, True)
    path = tmp_path / job / "log"
    assert path.stat().st_size == result.bytes
    with path.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == result.sha256
        file.seek(-300, os.SEEK_END)
        tail = file.read().decode().splitlines()
    assert tail[-1].startswith(f"[stardust: {total} bytes were printed in all, ")
    assert result.bytes + result.lost == total
    path.unlink()


def test_a_job_runs_only_once(tmp_path: Path, job: str) -> None:
    count = tmp_path / "count"
    script = f"echo x >> {count}"
    run_job(job, Scripted(script), "", RunnerPaths(str(tmp_path)))
    for left in ("result", "log"):
        (tmp_path / job / left).unlink()
    with pytest.raises(JobNotStarted, match="begun before"):
        run_job(job, Scripted(script), "", RunnerPaths(str(tmp_path)))
    assert count.read_text() == "x\n"


def test_a_job_without_an_order_is_not_begun(tmp_path: Path) -> None:
    job = new_time_id()
    with pytest.raises(JobNotStarted, match="no such order"):
        run_job(job, Scripted("true"), "", RunnerPaths(str(tmp_path)))
    other = plan(tmp_path)
    (tmp_path / job).mkdir()
    (tmp_path / job / "plan").write_bytes((tmp_path / other / "plan").read_bytes())
    with pytest.raises(JobNotStarted, match="no such order"):
        run_job(job, Scripted("true"), "", RunnerPaths(str(tmp_path)))
    assert not (tmp_path / job / "run").exists()


def test_two_jobs_never_run_side_by_side(tmp_path: Path, job: str) -> None:
    with (tmp_path / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(JobNotStarted, match="another job"):
            take_lock(str(tmp_path), 0.2)
    assert run_to_end(job, Scripted("true"), "", RunnerPaths(str(tmp_path))).state == "succeeded"


@pytest.mark.parametrize(("verb", "writes"), [("upgrade", ["keys", "bytecode"]), ("unit-restart", []), ("container-restart", [])])
def test_only_a_job_that_runs_alone_writes_files_that_jobs_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, writes: list[str]
) -> None:
    """A job of units or containers may run beside one that changes the keys: it would write back their list without the newest pair."""
    written: list[str] = []
    monkeypatch.setattr("spider.selfcare.rekey.forget_expired", lambda *_: written.append("keys"))
    monkeypatch.setattr("spider.root.runner.write_bytecode", lambda: written.append("bytecode"))
    run_to_end(plan(tmp_path, verb), Scripted("true"), "", RunnerPaths(str(tmp_path)))
    assert written == writes


def test_a_job_whose_files_cannot_be_created_is_not_begun(tmp_path: Path, job: str) -> None:
    (tmp_path / job / "progress").mkdir()
    with pytest.raises(JobNotStarted, match="no room for its files"):
        run_job(job, Scripted("true"), "", RunnerPaths(str(tmp_path)))
    assert not (tmp_path / job / "run").exists()


def test_a_fault_before_a_reboot_is_a_result(tmp_path: Path) -> None:
    class Faulty(Scripted):
        def wait_free(self, console: Console) -> Outcome | None:
            raise RuntimeError("a fault of this program")

    result = run_to_end(plan(tmp_path, "reboot", ()), Faulty("true"), "b" * 32, RunnerPaths(str(tmp_path)))
    assert (result.state, result.error_code) == ("unknown", "job.runner_failed")


@pytest.mark.holds("F-18")
def test_the_runner_survives_every_signal_but_sigkill(tmp_path: Path, job: str) -> None:
    go_on = tmp_path / "go-on"
    with start(tmp_path, job, f"echo begun; {until_there(go_on)}; echo ended") as runner:
        wait_for(tmp_path / job / "log", b"begun")
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
            runner.send_signal(number)
        go_on.touch()
        assert runner.wait(20) == 0
    result = some(read_result(str(tmp_path / job)))
    assert (result.state, result.rc) == ("succeeded", 0)
    assert (tmp_path / job / "log").read_bytes() == b"begun\r\nended\r\n"


def test_a_job_starts_with_default_signal_handlers(tmp_path: Path, job: str) -> None:
    with start(tmp_path, job, "echo ignored $(grep SigIgn /proc/self/status | cut -f2)") as runner:
        assert runner.wait(20) == 0
    assert (tmp_path / job / "log").read_bytes() == b"ignored 0000000000000000\r\n"


def test_a_killed_runner_leaves_the_program_running_and_no_result(tmp_path: Path, job: str) -> None:
    go_on, done = tmp_path / "go-on", tmp_path / "done"
    with start(tmp_path, job, f"trap '' HUP; echo begun; {until_there(go_on)}; echo x > {done}") as runner:
        wait_for(tmp_path / job / "log", b"begun")
        runner.kill()
        runner.wait(20)
        go_on.touch()
    wait_for(done, b"x")
    assert read_result(str(tmp_path / job)) is None
    assert read_run(str(tmp_path / job)) is not None


def test_an_internal_fault_of_the_runner_gives_an_unknown_outcome(tmp_path: Path, job: str) -> None:
    result = run_to_end(job, Scripted("exit 42"), "", RunnerPaths(str(tmp_path)))
    assert (result.state, result.rc, result.error_code) == ("unknown", None, "job.runner_failed")
    unmanaged = plan(tmp_path)
    result = run_to_end(unmanaged, None, "", RunnerPaths(str(tmp_path)))
    assert (result.state, result.error_code) == ("failed", "job.no_package_manager")
    strange = plan(tmp_path, verb="shell")
    result = run_to_end(strange, Scripted("true"), "", RunnerPaths(str(tmp_path)))
    assert (result.state, result.error_code) == ("failed", "job.unknown_verb")


def test_truncated_files_count_as_missing(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert (read_plan(folder), read_run(folder), read_result(folder), read_stopped(folder), read_progress(folder)) == (None,) * 5
    for name, content in (("plan", b'{"job": '), ("run", b'{"pid": 1}'), ("result", b"[]"), ("progress", b'{"at": 1, "pha')):
        (tmp_path / name).write_bytes(content)
    assert (read_plan(folder), read_run(folder), read_result(folder), read_progress(folder)) == (None,) * 4
    (tmp_path / "progress").write_bytes(b'{"at":1,"phase":"plan","percent":-1,"package":"","text":"x"}\n{"at": 2, "pha')
    progress = some(read_progress(folder))
    assert progress.phase == "plan"
    (tmp_path / "stopped").write_bytes(b"signal killed 9 abc\n" + bytes(400))
    assert read_stopped(folder) == StopRecord("signal", "killed", "9")


def test_a_result_without_space_for_its_changes_has_a_note(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys\n"
        "from spider.jobs.files import JobResult, reserve, write_result\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "reserve(sys.argv[1] + '/result.tmp', 2000)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "changes = [(f'package-{n}', '1', '2') for n in range(500)]\n"
        "write_result(sys.argv[1], JobResult('succeeded', 0, 0, 1, 0, 'ab', 1.0, 2.0, changes, '', ''))\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, check=True)
    result = some(read_result(str(tmp_path)))
    assert (result.state, result.changes, result.error_code) == ("succeeded", [], "job.no_space")
    full = JobResult("failed", 1, 0, 1, 0, "ab", 1.0, 2.0, [], "x", "y")
    write_result(str(tmp_path), full)
    assert read_result(str(tmp_path)) == full
