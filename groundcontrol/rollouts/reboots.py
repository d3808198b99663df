"""How long a node may be away for an ordered reboot. Pure."""

from __future__ import annotations

from typing import Final

from groundcontrol.policies.waves import WorkTime

LEAST_S: Final = 120.0
MOST_S: Final = 1800.0
SLOWER_S: Final = 60.0
UNKNOWN_S: Final = 600.0
"""For a virtual machine or container that was never rebooted by the hub."""
UNKNOWN_PHYSICAL_S: Final = 1200.0


def return_limit_s(last: WorkTime | None, virtualization: str) -> float:
    """When a node that is away counts as overdue: three times its usual reboot, or a minute more than its longest, whichever is later.

    Args: last: its last ten reboots; None: there was none.
    """
    if last is None:
        return UNKNOWN_S if virtualization else UNKNOWN_PHYSICAL_S
    return min(MOST_S, max(LEAST_S, 3 * last.median_s, last.longest_s + SLOWER_S))
