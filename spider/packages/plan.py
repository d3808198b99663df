"""What a package manager is going to do, in the same words for all of them."""

import hashlib
from typing import Dict, List, NamedTuple, Optional, Tuple

YES, NO, UNKNOWN = "yes", "no", "unknown"


class InstalledPackage(NamedTuple):
    """One package as the manager's own database has it."""

    version: str
    """Where several versions stand side by side (kernels), all of them, oldest first, a blank between two."""
    broken: bool = False
    """The manager did not get to the end with it."""
    held: bool = False
    """The owner of this host does not want it changed: held, locked, excluded or ignored, as the manager calls it."""


Inventory = Dict[str, InstalledPackage]
"""Package to what is installed. The key is the name by which people and orders call it: `libc6`, `libc6:i386`, `bash.x86_64`."""


class Planned(NamedTuple):
    """One package that would change."""

    package: str
    """As in the inventory."""
    before: str
    """Empty = it would be newly installed."""
    after: str
    """Empty = it would be removed."""
    security: str = UNKNOWN
    """yes, no or unknown: the manager's sources do not tell."""
    repository: str = ""
    """Where the new version comes from; empty = not known."""


class HeldPackage(NamedTuple):
    """One package that stays as it is though a newer version is known."""

    package: str
    version: str
    """The version that it does not get."""
    reason: str
    """held, phased, pinned, needs_new, needs_removal or unresolvable."""


class Plan(NamedTuple):
    """What would be done. Equal steps have equal digests, whatever else is said about them."""

    steps: Tuple[Planned, ...] = ()
    kept: Tuple[HeldPackage, ...] = ()
    download_bytes: int = -1
    """-1 = not known."""
    installed_bytes: Optional[int] = None
    """By how much the disk fills; negative = it frees room; None = not known."""
    reboot: str = UNKNOWN
    """Whether a reboot is expected afterwards: yes, no or unknown."""
    reboot_why: str = ""
    replaced: Tuple[str, ...] = ()
    """Removed packages whose place another takes in the same plan: obsoleted by it, or the oldest of several kernels. An upgrade may
    do that."""

    @property
    def digest(self) -> str:
        """Hex SHA-256 over the steps in the order of their names: what a person saw is what is done."""
        text = "".join("\t".join((step.package, step.before, step.after)) + "\n" for step in sorted(self.steps))
        return hashlib.sha256(b"stardust-plan-v1\n" + text.encode("utf-8", "surrogateescape")).hexdigest()

    @property
    def removals(self) -> List[str]:
        return [step.package for step in self.steps if not step.after]

    @property
    def upgrades(self) -> List[Planned]:
        return [step for step in self.steps if step.before and step.after]

    @property
    def security(self) -> List[Planned]:
        return [step for step in self.steps if step.after and step.security == YES]


def compare_inventories(before: Inventory, after: Inventory) -> Tuple[Tuple[str, str, str], ...]:
    """Packages whose versions differ, as (package, before, after); empty = not installed.

    Of packages with several versions side by side, each version that came or went is told for itself.
    """
    changes: List[Tuple[str, str, str]] = []
    for name in sorted(set(before) | set(after)):
        old = before[name].version.split(" ") if name in before else []
        new = after[name].version.split(" ") if name in after else []
        if len(old) <= 1 and len(new) <= 1:
            if old != new:
                changes.append((name, old[0] if old else "", new[0] if new else ""))
            continue
        changes += [(name, "", version) for version in new if version not in old]
        changes += [(name, version, "") for version in old if version not in new]
    return tuple(changes)


def missed(plan: Plan, after: Inventory) -> List[Planned]:
    """The steps that were not reached."""
    left = []
    for step in plan.steps:
        now = after[step.package].version.split(" ") if step.package in after else []
        reached = step.after in now if step.after else step.before not in now
        if not reached:
            left.append(step)
    return left


def unplanned(plan: Plan, changes: Tuple[Tuple[str, str, str], ...]) -> List[Tuple[str, str, str]]:
    """The changes that are no step."""
    wanted = {(step.package, step.after) for step in plan.steps}
    return [change for change in changes if (change[0], change[2]) not in wanted]
