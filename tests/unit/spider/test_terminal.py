"""A job's terminal: every byte is logged, prompts get no answer, and the end cannot be delayed."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.root.terminal import NOTES_BYTES, Lines, Log, OutputReporter, StopRule, Terminal, TerminalEnded
from spider.wire.sentences import sentence

ENV = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}


class Stage(NamedTuple):
    terminal: Terminal
    log: Log
    reporter: OutputReporter
    folder: Path
    lines: list[str]

    def run(self, script: str, **more: object) -> TerminalEnded:
        return self.terminal.run(["/bin/sh", "-c", script], ENV, self.lines.append, **more)  # type: ignore[arg-type]  # passed on

    @property
    def text(self) -> bytes:
        return (self.folder / "log").read_bytes()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    log, reporter = Log(str(tmp_path / "log")), OutputReporter(str(tmp_path / "progress"))
    terminal = Terminal(log, reporter)
    yield Stage(terminal, log, reporter, tmp_path, [])
    log.close()
    reporter.close()


def test_output_is_logged_byte_for_byte(stage: Stage) -> None:
    ended = stage.run(r"printf 'one\n\033[32mtwo\033[0m naïve\r 5%%\r10%%\n' ; echo err >&2; printf 'no newline'; exit 3")
    assert ended == TerminalEnded(3, 0, "", "")
    stage.terminal.close()
    assert stage.text == "one\r\n\x1b[32mtwo\x1b[0m naïve\r 5%\r10%\r\nerr\r\nno newline".encode()
    assert stage.lines == ["one", "10%", "err", "no newline"]
    assert stage.log.sha256() == hashlib.sha256(stage.text).hexdigest()
    assert (stage.log.bytes, stage.log.lost) == (len(stage.text), 0)


@pytest.mark.holds("SAFETY-96", "F-18")
def test_a_program_gets_a_terminal_of_120_columns_without_input(stage: Stage) -> None:
    stage.run("stty size < /dev/tty; tty < /dev/tty >/dev/null && echo terminal; read answer || echo nobody; echo ${COLUMNS-unset} $TERM")
    stage.terminal.close()
    assert stage.lines == ["40 120", "terminal", "nobody", "unset xterm-256color"]


def test_programs_run_one_after_the_other_on_the_same_terminal(stage: Stage) -> None:
    for number in range(5):
        assert stage.run(f"echo run {number} > /dev/tty") == TerminalEnded(0, 0, "", "")
    stage.terminal.print_line("in between")
    stage.terminal.close()
    assert stage.text == b"".join(b"run %d\r\n" % number for number in range(5)) + b"in between\r\n"


def test_long_output_is_read_completely(stage: Stage) -> None:
    stage.run("i=0; while [ $i -lt 200 ]; do printf '%4000d\\n' $i; i=$((i+1)); done")
    stage.terminal.close()
    assert stage.log.bytes == 200 * 4002
    assert [int(line) for line in stage.lines] == list(range(200))


def test_a_signal_and_a_missing_program_are_reported(stage: Stage) -> None:
    assert stage.run("kill -KILL $$") == TerminalEnded(None, 9, "", "")
    assert stage.terminal.run(["/no/such/program"], ENV, stage.lines.append) == TerminalEnded(127, 0, "", "")
    stage.terminal.close()
    assert b"/no/such/program: No such file or directory" in stage.text


def test_a_status_descriptor_is_handed_over_and_read(stage: Stage) -> None:
    seen: list[str] = []
    ended = stage.terminal.run(
        ["/bin/sh", "-c", "echo dlstatus:1:20:x >/dev/fd/{fd}; echo shown; echo last >/dev/fd/{fd}"], ENV, stage.lines.append, seen.append
    )
    stage.terminal.close()
    assert ended == TerminalEnded(0, 0, "", "")
    assert seen == ["dlstatus:1:20:x", "last"]
    assert stage.lines == ["shown"]


def test_a_process_left_running_does_not_delay_the_end(stage: Stage) -> None:
    stage.run("(trap '' HUP; while :; do echo again; sleep 0.05; done) & sleep 0.3; echo pid $!")
    stage.terminal.close()
    leftover = int(next(line for line in stage.lines if line.startswith("pid")).split()[1])
    os.kill(leftover, signal.SIGKILL)  # it was there all the time, and would have printed for ever
    assert stage.log.sha256() == hashlib.sha256(stage.text).hexdigest()


@pytest.mark.holds("F-18")
def test_a_phase_that_takes_too_long_is_interrupted_and_others_are_not(stage: Stage) -> None:
    stage.reporter.report("download")
    ended = stage.run("exec sleep 30", limits_s={"download": 0.2})
    assert ended == TerminalEnded(None, signal.SIGINT, "download", "")
    stage.reporter.report("commit")
    assert stage.run("sleep 0.5", limits_s={"download": 0.2}) == TerminalEnded(0, 0, "", "")
    stage.terminal.close()


class Wished:
    """A request to stop, after a line was printed, and its answer."""

    def __init__(self, lines: list[str], *, force: bool = False) -> None:
        self._lines = lines
        self._force = force
        self.told: list[str] = []

    def wanted(self) -> bool:
        return bool(self._lines)

    def forced(self) -> bool:
        return self._force and self.wanted()

    def report(self, answer: str, why: str) -> None:
        self.told.append(f"{answer}: {why}")


@pytest.mark.parametrize("force", [False, True])
def test_a_promised_stop_is_corrected_once_the_commit_has_begun(stage: Stage, *, force: bool) -> None:
    """apt-get continues with dpkg before its output about that is read: the promise is withdrawn, and no second signal follows. The hub takes
    no other answer to a kill than one about scripts, so it gets one with each."""
    wish = Wished(stage.lines, force=force)
    terminal = Terminal(stage.log, stage.reporter, wish)
    rules = {
        "download": StopRule("now", "nothing has been changed yet", (signal.SIGINT, signal.SIGTERM)),
        "commit": StopRule("after_package", "it ends after the package that it is at", (signal.SIGINT,)),
    }
    stage.reporter.report("download")
    script = "trap 'echo heard; echo commit >&{fd}; sleep 0.4; echo done; exit 0' INT; echo up; while :; do sleep 0.05 & wait; done"
    ended = terminal.run(["/bin/bash", "-c", script], ENV, stage.lines.append, stage.reporter.report, stop_rule=rules.__getitem__)
    terminal.close()
    assert ended == TerminalEnded(0, 0, "", "after_package", False)
    assert stage.lines[-2:] == ["heard", "done"]
    first, second = ["now: nothing has been changed yet"], ["after_package: it ends after the package that it is at"]
    if force:
        first.append(f"now: {sentence('stop.nothing_to_kill')}")
        second.append(f"after_package: {sentence('stop.no_script')}")
    assert wish.told == first + second


@pytest.mark.parametrize("hangs", [True, False])
def test_a_stop_and_a_kill_in_one_look_end_with_the_answer_to_the_kill(stage: Stage, tmp_path: Path, *, hangs: bool) -> None:
    wish = Wished(stage.lines, force=True)
    terminal = Terminal(stage.log, stage.reporter, wish)
    script = tmp_path / "var/lib/dpkg/info/shop.postinst"
    script.parent.mkdir(parents=True)
    script.write_text("echo up\nsleep 30\n")
    command = f"/bin/sh {script}" if hangs else "echo up; sleep 0.5"
    stage.reporter.report("commit")
    rule = StopRule("after_package", "it ends after the package that it is at")
    ended = terminal.run(["/bin/sh", "-c", f"{command}; exit 0"], ENV, stage.lines.append, stop_rule=lambda _phase: rule)
    terminal.close()
    last = "the script of the current package was stopped" if hangs else "no package's script runs that could be stopped"
    assert (ended.stopped, ended.script_killed) == ("after_package", hangs)
    assert wish.told[0] == "after_package: it ends after the package that it is at"
    assert wish.told[-1].startswith(f"after_package: {last}")


def test_a_kill_where_no_script_may_run_is_answered_once(stage: Stage) -> None:
    wish = Wished(stage.lines, force=True)
    terminal = Terminal(stage.log, stage.reporter, wish)
    stage.reporter.report("download")
    rule = StopRule("too_late", "this is the last step, and it runs to its end")
    ended = terminal.run(["/bin/sh", "-c", "echo up; sleep 1.5"], ENV, stage.lines.append, stop_rule=lambda _phase: rule)
    terminal.close()
    assert ended == TerminalEnded(0, 0, "", "too_late")
    assert wish.told == [f"too_late: {rule.why}", f"too_late: {sentence('stop.nothing_to_kill')}"]


def test_a_kill_during_a_later_program_keeps_the_answer_to_the_stop(stage: Stage) -> None:
    """A program that follows the last one that counts has no answer of its own."""
    wish = Wished(["stopped before"], force=True)
    terminal = Terminal(stage.log, stage.reporter, wish)
    stage.reporter.report("check")
    stage.reporter.stopping("too_late", "this is the last step")
    terminal.run(["/bin/sh", "-c", "sleep 0.3"], ENV, stage.lines.append)
    terminal.close()
    assert wish.told == [f"too_late: {sentence('stop.no_script')}"]


def test_a_stop_that_is_too_late_sends_no_signal_even_where_a_time_limit_may(stage: Stage) -> None:
    wish = Wished(stage.lines)
    terminal = Terminal(stage.log, stage.reporter, wish)
    rule = StopRule("too_late", "systemd is at work", (signal.SIGINT,))
    ended = terminal.run(["/bin/sh", "-c", "echo up; sleep 0.5"], ENV, stage.lines.append, stop_rule=lambda _phase: rule)
    terminal.close()
    assert ended == TerminalEnded(0, 0, "", "too_late")
    assert wish.told == ["too_late: systemd is at work"]


def test_a_listener_that_fails_leaves_the_program_to_its_end(stage: Stage, tmp_path: Path) -> None:
    def fail(_line: str) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        stage.terminal.run(["/bin/sh", "-c", f"echo x; sleep 0.3; echo done > {tmp_path}/done; echo y"], ENV, fail)
    assert (tmp_path / "done").exists()
    stage.terminal.close()
    assert stage.text == b"x\r\ny\r\n"


def test_a_listener_that_fails_does_not_block_a_program_that_reports_its_progress(stage: Stage) -> None:
    def fail(_line: str) -> None:
        raise RuntimeError("no")

    more_than_a_pipe_holds = "echo x; sleep 0.3; head -c 300000 /dev/zero >&{fd}; echo y"
    with pytest.raises(RuntimeError):
        stage.terminal.run(["/bin/bash", "-c", more_than_a_pipe_holds], ENV, fail, fail)
    stage.terminal.close()
    assert stage.text == b"x\r\ny\r\n"


def test_a_full_log_states_how_much_is_missing(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"), limit=10)
    log.write(b"12345678")
    log.write(b"90abc")
    log.write(b"x" * 500)
    log.write(b"de")
    log.close()
    kept = (tmp_path / "log").read_bytes()
    assert kept.startswith(b"1234567890\r\n[stardust: ")
    assert kept.endswith(b"[stardust: 515 bytes were printed in all, 505 of them are not kept]\r\n")
    assert log.bytes + log.lost == 515  # as the hub tells it: our own two notes are nothing that was printed
    assert (log.bytes, log.sha256()) == (len(kept), hashlib.sha256(kept).hexdigest())


@pytest.mark.parametrize("beyond", [1, 255, 256, 257, 300])
def test_a_log_slightly_over_its_limit_is_stored_whole(tmp_path: Path, beyond: int) -> None:
    log = Log(str(tmp_path / "log"), limit=100)
    for _ in range(100 + beyond):
        log.write(b"x")
    log.close()
    kept = (tmp_path / "log").read_bytes()
    whole = beyond <= NOTES_BYTES
    assert (len(kept) == 100 + beyond, b"stardust" in kept) == (whole, not whole)
    assert len(kept) <= 100 + NOTES_BYTES
    assert log.bytes + log.lost == 100 + beyond
    assert (log.bytes, log.sha256()) == (len(kept), hashlib.sha256(kept).hexdigest())


def test_a_disk_that_is_full_costs_output_and_is_counted(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys, hashlib\n"
        "from spider.root.terminal import Log\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "log = Log(sys.argv[1])\n"
        "[log.write(b'x' * 300) for _ in range(6)]\n"
        "print(log.bytes, log.lost, log.sha256() == hashlib.sha256(b'x' * log.bytes).hexdigest()); log.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "log")], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1000", "800", "True"]
    assert (tmp_path / "log").stat().st_size == 1000
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY


def test_progress_is_written_immediately_per_phase_and_never_decreases(tmp_path: Path) -> None:
    reporter = OutputReporter(str(tmp_path / "progress"))
    reporter.report("download", 0)
    for percent in range(100):
        reporter.report("download", percent, "a", f"step {percent}")
    reporter.report("commit", 50, "b", "x")
    reporter.report("commit", 20, "c", "y")
    reporter.close()
    told = [json.loads(line) for line in (tmp_path / "progress").read_text().splitlines()]
    assert [line["phase"] for line in told] == ["download", "commit", "commit"]  # the hundred cannot be read in one piece
    assert [line["percent"] for line in told if line["phase"] == "commit"] == [50, 50]
    assert told[-1]["package"] == "c"


@given(st.lists(st.binary(max_size=30), max_size=12))
def test_lines_do_not_depend_on_how_the_bytes_arrive(pieces: list[bytes]) -> None:
    whole: list[str] = []
    cut: list[str] = []
    for seen, chunks in ((whole, [b"".join(pieces)]), (cut, pieces)):
        lines = Lines(seen.append)
        for chunk in chunks:
            lines.feed(chunk)
        lines.end()
    assert whole == cut


def test_a_program_does_not_inherit_ignored_signals(stage: Stage) -> None:
    """A background process of a script has SIGINT ignored, and would pass that on: nothing could be stopped."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ended = stage.run("kill -INT $$; echo deaf")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (ended.rc, ended.signal) == (None, signal.SIGINT)
