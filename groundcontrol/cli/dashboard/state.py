"""What the dashboard knows: the last answer of the hub, and the short history of each node that it has seen itself."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from groundcontrol.cli.client import CliError, Hub
from groundcontrol.cli.nodes import severity

POINTS: Final = 20
RESORT_S: Final = 5.0
"""Rows that change their places each second cannot be read."""
ORDERS: Final = ("worst", "cpu", "memory", "updates", "name")
OPEN_JOBS: Final = ("queued", "dispatched", "accepted", "running")
MOST_TILES: Final = 4
MOST_EVENTS: Final = 50
_TILE_BYTES: Final = 8192


@dataclass
class Fleet:
    """The fleet as of the last answer."""

    nodes: dict[str, Any] = field(default_factory=dict)
    alerts: list[Any] = field(default_factory=list)
    jobs: list[Any] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    outputs: dict[str, bytes] = field(default_factory=dict)
    """The last bytes of the output of open jobs, by job."""
    cpu: dict[str, deque[float | None]] = field(default_factory=dict)
    ask_ms: float | None = None
    answered_at: float | None = None
    """Unix seconds; None: the hub has not answered yet."""
    trouble: str = ""
    """Why the last answer is old; empty: it is not."""
    order: str = ORDERS[0]
    _sorted: list[str] = field(default_factory=list)
    _sorted_at: float = 0.0
    _sorted_by: str = ""

    def take(self, nodes: list[Any], alerts: list[Any], jobs: list[Any], events: list[Any], ask_ms: float) -> None:
        """Take an answer of the hub."""
        self.nodes = {node["id"]: node for node in nodes}
        self.alerts, self.jobs, self.events = alerts, [job for job in jobs if job["state"] in OPEN_JOBS], events
        self.ask_ms, self.answered_at, self.trouble = ask_ms, time.time(), ""
        self._note_cpu()

    def change(self, topic: str, data: Any, *, whole: bool) -> None:
        """Take a snapshot or a change of a topic of the live socket."""
        self.trouble = ""
        kind, _, ident = topic.partition(":")
        match kind:
            case "fleet":
                self.nodes = {} if whole else self.nodes
                for node in data["nodes"]:
                    known = self.nodes.get(node["id"])  # an open node has more values than its row
                    self.nodes[node["id"]] = node if known is None else node | {"latest": known["latest"] | node["latest"]}
                for changed, latest in ({} if whole else data["latest"]).items():
                    if changed in self.nodes:
                        _merge(self.nodes[changed]["latest"], latest)
                for removed in () if whole else data["removed"]:
                    self.nodes.pop(removed, None)
            case "node" if whole:
                self.nodes[ident] = data
            case "node" if ident in self.nodes:
                latest = self.nodes[ident]["latest"] | data["latest"]
                self.nodes[ident] = (data["node"] or self.nodes[ident]) | {"latest": latest}
            case "jobs":
                jobs = {job["id"]: job for job in [*([] if whole else self.jobs), *data["jobs"]]}
                gone = [] if whole else data["gone"]
                self.jobs = [jobs[job] for job in sorted(jobs, reverse=True) if jobs[job]["state"] in OPEN_JOBS and job not in gone]
            case "alerts":
                given = data["alerts"] if whole else [data]
                alerts = {alert["id"]: alert for alert in [*([] if whole else self.alerts), *given]}
                self.alerts = [alert for alert in alerts.values() if alert["state"] == "firing"]
            case "events":
                self.events = (data["events"] if whole else [data, *self.events])[:MOST_EVENTS]

    def tick(self) -> None:
        """Note the present values of the nodes for their short history, at each frame of a live fleet."""
        self.answered_at = time.time()
        self._note_cpu()

    def _note_cpu(self) -> None:
        self.cpu = {ident: self.cpu.get(ident, deque(maxlen=POINTS)) for ident in self.nodes}
        for ident, node in self.nodes.items():
            self.cpu[ident].append(value(node, "cpu.total") if node["state"] == "online" else None)

    def rows(self, words: str) -> list[Any]:
        """The nodes in their order that match a filter, offline and failed ones first. Their order changes each `RESORT_S` at most."""
        now = time.monotonic()
        if now - self._sorted_at >= RESORT_S or self._sorted_by != self.order or len(self._sorted) != len(self.nodes):
            self._sorted = sorted(self.nodes, key=lambda ident: self._rank(self.nodes[ident]))
            self._sorted_at, self._sorted_by = now, self.order
        return [self.nodes[ident] for ident in self._sorted if ident in self.nodes and matches(self.nodes[ident], words)]

    def _rank(self, node: Any) -> tuple[object, ...]:
        worst = severity(node)
        measured = {"cpu": value(node, "cpu.total"), "memory": memory_percent(node), "updates": node["updates"]["total"]}
        if self.order == "name":
            return (worst[0], node["name"])
        known = measured.get(self.order, measured["cpu"])
        return (*(worst if self.order == "worst" else worst[:1]), -(known if known is not None else -1), node["name"])

    def job_of(self, node: str) -> Any | None:
        """The open job of a node."""
        return next((job for job in self.jobs if job["node_id"] == node), None)


def _merge(before: dict[str, Any], latest: dict[str, Any]) -> None:
    """New values replace those of the same series. Of a metric with labels a list has one series, so it replaces the one with another label."""
    for name in latest:
        metric, label, _ = name.partition("{")
        if label and name not in before:
            for other in [other for other in before if other.startswith(f"{metric}{{")]:
                del before[other]
    before.update(latest)


def value(node: Any, name: str) -> float | None:
    """The last value of a series; None: it is not measured."""
    sample = node["latest"].get(name)
    return None if sample is None else sample["value"]


def memory_percent(node: Any) -> float | None:
    """Used memory; None: it is not measured."""
    used, total = value(node, "memory.used"), value(node, "memory.total")
    return None if used is None or not total else 100 * used / total


def matches(node: Any, words: str) -> bool:
    """Whether a node matches all words of a filter: parts of names, `tag:x`, `state:x`, `health:x`."""
    for word in words.split():
        kind, colon, wanted = word.partition(":")
        found: Mapping[str, bool] = {
            "tag": wanted in node["tags"],
            "state": wanted == node["state"],
            "health": wanted == node["health"]["level"],
        }
        if not (found[kind] if colon and kind in found else word.lower() in node["name"].lower()):
            return False
    return True


async def ask(hub: Hub, fleet: Fleet, *, tiles: bool, node: str | None) -> None:
    """Ask the hub for everything that is shown. An error leaves the last answer, and is named as the trouble.

    Args: tiles: also the output of open jobs. node: also all series of this node.
    """
    began = time.monotonic()
    try:
        nodes = [one async for one in hub.every("/nodes", "nodes")]
        ask_ms = 1000 * (time.monotonic() - began)
        alerts = [alert async for alert in hub.every("/alerts", "alerts", {"state": "firing"})]
        jobs = (await hub.get("/jobs", {"limit": "50"}))["jobs"]
        events = (await hub.get("/events", {"limit": "50"}))["events"]
        if node is not None:
            nodes = [await hub.get(f"/nodes/{node}") if one["id"] == node else one for one in nodes]
        fleet.take(nodes, alerts, jobs, events, ask_ms)
        if tiles:
            await ask_outputs(hub, fleet)
    except CliError as exc:
        fleet.trouble = str(exc)


async def ask_outputs(hub: Hub, fleet: Fleet) -> None:
    """Ask for the end of the output of open jobs. Raises: CliError."""
    fleet.outputs = {job["id"]: await _tail(hub, job) for job in fleet.jobs[:MOST_TILES]}


async def _tail(hub: Hub, job: Any) -> bytes:
    offset = max(0, job["output_bytes"] - _TILE_BYTES)
    return b"".join([piece async for piece in hub.pieces(f"/jobs/{job['id']}/output", {"offset": str(offset)})])[-_TILE_BYTES:]
