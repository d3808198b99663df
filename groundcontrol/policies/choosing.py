"""Which packages of one node a policy takes: what it lists, leaves out, lets wait for its age, or must hold. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from groundcontrol.jobs.plans import Plan
from groundcontrol.nodes.model import Tri
from groundcontrol.policies.model import Pair, PatchPolicy, is_kernel, matches
from groundcontrol.policies.reasons import Hold

DAY_S: Final = 86_400.0
WHOLE_MANAGERS: Final = frozenset({"pacman"})
"""Package managers that refuse a part of an upgrade."""
NO_SECURITY_MARK: Final = frozenset({"pacman", "apk"})
"""Package managers whose updates carry no security mark."""
MOST_PACKAGES: Final = 512


class Update(NamedTuple):
    """A newer version that one node could install."""

    package: str
    before: str
    after: str
    security: Tri
    repository: str
    kept: str = ""
    """`held`: the owner of the node holds the package; `phased`: it comes to the node later; empty: neither."""


SeenAt = Mapping[tuple[str, str, str], float]
"""(repository, package, version) -> when the fleet first saw it."""


class Choice(NamedTuple):
    """What a policy does with the updates of one node."""

    take: tuple[Update, ...]
    waiting: tuple[Update, ...]
    """Too young."""
    left_out: tuple[Update, ...]
    """By patterns, kernel, security or the owner's hold."""
    whole: bool
    """Whether the whole verb does it, without a list."""
    held: Hold | None = None
    """Why the node must be held; None: it need not be."""
    never_old_enough: tuple[Update, ...] = ()
    """Waiting ones whose package has had an update for twice the age, of which each was superseded before it was old enough."""


KEPT_WORDS: Final[Mapping[str, str]] = {"held": "held on the node", "phased": "phased, so it comes to the node later"}
MOST_NAMED: Final = 5


def kept_words(updates: Sequence[Update]) -> str:
    """Which updates the node itself does not take, and why; empty: there is none."""
    parts = []
    for why, words in KEPT_WORDS.items():
        names = sorted(one.package for one in updates if one.kept == why)
        if names:
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            parts.append(f"{', '.join(names[:MOST_NAMED])}{more}: {words}")
    return "; ".join(parts)


def choose(
    policy: PatchPolicy, manager: str, updates: Sequence[Update], seen: SeenAt, now: float, approved: Iterable[Pair] | None = None
) -> Choice:
    """Args: approved: what the notice named; None: no approval is asked for."""
    pairs = None if approved is None else frozenset(approved)
    take, waiting, left_out, ripe = list[Update](), list[Update](), list[Update](), list[Update]()
    if policy.what == "nothing":
        return Choice((), (), tuple(updates), whole=False)
    if policy.what == "security" and manager in NO_SECURITY_MARK:
        return Choice(
            (), (), tuple(updates), whole=False, held=("security_unknown", f"{manager} does not say which updates are for security")
        )
    for one in updates:
        if _unwanted(policy, one):
            left_out.append(one)
        elif age_s(one, seen, now) < _needed_s(policy, one):
            waiting.append(one)
        elif pairs is not None and Pair(one.package, one.after) not in pairs:
            left_out.append(one)
        else:
            take.append(one)
    ripe = [one for one in waiting if _first_seen(one.package, seen, now) >= 2 * _needed_s(policy, one)]
    mine = [one for one in updates if not one.kept]
    complete = len(take) == len([one for one in mine if policy.what != "security" or one.security == "yes"])
    whole = not policy.filters or (complete and policy.approval == "none" and not waiting)
    held: Hold | None = None
    if take and not whole:
        if manager in WHOLE_MANAGERS and len(take) < len(mine):
            other = next(one for one in mine if one not in take)
            held = "package_must_wait", f"{manager} upgrades everything or nothing, and {other.package} must wait"
        elif len(take) > MOST_PACKAGES:
            held = "package_must_wait", f"{len(take)} packages in a list, and one job takes {MOST_PACKAGES}"
    return Choice(tuple(take), tuple(waiting), tuple(left_out), whole, held, tuple(ripe))


def _unwanted(policy: PatchPolicy, one: Update) -> bool:
    if one.kept or (policy.what == "security" and one.security != "yes"):
        return True
    return unwanted_name(policy, one.package)


def unwanted_name(policy: PatchPolicy, package: str) -> bool:
    """Whether the policy leaves a package out by its name."""
    if matches(policy.leave_out, package) or (policy.only and not matches(policy.only, package)):
        return True
    return not policy.kernel and is_kernel(package)


def age_s(one: Update, seen: SeenAt, now: float) -> float:
    """Seconds since the fleet first saw this version; 0: no node has shown it before, so it counts as new."""
    at = seen.get((one.repository, one.package, one.after))
    return 0.0 if at is None else max(0.0, now - at)


def _needed_s(policy: PatchPolicy, one: Update) -> float:
    return _needed_days(policy, one.security) * DAY_S


def _first_seen(package: str, seen: SeenAt, now: float) -> float:
    """Seconds since the fleet first saw any version of a package."""
    return max((now - at for (_, name, _), at in seen.items() if name == package), default=0.0)


def verb_of(policy: PatchPolicy, choice: Choice) -> tuple[str, tuple[str, ...]]:
    """The planned verb and its packages."""
    if not choice.whole:
        return "upgrade", tuple(one.package for one in choice.take)
    return {"security": "security-upgrade", "all": "upgrade", "full": "full-upgrade", "nothing": ""}[policy.what], ()


def plan_fault(policy: PatchPolicy, choice: Choice, plan: Plan) -> str:
    """Why a plan of a node goes beyond the limits of its policy; empty: it does not.

    The lists of the node may have changed since the choice, also where the whole verb is planned. New packages are dependencies of what is
    upgraded. With a minimum age they count as new.
    """
    chosen: dict[str, set[str]] = {}
    for one in choice.take:
        chosen.setdefault(one.package.partition(":")[0], set()).add(one.after)
    for step in plan.steps:
        if not step.after:
            return f"the plan removes {step.package}, and a patch policy removes nothing"
        if choice.whole and not policy.filters:
            continue
        versions = chosen.get(step.package.partition(":")[0])
        if unwanted_name(policy if step.before else policy._replace(only=()), step.package):
            return f"{step.package} must {'come' if step.before else 'be installed'} along, and the policy leaves it out"
        if versions is not None and step.after not in versions:
            return f"{step.package} is {step.after} by now, and {min(versions)} was chosen"
        if versions is None and step.before and not choice.whole:
            return f"{step.package} must come along, and the policy does not take it now"
        if versions is None and _needed_days(policy, step.security):
            return f"{step.package} was not in the list of this node, and its age is not known"
    return ""


def _needed_days(policy: PatchPolicy, security: Tri) -> int:
    return policy.min_age.security if security == "yes" else policy.min_age.other
