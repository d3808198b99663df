"""Topic `job:<id>` for one browser: the stored output from an offset, then each new chunk. Each byte is sent once, in order."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from groundcontrol.core.bus import Changed, JobOutputArrived, Topic
from groundcontrol.core.errors import HubError
from groundcontrol.core.ids import JobId
from groundcontrol.core.scope import Scope
from groundcontrol.jobs.model import Job
from groundcontrol.jobs.store import JobStore
from groundcontrol.jobs.views import JobChange, JobChunk, job_view
from groundcontrol.web.errors import live_error
from groundcontrol.web.live.messages import encode, topic_message
from groundcontrol.web.services import Services
from spider.logs import event

CHUNK_BYTES: Final = 32 << 10
QUEUED_EVENTS: Final = 64

log = logging.getLogger(__name__)


class JobStream:
    """Streams one job. It waits for a slow browser, and reads the output of that time from the store."""

    def __init__(
        self,
        services: Services,
        scope: Callable[[], Scope],
        job: str,
        after: int,
        put: Callable[[bytes], None],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self._services = services
        self._scope = scope
        self._job = JobId(job)
        self._position = after
        self._put = put
        self._room = room
        self.topic = f"job:{job}"

    async def run(self) -> None:
        """Stream until cancelled, or until the job is deleted; then send an error."""
        try:
            node = (await self._read()).node_id
            topics = (Topic("job_output", self._job), Topic("changed", self.topic), Topic("changed", f"node:{node}"))
            async with self._services.bus.subscribe(*topics, limit=QUEUED_EVENTS, policy="ordered") as told:
                job = await self._read()
                self._position = min(self._position, job.output_bytes)
                self._put(topic_message("snapshot", self.topic, self._position, job_view(job)))
                await self._catch_up()
                async for message in told:
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

    async def _arrived(self, told: JobOutputArrived) -> None:
        if told.offset > self._position:
            await self._catch_up()
        fresh = told.data[max(0, self._position - told.offset) :]
        if fresh and told.offset <= self._position:
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
