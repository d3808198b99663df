"""What this server is and what could be upgraded on it: told at the start of every session and when it changes."""

import asyncio
import logging
from typing import Awaitable, Callable, List, Optional

from spider.aside import aside
from spider.clock import Clock
from spider.collectors.identity import IdentityReader
from spider.config import Config
from spider.logs import event
from spider.packages.base import PackagesUnreadable
from spider.packages.detect import package_manager
from spider.policy import Policy, PolicyRefused, read_policy
from spider.wire.frames import Identity, Message, Updates

IDENTITY_S = 60.0
UPDATES_S = 3600.0
UPDATES_RETRY_S = 300.0

log = logging.getLogger(__name__)


class Facts:
    """Reads the facts on their rhythm and tells the hub what is new. `run` it as one task."""

    def __init__(self, config: Config, clock: Clock, send: Callable[[Message], Awaitable[None]], policy_owner: int = 0) -> None:
        self._config = config
        self._clock = clock
        self._send = send
        self._policy_owner = policy_owner
        self._reader = IdentityReader()
        self._identity: Optional[Identity] = None
        self._updates: Optional[Updates] = None
        self._identity_due = self._updates_due = clock.monotonic()
        self._untold: List[Message] = []
        self._wake = asyncio.Event()

    def joined(self) -> None:
        """A session has begun: the hub hears everything."""
        self._untold = [fact for fact in (self._identity, self._updates) if fact is not None]
        self._wake.set()

    def job_ended(self) -> None:
        """A job may have changed anything."""
        self._identity_due = self._updates_due = self._clock.monotonic()
        self._wake.set()

    async def run(self) -> None:
        """Read and tell until cancelled."""
        while True:
            self._wake.clear()
            await self._tell()
            if self._clock.monotonic() >= self._identity_due:
                self._identity_due = self._clock.monotonic() + IDENTITY_S
                await self._read_identity()
                await self._tell()
            if self._clock.monotonic() >= self._updates_due:
                self._updates_due = self._clock.monotonic() + await self._read_updates()
                await self._tell()
            wait = min(self._identity_due, self._updates_due) - self._clock.monotonic()
            try:
                await asyncio.wait_for(self._wake.wait(), max(0.0, wait))
            except asyncio.TimeoutError:  # something is due
                continue

    async def _tell(self) -> None:
        while self._untold:
            fact = self._untold.pop(0)
            try:
                await self._send(fact)
            except ConnectionError:  # the next session begins with all of them
                return

    async def _read_identity(self) -> None:
        identity = await aside(self._identity_now, "identity")
        if identity != self._identity:
            self._identity = identity
            self._untold.append(identity)

    def _identity_now(self) -> Identity:
        try:
            policy = read_policy(self._config.policy_path, self._policy_owner)
        except PolicyRefused as error:
            event(log, "policy_refused", logging.DEBUG, why=str(error))
            policy = Policy("invalid", ())
        return self._reader.read(self._clock.now()).frame(self._config.version, policy.mode, policy.verbs)

    async def _read_updates(self) -> float:
        """Returns: when to read them again, in seconds."""
        manager = package_manager()
        if manager is None:
            return UPDATES_S
        try:
            updates = await aside(manager.available_updates, "updates")
        except PackagesUnreadable as error:
            event(log, "updates_unreadable", logging.WARNING, why=str(error))
            return UPDATES_RETRY_S
        if updates != self._updates:
            self._updates = updates
            self._untold.append(updates)
        return UPDATES_S
