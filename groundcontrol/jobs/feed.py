"""The live topics: `jobs`, all jobs; `job:<id>`, one job with its output."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from groundcontrol.core.bus import BusEvent, Changed, JobOutputArrived, Topic
from groundcontrol.core.errors import HubError
from groundcontrol.core.ids import JobId
from groundcontrol.core.scope import Scope
from groundcontrol.jobs.model import TERMINAL, Job
from groundcontrol.jobs.store import JobStore
from groundcontrol.jobs.views import JobChange, JobChunk, JobsChange, JobsData, job_view
from groundcontrol.web.errors import live_error
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.topics import Feed
from groundcontrol.web.live.views import encode, topic_message
from groundcontrol.web.services import Services
from spider.logs import event

log = logging.getLogger(__name__)

RECENT_JOBS: Final = 50
CHUNK_BYTES: Final = 32 << 10
QUEUED_EVENTS: Final = 64
NOT_TO_ALL: Final = -1
"""Marks a job that was only sent to later subscribers, in their snapshot."""


class JobsFeed(Feed):
    """`JobsData`: the newest 50 jobs, and all unfinished ones (2,000 at most). Then `JobsChange`, at most once a second: new and changed jobs, and jobs that leave the list. A job leaves when it is finished and no longer among the newest, or when its node is removed."""

    policy = "latest"
    limit = 20_000

    def __init__(self, services: Services, scope: Scope, topic: str, limits: LiveLimits) -> None:
        super().__init__(services, scope, topic, limits)
        self._sent: dict[JobId, int] | None = None
        """Job -> the version that all subscribers have, or `NOT_TO_ALL`; None: no snapshot was sent yet."""
        self._at_work: set[JobId] = set()
        """Jobs that were sent as open. Their end is sent too, even if they are no longer among the newest."""
        self._moved = asyncio.Event()

    async def snapshot(self) -> JobsData:
        jobs = await self.services[JobStore].current(self.scope, RECENT_JOBS)
        if self._sent is None:
            self._sent = {job.id: job.version for job in jobs}
        for job in jobs:
            if job.state not in TERMINAL:
                self._at_work.add(job.id)
            if job.id not in self._sent:
                self._sent[job.id] = NOT_TO_ALL
                self._moved.set()  # even if the job is deleted before: subscribers who have it must learn that it is gone
        return JobsData(jobs=[job_view(job) for job in jobs])

    async def take(self, bus_event: BusEvent, /) -> None:
        # Also "node": deleting a node deletes its jobs, and its tags decide who may see them.
        if isinstance(bus_event, Changed) and bus_event.kind in ("job", "node"):
            self._moved.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(super().run(), name="live jobs events")
            group.create_task(self._send_change(), name="live jobs changes")

    async def _send_change(self) -> None:
        while True:
            await self._moved.wait()
            self._moved.clear()
            try:
                change = await self._change()
            except HubError as exc:
                event(log, "live_feed_failed", logging.WARNING, topic=self.topic, code=exc.code)
                self._moved.set()
            else:
                if change.jobs or change.gone:
                    self.emit(change)
            await self.services.clock.sleep(self.limits.changes_every_s)

    async def _change(self) -> JobsChange:
        jobs = await self.services[JobStore].current(self.scope, RECENT_JOBS, sorted(self._at_work))
        self._at_work = {job.id for job in jobs if job.state not in TERMINAL}
        before, self._sent = self._sent or {}, {job.id: job.version for job in jobs}
        fresh = [job_view(job) for job in jobs if before.get(job.id) != job.version]
        return JobsChange(jobs=fresh, gone=[job for job in before if job not in self._sent])


class JobStream:
    """`JobView`. Then `JobChunk`: output; or `JobChange`: state, phase, progress. If its node is removed, so is the job, and the topic ends with an `error`.

    For one browser: the stored output from an offset, then each new chunk. Each byte is sent once, in order.
    While a browser is slow, the stream waits. Then it reads the missed output from the store.
    """

    def __init__(
        self,
        services: Services,
        scope: Callable[[], Scope],
        job: str,
        after: int,
        put: Callable[[bytes], None],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        """Args: after: offset of the first byte to send; put: queues a message for the browser; room: waits for room in that queue."""
        self._services = services
        self._scope = scope
        self._job = JobId(job)
        self._position = after
        self._put = put
        self._room = room
        self.topic = f"job:{job}"

    async def run(self) -> None:
        """Stream until cancelled. If the job is deleted or the store fails, send an error and return."""
        try:
            node = (await self._read()).node_id
            topics = (Topic("job_output", self._job), Topic("changed", self.topic), Topic("changed", f"node:{node}"))
            async with self._services.bus.subscribe(*topics, limit=QUEUED_EVENTS, policy="ordered") as messages:
                job = await self._read()
                self._position = min(self._position, job.output_bytes)
                self._put(topic_message("snapshot", self.topic, self._position, job_view(job)))
                await self._catch_up()
                async for message in messages:
                    if isinstance(message, JobOutputArrived):
                        await self._arrived(message)
                    elif isinstance(message, Changed) and message.kind == "node":
                        await self._read()  # deleting a node deletes its jobs without a `Changed` of their own
                    else:
                        await self._changed(lost=not isinstance(message, Changed))
        except HubError as exc:
            event(log, "job_stream_ended", job=self._job, code=exc.code)
            self._put(encode("error", live_error(exc, self.topic)))

    async def _read(self) -> Job:
        """Raises: NotFound: the job was deleted; StoreError."""
        return await self._services[JobStore].job(self._scope(), self._job)

    async def _arrived(self, piece: JobOutputArrived) -> None:
        if piece.offset > self._position:
            await self._catch_up()
        fresh = piece.data[max(0, self._position - piece.offset) :]
        if fresh and piece.offset <= self._position:
            await self._send(fresh)

    async def _changed(self, *, lost: bool) -> None:
        job = await self._read()
        if lost or job.output_bytes > self._position:
            await self._catch_up()
        self._put(topic_message("change", self.topic, self._position, JobChange(job=job_view(job))))

    async def _catch_up(self) -> None:
        """Send all stored output after the position."""
        before = -1
        while before != self._position:
            before = self._position
            async for chunk in self._services[JobStore].output(self._scope(), self._job, self._position):
                for start in range(0, len(chunk), CHUNK_BYTES):
                    await self._send(chunk[start : start + CHUNK_BYTES])

    async def _send(self, output: bytes) -> None:
        await self._room()
        chunk = JobChunk(output=output, offset=self._position)
        self._position += len(output)
        self._put(topic_message("change", self.topic, self._position, chunk))


async def find_job(services: Services, scope: Scope, key: str) -> Job:
    return await services[JobStore].job(scope, JobId(key))
