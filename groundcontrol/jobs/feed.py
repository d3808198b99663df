"""The live topic of all jobs."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from groundcontrol.core.bus import BusEvent, Changed, Topic
from groundcontrol.core.errors import HubError
from groundcontrol.core.ids import JobId
from groundcontrol.core.scope import Grants, Scope
from groundcontrol.jobs.model import TERMINAL
from groundcontrol.jobs.store import JobStore
from groundcontrol.jobs.views import JobsChange, JobsData, job_view
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.topics import Feed, log
from groundcontrol.web.services import Services
from spider.logs import event

RECENT_JOBS: Final = 50


NOT_TO_ALL: Final = -1
"""Marks a job that was only sent to later subscribers, in their snapshot."""


class JobsFeed(Feed):
    """Topic `jobs`: the newest jobs and all open jobs of all users. Changes are sent at most once a second, however many jobs run."""

    policy = "latest"
    limit = 20_000

    def __init__(self, services: Services, org: int, grants: tuple[Grants, ...] = (), *, limits: LiveLimits) -> None:
        super().__init__(services, org, "jobs", grants, limits=limits)
        self._told: dict[JobId, int] | None = None
        """Job -> the version that all subscribers have, or `NOT_TO_ALL`; None: no snapshot was sent yet."""
        self._at_work: set[JobId] = set()
        """Jobs that were sent as open. Their end is sent too, even if they are no longer among the newest."""
        self._moved = asyncio.Event()

    def topics(self) -> tuple[Topic, ...]:
        return (Topic("changed"),)

    async def snapshot(self) -> JobsData:
        jobs = await self.services[JobStore].current(self.scope, RECENT_JOBS)
        if self._told is None:
            self._told = {job.id: job.version for job in jobs}
        for job in jobs:
            if job.state not in TERMINAL:
                self._at_work.add(job.id)
            if job.id not in self._told:
                self._told[job.id] = NOT_TO_ALL
                self._moved.set()  # also for a deleted job: subscribers who have it must learn that it is gone
        return JobsData(jobs=[job_view(job) for job in jobs])

    async def take(self, told: BusEvent, /) -> None:
        # Also "node": deleting a node deletes its jobs, and its tags decide who may see them.
        if isinstance(told, Changed) and told.kind in ("job", "node"):
            self._moved.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(super().run(), name="live jobs events")
            group.create_task(self._tell(), name="live jobs changes")

    async def _tell(self) -> None:
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
            await self.services.clock.sleep(self.limits.facts_every_s)

    async def _change(self) -> JobsChange:
        jobs = await self.services[JobStore].current(self.scope, RECENT_JOBS, sorted(self._at_work))
        self._at_work = {job.id for job in jobs if job.state not in TERMINAL}
        before, self._told = self._told or {}, {job.id: job.version for job in jobs}
        fresh = [job_view(job) for job in jobs if before.get(job.id) != job.version]
        return JobsChange(jobs=fresh, gone=[job for job in before if job not in self._told])


def jobs_feed(services: Services, scope: Scope, _key: str, limits: LiveLimits) -> Feed:
    return JobsFeed(services, scope.org, scope.grants, limits=limits)
