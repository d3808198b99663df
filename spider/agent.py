"""The agent put together: link, sampler, jobs and facts, under one supervisor."""

import asyncio
import logging
import os
import signal
from functools import partial
from typing import Awaitable, Callable, Coroutine, Dict, NamedTuple

from spider.aside import Threads
from spider.bundles import Bundles, tell_joined
from spider.ceiling import EXIT_MEMORY, Ceiling
from spider.clock import Clock, SystemClock
from spider.collectors.host import host_collectors, host_tables
from spider.collectors.updates import Available, HeldReader, UpdatesReader
from spider.config import Config
from spider.custom import Programs
from spider.facts import Facts
from spider.inventory import Inventory
from spider.jobs import Jobs
from spider.journal import Journal
from spider.keyfiles import KeyWatch
from spider.limit import within
from spider.link import HubLink
from spider.logs import event
from spider.outbox import Outbox
from spider.packages.apart import Apart
from spider.sampler import Sampler
from spider.spool import Spool
from spider.spoolfiles import Folder
from spider.statsd import Statsd
from spider.tables import Tables
from spider.trusted import place
from spider.wire.frames import Bundle, JobEnded, LogAck, Message, PackagesHeld, Watch
from spider.wire.ids import from_text

FINISH_LIMIT_S = 1.0
"""How long the last samples may take to be acknowledged."""
SPOOL_LIMIT_S = 2.0
"""How long it may take to write down those that were not."""
STOP_LIMIT_S = 3.0
"""How long the parts may take to leave; the whole program is gone within 5 s."""
MAX_THREADS = 4

log = logging.getLogger(__name__)


class _Parts(NamedTuple):
    """What runs, and what is done before it stops."""

    tasks: Dict[str, Coroutine[None, None, None]]
    finish: Callable[[float], Awaitable[None]]
    spool: Spool


async def run_agent(config: Config) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns: the exit status: 0 after a signal, 1 when a part failed, 75 when it needed too much memory (the service manager starts all
             of it anew).
    """
    loop = asyncio.get_running_loop()
    loop.set_default_executor(Threads(max_workers=MAX_THREADS))  # name look-ups and the files of jobs
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    event(log, "spider_starts", version=config.version, node=config.node, label=config.name, hub=config.url.authority)
    clock = SystemClock()
    parts, ceiling = _parts(config, clock), Ceiling(clock, stop.set)
    parts.tasks["keys"] = KeyWatch(config.config_path, config.generation, clock, stop.set).run()
    parts.tasks["ceiling"] = ceiling.run()
    status = await _supervise(parts, stop) or (EXIT_MEMORY if ceiling.over else 0)
    await _keep(parts.spool)
    event(log, "spider_ends", status=status)
    return status


def _parts(config: Config, clock: Clock) -> _Parts:
    """Build everything and join it up."""
    spool = spool_of(config, clock)
    outbox = Outbox(clock, spool)

    async def send(message: Message) -> None:
        await link.send(message)
        if isinstance(message, JobEnded):
            facts.job_ended()
            inventory.look()

    owner = _policy_owner(config.policy_path)
    jobs = Jobs(config.jobs_dir, config.launcher_path, clock, send, boot=config.boot, policy_path=config.policy_path, policy_owner=owner)
    link = HubLink(config, outbox, jobs, clock)
    available = Available()
    facts = Facts(config, clock, link.send, owner, Apart(), available)
    link.on_joined(facts.joined)
    inventory = Inventory(clock, link.send)
    link.on_joined(inventory.joined)
    link.on_message(PackagesHeld, inventory.held)
    statsd = Statsd(config.statsd, clock)
    collectors = [*host_collectors(clock, lambda: link.hub_time), Programs(config.metrics_dir), statsd]
    sampler = Sampler(collectors, clock, outbox.add)
    tables = Tables([*host_tables(), UpdatesReader(available), HeldReader(available)], clock, link.send)
    link.on_joined(tables.joined)
    link.on_message(Watch, tables.watch)
    tasks = {"link": link.run(), "sampler": sampler.run(), "jobs": jobs.run(), "facts": facts.run(), "inventory": inventory.run()}
    tasks["tables"] = tables.run()
    tasks["spool"] = spool.run()
    link.on_joined(partial(tell_joined, config.state_dir))
    link.on_message(Bundle, Bundles(config.state_dir).heard)
    journal = Journal(config.journal, clock, link.send)
    link.on_joined(journal.joined)
    link.on_message(LogAck, journal.held)
    tasks["journal"] = journal.run()
    tasks["statsd"] = statsd.run()
    return _Parts(tasks, link.finish, spool)


def spool_of(config: Config, clock: Clock) -> Spool:
    """Where samples wait while the hub is away, as the node's owner allows."""
    allowed = config.spool_hours and config.spool_mebibytes
    folder = Folder(config.state_dir, from_text(config.node)) if allowed else None
    return Spool(folder, clock, config.spool_hours * 3600.0, config.spool_mebibytes << 20)


async def _keep(spool: Spool) -> None:
    """Write down what the hub has not acknowledged; a disk that hangs keeps nobody from leaving."""
    try:
        await within(SPOOL_LIMIT_S, spool.finish())
    except (asyncio.TimeoutError, OSError) as error:
        event(log, "samples_not_kept", logging.WARNING, why=str(error) or "the disk did not answer")


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
