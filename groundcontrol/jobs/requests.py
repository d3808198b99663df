"""Validates job requests and builds the arguments of their orders. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Final

from groundcontrol.core.errors import BadRequest, PolicyRefuses
from groundcontrol.core.text import clean
from groundcontrol.core.verbs import JOBS, PLANNED
from groundcontrol.jobs.model import JobRequest
from groundcontrol.nodes.model import Node
from spider.wire.arg_kinds import ArgKind
from spider.wire.orders import ACTION_LIMIT
from spider.wire.verbs import CATALOGUE, PLAN, READONLY, REBOOT, REKEY, VERBS, Verb

MAX_NAMES_BYTES: Final = 14_000
"""Bytes of all names together. They must fit into one order."""
POLICY_FILE: Final = "policy.conf (in /etc/stardust where the agent was installed)"
_READONLY_VERBS: Final = tuple(verb.name for verb in CATALOGUE if verb.policy == READONLY)
_UPGRADE_VERBS: Final = sorted(verb.name for verb in CATALOGUE if verb.upgrades)
DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def order_args(request: JobRequest, features: Collection[str] = ()) -> dict[str, object]:
    """The arguments of an order, without fields that are unset. Args: features: of the node."""
    args = request.named()
    if request.timeout_s and ACTION_LIMIT in features:
        args["timeout_s"] = request.timeout_s
    if request.for_action is not None:
        args["for"] = request.for_action
    if request.plan is not None:
        args["plan"] = request.plan
    return args


def validate_request(request: JobRequest) -> None:
    """Refuse a request that no node could carry out.

    Raises: BadRequest: `field` names the invalid field.
    """
    action = request.action
    if action not in JOBS:
        raise BadRequest(f"action must be one of {', '.join(JOBS)}", field="action")
    verb = VERBS[action]
    if (request.for_action is not None) != (action == PLAN):
        raise BadRequest(f"`for` belongs to the action plan alone: one of {', '.join(PLANNED)}", field="for")
    if request.for_action is not None and request.for_action not in PLANNED:
        raise BadRequest(f"`for` must be one of {', '.join(PLANNED)}", field="for")
    _check_names(VERBS[request.for_action or action], request.args)
    if request.plan is not None and not verb.planned:
        raise BadRequest(f"{action} follows no plan: leave it out", field="plan")
    if request.plan is not None and not DIGEST.fullmatch(request.plan):
        raise BadRequest("a plan is named by its digest, 64 hex digits", field="plan")
    if request.reboot and not verb.upgrades:
        raise BadRequest(f"a reboot may follow {', '.join(_UPGRADE_VERBS)}; the action reboot does nothing else", field="reboot")


def _check_names(verb: Verb, names: tuple[str, ...]) -> None:
    kind = verb.kind
    if kind is None:
        if names:
            raise BadRequest(f"{verb.name} takes no names: leave them out", field="action")
        return
    if not names and not verb.optional:
        fault = f"{kind.one}: name it" if kind.single else f"{kind.name}: name at least one, such as {kind.example}"
        raise BadRequest(f"{verb.name} needs {fault}", field=kind.name)
    if len(names) > kind.most or len(json.dumps(names)) > MAX_NAMES_BYTES:
        raise BadRequest(f"too many {kind.noun}s for one job: at most {kind.most}, and {MAX_NAMES_BYTES} bytes of names", field=kind.name)
    for name in names:
        if not kind.is_name(name):
            raise BadRequest(f"{clean(name, 80)!r} is not {kind.describes}", field=kind.name)


def check_policy(node: Node, request: JobRequest) -> None:
    """Refuse a request that the node's last reported policy forbids, so that the user need not wait for the node's refusal.

    Without a reported policy nothing is refused here. The node checks every order by itself.
    Raises: PolicyRefuses.
    """
    for action in (request.action, *((REBOOT,) if request.reboot else ())):
        _check_policy(node, action)
    kind = request.kind
    if kind is not None and kind.line:
        for name in request.args:
            _check_name(node, kind, name)


def _check_name(node: Node, kind: ArgKind, name: str) -> None:
    policy = node.policy
    if kind.is_protected(name):
        why, how = f"no policy allows that for this {kind.noun}", "its server would lose Stardust, a shell of root or itself"
    elif policy is None or kind.names(policy.named(kind), name):
        return
    else:
        why = f"its policy does not name this {kind.noun}"
        how = f"its owner adds it on the node, in {POLICY_FILE}: `{kind.line} = {', '.join((*policy.named(kind), name))}`"
    raise PolicyRefuses(
        f"{node.name} allows no action on {name}: {why}; {how}",
        mode=policy.mode if policy else "",
        **{kind.line: list(policy.named(kind)) if policy else []},
    )


def _check_policy(node: Node, action: str) -> None:
    policy = node.policy
    if policy is None:
        return
    how = ""
    if action == REKEY:
        if policy.mode == "managed" or action in policy.verbs:
            return  # in mode `managed`, the node does not report whether it allows this action
        how = "; `rekey = yes` there allows it"
    verb = VERBS[action]
    if verb.version > 1:
        how = f"; there, `version = {verb.version}` allows it"
    if verb.kind is not None and verb.kind.line:
        how = f"; there, `{verb.kind.line} = {verb.kind.example}, …` with `version = {verb.version}` allows it for what it names"
    match policy.mode:
        case "monitor":
            why = "it is in monitor mode, which allows no jobs"
        case "readonly" if VERBS[action].policy != READONLY:
            why = f"it is in readonly mode, which allows {', '.join(_READONLY_VERBS[:-1])} and {_READONLY_VERBS[-1]}"
        case "invalid":
            why = "its policy file is not valid, so it runs no jobs"
        case _ if policy.verbs and action not in policy.verbs:
            why = f"its verbs are {', '.join(policy.verbs)}"
        case _:
            return
    raise PolicyRefuses(
        f"{node.name} does not allow {action}: {why}; its owner decides that on the node, in {POLICY_FILE}{how}",
        mode=policy.mode,
        verbs=list(policy.verbs),
    )
