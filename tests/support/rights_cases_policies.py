"""Rights of patch policies, windows and roll-outs."""

from __future__ import annotations

from tests.support.rights_cases import BODIES, MAKERS, Making, Side

TIMES = {"start": "02:30", "length_s": 7200, "zone": "Europe/Berlin"}

BODIES.update(
    {
        "PATCH /patch-policies/{id}": {"version": 1, "kernel": False},
        "PATCH /windows/{id}": {"version": 1, "length_s": 3600},
        "POST /rollouts/{id}/start": {"confirm": 1, "version": 1},
        "POST /rollouts/{id}/go-on": {"gate": "*", "reason": "seen"},
        "POST /rollouts/{id}/kill": {"node_id": "n", "confirm": "web-1"},
    }
)


@MAKERS.of("patch-policy")
def _policy(side: Side) -> Making:
    return Making("patch-policies", {"name": side.tag, "select": {"nodes": [side.node]}, "when": {"weekly": ["tue"]}, **TIMES})


@MAKERS.of("window")
def _window(side: Side) -> Making:
    return Making("windows", {"name": side.tag, "kind": "allow", "select": {"nodes": [side.node]}, "weekly": ["tue"], **TIMES})


@MAKERS.of("rollout")
def _rollout(side: Side) -> Making:
    return Making("rollouts", {"name": side.tag, "action": "upgrade", "select": {"nodes": [side.node]}})
