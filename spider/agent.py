"""Assembles the agent under one supervisor: link and jobs start first, the measuring modules once the session has begun."""

import asyncio
import logging
import signal
from typing import Callable, Coroutine, Dict, Optional

from spider.clock import Clock, SystemClock
from spider.config import Config
from spider.hub.link import HubLink
from spider.hub.outbox import Outbox
from spider.jobs.tracker import Jobs
from spider.logs import event
from spider.memory_limit import EXIT_MEMORY, MemoryLimit
from spider.root.trusted_files import owner_or_root
from spider.selfcare.node_keys import KeyWatch
from spider.spool.files import SpoolFolder
from spider.spool.spool import Spool
from spider.threads import Threads, run_in_thread
from spider.timeouts import wait_for
from spider.wire.frames import Message
from spider.wire.ids import from_text
from spider.wire.job_messages import JobEnded

FIRST_S = 3.0
"""How long the measuring modules wait for the first session. If the first attempt fails earlier, they start then."""
FINISH_LIMIT_S = 1.0
"""How long the program's end waits for the acknowledgement of the last samples."""
SPOOL_LIMIT_S = 2.0
"""How long writing the unacknowledged samples to disk may take at the program's end."""
STOP_LIMIT_S = 3.0
"""How long the tasks may take to end."""
RECORD_LIMIT_S = 1.0
"""How long the record of the orderly end may take. The four limits together are 7 s."""
MAX_THREADS = 4
"""Most threads for name look-ups and for the files of jobs."""

log = logging.getLogger(__name__)


class _Tasks:
    """The running tasks. None of them should end by itself; `over` is set when one does."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self._names: Dict[asyncio.Future[None], str] = {}

    def start(self, parts: Dict[str, Coroutine[None, None, None]]) -> None:
        for name, part in parts.items():
            task = asyncio.ensure_future(part)
            task.add_done_callback(lambda _: self.over.set())
            self._names[task] = name

    async def stop(self) -> int:
        """Cancel all tasks and wait up to `STOP_LIMIT_S` for their end. Returns: 1 if a task had ended before, else 0."""
        status = 0
        for task, name in self._names.items():
            if task.done():
                status = 1
                event(log, "part_failed", logging.CRITICAL, part=name, why=repr(None if task.cancelled() else task.exception()))
            task.cancel()
        _, late = await asyncio.wait(self._names, timeout=STOP_LIMIT_S)
        for task in late:
            event(log, "part_late", logging.WARNING, part=self._names[task])
        return status


class _Agent:
    """The components, in the order in which they start.

    The measuring modules are most of the program. Loading them and the first reading take longer than connecting to the hub, so the link
    starts first.
    """

    def __init__(self, config: Config, clock: Clock, tasks: _Tasks) -> None:
        self._config = config
        self._clock = clock
        self._tasks = tasks
        self._job_ended: Optional[Callable[[], None]] = None
        self.record_end: Callable[[], None] = lambda: None
        """Records on the disk that the program ends in order. It blocks, so it runs in a thread."""
        self._owner = owner_or_root(config.policy_path)
        self.spool = spool_of(config, clock)
        self._outbox = Outbox(clock, self.spool)
        jobs = Jobs(
            config.jobs_dir,
            config.launcher_path,
            clock,
            self._send,
            boot=config.boot,
            policy_path=config.policy_path,
            policy_owner=self._owner,
        )
        self.link = HubLink(config, self._outbox, jobs, clock)
        self.link.on_joined(self._start_measuring)
        tasks.start({"link": self.link.run(), "jobs": jobs.run(), "spool": self.spool.run(), "first": self._first()})

    async def _send(self, message: Message) -> None:
        await self.link.send(message)
        if isinstance(message, JobEnded) and self._job_ended is not None:
            self._job_ended()

    async def _first(self) -> None:
        """Start measuring after the first connection attempt, even if it fails; at the latest after `FIRST_S`."""
        try:
            await wait_for(FIRST_S, self.link.tried.wait())
        except asyncio.TimeoutError:
            event(log, "hub_keeps_waiting", seconds=FIRST_S)
        self._start_measuring()
        await asyncio.Event().wait()

    def _start_measuring(self) -> None:
        """Load and start the measuring modules, once. If a session begins, this runs before the link handles the hub's next message."""
        if self._job_ended is not None:
            return
        from spider.sampling.measurement import build_measurement  # noqa: PLC0415 - loaded after the session has begun

        found = build_measurement(self._config, self._clock, self.link, self._outbox, self._owner)
        self._job_ended, self.record_end = found.job_ended, found.record_end
        self._tasks.start(found.tasks)


async def run_agent(config: Config) -> int:
    """Run until SIGTERM or SIGINT.

    Returns: the exit status: 0 after a signal or when the session key has changed, 1 when a component failed, 75 when it used too much
             memory.
    """
    loop = asyncio.get_running_loop()
    loop.set_default_executor(Threads(max_workers=MAX_THREADS))  # for name look-ups and the files of jobs
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    event(log, "spider_starts", version=config.version, node=config.node, label=config.name, hub=config.url.authority)
    clock, tasks = SystemClock(), _Tasks()
    agent, ceiling = _Agent(config, clock, tasks), MemoryLimit(clock, stop.set)
    tasks.start({"keys": KeyWatch(config.config_path, config.generation, clock, stop.set).run(), "ceiling": ceiling.run()})
    await _wait_for_end(stop, tasks, agent.link)
    status = await tasks.stop() or (EXIT_MEMORY if ceiling.over else 0)
    await _save_spool(agent.spool)
    if not status:
        await _record_end(agent.record_end)
    event(log, "spider_ends", status=status)
    return status


async def _wait_for_end(stop: asyncio.Event, tasks: _Tasks, link: HubLink) -> None:
    """Wait for a signal and end the session properly; or wait until a task has ended."""

    async def leave() -> None:
        await stop.wait()
        await link.finish(FINISH_LIMIT_S)

    ends = [asyncio.ensure_future(leave()), asyncio.ensure_future(tasks.over.wait())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        end.cancel()
    await asyncio.gather(*ends, return_exceptions=True)


def spool_of(config: Config, clock: Clock) -> Spool:
    """The spool, within the limits of the node's configuration."""
    allowed = config.spool_hours and config.spool_mebibytes
    folder = SpoolFolder(config.state_dir, from_text(config.node)) if allowed else None
    return Spool(folder, clock, config.spool_hours * 3600.0, config.spool_mebibytes << 20)


async def _save_spool(spool: Spool) -> None:
    """Write the unacknowledged samples to disk. A disk that hangs does not block the program's end."""
    try:
        await wait_for(SPOOL_LIMIT_S, spool.finish())
    except (asyncio.TimeoutError, OSError) as error:
        event(log, "samples_not_kept", logging.WARNING, why=str(error) or "the disk did not answer")


async def _record_end(record_end: Callable[[], None]) -> None:
    """Record the orderly end. A disk that hangs does not block the program's end."""
    try:
        await wait_for(RECORD_LIMIT_S, run_in_thread(record_end, "the record of this boot"))
    except (asyncio.TimeoutError, OSError) as error:
        event(log, "end_not_recorded", logging.WARNING, why=str(error) or "the disk did not answer")
