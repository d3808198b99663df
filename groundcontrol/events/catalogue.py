"""The catalogue of events: the closed list of types that the hub stores, shows and accepts. Pure.

A new type needs one row here and one `record_event` where its cause is stored. Documents, OpenAPI and the page's texts are made from the
rows. `spider/wire/events.py` lists the types that a node may report.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, get_args

from groundcontrol.core.errors import BadRequest, EventUnknown
from groundcontrol.events.model import EventSource, Severity
from spider.wire.events import CUSTOM, CUSTOM_NAME, MEASURED, REPORTED

Group = Literal["node", "host", "packages", "job", "rollout", "deployment", "report", "alert", "hub"]
GROUPS: Final[dict[Group, str]] = {
    "node": "Servers",
    "host": "Operating system",
    "packages": "Packages",
    "job": "Jobs",
    "rollout": "Roll-outs",
    "deployment": "Deployments",
    "report": "Reported by programs",
    "alert": "Alerts",
    "hub": "Ground Control",
}
"""The groups of the filter, with their names on the page."""

_DAY_S: Final = 86_400.0
KEEP_S: Final[dict[Severity, float]] = {"info": 30 * _DAY_S, "warning": 90 * _DAY_S, "error": 400 * _DAY_S}
"""How long an event is stored, by its severity."""
WINDOW_S: Final = 600.0
"""The usual `EventType.window_s`."""
MOST_SPAN_S: Final = _DAY_S
"""The longest time from the first to the newest event of one row. A query for a span of time also looks at rows that began so long before."""


class EventType(NamedTuple):
    """One type of event."""

    name: str
    group: Group
    text: str
    """The message in English. `{field}` is replaced by a detail, `{name}` by the name of the node."""
    severity: Severity = "info"
    """The severity of an event that does not give its own."""
    key: tuple[str, ...] = ()
    """The details that name the object of an event: texts, numbers or lists of texts."""
    window_s: float = WINDOW_S
    """Equal events of a node and object within so many seconds share a row and are counted; 0: each event has its own row."""

    @property
    def sources(self) -> tuple[EventSource, ...]:
        """Who may report an event of this type: `api` is a program that reports by the API, also about hosts without an agent."""
        if self.name in REPORTED or self.group == "host":
            return ("agent", "api")
        return ("agent", "hub") if self.name in MEASURED else ("hub",)


def _once(name: str, group: Group, text: str, severity: Severity = "info", *key: str) -> EventType:
    """A type whose events each have their own row."""
    return EventType(name, group, text, severity, key, 0.0)


_MISSED: Final = _once("expected_<type>_missed", "alert", "{name}: {event} did not arrive by {due}", "error", "expectation")
"""This row stands for many types, such as `expected_backup_missed`: one for each event that an expectation may name."""

ROWS: Final = (
    _once("node_registered", "node", "{name} was added"),
    _once("node_joined", "node", "{name} joined"),
    _once("node_join_failed", "node", "{name} could not join: {why}", "warning"),
    _once("node_approved", "node", "{name} was approved"),
    _once("node_adopted", "node", "{name} was adopted: it has keys of this fleet", "warning"),
    _once("node_online", "node", "{name} is online"),
    _once("node_offline", "node", "{name} is offline", "warning"),
    _once("node_stale", "node", "{name} has reported nothing for {minutes} min", "warning"),
    _once("node_down", "node", "{name} has reported nothing for {minutes} min", "error"),
    _once("node_recovered", "node", "{name} reports again after {minutes} min"),
    _once("node_rebooted", "node", "{name} was rebooted"),
    _once("node_rebooted_unexpectedly", "node", "{name} was rebooted, and nobody had ordered it", "warning"),
    EventType(
        "node_cloned", "node",
        "a second machine uses the keys of {name}; it was refused, and no jobs run until the node has new keys or the other machine is gone",
        "error",
    ),
    _once("node_rekeyed", "node", "{name} has new keys"),
    _once("node_removed", "node", "{name} was removed"),
    _once("node_uninstalled", "node", "{name} ({address}) has left: {why}"),
    _once("node_uninstall_incomplete", "node", "{name} ({address}) was not removed completely; left: {left}", "warning"),
    EventType("policy_changed", "node", "the policy of {name} is {mode} now", key=("mode",)),
    _once("agent_updated", "node", "the agent of {name} was updated"),
    _once("agent_update_failed", "node", "the agent of {name} could not be updated: {why}", "error"),
    _once("clock_ahead", "node", "the clock of {name} is more than a day ahead; its samples are not stored until it is set right", "warning"),
    _once("clock_skewed", "node", "the clock of {name} is {skew_seconds} s off; what it measures is stored under that time", "warning"),
    _once("clock_right", "node", "the clock of {name} is right again"),
    _once("data_gap", "node", "samples that {name} kept for the hub are lost", "warning"),
    _once("history_damaged", "node", "something that {name} measured cannot be read any more: stardust doctor tells more", "error"),
    EventType("unit_failed", "host", "{unit} failed on {name}", "warning", ("unit",)),
    EventType("unit_recovered", "host", "{unit} runs again on {name}", key=("unit",)),
    _once("unit_restarted", "host", "{unit} was restarted on {name}", "info", "unit"),
    EventType("oom_killed", "host", "{name} ran out of memory, and the kernel killed a process", "error", ("unit",)),
    EventType("filesystem_readonly", "host", "{mount} of {name} became read-only", "error", ("mount",)),
    EventType("disk_failing", "host", "the disk {device} of {name} is failing", "error", ("device",)),
    EventType("raid_degraded", "host", "the array {array} of {name} is degraded", "error", ("array",)),
    EventType("link_down", "host", "the link of {interface} on {name} is down", "warning", ("interface",)),
    EventType("link_up", "host", "the link of {interface} on {name} is up", key=("interface",)),
    EventType("listener_added", "host", "{name} listens on port {port}", key=("protocol", "address", "port")),
    EventType("listener_removed", "host", "{name} no longer listens on port {port}", key=("protocol", "address", "port")),
    EventType("log_flood", "host", "{unit} floods the log of {name}", "warning", ("unit",)),
    EventType("login_root", "host", "root logged in on {name}", key=("address",)),
    EventType("packages_changed", "packages", "packages changed on {name}: {count}", key=("packages",), window_s=60.0),
    EventType("packages_broken", "packages", "{name} has broken packages", "warning"),
    EventType("updates_found", "packages", "updates for {name}: {total}", window_s=60.0),
    EventType("security_updates_found", "packages", "security updates for {name}: {security}", "warning", window_s=60.0),
    EventType("repository_stale", "packages", "the package lists of {name} are old", "warning"),
    EventType("reboot_required", "packages", "{name} needs a reboot", window_s=60.0),
    EventType("reboot_done", "packages", "{name} was rebooted, as it needed", window_s=60.0),
    _once("job_started", "job", "{action} on {name}: started"),
    _once("job_succeeded", "job", "{action} on {name}: succeeded"),
    _once("job_incomplete", "job", "{action} on {name}: succeeded, but not everything came back", "warning"),
    _once("job_failed", "job", "{action} on {name}: failed", "error"),
    _once("job_interrupted", "job", "{action} on {name}: interrupted", "error"),
    _once("job_cancelled", "job", "{action} on {name}: cancelled", "warning"),
    _once("job_expired", "job", "{action} on {name}: expired", "warning"),
    _once("job_unknown", "job", "{action} on {name}: outcome unknown", "warning"),
    _once("rollout_started", "rollout", "the roll-out {name} started: {total} servers"),
    _once("rollout_holding", "rollout", "the roll-out {name} holds: {why}", "warning"),
    _once("rollout_stopped", "rollout", "the roll-out {name} stopped: {why}", "error", "name"),
    _once("rollout_succeeded", "rollout", "the roll-out {name} succeeded: {passed} of {total} servers passed"),
    _once("rollout_expired", "rollout", "the roll-out {name} ended with its window: {not_started} of {total} servers were not reached", "warning"),
    _once("patch_missed", "rollout", "the patch policy {name} missed its time: {why}", "warning"),
    _once("patch_paused", "rollout", "the patch policy {name} is paused: {why}", "error", "name"),
    _once("approval_wanted", "rollout", "the patch policy {name} waits for approval until {due}", "warning"),
    _once("patch_report", "rollout", "report of {name}: {why}"),
    _once("deployment_succeeded", "deployment", "{kind} {name} ({host}): succeeded"),
    _once("deployment_failed", "deployment", "{kind} {name} ({host}): failed: {why}", "error"),
    _once("deployment_cancelled", "deployment", "{kind} {name} ({host}): cancelled"),
    EventType("backup_started", "report", "backup started on {name}"),
    EventType("backup_completed", "report", "backup completed on {name}"),
    EventType("backup_failed", "report", "backup failed on {name}", "error"),
    EventType("dbdump_completed", "report", "database dump completed on {name}"),
    EventType("dbdump_failed", "report", "database dump failed on {name}", "error"),
    EventType("restore_tested", "report", "restore tested on {name}"),
    EventType("service_deployed", "report", "service deployed on {name}"),
    EventType("service_failed", "report", "service failed on {name}", "error"),
    EventType("config_applied", "report", "configuration applied on {name}"),
    EventType("config_failed", "report", "configuration failed on {name}", "error"),
    EventType("health_ok", "report", "{name} is healthy"),
    EventType("health_degraded", "report", "{name} is degraded", "warning"),
    EventType("health_failed", "report", "{name} is not healthy", "error"),
    EventType(CUSTOM, "report", "{custom} on {name}"),
    _once("alert_firing", "alert", "{rule} on {name}", "info", "alert"),
    _once("alert_resolved", "alert", "{rule} on {name} {end}", "info", "alert"),
    _once("alert_acknowledged", "alert", "{rule} on {name} was acknowledged by {by}", "info", "alert"),
    _once("alert_snoozed", "alert", "{rule} on {name} was snoozed by {by}", "info", "alert"),
    _once("maintenance_opened", "alert", "maintenance of {name} began: {reason}"),
    _once("maintenance_closed", "alert", "maintenance of {name} ended: {reason}"),
    _once("maintenance_overran", "alert", "maintenance of {name} lasts longer than planned: {reason}", "warning"),
    _MISSED,
    _once("channel_failed", "alert", "notifications through {channel} fail: {why}", "error", "channel"),
    _once("channel_partly_refused", "alert", "notifications through {channel} do not reach everybody: {why}", "warning", "channel"),
    _once("channel_recovered", "alert", "notifications through {channel} work again", "info", "channel"),
    _once("mass_offline", "alert", "{count} servers went offline together", "error"),
    _once("hub_started", "hub", "Ground Control {version} started"),
    _once("hub_was_away", "hub", "Ground Control was away for {minutes} min", "warning"),
    _once("hub_data_lost", "hub", "the database {file} of Ground Control lacks {what}: its -wal file was removed, or an older copy is in its place", "error"),
    _once("hub_clock_jumped", "hub", "the clock of Ground Control jumped by {seconds} s", "warning"),
    _once("break_glass", "hub", "{user}, an admin of this hub, may look into this organisation for {minutes} min: {reason}", "warning"),
    _once("break_glass_ended", "hub", "{user}, an admin of this hub, may no longer look into this organisation"),
    _once("invite_used", "hub", "an invite was used by {name}"),
    EventType("events_throttled", "hub", "{name} reports too many events: those beyond {limit} a minute are left out", "warning"),
)  # fmt: skip

_BY_NAME: Final = {row.name: row for row in ROWS if row is not _MISSED}
_EXPECTED: Final = re.compile(r"expected_([a-z0-9_.-]{1,64})_missed\Z")
_FIELD: Final = re.compile(r"\{([a-z_]+)\}")


def event_type(name: str) -> EventType | None:
    """The row of a type; None: the catalogue has no such type."""
    if (row := _BY_NAME.get(name)) is not None:
        return row
    return _MISSED._replace(name=name) if _EXPECTED.match(name) else None


def group_of(name: str) -> str:
    """The group of a type; empty: there is no such type."""
    row = event_type(name)
    return "" if row is None else row.group


def known_type(name: str, source: EventSource | None = None) -> EventType:
    """The row of a type.

    Args:   source: who reports the event; None: nobody, a filter names the type.
    Raises: EventUnknown: the catalogue has no such type, or `source` may not report it.
    """
    row = event_type(name)
    if row is None or (source is not None and source not in row.sources):
        raise EventUnknown(
            f"there is no event of the type {name[:100]!r}" + (" that a program may report" if source else ""), type=name[:100]
        )
    return row


def in_group(group: str) -> tuple[EventType, ...]:
    """The types of a group.

    Raises: BadRequest: there is no such group.
    """
    if group not in get_args(Group):
        raise BadRequest(f"the parameter group is one of {', '.join(GROUPS)}")
    return tuple(row for row in ROWS if row.group == group)


def words(row: EventType, details: dict[str, object], name: str) -> str:
    """The message of an event in English, with `…` for each missing detail. Args: name: of the node; empty: the detail `name`."""
    values = {**details, "name": name or details.get("name", "…"), "custom": details.get("name", CUSTOM)}
    return _FIELD.sub(lambda field: str(values.get(field[1], "…")), row.text)


def custom_name(details: dict[str, object]) -> str:
    """The name of a custom event, from its details.

    Raises: EventUnknown: the name is missing or invalid.
    """
    name = details.get("name")
    if not isinstance(name, str) or not CUSTOM_NAME.match(name):
        raise EventUnknown("an event of the type custom needs details.name: 1 to 64 of a-z, 0-9, _ . -", type=CUSTOM)
    return name
