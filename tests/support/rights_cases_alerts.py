"""Rights of rules, maintenance windows, expectations and channels: alerts and deliveries come from rules alone."""

from __future__ import annotations

import time

from tests.support.rights_cases import BODIES, MAKERS, Making, Side

BODIES.update(
    {
        "PATCH /channels/{id}": {"enabled": True},
        "PATCH /expectations/{id}": {"grace_s": 60},
        "PATCH /rules/{id}": {"version": 0, "enabled": False},
        "POST /alerts/{id}/snooze": {"until_at": time.time() + 3600},
    }
)


@MAKERS.of("maintenance")
def _window(side: Side) -> Making:
    return Making("maintenance", {"select": {"nodes": [side.node]}, "until_at": time.time() + 3600, "reason": side.tag})


@MAKERS.of("expectation")
def _expectation(side: Side) -> Making:
    due = {"event": "backup_completed", "by": "05:00", "zone": "UTC"}
    return Making("expectations", {"name": side.tag, "select": {"nodes": [side.node]}, **due})


@MAKERS.of("channel")
def _channel(side: Side) -> Making:
    return Making("channels", {"kind": "webhook", "name": side.tag, "target": {"url": "https://receiver.example/"}})
