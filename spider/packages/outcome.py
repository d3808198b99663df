"""Decides the outcome of a job by its exit status, the difference of the inventories and the error lines.

The exit status alone does not suffice. Package managers return 0 after a failed package script or an interruption. They return an
error if the requested package was installed but another package was broken before.
"""

from typing import List, NamedTuple, Optional, Sequence, Tuple

from spider.packages.backend import Command, Failure, OutputReader
from spider.packages.interfaces import Outcome
from spider.packages.plan import Inventory, Plan, compare_inventories, missed, unplanned
from spider.packages.preconditions import join_names
from spider.root.terminal import TerminalEnded

MAX_LINES = 3
MAX_LINE_CHARS = 400
SCRIPT_KILLED = "it was stopped by force, and a script of a package was killed: that package may not work"
REST_CHANGED = "the rest of the plan has changed since it was shown, so it was not carried out"


class Ran(NamedTuple):
    """One executed command."""

    command: Command
    ended: TerminalEnded
    reader: OutputReader
    failure: Optional[Failure]
    """The failure that the backend found; None = no failure."""


def trouble_lines(runs: Sequence[Ran], *, warnings: bool = True) -> str:
    """At most MAX_LINES error lines, as one text. If there are no errors and `warnings` is true, warnings."""
    lines: List[str] = []
    for ran in runs:
        lines += [line for line in ran.reader.troubles if line not in lines]
    errors = [line for line in lines if not line.lower().startswith(("w:", "warning"))] or (lines if warnings else [])
    return " · ".join(line[:MAX_LINE_CHARS] for line in errors[:MAX_LINES]).replace(": · ", ": ")  # dpkg names the package, then the fault


def _status(runs: Sequence[Ran]) -> Tuple[Optional[int], int]:
    """Exit status and signal of the first failed command; of the last command if none failed."""
    for ran in runs:
        if ran.failure is not None or ran.ended.rc is None or ran.ended.overran:
            return ran.ended.rc, ran.ended.signal
    return (runs[-1].ended.rc, runs[-1].ended.signal) if runs else (0, 0)


def decide(runs: Sequence[Ran], plan: Plan, before: Inventory, after: Inventory, name: str) -> Outcome:
    """The outcome of a job that changes packages.

    Args: name: the package manager's name for texts.
    """
    changes = compare_inventories(before, after)
    left = missed(plan, after)
    broken = [package for package, now in after.items() if now.broken and not (package in before and before[package].broken)]
    extra = unplanned(plan, changes)
    done = f"{len(plan.steps) - len(left)} of {len(plan.steps)} packages were changed"
    if left and changes:
        done += f", not changed: {join_names([step.package for step in left])}"
    if extra:
        done += f", changed without having been planned: {join_names([name for name, _, _ in extra])}"
    rc, signal_ = _status(runs)
    stopped = any(ran.ended.stopped in ("now", "after_package") for ran in runs)
    overran = next((ran.ended.overran for ran in runs if ran.ended.overran), "")
    killed = next((ran for ran in runs if ran.ended.rc is None), None)
    failure = next((ran.failure for ran in runs if ran.failure is not None), None)
    code, text = "", ""
    if broken:
        code, text = "job.packages_broken", f"{name} left {join_names(broken)} half installed; {done}"
    elif any(ran.ended.script_killed for ran in runs):  # managers may call that a success
        code, text = "job.stopped", f"{SCRIPT_KILLED}; {done}"
    elif stopped and not changes and (left or not plan.steps):
        return Outcome("cancelled", rc, signal_, (), "job.stopped", "it was stopped before anything was changed")
    elif stopped:  # never a success: the signal may have ended what follows the last package, such as a hook
        code, text = "job.stopped", f"it was stopped; {done}" + ("" if left or killed is None else f", but {name} did not end by itself")
    elif overran:
        code, text = "job.timed_out", f"the phase {overran} took too long and was interrupted; {done}"
    elif killed is not None:
        code, text = "job.signal", f"{name} was ended by signal {killed.ended.signal}; {done}"
    elif failure is not None:
        why = REST_CHANGED if failure.code == "job.plan_changed" and changes else failure.text
        code, text = failure.code, f"{why}; {done}" if plan.steps else why
    elif left:
        code, text = "job.incomplete", done if changes else f"{done}, not changed: {join_names([step.package for step in left])}"
    if not code:
        return Outcome("succeeded", rc, 0, changes)
    why = trouble_lines(runs, warnings=code != "job.stopped")  # a stop, and no warning, is the cause
    return Outcome("failed", rc, signal_, changes, code, f"{text}. {why}" if why and why not in text else text)


def decide_unplanned(runs: Sequence[Ran], name: str) -> Outcome:
    """The outcome of a verb without a plan (refresh, clean, hold …)."""
    rc, signal_ = _status(runs)
    failed = next((ran for ran in runs if ran.failure is not None or ran.ended.rc is None or ran.ended.overran), None)
    if any(ran.ended.script_killed for ran in runs):
        return Outcome("failed", rc, signal_, (), "job.stopped", SCRIPT_KILLED)
    if any(ran.ended.stopped == "now" for ran in runs) and failed is not None:
        return Outcome("cancelled", rc, signal_, (), "job.stopped", "it was stopped before anything was changed")
    if failed is None and any(ran.ended.stopped == "after_package" and not ran.command.stoppable for ran in runs):
        return Outcome("failed", rc, 0, (), "job.stopped", "it was stopped, and the next steps were not begun")
    if failed is None and any(ran.ended.stopped in ("now", "after_package") for ran in runs):
        return Outcome("failed", rc, 0, (), "job.stopped", f"it was stopped, and {name} does not say whether it had done everything")
    if failed is None:
        return Outcome("succeeded", rc, 0, ())
    if failed.ended.overran:
        code, text = "job.timed_out", f"the phase {failed.ended.overran} took too long and was interrupted"
    elif failed.ended.rc is None:
        code, text = "job.signal", f"{name} was ended by signal {failed.ended.signal}"
    else:
        assert failed.failure is not None
        code, text = failed.failure
    why = trouble_lines(runs)
    return Outcome("failed", rc, signal_, (), code, f"{text}. {why}" if why and why not in text else text)
