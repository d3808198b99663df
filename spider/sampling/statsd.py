"""An optional statsd socket on this host: aggregates the metrics of other programs once a minute.

It accepts datagrams with lines of `name:value|type`. The types are c (counter), g (gauge; a value with a sign is a change), ms and h (timer).
Counters and timers are scaled up by a sampling rate (`|@0.1`); lines with tags are refused. The numbers of names, and of lines and datagrams a
minute, are limited. Refused input is counted and logged.
"""

import asyncio
import logging
import math
import os
import re
import socket
import stat
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from spider.clock import Clock
from spider.logs import event
from spider.sampling.bounded_datagrams import Datagrams
from spider.sampling.collectors.base import Collector
from spider.wire.metrics import series_name

MAX_NAMES = 256
MAX_DATAGRAM_BYTES = 8 * 1024
LINES_PER_MINUTE = 60_000
FORGET_S = 600.0
"""A name that was not sent for this long is removed."""
RETRY_S = 60.0
SCALE = 1000
LARGEST = float((1 << 62) // SCALE)
_LINE = re.compile(rb"([A-Za-z][A-Za-z0-9_.:-]{0,99}):([-+]?[0-9.eE+-]{1,40})\|(c|g|ms|h)(?:\|@([0-9.]{1,10}))?\Z")

log = logging.getLogger(__name__)


class StatsdValue(NamedTuple):
    """One parsed line."""

    name: str
    kind: str
    """c, g or ms."""
    value: float
    change: bool
    """Whether the value is a change of a gauge, not its level."""
    times: float
    """Number of events that this line stands for (inverse of the sampling rate)."""


def parse_line(line: bytes) -> StatsdValue:
    """Parse one line.

    Raises: ValueError: not in the accepted form.
    """
    match = _LINE.match(line.strip())
    if match is None:
        raise ValueError("not name:value|type")
    name, number, kind, rate = match.groups()
    value, share = float(number), float(rate or b"1")
    if not math.isfinite(value) or abs(value) > LARGEST or not 0 < share <= 1:
        raise ValueError("a number is out of range")
    if kind in (b"ms", b"h") and value < 0:
        raise ValueError("a time is negative")
    return StatsdValue(name.decode(), "ms" if kind == b"h" else kind.decode(), value, number[:1] in b"+-" and kind == b"g", 1 / share)


class _Timer:
    def __init__(self) -> None:
        self.count = self.sum = self.longest = 0.0


class Statsd(Collector):
    """The socket, and the collector of its metrics. `run` it as one task."""

    family = "custom"
    counts = True

    def __init__(self, listen: str, clock: Clock) -> None:
        """Args: listen: a port of 127.0.0.1, or the absolute path of a socket; empty: no socket is opened."""
        super().__init__()
        self._listen = listen
        self._clock = clock
        self._counters: Dict[str, float] = {}
        self._gauges: Dict[str, float] = {}
        self._timers: Dict[str, _Timer] = {}
        self._seen_at: Dict[Tuple[str, str], float] = {}
        self._read_at: Optional[float] = None
        self._lines = 0
        self._refused = 0
        self._left_out = 0
        self._datagrams: Optional[Datagrams] = None
        self.address: Callable[[], object] = lambda: None
        """Returns the address on which the socket listens; None: it does not listen yet."""

    # -- the socket ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Listen until cancelled. If the socket cannot be opened, retry every `RETRY_S`. Without an address it only waits."""
        if not self._listen:
            await asyncio.Event().wait()
        logged = False
        while True:
            try:
                datagrams = self._datagrams = Datagrams(self._open(), MAX_DATAGRAM_BYTES, self.datagram_received)
            except OSError as error:
                if not logged:
                    event(log, "statsd_unusable", logging.WARNING, listen=self._listen, why=str(error))
                logged = True
                await self._clock.sleep(RETRY_S)
                continue
            event(log, "statsd_listens", listen=self._listen)
            try:
                await asyncio.Event().wait()
            finally:
                self._datagrams = None
                datagrams.close()
                if self._listen.startswith("/"):
                    _remove_socket(self._listen)

    def _open(self) -> socket.socket:
        local = self._listen.startswith("/")
        sock = socket.socket(socket.AF_UNIX if local else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if local:
                _remove_socket(self._listen)  # left by an earlier run
                sock.bind(self._listen)
                os.chmod(self._listen, 0o666)  # noqa: S103 # nosec B103 - every user of this host may send
            else:
                sock.bind(("127.0.0.1", int(self._listen)))
        except BaseException:
            sock.close()
            raise
        self.address = sock.getsockname
        return sock

    def datagram_received(self, data: bytes) -> None:
        """Process a received datagram."""
        if (
            data and self._lines >= LINES_PER_MINUTE
        ):  # beyond the limit, lines are only counted (empty ones too), so that a flood costs little
            self._left_out += data.count(b"\n") + (data[-1:] != b"\n")
            return
        lines = [line for line in data.split(b"\n") if line]
        if not lines:
            self._refused += 1
        for line in lines:
            self.add_line(line)

    # -- aggregation ---------------------------------------------------------------------------------

    def add_line(self, line: bytes) -> None:
        """Add one line."""
        self._lines += 1
        if self._lines > LINES_PER_MINUTE:
            self._left_out += 1
            return
        try:
            sent = parse_line(line)
        except ValueError:
            self._refused += 1
            return
        key = (sent.kind, sent.name)
        if key not in self._seen_at and len(self._seen_at) >= MAX_NAMES:
            self._left_out += 1
            return
        self._seen_at[key] = self._clock.monotonic()
        if sent.kind == "c":
            self._counters[sent.name] = _bounded(self._counters.get(sent.name, 0.0) + sent.value * sent.times)
        elif sent.kind == "g":
            self._gauges[sent.name] = _bounded((self._gauges.get(sent.name, 0.0) if sent.change else 0.0) + sent.value)
        else:
            timer = self._timers.setdefault(sent.name, _Timer())
            timer.count += sent.times
            timer.sum += sent.value * sent.times
            timer.longest = max(timer.longest, sent.value)

    def read(self, now: float) -> List[Optional[int]]:
        """The aggregates since the last reading; of a gauge its level. A counter without lines is 0.

        None: the mean or maximum of a timer without lines, or a rate at the first reading.
        """
        values: Dict[str, Optional[float]] = {}
        passed = now - self._read_at if self._read_at is not None else None
        self._read_at = now
        self._forget(now)
        for kind, name in sorted(self._seen_at):
            if kind == "g":
                values[series_name("statsd.gauge", "name", name)] = self._gauges[name]
            elif kind == "c":
                values[series_name("statsd.rate", "name", name)] = _rate(self._counters.get(name, 0.0), passed)
            else:
                timer = self._timers.get(name) or _Timer()
                values[series_name("statsd.timer", "name", name)] = timer.sum / timer.count if timer.count else None
                values[series_name("statsd.timer_max", "name", name)] = timer.longest if timer.count else None
                values[series_name("statsd.timer_rate", "name", name)] = _rate(timer.count, passed)
        self._counters.clear()
        self._timers.clear()
        unread = self._datagrams.renew() if self._datagrams is not None else 0
        if self._refused or self._left_out or unread:
            event(log, "statsd_left_out", logging.WARNING, not_understood=self._refused, too_many=self._left_out, datagrams_unread=unread)
        self._lines = self._refused = self._left_out = 0
        self._series = list(values)
        return [None if value is None else round(_bounded(value) * SCALE) for value in values.values()]

    def _forget(self, now: float) -> None:
        for (kind, name), at in list(self._seen_at.items()):
            if now - at > FORGET_S:
                del self._seen_at[kind, name]
                self._gauges.pop(name, None) if kind == "g" else None


def _bounded(value: float) -> float:
    return max(-LARGEST, min(LARGEST, value))


def _rate(amount: float, seconds: Optional[float]) -> Optional[float]:
    return amount / seconds if seconds else None


def _remove_socket(path: str) -> None:
    try:
        if stat.S_ISSOCK(os.stat(path, follow_symlinks=False).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        return
