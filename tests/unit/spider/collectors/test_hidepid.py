"""A real /proc that hides other users' processes (hidepid=2), and a file system that becomes read-only, in their own mount namespace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.mount_namespace import apart

READ = """
import os
from spider.sampling.collectors.filesystems import Filesystems
from spider.sampling.collectors.linux import linux_collectors
from spider.sampling.collectors.processes import Processes
from spider.sampling.collectors.process_states import ProcessStates
if sys.argv[2] == "nobody":
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
kinds = {"hidden": (ProcessStates,), "readonly": (Filesystems,), "table": ()}[sys.argv[3]]
found = {}
if sys.argv[3] == "table":
    try:
        found["rows"] = Processes(sys.argv[1], mark_s=0.0).read(1.0).total
    except PermissionError:
        found["rows"] = None
for collector in linux_collectors(sys.argv[1]):
    if isinstance(collector, kinds):
        values = collector.read(1.0)
        found.update(zip(collector.series(), values))
print(json.dumps(found))
"""


def look(script: str, proc: str, user: str, kind: str) -> dict[str, int | None]:
    """Prepare a mount namespace by a shell script, then read there."""
    found: dict[str, int | None] = apart(script, READ, proc, user, kind)
    return found


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts are root's")


@pytest.mark.skipif(tuple(map(int, os.uname().release.split(".")[:2])) < (5, 8), reason="the option would be that of every /proc")
def test_with_hidden_processes_only_the_kernels_count_is_reported() -> None:
    hidden = look("mount -t proc -o hidepid=2 proc /mnt", "/mnt", "nobody", "hidden")
    assert set(hidden) == {"processes.threads"}
    seen = look("mount -t proc -o hidepid=2 proc /mnt", "/mnt", "root", "hidden")
    assert (seen["processes.total"] or 0) > 1


@pytest.mark.skipif(tuple(map(int, os.uname().release.split(".")[:2])) < (5, 8), reason="the option would be that of every /proc")
@pytest.mark.parametrize("hidepid", [1, 2])
def test_with_hidden_processes_the_table_is_not_reported(hidepid: int) -> None:
    mount = f"mount -t proc -o hidepid={hidepid} proc /mnt"
    assert look(mount, "/mnt", "nobody", "table") == {"rows": None}
    assert (look(mount, "/mnt", "root", "table")["rows"] or 0) > 1


def test_a_file_system_that_turns_read_only_is_reported(tmp_path: Path) -> None:
    image, point = tmp_path / "disk", tmp_path / "mnt"
    point.mkdir()
    make = f"truncate -s 16M {image}; mkfs.ext4 -q {image}; mount --make-rprivate /; mount -o loop {image} {point}"
    # Process 1 is in another namespace and does not see the mount: there the reader's own list is what counts.
    proc = tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "filesystems").write_text("\text4\n")
    seen = f"cat /proc/self/mountinfo > {proc}/self/mountinfo"
    name = f"filesystem.readonly{{mount={point}}}"
    assert look(f"{make}; {seen}", str(proc), "root", "readonly")[name] == 0
    assert look(f"{make}; mount -o remount,ro {point}; {seen}", str(proc), "root", "readonly")[name] == 1
