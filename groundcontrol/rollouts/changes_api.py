"""`/api/v1/changes` and `nodes/{id}/changes`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Literal

from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.events.model import Event
from groundcontrol.events.store import LogStore
from groundcontrol.jobs.model import Job, JobFilter
from groundcontrol.jobs.store import JobStore
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore, ProcessHistoryStore
from groundcontrol.policies.service import all_nodes
from groundcontrol.rollouts.changes import BEFORE_S, KINDS, MOST, TOLD_LATE_S, Change, Risen, changes_of, ranked, risen_between, types_of
from groundcontrol.rollouts.model import RolloutId
from groundcontrol.rollouts.store import RolloutStore
from groundcontrol.rollouts.views import NodeChangesView, NodeChangeView, RisenView
from groundcontrol.web.request import ApiRequest, unix_time
from groundcontrol.web.routes import Parameter, Route
from groundcontrol.web.services import Services

DAY_S: Final = 86_400.0
LONGEST_S: Final = 31 * DAY_S
MOST_JOBS: Final = 200
READING_S: Final = 60.0
"""Processes are read once a minute."""


async def node_changes(call: ApiRequest) -> NodeChangesView:
    """What changed on a node: packages, units, boots, listeners, agent, policy, jobs, alerts. Newest first."""
    node = await call.services[NodeStore].node(call.scope, call.node_id)
    return await _answer(call, [node.id], node)


async def list_changes(call: ApiRequest) -> NodeChangesView:
    """As `nodes/{id}/changes`, of all visible nodes."""
    return await _answer(call, [node.id for node in await all_nodes(call.services[NodeStore], call.scope)])


async def _answer(call: ApiRequest, nodes: list[NodeId], only: Node | None = None) -> NodeChangesView:
    query = call.query("from", "to", "kind", "metric", "at")
    now = call.services.clock.now()
    at = None if "at" not in query else unix_time(query["at"], "at", now)
    end = unix_time(query.get("to"), "to", now if at is None else at)
    start = unix_time(query.get("from"), "from", end - (DAY_S if at is None else BEFORE_S))
    if not 0 < end - start <= LONGEST_S:
        raise BadRequest(f"the parameters from and to span at most {LONGEST_S / DAY_S:.0f} days")
    kind = query.get("kind")
    if kind is not None and kind not in KINDS:
        raise BadRequest(f"the parameter kind is one of {', '.join(KINDS)}")
    events = await _events(call, nodes, (start, end), types_of(kind), only)
    # A job that ended shortly before may have changed what the node tells of within the span.
    jobs = await _jobs(call.services, call.scope, nodes, start - TOLD_LATE_S, end)
    found = [one for one in changes_of(events, jobs, kind) if one.at >= start]
    if at is None:
        return NodeChangesView(changes=[_view(one) for one in found], risen=None)
    risen = None if only is None else await _risen(call.services, only, query.get("metric", ""), at)
    return NodeChangesView(
        changes=[_view(one) for one in ranked(found, at, risen or ())],
        risen=None if risen is None else [RisenView(*one) for one in risen],
    )


async def _events(
    call: ApiRequest, nodes: list[NodeId], span: tuple[float, float], types: frozenset[str], only: Node | None
) -> Sequence[Event]:
    """The newest events of these types. Of one node: its own, and those of the roll-outs that it is a target of."""
    store, fleet = call.services[LogStore], not call.scope.grants
    if only is None:
        return await store.events_of(call.scope, nodes, span, MOST, without=(), fleet=fleet, types=types)
    own = await store.events_of(call.scope, nodes, span, MOST, without=(), fleet=False, types=types)
    of_rollouts = types & types_of("rollout")
    if not of_rollouts or not fleet:
        return own
    told = await store.events_of(call.scope, (), span, MOST, without=(), fleet=True, types=of_rollouts)
    ids = {RolloutId(str(one.details.get("rollout"))) for one in told}
    targeting = await call.services[RolloutStore].targeting(call.scope, only.id, ids)
    return [*own, *(one for one in told if one.details.get("rollout") in targeting)]


async def _risen(services: Services, node: Node, metric: str, at: float) -> list[Risen] | None:
    """The processes that rose in the ten minutes before; None: a reading is missing, or the metric is neither CPU nor memory."""
    what: Literal["cpu", "memory"] | None = "cpu" if metric.startswith("cpu") else "memory" if metric.startswith("memory") else None
    if what is None:
        return None
    store = services[ProcessHistoryStore]
    readings = [await store.reading(node.no, moment) for moment in (at - BEFORE_S, at + READING_S)]
    before, after = readings
    if before is None or after is None or at - after.at_ms / 1000 > 2 * READING_S or at - BEFORE_S - before.at_ms / 1000 > 2 * READING_S:
        return None
    return risen_between(before, after, what)


async def _jobs(services: Services, scope: Scope, nodes: Collection[NodeId], start: float, end: float) -> list[Job]:
    """The newest jobs that ended in a span of time and changed packages."""
    only = JobFilter(changed_between=(start, end))
    page = await services[JobStore].jobs(scope, MOST_JOBS, None, next(iter(nodes)) if len(nodes) == 1 else None, only)
    wanted = frozenset(nodes)
    return [job for job in page.items if job.node_id in wanted]


def _view(one: Change) -> NodeChangeView:
    return NodeChangeView(
        node_id=one.node_id, at=one.at, kind=one.kind, object=one.object, before=one.before, after=one.after, source=one.source, job_id=one.job_id,
        rank=one.rank, why=one.why,
    )  # fmt: skip


_QUERY: Final = (
    Parameter("from", "Unix seconds; without it a day before `to`"),
    Parameter("to", "Unix seconds; without it now"),
    Parameter("kind", "only changes of this kind"),
    Parameter("metric", "with `at`: the metric that rose, such as cpu.total or memory.used: changes of the processes that rose come first"),
    Parameter("at", "Unix seconds: the changes of the ten minutes before, ranked"),
)
CHANGE_ROUTES: Final = (
    Route("GET", "/nodes/{id}/changes", "event.read", node_changes, query=_QUERY, cost="page"),
    Route("GET", "/changes", "event.read", list_changes, query=_QUERY, cost="page"),
)
