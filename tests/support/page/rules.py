"""Alert rules that fire within seconds, for pages that show findings: the default rules take minutes."""

from __future__ import annotations

from typing import Any, Final

from tests.support.hub import HubProcess

QUICK: Final[dict[str, dict[str, Any]]] = {
    "memory.available": {"expr": "last(memory.available_percent)"},
    "cpu.saturated": {"expr": "last(cpu.total)", "warn": {"trigger": 80, "clear": 60}, "crit": {"trigger": 92, "clear": 70}},
    "unit.failed": {},
}
"""Default rule -> what is changed, beside its times. Values that are measured each minute are not among them: their rules take a minute more."""


def quick_rules(hub: HubProcess, *only: str) -> None:
    """Let these default rules, or all of `QUICK`, judge the newest value and fire immediately."""
    for rule in only or QUICK:
        reply = hub.local("PATCH", f"/api/v1/rules/{rule}", {"version": 0, "for_s": 0, "clear_s": 0, **QUICK[rule]})
        assert reply.status == 200, reply.body


def add_rule(hub: HubProcess, name: str, expr: str, above: float) -> None:
    """A rule of a user for all nodes, critical and without delay."""
    body = {"name": name, "expr": expr, "select": {"all": True}, "crit": {"trigger": above, "clear": above}}
    reply = hub.local("POST", "/api/v1/rules", body)
    assert reply.status == 201, reply.body
