"""The events that a node may report: names and details. Sent in `report_messages.Events`.

The hub adds severity, words and the other sources of each type (`groundcontrol/events/catalogue.py`). A new event of a node needs one row
here and one there.
"""

import re
from typing import Dict, Tuple

MAX_EVENTS = 100
"""Most events of one `Events` frame, and most ids of one `EventsStored`."""
MAX_MESSAGE_CHARS = 500
MAX_DETAILS = 16
MAX_DETAIL_CHARS = 200
"""Longest text of one detail."""
MAX_DETAILS_BYTES = 4096
"""Longest `details` of one event, as UTF-8."""

CUSTOM = "custom"
"""An event of a type that is not in this list. Its detail `name` names it (`CUSTOM_NAME`)."""
CUSTOM_NAME = re.compile(r"[a-z0-9_.-]{1,64}\Z")
DETAIL_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
EVENT_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")

MEASURED: Dict[str, Tuple[str, ...]] = {
    "node_rebooted": ("boot_id", "down_seconds"),
    "node_rebooted_unexpectedly": ("boot_id", "down_seconds"),
    "unit_failed": ("unit", "reason"),
    "unit_recovered": ("unit",),
    "unit_restarted": ("unit",),
    "oom_killed": ("unit", "count"),
    "filesystem_readonly": ("mount", "device"),
    "disk_failing": ("device", "reason"),
    "raid_degraded": ("array", "state"),
    "link_down": ("interface",),
    "link_up": ("interface",),
    "listener_added": ("protocol", "address", "port", "process"),
    "listener_removed": ("protocol", "address", "port", "process"),
    "log_flood": ("unit", "lines"),
    "login_root": ("address", "method"),
    "packages_broken": ("count", "packages"),
    "repository_stale": ("age_seconds",),
}
"""Events that Spider itself finds, with the names of their details. The first detail tells two events of one type apart.
Spider sends no message with them: the hub writes it from the details."""

REPORTED: Tuple[str, ...] = (
    "backup_started",
    "backup_completed",
    "backup_failed",
    "dbdump_completed",
    "dbdump_failed",
    "restore_tested",
    "service_deployed",
    "service_failed",
    "config_applied",
    "config_failed",
    "health_ok",
    "health_degraded",
    "health_failed",
    CUSTOM,
)
"""Events that a program on the node may report (`stardust-spider event TYPE [MESSAGE]`), with its own message and details."""
