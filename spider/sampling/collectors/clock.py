"""Measures whether this host's clock is right."""

import os
import struct
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from spider.clock import Clock
from spider.files import read_text
from spider.sampling.collectors.base import LARGEST, Collector

HubTime = Callable[[], Optional[Tuple[int, float]]]
"""Returns the hub's clock in its last message (Unix milliseconds), and the monotonic second at which the message arrived. None: no message has
arrived yet."""

_TIMEX = struct.Struct("@i4li")
"""First fields of struct timex: modes; offset, freq, maxerror, esterror; status."""
_TIMEX_BYTES = 512
"""Buffer size: more than any kernel's struct timex."""
_STA_UNSYNC, _STA_NANO = 0x0040, 0x2000
_TIME_ERROR = 5
_TIMESYNCD = "/run/systemd/timesync"


class Timex(NamedTuple):
    """The result of adjtimex."""

    synchronised: bool
    error_us: int
    """Estimated error of the clock."""
    offset_us: int
    """Time by which the kernel still corrects the clock."""


def parse_timex(state: int, data: bytes) -> Optional[Timex]:
    """Parse struct timex.

    Args:    state: return value of the call; below 0 it failed.
    Returns: None: the call failed, or the values are impossible.
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


def has_call_filter(status: str) -> bool:
    """Whether a process has a system call filter. Args: status: its /proc/PID/status (proc_pid_status(5): `Seccomp`)."""
    return "\nSeccomp:\t2" in status


def read_kernel_clock(status_path: str = "/proc/self/status") -> Optional[Timex]:
    """Call adjtimex(2), which needs no privilege as long as it changes nothing.

    Returns: None: this process has a system call filter, this Python cannot call into C, or the call failed. The filter of Spider's own unit
    forbids the call, because it can also set a clock. Other filters may kill the process, so the call is not tried under any filter.
    """
    if has_call_filter(read_text(status_path)):
        return None
    try:
        import ctypes  # noqa: PLC0415 - it may fail where memory must not be made executable

        library = ctypes.CDLL(None)
        buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
        return parse_timex(library.adjtimex(buffer), buffer.raw)
    except (ImportError, OSError, AttributeError, MemoryError):  # MemoryError: no executable memory for ctypes (hardened kernels)
        return None


def timesyncd(run: str = _TIMESYNCD) -> Optional[bool]:
    """Whether systemd-timesyncd has set the clock since boot; None if it does not run."""
    if not os.path.isdir(run):
        return None
    return os.path.exists(run + "/synchronized")


class Clocks(Collector):
    """clock.synchronised: 1 or 0; clock.error, clock.offset: ms, from adjtimex; clock.skew: ms ahead of the hub's clock.

    The hub sends its time in the welcome, and at least every five minutes in a heartbeat. Between these messages, the hub's clock is
    extrapolated with the monotonic clock. So a local clock that is set shows within a minute. A clock that drifts or is slewed shows with
    the next heartbeat, because the monotonic clock drifts with it.
    """

    family = "breathe"

    def __init__(
        self, clock: Clock, hub_time: HubTime = lambda: None, ask: Callable[[], Optional[Timex]] = read_kernel_clock, run: str = _TIMESYNCD
    ) -> None:
        super().__init__()
        self._clock = clock
        self._hub_time = hub_time
        self._ask = ask
        self._run = run
        self._may_ask = True
        """False once adjtimex could not be called; it is not tried again."""

    def read(self, now: float) -> List[Optional[int]]:
        found: Dict[str, Optional[int]] = {}
        timex = self._ask() if self._may_ask else None
        if timex is not None:
            found["clock.synchronised"] = int(timex.synchronised)
            if timex.synchronised:  # otherwise both are the kernel's initial values
                found["clock.error"], found["clock.offset"] = timex.error_us, timex.offset_us
        else:
            self._may_ask = False
            answer = timesyncd(self._run)
            if answer is not None:
                found["clock.synchronised"] = int(answer)
        hub_time = self._hub_time()
        if hub_time is not None:
            hub_ms, at = hub_time
            skew = round(self._clock.now() * 1000 - hub_ms - (now - at) * 1000)
            found["clock.skew"] = skew if abs(skew) <= LARGEST else None
        return self._report(found.items())
