"""Facts that fire each default rule on a state, facts just below, and those of a host and a hub that are well."""

from __future__ import annotations

from groundcontrol.alerts.states import HubInfo, NodeFacts
from groundcontrol.core.ids import NodeId
from groundcontrol.core.tables import SubjectTable, TableCell
from groundcontrol.schedules.model import Level
from tests.support.alert_samples import BEGAN

ILL_NODE = NODE = NodeId("web-1")
GIB = 1024**3


def table_of(subject: str, at: float, columns: tuple[str, ...], *rows: tuple[TableCell, ...]) -> dict[str, SubjectTable]:
    return {subject: SubjectTable(subject, at, len(rows), columns, tuple(cell for row in rows for cell in row))}


_DAY = 86_400.0
ILL_NOW = BEGAN + 100 * _DAY
_SERVICE = ("unit", "description", "state", "result", "since", "restarts")
ILL_FACTS: dict[str, tuple[NodeFacts, NodeFacts, Level]] = {
    "node.offline": (NodeFacts(NODE, silent_s=121), NodeFacts(NODE, silent_s=100), "critical"),
    "node.clock_skew": (NodeFacts(NODE, clock_skew_s=-40), NodeFacts(NODE, clock_skew_s=1.9), "critical"),
    "agent.outdated": (
        NodeFacts(NODE, agent="outdated", outdated_since_at=ILL_NOW - 8 * _DAY),
        NodeFacts(NODE, agent="outdated", outdated_since_at=ILL_NOW - 6 * _DAY),
        "warning",
    ),
    "unit.failed": (
        NodeFacts(NODE, tables=table_of("services", ILL_NOW, _SERVICE, ("a.service", "", "failed", "exit-code", None, 0))),
        NodeFacts(NODE, tables=table_of("services", ILL_NOW, _SERVICE, ("a.service", "", "auto-restart", "exit-code", None, 0))),
        "warning",
    ),
    "container.unhealthy": (
        NodeFacts(NODE, tables=table_of("containers", ILL_NOW, ("name", "state"), ("web", "dead"))),
        NodeFacts(NODE, tables=table_of("containers", ILL_NOW, ("name", "state"), ("web", "running"))),
        "warning",
    ),
    "container.stopped": (
        NodeFacts(NODE, tables=table_of("containers", ILL_NOW, ("name", "state"), ("web", "stopped"))),
        NodeFacts(NODE, tables=table_of("containers", ILL_NOW, ("name", "state"), ("web", "running"))),
        "warning",
    ),
    "updates.security": (
        NodeFacts(NODE, updates_security=3, security_since_at=ILL_NOW - 4 * _DAY),
        NodeFacts(NODE, updates_security=3, security_since_at=ILL_NOW - 2 * _DAY),
        "warning",
    ),
    "updates.stale": (
        NodeFacts(NODE, lists_checked_at=ILL_NOW - 8 * _DAY),
        NodeFacts(NODE, lists_checked_at=ILL_NOW - 6 * _DAY),
        "warning",
    ),
    "patch.missed": (NodeFacts(NODE, patch_missed=2), NodeFacts(NODE, patch_missed=1), "warning"),
    "reboot.required": (
        NodeFacts(NODE, reboot_required="yes", reboot_since_at=ILL_NOW - 60),
        NodeFacts(NODE, reboot_required="no"),
        "warning",
    ),
    "packages.broken": (
        NodeFacts(NODE, tables=table_of("package_faults", ILL_NOW, ("package", "fault"), ("bash", "half installed"))),
        NodeFacts(NODE, tables=table_of("package_faults", ILL_NOW, ("package", "fault"))),
        "critical",
    ),
    "job.failed": (NodeFacts(NODE, jobs={"job_failed": ILL_NOW - 5}), NodeFacts(NODE, jobs={}), "warning"),
    "expectation.missed": (NodeFacts(NODE, deadlines={"backup": 2}), NodeFacts(NODE, deadlines={}), "critical"),
}
ILL_HUB: dict[str, tuple[HubInfo, HubInfo, Level]] = {
    "hub.disk": (HubInfo(disk_free_percent=9), HubInfo(disk_free_percent=11), "warning"),
    "hub.disk_bytes": (HubInfo(disk_free_bytes=4 * GIB), HubInfo(disk_free_bytes=4 * GIB, disk_free_percent=50), "critical"),
    "hub.backup": (HubInfo(backup_age_s=49 * 3600), HubInfo(backup_age_s=30 * 3600), "warning"),
    "hub.channel": (HubInfo(channels_broken=("phone",)), HubInfo(channels_broken=()), "critical"),
    "hub.queue": (HubInfo(queue_drops=1), HubInfo(queue_drops=0), "warning"),
    "hub.lag": (HubInfo(loop_lag_s=0.7), HubInfo(loop_lag_s=0.3), "warning"),
    "hub.clock": (HubInfo(clock_jump_s=31), HubInfo(clock_jump_s=29), "warning"),
    "hub.audit": (HubInfo(audit_broken=True), HubInfo(audit_broken=False), "critical"),
    "hub.data_lost": (HubInfo(data_lost=True), HubInfo(data_lost=False), "critical"),
}


WELL = NodeFacts(
    NODE, clock_skew_s=0.0, reboot_required="no", updates_security=0, lists_checked_at=ILL_NOW, agent="current", jobs={}, deadlines={}, patch_missed=0,
    tables=table_of("services", ILL_NOW, _SERVICE) | table_of("containers", ILL_NOW, ("name", "state")) | table_of("package_faults", ILL_NOW, ("package", "fault")),
)  # fmt: skip
WELL_HUB = HubInfo(
    disk_free_percent=50, disk_free_bytes=500 * GIB, backup_age_s=3600, channels_broken=(), queue_drops=0, loop_lag_s=0.01,
    clock_jump_s=0.0, audit_broken=False, data_lost=False,
)  # fmt: skip
