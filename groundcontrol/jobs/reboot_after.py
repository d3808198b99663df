"""Whether the reboot that was requested with an upgrade follows it. It follows by need, and never where the server might not start. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from groundcontrol.jobs.model import Change, JobError, JobState
from groundcontrol.jobs.plans import Plan, Report

_STARTS_THE_SERVER: Final = re.compile(
    r"(?:linux(?:-(?:image|modules|lts|zen|hardened|rt|virt|edge|stable|rpi\d*|asahi).*)?|kernel(?:-.*)?|(?:proxmox|pve)-kernel.*"
    r"|raspberrypi-kernel|.*initramfs.*|.*initrd.*|dracut.*|mkinit(?:cpio|fs).*|booster|kmod|systemd-(?:boot|ukify).*|sdbootutil.*"
    r"|grub.*|shim.*|mokutil|efibootmgr|u-boot.*|(?:sys|ext)linux.*|s390-tools.*|refind|limine)\Z"
)
"""Names of packages with a kernel, with what makes its initramfs, or with a boot loader."""
_UNSAFE: Final = {
    "job.packages_broken": "packages are broken",
    "job.script_failed": "a script of a package failed, so it is not known whether this server starts again",
    "job.stopped": "the job was stopped",
}
_MOST_NAMED: Final = 5


class RebootDecision(NamedTuple):
    """Whether a reboot follows."""

    follows: bool
    held: str = ""
    """Why a reboot that is due does not follow; empty: none is due, or it follows."""


def decide_reboot(
    state: JobState, error: JobError | None, changes: Sequence[Change], plan: Plan | None, report: Report | None
) -> RebootDecision:
    """Decide about a reboot that was requested with an upgrade.

    Args: state, error, changes: of the ended upgrade. plan, report: those that the node sent; None: it sent none.
    """
    if state == "succeeded":
        return RebootDecision(report is None or report.reboot != "no")
    if report is None or report.reboot != "yes":
        return RebootDecision(follows=False)
    held = _UNSAFE.get(error.code if error else "", "") if state == "failed" else f"the job's outcome is {state}"
    held = held or _left_behind(changes, plan)
    return RebootDecision(not held, held)


def _left_behind(changes: Sequence[Change], plan: Plan | None) -> str:
    """Which planned packages that start the server were not changed, as a part of a sentence; empty: none."""
    if plan is None or not plan.complete:
        return "it is not known which packages were not changed"
    changed = {change.package for change in changes}
    failed = [step.package for step in plan.steps if step.package not in changed and _STARTS_THE_SERVER.match(step.package)]
    more = f" and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
    return f"what starts this server is not up to date: {', '.join(failed[:_MOST_NAMED])}{more}" if failed else ""
