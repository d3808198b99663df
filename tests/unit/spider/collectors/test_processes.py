"""The process table compared with psutil on this machine, and with misbehaving processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.reports.table_reporter import table_of
from spider.sampling.collectors.cmdline import MOST, command_line, mask
from spider.sampling.collectors.processes import STATES, Processes, parse_stat
from spider.sampling.collectors.table_reader import Reading
from spider.wire.table_rows import check
from spider.wire.tables import BY_NAME
from tests.support.recordings import write
from tests.support.some import some

COLUMNS = [column.name for column in BY_NAME["processes"].columns]
EVERY = 100_000
"""More than there are: nobody is left out."""
PATIENCE_S = 20.0
TICK_S = 0.02
"""The kernel counts a process's time in hundredths of a second; both ends of a stretch are rounded."""


def rows(reading: Reading | None) -> dict[int, dict[str, Any]]:
    named: list[dict[str, Any]] = [dict(zip(COLUMNS, row, strict=True)) for row in some(reading).rows]
    return {row["pid"]: row for row in named}


@contextlib.contextmanager
def program(code: str, *argv: str | bytes) -> Iterator[subprocess.Popen[bytes]]:
    """A Python that runs `code` and says when it is ready."""
    with subprocess.Popen(
        [sys.executable, "-c", code + "\nprint(flush=True)\nimport signal; signal.pause()", *argv], stdout=subprocess.PIPE
    ) as process:
        try:
            some(process.stdout).readline()
            yield process
        finally:
            process.kill()


HIDING = ("pass", "pwd", "token", "secret", "auth", "key", "cred", "://")


def by_psutil() -> dict[int, dict[str, Any]]:
    """What psutil reads of each process now."""
    fields = ["name", "username", "create_time", "cmdline", "num_threads", "memory_info"]
    return {process.pid: process.info for process in psutil.process_iter(fields)}


def disagreements() -> tuple[int, dict[int, str]]:
    """Returns: how many processes were compared; what differs, by pid."""
    before = by_psutil()
    ours = rows(Processes(top=EVERY, mark_s=0).read(time.monotonic()))
    after = by_psutil()
    compared, found = 0, dict[int, str]()
    for pid, right in after.items():
        identity = ("name", "username", "create_time", "cmdline")
        if pid not in before or any(before[pid][field] != right[field] for field in identity):
            continue  # it began, or became another program, between the two looks
        row = ours.get(pid)
        if row is None or row["name"].startswith("kworker"):  # the kernel's workers take the name of what they work at
            continue
        compared += 1
        text = " ".join(right["cmdline"] or ()).rstrip()
        shown = text.isprintable() and not any(mark in text.lower() for mark in HIDING)
        sizes = [look["memory_info"].rss for look in (before[pid], right) if look["memory_info"] is not None]
        agree = {
            "name": right["name"].startswith(row["name"].rstrip("…")),
            "user": row["user"] == right["username"],
            "started_at": row["started_at"] / 1000 == pytest.approx(right["create_time"], abs=2.0),
            "threads": abs(row["threads"] - right["num_threads"]) <= 8 + abs(before[pid]["num_threads"] - right["num_threads"]),
            "memory": not sizes or min(sizes) * 0.5 - (16 << 20) <= row["memory"] <= max(sizes) * 1.5 + (16 << 20),
            "command": not shown or (row["command"] or "")[:400] == text[:400],
        }
        if not all(agree.values()):
            found[pid] = f"{[name for name, agrees in agree.items() if not agrees]} of {row}"
    return compared, found


def test_every_process_agrees_with_psutil() -> None:
    compared, found = disagreements()
    assert compared > 1
    ends_at = time.monotonic() + PATIENCE_S
    while found and time.monotonic() < ends_at:  # a process may change twice between two looks; a fault of ours is there in each
        time.sleep(TICK_S)
        found = {pid: why for pid, why in disagreements()[1].items() if pid in found}
    assert not found, found


def test_the_states_are_those_of_the_kernel() -> None:
    words = {psutil.STATUS_RUNNING: "running", psutil.STATUS_SLEEPING: "sleeping", psutil.STATUS_DISK_SLEEP: "waiting"}
    words |= {psutil.STATUS_STOPPED: "stopped", psutil.STATUS_ZOMBIE: "zombie", psutil.STATUS_IDLE: "idle"}
    with program("pass") as process:
        told = psutil.Process(process.pid)
        told.suspend()
        while told.status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        assert rows(Processes(top=EVERY, mark_s=0).read(time.monotonic()))[process.pid]["state"] == "stopped"
        process.kill()
        while told.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        row = rows(Processes(top=EVERY, mark_s=0).read(time.monotonic()))[process.pid]
        assert (row["state"], row["command"], row["memory"]) == ("zombie", "", 0)
    assert set(words.values()) <= set(STATES.values())


def test_the_busiest_and_the_largest_processes_are_listed() -> None:
    computes = "import threading; threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()"
    with program(computes) as busy, program("held = bytearray(b'x' * (200 << 20))") as big:
        processes = Processes(mark_s=0.0)

        def used_s() -> float:
            times = psutil.Process(busy.pid).cpu_times()
            return float(times.user + times.system)

        # Whatever else this machine does: the usage reported between two readings lies between the usage within and around them.
        around, first = used_s(), time.monotonic()
        processes.read(first)
        within = used_s()
        time.sleep(1)
        within, second = used_s() - within, time.monotonic()
        reading = processes.read(second)
        around = used_s() - around
        found = rows(reading)
        told_s = found[busy.pid]["cpu"] / 10_000 * (second - first)
        assert within - 2 * TICK_S <= told_s <= around + 2 * TICK_S
        assert found[big.pid]["memory"] > 200 << 20
        assert len(found) <= 60
        assert some(reading).total > 0


def test_bytes_read_and_written_are_those_of_the_kernel(tmp_path: Path) -> None:
    code = "import os, sys; fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY); sys.stdin"
    code += "\nimport threading\ndef go():\n while True: os.pwrite(fd, b'x' * (1 << 20), 0); os.fsync(fd)\nthreading.Thread(target=go, daemon=True).start()"
    with program(code, str(tmp_path / "file")) as process:
        processes = Processes(top=EVERY, mark_s=0.0)

        def written() -> int:
            return int(psutil.Process(process.pid).io_counters().write_bytes)

        around, first = written(), time.monotonic()
        processes.read(first)
        within = written()
        time.sleep(0.5)
        within, second = written() - within, time.monotonic()
        row = rows(processes.read(second))[process.pid]
        around = written() - around
        assert row["written"] is not None
        assert within * 0.99 <= row["written"] * (second - first) <= around * 1.01  # on tmpfs nothing reaches a disk, and all is 0


HOSTILE = b"a\nb\x1b]0;x\x07 ) S 1 (c\xff"


@pytest.mark.holds("S-16")
def test_hostile_names_and_command_lines_are_sanitized() -> None:
    code = f"open('/proc/self/comm', 'wb').write({HOSTILE!r})"
    with program(code, b"\xff\xfe\n\x1b[2J" + "\u202e".encode(), b"x" * 4096) as process:
        reading = Processes(top=EVERY, mark_s=0).read(time.monotonic())
        row = rows(reading)[process.pid]
        assert row["name"].startswith("a\\x0ab\\x1b]0;x\\x07 ) S")
        assert row["state"] in STATES.values()
        assert "\\xff\\xfe\\x0a\\x1b[2J\\u202e xxx" in row["command"] or row["command"].endswith("…")
        assert len(row["command"]) <= MOST
        assert row["command"].isprintable()
        check(table_of(BY_NAME["processes"], some(reading), 0))


def test_a_process_that_becomes_another_program_gets_its_new_command_line() -> None:
    processes = Processes(top=EVERY, mark_s=0)
    code = "import sys, os; print(flush=True); sys.stdin.readline(); os.execvp('sleep', ['sleep', '1000'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        some(process.stdout).readline()
        assert "readline" in rows(processes.read(time.monotonic()))[process.pid]["command"]
        process.stdin.write(b"\n")
        process.stdin.flush()
        while psutil.Process(process.pid).name() != "sleep":
            time.sleep(0.01)
        seen: list[str] = []
        until = time.monotonic() + 10
        while (
            seen[-1:] != ["sleep 1000"] and time.monotonic() < until
        ):  # in the middle of an exec the kernel has the new name and no arguments
            row = rows(processes.read(time.monotonic()))[process.pid]
            seen.append(row["command"])
        process.kill()
        assert row["name"] == "sleep"
        assert set(seen) <= {"", "sleep 1000"}
        assert seen[-1] == "sleep 1000"


def test_an_empty_command_line_during_an_exec_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    for path in ("stat", "loadavg"):
        (tmp_path / path).write_bytes(Path("/proc", path).read_bytes())
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2]
    (tmp_path / "7" / "stat").write_bytes(b"7 (sleep)" + fields)
    (tmp_path / "7" / "status").write_text("Uid:\t0\t0\t0\t0\n")
    (tmp_path / "7" / "cmdline").write_bytes(b"")
    tree(tmp_path, 1, "init")
    processes = Processes(top=EVERY, proc=str(tmp_path), mark_s=0)
    assert rows(processes.read(1.0))[7]["command"] == ""
    (tmp_path / "7" / "cmdline").write_bytes(b"sleep\x001000\0")
    assert rows(processes.read(2.0))[7]["command"] == "sleep 1000"


def test_processes_that_appear_or_end_during_a_scan_cause_no_error() -> None:
    until = time.monotonic() + 0.7
    spawner = "import os, time\nend = time.monotonic() + 0.6\nwhile time.monotonic() < end:\n p = os.fork()\n if not p: os._exit(0)\n os.waitpid(p, 0)"
    with subprocess.Popen([sys.executable, "-c", spawner]):
        processes = Processes(top=EVERY, mark_s=0)
        while time.monotonic() < until:
            assert len(rows(processes.read(time.monotonic()))) > 1


def tree(root: Path, pid: int, name: str, ticks: int = 0, pages: int = 1, *, whole: bool = True) -> None:
    fields = f"{pid} ({name}) S 1 1 1 0 -1 4194560 0 0 0 0 {ticks} 0 0 0 20 0 1 0 5 1000000 {pages} 184467"
    (root / str(pid)).mkdir(exist_ok=True)
    (root / f"{pid}/stat").write_text(fields)
    if whole:
        write(root, {f"{pid}/status": "Name:\tx\nUid:\t0\t0\t0\t0\n", f"{pid}/cmdline": f"{name}\0-v\0"})


def test_five_thousand_processes_fit_into_the_table(tmp_path: Path) -> None:
    for pid in range(1, 5001):
        tree(tmp_path, pid, f"p{pid}", pages=pid, whole=pid > 4900)
    processes = Processes(str(tmp_path), mark_s=0.01)
    reading = some(processes.read(1.0))
    assert reading.total == 5000
    assert [row[0] for row in reading.rows] == list(range(5000, 4970, -1))  # all idle: by memory twice
    for pid in range(1, 31):
        tree(tmp_path, pid, f"p{pid}", ticks=pid)
    reading = some(processes.read(11.01))
    assert [row[0] for row in reading.rows] == [*range(30, 0, -1), *range(5000, 4970, -1)]
    assert reading.rows[0][6] == round(30 * 10_000 / os.sysconf("SC_CLK_TCK") / 10)


def test_a_reused_pid_is_another_process(tmp_path: Path) -> None:
    tree(tmp_path, 1, "init")
    tree(tmp_path, 7, "old", ticks=1000)
    processes = Processes(str(tmp_path), mark_s=0.01)
    processes.read(1.0)
    stat = (tmp_path / "7/stat").read_text().replace(" 5 1000000", " 9 1000000").replace("(old)", "(new)").replace(" 1000 0", " 10 0")
    (tmp_path / "7/stat").write_text(stat)
    (tmp_path / "7/cmdline").write_bytes(b"new\0")
    row = rows(processes.read(11.01))[7]
    assert (row["cpu"], row["command"]) == (round(10 * 10_000 / os.sysconf("SC_CLK_TCK") / 10), "new")


def test_unreadable_processes_are_left_out_and_none_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    write(tmp_path, {"2/stat": "", "3/stat": "3 (x", "self/stat": "1 (x) S", "4/stat": "4 (x) S 1"})
    with pytest.raises(ValueError, match="no process"):
        Processes(str(tmp_path)).read(0.0)
    tree(tmp_path, 5, "seen")
    with pytest.raises(PermissionError, match="hidepid"):  # its own alone would pass for all that run
        Processes(str(tmp_path)).read(0.0)
    tree(tmp_path, 1, "init")
    assert list(rows(Processes(str(tmp_path), mark_s=0).read(0.0))) == [1, 5]


@given(st.binary(max_size=600))
def test_any_stat_is_read_or_refused(data: bytes) -> None:
    for text in (data, b"1 (" + data + b") S 1 1 1 0 -1 4194560 0 0 0 0 1 2 0 0 20 0 3 0 5 1000000 4 184467"):
        with contextlib.suppress(ValueError):
            assert parse_stat(text).pages >= 0


def test_a_name_may_hold_any_byte_but_a_slash() -> None:
    stat = parse_stat(b"1 (a) b (c\n) R 1 1 1 0 -1 4194560 0 0 0 0 1 2 0 0 20 0 3 0 5 1000000 4 184467")
    assert (stat.name, stat.state, stat.threads, stat.ticks, stat.started, stat.pages) == (b"a) b (c\n", b"R", 3, 3, 5, 4)


@pytest.mark.holds("S-35")
@pytest.mark.parametrize(
    ("words", "masked"),
    [
        ("db --password=abc", "db --password=***"),
        ("db --db-password abc -v", "db --db-password *** -v"),
        ("db --password -hunter2 -v", "db --password *** -v"),
        ("db --password --token abc", "db --password *** ***"),
        ("env PGPASSWORD=abc psql", "env PGPASSWORD=*** psql"),
        ("x AWS_SECRET_ACCESS_KEY=abc", "x AWS_SECRET_ACCESS_KEY=***"),
        ("curl https://me:abc@host/x", "curl https://me:***@host/x"),
        ("x --api-key abc --token=abc", "x --api-key *** --token=***"),
        ("x MYSQL_PWD=abc --bypass a --compass=b", "x MYSQL_PWD=*** --bypass a --compass=b"),
        ("x --tokenizer a --author b --max-tokens 5", "x --tokenizer a --author b --max-tokens 5"),
        ("sshd: root@pts/0", "sshd: root@pts/0"),
    ],
)
def test_values_after_a_key_that_names_a_secret_are_masked(words: str, masked: str) -> None:
    assert " ".join(mask(words.split())) == masked


@pytest.mark.holds("S-35")
@pytest.mark.parametrize(
    ("word", "masked"),
    [
        ("mysqldump --password=hunter2 db", "mysqldump --password=*** db"),
        ("mysqldump --password hunter2 db", "mysqldump --password *** db"),
        ("cd /x && TOKEN=hunter2 ./run", "cd /x && TOKEN=*** ./run"),
        ("cd /x;TOKEN='hunter 2' ./run", "cd /x;TOKEN=*** ./run"),
        ('DB_PASSWORD="hunter \\" 2"3 ./run', "DB_PASSWORD=***"),
        ('(export DB_PASSWORD="hunter \\" 2"3; ./run)', "(export DB_PASSWORD=*** ./run)"),
        ("worker: --password hunter2", "worker: --password ***"),
        ("worker: password: hunter2 (idle)", "worker: password: *** (idle)"),
        ("curl -H 'Authorization: Bearer hunter2' host", "curl -H 'Authorization: *** host"),
        ('{"user":"me","password": "hunter2"}', '{"user":"me","password": ***'),
        ("wget http://h/?a=1&token=hunter2 -O x", "wget http://h/?a=1&token=*** -O x"),
        ("psql postgres://me:hunter2@h/db -c x", "psql postgres://me:***@h/db -c x"),
        ("change the password of me", "change the password of me"),
        ("nginx: worker process", "nginx: worker process"),
        ("postgres: me db 10.0.0.1(5) idle", "postgres: me db 10.0.0.1(5) idle"),
    ],
)
def test_secrets_inside_one_argument_are_masked(word: str, masked: str) -> None:
    assert mask(["/bin/sh", "-c", word]) == ["/bin/sh", "-c", masked]


def test_start_times_are_corrected_once_the_clock_is_right() -> None:
    ahead = {"s": -50 * 365 * 86_400.0}
    reader = Processes(top=EVERY, mark_s=0.0, wall=lambda: time.time() + ahead["s"])

    def started_at() -> float:
        return float(rows(reader.read(time.monotonic()))[os.getpid()]["started_at"]) / 1000

    truth = psutil.Process().create_time()
    assert started_at() < truth - 40 * 365 * 86_400
    ahead["s"] = 0.0
    first = started_at()
    assert first == pytest.approx(truth, abs=2.0)
    for trimmed in (-2.0, 3.0, 4.0):
        ahead["s"] = trimmed
        assert started_at() == first, "a clock that is trimmed makes no new processes"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", ["pass-", "a.password_", "token=", '"token:', "--auth ", "x", "-", '\\"token="'])
def test_masking_a_long_argument_is_fast(part: str) -> None:
    for _ in range(20):
        assert len(mask([part * (4096 // len(part)), "x"])) == 2


def test_the_line_of_a_running_shell_holds_no_secret() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60; echo --password=hunter2 TOKEN='hun ter2'"]) as process:
        try:
            until = time.monotonic() + PATIENCE_S
            while not (line := command_line(f"/proc/{process.pid}/cmdline")) and time.monotonic() < until:
                time.sleep(0.01)  # in the middle of its exec it has none
            assert line == "sh -c sleep 60; echo --password=*** TOKEN=***"
        finally:
            process.kill()


def test_a_command_line_that_is_gone_is_not_known(tmp_path: Path) -> None:
    assert command_line(str(tmp_path / "none")) is None
    (tmp_path / "thread").write_bytes(b"")
    assert command_line(str(tmp_path / "thread")) == ""
    (tmp_path / "set").write_bytes(b"nginx: worker process\0\0\0\0")
    assert command_line(str(tmp_path / "set")) == "nginx: worker process"
