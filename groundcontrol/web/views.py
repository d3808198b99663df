"""From what the hub knows to what it shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, cast

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

V = TypeVar("V", bound=schema.Answer)
Latest = Mapping[str, tuple[float | None, float]]
"""Series -> (value, taken at)."""


def _view(kind: type[V], model: object, **computed: object) -> V:
    """The view of a model: its fields of the same names, and those that are computed. Fields that the view does not have are left out."""
    same = {name: getattr(model, name) for name in kind.__struct_fields__ if name not in computed}
    return kind(**{name: list(value) if type(value) is tuple else value for name, value in same.items()}, **computed)


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
    return _view(
        schema.AccountView,
        user,
        totp_enabled=user.totp_since is not None,
        grants=grants_view(user.grants),
        last_seen_at=person.last_seen_at,
    )


def grants_view(grants: Grants | None) -> schema.GrantsView | None:
    return None if grants is None else schema.GrantsView(nodes=list(grants.nodes), tags=list(grants.tags))


def session_view(listed: ListedSession, current: SessionId | None) -> schema.SessionView:
    return _view(schema.SessionView, listed.session, username=listed.username, current=listed.session.id == current)


def token_view(token: ApiToken) -> schema.ApiTokenView:
    return _view(schema.ApiTokenView, token, grants=grants_view(token.grants))


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
    return _view(
        schema.DeploymentView,
        deployment,
        host_key=None if key is None else _host_key_view(key, deployment),
        steps=[schema.StepView(*step) for step in deployment.steps],
        error=None if error is None else schema.DeploymentErrorView(*error),
        jump=None if jump is None else _jump_view(jump),
        batch_id=deployment.batch,
        again=deployment.wishes.again,
        forced=deployment.wishes.forced,
        earlier=None if earlier is None else _view(schema.EarlierView, earlier),
    )


def server_list_view(reading: Reading) -> schema.ServerListView:
    return schema.ServerListView(
        format=reading.format,
        servers=[
            _view(
                schema.ListedServerView,
                one,
                jump=None if one.jump is None else schema.PlaceView(*one.jump),
                problems=[schema.ListProblemView(*problem) for problem in one.problems],
            )
            for one in reading.servers
        ],
        notes=[schema.LineNoteView(*note) for note in reading.notes],
        problems=[schema.LineProblemView(line, problem.code, problem.message) for line, problem in reading.problems],
    )


def job_view(job: Job) -> schema.JobView:
    return _view(
        schema.JobView,
        job,
        for_=job.for_action,
        output_total_bytes=job.output_bytes + job.lost_bytes,
        stop=_stop(job),
        changes=[schema.ChangeView(*change) for change in job.changes],
        error=_job_error(job),
    )


def _stop(job: Job) -> schema.StopView | None:
    return None if job.stop is None else schema.StopView(*job.stop)


def _job_error(job: Job) -> schema.JobErrorView | None:
    return None if job.error is None else schema.JobErrorView(*job.error)


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
    return _view(schema.ReportView, report, job_id=job_id, config_files=[schema.ConfigFileView(*file) for file in report.config_files])


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
        "refused": [schema.RefusedView(*refused) for refused in batch.refused],
        "created_by": batch.created_by,
        "created_at": batch.created_at,
        "ended_at": batch.ended_at,
    }


def _batch_job(job: Job) -> schema.BatchJobView:
    return _view(schema.BatchJobView, job, changes=len(job.changes), stop=_stop(job), error=_job_error(job))


def event_view(event: Event) -> schema.EventView:
    return _view(schema.EventView, event)


def audit_view(row: AuditRow) -> schema.AuditView:
    return _view(schema.AuditView, row)


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
