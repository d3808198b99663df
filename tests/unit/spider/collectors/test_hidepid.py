"""A real /proc that hides other people's processes (hidepid=2), and a file system that turns read-only, in a mount namespace of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
READ = """
import json, os, sys
sys.path[:0] = json.loads(sys.argv[1])
from spider.collectors.filesystems import Filesystems
from spider.collectors.linux import linux_collectors
from spider.collectors.processes import Processes
from spider.collectors.states import ProcessStates
if sys.argv[3] == "nobody":
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
kinds = {"hidden": (ProcessStates,), "readonly": (Filesystems,), "table": ()}[sys.argv[4]]
found = {}
if sys.argv[4] == "table":
    try:
        found["rows"] = Processes(sys.argv[2], mark_s=0.0).read(1.0).total
    except PermissionError:
        found["rows"] = None
for collector in linux_collectors(sys.argv[2]):
    if isinstance(collector, kinds):
        values = collector.read(1.0)
        found.update(zip(collector.series(), values))
print(json.dumps(found))
"""


def apart(script: str, proc: str, user: str, kind: str) -> dict[str, int | None]:
    """Prepare a mount namespace by a shell script, then read there."""
    path = json.dumps([entry for entry in sys.path if entry and os.path.exists(entry)] + [str(ROOT)])
    argv = ["unshare", "-m", "sh", "-ec", script + '\nexec "$@"', "sh", sys.executable, "-c", READ, path, proc, user, kind]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"mounts may not be made here: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    found: dict[str, int | None] = json.loads(done.stdout)
    return found


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts are root's")


@pytest.mark.skipif(tuple(map(int, os.uname().release.split(".")[:2])) < (5, 8), reason="the option would be that of every /proc")
def test_where_processes_are_hidden_only_the_kernels_count_is_told() -> None:
    hidden = apart("mount -t proc -o hidepid=2 proc /mnt", "/mnt", "nobody", "hidden")
    assert set(hidden) == {"processes.threads"}
    seen = apart("mount -t proc -o hidepid=2 proc /mnt", "/mnt", "root", "hidden")
    assert (seen["processes.total"] or 0) > 1


@pytest.mark.skipif(tuple(map(int, os.uname().release.split(".")[:2])) < (5, 8), reason="the option would be that of every /proc")
@pytest.mark.parametrize("hidepid", [1, 2])
def test_where_processes_are_hidden_the_few_that_are_left_do_not_pass_for_all(hidepid: int) -> None:
    mount = f"mount -t proc -o hidepid={hidepid} proc /mnt"
    assert apart(mount, "/mnt", "nobody", "table") == {"rows": None}
    assert (apart(mount, "/mnt", "root", "table")["rows"] or 0) > 1


def test_a_file_system_that_turns_read_only_is_told(tmp_path: Path) -> None:
    image, point = tmp_path / "disk", tmp_path / "mnt"
    point.mkdir()
    make = f"truncate -s 16M {image}; mkfs.ext4 -q {image}; mount --make-rprivate /; mount -o loop {image} {point}"
    # Process 1 is in another namespace and does not see the mount: there the reader's own list is what counts.
    proc = tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "filesystems").write_text("\text4\n")
    look = f"cat /proc/self/mountinfo > {proc}/self/mountinfo"
    name = f"filesystem.readonly{{mount={point}}}"
    assert apart(f"{make}; {look}", str(proc), "root", "readonly")[name] == 0
    assert apart(f"{make}; mount -o remount,ro {point}; {look}", str(proc), "root", "readonly")[name] == 1
