"""The agent put together: link, sampler, jobs and facts, under one supervisor."""

import asyncio
import logging
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Awaitable, Callable, Coroutine, Dict, NamedTuple

from spider.clock import Clock, SystemClock
from spider.collectors.linux import linux_collectors
from spider.config import Config
from spider.facts import Facts
from spider.jobs import Jobs
from spider.link import HubLink
from spider.logs import event
from spider.outbox import Outbox
from spider.packages.detect import package_manager
from spider.sampler import Sampler
from spider.trusted import place
from spider.wire.frames import JobEnded, Message

FINISH_LIMIT_S = 1.0
"""How long the last samples may take to be acknowledged."""
STOP_LIMIT_S = 3.0
"""How long the parts may take to leave; the whole program is gone within 5 s."""
MAX_THREADS = 4

log = logging.getLogger(__name__)


class _Parts(NamedTuple):
    """What runs, and what is done before it stops."""

    tasks: Dict[str, Coroutine[None, None, None]]
    finish: Callable[[float], Awaitable[None]]


async def run_agent(config: Config) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns: the exit status: 0 after a signal, 1 when a part failed (the service manager starts all of it anew).
    """
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(max_workers=MAX_THREADS))  # name look-ups and the files of jobs
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    event(log, "spider_starts", version=config.version, node=config.node, label=config.name, hub=config.url.authority)
    status = await _supervise(_parts(config, SystemClock()), stop)
    event(log, "spider_ends", status=status)
    return status


def _parts(config: Config, clock: Clock) -> _Parts:
    """Build everything and join it up."""
    outbox = Outbox(clock)

    async def send(message: Message) -> None:
        await link.send(message)
        if isinstance(message, JobEnded):
            facts.job_ended()

    owner = _policy_owner(config.policy_path)
    jobs = Jobs(config.jobs_dir, config.launcher_path, clock, send, boot=config.boot, policy_path=config.policy_path, policy_owner=owner)
    link = HubLink(config, outbox, jobs, clock)
    facts = Facts(config, clock, link.send, owner, package_manager())
    link.on_joined(facts.joined)
    sampler = Sampler(linux_collectors(), clock, outbox.add)
    tasks = {"link": link.run(), "sampler": sampler.run(), "jobs": jobs.run(), "facts": facts.run()}
    return _Parts(tasks, link.finish)


def _policy_owner(path: str) -> int:
    """Root, unless this Spider serves its own user alone with a policy of that user's."""
    try:
        owner = os.stat(place(path)).st_uid
    except OSError:
        return 0
    return owner if owner == os.geteuid() else 0


async def _supervise(parts: _Parts, stop: asyncio.Event) -> int:
    async def stopped() -> None:
        await stop.wait()
        await parts.finish(FINISH_LIMIT_S)

    tasks = {asyncio.ensure_future(part): name for name, part in parts.tasks.items()}
    waiter = asyncio.ensure_future(stopped())
    await asyncio.wait({waiter, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    status = 0
    for task, name in tasks.items():
        if task.done():  # none of them ever ends by itself
            status = 1
            event(log, "part_failed", logging.CRITICAL, part=name, why=repr(None if task.cancelled() else task.exception()))
        task.cancel()
    waiter.cancel()
    _, late = await asyncio.wait({waiter, *tasks}, timeout=STOP_LIMIT_S)
    for task in late:
        event(log, "part_late", logging.WARNING, part=tasks.get(task, ""))
    return status
