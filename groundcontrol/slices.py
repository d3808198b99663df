"""All slices of the hub in their order, and what they declare."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from groundcontrol.web.declare import Slice

ORDER: Final = (
    "events",
    "access",
    "nodes",
    "samples",
    "agents",
    "jobs",
    "deployments",
    "schedules",
    "alerts",
    "notifications",
    "policies",
    "rollouts",
    "instance",
)
"""Folders of `groundcontrol/`: a slice imports only earlier ones. `lint-imports` checks it (`scripts/dev/slice_contract.py`)."""

SLICES: Final[tuple[Slice, ...]] = tuple(import_module(f"groundcontrol.{name}.slice").SLICE for name in ORDER)
ROUTES: Final = tuple(route for each in SLICES for route in each.routes)
TOPICS: Final = {topic.kind: topic for each in SLICES for topic in each.topics}
PROVIDERS: Final = tuple(provider for each in SLICES for provider in each.provides)
STARTS: Final = tuple(service for each in SLICES for service in each.starts)
TASKS: Final = tuple(task for each in SLICES for task in each.tasks)
PER_ORG: Final = tuple(service for each in SLICES for service in each.per_org)
EXPIRES: Final = tuple(expiry for each in SLICES for expiry in each.expires)
