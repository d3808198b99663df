"""From what the hub knows to what it shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

import msgspec

from groundcontrol.domain.deployments import Deployment, HostKey, Jump
from groundcontrol.domain.facts import Cell, FactTable
from groundcontrol.domain.ids import SessionId
from groundcontrol.domain.jobs import Batch, Job
from groundcontrol.domain.log import AuditRow, Event
from groundcontrol.domain.nodes import Node, NodeIdentity, agent_state, units_state
from groundcontrol.domain.plans import Plan, Report
from groundcontrol.domain.scope import Grants
from groundcontrol.domain.server_lists import Reading
from groundcontrol.domain.summary import Brief, pack_summary, write_summary
from groundcontrol.domain.users import ApiToken, Person, User
from groundcontrol.store.base import ListedSession
from groundcontrol.web import schema
from spider.wire.tables import BY_NAME, FAILED, TEXT, Column

Latest = Mapping[str, tuple[float | None, float]]
"""Series -> (value, taken at)."""


def samples(latest: Latest) -> dict[str, schema.Sample]:
    """Values as they are sent."""
    return {name: schema.Sample(value=value, at=at) for name, (value, at) in latest.items()}


def packed_summary(briefs: Iterable[Brief]) -> dict[str, schema.Sample]:
    """What a list shows of a node (`domain.summary`), for an answer that is sent as MessagePack: the bytes that were made when it came."""
    return cast("dict[str, schema.Sample]", msgspec.Raw(pack_summary(briefs)))


def summary(briefs: Iterable[Brief]) -> dict[str, schema.Sample]:
    """The same for an answer that is sent as JSON."""
    return cast("dict[str, schema.Sample]", msgspec.Raw(write_summary(briefs)))


def chosen_series(latest: Latest, wanted: Iterable[str]) -> dict[str, schema.Sample]:
    """The series asked for; a metric's bare name stands for all of its labels."""
    found: dict[str, tuple[float | None, float]] = {}
    for name in wanted:
        if name in latest:
            found[name] = latest[name]
        else:
            found.update({series: value for series, value in latest.items() if series.startswith(name + "{")})
    return samples(found)


def user_view(user: User, *, must_enrol: bool = False) -> schema.UserView:
    return schema.UserView(
        username=user.username,
        role=user.role,
        must_change_password=user.must_change_password,
        totp_enabled=user.totp_since is not None,
        must_enrol_totp=must_enrol,
        limited=user.grants is not None and user.role != "admin",
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
    node: Node,
    latest: dict[str, schema.Sample],
    *,
    shipped: str,
    online: bool,
    reconnecting: bool,
    last_seen_at: float | None,
    credentials_kept: bool,
    skew_s: float | None,
) -> schema.NodeView:
    identity = node.identity
    policy = node.policy
    return schema.NodeView(
        id=node.id,
        name=node.name,
        address=node.address,
        state="online" if online else "pending" if node.pending else "offline",
        reconnecting=reconnecting,
        tags=list(node.tags),
        identity=_identity(identity),
        latest=latest,
        agent_version=node.agent_version,
        last_seen_at=last_seen_at,
        policy=schema.PolicyView(mode=policy.mode, verbs=list(policy.verbs)) if policy is not None else None,
        updates=schema.UpdatesView(**node.updates._asdict()),
        reboot_required=_reboot(node.reboot_required),
        created_at=node.created_at,
        credentials_kept=credentials_kept,
        simulated=node.simulated,
        waiting=node.waiting,
        units=units_state(identity.units),
        agent=agent_state(node.agent_version, shipped),
        clock_skew_seconds=None if skew_s is None else float(round(skew_s)),  # to the second: lists tell of what has changed
        keys_generation=node.generation,
    )


def _identity(identity: NodeIdentity) -> schema.IdentityView:
    facts = {**identity._asdict(), "addresses": list(identity.addresses)}
    del facts["units"]
    return schema.IdentityView(**facts)


def _reboot(text: str) -> Literal["yes", "no", "unknown"]:
    return cast("Literal['yes', 'no']", text) if text in ("yes", "no") else "unknown"


def _jump_view(jump: Jump) -> schema.JumpView:
    return schema.JumpView(jump.host, jump.port, jump.username, None if jump.host_key is None else jump.host_key.fingerprint)


def _host_key_view(key: HostKey, deployment: Deployment) -> schema.HostKeyView:
    jump = deployment.wishes.jump if key.host else None
    host, port = (deployment.host, deployment.port) if jump is None else (key.host, jump.port)
    return schema.HostKeyView(type=key.type, fingerprint=key.fingerprint, host=host, port=port)


def deployment_view(deployment: Deployment) -> schema.DeploymentView:
    key, error, jump, earlier = deployment.host_key, deployment.error, deployment.wishes.jump, deployment.wishes.earlier
    return schema.DeploymentView(
        id=deployment.id,
        kind=deployment.kind,
        state=deployment.state,
        node_id=deployment.node_id,
        host=deployment.host,
        port=deployment.port,
        username=deployment.username,
        name=deployment.name,
        host_key=None if key is None else _host_key_view(key, deployment),
        steps=[schema.StepView(**step._asdict()) for step in deployment.steps],
        error=schema.DeploymentErrorView(**error._asdict()) if error is not None else None,
        created_by=deployment.created_by,
        created_at=deployment.created_at,
        ended_at=deployment.ended_at,
        jump=None if jump is None else _jump_view(jump),
        batch_id=deployment.batch,
        again=deployment.wishes.again,
        forced=deployment.wishes.forced,
        earlier=None if earlier is None else schema.EarlierView(earlier.tries, earlier.step, earlier.left, list(earlier.kept)),
        version=deployment.version,
    )


def server_list_view(reading: Reading) -> schema.ServerListView:
    return schema.ServerListView(
        format=reading.format,
        servers=[
            schema.ListedServerView(
                line=one.line,
                host=one.host,
                port=one.port,
                username=one.username,
                name=one.name,
                tags=list(one.tags),
                host_key=one.host_key,
                jump=None if one.jump is None else schema.PlaceView(*one.jump),
                notes=list(one.notes),
                problems=[schema.ListProblemView(*problem) for problem in one.problems],
            )
            for one in reading.servers
        ],
        notes=[schema.LineNoteView(*note) for note in reading.notes],
        problems=[schema.LineProblemView(line, problem.code, problem.message) for line, problem in reading.problems],
    )


def job_view(job: Job) -> schema.JobView:
    return schema.JobView(
        id=job.id,
        node_id=job.node_id,
        action=job.action,
        packages=list(job.packages),
        for_=job.for_action,
        plan=job.plan,
        reboot=job.reboot,
        state=job.state,
        phase=job.phase,
        progress_percent=job.progress_percent,
        package=job.package,
        note=job.note,
        exit_code=job.exit_code,
        output_bytes=job.output_bytes,
        output_total_bytes=job.output_bytes + job.lost_bytes,
        output_sha256=job.output_sha256,
        last_output_at=job.last_output_at,
        plan_digest=job.plan_digest,
        has_report=job.has_report,
        stop=_stop(job),
        batch_id=job.batch_id,
        follows=job.follows,
        created_by=job.created_by,
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        changes=[schema.ChangeView(package=change.package, before=change.before, after=change.after) for change in job.changes],
        error=_job_error(job),
        version=job.version,
    )


def _stop(job: Job) -> schema.StopView | None:
    return None if job.stop is None else schema.StopView(**job.stop._asdict())


def _job_error(job: Job) -> schema.JobErrorView | None:
    return None if job.error is None else schema.JobErrorView(**job.error._asdict())


def plan_view(job_id: str, plan: Plan) -> schema.PlanView:
    steps = plan.steps
    return schema.PlanView(
        job_id=job_id,
        complete=plan.complete,
        counts=schema.PlanCountsView(
            upgrades=sum(bool(step.before and step.after) for step in steps),
            new=sum(not step.before for step in steps),
            removals=sum(not step.after for step in steps),
            security=sum(step.security == "yes" for step in steps),
            kept=len(plan.kept),
        ),
        steps=[schema.PlanStepView(**step._asdict()) for step in steps],
        kept=[schema.KeptView(**kept._asdict()) for kept in plan.kept],
        **plan.head._asdict(),
    )


def report_view(job_id: str, report: Report) -> schema.ReportView:
    return schema.ReportView(
        job_id=job_id,
        reboot=report.reboot,
        reboot_why=report.reboot_why,
        services=list(report.services),
        config_files=[schema.ConfigFileView(**file._asdict()) for file in report.config_files],
        failed_units=list(report.failed_units),
        notes=list(report.notes),
    )


def batch_summary(batch: Batch) -> schema.BatchSummaryView:
    return schema.BatchSummaryView(**_batch(batch))


def batch_view(batch: Batch, jobs: Iterable[Job]) -> schema.BatchView:
    return schema.BatchView(**_batch(batch), jobs=[_batch_job(job) for job in jobs])


def _batch(batch: Batch) -> dict[str, Any]:
    wish = batch.wish
    return {
        "id": batch.id,
        "action": wish.action,
        "packages": list(wish.packages),
        "for_": wish.for_action,
        "plan": wish.plan,
        "reboot": wish.reboot,
        "state": "running" if batch.ended_at is None else "done",
        "counts": batch.counts,
        "refused": [schema.RefusedView(**refused._asdict()) for refused in batch.refused],
        "created_by": batch.created_by,
        "created_at": batch.created_at,
        "ended_at": batch.ended_at,
    }


def _batch_job(job: Job) -> schema.BatchJobView:
    return schema.BatchJobView(
        id=job.id,
        node_id=job.node_id,
        state=job.state,
        phase=job.phase,
        progress_percent=job.progress_percent,
        package=job.package,
        changes=len(job.changes),
        stop=_stop(job),
        started_at=job.started_at,
        ended_at=job.ended_at,
        error=_job_error(job),
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
        chain=row.chain,
        n=row.n,
        at=row.at,
        actor=row.actor,
        address=row.address,
        action=row.action,
        target=row.target,
        result=row.result,
        detail=dict(row.detail),
    )


def table_view(table: FactTable) -> schema.TableView:
    """A table with its numbers in the units of the catalogue."""
    known = {column.name: column for column in BY_NAME[table.subject].columns}
    columns = [known[name] for name in table.columns]
    rows = zip(*(iter(table.cells),) * len(columns), strict=True)
    return schema.TableView(
        subject=table.subject,
        taken_at=table.taken_at,
        total=None if table.total == FAILED else table.total,
        columns=[schema.ColumnView(column.name, _kind(column), "" if column.unit == "time" else column.unit) for column in columns],
        rows=[[_cell(column, cell) for column, cell in zip(columns, row, strict=True)] for row in rows],
    )


def _kind(column: Column) -> Literal["text", "number", "time"]:
    return "text" if column.kind == TEXT else "time" if column.unit == "time" else "number"


def _cell(column: Column, cell: Cell) -> str | float | None:
    return cell / column.scale if isinstance(cell, int) and column.scale != 1 else cell
