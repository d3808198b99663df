"""What may be asked of a node, and how it stands in an order. Pure."""

from __future__ import annotations

import json
import re
from typing import Final

from groundcontrol.domain.jobs import ACTIONS, MAY_REBOOT, NEED_PACKAGES, PLANNED, READONLY, TAKE_PACKAGES, Wish
from groundcontrol.domain.nodes import Node
from groundcontrol.errors import BadRequest, PolicyRefuses

MAX_PACKAGES: Final = 512
MAX_PACKAGES_BYTES: Final = 14_000
"""Of all names together: the order must hold them."""
PACKAGE_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9@._+-]{0,126}[A-Za-z0-9@._+])?(?::[a-z0-9-]{1,30})?")
"""Shape only, the one that the node itself takes: it compares the names with its own lists. A trailing `-` would mean removal to apt;
behind a colon stands an architecture."""
DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def order_args(wish: Wish) -> dict[str, object]:
    """The arguments of an order; what was not asked for is not in it."""
    args: dict[str, object] = {}
    if wish.packages:
        args["packages"] = list(wish.packages)
    if wish.for_action is not None:
        args["for"] = wish.for_action
    if wish.plan is not None:
        args["plan"] = wish.plan
    return args


def check_wish(wish: Wish) -> None:
    """Refuse what no node could do.

    Raises: BadRequest: `field` names what does not fit.
    """
    action = wish.action
    if action not in ACTIONS:
        raise BadRequest(f"action must be one of {', '.join(ACTIONS)}", field="action")
    if (wish.for_action is not None) != (action == "plan"):
        raise BadRequest(f"`for` goes with the action plan, and with it alone: one of {', '.join(PLANNED)}", field="for")
    if wish.for_action is not None and wish.for_action not in PLANNED:
        raise BadRequest(f"there are plans for {', '.join(PLANNED)}", field="for")
    _check_packages(wish.for_action or action, wish.packages)
    if wish.plan is not None and action not in PLANNED:
        raise BadRequest(f"{action} follows no plan: leave it out", field="plan")
    if wish.plan is not None and not DIGEST.fullmatch(wish.plan):
        raise BadRequest("a plan is named by its digest, 64 hex digits", field="plan")
    if wish.reboot and action not in MAY_REBOOT:
        raise BadRequest(f"a reboot may follow {', '.join(sorted(MAY_REBOOT))}; the action reboot does nothing else", field="reboot")


def _check_packages(action: str, packages: tuple[str, ...]) -> None:
    if packages and action not in TAKE_PACKAGES:
        raise BadRequest(f"{action} takes no packages: leave them out", field="packages")
    if not packages and action in NEED_PACKAGES:
        raise BadRequest(f"{action} wants packages: name at least one", field="packages")
    if len(packages) > MAX_PACKAGES or len(json.dumps(packages)) > MAX_PACKAGES_BYTES:
        raise BadRequest(
            f"too many packages for one job: at most {MAX_PACKAGES}, and {MAX_PACKAGES_BYTES} bytes of names", field="packages"
        )
    for name in packages:
        if not PACKAGE_NAME.fullmatch(name):
            raise BadRequest(f"{name[:80]!r} is no package name", field="packages")


def check_policy(node: Node, wish: Wish) -> None:
    """Refuse at once what the node would refuse anyway, by what it last said of its own policy.

    The node decides: a policy that it has not told yet is no reason to refuse here.
    Raises: PolicyRefuses.
    """
    for action in (wish.action, *(("reboot",) if wish.reboot else ())):
        _check_policy(node, action)


def _check_policy(node: Node, action: str) -> None:
    policy = node.policy
    if policy is None:
        return
    how = ""
    if action == "rekey":
        if policy.mode == "managed" or action in policy.verbs:
            return  # where the mode is managed, the node does not say whether it allows it
        how = "; `rekey = yes` there allows it"
    match policy.mode:
        case "monitor":
            why = "it is in monitor mode, which allows no jobs"
        case "readonly" if action not in READONLY:
            why = "it is in readonly mode, which allows refresh, check and plan"
        case "invalid":
            why = "its policy file is not valid, so it runs no jobs"
        case _ if policy.verbs and action not in policy.verbs:
            why = f"its verbs are {', '.join(policy.verbs)}"
        case _:
            return
    raise PolicyRefuses(
        f"{node.name} does not allow {action}: {why}; its owner decides that on the node, in policy.conf (in /etc/stardust where Spider was installed){how}",
        mode=policy.mode,
        verbs=list(policy.verbs),
    )
