"""The benchmark of expensive calls covers all of them, also new ones."""

from __future__ import annotations

from groundcontrol.slices import ROUTES
from scripts.benches.access.costs import Fleet, requests_of


def test_every_costly_request_is_measured() -> None:
    requests = requests_of(Fleet(["node"] * 50, "batch", "job", ["alert"], "incident", "expectation", "policy", "window", "rollout"))
    assert {*requests} == {f"{route.method} {route.path}" for route in ROUTES if route.cost != "small"}
