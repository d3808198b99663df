"""From what the hub knows to what it shows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, cast

from groundcontrol.domain.deployments import Deployment
from groundcontrol.domain.ids import SessionId
from groundcontrol.domain.jobs import Job
from groundcontrol.domain.log import AuditRow, Event
from groundcontrol.domain.nodes import Node
from groundcontrol.domain.scope import Grants
from groundcontrol.domain.users import ApiToken, Person, User
from groundcontrol.store.base import ListedSession
from groundcontrol.web import schema

Latest = Mapping[str, tuple[float | None, float]]
"""Series -> (value, taken at)."""

LOOPBACK_SERIES: Final = ("network.received{interface=lo}", "network.sent{interface=lo}")


def samples(latest: Latest) -> dict[str, schema.Sample]:
    """Values as they are sent."""
    return {name: schema.Sample(value=value, at=at) for name, (value, at) in latest.items()}


def summary(latest: Latest) -> dict[str, schema.Sample]:
    """What a list shows of a node: see the SUMMARY constants of the schema."""
    chosen: dict[str, tuple[float | None, float]] = {name: latest[name] for name in schema.SUMMARY_SERIES if name in latest}
    for metric in schema.SUMMARY_SUMS:
        total = _sum(latest, metric)
        if total is not None:
            chosen[metric] = total
    fullest = _highest(latest, "filesystem.used", lambda name: _share(latest, name))
    for metric in schema.SUMMARY_FULLEST if fullest else ():
        name = metric + fullest.removeprefix("filesystem.used")
        if name in latest:
            chosen[name] = latest[name]
    for metric in schema.SUMMARY_HIGHEST:
        highest = _highest(latest, metric, lambda name: latest[name][0])
        if highest:
            chosen[highest] = latest[highest]
    return samples(chosen)


def chosen_series(latest: Latest, wanted: Iterable[str]) -> dict[str, schema.Sample]:
    """The series asked for; a metric's bare name stands for all of its labels."""
    found: dict[str, tuple[float | None, float]] = {}
    for name in wanted:
        if name in latest:
            found[name] = latest[name]
        else:
            found.update({series: value for series, value in latest.items() if series.startswith(name + "{")})
    return samples(found)


def _labelled(latest: Latest, metric: str) -> list[str]:
    return [name for name in latest if name.startswith(metric + "{")]


def _sum(latest: Latest, metric: str) -> tuple[float | None, float] | None:
    """None: no such series. A part that could not be measured makes no sum of the rest: only measured ones are added."""
    parts = [latest[name] for name in _labelled(latest, metric) if name not in LOOPBACK_SERIES]
    if not parts:
        return None
    values = [value for value, _ in parts if value is not None]
    return (sum(values) if values else None), max(at for _, at in parts)


def _share(latest: Latest, used: str) -> float | None:
    size = latest.get("filesystem.size" + used.removeprefix("filesystem.used"), (None, 0.0))[0]
    value = latest[used][0]
    return value / size if size and value is not None else None


def _highest(latest: Latest, metric: str, rank: Callable[[str], float | None]) -> str:
    """The series of a metric that ranks highest; those that could not be measured come last; empty: there is none."""
    ranked = [(rank(name), name) for name in sorted(_labelled(latest, metric))]
    return max(ranked, key=lambda pair: -1e300 if pair[0] is None else pair[0])[1] if ranked else ""


def user_view(user: User, *, must_enrol: bool = False) -> schema.UserView:
    return schema.UserView(
        username=user.username,
        role=user.role,
        must_change_password=user.must_change_password,
        totp_enabled=user.totp_since is not None,
        must_enrol_totp=must_enrol,
    )


def account_view(person: Person) -> schema.AccountView:
    user = person.user
    return schema.AccountView(
        username=user.username,
        role=user.role,
        disabled=user.disabled,
        must_change_password=user.must_change_password,
        totp_enabled=user.totp_since is not None,
        grants=grants_view(user.grants),
        created_at=user.created_at,
        last_seen_at=person.last_seen_at,
    )


def grants_view(grants: Grants | None) -> schema.GrantsView | None:
    return None if grants is None else schema.GrantsView(nodes=list(grants.nodes), tags=list(grants.tags))


def session_view(listed: ListedSession, current: SessionId | None) -> schema.SessionView:
    session = listed.session
    return schema.SessionView(
        id=session.id,
        username=listed.username,
        created_at=session.created_at,
        last_seen_at=session.last_seen_at,
        expires_at=session.expires_at,
        address=session.address,
        user_agent=session.user_agent,
        second_factor=session.second_factor,
        current=session.id == current,
    )


def token_view(token: ApiToken) -> schema.ApiTokenView:
    return schema.ApiTokenView(
        id=token.id,
        username=token.username,
        name=token.name,
        role=token.role,
        grants=grants_view(token.grants),
        sensitive=token.sensitive,
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
        last_address=token.last_address,
    )


def node_view(
    node: Node, latest: dict[str, schema.Sample], *, online: bool, last_seen_at: float | None, credentials_kept: bool
) -> schema.NodeView:
    identity = node.identity
    policy = node.policy
    return schema.NodeView(
        id=node.id,
        name=node.name,
        address=node.address,
        state="online" if online else "pending" if node.pending else "offline",
        tags=list(node.tags),
        identity=schema.IdentityView(**{**identity._asdict(), "addresses": list(identity.addresses)}),
        latest=latest,
        agent_version=node.agent_version,
        last_seen_at=last_seen_at,
        policy=schema.PolicyView(mode=policy.mode, verbs=list(policy.verbs)) if policy is not None else None,
        updates=schema.UpdatesView(**node.updates._asdict()),
        reboot_required=_reboot(node.reboot_required),
        created_at=node.created_at,
        credentials_kept=credentials_kept,
        simulated=node.simulated,
    )


def _reboot(text: str) -> Literal["yes", "no", "unknown"]:
    return cast("Literal['yes', 'no']", text) if text in ("yes", "no") else "unknown"


def deployment_view(deployment: Deployment) -> schema.DeploymentView:
    key, error = deployment.host_key, deployment.error
    return schema.DeploymentView(
        id=deployment.id,
        kind=deployment.kind,
        state=deployment.state,
        node_id=deployment.node_id,
        host=deployment.host,
        port=deployment.port,
        username=deployment.username,
        name=deployment.name,
        host_key=schema.HostKeyView(type=key.type, fingerprint=key.fingerprint) if key is not None else None,
        steps=[schema.StepView(**step._asdict()) for step in deployment.steps],
        error=schema.DeploymentErrorView(**error._asdict()) if error is not None else None,
        created_at=deployment.created_at,
        ended_at=deployment.ended_at,
    )


def job_view(job: Job) -> schema.JobView:
    return schema.JobView(
        id=job.id,
        node_id=job.node_id,
        action=job.action,
        packages=list(job.packages),
        reboot=job.reboot,
        state=job.state,
        phase=job.phase,
        progress_percent=job.progress_percent,
        exit_code=job.exit_code,
        output_bytes=job.output_bytes,
        output_sha256=job.output_sha256,
        created_by=job.created_by,
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        changes=[schema.ChangeView(package=change.package, before=change.before, after=change.after) for change in job.changes],
        error=schema.JobErrorView(code=job.error.code, message=job.error.message) if job.error is not None else None,
    )


def event_view(event: Event) -> schema.EventView:
    return schema.EventView(
        id=event.id,
        type=event.type,
        severity=event.severity,
        source=event.source,
        at=event.at,
        node_id=event.node_id,
        message=event.message,
        details=event.details,
    )


def audit_view(row: AuditRow) -> schema.AuditView:
    return schema.AuditView(
        n=row.n,
        at=row.at,
        actor=row.actor,
        address=row.address,
        action=row.action,
        target=row.target,
        result=row.result,
        detail=dict(row.detail),
    )
