"""All slices of the hub in their order: a slice uses only earlier ones."""

from __future__ import annotations

from typing import Final

from groundcontrol.access.slice import SLICE as ACCESS
from groundcontrol.agents.slice import SLICE as AGENTS
from groundcontrol.alerts.slice import SLICE as ALERTS
from groundcontrol.deployments.slice import SLICE as DEPLOYMENTS
from groundcontrol.events.slice import SLICE as EVENTS
from groundcontrol.jobs.slice import SLICE as JOBS
from groundcontrol.nodes.slice import SLICE as NODES
from groundcontrol.samples.slice import SLICE as SAMPLES

SLICES: Final = (EVENTS, ACCESS, NODES, SAMPLES, AGENTS, JOBS, DEPLOYMENTS, ALERTS)
ROUTES: Final = tuple(route for each in SLICES for route in each.routes)
TOPICS: Final = {topic.kind: topic for each in SLICES for topic in each.topics}
PROVIDERS: Final = tuple(provider for each in SLICES for provider in each.provides)
STARTS: Final = tuple(service for each in SLICES for service in each.starts)
TASKS: Final = tuple(task for each in SLICES for task in each.tasks)
EXPIRES: Final = tuple(expiry for each in SLICES for expiry in each.expires)
