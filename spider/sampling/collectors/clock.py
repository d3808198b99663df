"""Whether this host's clock is right."""

import os
import struct
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from spider.clock import Clock
from spider.files import read_text
from spider.sampling.collectors.base import LARGEST, Collector

HubTime = Callable[[], Optional[Tuple[int, float]]]
"""What the hub's clock said (Unix milliseconds), and at which monotonic second; None: it has said nothing yet."""

_TIMEX = struct.Struct("@i4li")
"""modes; offset, freq, maxerror, esterror; status: how struct timex begins."""
_TIMEX_BYTES = 512
"""More than any kernel's struct timex has."""
_STA_UNSYNC, _STA_NANO = 0x0040, 0x2000
_TIME_ERROR = 5
_TIMESYNCD = "/run/systemd/timesync"


class Timex(NamedTuple):
    """What adjtimex says."""

    synchronised: bool
    error_us: int
    offset_us: int


def parse_timex(state: int, data: bytes) -> Optional[Timex]:
    """Read struct timex.

    Args:    state: what the call returned; below 0 it failed.
    Returns: None when it failed, or no clock could be that wrong.
    Source:  adjtimex(2): esterror in microseconds; offset too, or in nanoseconds with STA_NANO.
    """
    if state < 0 or len(data) < _TIMEX.size:
        return None
    _, offset, _, _, error_us, status = _TIMEX.unpack_from(data)
    if status & _STA_NANO:
        offset = round(offset / 1000)
    if not (0 <= error_us < 2**40 and abs(offset) < 2**40):
        return None
    return Timex(state != _TIME_ERROR and not status & _STA_UNSYNC, error_us, offset)


def filtered(status: str) -> bool:
    """Whether a process has a filter of system calls, by its /proc/PID/status (proc_pid_status(5): `Seccomp`)."""
    return "\nSeccomp:\t2" in status


def ask_kernel(status_path: str = "/proc/self/status") -> Optional[Timex]:
    """Call adjtimex(2), which needs no right as long as it changes nothing.

    Returns: None where it may not be called (the sandbox of Spider's own unit forbids it, since it can also set a clock, and others
             may answer by killing, so that it is not even tried behind a filter), or where this Python cannot call into C.
    """
    if filtered(read_text(status_path)):
        return None
    try:
        import ctypes  # noqa: PLC0415 - it may fail where memory must not be made executable

        library = ctypes.CDLL(None)
        buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
        return parse_timex(library.adjtimex(buffer), buffer.raw)
    except (ImportError, OSError, AttributeError, MemoryError):  # MemoryError: no executable memory for ctypes (hardened kernels)
        return None


def timesyncd(run: str = _TIMESYNCD) -> Optional[bool]:
    """Whether systemd-timesyncd has set the clock since boot; None where it does not run."""
    if not os.path.isdir(run):
        return None
    return os.path.exists(run + "/synchronized")


class Clocks(Collector):
    """clock.synchronised: 1 or 0; clock.error, offset: what adjtimex tells; clock.skew: ms ahead of the hub's clock.

    The hub tells its time once, in the welcome; from then on its clock is followed by the monotonic one, so that a clock of
    this host that is set or runs away shows within a minute.
    """

    family = "breathe"

    def __init__(
        self, clock: Clock, hub_time: HubTime = lambda: None, ask: Callable[[], Optional[Timex]] = ask_kernel, run: str = _TIMESYNCD
    ) -> None:
        super().__init__()
        self._clock = clock
        self._hub_time = hub_time
        self._ask = ask
        self._run = run
        self._may_ask = True

    def read(self, now: float) -> List[Optional[int]]:
        found: Dict[str, Optional[int]] = {}
        timex = self._ask() if self._may_ask else None
        if timex is not None:
            found["clock.synchronised"] = int(timex.synchronised)
            if timex.synchronised:  # else both are what a kernel starts with
                found["clock.error"], found["clock.offset"] = timex.error_us, timex.offset_us
        else:
            self._may_ask = False
            told = timesyncd(self._run)
            if told is not None:
                found["clock.synchronised"] = int(told)
        heard = self._hub_time()
        if heard is not None:
            hub_ms, at = heard
            skew = round(self._clock.now() * 1000 - hub_ms - (now - at) * 1000)
            found["clock.skew"] = skew if abs(skew) <= LARGEST else None
        return self._report(found.items())
