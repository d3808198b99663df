"""`/api/v1/rollouts`: made, started, watched, paused, stopped."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Final, ParamSpec

from groundcontrol.core.bus import Changed
from groundcontrol.core.errors import BadRequest, Conflict, Forbidden, HubError, NotFound
from groundcontrol.core.ids import NodeId
from groundcontrol.core.permissions import authorize, job_action
from groundcontrol.core.text import checked_name, checked_reason
from groundcontrol.jobs.model import JobRequest
from groundcontrol.jobs.requests import check_policy, validate_request
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from groundcontrol.notifications.store import ChannelStore
from groundcontrol.policies.bodies import body_of, policy_of, select_of, visible_select
from groundcontrol.policies.model import MAX_NAME_CHARS, Occurrence, PatchPolicy, PolicyId
from groundcontrol.policies.model import check_policy as check_limits
from groundcontrol.policies.service import all_nodes, check_report
from groundcontrol.policies.store import PolicyStore
from groundcontrol.policies.views import HeldNodeView, PatchPolicyBody, PatchSelect, WhenBody
from groundcontrol.policies.waves import expected_s
from groundcontrol.rollouts.facts import owner_may
from groundcontrol.rollouts.model import ENDED, FINAL, HARD_GATES, Override, Rollout, RolloutId, Stepped, Target, Tell
from groundcontrol.rollouts.service import RolloutService
from groundcontrol.rollouts.soft import ACCEPTED_HOLDS
from groundcontrol.rollouts.step import cancelled, killed, owner_lost, pause, resumed, stopped, taken_over
from groundcontrol.rollouts.store import Keyed, Moved, RolloutStore
from groundcontrol.rollouts.views import (
    GATES,
    GatesView,
    GoOnBody,
    KillBody,
    PauseBody,
    RolloutBody,
    RolloutPreviewView,
    RolloutsView,
    RolloutView,
    StartBody,
    TargetsView,
    gate_views,
    rollout_view,
    target_view,
)
from groundcontrol.schedules.deadlines_views import SelectBody
from groundcontrol.schedules.selecting import VisibleNodes, checked_select
from groundcontrol.web.request import ApiRequest
from groundcontrol.web.routes import CURSOR, LIMIT, Parameter, Route
from spider.wire.ids import is_id, new_time_id

EXPIRES_S: Final = 86_400.0
LONGEST_S: Final = 14 * 86_400.0
MOST_TARGETS: Final = 1000
MOST_TRIES: Final = 5
P = ParamSpec("P")
_ANY_TIME: Final = "2000-01-01"
_REST: Final = "rest of "


async def seen_nodes(call: ApiRequest) -> frozenset[NodeId] | None:
    """The nodes that a caller with limited rights may see; None: all."""
    if not call.scope.grants:
        return None
    return frozenset(node.id for node in await all_nodes(call.services[NodeStore], call.scope))


async def _rollout(call: ApiRequest) -> Rollout:
    return await call.services[RolloutStore].rollout(call.scope, RolloutId(call.id_of("roll-out")))


async def _whole(call: ApiRequest) -> Rollout:
    """A roll-out that the caller may change: each of its nodes is within their rights. Raises: NotFound, Forbidden."""
    one = await _rollout(call)
    seen = await seen_nodes(call)
    if seen is not None and not {target.node for target in one.targets} <= seen:
        raise Forbidden("this roll-out has servers beyond your rights: ask somebody who may change all of them")
    return one


async def _view(call: ApiRequest, one: Rollout) -> RolloutView:
    return rollout_view(one, await seen_nodes(call))


async def list_rollouts(call: ApiRequest) -> RolloutsView:
    """Roll-outs, newest first. With limited rights, those with a visible node."""
    limit, cursor = call.page("policy")
    policy = call.request.query.get("policy")
    if policy is not None and not is_id(policy):
        raise BadRequest("the parameter policy is not an id")
    page = await call.services[RolloutStore].rollouts(call.scope, limit, cursor, policy)
    seen = await seen_nodes(call)
    return RolloutsView(rollouts=[rollout_view(one, seen) for one in page.items], next=page.next)


async def get_rollout(call: ApiRequest) -> RolloutView:
    """One roll-out with its waves and gates."""
    call.query()
    return await _view(call, await _rollout(call))


async def list_targets(call: ApiRequest) -> TargetsView:
    """The targets of a roll-out by wave: state, reason with its remedy, job and gates."""
    call.query()
    one, seen = await _rollout(call), await seen_nodes(call)
    jobs = {key: str(job.id) for key, job in (await call.services[RolloutStore].jobs_of(one)).items()}
    targets = sorted(one.targets, key=lambda target: target.wave)  # a canary that is held changes places with another node
    return TargetsView(targets=[target_view(one, target, jobs, seen) for target in targets if seen is None or target.node in seen])


async def list_gates(call: ApiRequest) -> GatesView:
    """Gates of a roll-out that are not clear."""
    call.query()
    one, seen = await _rollout(call), await seen_nodes(call)
    return GatesView(gates=[view for target in one.targets if seen is None or target.node in seen for view in gate_views(target)])


# -- made -----------------------------------------------------------------------------------------


async def _chosen(call: ApiRequest, select: PatchSelect | None) -> list[Node]:
    """The nodes of a selection. Raises: BadRequest, NotFound, Forbidden."""
    if select is None:
        raise BadRequest("select: name tags or nodes, or say all", field="select")
    given = select_of(select)
    body = SelectBody(all=select.all, tags=list(select.tags), nodes=list(select.nodes))
    checked = given._replace(select=await checked_select(call.services[NodeStore], call.scope, body))
    found = [node for node in await all_nodes(call.services[NodeStore], call.scope) if checked.selects(node.id, node.tags)]
    if not found:
        raise BadRequest("select: no server is selected: a roll-out needs at least one", field="select")
    if len(found) > MOST_TARGETS:
        raise BadRequest(f"select: {len(found)} servers, and a roll-out has at most {MOST_TARGETS}", field="select")
    return found


def _one_off(call: ApiRequest, body: RolloutBody, select: PatchSelect) -> PatchPolicy:
    """The limits of a one-off roll-out, as a policy of its own that no calendar fires."""
    name = checked_name(body.name.strip() or body.action, MAX_NAME_CHARS)
    what = {"upgrade": "all", "security-upgrade": "security", "full-upgrade": "full"}[body.action]
    made = PatchPolicyBody(
        name=name, select=select, when=WhenBody(once=_ANY_TIME), start="00:00", length_s=86_400, zone="UTC", what=what, order=body.order,  # type: ignore[arg-type]  # one of the three
        max_failed=body.max_failed, reboot=body.reboot, watch_s=body.watch_s, gates=body.gates, probes=body.probes, report=body.report,
    )  # fmt: skip
    policy = policy_of(made, PolicyId(""), call.scope.org)
    check_limits(policy)
    return policy


async def _held(call: ApiRequest, nodes: list[Node], request: JobRequest) -> list[HeldNodeView]:
    found = []
    for node in nodes:
        try:
            authorize(call.scope, job_action(request.action), node)
            check_policy(node, request)
        except HubError as exc:
            found.append(HeldNodeView(node_id=node.id, reason=exc.code, words=exc.message, remedy=""))
    return found


async def preview_rollout(call: ApiRequest, body: RolloutBody) -> RolloutPreviewView:
    """The waves of a one-off roll-out. Nothing is stored."""
    nodes = await _chosen(call, body.select)
    policy = _one_off(call, body, body.select or PatchSelect())
    request = JobRequest(body.action, tuple(body.packages))
    validate_request(request)
    targets = await call.services[RolloutService].targets(policy, nodes)
    waves = [[one.node for one in targets if one.wave == index] for index in sorted({one.wave for one in targets})]
    return RolloutPreviewView(
        nodes=[node.id for node in nodes],
        waves=[[str(node) for node in wave] for wave in waves],
        held=await _held(call, nodes, request),
        expected_s=expected_s(policy.order, [len(wave) for wave in waves], policy.watch_s),
    )


async def _once(call: ApiRequest, make: Callable[[Keyed | None], Awaitable[Rollout]], *asked: object) -> RolloutView:
    """Make a roll-out; a request that is repeated with its Idempotency-Key gets the first one, as it is now."""
    key = call.idempotency_key()
    keyed = None if key is None else Keyed(key, asked)
    known = None if keyed is None else await call.services[RolloutStore].rollout_of_key(call.scope, keyed)
    return await _view(call, await make(keyed) if known is None else known)


async def create_rollout(call: ApiRequest, body: RolloutBody) -> RolloutView:
    """Make a one-off roll-out: each node is planned, then `start` confirms the plans. With `policy_id`: run that patch policy now."""

    async def make(keyed: Keyed | None) -> Rollout:
        if body.policy_id is not None:
            return await _run_policy(call, body.policy_id, keyed)
        nodes = await _chosen(call, body.select)
        return await _make(call, body, nodes, body.select or PatchSelect(), keyed)

    return await _once(call, make, "create", body)


async def _make(
    call: ApiRequest, body: RolloutBody, nodes: list[Node], select: PatchSelect, keyed: Keyed | None, parent: str = ""
) -> Rollout:
    now, services = call.services.clock.now(), call.services
    request = JobRequest(body.action, tuple(body.packages))
    validate_request(request)
    for node in nodes:
        authorize(call.scope, job_action(body.action), node)
    policy = _one_off(call, body, select)
    if policy.report:
        check_report(policy, [one.id for one in await services[ChannelStore].all(call.scope)])
    start_at = now if body.start_at is None else body.start_at
    close_at = start_at + EXPIRES_S if body.expires_at is None else body.expires_at
    if not now - 60 <= start_at <= now + LONGEST_S:
        raise BadRequest("start_at: within the next 14 days", field="start_at")
    if not start_at < close_at <= start_at + LONGEST_S:
        raise BadRequest("expires_at: after the start, within 14 days", field="expires_at")
    targets = await services[RolloutService].targets(policy, nodes)
    targets = tuple(one._replace(verb=body.action, packages=tuple(body.packages)) for one in targets)
    actor = call.scope.actor
    made = Rollout(
        id=RolloutId(new_time_id(now)), org=call.scope.org, name=policy.name, policy=policy, policy_id="", due_at=None, owner_id=actor.id,
        owner=actor.name, state="planning", targets=targets, made_at=now, action=body.action, packages=tuple(body.packages), start_at=start_at,
        close_at=close_at, parent=parent,
    )  # fmt: skip
    return await _create(call, made, keyed)


_PAUSED: Final = {
    "owner": "its owner may no longer act: an admin takes it over",
    "restored": "the hub was restored from a backup: resume the patch policies first",
    "suspended": "the organisation was suspended: resume the patch policies first",
}
"""What a person has to answer before a paused policy runs again, also by hand. One that was stopped runs when somebody asks for it."""


async def _create(call: ApiRequest, made: Rollout, keyed: Keyed | None) -> Rollout:
    stored = await call.services[RolloutStore].create_rollout(call.scope, made, None, keyed)
    call.services.bus.publish(Changed("rollout", stored.id, stored.version, stored.org))
    return stored


async def _run_policy(call: ApiRequest, policy_id: str, keyed: Keyed | None) -> Rollout:
    """Run a patch policy now, with its owner's rights. Its next occurrence stays."""
    if not is_id(policy_id):
        raise NotFound("there is no such patch policy")
    now = call.services.clock.now()
    policy = await call.services[PolicyStore].get(call.scope, PolicyId(policy_id))
    seen = await seen_nodes(call)
    if seen is not None:
        if visible_select(await VisibleNodes.of(call.services[NodeStore], call.scope), policy.select) is None:
            raise NotFound("there is no such patch policy")
        nodes = await all_nodes(call.services[NodeStore], call.scope._replace(grants=()))
        if not {node.id for node in nodes if policy.select.selects(node.id, node.tags)} <= seen:
            raise Forbidden("this patch policy selects servers beyond your rights")
    if policy.paused in _PAUSED:
        raise Conflict(f"this patch policy is paused: {_PAUSED[policy.paused]}", paused=policy.paused)
    due = Occurrence(policy.id, policy.org, now, now + policy.times.length_s, "started", why=f"run now by {call.scope.actor.name}")
    if policy.approval != "none":
        raise Conflict("this patch policy needs an approval, which names what was noticed: run an approved occurrence instead")
    made = await call.services[RolloutService].begin(call.scope, policy, None, due, now, keyed)
    if made is None:
        raise BadRequest("this patch policy selects no server now", field="policy_id")
    return made


# -- moved ----------------------------------------------------------------------------------------


def _as_it_is_now(verb: Callable[P, Awaitable[RolloutView]]) -> Callable[P, Awaitable[RolloutView]]:
    """Judge a verb anew where the hub moves the roll-out between its reading and its change: a person is not told to press Stop again."""

    @functools.wraps(verb)
    async def judged(*args: P.args, **kwargs: P.kwargs) -> RolloutView:
        for _ in range(MOST_TRIES - 1):
            with contextlib.suppress(Moved):
                return await verb(*args, **kwargs)
        return await verb(*args, **kwargs)

    return judged


async def _save(call: ApiRequest, before: Rollout, after: Rollout, *told: Tell) -> RolloutView:
    stored = await call.services[RolloutService].store(call.scope, before, Stepped(after, told))
    return await _view(call, stored)


def _final(one: Rollout) -> None:
    """Raises: Conflict: it has ended."""
    if one.state in ENDED:
        raise Conflict(f"this roll-out is {one.state} already: `retry-rest` makes a new one", state=one.state)


async def start_rollout(call: ApiRequest, body: StartBody) -> RolloutView:
    """Confirm the plans of a one-off roll-out and start it. Nodes without a plan are left out."""
    one = await _whole(call)
    _final(one)
    if one.state != "ready":
        raise Conflict(f"this roll-out is {one.state}, and only a ready one is started", state=one.state)
    if one.version != body.version:
        raise Conflict("this roll-out has changed meanwhile: read it again", version=one.version)
    planned = [target for target in one.targets if target.confirmed]
    if body.confirm != len(planned):
        raise BadRequest(f"confirm: {len(planned)} servers are planned; give this number", field="confirm")

    def begun(target: Target) -> Target:
        return (
            target
            if target.confirmed or target.state in FINAL
            else target._replace(state="not_started", words=target.words or "it could not be planned")
        )

    after = one._replace(state="waiting", words="", targets=tuple(begun(target) for target in one.targets))
    return await _save(call, one, after)


@_as_it_is_now
async def pause_rollout(call: ApiRequest, body: PauseBody | None) -> RolloutView:
    """Pause: no further node begins, and nodes at work finish. A repeated call changes nothing."""
    one = await _whole(call)
    _final(one)
    if one.state == "paused":
        return await _view(call, one)
    if one.state not in ("waiting", "running", "holding"):
        raise Conflict(f"this roll-out is {one.state}: there is nothing to pause", state=one.state)
    if body is not None and body.when == "wave" and one.state != "waiting":
        return await _save(call, one, one._replace(pause_after=one.wave))
    return await _save(call, one, pause(one, call.scope.actor.name))


@_as_it_is_now
async def resume_rollout(call: ApiRequest) -> RolloutView:
    """Go on with a paused roll-out. What made it pause is judged again."""
    one = await _whole(call)
    _final(one)
    if one.state in ("running", "holding", "waiting"):
        return await _view(call, one)
    if one.state != "paused":
        raise Conflict(f"this roll-out is {one.state}: there is nothing to resume", state=one.state)
    await _check_owner(call, one)
    return await _save(call, one, _going(one))


async def _check_owner(call: ApiRequest, one: Rollout) -> None:
    """Raises: Conflict: it would pause again at once, since its owner has lost the right."""
    if not await owner_may(call.services[PolicyStore], one):
        raise Conflict(owner_lost(one), why="owner")


def _going(one: Rollout) -> Rollout:
    """A paused roll-out that goes on: at its start, if that has not come."""
    return resumed(one)._replace(state="waiting") if one.state == "paused" and one.started_at is None else resumed(one)


@_as_it_is_now
async def take_over_rollout(call: ApiRequest) -> RolloutView:
    """An admin becomes the owner of a roll-out, with whose rights it goes on. One that its owner's lost rights paused waits for Resume then."""
    one = await _whole(call)
    _final(one)
    actor = call.scope.actor
    if one.state == "stopping":
        raise Conflict("this roll-out is stopping: wait for its end, and retry the rest", state=one.state)
    if one.owner_id == actor.id and one.why != "owner":
        return await _view(call, one)
    for target in one.targets:
        if target.state not in FINAL:
            authorize(call.scope, "patch.run", await call.services[NodeStore].node(call.scope, target.node))
    return await _save(call, one, taken_over(one, actor.id, actor.name, call.services.clock.now()))


@_as_it_is_now
async def stop_rollout(call: ApiRequest) -> RolloutView:
    """Stop: after the answer no further job starts. What a node is changing runs to its end. A repeated call changes nothing."""
    one = await _whole(call)
    if one.state in ("stopping", "stopped", "cancelled"):
        return await _view(call, one)
    _final(one)
    service = call.services[RolloutService]
    if one.state in ("planning", "ready") or (one.state == "waiting" and not any(target.state == "running" for target in one.targets)):
        return await _save(call, one, cancelled(one, call.services.clock.now(), call.scope.actor.name))
    moved = stopped(one, await service.facts_of(one), call.services.clock.now(), call.scope.actor.name)
    return await _view(call, await service.store(call.scope, one, moved))


@_as_it_is_now
async def kill_target(call: ApiRequest, body: KillBody) -> RolloutView:
    """End by force what one node of a stopped roll-out still does, or its watch. Only an admin may, with a password check and its name."""
    one = await _whole(call)
    target = next((target for target in one.targets if target.node == body.node_id), None)
    if target is None:
        raise BadRequest("node_id: this node is no target of the roll-out", field="node_id")
    if body.confirm != target.name:
        raise BadRequest(f"confirm: give the name of the node, {target.name}", field="confirm")
    if one.state in ENDED:
        raise Conflict(f"this roll-out is {one.state}: nothing of it runs any more", state=one.state)
    if one.state != "stopping":
        raise Conflict(f"this roll-out is {one.state}: stop it first, and kill what does not end", state=one.state)
    if target.state != "running":
        raise Conflict(f"nothing runs on it: it is {target.state}", state=target.state)
    if target.step == "reboot":
        raise Conflict("a reboot cannot be recalled: wait for its end", state=target.state)
    if call.scope.actor.role != "admin":
        raise Forbidden("only an admin ends work by force")
    call.services.auth.require_step_up(call.caller)
    service = call.services[RolloutService]
    moved = killed(one, await service.facts_of(one), call.services.clock.now(), call.scope.actor.name, target.node)
    return await _view(call, await service.store(call.scope, one, moved))


@_as_it_is_now
async def go_on(call: ApiRequest, body: GoOnBody) -> RolloutView:
    """Let a held or paused wave go on in spite of a gate. It counts for this gate and wave only, and is in the audit log.

    A hard gate needs an admin with a password check, and must have failed: `*` leaves the others in force.
    """
    one = await _whole(call)
    _final(one)
    reason = checked_reason(body.reason)
    await _check_owner(call, one)
    holds = {target.why for target in one.targets if target.state == "held"} & set(ACCEPTED_HOLDS)
    if one.state not in ("holding", "paused") and not (body.gate in holds or (body.gate == "*" and holds)):
        raise Conflict(f"this roll-out is {one.state}: it waits for nobody", state=one.state)
    if body.gate not in _GO_ON_GATES:
        raise BadRequest("gate: there is no such gate; * is all that are in the way", field="gate")
    failed = _hard_failed(one)
    if body.gate in HARD_GATES - failed:
        raise Conflict(f"the gate {body.gate} has not failed: nobody goes on in spite of it beforehand", gate=body.gate)
    hard = failed if body.gate == "*" else failed & {body.gate}
    if hard:
        if call.scope.actor.role != "admin":
            raise Forbidden("a hard gate failed: only an admin goes on")
        call.services.auth.require_step_up(call.caller)
    now, by = call.services.clock.now(), call.scope.actor.name
    added = [Override(one.wave, gate, by, reason, now) for gate in (body.gate, *sorted(hard - {body.gate}))]
    return await _save(call, one, _going(one)._replace(overrides=(*one.overrides, *added)))


_GO_ON_GATES: Final = frozenset({*GATES, *ACCEPTED_HOLDS, "evidence", "samples", "baseline", "another_job", "*"})


def _hard_failed(one: Rollout) -> frozenset[str]:
    """Names of the hard gates that are in the way: failed, or seen so at one look."""
    begun = [target for target in one.targets if target.state in ("running", "failed", "unknown", "worse")]
    names = {gate.gate for target in begun for gate in target.gates if gate.verdict in ("failed", "unknown")}
    if any(target.state == "failed" or target.broken for target in begun):
        names.add("job_outcome")
    return HARD_GATES & names


async def retry_rest(call: ApiRequest) -> RolloutView:
    """Make a new roll-out of the nodes that did not pass. One of a patch policy keeps its limits and actions, and begins at once; a one-off
    one is planned, and `start` confirms it."""
    one = await _whole(call)
    if one.state not in ENDED:
        raise Conflict(f"this roll-out is {one.state}: stop it, or wait for its end", state=one.state)
    return await _once(call, lambda keyed: _rest(call, one, keyed), "retry-rest", one.id)


async def _rest(call: ApiRequest, one: Rollout, keyed: Keyed | None) -> Rollout:
    nodes = await call.services[RolloutService].rest_of(one, call.scope)
    if not nodes:
        raise BadRequest("each of its servers passed, or was removed")
    name = (one.name if one.name.startswith(_REST) else _REST + one.name)[:MAX_NAME_CHARS]
    if one.policy_id:
        return await _rest_of_policy(call, one, nodes, name, keyed)
    limits = body_of(one.policy)
    body = RolloutBody(
        name=name, action=one.action, packages=list(one.packages), max_failed=limits.max_failed, reboot=limits.reboot,  # type: ignore[arg-type]  # one of the three
        watch_s=limits.watch_s, gates=limits.gates, report=limits.report, order=limits.order, probes=limits.probes,
    )  # fmt: skip
    return await _make(call, body, nodes, PatchSelect(nodes=[str(node.id) for node in nodes[:200]]), keyed, parent=one.id)


async def _rest_of_policy(call: ApiRequest, one: Rollout, nodes: list[Node], name: str, keyed: Keyed | None) -> Rollout:
    """The rest of a roll-out of a patch policy, by its copy of the policy: saving that confirmed its limits. The caller is the owner."""
    call.services.auth.require_step_up(call.caller)
    now, services, actor = call.services.clock.now(), call.services, call.scope.actor
    for node in nodes:
        authorize(call.scope, "patch.run", node)
    at_any_time = policy_of(_body_at_any_time(one.policy), one.policy.id, one.org)
    policy = at_any_time._replace(owner_id=actor.id, owner=actor.name, version=one.policy.version)
    made = Rollout(
        id=RolloutId(new_time_id(now)), org=one.org, name=name, policy=policy, policy_id=one.policy_id, due_at=None, owner_id=actor.id,
        owner=actor.name, state="waiting", targets=await services[RolloutService].targets(policy, nodes), made_at=now, pairs=one.pairs,
        start_at=now, close_at=now + EXPIRES_S, parent=one.id,
    )  # fmt: skip
    return await _create(call, made, keyed)


def _body_at_any_time(policy: PatchPolicy) -> PatchPolicyBody:
    """A person retries now: the times of the policy do not bind it, windows and freezes do."""
    body = body_of(policy)
    body.when, body.start, body.length_s, body.zone = WhenBody(once=_ANY_TIME), "00:00", 86_400, "UTC"
    return body


_POLICY: Final = Parameter("policy", "only those of this patch policy")
ROLLOUT_ROUTES: Final = (
    Route("GET", "/rollouts", "patch.read", list_rollouts, query=(LIMIT, CURSOR, _POLICY), cost="page"),
    Route("POST", "/rollouts", "patch.run", create_rollout, status=202, step_up=True, keyed=True, cost="many"),
    Route("POST", "/rollouts/preview", "patch.read", preview_rollout, cost="many"),
    Route("GET", "/rollouts/{id}", "patch.read", get_rollout, cost="page"),
    Route("GET", "/rollouts/{id}/targets", "patch.read", list_targets, cost="page"),
    Route("GET", "/rollouts/{id}/gates", "patch.read", list_gates, cost="page"),
    Route("POST", "/rollouts/{id}/start", "patch.run", start_rollout, step_up=True),
    Route("POST", "/rollouts/{id}/pause", "patch.run", pause_rollout),
    Route("POST", "/rollouts/{id}/resume", "patch.run", resume_rollout),
    Route("POST", "/rollouts/{id}/take-over", "patch.take_over", take_over_rollout, step_up=True, cost="page"),
    Route("POST", "/rollouts/{id}/stop", "patch.run", stop_rollout, cost="scan"),
    Route("POST", "/rollouts/{id}/kill", "patch.run", kill_target),
    Route("POST", "/rollouts/{id}/go-on", "patch.run", go_on),
    Route("POST", "/rollouts/{id}/retry-rest", "patch.run", retry_rest, status=202, keyed=True, cost="many"),
)
