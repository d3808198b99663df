"""Finds services and containers in the tree of cgroups, of version 1, of version 2, or of both together."""

import os
import re
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from spider.files import read_text
from spider.wire.text import plain

ROOT = "/sys/fs/cgroup"
MAX_DEPTH = 10
MAX_FOLDERS = 10_000
"""Deepest level that a search visits, and most cgroups that it looks at."""

SERVICE = "service"
_HEX = r"([0-9a-f]{64})"
_SCOPES: Tuple[Tuple[str, "re.Pattern[str]"], ...] = (
    ("docker", re.compile(rf"docker-{_HEX}\.scope\Z")),
    ("podman", re.compile(rf"libpod-(?:payload-)?{_HEX}(?:\.scope)?\Z")),
    ("crio", re.compile(rf"crio-{_HEX}(?:\.scope)?\Z")),
    ("containerd", re.compile(rf"(?:cri-containerd|nerdctl)-{_HEX}\.scope\Z")),
    ("lxc", re.compile(r"lxc\.payload\.(.+)\Z")),
    ("libvirt", re.compile(r"machine-(?:qemu|lxc)-\d+-(.+)\.scope\Z")),
    ("nspawn", re.compile(r"machine-(.+)\.scope\Z")),
    ("nspawn", re.compile(r"systemd-nspawn@(.+)\.service\Z")),
)
"""Name patterns of a container's cgroup; the group of the pattern is the container's name or id."""
_BELOW: Tuple[Tuple[str, str, "re.Pattern[str]"], ...] = (
    ("docker", "docker", re.compile(_HEX + r"\Z")),
    ("lxc", "lxc", re.compile(r"(?!\.)(.+)\Z")),
    ("lxc.payload", "lxc", re.compile(r"(.+)\Z")),
    ("libpod_parent", "podman", re.compile(rf"libpod-{_HEX}\Z")),
    ("kubepods", "kubernetes", re.compile(_HEX + r"\Z")),
)
"""Name patterns where the parent cgroup identifies the engine: the parent's name (or a part of it), the engine, the pattern."""
_TRANSIENT = re.compile(r"(?:run-|stardust-job@|user-runtime-dir@|systemd-coredump@|.*@[0-9a-f]{8,})|session-")
"""Services that get a new name at each start."""
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


class Group(NamedTuple):
    """One service or container."""

    kind: str
    """service, or the engine of a container."""
    name: str
    """The unit's name, or the container's id. Some engines (LXC, libvirt) use the container's name as its id."""
    path: str
    """Path below the hierarchy's root."""
    inode: int
    """Inode of its cgroup; a restart makes a new one."""


def unescape(text: str) -> str:
    """Decode systemd's escapes in a unit's name. Source: systemd-escape(1)."""
    return _ESCAPE.sub(lambda match: chr(int(match.group(1), 16)), text)


def container_of(name: str, above: str) -> Optional[Tuple[str, str]]:
    """Engine and id of the container with this cgroup; None: the cgroup is not that of a container.

    Args: name, above: names of the cgroup and of its parent.
    """
    for engine, pattern in _SCOPES:
        match = pattern.match(unescape(name) if engine in ("libvirt", "nspawn") else name)
        if match:
            return engine, plain(match.group(1), 64)
    for start, engine, pattern in _BELOW:
        if (above == start or (start == "kubepods" and "pod" in above)) and pattern.match(name):
            return engine, plain(name, 64)
    return None


class Hierarchies(NamedTuple):
    """The mount points of the cgroup hierarchies."""

    tree: str
    """The hierarchy to walk: version 2, systemd's own, or the hierarchy of a controller."""
    unified: str
    """The version 2 hierarchy; empty = none."""
    controllers: Dict[str, str]
    """Version 1 hierarchies by controller: cpuacct, memory, blkio, freezer."""


def find_hierarchies(root: str = ROOT) -> Optional[Hierarchies]:
    """Find the hierarchies of this host. None: the host has no cgroups that Spider can see.

    Source: cgroups(7); systemd's CGROUP_DELEGATION: legacy, hybrid (`unified` beside version 1), unified.
    """
    if os.path.exists(root + "/cgroup.controllers") or os.path.exists(root + "/cgroup.subtree_control"):
        return Hierarchies(root, root, {})
    controllers: Dict[str, str] = {}
    for name in ("cpuacct", "memory", "blkio", "freezer"):
        for folder in (name, "cpu,cpuacct") if name == "cpuacct" else (name,):
            if os.path.isdir(f"{root}/{folder}"):
                controllers.setdefault(name, f"{root}/{folder}")
    unified = root + "/unified" if os.path.exists(root + "/unified/cgroup.procs") else ""
    trees = [root + "/systemd", unified, *controllers.values()]
    tree = next((tree for tree in trees if tree and _has_folders(tree)), "")
    return Hierarchies(tree, unified, controllers) if tree else None


def _has_folders(path: str) -> bool:
    try:
        return os.stat(path).st_nlink > 2
    except OSError:
        return False


def own_prefix(proc: str = "/proc") -> str:
    """The path before `/system.slice` on a host that does not see its cgroups from their root (some containers); else empty."""
    for line in read_text(proc + "/self/cgroup").split("\n"):
        before, slices, _ = line.split(":", 2)[-1].partition("/system.slice/")
        if slices and before:
            return before
    return ""


def walk(tree: str, prefix: str = "") -> Iterator[Group]:
    """Iterate over system services, users' slices (one entry each) and containers. Cgroups that vanish meanwhile are left out.

    Args: tree: the hierarchy's root. prefix: where to begin below it, as `own_prefix` returns it.
    """
    seen = 0
    start = prefix if prefix and os.path.isdir(tree + prefix) else ""
    waiting: List[Tuple[str, str, int, bool]] = [(start, "", 0, False)]
    while waiting:
        path, above, depth, inside = waiting.pop()
        try:
            with os.scandir(tree + path) as entries:
                folders = sorted((entry.name, entry.inode()) for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:
            continue
        for name, inode in folders:
            seen += 1
            if seen > MAX_FOLDERS:
                return
            child = f"{path}/{name}"
            container = container_of(name, above)
            if container is not None:
                yield Group(container[0], container[1], child, inode)
                continue
            service = not inside and (name.endswith(".service") or (above == "user.slice" and name.startswith("user-")))
            sliced = not inside and not service and name.endswith(".slice")  # services below any other cgroup belong to a container
            if service:
                yield Group(SERVICE, plain(name), child, inode)
            if depth < MAX_DEPTH and _has_folders(tree + child):
                waiting.append((child, name, depth + 1, not sliced))


def groups(root: str = ROOT, proc: str = "/proc") -> Tuple[Optional[Hierarchies], List[Group]]:
    """The hierarchies, and the present services and containers in them. Hierarchies None: the host has no cgroups that Spider can see."""
    hierarchies = find_hierarchies(root)
    if hierarchies is None:
        return None, []
    return hierarchies, list(walk(hierarchies.tree, own_prefix(proc)))


def is_transient(name: str) -> bool:
    """Whether a service gets a new name at each start."""
    return _TRANSIENT.match(name) is not None


def group_names(root: str = ROOT) -> Dict[int, str]:
    """The service or container of each cgroup in the version 2 tree, by the cgroup's inode. Empty: there is no such tree."""
    hierarchies = find_hierarchies(root)
    if hierarchies is None or not hierarchies.unified:
        return {}
    found: Dict[int, str] = {}
    for group in walk(hierarchies.unified, own_prefix()):
        found[group.inode] = group.name if group.kind == SERVICE else f"{group.kind} {group.name[:12]}"
        below = [hierarchies.unified + group.path]
        while below and len(found) < MAX_FOLDERS:
            folder = below.pop()
            if not _has_folders(folder):
                continue
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            found.setdefault(entry.inode(), found[group.inode])
                            below.append(entry.path)
            except OSError:
                continue
    return found
