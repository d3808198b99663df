"""Rows of deployments, without a service."""

from __future__ import annotations

from groundcontrol.deployments import transitions
from groundcontrol.deployments.model import INSTALL_STEPS, DeploymentError, DeploymentOptions
from tests.support.deployment_desk import ADMIN


def test_the_step_named_by_the_error_is_the_failed_one() -> None:
    row = transitions.new_deployment(
        ADMIN,
        "install",
        INSTALL_STEPS,
        host="192.0.2.7",
        port=22,
        username="ops",
        name="web-1",
        options=DeploymentOptions(),
        node=None,
        at=1.0,
    )
    for name in ("connect", "host_key"):
        row = transitions.step_done(transitions.step_started(row, name, 2.0), name, "", 3.0)
    row = transitions.step_started(row, "authenticate", 4.0)
    ended = transitions.ended(row, "failed", 5.0, DeploymentError("host_key_changed", "The server shows another key.", "host_key"))
    states = {step.name: step.state for step in ended.steps}
    assert [states[name] for name in ("connect", "host_key", "authenticate", "become_root")] == ["done", "failed", "failed", "skipped"]
