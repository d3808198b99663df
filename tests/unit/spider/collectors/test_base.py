"""Shared code of the collectors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spider.files import read_text
from spider.sampling.collectors.base import LARGEST, MAX_LABEL, KernelFile, label, numbers, per_second
from spider.wire.metrics import parse_series, series_name


def test_a_file_is_read_again_each_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    file = KernelFile(str(path))
    assert file.read() == b"one"
    path.write_bytes(b"two, longer")
    assert file.read() == b"two, longer"
    file.close()


def test_a_file_longer_than_one_read_is_read_completely(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(200_000))
    file = KernelFile(str(path))
    assert file.read() == path.read_bytes()
    file.close()


def test_a_kernel_file_of_many_records_is_read_completely() -> None:
    file = KernelFile("/proc/self/smaps")
    with open("/proc/self/smaps", "rb") as fresh:
        assert file.read().count(b"VmFlags") == pytest.approx(fresh.read().count(b"VmFlags"), abs=5)
    file.close()


def test_an_endless_file_is_refused() -> None:
    file = KernelFile("/dev/zero")
    with pytest.raises(OSError, match="larger than"):
        file.read()


def test_a_vanished_file_is_reopened_when_it_returns(tmp_path: Path) -> None:
    path = tmp_path / "file"
    file = KernelFile(str(path))
    with pytest.raises(FileNotFoundError):
        file.read()
    path.write_bytes(b"back")
    assert file.read() == b"back"
    file.close()


def test_a_stale_descriptor_is_reopened_by_the_same_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"fresh")
    file = KernelFile(str(path))
    assert file.read() == b"fresh"
    stale = file._fd
    folder = os.open(tmp_path, os.O_RDONLY)
    os.dup2(folder, stale)  # a read of it now fails, as one of a dead lxcfs does
    os.close(folder)
    assert file.read() == b"fresh"
    file.close()


def test_a_rate_is_a_difference_by_time() -> None:
    assert per_second(3000, 1000, 2.0) == 1000
    assert per_second(1000, 1000, 1.0) == 0


def test_a_decreased_counter_has_no_rate() -> None:
    assert per_second(1, 2, 1.0) is None
    assert per_second(2, 1, 0.0) is None
    assert per_second(LARGEST, 0, 0.001) is None


def test_counters_outside_their_range_are_refused() -> None:
    assert numbers([b"0", str(LARGEST).encode()]) == [0, LARGEST]
    for wrong in (b"-1", str(LARGEST + 1).encode(), b"x", b"", b"1" * 400):
        with pytest.raises(ValueError, match=r"."):
            numbers([wrong])


@given(st.text())
@example("")
@example("x" * 300)
@example("\ud800")
def test_any_text_of_a_host_makes_a_parsable_series_name(text: str) -> None:
    name = series_name("filesystem.size", "mount", label(text))
    assert parse_series(name)[1] == label(text)
    assert len(label(text)) <= MAX_LABEL


def test_no_two_texts_of_a_host_share_a_label() -> None:
    texts = ["a{", "a}", "a_", "", "_", "x" * 300 + "1", "x" * 300 + "2", *map(os.fsdecode, (b"/\xff", b"/\xfe", b"/?"))]
    assert len({label(text) for text in texts}) == len(texts)
    assert label("a_") == "a_"


def test_a_path_of_invalid_utf8_makes_a_series_name() -> None:
    assert label(os.fsdecode(b"/mnt/\xff\xfe"))[:-7] == "/mnt/??"
    assert label("/mnt/{a}\n")[:-7] == "/mnt/_a__"


def test_an_unreadable_text_is_empty(tmp_path: Path) -> None:
    assert read_text(str(tmp_path)) == ""
    assert read_text(str(tmp_path / "none")) == ""
    assert read_text("no\0name") == ""
    os.mkfifo(tmp_path / "pipe")
    assert read_text(str(tmp_path / "pipe")) == ""


@pytest.mark.parametrize("mark", ["\x1b", "\x9b", "{", "}", "\n", "\u202e", "\u2066", "\u200b", "\ufeff", "\u2028", "\U000e0041", "\u061c"])
def test_a_label_contains_no_control_characters(mark: str) -> None:
    made = label(f"/mnt/{mark}txt.exe")

    assert made[:-7] == "/mnt/_txt.exe"
    assert parse_series(series_name("filesystem.used", "mount", made))[1] == made
    with pytest.raises(ValueError, match="no such series"):
        parse_series(f"filesystem.used{{mount=/mnt/{mark}txt.exe}}")
