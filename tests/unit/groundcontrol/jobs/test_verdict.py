"""The verdict on a job from its node's messages."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.core.ids import JobId, NodeId
from groundcontrol.core.text import clean
from groundcontrol.jobs.messages import read_ended, read_progress, refusal_error
from groundcontrol.jobs.model import TERMINAL, Job
from spider.wire.errors import ProtocolError
from spider.wire.job_messages import JobEnded, JobProgress
from spider.wire.sentences import sentence
from tests.support.some import some

NOW = 1_790_000_000.0
SHA = hashlib.sha256(b"x").hexdigest()
JOB = Job(
    JobId("j"), 1, NodeId("n"), "upgrade", (), False, "running", None, None, None, 1, None, "admin", NOW - 60, NOW + 540, None, None, (), None, 1
)  # fmt: skip
ENDED = JobEnded("j", "succeeded", 0, 0, 1, SHA, 0, int((NOW - 50) * 1000), int((NOW - 1) * 1000), ["a"], ["1"], ["2"], "", "")


def test_an_end_with_the_right_output_digest_is_accepted() -> None:
    verdict = read_ended(ENDED, JOB, 1, SHA, NOW)
    assert verdict.state == "succeeded"
    assert verdict.update.changes == (("a", "1", "2"),)
    assert (verdict.update.started_at, verdict.update.ended_at) == (NOW - 50, NOW - 1)


def test_an_end_with_other_output_is_unknown() -> None:
    verdict = read_ended(ENDED, JOB, 1, "0" * 64, NOW)
    assert verdict.state == "unknown"
    assert some(verdict.update.error).code == "job.output_mismatch"


def test_a_guess_leaves_the_end_of_the_output_open() -> None:
    verdict = read_ended(ENDED._replace(state="interrupted", error_code="job.killed", error_text="k"), JOB, 1, SHA, NOW)
    assert (verdict.update.output_bytes, verdict.update.output_sha256) == (None, None)


def test_times_of_a_wrong_node_clock_are_replaced() -> None:
    verdict = read_ended(ENDED._replace(started_at_ms=0, ended_at_ms=10**12 * 4), JOB, 1, SHA, NOW)
    assert (verdict.update.started_at, verdict.update.ended_at) == (None, NOW)


@pytest.mark.parametrize(
    "other",
    [
        {"state": "expired"},
        {"state": "queued"},
        {"state": ""},
        {"lost_bytes": -1},
        {"change_from": []},
        {"output_sha256": "zz"},
        {"output_bytes": -1},
    ],
)
def test_an_impossible_end_is_a_protocol_error(other: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        read_ended(ENDED._replace(**other), JOB, 1, SHA, NOW)


@given(st.text(max_size=100), st.text(max_size=200))
def test_every_refusal_is_a_sentence_without_control_characters(answer: str, why: str) -> None:
    error = refusal_error(answer, why)
    assert error.message
    assert error.code.startswith("job.")
    assert clean(error.message, 1000) == error.message.strip()


@given(st.text(max_size=20), st.integers(-(2**40), 2**40))
def test_progress_has_a_known_phase_and_a_percentage_or_none(phase: str, percent: int) -> None:
    evidence = read_progress(JobProgress("j", 0, phase, percent, "", ""), JOB, NOW)
    assert evidence.phase is None or evidence.phase == phase
    assert evidence.progress_percent is None or 0 <= evidence.progress_percent <= 100


def test_only_words_about_scripts_answer_a_kill() -> None:
    for code, final in (
        ("stop.apt_after_packages", False), ("stop.script_stopped", True), ("stop.no_script", True), ("stop.nothing_to_kill", True),
    ):  # fmt: skip
        answer = some(read_progress(JobProgress("j", 0, "commit", 50, "curl", sentence(code), "after_package"), JOB, NOW).stop)
        assert (answer.state, answer.final) == ("after_package", final)


def test_every_end_that_a_node_reports_is_a_terminal_state() -> None:
    assert {"succeeded", "failed", "interrupted", "unknown"} <= TERMINAL


def test_errors_of_a_time_that_root_must_reset_name_the_command() -> None:
    for why in ("outdated", "latest-damaged"):
        told = refusal_error("refused", why)
        assert (told.code, "`stardust-spider orders reset`" in told.message) == (f"job.{why.replace('-', '_')}", True)
