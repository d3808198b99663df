"""What a policy would do: which nodes and packages, what waits or is held, the next dates, and what to warn of. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from statistics import fmean
from typing import Final, NamedTuple

from groundcontrol.core.ids import NodeId
from groundcontrol.nodes.model import Node
from groundcontrol.policies.calendar import OF_NODE, ZoneUnknown, current, local_text, shifted, spans
from groundcontrol.policies.choosing import DAY_S, Choice, SeenAt, Update, age_s, choose, kept_words, verb_of
from groundcontrol.policies.model import OccurrenceState, PatchPolicy, needed_approvals, role_of, wants_reboot
from groundcontrol.policies.reasons import Hold, remedy_for
from groundcontrol.policies.views import (
    HeldNodeView,
    NextView,
    NodePackagesView,
    PackageCountView,
    PatchPreviewView,
    WaitingPackageView,
    WarningView,
)
from groundcontrol.policies.waves import JOB_S, Candidate, WorkTimes, expected_s, fits, waves_of, work_s
from groundcontrol.policies.windows import Open, PatchWindow, Place, Shut, allowed
from spider.wire.arg_kinds import ACTION

NEXT: Final = 5
MOST_PACKAGES: Final = 500
MOST_NODES: Final = 1000
FRESH_S: Final = 3 * DAY_S
"""A package list older than this is not fresh."""


AGENT_TOO_OLD: Final[Hold] = ("agent_too_old", "its agent is too old to be looked at every few seconds: update it")


class Fleet(NamedTuple):
    """What a preview is computed from."""

    nodes: Sequence[Node]
    online: frozenset[NodeId]
    too_old: frozenset[NodeId]
    """Those whose agents cannot be looked at every few seconds."""
    no_units: frozenset[NodeId]
    """Those without systemd."""
    updates: Mapping[NodeId, tuple[float, tuple[Update, ...]]]
    seen: SeenAt
    windows: Sequence[PatchWindow]
    times: Mapping[NodeId, WorkTimes]
    """Node -> verb -> how long its last jobs took, in seconds."""
    others: Sequence[PatchPolicy]
    """The other enabled policies."""
    approvers: int
    """How many users may approve, without the editor."""
    own_machine: str
    """The machine id of the hub's own host; empty: not known."""
    decided: Mapping[float, OccurrenceState]
    """Time of an occurrence of the policy -> its state, where something was decided already."""


def place_of(node: Node) -> Place:
    return Place(node.id, node.tags, node.identity.timezone)


def choice_for(policy: PatchPolicy, node: Node, fleet: Fleet, now: float) -> Choice | None:
    """None: the list of the node is not known."""
    found = fleet.updates.get(node.id)
    return None if found is None else choose(policy, node.identity.package_manager, found[1], fleet.seen, now)


def static_hold(policy: PatchPolicy, node: Node, choice: Choice | None) -> Hold | None:
    """(code, words): why a policy would hold a node whatever the time is; None: nothing holds it."""
    mode = None if node.policy is None else node.policy.mode
    verbs = () if node.policy is None else node.policy.verbs
    if node.never_why:
        return "never_by_schedule", f"never by a schedule: {node.never_why} ({node.never_by})"
    if node.waiting or node.pending:
        return "not_joined", "it has not joined yet"
    if mode in ("monitor", "readonly", "invalid") or (verbs and "upgrade" not in verbs):
        return "agent_policy", f"the policy of its owner does not allow upgrades ({mode})"
    if policy.times.zone == OF_NODE and not node.identity.timezone:
        return "zone_unknown", "its time zone is not known"
    return None if choice is None else choice.held


def actions_of(node: Node) -> tuple[str, ...]:
    """The named actions that the owner's policy file allows."""
    return () if node.policy is None else node.policy.named(ACTION)


def missing_action(policy: PatchPolicy, node: Node) -> str:
    """Why the actions of a policy hold a node; empty: its owner names them all."""
    missing = [one.name for one in (*policy.before, *policy.after) if one.name not in actions_of(node)]
    return f"its owner's policy file does not name the action {missing[0]}" if missing else ""


def preview(policy: PatchPolicy, fleet: Fleet, now: float) -> PatchPreviewView:
    chosen = [node for node in fleet.nodes if policy.select.selects(node.id, node.tags)]
    choices = {node.id: choice_for(policy, node, fleet, now) for node in chosen}
    holds = [(node, hold) for node in chosen if (hold := _held(policy, node, choices[node.id], fleet, now)) is not None]
    alike: dict[Hold, list[str]] = defaultdict(list)
    for node, hold in holds:
        alike[hold].append(node.name)
    held = [HeldNodeView(node_id=node.id, reason=hold[0], words=hold[1], remedy=remedy_for(hold[0], alike[hold])) for node, hold in holds]
    firm = {one.node_id for one in held if one.reason not in ("offline", "list_unknown")}
    targets = [node for node in chosen if node.id not in firm]
    of_targets = {node.id: choices[node.id] for node in targets}  # nothing is done on the others
    candidates = [candidate_of(policy, node, node.id in fleet.online, fleet.own_machine) for node in targets]
    waves = waves_of(policy.order, candidates)
    wave_of = {node: index for index, wave in enumerate(waves) for node in wave}
    sizes = [len(wave) for wave in waves]
    job_s = _job_s(policy, targets, choices, fleet)
    return PatchPreviewView(
        nodes=[_node_view(node, wave_of[node.id], choices[node.id]) for node in targets[:MOST_NODES]],
        packages=_packages(of_targets),
        waiting_for_age=_waiting(policy, of_targets, fleet.seen, now),
        held=held,
        next=next_dates(policy, now, fleet.decided),
        expected_s=expected_s(policy.order, sizes, policy.watch_s, job_s),
        waves=sizes,
        warnings=list(_warnings(policy, fleet, chosen, targets, sizes, job_s, now)),
    )


def _job_s(policy: PatchPolicy, targets: Sequence[Node], choices: Mapping[NodeId, Choice | None], fleet: Fleet) -> float:
    """The mean of how long the work on these nodes takes."""
    each = []
    for node in targets:
        choice = choices[node.id]
        reboots = wants_reboot(policy, changes=choice is None or bool(choice.take), required=node.reboot_required == "yes")
        each.append(work_s("" if choice is None else verb_of(policy, choice)[0], fleet.times.get(node.id, {}), reboots=reboots))
    return fmean(each) if each else JOB_S


def candidate_of(policy: PatchPolicy, node: Node, online: bool, own_machine: str, *, first: bool = False) -> Candidate:
    kind = f"{node.identity.os_id} {node.identity.os_version} {role_of(policy.role_tags, node.tags)}"
    own = bool(own_machine) and node.identity.machine_id == own_machine
    return Candidate(node.id, node.tags, kind, online, last=own, first=first)


def _held(policy: PatchPolicy, node: Node, choice: Choice | None, fleet: Fleet, now: float) -> Hold | None:
    hold = static_hold(policy, node, choice)
    if hold is not None:
        return hold
    match allowed(fleet.windows, place_of(node), now):
        case Shut("zone_unknown", name, _):
            return "zone_unknown", f"its time zone is not known, and the window {name} needs it"
        case Shut("frozen", name, _):
            return "frozen", f"frozen now by {name}"
    checks: tuple[tuple[bool, Hold], ...] = (
        (node.id not in fleet.online, ("offline", "it is offline now")),
        (node.id in fleet.too_old, AGENT_TOO_OLD),
        (bool(action := missing_action(policy, node)), ("action_missing", action)),
        (choice is None, ("list_unknown", "its list of updates is not known")),
    )
    return next((hold for holds, hold in checks if holds), None)


def _node_view(node: Node, wave: int, choice: Choice | None) -> NodePackagesView:
    take, waiting, left_out = (0, 0, 0) if choice is None else (len(choice.take), len(choice.waiting), len(choice.left_out))
    return NodePackagesView(
        node_id=node.id,
        wave=wave,
        take=take,
        waiting=waiting,
        left_out=left_out,
        kept_back="" if choice is None else kept_words(choice.left_out),
        checked_at=node.updates.checked_at,
    )


def _packages(choices: Mapping[NodeId, Choice | None]) -> list[PackageCountView]:
    counts: dict[tuple[str, str], list[Update]] = defaultdict(list)
    for choice in choices.values():
        for one in () if choice is None else choice.take:
            counts[one.package, one.after].append(one)
    found = [
        PackageCountView(package=package, version=version, nodes=len(ones), security=any(one.security == "yes" for one in ones))
        for (package, version), ones in counts.items()
    ]
    return sorted(found, key=lambda one: (not one.security, -one.nodes, one.package, one.version))[:MOST_PACKAGES]


def _waiting(policy: PatchPolicy, choices: Mapping[NodeId, Choice | None], seen: SeenAt, now: float) -> list[WaitingPackageView]:
    found: dict[tuple[str, str], tuple[int, float, bool]] = {}
    for choice in choices.values():
        for one in () if choice is None else choice.waiting:
            days = policy.min_age.security if one.security == "yes" else policy.min_age.other
            ripe_at = now - age_s(one, seen, now) + days * DAY_S
            count, latest, superseded = found.get((one.package, one.after), (0, 0.0, False))
            never = choice is not None and one in choice.never_old_enough
            found[one.package, one.after] = count + 1, max(latest, ripe_at), superseded or never
    views = [
        WaitingPackageView(package=package, version=version, nodes=count, ripe_at=ripe_at, superseded=superseded)
        for (package, version), (count, ripe_at, superseded) in found.items()
    ]
    return sorted(views, key=lambda one: (one.ripe_at, one.package))[:MOST_PACKAGES]


def next_dates(policy: PatchPolicy, now: float, decided: Mapping[float, OccurrenceState]) -> list[NextView]:
    """The next five that nobody has skipped, in the zone of the policy. Times of each node are shown as that local time without a zone of
    the hub."""
    zone = policy.times.zone
    try:
        ahead = (one for one in spans(policy.times, now) if decided.get(one.from_at) != "skipped")
        found = list(islice(ahead, NEXT))
        if zone == OF_NODE:
            return [
                NextView(due_at=one.from_at, local=f"{one.date.isoformat()} {policy.times.start}", zone=OF_NODE, shifted="")
                for one in found
            ]
        return [
            NextView(due_at=one.from_at, local=local_text(one.from_at, zone), zone=zone, shifted=shifted(policy.times, one.date))
            for one in found
        ]
    except ZoneUnknown:
        return []


def _warnings(
    policy: PatchPolicy,
    fleet: Fleet,
    chosen: Sequence[Node],
    targets: Sequence[Node],
    sizes: Sequence[int],
    job_s: float,
    now: float,
) -> Iterator[WarningView]:
    yield from _never_fires(policy, fleet, chosen, now)
    choices = [choice for node in chosen if (choice := choice_for(policy, node, fleet, now)) is not None]
    unwanted = sum(len(one.left_out) for one in choices)
    if (policy.only or policy.leave_out) and unwanted and not any(one.take or one.waiting for one in choices):
        yield WarningView("leaves_nothing", f"its patterns leave none of the {unwanted} updates that wait now: check only and leave_out")
    fitting = fits(policy.order, sizes, policy.watch_s, policy.times.length_s, job_s)
    if fitting < len(targets):
        length_s = policy.times.length_s
        length = f"{length_s / 60:.0f} minutes" if length_s < 7200 or length_s % 3600 else f"{length_s // 3600} hours"
        yield WarningView(
            "too_short", f"{len(targets) - fitting} of {len(targets)} nodes do not fit into {length}: they go first the next time"
        )
    for other in fleet.others:
        both = [node for node in chosen if other.id != policy.id and other.select.selects(node.id, node.tags)]
        if both:
            yield WarningView("overlap", f"{other.name} selects {len(both)} of these nodes too: a node is in one roll-out at a time")
    yield from _groups(policy.order.groups, targets)
    alone = sum(1 for node in targets if not role_of(policy.role_tags, node.tags))
    if alone and len(targets) > 1:
        yield WarningView("no_role", f"{alone} nodes have no role tag: they have no peers to compare with, and share one reboot at a time")
    without = sum(1 for node in targets if node.id in fleet.no_units)
    if without:
        yield WarningView(
            "no_units", f"gates on units are not available on {without} of these nodes, which have no systemd: the other gates judge them"
        )
    yield from _others_patch(targets)
    for name in dict.fromkeys(one.name for one in (*policy.before, *policy.after)):
        unnamed = sum(1 for node in chosen if name not in actions_of(node))
        if unnamed:
            whose = f"{unnamed} of {len(chosen)} nodes do not name the action {name}"
            yield WarningView(
                "actions", f"{whose} in /etc/stardust/policy.conf, and are held until their owner adds it to the line `actions`"
            )


def _groups(groups: Sequence[str], targets: Sequence[Node]) -> Iterator[WarningView]:
    """What an order by groups misses. A mistyped tag would make one wave of all, without a canary."""
    unused = [tag for tag in groups if not any(tag in node.tags for node in targets)]
    if unused and targets:
        yield WarningView("unused_group", f"none of these nodes has the tag {', '.join(unused)} of the order")
    rest = sum(1 for node in targets if not set(groups) & set(node.tags))
    if groups and rest:
        yield WarningView("no_group", f"{rest} of {len(targets)} nodes have no tag of the order: they come last, in one wave")


def _others_patch(targets: Sequence[Node]) -> Iterator[WarningView]:
    """Who else patches these nodes, in every preview: also that it is not known, or that nobody does."""
    by_name = Counter(name for node in targets for name in (node.identity.other_patcher or "").split(", ") if name)
    if by_name:
        who = ", ".join(f"{name} on {count}" for name, count in by_name.most_common(5))
        yield WarningView(
            "other_patcher", f"something else patches these nodes too: {who}. It keeps to no window, wave or freeze: turn it off there"
        )
    unknown = sum(1 for node in targets if node.identity.other_patcher is None)
    if unknown:
        yield WarningView(
            "other_patcher_unknown", f"whether something else patches {unknown} of these nodes is not known: update their agents"
        )


def _never_fires(policy: PatchPolicy, fleet: Fleet, chosen: Sequence[Node], now: float) -> Iterator[WarningView]:
    if not chosen:
        yield WarningView("no_node", "no node is selected now: it never does anything until one is")
    if needed_approvals(policy) > fleet.approvers:
        yield WarningView("no_approver", f"{needed_approvals(policy)} other users must approve, and {fleet.approvers} may: it never starts")
    if policy.times.zone == OF_NODE:
        return
    try:
        found = list(islice(spans(policy.times, now), 2 * NEXT))
    except ZoneUnknown:
        yield WarningView("zone_unknown", f"this machine does not know the zone {policy.times.zone}")
        return
    if not found:
        yield WarningView("no_date", "no date comes any more: it never fires")
    shut = [node for node in chosen if found and not any(_opens(fleet, node, one.from_at, one.until_at) for one in found)]
    if shut:
        dates = "its only date" if len(found) == 1 else f"each of the next {len(found)} dates"
        yield WarningView("window_never_opens", f"the windows and freezes of {len(shut)} nodes are shut at {dates}")


def _opens(fleet: Fleet, node: Node, from_at: float, until_at: float) -> bool:
    """Whether the windows of a node are open at some time of a span."""
    place = place_of(node)
    if isinstance(allowed(fleet.windows, place, from_at), Open):
        return True
    for one in fleet.windows:
        if one.kind == "allow" and one.select.selects(place.node, place.tags):
            zone = place.zone if one.times.zone == OF_NODE else None
            try:
                upcoming = next(spans(one.times, from_at, zone), None)
            except ZoneUnknown:
                return False
            if upcoming is not None and upcoming.from_at < until_at and current(one.times, upcoming.from_at, zone) is not None:
                return True
    return False
