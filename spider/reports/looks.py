"""Looks at this host every few seconds while a roll-out has it in hand, and tells the hub. The hub judges.

Looks that show the same are one run. Runs wait in memory while the hub is away, so that it can judge that time afterwards.
"""

import asyncio
import logging
import time
from collections import deque
from typing import Awaitable, Callable, Deque, Dict, List, NamedTuple, Optional, Sequence

from spider.clock import Clock
from spider.logs import event
from spider.reports.probes import GOOD, ask_probes
from spider.root.policy import PolicyRefused, read_policy
from spider.sampling.collectors.host_look import MOUNTS, PORTS, UNITS, HostLook
from spider.threads import run_in_thread
from spider.timeouts import run_until_first_error
from spider.wire.errors import LocalProtocolError
from spider.wire.frames import Message
from spider.wire.probes import is_probe
from spider.wire.report_messages import MAX_LOOK_S, MAX_PROBES, Looked, LookedOn, LookOrder

LEAST_S, MOST_S = 2.0, 60.0
"""Bounds of the time between two looks, whatever the hub orders."""
COST_SHARE = 0.01
"""Largest share of a core for looks. If they cost more, the host is looked at less often."""
LIMIT_S = 20.0
"""A look that takes longer is not waited for. No other begins before it has ended."""
MAX_RUNS = 400
MAX_CHARS = 1_000_000
"""Most runs that wait, and most characters in them. The oldest are dropped; the hub sees the gap in their times."""
PAUSE = 3
"""A pause of so many intervals ends a run: what a host showed meanwhile is not known."""
NOT_ALLOWED = "the policy of this server does not allow it"

log = logging.getLogger(__name__)


class _Order(NamedTuple):
    message: LookOrder
    until: float
    """Monotonic seconds."""

    @property
    def interval_s(self) -> float:
        return min(MOST_S, max(LEAST_S, float(self.message.looks_s)))


class Looks:
    """Takes looks and tells them. `run` it as one task."""

    def __init__(
        self,
        policy_path: str,
        policy_owner: int,
        clock: Clock,
        send: Callable[[Message], Awaitable[None]],
        look: Callable[[float], HostLook],
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        """Args: send: raises ConnectionError when there is no session. look: blocks. spent: CPU seconds of the calling thread."""
        self._policy = (policy_path, policy_owner)
        self._clock = clock
        self._send = send
        self._look = look
        self._spent = spent
        self._order: Optional[_Order] = None
        self._runs: Deque[Looked] = deque()
        self._told: Optional[Dict[int, int]] = None
        """By run: the number of looks that this session got. None: the hub of this session has not ordered looks."""
        self._ordered = asyncio.Event()
        self._seen = asyncio.Event()
        self._cost_s = 0.0
        self._out: Optional[asyncio.Future[HostLook]] = None
        self._failing = False

    def joined(self) -> None:
        """A session has begun: nothing is told before its hub orders looks."""
        self._told = None

    def order(self, message: LookOrder) -> None:
        """Begin, prolong or end looks."""
        before = self._order.message.order if self._order is not None else ""
        if message.lease_s <= 0:
            if message.order == before:
                self._end()
            return
        if message.order != before:
            self._runs.clear()
            self._told = None
        probes = [probe for probe in message.probes[:MAX_PROBES] if is_probe(*probe.partition(" ")[::2])]
        self._order = _Order(message._replace(probes=probes), self._clock.monotonic() + min(message.lease_s, MAX_LOOK_S))
        self._told = self._told if self._told is not None else {}
        self._ordered.set()
        self._seen.set()

    def _end(self) -> None:
        self._order, self._told = None, None
        self._runs.clear()

    async def run(self) -> None:
        """Look and tell until cancelled."""
        try:
            await run_until_first_error(self._keep_looking(), self._keep_telling())
        finally:
            if self._out is not None:
                self._out.cancel()
                await asyncio.gather(self._out, return_exceptions=True)

    async def _keep_looking(self) -> None:
        while True:
            self._ordered.clear()
            order = self._order
            if order is None:
                await self._ordered.wait()
                continue
            if self._clock.monotonic() >= order.until:
                self._end()
                continue
            began = self._clock.monotonic()
            await self._take(order)
            rest_s = max(order.interval_s, self._cost_s / COST_SHARE) - (self._clock.monotonic() - began)
            await self._clock.sleep(max(0.1, rest_s))

    async def _take(self, order: _Order) -> None:
        """Take one look. A failure is logged once, and the gap in the times tells the hub."""
        try:
            if self._out is None:
                self._out = asyncio.ensure_future(run_in_thread(self._measured, "look"))
            out = self._out
            answers = await self._answers(order.message.probes)
            await asyncio.wait({out}, timeout=LIMIT_S)
            if not out.done():
                raise OSError(f"no answer within {LIMIT_S:.0f} s")
            self._out = None
            self._learn(order, out.result(), answers)
        except Exception as error:  # an error in one look must not stop samples and jobs
            if not self._failing:
                event(log, "look_failed", logging.WARNING, exc_info=not isinstance(error, OSError), why=str(error))
            if self._out is not None and self._out.done():
                self._out = None
            self._failing = True
        else:
            self._failing = False

    def _measured(self) -> HostLook:
        began = self._spent()
        try:
            return self._look(self._clock.monotonic())
        finally:
            self._cost_s = self._spent() - began

    async def _answers(self, probes: Sequence[str]) -> Dict[str, str]:
        """Probes of ports and HTTP, if the owner lets the hub change this server; a server that is only watched is not dialled for it."""
        dialled = [probe for probe in probes if not probe.startswith("unit ")]
        if not dialled:
            return {}
        try:
            managed = (await run_in_thread(lambda: read_policy(*self._policy), "policy")).mode == "managed"
        except (PolicyRefused, OSError):
            managed = False
        return await ask_probes(dialled) if managed else dict.fromkeys(dialled, NOT_ALLOWED)

    def _learn(self, order: _Order, look: HostLook, answers: Dict[str, str]) -> None:
        if self._order is None or self._order.message.order != order.message.order:
            return  # it was taken for a roll-out that is over
        at_ms = int(self._clock.now() * 1000)
        new = _looked(order.message, at_ms, look, answers)
        last = self._runs[-1] if self._runs else None
        pause_ms = PAUSE * 1000 * max(order.interval_s, self._cost_s / COST_SHARE)
        if last is not None and last[4:] == new[4:] and 0 < at_ms - last.to_ms <= pause_ms:
            self._runs[-1] = last._replace(to_ms=at_ms, looks=last.looks + 1)
        elif last is None or at_ms > last.to_ms:
            self._runs.append(new)
        else:  # the clock was set back, and times name the runs
            self._runs.clear()
            self._runs.append(new)
        chars = sum(map(_chars, self._runs)) if len(self._runs) > 1 else 0
        while len(self._runs) > MAX_RUNS or (chars > MAX_CHARS and len(self._runs) > 1):
            chars -= _chars(self._runs.popleft())
        self._seen.set()

    async def _keep_telling(self) -> None:
        while True:
            await self._seen.wait()
            self._seen.clear()
            try:
                await self._tell()
            except ConnectionError:  # the hub of the next session orders what it wants to have
                self._told = None

    async def _tell(self) -> None:
        """Send what the hub of this session has not got yet, oldest first."""
        for run in list(self._runs):
            told = self._told
            if told is None:
                return
            has, told[run.from_ms] = told.get(run.from_ms), run.looks
            if has is None:
                try:
                    await self._send(run)
                except LocalProtocolError as error:  # names that fit no frame: the hub sees a gap
                    event(log, "look_not_sent", logging.ERROR, why=str(error))
            elif has != run.looks:
                await self._send(LookedOn(run.order, run.from_ms, run.to_ms, run.looks))


def _looked(order: LookOrder, at_ms: int, look: HostLook, answers: Dict[str, str]) -> Looked:
    """The first look of a run."""
    parts = {UNITS: look.units, PORTS: look.ports, MOUNTS: look.mounts}
    units, mounts = look.units, look.mounts or {}
    restarts = units.restarts if units is not None else {}
    active = set(units.active) if units is not None else set()
    for probe in order.probes:
        kind, name = probe.split(" ", 1)
        if kind == "unit":
            answers = {**answers, probe: "its state is not known" if units is None else GOOD if name in active else "it is not active"}
    return Looked(
        order.order, at_ms, at_ms, 1, sorted(look.absent), [name for name, part in parts.items() if part is None and name not in look.absent],
        units.failed if units is not None else [], units.restarting if units is not None else [], units.active if units is not None else [],
        sorted(restarts), [restarts[name] for name in sorted(restarts)], look.ports or [], list(mounts),
        [one.full_percent for one in mounts.values()], [name for name, one in mounts.items() if one.read_only], look.oom_kills,
        order.probes, [answers.get(probe, "it was not asked") for probe in order.probes],
    )  # fmt: skip


def _chars(run: Looked) -> int:
    lists: List[List[str]] = [run.failed, run.restarting, run.active, run.restarted, run.ports, run.mounts, run.answers]
    return sum(len(text) + 2 for texts in lists for text in texts) + 100
