"""A host of containers with dead network shares: real mounts, in a namespace of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spider.sampling.collectors.filesystems import MAX_MOUNTS
from tests.support.mount_namespace import apart

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts are root's"),
    pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="dead shares are mounted by FUSE"),
]

HOST = """
import os, time
from spider.sampling.collectors.filesystems import Filesystems
from spider.sampling.collectors.filesystems import MAX_MOUNTS
from tests.support.mount_namespace import dead_share, mount

proc, volumes, shares = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for point in ("/var/log", "/mnt", "/var/lib"):
    mount("tmpfs", point, "size=1m")
for number in range(volumes):
    point = f"/var/lib/docker/volumes/v{number}/_data"
    os.makedirs(point)
    mount("tmpfs", point, "size=64k")
daemons = []
for number in range(shares):
    point = f"/mnt/{number:02}"
    os.mkdir(point)
    daemons.append(dead_share(point))
os.mkdir("/mnt/alive")
mount("tmpfs", "/mnt/alive", "size=1m")
with open("/proc/self/mountinfo") as own, open(proc + "/self/mountinfo", "w") as copy:
    copy.write(own.read().replace("/mnt/alive rw,relatime - tmpfs", "/mnt/alive rw,relatime - nfs4"))
found = Filesystems(proc, limit_s=1.0)
took_s, readings = [], []
for _ in range(2):
    began = time.monotonic()
    values = found.read(0.0)
    took_s.append(time.monotonic() - began)
    readings.append(dict(zip(found.series(), values)))
print(json.dumps({"took_s": took_s, "readings": readings}))
"""


def test_many_volumes_and_dead_shares_do_not_hide_other_mounts(tmp_path: Path) -> None:
    """`/`, `/var/log` and a share that answers are measured beside 300 volumes and 24 dead shares, from the first reading on."""
    (tmp_path / "self").mkdir()
    (tmp_path / "filesystems").write_text("\ttmpfs\n\toverlay\n\text4\n")
    told = apart("mount --make-rprivate /", HOST, str(tmp_path), "300", "24")

    for values in told["readings"]:
        for point in ("/", "/var/log", "/var/lib", "/mnt/alive"):
            assert values[f"filesystem.used{{mount={point}}}"] is not None, point
        used = [name for name in values if name.startswith("filesystem.used{mount=")]
        shares = {values[name] for name in used if name.startswith("filesystem.used{mount=/mnt/") and "alive" not in name}
        assert shares == {None}
        assert sum(name.startswith("filesystem.used{mount=/mnt/") for name in used) == 25
        assert values["filesystem.readonly{mount=/mnt/00}"] == 0
        volumes = [values[name] for name in used if "/docker/" in name]
        assert MAX_MOUNTS - 8 <= len(used) <= MAX_MOUNTS, "single files of the host's own may stand among them"
        assert None not in volumes
        assert values["filesystem.left_out"] == 300 - len(volumes)
    assert max(told["took_s"]) < 10, "the other values of the minute wait for these; one share after the other would take 24 s"
