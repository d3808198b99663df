"""The unprivileged side of jobs: submits orders to the launcher, follows the files of each job and reports to the hub.

A job does not need this module in order to continue, and its whole state is in its folder. After a restart the hub names the offsets up to
which it holds the output of each job, and reporting continues from there. Once the hub confirms that it holds all of a job, this module
reports that job no more.
"""

import asyncio
import logging
import os
from functools import partial
from typing import Deque, Dict, Iterable, List, Mapping, Set, Union

from spider import logs
from spider.clock import Clock
from spider.jobs.files import PLAN
from spider.jobs.follower import JobFollower, JobsLocation, Send
from spider.jobs.launcher_client import LauncherClient, SubmitReply
from spider.jobs.status import JobProcesses
from spider.root.cgroups import job_processes
from spider.threads import ThreadUnavailable
from spider.timeouts import run_until_first_error
from spider.wire.errors import LocalProtocolError
from spider.wire.ids import is_id
from spider.wire.job_messages import JobAck, JobAnswer, JobDone, JobStart, JobStop

BUSY_POLL_S = 0.05
IDLE_POLL_S = 0.5
GLANCE_S = 0.005
"""Interval of checking the log lengths. It is short, so that output reaches a page within milliseconds."""
MAX_ORDERS = 16
"""Most orders that wait for the launcher. The hub repeats an order that gets no answer."""
MAX_KNOWN = 64
"""Most jobs that a hello names: the newest."""

_log = logging.getLogger("spider.jobs.tracker")

JobMessage = Union[JobStart, JobStop]


class Jobs:
    """All jobs of this node that the hub does not hold completely."""

    def __init__(
        self,
        jobs_dir: str,
        launcher_path: str,
        clock: Clock,
        send: Send,
        boot: str = "",
        policy_path: str = "",
        policy_owner: int = 0,
        processes: JobProcesses = job_processes,
    ) -> None:
        """Args:
        boot: id of this boot, 32 hex digits.
        policy_path: the policy. Where it allows no job at all, Spider refuses orders itself; the launcher decides all other cases.
        processes: returns the processes of a job's unit.
        """
        self._dir = jobs_dir
        self._location = JobsLocation(jobs_dir, boot, processes)
        self._launcher = LauncherClient(launcher_path, clock, policy_path, policy_owner)
        self._clock = clock
        self._send = send
        self._follows: Dict[str, JobFollower] = {}
        self._forgotten: Set[str] = set()
        self._orders: Deque[JobMessage] = Deque()
        self._ordered = asyncio.Event()
        self._wake = asyncio.Event()
        self._session = 0
        """Counts sessions, so that data read for an earlier session is not sent in the next one."""

    # -- called by the link ----------------------------------------------------------------

    def unconfirmed(self) -> List[str]:
        """Jobs that this node has files of and that the hub may not hold completely, newest last."""
        try:
            names = os.listdir(self._dir)
        except OSError:
            return []
        fresh = sorted((name for name in names if is_id(name) and name not in self._forgotten), reverse=True)
        return sorted(job for job in fresh[:MAX_KNOWN] if self._exists(job))

    def start(self, message: JobStart) -> None:
        """Queue an order for the launcher. Repeating it is harmless."""
        self._take(message)

    def stop(self, message: JobStop) -> None:
        """Queue a stop request for the launcher. Repeating it is harmless."""
        self._take(message)

    def _take(self, message: JobMessage) -> None:
        if len(self._orders) >= MAX_ORDERS:
            logs.event(_log, "order_dropped", level=logging.WARNING, job=message.job)
            return
        if all((waiting.job, type(waiting)) != (message.job, type(message)) for waiting in self._orders):
            self._orders.append(message)
            self._ordered.set()

    def acked(self, message: JobAck) -> None:
        """The hub holds the output of a job up to this offset."""
        follow = self._follows.get(message.job)
        if follow is not None and follow.acked(message):
            self._wake.set()

    def done(self, message: JobDone) -> None:
        """The hub holds all of a job."""
        follow = self._follows.get(message.job)
        if follow is None or follow.done():
            self.forget([message.job])

    def forget(self, jobs: Iterable[str]) -> None:
        """The hub holds all of these jobs: report them no more."""
        for job in jobs:
            self._follows.pop(job, None)
            self._forgotten.add(job)
        if len(self._forgotten) > 4 * MAX_KNOWN:
            self._forgotten = set(sorted(self._forgotten)[-2 * MAX_KNOWN :])

    def resume(self, offsets: Mapping[str, int]) -> None:
        """A session begins. The hub needs the output of these jobs, from these offsets on."""
        self._session += 1
        follows: Dict[str, JobFollower] = {}
        for job, offset in offsets.items():
            if is_id(job) and self._exists(job):
                follows[job] = self._follows.get(job) or self._following(job)
                follows[job].rewind(max(0, offset))
        self._follows = follows
        self._wake.set()

    def suspend(self) -> None:
        """The session has ended: nothing is sent until `resume`."""
        self._session += 1
        self._follows = {}

    # -- the task --------------------------------------------------------------------------

    async def run(self) -> None:
        """Submit orders and follow jobs until cancelled."""
        await run_until_first_error(self._submit_orders(), self._tail_jobs())

    def _following(self, job: str) -> JobFollower:
        return JobFollower(job, self._location, self._clock, self._send)

    def _exists(self, job: str) -> bool:
        return os.path.exists(os.path.join(self._dir, job, PLAN))

    # -- orders ----------------------------------------------------------------------------

    async def _submit_orders(self) -> None:
        while True:
            await self._ordered.wait()
            while self._orders:
                message = self._orders[0]
                try:
                    if isinstance(message, JobStop):
                        await self._submit_stop(message)
                    else:
                        await self._submit_start(message)
                except (ConnectionError, LocalProtocolError) as exc:
                    logs.event(_log, "answer_not_sent", level=logging.WARNING, job=message.job, why=str(exc))
                except ThreadUnavailable as exc:  # the hub repeats the order to a node that does not know the job
                    logs.event(_log, "order_not_carried", level=logging.WARNING, job=message.job, why=str(exc))
                finally:
                    self._orders.popleft()
            self._ordered.clear()

    async def _submit_start(self, message: JobStart) -> None:
        if not is_id(message.job):
            return
        reply = await self._submit_once(message)
        accepted = reply.answer == "accepted" or self._exists(message.job)
        if accepted and reply.answer != "accepted":
            # Refused as a replay, or the launcher died after the job had begun: the job's folder answers the hub.
            reply = SubmitReply("accepted", "known", reply.clock)
        logs.event(_log, "order_answered", job=message.job, answer=reply.answer, why=reply.why)
        # Sent in the current session. If there is none, the next hello names the job, or the hub repeats the order.
        await self._answer(message.job, reply)
        if accepted and message.job not in self._forgotten:
            self._follows.setdefault(message.job, self._following(message.job))
            self._wake.set()

    async def _submit_once(self, message: JobStart) -> SubmitReply:
        if self._exists(message.job):
            return SubmitReply("accepted", "known", self._clock.now())
        refusal = await asyncio.get_event_loop().run_in_executor(None, self._launcher.refusal)
        if refusal:
            return SubmitReply("refused", refusal, self._clock.now())
        return await self._launcher.submit(message.order, lambda: self._exists(message.job))

    async def _answer(self, job: str, reply: SubmitReply) -> None:
        await self._send(JobAnswer(job, reply.answer, reply.why, int(reply.clock * 1000)))

    async def _submit_stop(self, message: JobStop) -> None:
        """Submit a stop request. Answer only a refusal, or that no such job exists: the job's progress reports the effect."""
        if not is_id(message.job):
            return
        reply = await self._launcher.submit(message.order, lambda: False)
        logs.event(_log, "stop_answered", job=message.job, answer=reply.answer, why=reply.why)
        if reply.answer == "refused" and reply.why == "no-such-job":  # the job never began on this node, so the hub may withdraw it
            await self._answer(message.job, reply)
        elif reply.answer != "accepted" and reply.why != "ended" and self._exists(message.job):
            # The hub corrects the time of the stop, sends it again, or tells why it is refused. To a hub that missed the answer to the start,
            # this refusal alone would be that answer, and say that the job never began.
            await self._answer(message.job, SubmitReply("accepted", "known", reply.clock))
            await self._answer(message.job, reply)
        self._wake.set()

    # -- following -------------------------------------------------------------------------

    def _is_current(self, session: int) -> bool:
        return session == self._session

    async def _tail_jobs(self) -> None:
        pause_s = BUSY_POLL_S
        while True:
            flowed = False
            for follow in list(self._follows.values()):
                session = self._session
                try:
                    flowed |= await follow.step(partial(self._is_current, session))
                except (ConnectionError, LocalProtocolError):  # the other jobs wait for the next session
                    if session == self._session:
                        self.suspend()  # the session has ended; the next one begins with `resume`
                    break
                except OSError as exc:
                    if not follow.unreadable:  # logged once, until the next success
                        logs.event(_log, "job_unreadable", level=logging.ERROR, job=follow.job, why=str(exc))
                    follow.unreadable = True
                else:
                    follow.unreadable = False
                if follow.over:
                    self.forget([follow.job])
            pause_s = BUSY_POLL_S if flowed else min(IDLE_POLL_S, pause_s * 1.5)
            if await self._pause(pause_s):
                pause_s = BUSY_POLL_S

    async def _pause(self, limit_s: float) -> bool:
        """Wait at most `limit_s`, or until a job prints or `_wake` is set; while there are no jobs, wait for `_wake`. True: woken."""
        if not self._follows:
            await self._wake.wait()
        for _ in range(max(1, int(limit_s / GLANCE_S))):
            if self._wake.is_set() or any(follow.prints() for follow in self._follows.values()):
                self._wake.clear()
                return True
            await asyncio.sleep(GLANCE_S)
        return False
