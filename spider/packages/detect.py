"""Finds and loads the package manager of this host."""

import json
import os
import sys
from importlib import import_module
from typing import Any, Dict, Optional, Sequence, Tuple

from spider.files import read_text
from spider.packages.backend import Backend
from spider.packages.driver import Driver
from spider.packages.host_manager import Native, find_native, name_by_version
from spider.packages.interfaces import ENVIRONMENT, Console, Outcome, PackageCondition, PackageManager, PackagesUnreadable, Task, run_query
from spider.packages.plan import Planned
from spider.packages.report import AfterCare
from spider.sampling.collectors.identity import parse_os_release
from spider.wire.report_messages import Updates

BACKENDS: Dict[str, Tuple[str, Tuple[str, ...]]] = {
    "apt": ("spider.packages.apt.backend.Apt", ("usr/bin/apt-get",)),
    "pacman": ("spider.packages.pacman.backend.Pacman", ("usr/bin/pacman",)),
    "apk": ("spider.packages.apk.backend.Apk", ("sbin/apk", "usr/sbin/apk", "usr/bin/apk")),
    "dnf": ("spider.packages.dnf.dnf4.Dnf4", ("usr/bin/dnf", "usr/bin/dnf-3", "usr/bin/yum")),
    "dnf5": ("spider.packages.dnf.dnf5.Dnf5", ("usr/bin/dnf5",)),
    "yum": ("spider.packages.yum.backend.Yum", ("usr/bin/yum",)),
    "zypper": ("spider.packages.zypper.backend.Zypper", ("usr/bin/zypper",)),
}
"""Backends by the name in `Identity.package_manager`: the class, and programs of which one must exist."""
_VERSION_LIMIT_S = 20.0
_BY_LINK_TARGET = {"dnf-3": "dnf", "dnf-2": "dnf", "dnf4": "dnf", "dnf5": "dnf5"}
"""Backends by the program to which `dnf` or `yum` links. These programs need no query of their version."""


class UnsupportedHost:
    """A system that no package manager may change: each job ends with a sentence that names the alternative."""

    def __init__(self, native: Native) -> None:
        self.name = native.name
        self._instead = native.instead

    def perform(self, task: Task, console: Console) -> Outcome:  # noqa: ARG002  # the same for every verb
        console.print_line(self._instead)
        return Outcome("failed", None, 0, (), "job.not_this_way", self._instead)

    def wait_free(self, console: Console) -> Optional[Outcome]:  # noqa: ARG002  # nothing here takes a lock
        """Returns immediately: no program changes packages here."""
        return None

    newer: Sequence[Planned] = ()

    def condition(self) -> PackageCondition:
        return PackageCondition()

    def held(self) -> Sequence[Tuple[str, str, str]]:
        raise PackagesUnreadable(self._instead)

    def available_updates(self) -> Updates:
        raise PackagesUnreadable(self._instead)


def _find(root: str) -> Native:
    release = parse_os_release(read_text(root + "/etc/os-release") or read_text(root + "/usr/lib/os-release"))
    native = find_native(root, release)
    return Native(_by_version(native.name)) if native.name in ("dnf", "dnf5", "yum") and not root else native


def _by_version(name: str) -> str:
    program = next((path for path in (f"/usr/bin/{name}", "/usr/bin/dnf", "/usr/bin/yum") if os.path.exists(path)), "")
    target = os.path.basename(os.path.realpath(program))
    if target in _BY_LINK_TARGET:
        return _BY_LINK_TARGET[target]
    try:
        return name_by_version(run_query([program, "--version"], ENVIRONMENT, _VERSION_LIMIT_S).out) or name
    except PackagesUnreadable:
        return name


def package_manager(root: str = "/") -> Optional[PackageManager]:
    """The package manager of this host; None: Spider supports no package manager here."""
    from spider.packages.after.post_checks import PostJobChecks  # noqa: PLC0415 - a query of updates does not need it

    native = _find(root.rstrip("/"))
    return UnsupportedHost(native) if native.instead else _driver(native, root, PostJobChecks(native.name))


def updates_manager(root: str = "/") -> Optional[PackageManager]:
    """Like `package_manager`, but without the checks after a job. None also on a system that no package manager may change."""
    native = _find(root.rstrip("/"))
    return None if native.instead else _driver(native, root, None)


def _driver(native: Native, root: str, care: Optional[AfterCare]) -> Optional[Driver]:
    if native.name not in BACKENDS:
        return None
    is_installed = any(os.path.exists(root.rstrip("/") + "/" + program) for program in BACKENDS[native.name][1])
    return Driver(load_backend(native.name), care) if is_installed else None


def load_backend(manager: str) -> Backend:
    """Import one backend, not all: Python compiles the modules of a bundle at each start. Args: manager: a name in BACKENDS."""
    module, _, name = BACKENDS[manager][0].rpartition(".")
    backend: Backend = getattr(import_module(module), name)()
    return backend


def answer(manager: Optional[PackageManager]) -> Optional[Dict[str, Any]]:
    """Query updates, held packages and the condition, as values for JSON. None: there is no package manager."""
    if manager is None:
        return None
    document: Dict[str, Any] = {"unreadable": "", "held_unreadable": "", "updates": (), "newer": (), "held": ()}
    document["condition"] = manager.condition()
    try:
        document["updates"], document["newer"] = manager.available_updates(), manager.newer
    except PackagesUnreadable as error:
        document["unreadable"] = str(error) or "the query of the package manager failed"
        return document
    try:
        document["held"] = manager.held()
    except PackagesUnreadable as error:
        document["held_unreadable"] = str(error) or "the query of the package manager failed"
    return document


def main() -> None:
    """The child process of `SeparateQuery`: it prints one answer as JSON."""
    json.dump(answer(updates_manager()), sys.stdout)
