"""Plans an installation from the probe of a server and the request. Pure: this module changes no server."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from majortom.errors import failure
from majortom.interfaces import Payload, StepName
from majortom.launchd import PLIST, render_plist
from majortom.probe import Existing, Probe, TargetFolder

MIN_SYSTEMD: Final = 239
TYPE_EXEC_SYSTEMD: Final = 240
NEEDED_BYTES: Final = {"/opt": 8 << 20, "/var/lib": 16 << 20, "/etc/systemd/system": 1 << 20, "/etc/init.d": 1 << 20, "/tmp": 2 << 20}  # noqa: S108  # a name, nothing is opened
SPIDER_UNIT: Final = "stardust-spider.service"
LAUNCHER_UNITS: Final = ("stardust-launcher.socket", "stardust-launcher@.service", "stardust-job@.service")
_HOME: Final = "/var/lib/stardust"
OPENRC_SERVICES: Final = ("stardust-spider", "stardust-launcher")
_PYTHON_IN_UNITS: Final = re.compile(r"/usr/bin/python3(?=\s)")
_PYTHON: Final = re.compile(r"/[A-Za-z0-9._/+-]+\Z")
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}\Z")

Cleaning = Literal["nothing", "undo", "remove", "stash"]
"""What happens to an installation found on the server. undo: an unfinished one is undone. remove: a finished one is removed, but for the policy file. stash: the
installation is moved away until the new one is finished."""


class InstallPlan(NamedTuple):
    """The plan of an installation."""

    clean: Cleaning
    python_manager: str
    """The package manager that installs python3; empty: python3 exists."""
    kept_folders: tuple[str, ...] = ()
    """Folders of /var/lib/stardust that a new installation keeps from the stashed one."""


def plan_install(
    probe: Probe, *, install_python: bool, hub_url: str, fleet: str, replaceable: bool, node: str = "", name: str = ""
) -> InstallPlan:
    """Decide the steps of an installation.

    Args:   fleet: id of the hub's fleet. replaceable: the hub no longer has the node whose agent is on the server.
            node: the node to deploy again; empty: a new node. A node that is deployed again replaces any agent on the server, but not
            the agent of another node that this hub still has. name: the name of the node whose agent is on the server; empty: not known.
    Raises: DeployError: the agent cannot be installed on the server as it is. Nothing was changed.
    """
    existing = probe.existing
    if probe.nixos_module:
        if existing.node:
            raise failure("already_installed", "probe", what=f"node {name or existing.node}")
        return InstallPlan("nothing", _check_python(probe, install_python=False), ())
    if probe.launchd:
        return InstallPlan(_check_existing(existing, fleet, name, replaceable=replaceable), _check_python(probe, install_python=False), ())
    _check_system(probe)
    clean = (
        _check_replaced(existing, fleet, node, name, replaceable=replaceable)
        if node
        else _check_existing(existing, fleet, name, replaceable=replaceable)
    )
    check_open(probe)
    manager = _check_python(probe, install_python=install_python)
    if probe.python and probe.reach not in ("", "ok"):
        raise failure("hub_unreachable", "probe", url=hub_url, why=probe.reach)
    return InstallPlan(clean, manager, _kept_folders(existing, fleet, node) if clean == "stash" else ())


def check_open(probe: Probe) -> None:
    """Refuse a server whose interpreter or folders are inaccessible to Spider's account. The probe needs an interpreter to find that out.

    Raises: DeployError.
    """
    if probe.closed is not None:
        raise failure("closed_to_spider", "probe", **probe.closed._asdict())


def _check_system(probe: Probe) -> None:
    step: StepName = "probe"
    if probe.kernel == "Darwin":
        raise failure("macos", step)
    if probe.kernel != "Linux":
        raise failure("not_linux", step, kernel=probe.kernel)
    if probe.os_id == "nixos":
        raise failure("nixos", step)
    if not probe.systemd and not probe.openrc:
        raise failure("no_systemd", step)
    if probe.openrc_runlevel in ("shutdown", "reboot", "off"):
        raise failure("systemd_stopping", step)
    if probe.systemd and probe.systemd_version < MIN_SYSTEMD:
        raise failure("systemd_old", step, version=probe.systemd_version)
    if probe.systemd_state in ("stopping", "maintenance"):
        raise failure("systemd_stopping", step)
    if probe.missing_tools:
        raise failure("tool_missing", step, tools=", ".join(probe.missing_tools))
    for folder in probe.folders:
        if not folder.writable:
            raise failure("read_only", step, path=folder.path)
    _check_space(probe.folders)


def _check_space(folders: Sequence[TargetFolder]) -> None:
    """Check the free space. Folders on one file system need room together; the error then names its mount point.

    A device may be mounted several times. A file system without a device, such as tmpfs, is known by its mount point.
    """
    shared: dict[str, list[TargetFolder]] = {}
    for folder in folders:
        known = folder.device if folder.device.startswith("/") else folder.mount
        shared.setdefault(known or folder.path, []).append(folder)
    for sharing in shared.values():
        free = min(folder.free_bytes for folder in sharing)
        needed = sum(NEEDED_BYTES.get(folder.path, 0) for folder in sharing)
        if free < needed:
            path = sharing[0].path if len(sharing) == 1 else sharing[0].mount or sharing[0].path
            raise failure("no_space", "probe", path=path, free=_mebibytes(free), needed=_mebibytes(needed))


def _check_existing(existing: Existing, fleet: str, name: str, *, replaceable: bool) -> Cleaning:
    if existing.jobs:
        raise failure("job_running", "probe")
    if existing.finished is False:
        return "undo"
    if existing.finished and existing.fleet == fleet and replaceable:
        return "remove"
    if existing.paths == ("/var/lib/stardust",) and existing.finished is None:
        return "undo"  # the installation ended between its first two calls; only an empty folder is removed
    if existing.paths:
        who = f"node {name or existing.node}" if existing.node else existing.paths[0]
        raise failure("already_installed", "probe", what=who)
    for what, line in (("user", existing.user), ("group", existing.group)):
        if line:
            raise failure("name_in_use", "probe", what=what)
    return "nothing"


def _check_replaced(existing: Existing, fleet: str, node: str, name: str, *, replaceable: bool) -> Cleaning:
    if existing.jobs:
        raise failure("job_running", "probe")
    if existing.finished is False:
        return "undo"
    if existing.node not in ("", node) and existing.fleet == fleet and not replaceable:
        raise failure("already_installed", "probe", what=f"node {name or existing.node}")
    if existing.user and existing.user.split(":")[5:6] != [_HOME]:
        raise failure("name_in_use", "probe", what="user")
    return "stash" if existing.paths or existing.user or existing.group else "nothing"


def _kept_folders(existing: Existing, fleet: str, node: str) -> tuple[str, ...]:
    """The folders that the new installation keeps. `started` and `jobs` show which jobs have run. They stay unless the agent on the server
    is certainly that of another node."""
    if existing.node == node and existing.fleet == fleet:
        return ("spider", "started", "jobs")
    return () if existing.node else ("started", "jobs")


def _check_python(probe: Probe, *, install_python: bool) -> str:
    if probe.python:
        return ""
    if install_python:
        if probe.package_manager in ("", "apk"):
            raise failure("no_package_manager", "probe")
        return probe.package_manager
    if probe.python_incomplete:
        raise failure("python3_incomplete", "probe", missing=probe.python_incomplete)
    if probe.python_old:
        raise failure("python3_old", "probe", version=probe.python_old)
    raise failure("no_python3", "probe")


def _mebibytes(size: int) -> str:
    """A size in words, rounded down: too little free space must never look like enough."""
    return f"{size >> 20} MiB"


def with_launcher(policy_conf: str) -> bool:
    """Whether the agent gets a launcher, which acts as root. Every mode of the policy except `monitor` needs one."""
    found = re.search(r"(?m)^\s*mode\s*=\s*(\S+)\s*$", policy_conf)
    return found is None or found[1] != "monitor"


def render_unit(text: str, python: str, systemd_version: int) -> str:
    """Adapt a unit file, or a service of OpenRC, to the server's interpreter and version of systemd.

    Raises: ValueError: the path of the interpreter is not plain.
    """
    if not _PYTHON.match(python):
        raise ValueError(f"not a plain path: {python!r}")
    text = _PYTHON_IN_UNITS.sub(python, text)
    if systemd_version < TYPE_EXEC_SYSTEMD:
        text = re.sub(r"(?m)^Type=exec$", "Type=simple", text)
    return text


def unit_names(probe: Probe, *, launcher: bool) -> tuple[str, ...]:
    """The files that tell the server's init which programs to start."""
    if probe.launchd:
        return (PLIST,)
    if probe.openrc:
        return OPENRC_SERVICES if launcher else OPENRC_SERVICES[:1]
    return (SPIDER_UNIT, *(LAUNCHER_UNITS if launcher else ()))


def upload_files(payload: Payload, units: Mapping[str, str], probe: Probe) -> dict[str, bytes]:
    """All files to upload, by their names in `remote/lifecycle.sh`.

    Args:   units: unit files by name, as shipped.
    Raises: ValueError: the version is not a plain word; it becomes the name of a folder.
    """
    if not _VERSION.match(payload.version) or ".." in payload.version:
        raise ValueError(f"not a version: {payload.version!r}")
    launcher = with_launcher(payload.policy_conf)
    files = {
        "spider.pyz": payload.bundle,
        "spider.conf": payload.spider_conf.encode(),
        "policy.conf": payload.policy_conf.encode(),
        "session.key": bytes.fromhex(payload.session_key.reveal()),
    }
    if launcher:
        files["launch.key"] = bytes.fromhex(payload.launch_key.reveal())
    for name in unit_names(probe, launcher=launcher):
        files[name] = (
            render_plist(probe.python) if name == PLIST else render_unit(units[name], probe.python, probe.systemd_version).encode()
        )
    listing = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    files["manifest"] = listing.encode()
    return files
