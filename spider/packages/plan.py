"""Plans and inventories in one form for all package managers."""

import hashlib
from typing import Dict, List, NamedTuple, Optional, Tuple

YES, NO, UNKNOWN = "yes", "no", "unknown"


class InstalledPackage(NamedTuple):
    """One package of the manager's database."""

    version: str
    """The installed version. If several are installed (kernels): all versions, oldest first, separated by blanks."""
    broken: bool = False
    """Whether its installation is incomplete."""
    held: bool = False
    """Whether the package is on hold. Package managers also call it locked, excluded or ignored."""


Inventory = Dict[str, InstalledPackage]
"""Installed packages by name. Orders use the same names: `libc6`, `libc6:i386`, `bash.x86_64`."""


class Planned(NamedTuple):
    """One package that would change."""

    package: str
    """The name as in the inventory."""
    before: str
    """Empty = the package would be newly installed."""
    after: str
    """Empty = the package would be removed."""
    security: str = UNKNOWN
    """Whether it is a security update: yes, no or unknown (the repositories do not say)."""
    repository: str = ""
    """The repository of the new version; empty = unknown."""


class HeldPackage(NamedTuple):
    """One package that is not changed although a newer version exists."""

    package: str
    version: str
    """The newer version, which is not installed."""
    reason: str
    """held, phased, pinned, needs_new, needs_removal or unresolvable."""


class Plan(NamedTuple):
    """The steps of a transaction, and their effects. Only the steps decide the digest."""

    steps: Tuple[Planned, ...] = ()
    kept: Tuple[HeldPackage, ...] = ()
    download_bytes: int = -1
    """-1 = unknown."""
    installed_bytes: Optional[int] = None
    """Change of the used disk space; negative = space is freed; None = unknown."""
    reboot: str = UNKNOWN
    """Whether the plan makes a reboot due: yes, no or unknown."""
    reboot_why: str = ""
    replaced: Tuple[str, ...] = ()
    """Removed packages that another package of this plan replaces: obsoleted packages, and the oldest of several kernels. An upgrade
    may remove them."""
    restarts: Tuple[str, ...] = ()
    """Running services of changed packages, which will probably restart."""

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the steps sorted by name. It binds a job to the approved plan."""
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

    If a package has several installed versions, each added or removed version is an entry.
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
    """The steps whose result is not in the inventory."""
    left = []
    for step in plan.steps:
        now = after[step.package].version.split(" ") if step.package in after else []
        reached = step.after in now if step.after else step.before not in now
        if not reached:
            left.append(step)
    return left


def unplanned(plan: Plan, changes: Tuple[Tuple[str, str, str], ...]) -> List[Tuple[str, str, str]]:
    """The changes that no step planned."""
    wanted = {(step.package, step.after) for step in plan.steps}
    return [change for change in changes if (change[0], change[2]) not in wanted]
