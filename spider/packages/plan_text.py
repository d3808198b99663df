"""Prints plans into a job's log."""

from typing import Optional

from spider.packages.interfaces import Console
from spider.packages.plan import Plan, Planned
from spider.wire.text import decimal_size

_WIDEST = 48
_REASONS = {
    "held": "on hold",
    "phased": "phased: it comes to this server later",
    "pinned": "pinned to its version",
    "needs_new": "needs new packages",
    "needs_removal": "needs the removal of packages",
    "unresolvable": "its dependencies cannot be met, at least not without a removal",
}


def _step(step: Planned) -> str:
    if step.before and step.after:
        what = f"{step.before} -> {step.after}"
    else:
        what = f"new {step.after}" if step.after else f"REMOVED (was {step.before})"
    return what + ("  (security)" if step.security == "yes" and step.after else "")


def print_plan(console: Console, title: str, plan: Plan, known: Optional[Plan] = None) -> None:
    """Print the steps that are not in `known`. Without such a step, print nothing."""
    known_steps = set() if known is None else {(step.package, step.after) for step in known.steps}
    steps = [step for step in plan.steps if (step.package, step.after) not in known_steps]
    if not steps:
        return
    width = min(_WIDEST, max(len(step.package) for step in steps))
    console.print_line(title)
    for step in steps:
        console.print_line(f"  {step.package:{width}}  {_step(step)}")
    console.print_line("")


def print_kept_back(console: Console, plan: Plan) -> None:
    """Print the packages that are kept back, with the reasons."""
    if not plan.kept:
        return
    width = min(_WIDEST, max(len(kept.package) for kept in plan.kept))
    console.print_line("not changed:")
    for kept in plan.kept:
        console.print_line(f"  {kept.package:{width}}  stays without {kept.version}: {_REASONS.get(kept.reason, kept.reason)}")
    console.print_line("")


def print_sizes(console: Console, plan: Plan) -> None:
    """Print the sizes, the expected reboot, and the services that will probably restart."""
    words = []
    if plan.download_bytes >= 0:
        words.append(f"{decimal_size(plan.download_bytes)} to download")
    if plan.installed_bytes is not None:
        words.append(f"{decimal_size(abs(plan.installed_bytes))} {'more' if plan.installed_bytes >= 0 else 'less'} on the disk")
    if plan.reboot == "yes":
        words.append("a reboot is expected" + (f" ({plan.reboot_why})" if plan.reboot_why else ""))
    if words and plan.steps:
        console.print_line("; ".join(words) + ".")
    if plan.restarts:
        console.print_line(f"Services that will probably restart: {', '.join(plan.restarts)}.")
    if plan.steps and (words or plan.restarts):
        console.print_line("")


def print_difference(console: Console, seen: Plan, now: Plan) -> None:
    """Print the difference between the approved plan and the current plan."""
    before = {step.package: step for step in seen.steps}
    after = {step.package: step for step in now.steps}
    console.print_line("The plan has changed since it was shown:")
    for name in sorted(set(before) | set(after)):
        old, new = before.get(name), after.get(name)
        if old is not None and new is not None and old[:3] == new[:3]:
            continue
        console.print_line(f"  {name}")
        console.print_line(f"    shown: {_step(old) if old else 'unchanged'}")
        console.print_line(f"    now:   {_step(new) if new else 'unchanged'}")
    console.print_line("")
