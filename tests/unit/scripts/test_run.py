"""scripts/run: restarting processes that ended, and limiting the size of a log."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from pathlib import Path

import pytest

from groundcontrol.config_reader import read_config
from scripts.dev.restarts import EXIT_CONFIG, RESTART_PAUSES_S, STEADY_S, Restarts, start_again
from scripts.dev.run import Runner, detail_of
from scripts.dev.state_files import shorten_log
from scripts.dev.terminal import login_of
from tests.support.faults import small_disk


def test_a_process_that_dies_repeatedly_is_given_up() -> None:
    restarts = Restarts()
    assert [restarts.pause_s(-9, 1.0) for _ in range(len(RESTART_PAUSES_S) + 1)] == [*RESTART_PAUSES_S, None]


def test_a_process_that_ran_long_enough_is_restarted_soon() -> None:
    restarts = Restarts()
    for _ in range(3 * len(RESTART_PAUSES_S)):
        assert restarts.pause_s(1, STEADY_S) == RESTART_PAUSES_S[0]
        assert restarts.pause_s(75, 0.0) == RESTART_PAUSES_S[1]


def test_a_process_that_refuses_its_settings_is_not_restarted() -> None:
    assert Restarts().pause_s(EXIT_CONFIG, 2 * STEADY_S) is None


def test_a_long_log_is_rotated_under_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "hub.log"
    shorten_log(log, most_bytes=100)
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as writer:
        for text in ("first " * 20, "second " * 20, "third"):
            writer.write(text)
            writer.flush()
            shorten_log(log, most_bytes=100)
    assert log.read_text() == "third"
    aside = tmp_path / "hub.log.1"
    assert aside.read_text() == "second " * 20
    assert aside.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_empties_a_long_log_without_a_copy_and_says_so_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        log, text = disk.view / "hub.log", "x" * 300_000
        log.write_text(text)
        disk.fill()
        assert shorten_log(log, most_bytes=100_000) == "hub.log is emptied without a copy: No space left on device."
        assert {path.name for path in disk.view.iterdir()} == {"hub.log", "filler"}
        assert log.read_text() == ""
        log.write_text(text)
        disk.remount("ro")
        runner = Runner(disk.view)
        for _ in range(2):
            runner.shorten("hub.log", most_bytes=100_000)
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1
        assert said[0].startswith("hub.log cannot be shortened: Read-only file system (")
        disk.remount("rw")
        (disk.view / "filler").unlink()
        runner.shorten("hub.log", most_bytes=100_000)
        assert (disk.view / "hub.log.1").read_text() == text


async def test_a_refused_start_is_retried_until_it_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    refusals = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "spider.pyz.new"), OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))]

    async def start() -> asyncio.subprocess.Process:
        if refusals:
            raise refusals.pop(0)
        return await asyncio.create_subprocess_exec(sys.executable, "-c", "")

    process = await start_again("Spider", start, 0, later_s=0)
    assert await process.wait() == 0
    assert capsys.readouterr().err.splitlines() == [
        "Spider cannot be started: No space left on device (spider.pyz.new). The next try is in 0 s.",
        "Spider cannot be started: Resource temporarily unavailable. The next try is in 0 s.",
    ]


def test_the_first_log_in_is_shown_until_it_happened(tmp_path: Path) -> None:
    def shown(seen: float | None, *, must_change: bool, password: str = "") -> str:
        environ = {"STARDUST_SECRET": "only-for-this-test-0123456789", "STARDUST_ADMIN_PASS": password}
        config = read_config(environ, ["--data-dir", str(tmp_path)])
        return login_of(config, {"username": "root", "last_seen_at": seen, "must_change_password": must_change})

    assert shown(None, must_change=True) == "root / admin (you choose a new password at the first log-in)"
    weak = "root / the password of STARDUST_ADMIN_PASS (you choose a new password at the first log-in)"
    assert shown(None, must_change=True, password="short") == weak
    assert shown(None, must_change=False, password="long enough for this") == "root / the password of STARDUST_ADMIN_PASS"
    assert shown(1.0, must_change=True) == shown(1.0, must_change=False, password="long enough for this") == "as before"
    assert shown(None, must_change=False) == "as before", "its log-in is older than what the hub keeps of log-ins"


def test_the_message_of_a_refusal_is_extracted() -> None:
    assert detail_of('{"status": 400, "detail": "a name has 1 to 255 printable characters"}') == "a name has 1 to 255 printable characters"
    assert detail_of("Bad Gateway\n") == "Bad Gateway"
    assert detail_of("[]") == "[]"
    assert detail_of("") == "it said nothing"
