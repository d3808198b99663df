"""Following a job's files: immediately on output, periodically where only a counter grows."""

from __future__ import annotations

from pathlib import Path

from spider.jobs.files import PLANNED, write_document
from spider.jobs.follower import PROGRESS_EVERY_S, JobFollower, JobsLocation
from spider.packages.plan import Plan, Planned
from spider.packages.plan_file import plan_to_document
from spider.wire.frames import Message
from spider.wire.ids import new_time_id
from spider.wire.job_messages import OUTPUT_WINDOW_BYTES, JobAck, JobOutput, JobPlan, JobProgress
from spider.wire.orders import SignedOrder
from tests.support.clock import ManualClock
from tests.support.fake_launcher import FakeRunner


def always() -> bool:
    return True


class Followed:
    """A job whose files the test writes, and the messages about it."""

    def __init__(self, folder: Path) -> None:
        job = new_time_id()
        self.runner = FakeRunner(folder / job, SignedOrder("n" * 26, 1, job, "upgrade", {}, 1, 2))
        self.clock = ManualClock()
        self.sent: list[Message] = []
        self.following = JobFollower(job, JobsLocation(str(folder), "", lambda _job: [1]), self.clock, self._send)

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    def told(self) -> list[int]:
        return [message.percent for message in self.sent if isinstance(message, JobProgress)]


async def test_a_fast_percentage_is_throttled_and_a_phase_is_sent_immediately(tmp_path: Path) -> None:
    followed = Followed(tmp_path)
    for percent in range(10):
        followed.runner.progress("download", percent)
        await followed.following.step(always)
    assert followed.told() == [0]
    followed.runner.progress("commit", 10)
    await followed.following.step(always)
    assert followed.told() == [0, 10]
    followed.runner.progress("commit", 11)
    await followed.following.step(always)
    await followed.clock.elapse(PROGRESS_EVERY_S)
    await followed.following.step(always)
    assert followed.told() == [0, 10, 11], "the last one is told, if later"


async def test_output_is_pending_until_it_is_sent_or_the_window_is_full(tmp_path: Path) -> None:
    followed = Followed(tmp_path)
    assert not followed.following.prints()
    followed.runner.say(b"x" * (OUTPUT_WINDOW_BYTES + 5))
    while followed.following.prints():
        await followed.following.step(always)
    sent = sum(len(message.data) for message in followed.sent if isinstance(message, JobOutput))
    assert sent == OUTPUT_WINDOW_BYTES
    followed.following.acked(JobAck(followed.following.job, 5))
    assert followed.following.prints()
    await followed.following.step(always)
    assert not followed.following.prints()


async def test_a_rewritten_plan_is_sent_again(tmp_path: Path) -> None:
    followed = Followed(tmp_path)
    plans = [Plan((Planned("a", "1", version),)) for version in ("2", "3")]
    for plan in plans:
        write_document(str(followed.runner.folder), PLANNED, plan_to_document(plan))
        for _ in range(3):
            await followed.following.step(always)
    assert [message.digest for message in followed.sent if isinstance(message, JobPlan)] == [plan.digest for plan in plans]
