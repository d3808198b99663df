"""The state of a job is derived from its files and processes, for each row of the table."""

from __future__ import annotations

import pytest

from spider.jobs.files import JobResult, Run, StopRecord
from spider.jobs.status import GONE_AFTER_S, NEVER_BEGAN_AFTER_S, JobSnapshot, JobStatus, classify, ending
from spider.wire.frames import MAX_FRAME_BYTES
from spider.wire.ids import new_time_id

BOOT, OTHER = "a" * 32, "b" * 32
RUN = Run(7, BOOT, 100.0)
RESULT = JobResult("succeeded", 0, 0, 5, 0, "ab", 100.0, 101.0, [("a", "1", "2"), ("n", "", "1"), ("r", "1", "")], "", "")
NOTHING = JobSnapshot(None, None, None, None, 0, b"", alive=False)


@pytest.mark.parametrize(
    ("seen", "quiet_s", "verdict"),
    [
        (NOTHING, 0.0, JobStatus(ended=False, code="job.never_began")),
        (NOTHING, NEVER_BEGAN_AFTER_S, JobStatus(ended=True, code="job.never_began")),
        (NOTHING._replace(alive=True), 0.0, JobStatus(ended=False)),
        (NOTHING._replace(run=RUN, alive=True), 0.0, JobStatus(ended=False)),
        (
            NOTHING._replace(run=RUN, alive=True, stopped=StopRecord("signal", "killed", "9")),
            0.0,
            JobStatus(ended=False, code="job.orphaned"),
        ),
        (NOTHING._replace(run=RUN, alive=True, stopped=StopRecord("timeout", "", "")), 0.0, JobStatus(ended=False, code="job.overdue")),
        (NOTHING._replace(run=RUN, stopped=StopRecord("signal", "killed", "9")), 0.0, JobStatus(ended=False, code="job.killed")),
        (NOTHING._replace(run=RUN, stopped=StopRecord("signal", "killed", "9")), GONE_AFTER_S, JobStatus(ended=True, code="job.killed")),
        (NOTHING._replace(run=RUN, stopped=StopRecord("success", "exited", "0")), GONE_AFTER_S, JobStatus(ended=True, code="job.no_trace")),
        (NOTHING._replace(run=RUN), GONE_AFTER_S, JobStatus(ended=True, code="job.no_trace")),
        (NOTHING._replace(run=RUN._replace(boot=OTHER)), 0.0, JobStatus(ended=True, code="job.power_lost")),
        (
            NOTHING._replace(run=RUN._replace(boot=OTHER), stopped=StopRecord("timeout", "", "")),
            0.0,
            JobStatus(ended=True, code="job.shutdown_overran"),
        ),
        (
            NOTHING._replace(run=RUN._replace(boot=OTHER), stopped=StopRecord("signal", "killed", "9")),
            0.0,
            JobStatus(ended=True, code="job.killed"),
        ),
        (NOTHING._replace(run=RUN._replace(boot=OTHER), result=RESULT), 0.0, JobStatus(ended=True)),
        (NOTHING._replace(run=RUN, result=RESULT, stopped=StopRecord("timeout", "", ""), alive=True), 0.0, JobStatus(ended=True)),
    ],
)
def test_each_state_of_the_job_files_has_its_status(seen: JobSnapshot, quiet_s: float, verdict: JobStatus) -> None:
    assert classify(seen, BOOT, quiet_s) == verdict


def test_the_ending_carries_the_result() -> None:
    message = ending("j", NOTHING._replace(run=RUN, result=RESULT), "", "", 0.0)
    assert (message.state, message.exit_code, message.output_sha256) == ("succeeded", 0, "ab")
    assert list(zip(message.change_packages, message.change_from, message.change_to, strict=True)) == RESULT.changes
    assert (message.started_at_ms, message.ended_at_ms) == (100_000, 101_000)


def test_an_interrupted_job_has_no_outcome_made_up() -> None:
    seen = NOTHING._replace(run=RUN, stopped=StopRecord("signal", "killed", "9"), log_bytes=12)
    message = ending("j", seen, "job.killed", "cd", 200.0)
    assert (message.state, message.exit_code, message.signal, message.change_packages) == ("interrupted", None, 9, [])
    assert (message.output_bytes, message.output_sha256, message.error_code) == (12, "cd", "job.killed")
    assert ending("j", seen, "job.no_trace", "", 0.0).state == "unknown"


def test_thousands_of_changes_fit_into_one_message_and_the_rest_is_counted() -> None:
    many = [(f"package-with-a-long-name-{number}", "1.0-1+deb12u1", "1.0-1+deb12u2") for number in range(9000)]
    message = ending(new_time_id(), NOTHING._replace(result=RESULT._replace(changes=many)), "", "", 0.0)
    size = sum(len(word) + 5 for words in (message.change_packages, message.change_from, message.change_to) for word in words)
    assert size < MAX_FRAME_BYTES - 16 * 1024
    assert len(message.change_packages) <= 4096
    assert f"({9000 - len(message.change_packages)} more changed packages are not listed)" in message.error_text
