"""Custom metrics of the owner's programs: only from folders and files that nobody else can write, with time and size limits."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.root.process_cleanup import foreign_children
from spider.sampling.exec_metrics import LIMIT_S, MAX_NAMES, Programs, parse_output
from spider.wire.metrics import parse_series

Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "metrics.d"
    made.mkdir(mode=0o755)
    for parent in (made, *made.parents):
        if parent.owner() == made.owner() and parent.is_relative_to("/tmp/pytest-of-" + made.owner()):
            parent.chmod(0o755)  # files run as nobody must be reachable
    return made


@pytest.fixture
def write(folder: Path) -> Write:
    def make(text: str, name: str = "numbers", mode: int = 0o755) -> Path:
        path = folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    return make


def read(folder: Path, limit_s: float = LIMIT_S) -> dict[str, int | None]:
    programs = Programs(str(folder), os.geteuid(), limit_s)
    values = programs.read(0.0)
    return dict(zip(programs.series(), values, strict=True))


def test_output_lines_are_parsed_as_name_value_and_unit() -> None:
    printed = parse_output(b"# mail\n\nqueue.length 12 messages\nload 0.25\ntemp -3.5e1 \xc2\xb0C\nbroken -\nnothing nan\n")
    assert printed.values == {
        "custom{name=queue.length [messages]}": 12_000,
        "custom{name=load}": 250,
        "custom{name=temp [°C]}": -35_000,
        "custom{name=broken}": None,
        "custom{name=nothing}": None,
    }
    assert printed.wrong_lines == 0


@pytest.mark.parametrize(
    "line", ["x", "1x 2", "x 1 2 3", "x inf", "x 1e400", "x{y} 1", "x\x1b 1", "x 1 {}", "a" * 101 + " 1", "x 1;rm", "x 9e18"]
)
def test_invalid_lines_are_counted_and_ignored(line: str) -> None:
    assert parse_output(line.encode()) == ({}, 1)


@given(st.binary(max_size=300))
def test_any_output_gives_series_of_the_catalogue(output: bytes) -> None:
    for name, value in parse_output(output).values.items():
        assert parse_series(name)[0].family == "custom"
        assert value is None or abs(value) < 1 << 63


def test_a_program_is_run_from_the_descriptor_that_was_checked(folder: Path, write: Write) -> None:
    write('#!/bin/sh\necho "answer 42"\necho "me $(id -u)"\n[ -t 0 ] || echo "input $(wc -c)"\n')
    found = read(folder)
    assert found["custom{name=answer}"] == 42_000
    assert found["custom{name=me}"] == (65534 if os.geteuid() == 0 else os.geteuid()) * 1000
    assert found["custom{name=input}"] == 0


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o644])
def test_a_program_with_unsafe_permissions_is_not_run(folder: Path, write: Write, mode: int, caplog: pytest.LogCaptureFixture) -> None:
    write("#!/bin/sh\necho 'evil 1'\n", mode=mode)
    write("#!/bin/sh\necho 'good 1'\n", "other")
    assert read(folder) == {"custom{name=good}": 1000}
    assert "custom_metric_failed" in caplog.messages


def test_links_and_folders_of_other_users_are_not_followed(folder: Path, write: Write, tmp_path: Path) -> None:
    path = write("#!/bin/sh\necho 'evil 1'\n")
    os.rename(path, tmp_path / "elsewhere")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    assert read(folder) == {}
    write("#!/bin/sh\necho 'good 1'\n")
    assert Programs(str(folder), os.geteuid() + 1).read(0.0) == []
    folder.chmod(0o777)
    assert read(folder) == {}


def test_without_a_folder_nothing_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read(tmp_path / "none") == {}
    assert caplog.messages == []


def test_a_program_that_hangs_or_floods_ends_with_its_children(folder: Path, write: Write) -> None:
    sleeps = f"1000.{os.getpid()}"  # no other test's
    write(f"#!/bin/sh\necho 'x 1'\nsleep {sleeps} &\nwait\n", "hangs")
    write("#!/bin/sh\nexec yes\n", "floods")
    write("#!/bin/sh\necho 'good 1'\n", "quick")
    began = time.monotonic()
    assert read(folder, limit_s=8.0) == {"custom{name=good}": 1000}
    assert time.monotonic() - began < 30
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if f"sleep\0{sleeps}\0".encode() in _read(path)]
    assert left == []


def running(words: str) -> list[int]:
    """Processes with this command line."""
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if words.replace(" ", "\0").encode() in _read(path)]


def test_children_in_sessions_of_their_own_end_with_the_run_and_it_is_reported_once(
    folder: Path, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    sleeps = f"sleep 1001.{os.getpid()}"  # no other test's
    # One that lost its parent, one that cleared its environment and has a parent, both outside the process group.
    keeps = f"setsid sh -c 'env -i {sleeps} & echo >&3; wait' >/dev/null 3>&1 &"
    write(f"#!/bin/sh\nsetsid {sleeps} >/dev/null &\n{keeps}\necho 'x 1'\n", "leaves")
    write("#!/bin/sh\necho 'good 1'\n", "other")
    bystander = subprocess.Popen(["sleep", f"1002.{os.getpid()}"])
    try:
        programs = Programs(str(folder), os.geteuid())
        for _ in range(3):
            assert programs.read(0.0) == [1000, 1000]
            assert running(sleeps) == []
        assert bystander.poll() is None
    finally:
        for pid in running(sleeps):
            os.kill(pid, signal.SIGKILL)
        bystander.kill()
        bystander.wait()
    assert caplog.messages == ["custom_metric_failed"]
    assert "left processes behind" in caplog.records[0].facts["why"]  # type: ignore[attr-defined]


def test_a_detached_descendant_of_a_program_ends_with_the_run(folder: Path, write: Write, caplog: pytest.LogCaptureFixture) -> None:
    sleeps = f"sleep 1003.{os.getpid()}"
    # Started by a process that ends immediately; and a second one of another session below it, whose parent is ended before it.
    nested = f"setsid env -i sh -c 'setsid {sleeps} & exec {sleeps}'"
    write(f"#!/bin/sh\n(setsid env -i {sleeps} >/dev/null &)\n({nested} >/dev/null &)\necho 'x 1'\n", "flees")
    before = foreign_children()
    own = subprocess.Popen(["sleep", f"1004.{os.getpid()}"], start_new_session=True)
    try:
        programs = Programs(str(folder), os.geteuid())
        for _ in range(3):
            assert programs.read(0.0) == [1000]
            assert running(sleeps) == []
        assert own.poll() is None
        assert foreign_children() - before == {own.pid}  # none of them stays as an entry either
    finally:
        for pid in running(sleeps):
            os.kill(pid, signal.SIGKILL)
        own.kill()
        own.wait()
    assert "left processes behind, which were ended" in caplog.records[0].facts["why"]  # type: ignore[attr-defined]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_failed_name_is_null_until_it_is_forgotten_and_names_are_bounded(folder: Path, write: Write) -> None:
    path = write("#!/bin/sh\necho 'x 1'\n")
    programs = Programs(str(folder), os.geteuid())
    assert programs.read(0.0) == [1000]
    path.write_text("#!/bin/sh\nexit 3\n")
    assert [programs.read(0.0) for _ in range(9)] == [[None]] * 9
    assert programs.read(0.0) == []
    write('#!/bin/sh\ni=0\nwhile [ $i -lt 600 ]; do echo "n$i 1"; i=$((i+1)); done\n')
    programs.read(0.0)
    assert len(programs.series()) == MAX_NAMES


def names_of(programs: Programs, begin: str) -> list[str]:
    return [name for name in programs.series() if name.startswith("custom{name=" + begin)]


def test_too_many_names_of_one_program_do_not_displace_others(folder: Path, write: Write, caplog: pytest.LogCaptureFixture) -> None:
    programs = Programs(str(folder), os.geteuid())
    write('#!/bin/sh\ni=0\nwhile [ $i -lt 400 ]; do echo "a$i 1"; i=$((i+1)); done\n', "aaa")
    write("#!/bin/sh\necho 'z1 1'\necho 'z2 1'\n", "zzz")
    for _ in range(2):
        programs.read(0.0)
    assert len(programs.series()) == MAX_NAMES
    assert len(names_of(programs, "z")) == 2
    assert [record.facts for record in caplog.records] == [  # type: ignore[attr-defined]
        {"program": "aaa", "why": "146 names left out: 256 of all programs are kept"}
    ]
    before = names_of(programs, "a")
    write("#!/bin/sh\necho 'm1 1'\n", "mmm")  # a run without a free slot is reported, and its program is not started
    programs.read(0.0)
    assert names_of(programs, "m") == []
    assert names_of(programs, "a") == before
    assert caplog.records[-1].facts["program"] == "mmm"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("#!/nonexistent/perl\n", "cannot be run: there is no such interpreter as its first line names"),
        ("echo 'x 1'\n", "cannot be run: Exec format error"),
    ],
)
def test_a_program_that_cannot_be_run_is_reported_once(
    folder: Path, write: Write, caplog: pytest.LogCaptureFixture, text: str, why: str
) -> None:
    write(text, "wrong")
    programs = Programs(str(folder), os.geteuid())
    opened = []
    try:
        for _ in range(4):
            assert programs.read(0.0) == []
            opened.append(os.open("/dev/null", os.O_RDONLY))  # the next descriptor is another one
    finally:
        for fd in opened:
            os.close(fd)
    assert [record.facts for record in caplog.records] == [{"program": "wrong", "why": why}]  # type: ignore[attr-defined]
