"""Reports one job to the hub: output by offset, plan, progress, report and end, all read from the job's files."""

import asyncio
import logging
import os
from typing import Awaitable, Callable, NamedTuple, Optional, Tuple

from spider import logs
from spider.clock import Clock
from spider.jobs.files import LOG, MARKS, PLANNED, Progress
from spider.jobs.marks import MarkReader
from spider.jobs.status import (
    REBOOT_MISSING,
    REBOOTED,
    JobProcesses,
    JobSnapshot,
    JobStatus,
    WantedFiles,
    classify,
    ending,
    log_digest,
    take_snapshot,
)
from spider.packages.plan_file import plan_messages
from spider.packages.report import Report
from spider.packages.report_file import report_message
from spider.root.reboot import RebootRequest, compare, evidence, is_up, read_reboot_state, uptime_s
from spider.wire.frames import Message
from spider.wire.job_messages import MAX_OUTPUT_BYTES, OUTPUT_WINDOW_BYTES, JobAck, JobEnded, JobOutput, JobProgress
from spider.wire.sentences import sentence

READ_AHEAD_BYTES = 8 * MAX_OUTPUT_BYTES
REPEAT_ENDED_S = 30.0
PROGRESS_EVERY_S = 0.2
"""Shortest interval of progress messages. A package manager may change its percentage hundreds of times a second."""
REPEAT_PROGRESS_S = 20.0
"""Interval of progress messages of a job that prints nothing. They carry the time of its last output."""
LATE_RESULT_S = 600.0
"""An inferred end may be wrong: a job that seems never to have begun may still begin. Once the hub has confirmed such an end, the follower
looks for a result for this long."""
_REMARKS = {
    "job.orphaned": ("the job's runner was killed; the programs that it started continue without a log", "job.orphaned"),
    "job.overdue": ("the server tried to stop this job, and no longer waits for it", "job.overdue"),
    REBOOT_MISSING: (sentence("phase.reboot_requested"), ""),
    REBOOTED: (sentence("phase.starting"), ""),
}
"""Text and error code that are reported for a running job with a problem."""

_log = logging.getLogger("spider.jobs.tracker")
_NONE = (0, 0)

Send = Callable[[Message], Awaitable[None]]
"""Passes a message to the link and waits while the socket is congested. Raises ConnectionError when there is no session."""


class JobsLocation(NamedTuple):
    """The folder of all jobs, and how to list the processes of a job."""

    folder: str
    boot: str
    """Id of this boot, 32 hex digits."""
    processes: JobProcesses


class JobFollower:
    """Tracks how much of one job the hub holds, and sends the rest."""

    def __init__(self, job: str, location: JobsLocation, clock: Clock, send: Send) -> None:
        self.job = job
        self.over = False
        """Nothing more is reported of this job."""
        self.unreadable = False
        """The last step could not read the job's files."""
        self._location = location
        self._log = os.path.join(location.folder, job, LOG)
        self._marks = MarkReader(os.path.join(location.folder, job, MARKS))
        self._clock = clock
        self._send = send
        self._sent = self._acked = 0
        self._plan_sent = _NONE
        """Which plan file was sent. The runner writes a new file if the plan changes while the job runs."""
        self._report_sent = False
        self._progress: Optional[Progress] = None
        self._progress_sent_at = 0.0
        self._remark = ""
        self._quiet_since: Optional[float] = None
        self._ended: Optional[JobEnded] = None
        self._guessed = False
        """Whether `_ended` was inferred, because there was no result. A result may still appear."""
        self._settled_at: Optional[float] = None
        """When the hub confirmed an inferred end, in monotonic seconds."""
        self._ended_sent_at: Optional[float] = None
        self._after_reboot: Optional[Report] = None
        """After a reboot job: what runs no longer, compared with the state before the reboot."""

    def rewind(self, offset: int) -> None:
        """A new session: the hub holds `offset` bytes of output. The last messages of the earlier session may not have reached the hub."""
        self._sent = self._acked = offset
        self._marks = MarkReader(os.path.join(os.path.dirname(self._log), MARKS))  # a new one: a thread may still read with the former
        self._progress = None
        self._ended_sent_at = None
        self._plan_sent, self._report_sent = _NONE, False

    def acked(self, message: JobAck) -> bool:
        """The hub holds the output up to this offset. True: the offset is new."""
        if not self._acked < message.offset <= self._sent:
            return False
        self._acked = message.offset
        return True

    def done(self) -> bool:
        """The hub holds all of the job. False: its end was inferred, and is now confirmed; the follower keeps looking for the result."""
        if self._guessed and self._settled_at is None:
            self._settled_at = self._clock.monotonic()
            return False
        return True

    def prints(self) -> bool:
        """Whether the log is readable and longer than the sent part, and the hub has room for more."""
        if self.unreadable or self._sent - self._acked >= OUTPUT_WINDOW_BYTES:
            return False
        try:
            return os.stat(self._log).st_size > self._sent
        except OSError:
            return False

    async def step(self, current: Callable[[], bool]) -> bool:
        """Send what is new. True: something was sent, or may be to send: call it again soon.

        Args:   current: whether the session in which this step began still exists. Nothing is sent in another session.
        Raises: ConnectionError; LocalProtocolError; OSError: the job's files cannot be read.
        """
        flowed = await self._flow(current)
        if not current():
            return True
        plan = self._plan()
        wanted = WantedFiles(self._sent, 0, plan != self._plan_sent, not self._report_sent)
        loop = asyncio.get_event_loop()
        seen = await loop.run_in_executor(None, take_snapshot, self._location.folder, self.job, wanted, self._location.processes)
        if self._plan() != plan:
            return True  # the snapshot may be newer than the output that was sent: send output and plan before the end
        sent = current() and await self._send_plan(seen, plan, current)
        sent |= current() and await self._send_progress(seen)
        if current() and self._sent >= seen.log_bytes:
            sent |= await self._send_state(seen, current)
        return sent or flowed

    async def _flow(self, current: Callable[[], bool]) -> bool:
        """Send new output before anything else, because a user may be watching it. True: something was sent."""
        room = min(READ_AHEAD_BYTES, OUTPUT_WINDOW_BYTES - (self._sent - self._acked))
        data = b"" if room <= 0 else await asyncio.get_event_loop().run_in_executor(None, _read, self._log, self._sent, room)
        first, end = self._sent, self._sent + len(data)
        cuts = await asyncio.get_event_loop().run_in_executor(None, self._marks.cuts, first, end) if data else []
        cuts = cuts or [(first, int(self._clock.now() * 1000))]  # an older runner wrote no marks
        for (begin, at_ms), (until, _) in zip(cuts, [*cuts[1:], (end, 0)]):
            for offset in range(begin, until, MAX_OUTPUT_BYTES):
                if not current():
                    return True
                chunk = data[offset - first : min(offset + MAX_OUTPUT_BYTES, until) - first]
                self._sent = offset + len(chunk)
                await self._send(JobOutput(self.job, offset, at_ms, chunk))
        return bool(data)

    async def _send_remark(self, last: Progress, text: str, error_code: str = "") -> None:
        at_ms = int(self._clock.now() * 1000)
        await self._send(JobProgress(self.job, at_ms, last.phase, last.percent, last.package, text, last.stop, error_code=error_code))

    def _plan(self) -> Tuple[int, int]:
        """Identify the present plan file, by inode and time."""
        try:
            info = os.stat(os.path.join(self._location.folder, self.job, PLANNED))
        except OSError:
            return _NONE
        return info.st_ino, info.st_mtime_ns

    async def _send_plan(self, seen: JobSnapshot, plan: Tuple[int, int], current: Callable[[], bool]) -> bool:
        if plan == self._plan_sent or seen.plan is None:
            return False
        self._plan_sent = plan
        for part in plan_messages(self.job, seen.plan):
            if current():
                await self._send(part)
        return True

    async def _send_progress(self, seen: JobSnapshot) -> bool:
        now = self._clock.monotonic()
        progress = seen.progress
        fresh = progress != self._progress
        early = seen.result is None and now - self._progress_sent_at < PROGRESS_EVERY_S
        if fresh and early and progress is not None and not _matters(self._progress, progress):
            return False  # a later step sends it, or newer progress in its place
        if progress is None or not (fresh or (seen.alive and now - self._progress_sent_at >= REPEAT_PROGRESS_S)):
            return False
        self._progress, self._progress_sent_at = progress, now
        await self._send(
            JobProgress(
                self.job,
                int(progress.at * 1000),
                progress.phase,
                progress.percent,
                progress.package,
                progress.text,
                progress.stop,
                int(seen.output_at * 1000),
            )
        )
        return fresh

    def _verdict(self, seen: JobSnapshot, now: float) -> JobStatus:
        if seen.alive or seen.result is not None:
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = now
        return classify(seen, self._location.boot, 0.0 if self._quiet_since is None else now - self._quiet_since, self._clock.now())

    async def _send_state(self, seen: JobSnapshot, current: Callable[[], bool]) -> bool:
        """All output is sent: check whether the job has ended."""
        now = self._clock.monotonic()
        verdict = self._verdict(seen, now)
        if (
            verdict.ended
            and verdict.code == REBOOTED
            and seen.reboot_request is not None
            and not await self._look_after_reboot(seen.reboot_request)
        ):
            verdict = verdict._replace(ended=False)
        if verdict.ended:
            return await self._send_end(seen, verdict, now, current)
        if verdict.code not in _REMARKS or verdict.code == self._remark:
            return False
        self._remark = verdict.code
        await self._send_remark(seen.progress or Progress(0.0, "commit", -1, "", ""), *_REMARKS[verdict.code])
        return True

    async def _send_end(self, seen: JobSnapshot, verdict: JobStatus, now: float, current: Callable[[], bool]) -> bool:
        guess = seen.result is None and verdict.code != REBOOTED
        if self._settled_at is not None and now - self._settled_at > LATE_RESULT_S:
            self.over = True
            return False
        sent = self._settled_at is not None or (self._ended_sent_at is not None and now - self._ended_sent_at < REPEAT_ENDED_S)
        if sent and guess == self._guessed:
            return False
        if self._ended is None or (not guess and self._guessed):
            digest = ""
            if guess:
                digest = await asyncio.get_event_loop().run_in_executor(None, log_digest, self._location.folder, self.job)
            self._ended = ending(self.job, seen, verdict.code, digest, self._clock.now())
            self._guessed, self._settled_at = guess, None
            logs.event(_log, "job_ended", job=self.job, state=self._ended.state, error=self._ended.error_code)
        if not current():
            return True
        if self._ended_sent_at is not None:  # the hub may have missed the messages sent with it, too
            self._plan_sent = _NONE
        self._ended_sent_at = now
        report = seen.report if self._after_reboot is None else self._after_reboot
        if report is not None:
            await self._send(report_message(self.job, report))
        if current():
            await self._send(self._ended)
        return True

    async def _look_after_reboot(self, reboot_request: RebootRequest) -> bool:
        """True: the server is up again, and the comparison with the state before the reboot is complete."""
        if self._after_reboot is not None:
            return True
        loop = asyncio.get_event_loop()
        if not await loop.run_in_executor(None, lambda: is_up(uptime_s())):
            return False
        state = await loop.run_in_executor(None, read_reboot_state)
        failed = tuple(name for name in state.failed if name not in reboot_request.state.failed)
        notes = (*evidence(reboot_request, self._location.boot, self._clock.now()), *compare(reboot_request.state, state))
        self._after_reboot = Report("no", sentence("due.not_after_reboot"), failed_units=failed, notes=notes)
        return True


def _read(path: str, offset: int, limit: int) -> bytes:
    """Read at most `limit` bytes of a log. Blocks. Empty: the log ends at `offset`, or does not exist yet."""
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(offset)
            return file.read(limit)
    except FileNotFoundError:
        return b""


def _matters(before: Optional[Progress], after: Progress) -> bool:
    """Whether a user waits for this change: another phase, or an effect of the stop request."""
    return before is None or (before.phase, before.stop) != (after.phase, after.stop)
