"""What has to be done every now and then, by one hub at a time: each task under its lease, and harmless when done twice."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from groundcontrol.domain.ids import HubId
from groundcontrol.errors import StoreDown, StoreError
from groundcontrol.store.base import HubFacts, Store
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

BEAT_S: Final = 5.0
BEAT_TTL_S: Final = 20.0
PROBE_EVERY_S: Final = 60.0
"""How often the database is tried when nothing is the matter; every BEAT_S when something is."""
EXPIRE_EVERY_S: Final = 600.0
EXPIRE_FIRST_S: Final = 60.0
"""The first time comes sooner, for hubs that are restarted often."""
EXPIRE_LEASE_S: Final = 300.0
HEADS_EVERY_S: Final = 86_400.0
KEEP_SAMPLES_S: Final = 26 * 3600.0
"""One-second samples stay for a day, and the hour in which that day ends."""


class Janitor:
    """The hub's own rounds."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        facts: HubFacts,
        *,
        broken: Callable[[], bool],
        trouble: Callable[[], StoreError | None],
        probe: Callable[[], Awaitable[StoreError | None]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._facts = facts
        self._broken = broken
        self._trouble = trouble
        self._probe = probe

    async def run(self) -> None:
        """Go round until cancelled.

        Raises: StoreDown: an input/output error was seen; only a fresh process may go on.
        """
        probed_at = self._clock.monotonic()
        expired_at = probed_at - EXPIRE_EVERY_S + EXPIRE_FIRST_S
        told_at = probed_at - HEADS_EVERY_S
        while True:
            now = self._clock.monotonic()
            if self._broken():
                raise StoreDown("the database failed with an input/output error")
            if self._trouble() is not None or now - probed_at >= PROBE_EVERY_S:
                probed_at = now
                trouble = await self._probe()
                if trouble is not None:
                    event(log, "database_in_trouble", logging.ERROR, why=trouble.code)
            try:
                await self._store.hubs.beat(self._facts.id, self._facts, BEAT_TTL_S)
                if now - expired_at >= EXPIRE_EVERY_S:
                    expired_at = now
                    await self._expire(self._facts.id)
                if now - told_at >= HEADS_EVERY_S:
                    told_at = now
                    await self.tell_heads()
            except StoreError as exc:
                event(log, "janitor_store_failed", logging.WARNING, error=exc.code)
            await self._clock.sleep(BEAT_S)

    async def tell_heads(self) -> None:
        """Write the ends of the audit chains to the log: `stardust audit verify --head` holds the database against them.

        Each hub tells by itself, at its start, once a day and at its end: a witness more does no harm.
        Raises: StoreError.
        """
        for head in await self._store.log.audit_heads():
            event(log, "audit_head", chain=head.chain, n=head.n, hash=head.hash)

    async def _expire(self, hub: HubId) -> None:
        if await self._store.hubs.lease("expire-samples", hub, EXPIRE_LEASE_S) is None:
            return
        removed = await self._store.metrics.expire(self._clock.now() - KEEP_SAMPLES_S)
        if removed:
            event(log, "samples_expired", packs=removed)
