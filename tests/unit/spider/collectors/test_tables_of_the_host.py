"""Tables of sockets, interfaces, disks and users compared with the system's own tools in the same second."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.packages.interfaces import PackageCondition
from spider.reports.table_reporter import table_of
from spider.sampling.collectors.block_devices import DiskTable, mount_points, read_blocks
from spider.sampling.collectors.boots import BootRecord, Boots
from spider.sampling.collectors.interfaces import Interfaces, parse_links, parse_prefixes
from spider.sampling.collectors.linux import linux_tables
from spider.sampling.collectors.listeners import Listening, parse_listeners
from spider.sampling.collectors.logins import LoggedIn, UserNames, lives, parse_utmp, wide_records
from spider.sampling.collectors.netlink import NETLINK_ROUTE, Netlink, parse_messages
from spider.sampling.collectors.table_reader import Reading
from spider.sampling.collectors.updates import Available, package_tables
from spider.wire.table_rows import check
from spider.wire.tables import BY_NAME, SUBJECTS
from tests.support.bundles import shipped_bundle
from tests.support.moving_machine import at_rest
from tests.support.recordings import DATA, captured, write
from tests.support.some import some

ROOT = Path(__file__).resolve().parents[4]


def rows(subject: str, reading: Reading | None) -> list[dict[str, Any]]:
    return [dict(zip((column.name for column in BY_NAME[subject].columns), row, strict=True)) for row in some(reading).rows]


def said(*argv: str) -> Any:
    """What a tool prints as JSON."""
    if shutil.which(argv[0]) is None:
        pytest.skip(f"no {argv[0]} on this machine")
    return json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def in_a_network_of_its_own(script: str, code: str) -> Any:
    """What `code` prints as JSON in a network namespace that `script` has furnished."""
    argv = ["unshare", "-n", "/bin/sh", "-euc", f'ip link set lo up; {script}; exec "$0" -c "$1"', sys.executable, code]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        pytest.skip(f"no network namespaces here: {done.stderr[-300:]}")
    return json.loads(done.stdout)


# -- interfaces ------------------------------------------------------------------------------------


def test_interfaces_agree_with_ip() -> None:
    at_rest(agree_with_ip)


def agree_with_ip() -> None:
    theirs = {link["ifname"]: link for link in said("ip", "-j", "-d", "addr")}
    ours = rows("interfaces", Interfaces().read(0.0))
    assert [row["name"] for row in ours] == [name for name in theirs if name in {row["name"] for row in ours}]
    for row in ours:
        link = theirs[row["name"]]
        assert row["mtu"] == link["mtu"]
        assert row["mac"] == (None if link["link_type"] == "loopback" else link["address"])
        assert link["operstate"] == "UNKNOWN" or row["state"] == link["operstate"].lower()
        kind = link.get("linkinfo", {}).get("info_kind")
        assert row["kind"] == (kind or ("loopback" if link["link_type"] == "loopback" else "physical"))
        addresses = [f"{found['local']}/{found['prefixlen']}" for found in link["addr_info"]]
        assert row["addresses"] == ", ".join(addresses)


BRIDGE = """
ip link add br0 type bridge; ip link add v0 type veth peer name w0; ip link add v1 type veth peer name w1
ip link set v0 master br0; ip link set v1 master br0; ip link set br0 up; ip link set v0 up; ip link set w0 up
ip addr add 192.0.2.1/24 dev br0; ip addr add 2001:db8::1/64 dev br0 nodad; ip addr add 198.51.100.1 peer 198.51.100.2/32 dev w1"""
READ = """
import json
from spider.sampling.collectors.interfaces import Interfaces
print(json.dumps(Interfaces().read(0.0).rows))"""


def test_interfaces_of_a_bridge_are_counted_in_its_row() -> None:
    found = {row[0]: row for row in in_a_network_of_its_own(BRIDGE, READ)}
    assert set(found) >= {"lo", "br0", "w0", "w1"}
    assert not {"v0", "v1"} & set(found)
    name, kind, _mac, state, _speed, mtu, addresses, ports = found["br0"]
    assert (name, kind, state, mtu, ports) == ("br0", "bridge", "up", 1500, 2)
    assert addresses.startswith("192.0.2.1/24, 2001:db8::1/64")
    assert found["w0"][1::6] == ["veth", None]
    assert (found["w1"][3], found["w1"][6]) == ("down", "198.51.100.1/32")


# -- listening -------------------------------------------------------------------------------------


@pytest.fixture
def sockets() -> Iterator[dict[str, int]]:
    """One of each kind, with its port."""
    made = []
    for name, family, kind, address in (
        ("tcp", socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1"),
        ("tcp6", socket.AF_INET6, socket.SOCK_STREAM, "::1"),
        ("udp", socket.AF_INET, socket.SOCK_DGRAM, "0.0.0.0"),
        ("udp6", socket.AF_INET6, socket.SOCK_DGRAM, "::1"),
    ):
        sock = socket.socket(family, kind)
        sock.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            sock.listen()
        made.append((name, sock))
    connected = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    connected.connect(("127.0.0.1", 9))
    made.append(("connected", connected))
    yield {name: sock.getsockname()[1] for name, sock in made}
    for _, sock in made:
        sock.close()


def test_our_own_listeners_are_found_with_their_process(sockets: dict[str, int]) -> None:
    ours = {(row["protocol"], row["port"]): row for row in rows("listening", Listening().read(0.0))}
    for name in ("tcp", "tcp6", "udp", "udp6"):
        row = ours[name, sockets[name]]
        assert row["pid"] == os.getpid()
        assert row["process"] == Path("/proc/self/comm").read_text().strip()
        assert row["user"] == UserNames().name(os.geteuid())
    assert ("udp", sockets["connected"]) not in ours


def test_listeners_agree_with_ss(sockets: dict[str, int]) -> None:
    at_rest(lambda: agree_with_ss(sockets))


def agree_with_ss(sockets: dict[str, int]) -> None:
    if shutil.which("ss") is None:
        pytest.skip("no ss on this machine")
    theirs = set()
    for line in subprocess.run(["ss", "-tulnH"], capture_output=True, text=True, check=True).stdout.splitlines():
        fields = line.split()
        address, _, port = fields[4].rpartition(":")
        address = address.strip("[]").partition("%")[0]
        theirs.add((fields[0], {"*": "::"}.get(address, address), int(port)))
    ours = {(row["protocol"].rstrip("6"), row["address"], row["port"]) for row in rows("listening", Listening().read(0.0))}
    assert theirs == ours
    assert {port for _, _, port in ours} >= {sockets[name] for name in ("tcp", "tcp6", "udp", "udp6")}


def test_the_service_of_a_socket_is_reported_by_its_cgroup() -> None:
    """A group of the version 2 tree that looks like a service's, with a process that listens in it."""
    base = Path("/sys/fs/cgroup/unified" if Path("/sys/fs/cgroup/unified").is_dir() else "/sys/fs/cgroup")
    group = base / f"system.slice/stardust-test-{os.getpid()}.service"
    try:
        (group / "inner").mkdir(parents=True)
    except OSError as error:
        pytest.skip(f"no control groups may be made here: {error}")
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); import signal; signal.pause()"
    enter = f'echo $$ > {group}/inner/cgroup.procs && exec "$0" -c "$1"'
    with subprocess.Popen(["/bin/sh", "-euc", enter, sys.executable, code], stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(some(process.stdout).readline() or 0)
            if not port:
                pytest.skip("processes cannot be moved between control groups here")
            found = [row for row in rows("listening", Listening().read(0.0)) if row["port"] == port]
            assert [row["service"] for row in found] == [group.name]
        finally:
            process.kill()
            process.wait()
            (group / "inner").rmdir()
            group.rmdir()
            with contextlib.suppress(OSError):  # another process is in it
                group.parent.rmdir()


# -- disks -----------------------------------------------------------------------------------------


def flat(devices: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for device in devices:
        yield device
        yield from flat(device.get("children", []))


def agree_with_lsblk() -> None:
    told = said("lsblk", "-J", "-b", "-o", "NAME,KNAME,TYPE,SIZE,MODEL,SERIAL,ROTA,MOUNTPOINTS")
    theirs = {device["kname"]: device for device in flat(told["blockdevices"]) if device["size"]}
    blocks = {block.name: block for block in read_blocks()}
    ours = {row["name"]: row for row in rows("disks", DiskTable().read(0.0))}
    assert {blocks[name].kernel_name for name in ours} == set(theirs)
    for name, row in ours.items():
        device = theirs[blocks[name].kernel_name]
        assert row["size"] == device["size"]
        assert row["rotational"] == int(device["rota"])
        assert (row["model"] or None) == ((device["model"] or "").strip() or None)
        assert row["kind"] == ("zram" if device["kname"].startswith("zram") else device["type"])  # to lsblk that is a disk
        mounted = {place for place in device["mountpoints"] if place}
        assert mounted <= set(row["mounts"].split(", "))


def test_disks_agree_with_lsblk() -> None:
    at_rest(agree_with_lsblk)


def test_partitions_of_a_loop_device_agree_with_lsblk(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("losetup") is None:
        pytest.skip("loop devices need root and losetup")
    image = tmp_path / "disk.img"
    entries = [struct.pack("<4xB3xII", 0x83, start << 11, size << 11) for start, size in ((1, 16), (20, 8))]  # MiB
    with image.open("wb") as file:
        file.write(bytes(446) + b"".join(entries) + bytes(32) + b"\x55\xaa")
        file.truncate(64 << 20)
    made = subprocess.run(["losetup", "-f", "--show", str(image)], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no loop devices here: {made.stderr}")
    device = made.stdout.strip()
    try:
        subprocess.run(["partx", "-a", device], check=True)  # a kernel may not read such a label itself
        ours = {row["name"]: row for row in rows("disks", DiskTable().read(0.0))}
        name = device.removeprefix("/dev/")
        assert ours[name]["kind"] == "loop"
        parts = [row for row in ours.values() if row["parents"] == name]
        assert [(row["name"], row["kind"], row["size"]) for row in parts] == [
            (name + "p1", "part", 16 << 20),
            (name + "p2", "part", 8 << 20),
        ]
        at_rest(agree_with_lsblk)
    finally:
        subprocess.run(["partx", "-d", device], check=True)
        subprocess.run(["losetup", "-d", device], check=True)


def block(
    root: Path, name: str, number: str, *, size: int = 2048, slaves: tuple[str, ...] = (), files: dict[str, str | bytes] | None = None
) -> None:
    base = f"sys/block/{name}"
    write(root, {f"{base}/size": f"{size}\n", f"{base}/dev": f"{number}\n", f"{base}/queue/rotational": "0\n"})
    write(root, {f"{base}/{path}": content for path, content in (files or {}).items()})
    for slave in slaves:
        write(root, {f"{base}/slaves/{slave}": ""})


MOUNTS = b"""1 0 253:1 / / rw - ext4 /dev/mapper/vg0-root rw
2 1 259:2 / /boot rw - ext4 /dev/nvme0n1p1 rw
3 1 0:55 /@ /srv/my\\040data rw - btrfs /dev/md0 rw
4 1 0:5 / /dev rw - devtmpfs udev rw
"""


def test_stacked_block_devices_follow_their_parents_in_the_table(tmp_path: Path) -> None:
    """A format test: trees as Documentation/ABI/stable/sysfs-block and md.rst describe them."""
    page = b"\x00\x80\x00\x0aSERIAL-42 "
    block(tmp_path, "dm-1", "253:1", slaves=("dm-0",), files={"dm/name": "vg0-root\n", "dm/uuid": "LVM-abcdef\n"})
    block(tmp_path, "dm-0", "253:0", slaves=("nvme0n1p2",), files={"dm/name": "secret\n", "dm/uuid": "CRYPT-LUKS2-00-secret\n"})
    block(tmp_path, "md0", "9:0", slaves=("sda", "sdb"), files={"md/level": "raid1\n"})
    block(tmp_path, "nvme0n1", "259:0", files={"device/model": "Fast Disk\n", "device/serial": "N1\n"})
    for part, number in (("nvme0n1p1", "259:2"), ("nvme0n1p2", "259:3")):
        write(
            tmp_path, {f"sys/block/nvme0n1/{part}/{name}": text for name, text in {"partition": "1", "dev": number, "size": "1024"}.items()}
        )
    for name, number in (("sda", "8:0"), ("sdb", "8:16")):
        block(tmp_path, name, number, files={"device/model": "Big Disk\n", "device/vpd_pg80": page, "queue/rotational": "1\n"})
    block(tmp_path, "zram0", "252:0")
    block(tmp_path, "loop7", "7:7", size=0)
    block(tmp_path, "sr0", "11:0", size=0)
    block(tmp_path, "cciss!c0d0", "104:0")
    swaps = "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition\t1024\t0\t100\n/swap file\t1\t0\t-2\n"
    write(tmp_path, {"proc/1/mountinfo": MOUNTS, "proc/swaps": swaps})
    found = rows("disks", DiskTable(str(tmp_path / "proc"), str(tmp_path / "sys")).read(0.0))
    assert [(row["name"], row["kind"], row["parents"], row["mounts"]) for row in found] == [
        ("cciss/c0d0", "disk", "", ""),
        ("nvme0n1", "disk", "", ""),
        ("nvme0n1p1", "part", "nvme0n1", "/boot"),
        ("nvme0n1p2", "part", "nvme0n1", ""),
        ("sda", "disk", "", ""),
        ("sdb", "disk", "", ""),
        ("zram0", "zram", "", "[SWAP]"),
        ("secret", "crypt", "nvme0n1p2", ""),
        ("vg0-root", "lvm", "secret", "/"),
        ("md0", "raid1", "sda, sdb", "/srv/my data"),
    ]
    assert found[1]["serial"] == "N1"
    assert found[4]["serial"] == "SERIAL-42"
    assert found[2]["size"] == 1024 * 512


def test_a_damaged_mountinfo_costs_only_its_lines() -> None:
    assert mount_points("\n1 2\njunk - \n" + MOUNTS.decode())[0]["259:2"] == ["/boot"]


def test_a_host_without_sys_has_no_disks(tmp_path: Path) -> None:
    assert DiskTable(str(tmp_path), str(tmp_path)).read(0.0) is None


# -- people ----------------------------------------------------------------------------------------

RECORD = struct.Struct("=hxxi32s4s32s256shhiii16s20x")
WIDE = struct.Struct("=hxxi32s4s32s256shhqqq16s20xxxxx")


def test_a_recorded_utmp_holds_one_person(tmp_path: Path) -> None:
    data = (DATA / "utmp/debian-old").read_bytes()
    [login] = parse_utmp(data, wide=False)
    assert login[:3] == ("ops", "pts/0", "127.0.0.1")
    assert (login.since_ms // 1000, login.pid) == (1_795_181_450, 134)
    write(tmp_path, {"run/utmp": data, "proc/1/stat": ""})
    assert LoggedIn(str(tmp_path)).read(0.0) == Reading([], 0)  # its process is gone, although `who` still lists it
    write(tmp_path, {"proc/134/stat": ""})
    assert LoggedIn(str(tmp_path)).read(0.0) == Reading([("ops", "pts/0", "127.0.0.1", login.since_ms)], 1)


def test_a_living_process_is_recognised_where_processes_are_hidden(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert lives(os.getpid(), str(tmp_path))
    assert lives(1, str(tmp_path))
    assert not lives(ended.pid, str(tmp_path))
    assert lives(os.getpid())
    assert not lives(ended.pid)


@pytest.mark.parametrize(("form", "wide"), [(RECORD, False), (WIDE, True)])
def test_both_layouts_of_utmp(form: struct.Struct, wide: bool) -> None:
    """The one without a machine at hand is a format test, by bits/utmp.h."""
    assert form.size == (400 if wide else 384)
    person = form.pack(7, 42, b"tty1", b"1", b"anna\x1b", b"", 0, 0, 0, 1_800_000_000, 250_000, b"")
    boot = form.pack(2, 0, b"~", b"~~", b"reboot", b"6.1", 0, 0, 0, 1_700_000_000, 0, b"")
    [login] = parse_utmp(boot + person, wide)
    assert login == ("anna\\x1b", "tty1", "", 1_800_000_000_250, 42)
    with pytest.raises(ValueError, match="cut off"):
        parse_utmp(person[:-1], wide)


def test_which_layout_an_architecture_has() -> None:
    assert [wide_records(machine) for machine in ("x86_64", "i686", "ppc64le", "aarch64", "riscv64")] == [False, False, False, True, True]


def test_a_host_that_keeps_no_record_of_people_has_no_such_table(tmp_path: Path) -> None:
    assert LoggedIn(str(tmp_path), str(tmp_path / "bus")).read(0.0) is None
    write(tmp_path, {"run/utmp": b""})
    assert LoggedIn(str(tmp_path), str(tmp_path / "bus")).read(0.0) == Reading([], 0)


# -- all of them -----------------------------------------------------------------------------------


def test_every_table_has_a_reader_whose_reading_is_valid(tmp_path: Path) -> None:
    available = Available()
    available.condition = PackageCondition([("curl", "incomplete")], [("main", 1.0, "current")])
    readers = [*linux_tables(), Boots(BootRecord(str(tmp_path), "ab" * 16)), *package_tables(available)]
    assert sorted(reader.subject for reader in readers) == sorted(subject.name for subject in SUBJECTS)
    for reader in readers:
        reading = reader.read(1.0)
        if reading is not None:
            assert check(table_of(BY_NAME[reader.subject], reading, 0)) is BY_NAME[reader.subject]


OLDEST = sorted(str(path) for path in Path.home().glob(".pyenv/versions/3.8.*/bin/python3"))
EVERYTHING = """
import json, sys, time
from spider.sampling.collectors.linux import linux_collectors
from spider.sampling.collectors.linux import linux_tables
for collector in linux_collectors():
    collector.read(time.monotonic())
    collector.close()
print(json.dumps([reader.subject for reader in linux_tables() if reader.read(time.monotonic())]))
"""


@pytest.mark.parametrize("python", OLDEST)
def test_every_reader_runs_on_the_oldest_python(python: str, tmp_path: Path) -> None:
    bundle = tmp_path / "spider.pyz"
    bundle.write_bytes(shipped_bundle())
    done = subprocess.run([python, "-S", "-c", EVERYTHING], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(bundle)})
    assert {"interfaces", "processes"} <= set(json.loads(done.stdout))


@given(data=st.data(), which=st.integers(0, 3))
def test_a_damaged_kernel_reply_raises_only_valueerror(data: st.DataObject, which: int) -> None:
    original = [captured("netlink", "getaddr"), captured("netlink", "sock_diag"), LINKS, (DATA / "utmp/debian-old").read_bytes()][which]
    at, end = sorted((data.draw(st.integers(0, len(original))), data.draw(st.integers(0, len(original)))))
    damaged = original[:at] + data.draw(st.binary(max_size=40)) + original[end:]
    with contextlib.suppress(ValueError, OSError):
        if which == 3:
            parse_utmp(damaged, wide=False)
        else:
            messages = [(damaged, start, stop) for _, start, stop in parse_messages(damaged[4 * (which < 2) :])]
            [parse_prefixes, lambda found: parse_listeners(found, "tcp"), parse_links][which](messages)


def links() -> bytes:
    """What this kernel answers when it is asked for its interfaces."""
    netlink = Netlink(NETLINK_ROUTE)
    found = [data for data, _, _ in netlink.dump(18, bytes(16))]
    netlink.close()
    return b"".join(dict.fromkeys(found))


LINKS = links()
