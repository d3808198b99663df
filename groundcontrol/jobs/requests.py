"""Validates job requests and builds the arguments of their orders. Pure."""

from __future__ import annotations

import json
import re
from typing import Final

from groundcontrol.core.errors import BadRequest, PolicyRefuses
from groundcontrol.core.text import clean
from groundcontrol.core.verbs import JOBS, PLANNED
from groundcontrol.jobs.model import JobRequest
from groundcontrol.nodes.model import Node
from spider.wire.containers import is_container_name, names_container
from spider.wire.units import MAX_UNITS, is_protected, is_unit_name, names_unit
from spider.wire.verbs import CATALOGUE, MAX_PACKAGES, NEEDED, NONE, PACKAGE_NAME, PLAN, READONLY, REBOOT, REKEY, VERBS, Verb

MAX_PACKAGES_BYTES: Final = 14_000
"""Bytes of all package names together. They must fit into one order."""
POLICY_FILE: Final = "policy.conf (in /etc/stardust where the agent was installed)"
_READONLY_VERBS: Final = tuple(verb.name for verb in CATALOGUE if verb.policy == READONLY)
_UPGRADE_VERBS: Final = sorted(verb.name for verb in CATALOGUE if verb.upgrades)
DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def order_args(request: JobRequest) -> dict[str, object]:
    """The arguments of an order, without fields that are unset."""
    args: dict[str, object] = {}
    if request.packages:
        args["packages"] = list(request.packages)
    if request.for_action is not None:
        args["for"] = request.for_action
    if request.plan is not None:
        args["plan"] = request.plan
    if request.units:
        args["units"] = list(request.units)
    if request.container is not None:
        args["container"] = request.container
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
    _check_packages(VERBS[request.for_action or action], request.packages)
    _check_units(verb, request.units)
    _check_container_name(verb, request.container)
    if request.plan is not None and not verb.planned:
        raise BadRequest(f"{action} follows no plan: leave it out", field="plan")
    if request.plan is not None and not DIGEST.fullmatch(request.plan):
        raise BadRequest("a plan is named by its digest, 64 hex digits", field="plan")
    if request.reboot and not verb.upgrades:
        raise BadRequest(f"a reboot may follow {', '.join(_UPGRADE_VERBS)}; the action reboot does nothing else", field="reboot")


def _check_packages(verb: Verb, packages: tuple[str, ...]) -> None:
    if packages and verb.packages == NONE:
        raise BadRequest(f"{verb.name} takes no packages: leave them out", field="packages")
    if not packages and verb.packages == NEEDED:
        raise BadRequest(f"{verb.name} needs packages: name at least one", field="packages")
    if len(packages) > MAX_PACKAGES or len(json.dumps(packages)) > MAX_PACKAGES_BYTES:
        raise BadRequest(
            f"too many packages for one job: at most {MAX_PACKAGES}, and {MAX_PACKAGES_BYTES} bytes of names", field="packages"
        )
    for name in packages:
        if not re.fullmatch(PACKAGE_NAME, name):
            raise BadRequest(f"{name[:80]!r} is not the name of a package", field="packages")


def _check_units(verb: Verb, units: tuple[str, ...]) -> None:
    if bool(units) != verb.units:
        fault = "needs units: name at least one, such as nginx.service" if verb.units else "takes no units: leave them out"
        raise BadRequest(f"{verb.name} {fault}", field="units")
    if len(units) > MAX_UNITS:
        raise BadRequest(f"too many units for one job: at most {MAX_UNITS}", field="units")
    for name in units:
        if not is_unit_name(name):
            kinds = "the full name of a service, socket or timer of systemd, such as nginx.service"
            raise BadRequest(f"{clean(name, 80)!r} is not {kinds}", field="units")


def _check_container_name(verb: Verb, name: str | None) -> None:
    if (name is not None) != verb.container:
        fault = "needs a container: name it" if verb.container else "takes no container: leave it out"
        raise BadRequest(f"{verb.name} {fault}", field="container")
    if name is not None and not is_container_name(name):
        raise BadRequest(f"{clean(name, 80)!r} is not the name of a container", field="container")


def check_policy(node: Node, request: JobRequest) -> None:
    """Refuse a request that the node's last reported policy forbids, so that the user need not wait for the node's refusal.

    Without a reported policy nothing is refused here. The node checks every order by itself.
    Raises: PolicyRefuses.
    """
    for action in (request.action, *((REBOOT,) if request.reboot else ())):
        _check_policy(node, action)
    for name in request.units:
        _check_unit(node, name)
    if request.container is not None:
        _check_container(node, request.container)


def _check_unit(node: Node, name: str) -> None:
    policy = node.policy
    if is_protected(name):
        why, how = "it is Stardust's own, a shell of root, or it stops the server", "no policy allows that"
    elif policy is None or names_unit(policy.units, name):
        return
    else:
        why = "its policy does not name this unit"
        how = f"its owner adds it on the node, in {POLICY_FILE}: `units = {', '.join((*policy.units, name))}`"
    raise PolicyRefuses(
        f"{node.name} allows no action on {name}: {why}; {how}",
        mode=policy.mode if policy else "",
        units=list(policy.units) if policy else [],
    )


def _check_container(node: Node, name: str) -> None:
    policy = node.policy
    if policy is None or names_container(policy.containers, name):
        return
    line = f"`containers = {', '.join((*policy.containers, name))}`"
    raise PolicyRefuses(
        f"{node.name} allows no action on {name}: its policy does not name this container; its owner adds it on the node, in {POLICY_FILE}: {line}",
        mode=policy.mode,
        containers=list(policy.containers),
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
    if VERBS[action].units:
        how = "; there, `units = nginx.service, …` with `version = 2` allows it for the named units"
    if VERBS[action].container:
        how = "; there, `containers = shop, …` with `version = 2` allows it for the named containers"
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
