"""Actions that the hub refused to nodes and strangers.

The first refusal of an action and cause is stored and logged immediately. When the minute ends, the further ones are stored as a count.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from typing import Final

from groundcontrol.core.errors import StoreError
from groundcontrol.core.ids import RefusalId
from groundcontrol.core.scope import Actor
from groundcontrol.events.model import Refusal
from groundcontrol.events.store import LogStore
from spider.clock import Clock
from spider.logs import event
from spider.wire.ids import new_time_id

log = logging.getLogger(__name__)

WINDOW_S: Final = 60.0
MOST_CAUSES: Final = 256
"""The most rows for nodes and addresses, and the most log lines, in one minute.

Beyond the limit all causes of an action share a row. Refusals to accounts always have their own rows, without a limit.
"""
MOST_UNSAVED: Final = 4 * MOST_CAUSES
"""The most refusals that wait for the store. Beyond the limit the oldest are dropped."""
OTHERS: Final = "others"


class _Counted:
    """The count of one action and cause within a minute."""

    __slots__ = ("count", "first", "last_at", "saved")

    def __init__(self, first: Refusal) -> None:
        self.first = first
        self.last_at = first.at
        self.count = 1
        self.saved = 0
        """How much of `count` is stored."""

    def refusal(self) -> Refusal:
        return self.first._replace(times=self.count, last_at=self.last_at)


class Refusals:
    """Counts, stores and logs refusals."""

    def __init__(self, store: LogStore, clock: Clock, most_causes: int = MOST_CAUSES) -> None:
        self._store = store
        self._clock = clock
        self._most = most_causes
        self._counted: dict[tuple[str, str, str, str], _Counted] = {}
        self._lines: Counter[tuple[str, str]] = Counter()
        self._unsaved: list[Refusal] = []
        self._has_unsummed = True
        """Whether the store may have refusals without an audit row. The process before may have been killed before it wrote one."""

    async def note(self, actor: Actor, action: str, why: str, *, target: str = "hub", address_key: str = "") -> bool:
        """Count a refusal. If the store fails, the write is repeated when the minute ends.

        Args:    actor: the node or account that was refused. If its id is empty, refusals are counted by `address_key`.
                 address_key: the rate limit key of the client's address (`rate_limit_key`). Refusals to nodes need none.
        Returns: whether it is the first of this minute, for which the caller writes a line to the log.
        """
        at = self._clock.now()
        of_account = actor.kind == "user" and bool(actor.id)
        key = (action, why, actor.id, address_key if of_account or not actor.id else "")
        if key not in self._counted and len(self._counted) >= self._most and not of_account:
            key, why, target = (action, "", "", OTHERS), OTHERS, "hub"
            actor = Actor(actor.kind, "", OTHERS, "viewer")
        counted = self._counted.get(key)
        if counted is not None:
            counted.count += 1
            counted.last_at = max(counted.last_at, at)
            return False
        first = Refusal(RefusalId(new_time_id(at)), actor, action, why, target, at, at, 1)
        counted = self._counted[key] = _Counted(first)
        self._has_unsummed = True
        with contextlib.suppress(StoreError):  # `flush` stores it, and logs a failure
            await self._store.save_refusals([first])
            counted.saved = 1
        return True

    def first_line(self, kind: str, cause: str) -> bool:
        """Count a log line. Returns: whether the caller writes it: it is the first of this kind and cause in this minute."""
        key = (kind, cause)
        if key not in self._lines and len(self._lines) >= self._most:
            key = (kind, OTHERS)
        self._lines[key] += 1
        return self._lines[key] == 1

    async def run(self) -> None:
        """Call `flush` every minute, until cancelled."""
        while True:
            await self._clock.sleep(WINDOW_S)
            await self.flush()

    async def flush(self) -> None:
        """End the minute: log and store the counts, and write their sum to the audit log."""
        counted, self._counted = list(self._counted.values()), {}
        lines, self._lines = self._lines, Counter()
        for one in counted:
            if one.count > 1:
                by = one.first.actor
                event(
                    log,
                    "refused_again",
                    logging.WARNING,
                    action=one.first.action,
                    why=one.first.why,
                    by=by.name,
                    address=by.address,
                    count=one.count,
                )
        for (kind, cause), count in lines.items():
            if count > 1:
                event(log, "repeated", logging.WARNING, what=kind, cause=cause, count=count)
        self._unsaved += [one.refusal() for one in counted if one.count > one.saved]
        del self._unsaved[:-MOST_UNSAVED]
        if not (self._unsaved or self._has_unsummed):
            return
        saving = list(self._unsaved)
        try:
            if saving:
                await self._store.save_refusals(saving)
            await self._store.write_refusal_summary()
        except StoreError as exc:
            event(log, "refusals_wait", logging.WARNING, error=exc.code, waiting=len(self._unsaved))
            return
        self._unsaved = self._unsaved[len(saving) :]
        self._has_unsummed = bool(self._counted)

    async def close(self, limit_s: float) -> None:
        """Store the counts of the open minute. Args: limit_s: give up after this many seconds."""
        with contextlib.suppress(TimeoutError):  # the first refusal of each row is stored already
            async with asyncio.timeout(limit_s):
                await self.flush()
