"""The default rules, which apply to every node. An upgrade of the hub replaces those that nobody has changed."""

from __future__ import annotations

from typing import Final, Literal

from groundcontrol.alerts.model import EVENT_VALUES, Rule, RuleId, Threshold
from groundcontrol.schedules.model import Selector

_ALL: Final = Selector(all=True)
_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_ANY: Final = (0.0, 0.0)
"""Trigger and clear value of a rule that fires for any value above zero."""
_ABOVE_INFO: Final = (EVENT_VALUES["info"], EVENT_VALUES["info"])
_ABOVE_WARNING: Final = (EVENT_VALUES["warning"], EVENT_VALUES["warning"])

Pair = tuple[float, float]


def _rule(
    id_: str,
    kind: str,
    name: str,
    expr: str,
    warn: Pair | None = None,
    crit: Pair | None = None,
    *,
    when: Literal["above", "below"] = "above",
    for_s: float = 0.0,
    clear_s: float = 0.0,
    notice: bool = False,
    action: str | None = None,
) -> Rule:
    """A default rule. Args: warn, crit: trigger and clear value, in the unit of the state, detector or metric."""
    warning, critical = (None if pair is None else Threshold(*pair) for pair in (warn, crit))
    return Rule(
        RuleId(id_), name, expr, _ALL, when, warning, critical, for_s, clear_s, origin="default", kind=kind, notice=notice, action=action
    )


def _event(id_: str, kind: str, name: str, type_: str, warn: Pair = _ANY) -> Rule:
    """A rule on an event. An error is critical. An alert ends an hour after its last event, so it is sent at most once an hour."""
    return _rule(id_, kind, name, f"event({type_})", warn, _ABOVE_WARNING, clear_s=_HOUR_S)


_NODE: Final = (
    _rule("node.offline", "offline", "Server does not answer", "state(offline)", crit=(120, 0)),
    _rule("node.cloned", "cloned", "Two servers use the same keys", "event(node_cloned)", crit=_ANY, clear_s=_HOUR_S),
    _rule("node.rebooted", "rebooted", "Server rebooted unexpectedly", "event(node_rebooted_unexpectedly)", warn=_ANY, clear_s=_HOUR_S),
    _rule("node.clock_skew", "clock", "Clock is wrong", "state(clock_skew)", (2, 1), (30, 15), for_s=5 * _MINUTE_S, clear_s=_MINUTE_S),
    _rule("agent.outdated", "agent_outdated", "Agent is outdated", "state(agent_outdated)", warn=(7 * _DAY_S, 0), notice=True),
    _rule("agent.gap", "samples_lost", "Samples were lost", "event(data_gap)", warn=_ANY, clear_s=_HOUR_S),
    _rule(
        "filesystem.space",
        "filesystem",
        "File system almost full",
        "detector(filesystem_space)",
        (90, 87),
        (97, 95),
        for_s=5 * _MINUTE_S,
        clear_s=_MINUTE_S,
    ),
    _rule(
        "filesystem.fills",
        "filesystem",
        "File system will be full soon",
        "detector(filesystem_fills)",
        (72, 96),
        (12, 18),
        when="below",
        for_s=30 * _MINUTE_S,
        clear_s=10 * _MINUTE_S,
    ),
    _rule(
        "filesystem.inodes", "filesystem", "Inodes almost used up", "last(filesystem.inodes_used)", (90, 87), (97, 95), for_s=5 * _MINUTE_S
    ),
    _rule("filesystem.readonly", "filesystem", "File system became read-only", "detector(filesystem_readonly)", crit=_ANY),
    _rule(
        "memory.available",
        "memory",
        "Memory almost used up",
        "avg(memory.available_percent, 1m)",
        (10, 13),
        (5, 8),
        when="below",
        for_s=5 * _MINUTE_S,
        clear_s=_MINUTE_S,
    ),
    _rule(
        "memory.pressure",
        "memory",
        "Programs wait for memory",
        "avg(pressure.memory_full, 1m)",
        (10, 5),
        (25, 5),
        for_s=2 * _MINUTE_S,
        clear_s=_MINUTE_S,
    ),
    _rule("memory.oom", "oom", "A program was killed for want of memory", "detector(memory_oom)", warn=_ANY, clear_s=25 * _MINUTE_S),
    _rule("swap.thrash", "memory", "Memory is swapped all the time", "detector(swap_thrash)", warn=(80, 70), clear_s=5 * _MINUTE_S),
    _rule(
        "cpu.saturated", "cpu", "CPU fully used", "detector(cpu_saturated)", (95, 85), (95, 85), clear_s=_MINUTE_S
    ),  # `cpu_saturated` decides when it may be critical
    _rule("cpu.load", "load", "Too many programs wait for a CPU", "avg(load.per_core, 10m)", warn=(4, 3), clear_s=_MINUTE_S),
    _rule("cpu.iowait", "cpu", "CPU waits for disks", "avg(cpu.iowait, 10m)", warn=(40, 20), clear_s=_MINUTE_S),
    _rule("cpu.steal", "cpu", "Hypervisor takes CPU away", "avg(cpu.steal, 20m)", warn=(10, 5), clear_s=_MINUTE_S),
    _rule("disk.busy", "disk", "Disk fully used", "avg(disk.busy, 10m)", warn=(98, 70), clear_s=_MINUTE_S, notice=True),
    _rule("disk.failing", "disk", "Disk is failing", "detector(disk_failing)", crit=_ANY),
    _rule("disk.temperature", "temperature", "Disk is hot", "detector(disk_temperature)", (55, 52), (60, 57)),
    _rule("nvme.temperature", "temperature", "NVMe disk is hot", "detector(nvme_temperature)", (70, 65), (80, 75)),
    _rule("sensor.temperature", "temperature", "Server is hot", "detector(sensor_temperature)", (85, 80), (95, 90)),
    _rule("raid.degraded", "array", "Array lacks a disk", "last(md.missing)", crit=_ANY),
    _rule("pool.degraded", "array", "ZFS pool is degraded", "last(zfs.healthy)", crit=(1, 1), when="below"),
    _rule("btrfs.degraded", "array", "Btrfs lacks a disk", "last(btrfs.missing)", crit=_ANY),
    _rule("network.errors", "network", "Network loses packets", "detector(network_errors)", warn=(1, 0.2), clear_s=5 * _MINUTE_S),
    _rule("network.link", "network", "Network link is down", "detector(network_link)", warn=_ANY, clear_s=_MINUTE_S),
    _rule("network.saturated", "network", "Network link fully used", "detector(network_saturated)", warn=(90, 85)),
    _rule("unit.failed", "unit_failed", "Service failed", "state(unit_failed)", warn=_ANY, for_s=2 * _MINUTE_S),
    _rule(
        "unit.restarting",
        "unit_failed",
        "Service starts again and again",
        "state(unit_restarting)",
        warn=(4, 1),
    ),
    _rule(
        "container.unhealthy",
        "container",
        "Container is unhealthy",
        "state(container_unhealthy)",
        warn=_ANY,
        for_s=2 * _MINUTE_S,
    ),
    _rule("container.stopped", "container", "Container stopped", "state(container_stopped)", warn=_ANY, for_s=2 * _MINUTE_S),
    _rule(
        "container.restarting",
        "container",
        "Container starts again and again",
        "state(container_restarting)",
        warn=(2, 0),
    ),
    _rule(
        "updates.security",
        "updates",
        "Security updates wait",
        "state(updates_security)",
        (3 * _DAY_S, 0),
        (14 * _DAY_S, 0),
        action="security-upgrade",
    ),
    _rule("updates.stale", "lists_stale", "Package lists are old", "state(lists_age)", warn=(7 * _DAY_S, _DAY_S), action="refresh"),
    _rule("patch.missed", "patch_missed", "Patch policies did not reach it twice", "state(patch_missed)", warn=(1, 0)),
    _rule("reboot.required", "reboot_due", "Reboot is due", "state(reboot_due)", warn=_ANY, notice=True, action="reboot"),
    _rule("reboot.overdue", "reboot_due", "Reboot has been due for a week", "state(reboot_due)", warn=(7 * _DAY_S, 0), action="reboot"),
    _rule("packages.broken", "packages_broken", "Packages are broken", "state(packages_broken)", crit=_ANY, action="repair"),
    _rule("job.failed", "job_failed", "Job failed", "state(job_failed)", warn=_ANY),
    _rule("expectation.missed", "deadline_missed", "Expected event is missing", "state(deadline_missed)", warn=_ANY, crit=(1, 1)),
)
_EVENTS: Final = (
    _event("backup.failed", "reported", "Backup failed", "backup_failed"),
    _event("dbdump.failed", "reported", "Database dump failed", "dbdump_failed"),
    _event("service.failed", "reported", "Service reported as failed", "service_failed"),
    _event("config.failed", "reported", "Configuration failed", "config_failed"),
    _event("health.failed", "reported", "Reported as not healthy", "health_failed"),
    _event("health.degraded", "reported", "Reported as degraded", "health_degraded"),
    _event("custom.failed", "reported", "A program reports a problem", "custom", warn=_ABOVE_INFO),
    _event("job.interrupted", "job_failed", "Job was interrupted", "job_interrupted"),
    _event("job.incomplete", "job_failed", "Server came back incomplete", "job_incomplete"),
    _event("rollout.stopped", "rollout", "Roll-out was stopped", "rollout_stopped", warn=_ABOVE_INFO),
    _event("policy.paused", "rollout", "Patch policy is paused", "patch_paused"),
    _event("history.damaged", "samples_lost", "Stored measurements are damaged", "history_damaged"),
)
_HUB: Final = (
    _rule("hub.disk", "hub", "Ground Control's disk is almost full", "state(hub_disk_free_percent)", warn=(10, 12), when="below"),
    _rule("hub.disk_bytes", "hub", "Ground Control's disk is full", "state(hub_disk_free)", crit=(5, 6), when="below"),  # GiB
    _rule("hub.backup", "hub", "Ground Control's backup is old", "state(hub_backup_age)", warn=(48 * _HOUR_S, 47 * _HOUR_S)),
    _rule("hub.channel", "hub", "Notification channel is broken", "state(hub_channel_broken)", crit=_ANY),
    _rule("hub.queue", "hub", "Ground Control drops data", "state(hub_queue_drops)", warn=_ANY),
    _rule(
        "hub.lag", "hub", "Ground Control is overloaded", "state(hub_loop_lag)", warn=(0.5, 0.25), for_s=5 * _MINUTE_S, clear_s=_MINUTE_S
    ),
    _rule("hub.clock", "hub", "Ground Control's clock jumped", "state(hub_clock_jump)", warn=(30, 30)),
    _rule("hub.audit", "hub", "Ground Control's audit log was altered", "state(hub_audit_broken)", crit=_ANY),
    _rule("hub.data_lost", "hub", "Ground Control's database has lost data", "state(hub_data_lost)", crit=_ANY),
)
DEFAULT_RULES: Final = (*_NODE, *_EVENTS, *_HUB)
