"""Reports the identity of this server and its available updates to the hub: at the start of every session and on change."""

import asyncio
import logging
import os
from typing import Awaitable, Callable, List, Optional, Tuple

from spider.clock import Clock
from spider.config import Config
from spider.logs import event
from spider.packages.interfaces import PackageCondition, PackagesUnreadable, UpdateQuery
from spider.root.policy import Policy, PolicyRefused, read_policy
from spider.sampling.collectors.configuration import read_configuration
from spider.sampling.collectors.host import host_identity
from spider.sampling.collectors.updates import Available
from spider.threads import run_in_thread
from spider.timeouts import run_until_first_error, wait_for
from spider.wire.errors import LocalProtocolError
from spider.wire.frames import Message
from spider.wire.report_messages import Identity, Updates, policy_fields

IDENTITY_S = 60.0
"""Interval of reading the identity."""
POLICY_S = 2.0
"""Interval of checking whether the policy file has changed."""
UPDATES_S = 3600.0
"""Interval of querying the available updates."""
UPDATES_RETRY_S = 300.0
"""The same interval while the query fails, or while packages are broken or may be."""

log = logging.getLogger(__name__)


class HostReports:
    """Reads identity and updates at their intervals and reports changes to the hub. `run` it as one task."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        send: Callable[[Message], Awaitable[None]],
        policy_owner: int = 0,
        manager: Optional[UpdateQuery] = None,
        available: Optional[Available] = None,
        learned: Callable[[], None] = lambda: None,
    ) -> None:
        """Args: send: raises ConnectionError when there is no session. manager: None: this host has no package manager to query.
        available: receives what the tables of packages show. learned: called when it has received something."""
        self._config = config
        self._clock = clock
        self._send = send
        self._policy_owner = policy_owner
        self._manager = manager
        self._available = available or Available()
        self._learned = learned
        self._reader = host_identity()
        self._identity: Optional[Identity] = None
        self._updates: Optional[Updates] = None
        self._unsent: List[Message] = []
        self._changed = asyncio.Event()
        self._identity_due = asyncio.Event()
        self._updates_due = asyncio.Event()

    def joined(self) -> None:
        """A session has begun: both reports are sent to the hub, as far as they were read."""
        self._unsent = [report for report in (self._identity, self._updates) if report is not None]
        self._changed.set()

    def job_ended(self) -> None:
        """A job has ended and may have changed anything: read both reports again now."""
        self._identity_due.set()
        self._updates_due.set()

    def packages_changed(self) -> None:
        """Somebody has installed, removed or repaired packages of this server: query the updates again now."""
        self._updates_due.set()

    async def run(self) -> None:
        """Read and report until cancelled."""
        await run_until_first_error(self._send_changes(), self._watch_identity(), self._watch_updates())

    async def _send_changes(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                while self._unsent:
                    await self._send_report(self._unsent.pop(0))
            except ConnectionError:  # the next session begins with all reports
                self._unsent.clear()

    async def _send_report(self, report: Message) -> None:
        try:
            await self._send(report)
        except LocalProtocolError as error:  # the data of this host does not fit a frame: the other reports must still be sent
            event(log, "fact_not_sent", logging.ERROR, fact=type(report).__name__, why=str(error))

    async def _watch_identity(self) -> None:
        while True:
            self._identity_due.clear()
            try:
                identity = await run_in_thread(self._identity_now, "identity")
            except Exception:  # an error in one report must not stop samples and jobs
                event(log, "identity_failed", logging.ERROR, exc_info=True)
            else:
                self._learn_identity(identity)
            await self._wait_for_identity()

    async def _wait_for_identity(self) -> None:
        """Wait until the identity is due. A changed policy file makes it due immediately, so that the owner does not wait a minute."""
        ends_at, policy = self._clock.monotonic() + IDENTITY_S, self._policy_state()
        while self._clock.monotonic() < ends_at and policy == self._policy_state() and not self._identity_due.is_set():
            await _due(self._identity_due, POLICY_S)

    def _policy_state(self) -> Tuple[int, ...]:
        try:
            info = os.stat(self._config.policy_path)
        except OSError:
            return ()
        return (info.st_ino, info.st_ctime_ns, info.st_size)

    def _learn_identity(self, identity: Identity) -> None:
        if identity != self._identity:
            self._identity = identity
            self._unsent.append(identity)
            self._changed.set()

    async def _watch_updates(self) -> None:
        while self._manager is not None:
            self._updates_due.clear()
            await _due(self._updates_due, await self._read_packages(self._manager))
        await asyncio.Event().wait()  # this host has no package manager to query

    def _identity_now(self) -> Identity:
        try:
            policy = read_policy(self._config.policy_path, self._policy_owner)
        except PolicyRefused as error:
            event(log, "policy_refused", logging.DEBUG, why=str(error))
            policy = Policy("invalid", ())
        identity = self._reader.read(self._clock.now(), self._config.version, policy.mode, policy.allowed_verbs, self._config.units)
        about = read_configuration(os.path.dirname(self._config.config_path))
        return identity._replace(policy_journal=policy.journal, **policy_fields(policy.lines), **about._asdict())

    async def _read_packages(self, manager: UpdateQuery) -> float:
        """Read the available updates and the condition of the packages. Returns: seconds until the next reading."""
        asked_at_ms = int(self._clock.now() * 1000)
        wait_s = await self._read_updates(manager, asked_at_ms)
        found = manager.condition()
        before = self._available.condition
        self._available.condition = PackageCondition(
            before.faults if found.faults is None else found.faults,
            before.repositories if found.repositories is None else found.repositories,
        )
        if found.faults is not None:
            self._available.faults_at_ms = asked_at_ms
        if found.repositories is not None:
            self._available.repositories_at_ms = asked_at_ms
        self._learned()
        return wait_s if found.faults == [] else min(wait_s, UPDATES_RETRY_S)  # somebody may be at work, or repair it by hand

    async def _read_updates(self, manager: UpdateQuery, asked_at_ms: int) -> float:
        """Read the available updates and held packages. Returns: seconds until the next reading."""
        try:
            updates = await run_in_thread(manager.available_updates, "updates")
            if updates is None:
                return UPDATES_S
            self._available.newer, self._available.held, self._available.updates_at_ms = manager.newer, None, asked_at_ms
            self._available.held = await run_in_thread(manager.held, "held packages")
        except PackagesUnreadable as error:
            event(log, "updates_unreadable", logging.WARNING, why=str(error))
            return UPDATES_RETRY_S
        except Exception:  # an error in one report must not stop samples and jobs
            event(log, "updates_failed", logging.ERROR, exc_info=True)
            return UPDATES_S
        if updates != self._updates:
            self._updates = updates
            self._unsent.append(updates)
            self._changed.set()
        return UPDATES_S


async def _due(soon: asyncio.Event, limit_s: float) -> None:
    """Wait until the interval has passed, or a reading is requested earlier."""
    try:
        await wait_for(limit_s, soon.wait())
    except asyncio.TimeoutError:
        return
