"""Runs the tasks that each organisation has of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from groundcontrol.core.errors import StoreError
from groundcontrol.nodes.store import NodeStore
from groundcontrol.web.declare import Runs
from groundcontrol.web.services import Services
from spider.logs import event

log = logging.getLogger(__name__)

RETRY_S: Final = 1.0


async def run_organisations(services: Services, tasks: Sequence[type[Runs]]) -> None:
    """Run these tasks for every organisation until cancelled: for those that have nodes, and for each other as soon as something acts for it."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_find(services), name="organisations with nodes")
        while True:
            services.org_added.clear()
            for org in services.orgs:
                if org not in services.running:
                    services.running[org] = [
                        group.create_task(services.of(org)[task].run(), name=f"{task.__name__} of organisation {org}") for task in tasks
                    ]
            await services.org_added.wait()


async def _find(services: Services) -> None:
    while True:
        try:
            for org in await services[NodeStore].organisations():
                services.of(org)
            return
        except StoreError as exc:
            event(log, "organisations_wait", logging.WARNING, error=exc.code)
            await services.clock.sleep(RETRY_S)
