"""Jobs, from the side without privileges: carries an order to the launcher, follows the files of its job and tells the hub.

Nothing here is needed for a job to go on, and all that is known of one is in its folder: after a restart the hub says which
offsets it holds, and following goes on from there. A job is dropped when the hub says that it has all of it.
"""

import asyncio
import json
import logging
import os
import random
from typing import Awaitable, Callable, Deque, Dict, Iterable, List, Mapping, NamedTuple, Optional, Set

from spider import logs
from spider.cgroups import job_processes
from spider.clock import Clock
from spider.evidence import Glimpse, Processes, ending, judge, log_digest, look
from spider.jobfiles import PLAN, Progress
from spider.limit import within
from spider.policy import PolicyRefused, read_policy
from spider.wire.errors import LocalProtocolError
from spider.wire.frames import (
    MAX_OUTPUT_BYTES,
    OUTPUT_WINDOW_BYTES,
    JobAck,
    JobAnswer,
    JobDone,
    JobEnded,
    JobOutput,
    JobProgress,
    JobStart,
    Message,
)
from spider.wire.ids import is_id

BUSY_RHYTHM_S = 0.05
IDLE_RHYTHM_S = 0.5
READ_AHEAD_BYTES = 8 * MAX_OUTPUT_BYTES
ANSWER_LIMIT_S = 35.0
"""The launcher's unit is ended after 30 s."""
RETRY_LIMIT_S = 15.0
BUSY_RETRY_LIMIT_S = 3.0
RETRY_FIRST_S = 0.1
RETRY_MOST_S = 2.0
MAX_ANSWER_BYTES = 4096
MAX_ORDERS = 16
"""Orders that wait for the launcher; the hub sends again what it hears nothing of."""
MAX_KNOWN = 64
REPEAT_ENDED_S = 30.0
LATE_RESULT_S = 600.0
"""A job that seemed never to begin may still do so: for this long its result is looked for."""

_log = logging.getLogger("spider.jobs")

Send = Callable[[Message], Awaitable[None]]
"""Hands a message to the link; waits while the socket is congested. Raises ConnectionError when there is no session."""


class Told(NamedTuple):
    """What the launcher answered, or `unreachable`."""

    answer: str
    why: str
    clock: float


class _Follow:
    """How far the hub has come with one job."""

    def __init__(self, job: str, offset: int = 0) -> None:
        self.job = job
        self.sent = offset
        self.acked = offset
        self.progress: Optional[Progress] = None
        self.remark = ""
        self.quiet_since: Optional[float] = None
        self.ended: Optional[JobEnded] = None
        self.guessed = False
        """`ended` stands on circumstances, not on a result, which may still come."""
        self.settled_at: Optional[float] = None
        """Since when the hub has a guessed end."""
        self.ended_told_at: Optional[float] = None

    def rewind(self, offset: int) -> None:
        """A new session: the hub holds `offset` bytes, and of the rest it may have lost what was sent last."""
        self.sent = self.acked = offset
        self.progress = None
        self.ended_told_at = None


class Jobs:
    """All jobs of this node that the hub has not got completely."""

    def __init__(
        self,
        jobs_dir: str,
        launcher_path: str,
        clock: Clock,
        send: Send,
        boot: str = "",
        policy_path: str = "",
        policy_owner: int = 0,
        processes: Processes = job_processes,
    ) -> None:
        """Args:
        boot: which boot this is, 32 hex digits.
        policy_path: lets Spider say by itself that this node allows nothing at all; the launcher decides the rest.
        processes: tells which processes a job's unit has.
        """
        self._processes = processes
        self._dir = jobs_dir
        self._launcher = launcher_path
        self._clock = clock
        self._send = send
        self._boot = boot
        self._policy_path = policy_path
        self._policy_owner = policy_owner
        self._follows: Dict[str, _Follow] = {}
        self._forgotten: Set[str] = set()
        self._orders: Deque[JobStart] = Deque()
        self._ordered = asyncio.Event()
        self._wake = asyncio.Event()
        self._session = 0
        """Counts sessions, so that what was read for an old one is not sent in the next."""

    # -- told by the link ----------------------------------------------------------------

    def known(self) -> List[str]:
        """Jobs that this node has files of and that the hub may not have completely; the newest last."""
        try:
            names = os.listdir(self._dir)
        except OSError:
            return []
        fresh = sorted((name for name in names if is_id(name) and name not in self._forgotten), reverse=True)
        return sorted(job for job in fresh[:MAX_KNOWN] if self._exists(job))

    def start(self, message: JobStart) -> None:
        """Take an order for the launcher. Repeating it is harmless."""
        if len(self._orders) >= MAX_ORDERS:
            logs.event(_log, "order_dropped", level=logging.WARNING, job=message.job)
            return
        if all(waiting.job != message.job for waiting in self._orders):
            self._orders.append(message)
            self._ordered.set()

    def acked(self, message: JobAck) -> None:
        """The hub holds the output of a job up to an offset."""
        follow = self._follows.get(message.job)
        if follow is not None and follow.acked < message.offset <= follow.sent:
            follow.acked = message.offset
            self._wake.set()

    def done(self, message: JobDone) -> None:
        """The hub has all of a job."""
        follow = self._follows.get(message.job)
        if follow is not None and follow.guessed and follow.settled_at is None:
            follow.settled_at = self._clock.monotonic()
            return
        self.forget([message.job])

    def forget(self, jobs: Iterable[str]) -> None:
        """The hub has all of these jobs: they are not offered again."""
        for job in jobs:
            self._follows.pop(job, None)
            self._forgotten.add(job)
        if len(self._forgotten) > 4 * MAX_KNOWN:
            self._forgotten = set(sorted(self._forgotten)[-2 * MAX_KNOWN :])

    def resume(self, offsets: Mapping[str, int]) -> None:
        """A session begins: these jobs the hub wants, from these offsets on."""
        self._session += 1
        follows: Dict[str, _Follow] = {}
        for job, offset in offsets.items():
            if is_id(job) and self._exists(job):
                follows[job] = self._follows.get(job) or _Follow(job)
                follows[job].rewind(max(0, offset))
        self._follows = follows
        self._wake.set()

    def suspend(self) -> None:
        """The session is over: nothing is sent until `resume`."""
        self._session += 1
        self._follows = {}

    # -- the task --------------------------------------------------------------------------

    async def run(self) -> None:
        """Carry orders and follow jobs until cancelled."""
        tasks = [asyncio.ensure_future(self._carry_orders()), asyncio.ensure_future(self._follow_all())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _exists(self, job: str) -> bool:
        return os.path.exists(os.path.join(self._dir, job, PLAN))

    # -- orders ----------------------------------------------------------------------------

    async def _carry_orders(self) -> None:
        while True:
            await self._ordered.wait()
            while self._orders:
                message = self._orders[0]
                try:
                    await self._carry(message)
                except (ConnectionError, LocalProtocolError) as exc:
                    logs.event(_log, "answer_not_sent", level=logging.WARNING, job=message.job, why=str(exc))
                finally:
                    self._orders.popleft()
            self._ordered.clear()

    async def _carry(self, message: JobStart) -> None:
        if not is_id(message.job):
            return
        told = await self._hand_in(message)
        accepted = told.answer == "accepted" or self._exists(message.job)
        if accepted and told.answer != "accepted":
            # Refused as a replay, or the launcher died after it had begun: the folder is the answer.
            told = Told("accepted", "known", told.clock)
        logs.event(_log, "order_answered", job=message.job, answer=told.answer, why=told.why)
        # In whatever session there is by now. If there is none, the next hello names the job, or the hub sends the order again.
        await self._send(JobAnswer(message.job, told.answer, told.why, int(told.clock * 1000)))
        if accepted and message.job not in self._forgotten:
            self._follows.setdefault(message.job, _Follow(message.job))
            self._wake.set()

    async def _hand_in(self, message: JobStart) -> Told:
        """Bring an order to the launcher, again while its slots are taken, at most until the order would be old."""
        if self._exists(message.job):
            return Told("accepted", "known", self._clock.now())
        refusal = await asyncio.get_event_loop().run_in_executor(None, self._refusal)
        if refusal:
            return Told("refused", refusal, self._clock.now())
        began_at = self._clock.monotonic()
        pause_s = RETRY_FIRST_S
        while True:
            try:
                told: Optional[Told] = await within(ANSWER_LIMIT_S, self._ask(message.order))
                why = told.why if told else ""
            except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError) as exc:
                told, why = None, type(exc).__name__
            waited_s = self._clock.monotonic() - began_at
            if told is not None and not (why == "busy" and waited_s < BUSY_RETRY_LIMIT_S):
                return told
            if self._exists(message.job) or waited_s >= RETRY_LIMIT_S:
                return told or Told("unreachable", f"the launcher did not answer: {why}", self._clock.now())
            await self._clock.sleep(random.uniform(pause_s / 2, pause_s))
            pause_s = min(RETRY_MOST_S, pause_s * 2)

    def _refusal(self) -> str:
        """Why nothing at all may run here; empty: ask the launcher."""
        if not self._policy_path:
            return ""
        try:
            return "policy-monitor" if read_policy(self._policy_path, self._policy_owner).mode == "monitor" else ""
        except PolicyRefused:
            return "policy-invalid"

    async def _ask(self, order: bytes) -> Told:
        reader, writer = await asyncio.open_unix_connection(self._launcher, limit=MAX_ANSWER_BYTES)
        try:
            writer.write(order)
            await writer.drain()
            answer = json.loads(await reader.readuntil(b"\n"))
            told = Told(str(answer["answer"])[:20], str(answer["why"])[:200], float(answer["clock"]))
        except (KeyError, TypeError) as exc:
            raise ValueError("not an answer") from exc
        finally:
            writer.close()
        if told.answer not in ("accepted", "refused", "failed", "error"):
            raise ValueError("not an answer")
        return told

    # -- following -------------------------------------------------------------------------

    async def _follow_all(self) -> None:
        pause_s = BUSY_RHYTHM_S
        while True:
            flowed = False
            for follow in list(self._follows.values()):
                session = self._session
                try:
                    flowed |= await self._step(follow)
                except (ConnectionError, LocalProtocolError):  # the rest of the jobs waits for the next session
                    if session == self._session:
                        self.suspend()  # the session went; the next one begins with `resume`
                    break
                except OSError as exc:
                    logs.event(_log, "job_unreadable", level=logging.ERROR, job=follow.job, why=str(exc))
            pause_s = BUSY_RHYTHM_S if flowed else min(IDLE_RHYTHM_S, pause_s * 1.5)
            try:
                await within(pause_s if self._follows else None, self._wake.wait())
                pause_s = BUSY_RHYTHM_S
            except asyncio.TimeoutError:
                pass
            self._wake.clear()

    async def _step(self, follow: _Follow) -> bool:
        """Tell what is new of one job. True: something was."""
        session = self._session
        loop = asyncio.get_event_loop()
        room = min(READ_AHEAD_BYTES, OUTPUT_WINDOW_BYTES - (follow.sent - follow.acked))
        seen = await loop.run_in_executor(None, look, self._dir, follow.job, follow.sent, room, self._processes)
        at_ms = int(self._clock.now() * 1000)
        for start in range(0, len(seen.output), MAX_OUTPUT_BYTES):
            if session != self._session:
                return True
            chunk = seen.output[start : start + MAX_OUTPUT_BYTES]
            offset, follow.sent = follow.sent, follow.sent + len(chunk)
            await self._send(JobOutput(follow.job, offset, at_ms, chunk))
        if session != self._session:
            return True
        told = await self._tell_progress(follow, seen)
        if session == self._session and follow.sent >= seen.log_bytes:
            told |= await self._tell_ending(follow, seen, session)
        return told or bool(seen.output)

    async def _tell_progress(self, follow: _Follow, seen: Glimpse) -> bool:
        if seen.progress is None or seen.progress == follow.progress:
            return False
        progress = follow.progress = seen.progress
        await self._send(
            JobProgress(follow.job, int(progress.at * 1000), progress.phase, progress.percent, progress.package, progress.text)
        )
        return True

    async def _tell_ending(self, follow: _Follow, seen: Glimpse, session: int) -> bool:
        now = self._clock.monotonic()
        if seen.alive or seen.result is not None:
            follow.quiet_since = None
        elif follow.quiet_since is None:
            follow.quiet_since = now
        quiet_s = 0.0 if follow.quiet_since is None else now - follow.quiet_since
        verdict = judge(seen, self._boot, quiet_s)
        if not verdict.ended:
            if verdict.code in _REMARKS and verdict.code != follow.remark:
                follow.remark = verdict.code
                last = seen.progress or Progress(0.0, "commit", -1, "", "")
                at_ms = int(self._clock.now() * 1000)
                await self._send(JobProgress(follow.job, at_ms, last.phase, last.percent, last.package, _REMARKS[verdict.code]))
                return True
            return False
        if follow.settled_at is not None and now - follow.settled_at > LATE_RESULT_S:
            self.forget([follow.job])
            return False
        told = follow.settled_at is not None or (follow.ended_told_at is not None and now - follow.ended_told_at < REPEAT_ENDED_S)
        if told and (seen.result is None) == follow.guessed:
            return False
        if follow.ended is None or (seen.result is not None and follow.guessed):
            digest = ""
            if seen.result is None:
                digest = await asyncio.get_event_loop().run_in_executor(None, log_digest, self._dir, follow.job)
            follow.ended = ending(follow.job, seen, verdict.code, digest, self._clock.now())
            follow.guessed, follow.settled_at = seen.result is None, None
            logs.event(_log, "job_ended", job=follow.job, state=follow.ended.state, error=follow.ended.error_code)
        if session != self._session:
            return True
        follow.ended_told_at = now
        await self._send(follow.ended)
        return True


_REMARKS = {
    "job.orphaned": "the job's runner was killed; what it had started goes on without a log",
    "job.overdue": "the server wanted to stop this job and waits for it no longer",
}
