"""scripts/run: when a process that ended is started again, and how a log is held to its size."""

from __future__ import annotations

import os
from pathlib import Path

from scripts.run import EXIT_CONFIG, RESTART_PAUSES_S, STEADY_S, Restarts, shorten_log


def test_a_process_that_dies_again_and_again_is_given_up() -> None:
    restarts = Restarts()
    assert [restarts.pause_s(-9, 1.0) for _ in range(len(RESTART_PAUSES_S) + 1)] == [*RESTART_PAUSES_S, None]


def test_one_that_ran_well_for_a_while_is_started_soon() -> None:
    restarts = Restarts()
    for _ in range(3 * len(RESTART_PAUSES_S)):
        assert restarts.pause_s(1, STEADY_S) == RESTART_PAUSES_S[0]
        assert restarts.pause_s(75, 0.0) == RESTART_PAUSES_S[1]


def test_one_that_refuses_its_settings_is_not_started_again() -> None:
    assert Restarts().pause_s(EXIT_CONFIG, 2 * STEADY_S) is None


def test_a_long_log_is_moved_aside_under_its_writer(tmp_path: Path) -> None:
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
