"""A host of containers with dead network shares: real mounts, in a namespace of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.mount_namespace import apart

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts are root's"),
    pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="dead shares are mounted by FUSE"),
]

HOST = """
import os, time
from spider.collectors.filesystems import Filesystems
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


def test_dead_shares_cost_nobody_else_a_value(tmp_path: Path) -> None:
    """`/`, `/var/log` and a share that answers are measured beside twelve that never do, by the first reading on."""
    (tmp_path / "self").mkdir()
    (tmp_path / "filesystems").write_text("\ttmpfs\n\toverlay\n\text4\n")
    told = apart("mount --make-rprivate /", HOST, str(tmp_path), "20", "12")

    for values in told["readings"]:
        for point in ("/", "/var/log", "/var/lib", "/mnt/alive", "/var/lib/docker/volumes/v7/_data"):
            assert values[f"filesystem.used{{mount={point}}}"] is not None, point
        shares = {name: value for name, value in values.items() if name.startswith("filesystem.used{mount=/mnt/") and "alive" not in name}
        assert len(shares) == 12
        assert set(shares.values()) == {None}
        assert values["filesystem.readonly{mount=/mnt/00}"] == 0
    assert max(told["took_s"]) < 5, "the other values of the minute wait for these, 10 s at most"
