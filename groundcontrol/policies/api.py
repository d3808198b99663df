"""`/api/v1/patch-policies` and `/api/v1/windows`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from itertools import islice
from typing import Final, Literal

import msgspec

from groundcontrol.core.errors import BadRequest, Conflict, Forbidden, NotFound
from groundcontrol.core.permissions import check_new_tags
from groundcontrol.core.scope import Scope
from groundcontrol.core.text import checked_name, is_visible
from groundcontrol.nodes.checks import checked_tags
from groundcontrol.nodes.store import NodeStore
from groundcontrol.notifications.store import ChannelStore
from groundcontrol.policies.bodies import (
    NextTimes,
    body_of,
    now_window_of,
    patched,
    patched_window,
    policy_of,
    policy_view,
    select_view,
    visible_select,
    window_of,
    window_view,
    with_fields,
)
from groundcontrol.policies.calendar import OF_NODE, Span, ZoneUnknown, check_times, local_text, spans
from groundcontrol.policies.feed import windows_of
from groundcontrol.policies.model import (
    MAX_NAME_CHARS,
    PATCH_POLICIES,
    ApprovalMark,
    Occurrence,
    Pair,
    PatchPolicy,
    PolicyId,
    PolicySelect,
    check_policy,
    needed_approvals,
)
from groundcontrol.policies.preview import preview
from groundcontrol.policies.service import FleetReader, all_nodes, check_report, next_times
from groundcontrol.policies.store import PatchWindowStore, PolicyStore
from groundcontrol.policies.views import (
    AppliedPoliciesView,
    AppliedPolicyView,
    ApprovalView,
    NextPatchesView,
    NextPatchView,
    NowBody,
    OccurrencesView,
    OccurrenceView,
    PairView,
    PatchPoliciesView,
    PatchPolicyBody,
    PatchPolicyPatch,
    PatchPolicyPreviewBody,
    PatchPolicyView,
    PatchPreviewView,
    PatchSelect,
    PoliciesFileBody,
    SkipBody,
    WindowBody,
    WindowPatch,
    WindowsView,
    WindowView,
)
from groundcontrol.policies.windows import PatchWindow, WindowId
from groundcontrol.schedules.deadlines_views import SelectBody
from groundcontrol.schedules.selecting import VisibleNodes, check_named, check_select, checked_select
from groundcontrol.web.request import ApiRequest
from groundcontrol.web.routes import Parameter, Route
from spider.wire.ids import is_id, new_time_id

SHOWN: Final = 20
"""Occurrences that a list shows ahead."""
PAST_S: Final = 400 * 86_400.0
MOST_OF_FILE: Final = 200
SHORTEST_WINDOW_S: Final = 900
ENDED_S: Final = 86_400.0
"""What a person began now is listed for so long after its end."""


async def list_policies(call: ApiRequest) -> PatchPoliciesView:
    """All patch policies, by name. With limited rights, those that select a visible node."""
    call.query()
    visible = await VisibleNodes.of(call.services[NodeStore], call.scope)
    found = await call.services[PolicyStore].all(call.scope)
    seen = ((one, visible_select(visible, one.select)) for one in found)
    times = await _times(call)
    return PatchPoliciesView(
        patch_policies=[policy_view(one, select, times, whole=_is_whole(call, one, select)) for one, select in seen if select is not None]
    )


def _is_whole(call: ApiRequest, one: PatchPolicy, seen: PatchSelect) -> bool:
    """Whether the caller's rights cover the selection. Args: seen: the part of it that the caller may see."""
    if not call.scope.grants:
        return True
    try:
        for tag in seen.tags:
            check_new_tags(call.scope, [tag])
    except Forbidden:
        return False
    return not seen.all and seen == select_view(one.select)


async def _times(call: ApiRequest) -> NextTimes:
    return await next_times(call.services[PolicyStore], call.scope.org, call.services.clock.now())


async def _policy(call: ApiRequest) -> tuple[PatchPolicy, PatchSelect]:
    """The policy of the path, and the part of its selection that the caller may see. Raises: NotFound."""
    one = await call.services[PolicyStore].get(call.scope, PolicyId(call.id_of("patch policy")))
    select = visible_select(await VisibleNodes.of(call.services[NodeStore], call.scope), one.select)
    if select is None:
        raise NotFound("there is no such patch policy")
    return one, select


async def _whole(call: ApiRequest) -> PatchPolicy:
    """The policy of the path, which the caller may change. Raises: NotFound, Forbidden."""
    one, _ = await _policy(call)
    await _check_whole(call, one)
    return one


async def _check_whole(call: ApiRequest, one: PatchPolicy) -> None:
    """Raises: Forbidden: it selects nodes beyond the caller's rights, which the text does not name."""
    if call.scope.grants:
        try:
            await check_select(call.services[NodeStore], call.scope, one.select.select)
        except (NotFound, Forbidden):
            raise Forbidden("this patch policy selects servers beyond your rights: ask somebody who may change all of them") from None


async def next_patches(call: ApiRequest) -> NextPatchesView:
    """When a patch policy touches each visible node next."""
    call.query()
    policies = [one for one in await call.services[PolicyStore].all(call.scope) if one.enabled]
    times, found = await _times(call), []
    for node in await all_nodes(call.services[NodeStore], call.scope) if policies else ():
        mine = [one for one in policies if one.select.selects(node.id, node.tags)]
        if mine:
            found.append(NextPatchView(node_id=node.id, policies=[one.name for one in mine], next_at=times.of_node(mine, node)))
    return NextPatchesView(nodes=found)


async def get_policy(call: ApiRequest) -> PatchPolicyView:
    """One patch policy."""
    call.query()
    one, select = await _policy(call)
    return policy_view(one, select, await _times(call), whole=_is_whole(call, one, select))


async def _checked(call: ApiRequest, policy: PatchPolicy, before: PatchPolicy | None = None) -> PatchPolicy:
    """Check a policy with the caller's rights. Args: before: the stored one. Raises: BadRequest, NotFound, Forbidden."""
    name = checked_name(policy.name, MAX_NAME_CHARS, before=None if before is None else before.name)
    check_policy(policy)
    select = policy.select.select
    nodes = call.services[NodeStore]
    chosen = await checked_select(nodes, call.scope, SelectBody(all=select.all, tags=list(select.tags), nodes=list(select.nodes)))
    not_tags = checked_tags(list(policy.select.not_tags))
    check_named(policy.select.not_nodes, "select.not")
    for group in policy.order.groups:
        checked_tags([group])
    if policy.report:
        check_report(policy, [one.id for one in await call.services[ChannelStore].all(call.scope)])
    return policy._replace(name=name, select=PolicySelect(chosen, not_tags, policy.select.not_nodes))


def _owned(call: ApiRequest, policy: PatchPolicy) -> PatchPolicy:
    """A policy whose owner and last editor is the caller, from now on: no past time fires."""
    now, actor = call.services.clock.now(), call.scope.actor
    return policy._replace(owner_id=actor.id, owner=actor.name, edited_by=actor.id, considered_at=now, changed_at=now)


async def create_policy(call: ApiRequest, body: PatchPolicyBody) -> PatchPolicyView:
    """Make a patch policy. The caller becomes its owner: it runs with their rights of that time."""
    now = call.services.clock.now()
    made = await _checked(call, policy_of(body, PolicyId(new_time_id(now)), call.scope.org))
    stored = await call.services[PolicyStore].create(call.scope, _owned(call, made))
    return policy_view(stored, select_view(stored.select), NextTimes(now, {}))


async def edit_policy(call: ApiRequest, body: PatchPolicyPatch) -> PatchPolicyView:
    """Change a patch policy. The change counts from the next occurrence, and planned occurrences lose their approvals."""
    before = await _whole(call)
    if body.take_over and call.scope.actor.role != "admin":
        raise Forbidden("only an admin takes a patch policy over")
    after = await _checked(call, policy_of(patched(before, body), before.id, before.org), before)
    stored = await call.services[PolicyStore].save(
        call.scope, _edited(call, before._replace(version=body.version), after, take_over=body.take_over)
    )
    return policy_view(stored, select_view(stored.select), await _times(call))


def _edited(call: ApiRequest, before: PatchPolicy, after: PatchPolicy, *, take_over: bool = False) -> PatchPolicy:
    now, actor = call.services.clock.now(), call.scope.actor
    paused = before.paused
    if paused in ("stopped", "suspended") or (paused == "owner" and (take_over or actor.id == before.owner_id)):
        paused = ""  # the edit is the answer
    owner = (actor.id, actor.name) if take_over else (before.owner_id, before.owner)
    return after._replace(
        owner_id=owner[0], owner=owner[1], edited_by=actor.id, paused=paused, considered_at=max(now, before.considered_at), changed_at=now,
        version=before.version,
    )  # fmt: skip


async def delete_policy(call: ApiRequest) -> None:
    """Delete a patch policy with its planned occurrences. A roll-out that runs goes on; stop it by itself."""
    one = await _whole(call)
    await call.services[PolicyStore].delete(call.scope, one.id)


async def preview_policy(call: ApiRequest, body: PatchPolicyPreviewBody) -> PatchPreviewView:
    """What a patch policy would do. Nothing is stored."""
    if body.id is not None and not is_id(body.id):
        raise NotFound("there is no such patch policy")
    made = policy_of(body.policy, PolicyId(body.id or new_time_id(call.services.clock.now())), call.scope.org)
    policy = (await _checked(call, made, made if body.id else None))._replace(edited_by=call.scope.actor.id)
    return preview(policy, await call.services[FleetReader].read(call.scope, policy), call.services.clock.now())


async def apply_policies(call: ApiRequest, body: PoliciesFileBody) -> AppliedPoliciesView:
    """Apply a file of patch policies, all or none. Other policies of the hub stay."""
    if not 1 <= len(body.policies) <= MOST_OF_FILE:
        raise BadRequest(f"policies: 1 to {MOST_OF_FILE} patch policies", field="policies")
    store = call.services[PolicyStore]
    visible = await VisibleNodes.of(call.services[NodeStore], call.scope)
    every = await store.all(call.scope)
    known = [one for one in every if visible_select(visible, one.select) is not None]
    holders = {one.name: one.id for one in every}
    changes, applied, faults = list[PatchPolicy](), list[AppliedPolicyView](), list[dict[str, object]]()
    for number, fields in enumerate(body.policies, 1):
        try:
            before = _known(known, fields)
            if before is not None and any(one.id == before.id for one in applied):
                raise BadRequest("the file holds this policy twice: leave one of them out")
            if before is not None:
                await _check_whole(call, before)
            after = await _checked(call, _from_file(call, before, fields), before)
            _take_name(holders, before, after)
            names = _changed_fields(before, after)
            act: Literal["add", "change", "keep"] = "add" if before is None else "change" if names else "keep"
            applied.append(AppliedPolicyView(id=after.id, name=after.name, act=act, fields=names))
            if before is None:
                changes.append(_owned(call, after)._replace(version=0))
            elif names:
                changes.append(_edited(call, before, after))
        except (BadRequest, NotFound, Forbidden) as exc:
            faults.append({"number": number, "policy": str(fields.get("id") or fields.get("name") or "")[:100], "fault": exc.message})
    if faults:
        first = "; ".join(f"policy {one['number']} ({one['policy']}): {one['fault']}" for one in faults[:SHOWN])
        raise BadRequest(
            f"nothing was changed, since {len(faults)} of {len(body.policies)} policies cannot be taken: {first}", faults=faults
        )
    if not body.dry_run and changes:
        call.services.auth.require_step_up(call.caller)
        await store.save_all(call.scope, changes)
    named = {one.id for one in applied}
    return AppliedPoliciesView(policies=applied, left=[one.id for one in known if one.id not in named])


def _take_name(holders: dict[str, PolicyId], before: PatchPolicy | None, after: PatchPolicy) -> None:
    """Check a policy as the store will, so that a dry run refuses what the import would.

    Args:   holders: name -> policy, also of those that the caller may not see; it is changed.
    Raises: BadRequest: the name is taken, or there are too many.
    """
    if before is None and len(holders) >= PATCH_POLICIES.most:
        raise BadRequest(f"there are {PATCH_POLICIES.most} patch policies: delete some first")
    if holders.get(after.name, after.id) != after.id:
        raise BadRequest(f"there is a patch policy named {after.name} already", field="name")
    if before is not None:
        holders.pop(before.name, None)
    holders[after.name] = after.id


def _known(policies: Sequence[PatchPolicy], fields: dict[str, object]) -> PatchPolicy | None:
    wanted, name = fields.get("id"), fields.get("name")
    by_id = next((one for one in policies if one.id == wanted), None)
    if by_id is not None:
        return by_id
    if wanted and not (isinstance(wanted, str) and is_id(wanted)):
        raise BadRequest("id: this is no id; leave it out to make a new policy", field="id")
    return next((one for one in policies if one.name == name), None)


_OF_ANSWER: Final = frozenset({"id", "owner", "paused", "next_at", "whole", "version"})
"""Fields of an answer that a file may hold and that nobody can set."""


def _from_file(call: ApiRequest, before: PatchPolicy | None, fields: dict[str, object]) -> PatchPolicy:
    given = {name: value for name, value in fields.items() if name not in _OF_ANSWER}
    if before is not None:
        return policy_of(with_fields(before, given), before.id, before.org)
    try:
        body = msgspec.convert(given, PatchPolicyBody)
    except msgspec.ValidationError as exc:
        raise BadRequest(f"it does not fit: {exc}") from None
    return policy_of(body, PolicyId(new_time_id(call.services.clock.now())), call.scope.org)


def _changed_fields(before: PatchPolicy | None, after: PatchPolicy) -> list[str]:
    if before is None:
        return []
    old, new = body_of(before), body_of(after)
    return [name for name in PatchPolicyBody.__struct_fields__ if getattr(old, name) != getattr(new, name)]


async def resume_policies(call: ApiRequest) -> PatchPoliciesView:
    """Let the policies run again that a restore of the hub or a suspension paused. Occurrences since the backup count as missed."""
    await call.services[PolicyStore].resume_policies(call.scope)
    return await list_policies(call)


# -- occurrences ---------------------------------------------------------------------------------


async def list_occurrences(call: ApiRequest) -> OccurrencesView:
    """Occurrences of a patch policy: those that something was decided about, and the next ones."""
    query = call.query("from")
    one, _ = await _policy(call)
    now = call.services.clock.now()
    since = now - PAST_S if "from" not in query else _time(query["from"])
    stored = await call.services[PolicyStore].occurrences(one.org, one.id, since)
    known = {each.due_at for each in stored}
    ahead: list[Span] = []
    if one.enabled:
        with contextlib.suppress(ZoneUnknown):
            ahead = [span for span in islice(spans(one.times, max(now, one.considered_at)), SHOWN) if span.from_at not in known]
    planned = [Occurrence(one.id, one.org, span.from_at, span.until_at, "planned") for span in ahead]
    found = sorted([*stored, *planned], key=lambda each: each.due_at)
    seen = await _seen_pairs(call)
    return OccurrencesView(occurrences=[occurrence_view(one, each, seen) for each in found])


async def _seen_pairs(call: ApiRequest) -> frozenset[Pair] | None:
    """The updates that wait on nodes that a caller with limited rights may see; None: their rights are not limited."""
    if not call.scope.grants:
        return None
    updates = await call.services[PolicyStore].node_updates(call.scope)
    return frozenset(Pair(one.package, one.after) for _, ones in updates.values() for one in ones)


def _time(text: str) -> float:
    found = _unix_s(text)
    if found is None:
        raise BadRequest("the parameter from must be a time in Unix seconds")
    return found


def _unix_s(text: str) -> float | None:
    """A time in Unix seconds before the year 5138; None: it is none."""
    with contextlib.suppress(ValueError):
        if 0 <= (found := float(text)) < 1e11:
            return found
    return None


def occurrence_view(policy: PatchPolicy, one: Occurrence, seen: frozenset[Pair] | None = None) -> OccurrenceView:
    """Args: seen: the only updates that the caller may see; None: all."""
    zone = policy.times.zone
    return OccurrenceView(
        policy_id=one.policy_id, due_at=one.due_at, until_at=one.until_at,
        local=local_text(one.due_at, "Etc/GMT-14" if zone == OF_NODE else zone), zone=zone, state=one.state, why=one.why, rollout_id=one.rollout_id,
        approvals=[ApprovalView(mark.by, mark.at) for mark in one.approvals], approvals_needed=needed_approvals(policy),
        packages=None if one.pairs is None else [PairView(*pair) for pair in one.pairs if seen is None or pair in seen],
    )  # fmt: skip


async def _occurrence(call: ApiRequest) -> tuple[PatchPolicy, Occurrence | None, Occurrence]:
    """The policy, the stored occurrence (None: none is stored), and the present one. Raises: NotFound, Conflict, BadRequest."""
    policy = await _whole(call)
    due = _unix_s(call.request.match_info["due"])
    if due is None:
        raise BadRequest("due: the time of an occurrence in Unix seconds, as GET occurrences gives it", field="due")
    now = call.services.clock.now()
    stored = [one for one in await call.services[PolicyStore].occurrences(policy.org, policy.id, due - 1) if abs(one.due_at - due) < 1]
    if stored:
        if stored[0].state not in ("planned", "waiting_approval"):
            raise Conflict(f"this occurrence is {stored[0].state} already", state=stored[0].state)
        return policy, stored[0], stored[0]
    with contextlib.suppress(ZoneUnknown):
        span = next(spans(policy.times, max(now, policy.considered_at, due - 2)), None) if due > now else None
        if span is not None and abs(span.from_at - due) < 1:
            return policy, None, Occurrence(policy.id, policy.org, span.from_at, span.until_at, "planned")
    raise BadRequest("due: there is no such occurrence ahead; GET occurrences gives them", field="due")


async def skip_occurrence(call: ApiRequest, body: SkipBody | None) -> OccurrenceView:
    """Skip one occurrence. The next one is not changed."""
    policy, before, one = await _occurrence(call)
    reason = "" if body is None else body.reason.strip()
    if len(reason) > 200 or not is_visible(reason):
        raise BadRequest("reason: at most 200 visible characters", field="reason")
    who = f"skipped by {call.scope.actor.name}" + (f": {reason}" if reason else "")
    stored = await call.services[PolicyStore].save_occurrence(call.scope, before, one._replace(state="skipped", why=who))
    return occurrence_view(policy, stored)


async def approve_occurrence(call: ApiRequest) -> OccurrenceView:
    """Approve an occurrence: exactly the packages and versions that its notice named. The last editor of the policy may not."""
    policy, before, one = await _occurrence(call)
    actor = call.scope.actor
    if policy.approval == "none":
        raise Conflict("this patch policy asks for no approval")
    if actor.id == policy.edited_by:
        raise Forbidden("you changed this patch policy last: somebody else must approve it")
    if one.pairs is None:
        raise Conflict("its notice was not given yet, so there is nothing to approve: wait for it", notice_h=policy.notice_h)
    if any(mark.by_id == actor.id for mark in one.approvals):
        return occurrence_view(policy, one)
    mark = ApprovalMark(actor.id, actor.name, call.services.clock.now())
    stored = await call.services[PolicyStore].save_occurrence(call.scope, before, one._replace(approvals=(*one.approvals, mark)))
    return occurrence_view(policy, stored)


# -- windows --------------------------------------------------------------------------------------


async def list_windows(call: ApiRequest) -> WindowsView:
    """All windows and freezes, by name."""
    call.query()
    return await windows_of(call.services, call.scope)


async def _checked_window(call: ApiRequest, scope: Scope, window: PatchWindow, before: str | None = None) -> PatchWindow:
    name = checked_name(window.name, MAX_NAME_CHARS, before=before)
    check_times(window.times, shortest_s=SHORTEST_WINDOW_S)
    select = window.select
    body = SelectBody(all=select.all, tags=list(select.tags), nodes=list(select.nodes))
    return window._replace(name=name, select=await checked_select(call.services[NodeStore], scope, body))


async def create_window(call: ApiRequest, body: WindowBody) -> WindowView:
    """Make a window in which patching is allowed, or a freeze in which nothing is upgraded or rebooted."""
    now = call.services.clock.now()
    made = await _checked_window(call, call.scope, window_of(body, WindowId(new_time_id(now)), call.scope.org))
    stored = await call.services[PatchWindowStore].create(call.scope, made)
    return window_view(stored, select_view(PolicySelect(stored.select)), now)


async def begin_now(call: ApiRequest, body: NowBody) -> WindowView:
    """Freeze nodes from this moment, or open their windows for a limited time. Delete it to end it. The reason is in the audit log."""
    now, store = call.services.clock.now(), call.services[PatchWindowStore]
    made = now_window_of(body, WindowId(new_time_id(now)), call.scope.org, call.scope.actor.name, now)
    select = made.select
    named = SelectBody(all=select.all, tags=list(select.tags), nodes=list(select.nodes))
    made = made._replace(select=await checked_select(call.services[NodeStore], call.scope, named))
    for one in await store.all(call.scope):
        if one.times.when.at and one.times.length_s and one.times.when.at + one.times.length_s + ENDED_S < now:
            await store.delete(call.scope, one.id)
    stored = await store.create(call.scope, made)
    return window_view(stored, select_view(PolicySelect(stored.select)), now)


async def _window(call: ApiRequest) -> PatchWindow:
    one = await call.services[PatchWindowStore].get(call.scope, WindowId(call.id_of("window")))
    visible = await VisibleNodes.of(call.services[NodeStore], call.scope)
    if visible_select(visible, PolicySelect(one.select)) is None:
        raise NotFound("there is no such patch window")
    if call.scope.grants:
        await check_select(call.services[NodeStore], call.scope, one.select)
    return one


async def edit_window(call: ApiRequest, body: WindowPatch) -> WindowView:
    """Change a window or freeze."""
    before = await _window(call)
    after = await _checked_window(call, call.scope, patched_window(before, body)._replace(version=body.version), before.name)
    stored = await call.services[PatchWindowStore].save(call.scope, after)
    return window_view(stored, select_view(PolicySelect(stored.select)), call.services.clock.now())


async def delete_window(call: ApiRequest) -> None:
    """Delete a window or freeze."""
    await call.services[PatchWindowStore].delete(call.scope, (await _window(call)).id)


_FROM: Final = Parameter("from", "Unix seconds; without it 400 days ago")
POLICY_ROUTES: Final = (
    Route("GET", "/patch-policies", "patch.read", list_policies, cost="page"),
    Route("POST", "/patch-policies", "patch.manage", create_policy, status=201, step_up=True, cost="scan"),
    Route("POST", "/patch-policies/preview", "patch.read", preview_policy, cost="many"),
    Route("POST", "/patch-policies/apply", "patch.manage", apply_policies, cost="many"),
    Route("POST", "/patch-policies/resume", "patch.manage", resume_policies, step_up=True, cost="page"),
    Route("GET", "/patch-policies/next", "patch.read", next_patches, cost="page"),
    Route("GET", "/patch-policies/{id}", "patch.read", get_policy, cost="page"),
    Route("PATCH", "/patch-policies/{id}", "patch.manage", edit_policy, step_up=True, cost="scan"),
    Route("DELETE", "/patch-policies/{id}", "patch.manage", delete_policy, status=204, step_up=True),
    Route("GET", "/patch-policies/{id}/occurrences", "patch.read", list_occurrences, query=(_FROM,), cost="page"),
    Route("POST", "/patch-policies/{id}/occurrences/{due}/approve", "patch.manage", approve_occurrence, step_up=True),
    Route("POST", "/patch-policies/{id}/occurrences/{due}/skip", "patch.manage", skip_occurrence),
    Route("GET", "/windows", "patch.read", list_windows, cost="page"),
    Route("POST", "/windows", "patch.manage", create_window, status=201, step_up=True, cost="scan"),
    Route("POST", "/windows/now", "patch.manage", begin_now, status=201, step_up=True, cost="scan"),
    Route("PATCH", "/windows/{id}", "patch.manage", edit_window, step_up=True, cost="scan"),
    Route("DELETE", "/windows/{id}", "patch.manage", delete_window, status=204, step_up=True),
)  # fmt: skip
