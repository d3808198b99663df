"""Which file systems are reported, and how full they are."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from spider.mountinfo import Mount
from spider.sampling.collectors.filesystems import Filesystems, StatQueries, VisibleMount, measure
from spider.sampling.collectors.mounts import (
    choose,
    most_important,
    on_demand,
    parse_filesystems,
    parse_mountinfo,
    points_of,
    reachable,
)
from spider.threads import ThreadUnavailable
from spider.wire.metrics import parse_series
from tests.support.recordings import captured, read, write
from tests.support.thread_shortage import no_more_threads

ON_DISKS = parse_filesystems(captured("machine", "filesystems"))


def mounts(origin: str, name: str) -> list[Mount]:
    return parse_mountinfo(captured(origin, name))


def chosen_of(found: list[Mount], on_disks: set[str] = ON_DISKS) -> list[str]:
    """By the best place of each."""
    return [places[0].point for places in choose(found, on_disks)]


def test_the_kernel_lists_the_file_systems_that_need_a_device() -> None:
    assert {"ext2", "ext3", "ext4", "squashfs", "fuseblk", "xfs", "erofs", "btrfs"} == ON_DISKS


@pytest.mark.parametrize(
    ("origin", "name", "chosen"),
    [
        ("machine", "self_mountinfo", ["/"]),
        ("nspawn", "1_mountinfo", ["/", "/tmp"]),
        ("nspawn-sandbox", "self_mountinfo", ["/", "/tmp"]),
        ("lxcfs", "self_mountinfo", ["/", "/tmp"]),
        ("cgroup2-host", "self_mountinfo", ["/", "/tmp"]),
        ("loop-mounts", "1_mountinfo", ["/", "/mnt/data disk"]),
    ],
)
def test_real_file_systems_are_chosen_once(origin: str, name: str, chosen: list[str]) -> None:
    assert chosen_of(mounts(origin, name)) == chosen


def test_a_mount_that_comes_and_goes_with_its_use_is_known() -> None:
    stick, home, data = (Mount("8:1", "/", point, "ext4") for point in ("/run/media/anna/STICK", "/home/anna", "/srv/data"))
    found = on_demand([Mount("0:41", "/", "/home", "autofs"), Mount("0:42", "/", "/srv/nightly", "autofs"), stick, home, data])
    assert found == {stick.point, home.point}
    assert on_demand(mounts("loop-mounts", "1_mountinfo")) == set()


def test_escaped_paths_are_paths_again() -> None:
    found = mounts("loop-mounts", "1_mountinfo")
    assert {("7:0", "/", "/mnt/data disk", "ext4"), ("7:0", "/part", "/mnt/bind", "ext4")} <= {one[:4] for one in found}


def test_mounts_are_read_from_outside_the_sandbox() -> None:
    """/home would be a tmpfs's figures in the unit's own namespace."""
    own, real = mounts("nspawn-sandbox", "self_mountinfo"), mounts("nspawn-sandbox", "1_mountinfo")
    assert reachable(choose(real, ON_DISKS)[0][0], points_of(own)) == ["/"]
    assert reachable(Mount("8:2", "/", "/home", "ext4"), points_of(own)) == []


def test_a_hidden_mount_point_is_measured_at_another() -> None:
    own = mounts("loop-mounts", "self_mountinfo")
    disk = choose(mounts("loop-mounts", "1_mountinfo"), ON_DISKS)[1][0]
    assert disk.point == "/mnt/data disk"
    assert reachable(disk, points_of(own)) == ["/mnt/bind", "/tmp/cap/fmount"], "the second is a single file"


@pytest.mark.parametrize("kind", ["fuse.lxcfs", "fuse.portal", "tmpfs", "autofs", "overlay", "nsfs", "squashfs", "iso9660", "erofs"])
def test_pseudo_and_read_only_image_file_systems_are_left_out(kind: str) -> None:
    assert choose([Mount("0:9", "/", "/srv", kind)], ON_DISKS | {"iso9660"}) == []


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "ceph", "9p", "virtiofs", "fuse.sshfs", "fuse.mergerfs"])
def test_network_file_systems_are_chosen(kind: str) -> None:
    assert chosen_of([Mount("0:9", "/", "/srv", kind)]) == ["/srv"]


def test_of_tmpfs_only_tmp_is_chosen() -> None:
    found = [Mount(f"0:{number}", "/", point, "tmpfs") for number, point in enumerate(("/dev/shm", "/run", "/tmp", "/var/lib/x"))]
    assert chosen_of(found) == ["/tmp"]


@pytest.mark.parametrize(
    ("options", "of_all", "readonly"),
    [
        ("rw,relatime", "rw,discard", False),
        ("ro,relatime", "rw", True),
        ("rw,relatime", "ro,errors=remount-ro", True),
        ("rw", "rw,errors=remount-ro", False),
    ],
)
def test_a_file_system_that_cannot_be_written_is_reported(options: str, of_all: str, readonly: bool) -> None:
    """proc_pid_mountinfo(5): field 6 is of the mount, the last one of the file system."""
    (mount,) = parse_mountinfo(f"36 35 98:0 / /mnt {options} master:1 - ext4 /dev/sda1 {of_all}\n".encode())
    assert mount.readonly is readonly


def test_pools_and_subvolumes_and_a_stick_are_chosen() -> None:
    found = [
        Mount("0:30", "/@", "/", "btrfs"),
        Mount("0:30", "/@home", "/home", "btrfs"),
        Mount("0:40", "/", "/tank/a", "zfs"),
        Mount("0:41", "/", "/tank/b", "zfs"),
        Mount("8:17", "/", "/run/media/me/stick", "vfat"),
        Mount("8:33", "/@data", "/data", "btrfs"),
        Mount("8:49", "/", "/run/other", "ext4"),
    ]
    assert chosen_of(found, ON_DISKS | {"vfat"}) == ["/", "/data", "/run/media/me/stick", "/tank/a", "/tank/b"]


def test_above_the_limit_mounts_of_containers_are_left_out_first() -> None:
    wanted = ["/", "/srv", "/var/log", "/var/lib/docker", "/data/a/b/c/d", "/mnt/share", "/var/lib/kubelet/pods/a"]
    late = ["/var/lib/kubelet/pods/a/volumes/csi/b/mount", "/home/me/.local/share/containers/storage/volumes/a/_data"]
    points = [*late, *reversed(wanted), *(f"/var/lib/docker/volumes/v{number:03}/_data" for number in range(300))]
    kinds = {"/mnt/share": "nfs4"}
    found = choose([Mount(f"8:{at}", "/", point, kinds.get(point, "ext4")) for at, point in enumerate(points)], ON_DISKS)

    assert [places[0].point for places in most_important(found, len(wanted))] == sorted(wanted)
    assert [places[0].point for places in most_important(found, len(wanted) - 2)] == sorted(wanted[:-2])
    assert most_important(found, len(points)) == found


@pytest.mark.parametrize("crowd", ["/mnt/{}", "/data/docker/{}", "/srv/volumes/{}/_data", "/var/lib/store/{}", "/{}"])
@pytest.mark.parametrize("kind", ["ext4", "nfs4"])
def test_a_folder_with_hundreds_of_mounts_displaces_no_other(crowd: str, kind: str) -> None:
    others = {"/": "ext4", "/data": "ext4", "/net/a/b/share": "nfs4", "/var/lib/postgresql/15/main": "ext4", "/var/log": "ext4"}
    if crowd == "/{}":  # what stands beside them is one of them
        del others["/data"]
    points = [*others, *(crowd.format(number) for number in range(300))]
    found = choose([Mount(f"8:{at}", "/", point, others.get(point, kind)) for at, point in enumerate(points)], ON_DISKS)
    kept = [places[0].point for places in most_important(found, 128)]
    assert set(others) <= set(kept)
    assert len(kept) == 128


@pytest.mark.parametrize("text", [b"1 2 3\n", b"36 35 98:0 / /mnt rw master:1 ext3 /dev/root rw\n", b"\xff - \xff\n"])
def test_malformed_mountinfo_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="too short"):
        parse_mountinfo(text)


def test_usage_is_that_of_df(tmp_path: Path) -> None:
    usage, stat = measure(str(tmp_path)), os.statvfs(tmp_path)
    assert usage.size == stat.f_blocks * stat.f_frsize
    assert usage.used == pytest.approx((stat.f_blocks - stat.f_bfree) * stat.f_frsize, abs=64 << 20)
    assert usage.free == pytest.approx(stat.f_bavail * stat.f_frsize, abs=64 << 20)
    assert usage.free <= usage.size - usage.used + (64 << 20)


def proc_of(root: Path, lines: str) -> Filesystems:
    write(root, {"proc/filesystems": b"\text4\n", "proc/self/mountinfo": lines, "proc/1/mountinfo": lines})
    return Filesystems(str(root / "proc"), limit_s=0.2)


def test_a_mounted_file_is_left_out_and_a_missing_place_is_null(tmp_path: Path) -> None:
    write(tmp_path, {"file": "", "disk/x": ""})
    lines = "".join(f"1 1 8:{number} / {tmp_path}/{name} rw - ext4 d rw\n" for number, name in enumerate(("disk", "file", "gone")))
    found = proc_of(tmp_path, lines)
    values = read(found, 0.0)
    size = os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
    assert values[f"filesystem.size{{mount={tmp_path}/disk}}"] == size
    assert f"filesystem.inodes_used{{mount={tmp_path}/disk}}" in values
    assert values[f"filesystem.readonly{{mount={tmp_path}/disk}}"] == 0
    assert not [name for name in values if "/file}" in name or "/gone}" in name]


def test_files_bound_into_a_container_do_not_hide_the_folder_of_their_disk(tmp_path: Path) -> None:
    """As Docker binds them: /etc/hosts and others from the disk that also holds the volume at a longer path."""
    write(tmp_path, {"etc/hosts": "", "etc/hostname": "", "var/lib/postgresql/data/PG_VERSION": ""})
    points = ("etc/hosts", "etc/hostname", "var/lib/postgresql/data")
    lines = "".join(f"1 1 8:1 /docker/{number} {tmp_path}/{point} rw - ext4 d rw\n" for number, point in enumerate(points))
    values = read(proc_of(tmp_path, lines), 0.0)
    size = os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
    assert values[f"filesystem.size{{mount={tmp_path}/var/lib/postgresql/data}}"] == size
    assert not [name for name in values if "/etc/" in name]


@pytest.mark.parametrize("seen", ["as process 1 does", "at other places"])
def test_hundreds_of_bound_files_do_not_hide_the_folder_of_their_disk(tmp_path: Path, seen: str) -> None:
    """A host of containers binds its files at short paths, in the namespace of process 1 or in Spider's own."""
    names = [f"f{number:03}" for number in range(300)]
    write(tmp_path, {**dict.fromkeys(names, ""), "var/lib/long/data/x": ""})
    points = [str(tmp_path / name) for name in [*names, "var/lib/long/data"]]
    found = proc_of(tmp_path, "".join(f"1 1 8:1 /bound {point} rw - ext4 d rw\n" for point in points))
    named = points[-1]
    if seen == "at other places":
        named = "/elsewhere"
        write(tmp_path, {"proc/1/mountinfo": "1 1 8:1 /bound /elsewhere rw - ext4 d rw\n"})
    assert read(found, 0.0)[f"filesystem.size{{mount={named}}}"] is not None


def test_a_share_that_answers_with_an_error_is_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a dead daemon: neither stat nor statvfs returns."""
    real = os.stat

    def stat(path: str, *args: object, **named: object) -> os.stat_result:
        if str(path).endswith("/share"):
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected", path)
        return real(path, *args, **named)  # type: ignore[arg-type]

    found = proc_of(tmp_path, f"1 1 0:9 / {tmp_path}/share rw - fuse.sshfs d rw\n")
    monkeypatch.setattr(os, "stat", stat)
    values = read(found, 0.0)
    monkeypatch.undo()
    assert values[f"filesystem.used{{mount={tmp_path}/share}}"] is None


def test_without_process_1_the_own_mounts_are_read(tmp_path: Path) -> None:
    found = proc_of(tmp_path, "1 1 8:1 / / rw - ext4 d rw\n")
    (tmp_path / "proc/1/mountinfo").unlink()
    assert len(found.read(0.0)) == len(found.series()) >= 2


@pytest.mark.parametrize(("of_all", "told"), [("rw", 0), ("ro,errors=remount-ro", 1)])
def test_the_sandbox_of_spider_is_not_reported_as_a_read_only_mount(tmp_path: Path, of_all: str, told: int) -> None:
    """With hidepid the mounts of process 1 are hidden, and those of the unit (ProtectSystem=strict) are all that is seen."""
    found = proc_of(tmp_path, f"1 1 8:1 / / ro - ext4 d {of_all}\n")
    assert read(found, 0.0)["filesystem.readonly{mount=/}"] == 1
    (tmp_path / "proc/1/mountinfo").unlink()
    assert read(found, 0.0)["filesystem.readonly{mount=/}"] == told


def test_a_hanging_file_system_costs_only_its_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """statvfs is the kernel's, and a dead disk cannot be had here: this one call is held back."""
    held, asked = threading.Event(), []
    real = os.statvfs

    def statvfs(path: str) -> os.statvfs_result:
        asked.append(path)
        if path.endswith("/dead"):
            held.wait(10)
        return real(path)

    monkeypatch.setattr(os, "statvfs", statvfs)
    write(tmp_path, {"dead/x": "", "live/x": ""})
    found = proc_of(
        tmp_path, "".join(f"1 1 8:{number} / {tmp_path}/{name} rw - ext4 d rw\n" for number, name in enumerate(("dead", "live")))
    )
    for _ in range(2):
        values = found.read(0.0)
        by_name = dict(zip(found.series(), values, strict=True))
        assert by_name[f"filesystem.used{{mount={tmp_path}/dead}}"] is None
        assert by_name[f"filesystem.readonly{{mount={tmp_path}/dead}}"] == 0
        assert by_name[f"filesystem.used{{mount={tmp_path}/live}}"] is not None
    assert asked.count(f"{tmp_path}/dead") == 1, "it is not asked again while it hangs"
    held.set()
    for thread in threading.enumerate():
        if thread.name == "statvfs":
            thread.join(5)
    found.read(0.0)
    assert asked.count(f"{tmp_path}/dead") == 2


class ShortOfThreads(dict[str, list[VisibleMount]]):
    """Two disks. When the first hangs, no thread can be started for the second."""

    def __init__(self, hangs: threading.Event) -> None:
        super().__init__({name: [(Mount(name, "/", "/", "ext4"), ["/"])] for name in ("dead", "other")})
        self._hangs = hangs

    def items(self) -> Iterator[tuple[str, list[VisibleMount]]]:  # type: ignore[override]
        yield "dead", self["dead"]
        assert self._hangs.wait(20)
        with no_more_threads():
            yield "other", self["other"]


def test_a_query_that_hangs_is_not_repeated_after_a_shortage_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, held, asked = threading.Event(), threading.Event(), []

    def statvfs(path: str) -> NoReturn:
        asked.append(path)
        hangs.set()
        held.wait(20)
        raise OSError("the disk is gone")

    monkeypatch.setattr(os, "statvfs", statvfs)
    queries = StatQueries(0.02)
    try:
        for _ in range(2):
            with pytest.raises(ThreadUnavailable):
                queries.ask(ShortOfThreads(hangs))
        assert asked == ["/"]
    finally:
        threading.stack_size(0)
        held.set()


def test_mounts_with_equal_labels_get_different_series(tmp_path: Path) -> None:
    names = [b"a_b", b"a\nb", b"a\x1bb", b"a{b", b"a\xff", b"a\xfe", b"x" * 210 + b"1", b"x" * 210 + b"2"]
    lines = b""
    for number, name in enumerate(names):
        path = os.fsencode(tmp_path) + b"/" + name
        os.mkdir(path)
        escaped = b"".join(b"\\%03o" % byte if byte in b" \t\n\\" else bytes([byte]) for byte in path)
        lines += b"1 1 8:%d / %s rw - ext4 d rw\n" % (number, escaped)
    for process in ("self", "1"):
        write(tmp_path, {f"proc/{process}/mountinfo": ""})
        (tmp_path / "proc" / process / "mountinfo").write_bytes(lines)
    write(tmp_path, {"proc/filesystems": b"\text4\n"})
    values = read(Filesystems(str(tmp_path / "proc")), 0.0)
    sizes = [series for series in values if series.startswith("filesystem.size{")]
    assert len(sizes) == len(names)
    assert f"filesystem.size{{mount={tmp_path}/a_b}}" in sizes
    assert all(len(parse_series(series)[1]) <= 200 for series in sizes)
    again = read(Filesystems(str(tmp_path / "proc")), 0.0)
    assert again.keys() == values.keys(), "the names are the same at the next start"
