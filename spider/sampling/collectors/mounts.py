"""The mounts of this host, and the choice of the file systems to report. Pure."""

import os
import re
from typing import Dict, List, Set, Tuple

from spider.mountinfo import Mount, parse_mounts

MAX_MOUNT_POINTS = 1024
"""Most mount points of one file system that are examined: a container host bind-mounts hundreds of its files."""
CROWD = 16
"""If more than this number of names in one folder lead to mount points, these mount points are a crowd. If there are too many file systems to
report, those of a crowd are left out early."""
_IMAGES = frozenset({"squashfs", "iso9660", "udf", "erofs", "cramfs", "romfs"})
"""Read-only images (snaps, CDs), which are always full."""
_POOLED = frozenset({"zfs", "bcachefs", "fuse.mergerfs", "fuse.zfs"})
"""File systems on disks that the kernel does not mark as such."""
_REMOTE = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ceph",
        "9p",
        "virtiofs",
        "glusterfs",
        "lustre",
        "beegfs",
        "gpfs",
        "afs",
        "ocfs2",
        "gfs2",
        "orangefs",
        "vboxsf",
        "fuse.glusterfs",
        "fuse.ceph-fuse",
        "fuse.ceph",
        "fuse.sshfs",
        "fuse.juicefs",
        "fuse.moosefs",
        "fuse.mfs",
        "fuse.s3fs",
        "fuse.rclone",
    ]
)
"""File systems that another machine serves. They may hang when that machine is gone: see `StatQueries`."""
_OF_CONTAINERS = re.compile(
    r"/var/(?:lib|snap)/(?:kubelet|docker|containerd|containers|rancher|k0s|lxc|lxd|incus|machines|microk8s)/"
    r"|/.+/\.local/share/(?:docker|containers)/"
)
"""Folders with volumes and layers of containers, hundreds on some hosts."""
_MEMORY_AT = frozenset({"/tmp", "/var/tmp"})  # noqa: S108 - only compared with; nothing is written there
"""Mount points at which even a file system in memory is reported, because programs fail when it is full."""


def parse_mountinfo(data: bytes) -> List[Mount]:
    """The mounts of a whole /proc/PID/mountinfo. Paths are as `os` expects them (surrogate escapes).

    Raises: ValueError: a line is damaged. A file system that is left out would seem to be gone.
    """
    text = data.decode("utf-8", "surrogateescape")
    mounts = parse_mounts(text)
    if len(mounts) != sum(1 for line in text.split("\n") if line):
        raise ValueError("a line of mountinfo is too short")
    return mounts


def parse_filesystems(data: bytes) -> Set[str]:
    """Parse /proc/filesystems.

    Returns: the types that need a block device.
    Source:  proc_filesystems(5): the other types are marked `nodev`.
    """
    return {line.strip() for line in data.decode("utf-8", "replace").split("\n") if line[:1] == "\t" and line.strip()}


def is_remote(kind: str) -> bool:
    """Whether another machine or a user-space program serves the file system, so that a query may never return."""
    return kind in _REMOTE or kind.startswith("fuse.")


def choose(mounts: List[Mount], disk_kinds: Set[str]) -> List[List[Mount]]:
    """Choose the file systems to report: those on disks, remote ones, a /tmp in memory, and the file system at `/`.

    Left out are: other file systems in memory (tmpfs), because they count as memory; images, because they are always full; mounts that a later
    one at the same point hides; mounts below /dev, /proc, /run (except /run/media) and /sys.

    Returns: the mount points of each file system. Mounts of the whole file system come first, then mounts at shorter paths.
    """
    visible = {mount.point: mount for mount in mounts}
    found: Dict[str, List[Mount]] = {}
    for mount in visible.values():
        point = mount.point
        if point != "/":
            real = mount.kind in disk_kinds or mount.kind in _POOLED or mount.kind in _REMOTE
            if mount.kind in _IMAGES or not (real or (mount.kind == "tmpfs" and point in _MEMORY_AT)):
                continue
            if (point + "/").startswith(("/dev/", "/proc/", "/run/", "/sys/")) and not point.startswith("/run/media/"):
                continue
        found.setdefault(mount.device, []).append(mount)
    chosen = [sorted(candidates, key=_rank)[:MAX_MOUNT_POINTS] for candidates in found.values()]
    return sorted(chosen, key=lambda candidates: candidates[0].point)


def on_demand(mounts: List[Mount]) -> Set[str]:
    """The points that come and go with their use: those of an automounter (autofs), those directly in its folders, and all below /run."""
    automounters = {mount.point for mount in mounts if mount.kind == "autofs"}
    others = {mount.point for mount in mounts if mount.kind != "autofs"}
    return {point for point in others if point.startswith("/run/") or {point, os.path.dirname(point)} & automounters}


def _rank(mount: Mount) -> Tuple[bool, bool, int, str]:
    return mount.point != "/", mount.root != "/", len(mount.point), mount.point


def most_important(found: List[List[Mount]], most: int) -> List[List[Mount]]:
    """The most important file systems: `/`, then local ones, remote ones, crowds, and file systems of containers.

    Short paths come first. So a folder with hundreds of mounts does not displace other mounts.

    Args: found: the result of `choose`; its order is kept.
    """
    if len(found) <= most:
        return found
    crowded = crowds([candidates[0].point for candidates in found])

    def weight(candidates: List[Mount]) -> Tuple[bool, bool, bool, bool, int, int, str]:
        kind, point = candidates[0].kind, candidates[0].point
        of_containers = _OF_CONTAINERS.match(point) is not None
        return point != "/", of_containers, point in crowded, is_remote(kind), point.count("/"), len(point), point

    important = {candidates[0] for candidates in sorted(found, key=weight)[:most]}
    return [candidates for candidates in found if candidates[0] in important]


def crowds(points: List[str]) -> Set[str]:
    """Those of the mount points that are in a crowd (`CROWD`).

    For `/`, only mounts directly below it count, because all paths begin there.
    """
    beside: Dict[str, Set[str]] = {}
    below: Dict[str, List[str]] = {}
    for point in points:
        parts = point.split("/")
        for at in range(1 if len(parts) == 2 else 2, len(parts)):
            folder = "/".join(parts[:at])
            beside.setdefault(folder, set()).add(parts[at])
            below.setdefault(folder, []).append(point)
    return {point for folder, names in beside.items() if len(names) > CROWD for point in below[folder]}


def points_of(own: List[Mount]) -> Dict[str, List[str]]:
    """The visible mount points of each device, the shortest first. Args: own: the mounts of this process, in the order of mounting."""
    found: Dict[str, List[str]] = {}
    for point, device in {mount.point: mount.device for mount in own}.items():
        found.setdefault(device, []).append(point)
    return {device: sorted(points, key=lambda point: (len(point), point))[:MAX_MOUNT_POINTS] for device, points in found.items()}


def reachable(mount: Mount, own: Dict[str, List[str]]) -> List[str]:
    """The paths at which this process sees the file system of a mount. The sandbox of this process may have another file system at the mount's
    path.

    Args: own: the result of `points_of` for this process.
    """
    points = own.get(mount.device, [])
    return [mount.point] if mount.point in points else points
