"""State changes of a `Deployment`, as pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

from groundcontrol.core.ids import DeploymentId, NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.deployments.model import (
    Deployment,
    DeploymentError,
    DeploymentKind,
    DeploymentOptions,
    DeploymentState,
    Earlier,
    HostKey,
    Step,
)
from majortom.errors import one_line
from majortom.install import TAKEN_BACK
from spider.wire.ids import new_time_id

MAX_DETAIL_CHARS: Final = 500
_LOGIN_STEPS: Final = ("connect", "host_key", "authenticate", "become_root")
"""Steps that change nothing on the server."""


def new_deployment(
    scope: Scope,
    kind: DeploymentKind,
    steps: Sequence[str],
    *,
    host: str,
    port: int,
    username: str,
    name: str,
    options: DeploymentOptions,
    node: NodeId | None,
    at: float,
    batch: str | None = None,
) -> Deployment:
    """A deployment that has not begun."""
    return Deployment(
        id=DeploymentId(new_time_id(at)), org=scope.org, kind=kind, state="running", node_id=node,
        host=host, port=port, username=username, name=name, host_key=None,
        steps=waiting(steps), error=None,
        created_by=scope.actor.name, created_at=at, ended_at=None, version=1, options=options, batch=batch,
    )  # fmt: skip


def waiting(steps: Sequence[str]) -> tuple[Step, ...]:
    """Steps that have not begun."""
    return tuple(Step(step, "waiting", "", None, None) for step in steps)


def restarted(
    deployment: Deployment, *, host: str, port: int, username: str, name: str, options: DeploymentOptions, pinned: HostKey | None
) -> Deployment:
    """The deployment reset to its first step, for a retry. Only a trusted host key stays.

    No other step is still done: the previous attempt was rolled back, and its login ended with the connection.
    """
    earlier = deployment.options.earlier
    previous = Earlier(
        tries=1 if earlier is None else earlier.tries + 1,
        step=_last_step(deployment),
        left=_changes_left(deployment),
        kept=("host_key",) if pinned is not None or options.host_key is not None else (),
    )
    return deployment._replace(
        state="running", host=host, port=port, username=username, name=name, options=options._replace(earlier=previous),
        host_key=pinned, host_key_confirmed=pinned is not None,
        steps=waiting([step.name for step in deployment.steps]), error=None, ended_at=None,
    )  # fmt: skip


def step_started(deployment: Deployment, name: str, at: float) -> Deployment:
    return _with_step(deployment, name, lambda step: step._replace(state="running", started_at=at))


def step_detail(deployment: Deployment, name: str, text: str) -> Deployment:
    return _with_step(deployment, name, lambda step: step._replace(detail=_line(text)))


def step_done(deployment: Deployment, name: str, detail: str, at: float) -> Deployment:
    return _with_step(deployment, name, lambda step: step._replace(state="done", detail=_line(detail) or step.detail, ended_at=at))


def person_waited_for(deployment: Deployment, waited_s: float) -> Deployment:
    """Note on the running step how long it waited for a person."""
    steps = [step._replace(waited_s=step.waited_s + waited_s) if step.state == "running" else step for step in deployment.steps]
    return deployment._replace(steps=tuple(steps))


def ended(deployment: Deployment, state: DeploymentState, at: float, error: DeploymentError | None = None) -> Deployment:
    """Close a deployment. The step that the error names fails, and so does a running step. Steps that have not begun are skipped.

    The error may name a step before the running one: a wrong host key is noticed only at the login.
    """
    steps = []
    for step in deployment.steps:
        match step.state:
            case _ if error is not None and step.name == error.step:
                steps.append(step._replace(state="failed", started_at=step.started_at or at, ended_at=at))
            case "running":
                steps.append(step._replace(state="done" if state == "succeeded" else "failed", ended_at=at))
            case "waiting":
                steps.append(step._replace(state="skipped"))
            case _:
                steps.append(step)
    return deployment._replace(state=state, steps=tuple(steps), error=error, ended_at=at)


def _last_step(deployment: Deployment) -> str:
    if deployment.error is not None:
        return deployment.error.step
    return next((step.name for step in reversed(deployment.steps) if step.state not in ("waiting", "skipped")), deployment.steps[0].name)


def _changes_left(deployment: Deployment) -> Literal["nothing", "taken_back", "unknown", "goes_on"]:
    if deployment.kind == "remove":
        return "goes_on"
    begun = [step for step in deployment.steps if step.state != "skipped"]
    if all(step.name in _LOGIN_STEPS or (step.name == "probe" and not step.detail) for step in begun):
        return "nothing"
    return "taken_back" if any(step.detail.startswith(TAKEN_BACK) for step in deployment.steps) else "unknown"


def nothing_changed(deployment: Deployment) -> bool:
    """Whether this attempt certainly changed nothing on the server."""
    return all(step.state == "waiting" or step.name in _LOGIN_STEPS or _only_reads(step) for step in deployment.steps)


def _only_reads(step: Step) -> bool:
    """Whether a running probe has only read so far. Before a rollback, or the installation of python3, it sets its detail."""
    return step.name == "probe" and step.state == "running" and not step.detail


def _with_step(deployment: Deployment, name: str, change: Callable[[Step], Step]) -> Deployment:
    return deployment._replace(steps=tuple(change(step) if step.name == name else step for step in deployment.steps))


def _line(text: str) -> str:
    return one_line(text, MAX_DETAIL_CHARS)
