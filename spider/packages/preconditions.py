"""Checks before packages are changed: names, the package database, the lock, and disk space."""

import os
import re
import time
from typing import Iterator, List, NamedTuple, Sequence, Tuple

from spider.packages.backend import Backend, PackageError
from spider.packages.interfaces import Console
from spider.packages.plan import Inventory, Plan

LOCK_LIMIT_S = 300.0
LOCK_POLL_S = 1.0
SPARE_BYTES = 32 * 1024 * 1024
"""Disk space that must stay free. Package managers write more than they announce (databases, caches, initial ramdisks)."""
BOOT_BYTES = 64 * 1024 * 1024
"""Size of a kernel with its initial ramdisk on a separate /boot."""
MOST_NAMED = 20
_RAMDISK_MAKER = re.compile(r"(?:initramfs-tools(?:-core)?|dracut(?:-core)?|mkinitcpio|mkinitfs)\Z")
"""Packages whose change rebuilds the initial ramdisk. The old file stays until the new file is complete."""


class JobStopped(Exception):
    """A stop was requested, and nothing has been changed yet."""


def join_names(names: Sequence[str]) -> str:
    """The names as text, each cut to 100 characters. Of names beyond MOST_NAMED, only the number."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(name[:100] for name in names[:MOST_NAMED]) + more


def check_stop(console: Console) -> None:
    """Raises: JobStopped."""
    if console.stop_wanted():
        raise JobStopped


def check_names(backend: Backend, verb: str, packages: Sequence[str], inventory: Inventory) -> None:
    """Check that the manager has a package of exactly each name, and that the verb may change it.

    So a name that the manager would read as an option, pattern, version, suite, file or removal (`name-`) is refused.

    Raises: PackageError; PackagesUnreadable.
    """
    if verb == "install":
        unknown = backend.unknown(packages)
        if unknown:
            raise PackageError("job.unknown_package", f"not in the package lists of this node: {join_names(unknown)}")
        return
    unknown = [name for name in packages if name not in inventory]
    if unknown:
        raise PackageError("job.unknown_package", f"not installed on this node: {join_names(unknown)}")
    protected = backend.protected(packages) if verb == "remove" else []
    if protected:
        raise PackageError("job.protected", f"this server or Stardust itself needs {join_names(protected)}")
    if verb in ("upgrade", "remove"):
        refuse_held(packages, inventory)


def check_held(verb: str, plan: Plan, inventory: Inventory) -> None:
    """Refuse a plan that changes packages on hold. Some managers put them into a plan and refuse only its run; others would change them.

    Raises: PackageError.
    """
    if verb != "autoremove":  # the manager decides itself what it leaves
        refuse_held([step.package for step in plan.steps], inventory)


def refuse_held(packages: Sequence[str], inventory: Inventory) -> None:
    """Raises: PackageError: one of these packages is on hold."""
    held = [name for name in packages if name in inventory and inventory[name].held]
    if held:
        raise PackageError("job.package_held", f"on hold on this node: {join_names(held)}")


def check_database(backend: Backend, inventory: Inventory, leaving: Sequence[str] = ()) -> None:
    """Check the package database: one broken package makes every later run fail.

    Args:   leaving: packages to be removed. They may be broken, since their removal repairs the database.
    Raises: PackageError.
    """
    broken = backend.broken({name: package for name, package in inventory.items() if name not in leaving})
    if broken:
        raise PackageError("job.packages_broken", f"{broken}; repair it first")


def wait_for_lock(backend: Backend, console: Console, limit_s: float = LOCK_LIMIT_S) -> bool:
    """Wait until the package lock is free. Returns: whether another program held it, so that earlier results may be outdated.

    Raises: PackageError: the lock was not free within the limit. JobStopped.
    """
    ends_at = time.monotonic() + limit_s
    waited = False
    while True:
        lock = backend.lock()
        if lock is None:
            return waited
        waited = True
        if time.monotonic() >= ends_at:
            raise PackageError("job.lock_busy", f"gave up {lock} after {limit_s:.0f} s")
        console.progress("waiting_lock", text=str(lock))
        console.wait(LOCK_POLL_S)
        check_stop(console)


def check_removals(backend: Backend, verb: str, plan: Plan, *, shown: bool) -> None:
    """Refuse unrequested removals, and removals of packages that the host or Spider needs.

    Args:   shown: whether a person approved this plan.
    Raises: PackageError.
    """
    removals = [name for name in plan.removals if name not in plan.replaced]
    if not removals:
        return
    may = verb in ("full-upgrade", "remove", "autoremove") or (verb == "install" and shown)
    if not may:
        advice = "only full-upgrade may" if verb != "install" else "look at the plan first, then order it"
        raise PackageError("job.would_remove", f"this would remove {join_names(removals)}: {advice}")
    protected = backend.protected(removals)
    if protected:
        raise PackageError("job.protected", f"this would remove what this server or Stardust itself needs: {join_names(protected)}")


class _Need(NamedTuple):
    path: str
    what: str
    size: int


def _existing(path: str) -> str:
    while not os.path.exists(path):
        path = os.path.dirname(path.rstrip("/")) or "/"
    return path


def _needs(backend: Backend, plan: Plan) -> Iterator[_Need]:
    if plan.download_bytes > 0:
        yield _Need(_existing(backend.cache_dir), "downloads", plan.download_bytes)
    if plan.installed_bytes is not None and plan.installed_bytes > 0:
        yield _Need(_existing("/usr"), "installing", plan.installed_bytes)
    filling = [step for step in plan.steps if step.after and (backend.kernels.match(step.package) or _RAMDISK_MAKER.match(step.package))]
    if filling and os.path.ismount("/boot"):
        yield _Need("/boot", "a kernel", BOOT_BYTES)


def check_room(backend: Backend, plan: Plan) -> None:
    """Check the free space of `/`, of `/var`, and of each file system that the plan fills.

    Several needs of one file system are added: downloads, installed files, a kernel. SPARE_BYTES must stay free on each.

    Raises: PackageError. OSError.
    """
    disks: List[Tuple[int, List[_Need]]] = []
    for need in [*_needs(backend, plan), _Need("/", "", 0), _Need(_existing("/var"), "", 0)]:
        device = os.stat(need.path).st_dev
        same = next((found for at, found in disks if at == device), None)
        if same is None:
            disks.append((device, [need]))
        else:
            same.append(need)
    for _, needs in disks:
        space = os.statvfs(needs[0].path)
        free = space.f_bavail * space.f_frsize
        wanted = sum(need.size for need in needs) + SPARE_BYTES
        if free < wanted:
            what = " and ".join(sorted({need.what for need in needs if need.what})) or "a change of packages"
            raise PackageError(
                "job.no_space", f"{needs[0].path} has {free // 1_000_000} MB free; {what} would need {wanted // 1_000_000} MB"
            )
