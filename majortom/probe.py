"""The state of a server, as `remote/probe.sh` found it."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Sequence
from typing import Final, NamedTuple

from majortom.errors import failure, one_line
from majortom.interfaces import StepName

MAX_POLICY_BYTES: Final = 16 * 1024
MAX_ENCODED: Final = 4 * (MAX_POLICY_BYTES // 3 + 2)


class TargetFolder(NamedTuple):
    """A folder that an installation writes to."""

    path: str
    free_bytes: int
    writable: bool
    noexec: bool
    device: str = ""
    """The device of its file system, or another word if it has none, such as `tmpfs`; empty: unknown."""
    mount: str = ""
    """The mount point of its file system; empty: unknown."""


class Existing(NamedTuple):
    """The installation of Stardust that the server already has."""

    paths: tuple[str, ...] = ()
    finished: bool | None = None
    """Whether its journal is complete; None: there is no journal."""
    node: str = ""
    fleet: str = ""
    user: str = ""
    """The line of /etc/passwd."""
    group: str = ""
    jobs: int = 0
    """Number of active job units."""
    proxy: str = ""
    """The proxy of the agent's connection to the hub."""
    policy: str = ""
    """The mode in policy.conf; empty: the file is missing or unreadable."""
    has_policy: bool = False
    """Whether there is a policy.conf, perhaps from its owner alone."""
    policy_text: str | None = None
    """The text of policy.conf; None: there is none, or it is no plain text of at most MAX_POLICY_BYTES."""


class InaccessiblePath(NamedTuple):
    """A folder or a file on which Spider's account lacks a right."""

    path: str
    mode: str
    needed: str
    """The required rights, as chmod writes them: `x` or `rx`."""


class Probe(NamedTuple):
    """The state of a server before any change."""

    uid: int
    kernel: str
    arch: str
    hostname: str
    os_id: str
    os_name: str
    clock: float
    systemd: bool
    systemd_version: int
    systemd_state: str
    selinux: str
    """enforcing, permissive or absent."""
    package_manager: str
    missing_tools: tuple[str, ...]
    folders: tuple[TargetFolder, ...]
    python: str
    """Path of the interpreter for the agent; empty: none is suitable."""
    python_version: str
    python_old: str
    """Version of a python3 that is too old; empty: none was found."""
    python_incomplete: str
    """The parts of the standard library that a python3 lacks; empty: none was found."""
    reach: str
    """`ok`, or why the server cannot reach Ground Control; empty: not tried."""
    existing: Existing
    proxy: str = ""
    """The proxy of an invite for the connection to the hub."""
    closed: InaccessiblePath | None = None
    openrc: str = ""
    """Version of OpenRC; empty: OpenRC does not start the services of this server."""
    openrc_runlevel: str = ""
    nixos_module: bool = False
    """Whether the NixOS module runs the probe: account, units and policy are its own, and only the keys are missing."""
    launchd: bool = False
    """Whether launchd starts the services: this is macOS, and its own probe (`remote/macos/probe.sh`) was run there."""


def parse_probe(lines: Sequence[str], step: StepName = "probe") -> Probe:
    """Parse the output of the probe.

    Args:   lines: `name=value` each. Other lines are ignored, because log-in shells may print text.
    Raises: DeployError: a value that every server has is missing or no number.
    """
    fields: dict[str, str] = {}
    missing: list[str] = []
    folders: list[TargetFolder] = []
    for line in lines:
        name, sign, value = line.partition("=")
        if not sign:
            continue
        if name == "missing_tool":
            missing.append(one_line(value, 40))
        elif name.startswith("folder "):
            folders.append(_folder(name[7:], value))
        else:
            fields.setdefault(name, one_line(value, MAX_ENCODED if name == "policy_text" else 1000))
    try:
        return Probe(
            uid=int(fields["uid"]),
            kernel=fields["kernel"],
            arch=fields["arch"],
            hostname=fields["hostname"][:253],
            os_id=_unquote(fields.get("os_ID", "")),
            nixos_module=fields.get("nixos_module") == "yes",
            launchd=fields.get("launchd") == "yes",
            os_name=_unquote(fields.get("os_PRETTY_NAME", "")),
            clock=float(fields["clock"]),
            systemd=fields.get("systemd") == "yes",
            systemd_version=_number(fields.get("systemd_version", "")),
            systemd_state=fields.get("systemd_state", ""),
            selinux={"1": "enforcing", "0": "permissive"}.get(fields.get("selinux", ""), "absent"),
            package_manager=fields.get("package_manager", ""),
            missing_tools=tuple(missing),
            folders=tuple(folders),
            python=fields.get("python", "") if re.fullmatch(r"/[A-Za-z0-9._/+-]+", fields.get("python", "")) else "",
            python_version=fields.get("python_version", ""),
            python_old=fields.get("python_old", ""),
            python_incomplete=fields.get("python_incomplete", ""),
            reach=fields.get("reach", ""),
            existing=_existing(fields),
            proxy=fields.get("proxy", ""),
            closed=_closed(fields.get("closed", "")),
            openrc=_openrc(fields.get("openrc", "")),
            openrc_runlevel=fields.get("openrc_runlevel", ""),
        )
    except KeyError as exc:
        raise failure("probe_failed", step, why=f"the answer lacks {exc.args[0]}") from None
    except ValueError:
        raise failure("probe_failed", step, why="the answer has a wrong number") from None


def _existing(fields: dict[str, str]) -> Existing:
    journal = fields.get("journal")
    return Existing(
        paths=tuple(fields.get("existing", "").split()),
        finished=None if journal is None else journal == "complete",
        node=fields.get("existing_id", ""),
        fleet=fields.get("existing_fleet", ""),
        user=fields.get("user", ""),
        group=fields.get("group", ""),
        proxy=fields.get("existing_proxy", ""),
        jobs=_number(fields.get("jobs", "")),
        policy=fields.get("existing_policy", ""),
        has_policy=fields.get("policy_file") == "yes",
        policy_text=_policy_text(fields.get("policy_text", "")),
    )


def _policy_text(encoded: str) -> str | None:
    try:
        text = base64.b64decode(encoded, validate=True)
        return text.decode() if 0 < len(text) <= MAX_POLICY_BYTES else None
    except ValueError:
        return None


def _folder(path: str, value: str) -> TargetFolder:
    words = value.split(maxsplit=4)
    free, writable, noexec = [*words, "0", "no", "no"][:3]
    device, mount = (one_line(word, 200) for word in [*words[3:], "", ""][:2])
    return TargetFolder(path, _number(free) * 1024, writable == "yes", noexec == "yes", device, mount)


def _closed(text: str) -> InaccessiblePath | None:
    words = text.rsplit(" ", 2)
    return InaccessiblePath(*words) if len(words) == 3 else None  # path, mode, rights


def _openrc(text: str) -> str:
    """The version in `rc-service (OpenRC) 0.45.2 (…)`. Some releases add the kind of container."""
    found = re.search(r"\b\d+(?:\.\d+)+", text)
    return found[0] if found else ""


def _number(text: str) -> int:
    found = re.search(r"\d{1,15}", text)
    return int(found[0]) if found else 0


def _unquote(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError:
        return ""
    return one_line(" ".join(words), 120)


def summary(probe: Probe, now: float) -> str:
    """Describe the server in one line for people.

    Args: now: the hub's time, Unix seconds.
    """
    parts = [probe.os_name or probe.os_id or probe.kernel, probe.arch]
    parts.append("launchd" if probe.launchd else f"OpenRC {probe.openrc}" if probe.openrc else f"systemd {probe.systemd_version}")
    parts.append(f"Python {probe.python_version}" if probe.python else "no python3")
    if probe.selinux != "absent":
        parts.append(f"SELinux {probe.selinux}")
    skew = probe.clock - now
    if abs(skew) > 60:
        parts.append(f"its clock is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}")
    return ", ".join(parts)
