"""Resources of services and containers: control groups of this kernel, trees of version 2 by its documentation, engines' sockets."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spider.container_list import fetch, parse_containers
from spider.sampling.collectors.cgroup import Group, container_of, find_hierarchies, group_names, is_transient, own_prefix, unescape, walk
from spider.sampling.collectors.container_engines import LASTING_S, STOPPED_S, Containers, Names
from spider.sampling.collectors.services import (
    MOST,
    Choice,
    ServicesAndContainers,
    parse_io_stat,
    parse_service_bytes,
    read_usage,
    stacked_devices,
)
from spider.wire.metrics import parse_series
from tests.support.container_engine import engine
from tests.support.moving_machine import compared_at_rest
from tests.support.recordings import write
from tests.support.some import some

ID = "0123456789abcdef" * 4
NOBODY = Names(sockets=())


def read(collector: ServicesAndContainers, now: float) -> dict[str, int | None]:
    values = collector.read(now)
    series = collector.series()
    assert all(parse_series(name)[0].family == collector.family for name in series)
    return dict(zip(series, values, strict=True))


# -- this kernel's own groups ----------------------------------------------------------------------

WORK = """
import os, sys, time
held = bytearray(b"x" * (64 << 20))
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
print(flush=True)
sys.stdin.readline()
began = time.process_time()
while time.process_time() < began + 0.3:
    pass
os.pwrite(fd, held[:8 << 20], 0)
os.fsync(fd)
print(time.process_time() - began, flush=True)
sys.stdin.readline()
"""


@contextlib.contextmanager
def group_of_its_own(name: str) -> Iterator[list[Path]]:
    """The same group in every hierarchy of this machine, so that it looks like a service or container with all controllers."""
    root = Path("/sys/fs/cgroup")
    trees = (
        [root] if (root / "cgroup.controllers").exists() else [path for path in root.iterdir() if path.is_dir() and not path.is_symlink()]
    )
    made: list[Path] = []
    try:
        for tree in trees:
            group = tree / name
            try:
                group.mkdir(parents=True)
            except OSError as error:
                pytest.skip(f"no control groups may be made here: {error}")
            made.append(group)
        yield made
    finally:
        for group in made:
            group.rmdir()
            with contextlib.suppress(OSError):  # another process is in it
                group.parent.rmdir()


@pytest.mark.parametrize("kind", ["service", "container"])
def test_the_usage_of_a_group_matches_the_work_of_its_process(tmp_path: Path, kind: str) -> None:
    own = secrets.token_hex(32)  # other tests of this machine may run the same one
    path, name = ("docker/" + own, own[:12]) if kind == "container" else (f"system.slice/{own}.service", f"{own}.service")
    with group_of_its_own(path) as made:
        enter = "".join(f"echo $$ > {group}/cgroup.procs 2>/dev/null || true; " for group in made)
        argv = ["/bin/sh", "-c", enter + 'exec "$0" -c "$1" "$2"', sys.executable, WORK, str(tmp_path / "file")]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdout.readline()
                collector = ServicesAndContainers(names=NOBODY)
                began = time.monotonic()
                assert read(collector, began).keys() == set()
                process.stdin.write(b"\n")
                process.stdin.flush()
                worked_s = float(process.stdout.readline())
                ended = time.monotonic()
                found = {series: value for series, value in read(collector, ended).items() if f"={name}}}" in series}
            finally:
                process.kill()
                process.wait()
    parts = {series.partition("{")[0].partition(".")[2]: value for series, value in found.items()}
    cpu = parts.get("cpu")
    if cpu is None:
        pytest.skip("this machine counts nothing for such a group")
    assert cpu / 10_000 * (ended - began) == pytest.approx(worked_s, rel=0.3)
    if "memory" in parts:
        assert 64 << 20 < (parts["memory"] or 0) < 200 << 20
    assert all(series.startswith(f"{kind}.") for series in found)


@compared_at_rest
def test_the_groups_of_this_machine_are_found() -> None:
    hierarchies = find_hierarchies()
    if hierarchies is None:
        pytest.skip("this machine shows no control groups")
    for group in walk(hierarchies.tree, own_prefix()):
        assert os.stat(hierarchies.tree + group.path).st_ino == group.inode


# -- version 2, by Documentation/admin-guide/cgroup-v2.rst -------------------------------------------


def group2(root: Path, path: str, usage_us: int, memory: int, inactive: int = 0, io: str = "") -> None:
    files = {"cpu.stat": f"usage_usec {usage_us}\nuser_usec 1\nsystem_usec 1\n", "memory.current": f"{memory}\n"}
    files |= {
        "memory.stat": f"anon 5\ninactive_file {inactive}\nactive_file 1\n",
        "io.stat": io,
        "cgroup.events": "populated 1\nfrozen 0\n",
    }
    write(root / path, files)


@pytest.fixture
def host2(tmp_path: Path) -> Path:
    """A host of version 2 with services, a person, and containers of every engine."""
    write(tmp_path, {"cgroup.controllers": "cpu io memory\n"})
    for number, path in enumerate(PLACES):
        group2(
            tmp_path,
            path.removeprefix("/"),
            1000 * number,
            10_000_000 + number,
            1_000_000,
            "8:0 rbytes=100 wbytes=200 rios=1\n253:0 rbytes=9 wbytes=9\n",
        )
    write(tmp_path / "system.slice/docker-x.scope", {"cpu.stat": ""})
    return tmp_path


PLACES = {
    "/system.slice/ssh.service": (("service", "ssh.service")),
    "/system.slice/system-getty.slice/getty@tty1.service": ("service", "getty@tty1.service"),
    "/system.slice/dev-disk\\x2dby.service": ("service", "dev-disk\\x2dby.service"),
    "/user.slice/user-1000.slice": ("service", "user-1000.slice"),
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope": ("podman", ID),
    f"/system.slice/docker-{ID}.scope": ("docker", ID),
    f"/docker/{ID[1:]}f": ("docker", ID[1:] + "f"),
    f"/machine.slice/libpod-{ID[2:]}ff.scope": ("podman", ID[2:] + "ff"),
    "/machine.slice/machine-web\\x2d1.scope": ("nspawn", "web-1"),
    "/machine.slice/systemd-nspawn@db.service": ("nspawn", "db"),
    "/machine.slice/machine-qemu\\x2d3\\x2dwin.scope": ("libvirt", "win"),
    "/lxc.payload.mail": ("lxc", "mail"),
    "/lxc/101": ("lxc", "101"),
    f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podab.slice/cri-containerd-{ID[3:]}fff.scope": (
        "containerd",
        ID[3:] + "fff",
    ),
    f"/kubepods/besteffort/podab-cd/{ID[4:]}ffff": ("kubernetes", ID[4:] + "ffff"),
}


def test_services_and_containers_are_named_by_their_cgroups(host2: Path) -> None:
    found = {group.path: (group.kind, group.name) for group in walk(str(host2))}
    assert found == PLACES


def test_services_inside_a_container_are_not_this_hosts(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"cgroup.controllers": "", "lab/node1/payload/system.slice/ssh.service/cpu.stat": "", "lxc/1/system.slice/x.service/cpu.stat": ""},
    )
    assert [group.name for group in walk(str(tmp_path))] == ["1"]


def test_a_nested_host_starts_at_its_own_cgroup(tmp_path: Path) -> None:
    write(
        tmp_path, {"proc/self/cgroup": "4:memory:/lab/node1/system.slice/stardust-spider.service\n0::/lab/node1/system.slice/x.service\n"}
    )
    assert own_prefix(str(tmp_path / "proc")) == "/lab/node1"
    write(tmp_path, {"cg/lab/node1/system.slice/ssh.service/cpu.stat": ""})
    assert [group.name for group in walk(str(tmp_path / "cg"), "/lab/node1")] == ["ssh.service"]
    write(tmp_path, {"proc/self/cgroup": "0::/system.slice/stardust-spider.service\n"})
    assert own_prefix(str(tmp_path / "proc")) == ""


def test_cgroup_usage_is_reported_from_the_second_reading(host2: Path, tmp_path: Path) -> None:
    write(tmp_path, {"sys/block/dm-0/dev": "253:0\n", "sys/block/dm-0/slaves/sda": "", "sys/block/sda/dev": "8:0\n"})
    collector = ServicesAndContainers(str(host2), str(tmp_path / "proc"), str(tmp_path / "sys"), NOBODY)
    assert read(collector, 100.0) == {}
    group2(host2, "system.slice/ssh.service", 30_000_000, 9_000_000, 2_000_000, "8:0 rbytes=6100 wbytes=200\n253:0 rbytes=99 wbytes=99\n")
    found = read(collector, 160.0)
    mine = {series.partition("{")[0]: value for series, value in found.items() if "=ssh.service}" in series}
    assert mine == {"service.cpu": 5000, "service.memory": 7_000_000, "service.read": 100, "service.written": 0}
    containers = {parse_series(series)[1] for series in found if series.startswith("container.cpu")}
    assert containers >= {"web-1", "db", "win", "mail", "101", ID[:12], f"{ID[:12]} (podman 2)"}
    assert {series for series in found if "=user-1000.slice}" in series} != set()


def test_uncounted_values_of_a_host_have_no_series(tmp_path: Path) -> None:
    """Version 2 without controllers, as a container often has it: the time alone."""
    write(tmp_path, {"cg/cgroup.controllers": "", "cg/system.slice/a.service/cpu.stat": "usage_usec 5\n"})
    collector = ServicesAndContainers(str(tmp_path / "cg"), str(tmp_path), str(tmp_path), NOBODY)
    read(collector, 1.0)
    assert read(collector, 2.0) == {"service.cpu{service=a.service}": 0}
    assert find_hierarchies(str(tmp_path / "none")) is None
    nothing = ServicesAndContainers(str(tmp_path / "none"), str(tmp_path), str(tmp_path), NOBODY)
    assert read(nothing, 1.0) == read(nothing, 2.0) == {}


def test_units_that_live_under_a_minute_or_have_generated_names_have_no_series(tmp_path: Path) -> None:
    write(tmp_path, {"cg/cgroup.controllers": ""})
    collector = ServicesAndContainers(str(tmp_path / "cg"), str(tmp_path), str(tmp_path), NOBODY)
    for number in range(4):
        group2(tmp_path / "cg", f"system.slice/run-r{number}.service", 0, 0)
        group2(tmp_path / "cg", f"system.slice/new{number}.service", 0, 0)
        names = {parse_series(series)[1] for series in read(collector, 60.0 * number)}
        assert names == {f"new{before}.service" for before in range(number)}
    assert is_transient("stardust-job@01jbst1ce2fmz8yjjvdhyrx7x0.service")
    assert is_transient("systemd-coredump@3-1234-0.service")
    assert not is_transient("ssh.service")


def test_an_ended_unit_reports_zero_for_an_hour_and_then_has_no_series(tmp_path: Path) -> None:
    write(tmp_path, {"cg/cgroup.controllers": ""})
    collector = ServicesAndContainers(str(tmp_path / "cg"), str(tmp_path), str(tmp_path), NOBODY)
    group = tmp_path / "cg/user.slice/user-7.slice"
    group2(tmp_path / "cg", "user.slice/user-7.slice", 0, 5_000_000)
    assert read(collector, 0.0) == {}
    names = ["service.cpu{service=user-7.slice}", "service.memory{service=user-7.slice}"]
    names += ["service.read{service=user-7.slice}", "service.written{service=user-7.slice}"]
    assert read(collector, 60.0) == dict(zip(names, (0, 5_000_000, 0, 0), strict=True))
    for file in group.iterdir():
        file.unlink()
    group.rmdir()
    assert read(collector, 120.0) == dict.fromkeys(names, 0)
    group2(tmp_path / "cg", "user.slice/user-7.slice", 60_000_000, 7_000_000)
    assert read(collector, 180.0) == dict(zip(names, (None, 7_000_000, None, None), strict=True))
    assert read(collector, 240.0) == dict(zip(names, (0, 7_000_000, 0, 0), strict=True))
    for file in group.iterdir():
        file.unlink()
    group.rmdir()
    assert read(collector, 3000.0) == dict.fromkeys(names, 0)
    assert read(collector, 3900.0) == {}


@settings(max_examples=40)
@given(
    st.lists(st.dictionaries(st.integers(0, 60).map(str), st.integers(0, 1000), max_size=60), min_size=1, max_size=8), st.integers(2, 50)
)
def test_the_choice_is_bounded_and_holds_for_ten_minutes(moments: list[dict[str, int]], most: int) -> None:
    choice = Choice(most)
    for number, memory in enumerate(moments):
        chosen = set(choice.choose(60.0 * number, {}, memory))
        assert len(chosen) <= most
        assert chosen <= set(memory)
        assert len(chosen) == len(memory) or len(memory) > most
        assert choice.choose(60.0 * number + 1, {}, memory) == chosen


def test_the_largest_by_memory_and_by_processor_are_chosen() -> None:
    memory = {f"s{number:02}": number for number in range(100)}
    cpu = {f"s{number:02}": 100 - number for number in range(100)}
    chosen = Choice().choose(0.0, cpu, memory)
    half = MOST // 2
    assert chosen == {f"s{number:02}" for number in [*range(half), *range(100 - half, 100)]}


@given(st.text(max_size=300))
def test_bytes_of_any_text_are_numbers(text: str) -> None:
    assert min(parse_io_stat(text, set())) >= 0
    assert min(parse_service_bytes(text, set())) >= 0


def test_bytes_of_stacked_devices_are_counted_once() -> None:
    assert parse_io_stat("8:0 rbytes=5 wbytes=6\n253:0 rbytes=5 wbytes=6\n", {"253:0"}) == (5, 6)
    assert parse_service_bytes("8:0 Read 5\n8:0 Write 6\n8:0 Total 11\n9:0 Read 7\nTotal 11\n", {"9:0"}) == (5, 6)
    assert "" not in stacked_devices()


@given(st.text(st.characters(exclude_characters="/\0"), max_size=90), st.sampled_from(["docker", "kubepods-podx", "lxc", ""]))
def test_any_name_of_a_group_is_a_container_or_not(name: str, above: str) -> None:
    found = container_of(name, above)
    assert found is None or (found[0] in {"docker", "podman", "crio", "containerd", "lxc", "libvirt", "nspawn", "kubernetes"} and found[1])
    unescape(name)


def test_sockets_find_the_unit_of_a_group_below_it(tmp_path: Path) -> None:
    write(tmp_path, {"cgroup.controllers": "", "system.slice/a.service/inner/deep/cpu.stat": "", f"docker/{ID}/init/cpu.stat": ""})
    names = group_names(str(tmp_path))
    assert names[(tmp_path / "system.slice/a.service/inner/deep").stat().st_ino] == "a.service"
    assert names[(tmp_path / f"docker/{ID}/init").stat().st_ino] == f"docker {ID[:12]}"


# -- engines ---------------------------------------------------------------------------------------

ANSWER: list[dict[str, object]] = [
    {"Id": ID, "Names": ["/web"], "State": "running", "Image": "nginx:1"},
    {"Id": "f" * 64, "Names": ["/old\x1b[2J"], "State": "exited", "Image": "busybox"},
    {"Id": "e" * 64, "Names": [], "State": "paused", "Image": None},
]


def test_names_come_from_the_engine_where_its_socket_may_be_read(host2: Path, tmp_path: Path) -> None:
    with engine(tmp_path / "docker.sock", json.dumps(ANSWER).encode()) as path:
        reading = Containers(str(host2), str(tmp_path), Names([("docker", path), ("podman", "/none")])).read(0.0)
    by_name = {row[2]: row for row in some(reading).rows}
    assert by_name["web"] == ("docker", ID[:12], "web", "running", "nginx:1", 0, None, None)
    assert by_name["old\\x1b[2J"] == ("docker", "f" * 12, "old\\x1b[2J", "exited", "busybox", None, None, None)
    assert by_name["e" * 12][3] == "frozen"
    assert by_name["mail"] == ("lxc", "mail", "mail", "running", None, 0, None, None)


@pytest.mark.parametrize("health", [{"Status": "Up 5 minutes (unhealthy)"}, {"Health": {"Status": "unhealthy"}, "Status": "Up 5 minutes"}])
def test_a_container_whose_health_check_fails_is_unhealthy(host2: Path, tmp_path: Path, health: dict[str, object]) -> None:
    with engine(tmp_path / "docker.sock", json.dumps([{**ANSWER[0], **health}]).encode()) as path:
        reading = Containers(str(host2), str(tmp_path), Names([("docker", path)])).read(0.0)
    assert {row[2]: row[3] for row in some(reading).rows}["web"] == "unhealthy"


@pytest.mark.parametrize(("answers", "expected"), [(True, None), (False, "stopped")])
def test_a_container_that_ended_is_stopped_unless_its_engine_no_longer_lists_it(
    host2: Path, tmp_path: Path, answers: bool, expected: str | None
) -> None:
    with engine(tmp_path / "docker.sock", b"[]") as path:
        reader = Containers(str(host2), str(tmp_path), Names([("docker", path if answers else "/none")], valid_s=0.0))
        reader.read(0.0)
        reader.read(LASTING_S)
        (host2 / f"system.slice/docker-{ID}.scope").rename(host2 / "elsewhere")
        reading = reader.read(LASTING_S + 60.0)
    assert {row[1]: row[3] for row in some(reading).rows if row[0] == "docker"}.get(ID[:12]) == expected


TOO_OLD = (
    "HTTP/1.0 400 Bad Request\r\nContent-Type: application/json\r\n\r\n"
    '{"message":"client version 1.24 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version"}\n'
)
NO_SUCH_PATH = "HTTP/1.0 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nNot Found\n"


@pytest.mark.parametrize(
    ("kind", "refuses"),
    [
        ("docker", lambda line: TOO_OLD if b" /v1.24/" in line else ""),  # Docker from 29 on
        ("docker", lambda line: "" if b" /v1.24/" in line else NO_SUCH_PATH),
        ("podman", lambda line: "" if line.split(b" ")[1].split(b"?")[0].endswith(b"/containers/json") else NO_SUCH_PATH),
    ],
)
def test_container_names_are_read_from_engines_of_every_version(tmp_path: Path, kind: str, refuses: Callable[[bytes], str]) -> None:
    with engine(tmp_path / "engine.sock", json.dumps(ANSWER).encode(), refuses=refuses) as path:
        found = Names([(kind, path)]).containers()
    assert [(one.engine, one.name) for one in found] == [(kind, "web"), (kind, "old\\x1b[2J"), (kind, "")]


def test_an_engine_that_refuses_is_logged_once_with_its_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with engine(tmp_path / "engine.sock", b"", refuses=lambda _line: TOO_OLD) as path:
        names = Names([("docker", path)], valid_s=0)
        assert [names.containers() for _ in range(3)] == [[]] * 3
    assert caplog.messages == ["containers_unnamed"]
    assert "Minimum supported API version is 1.44" in caplog.records[0].facts["why"]  # type: ignore[attr-defined]


@pytest.mark.holds("S-49")
@pytest.mark.parametrize(
    ("body", "status"), [(b"{}", "200 OK"), (b"[1]", "200 OK"), (b"[{}]", "200 OK"), (b"x", "200 OK"), (b"[]", "403 Forbidden")]
)
def test_an_invalid_answer_of_an_engine_costs_only_the_names(host2: Path, tmp_path: Path, body: bytes, status: str) -> None:
    with engine(tmp_path / "docker.sock", body, status) as path:
        with pytest.raises(ValueError, match=r"."):
            parse_containers("docker", fetch(path))
        reading = Containers(str(host2), str(tmp_path), Names([("docker", path)])).read(0.0)
    assert ID[:12] in {row[2] for row in some(reading).rows}


def test_a_container_that_is_held_is_frozen(host2: Path, tmp_path: Path) -> None:
    write(host2, {"lxc.payload.mail/cgroup.events": "populated 1\nfrozen 1\n"})
    reading = some(Containers(str(host2), str(tmp_path), NOBODY).read(0.0))
    assert {row[2] for row in reading.rows if row[3] == "frozen"} == {"mail"}
    version1 = tmp_path / "v1"
    write(version1, {"systemd/lxc/7/x": "", "freezer/lxc/7/freezer.state": "FROZEN\n", "memory/lxc/7/memory.usage_in_bytes": "10\n"})
    reading = some(Containers(str(version1), str(tmp_path), NOBODY).read(0.0))
    assert reading.rows == [("lxc", "7", "7", "frozen", None, 0, None, None)]
    at = some(find_hierarchies(str(version1)))
    assert read_usage(at, "/lxc/7", set()) == (None, 10, None, None)


def test_restarts_and_oom_kills_of_a_container_are_counted_until_it_stays_stopped(host2: Path, tmp_path: Path) -> None:
    reader, places = Containers(str(host2), str(tmp_path), NOBODY), host2 / "lxc.payload.mail"

    def rows(now: float) -> dict[object, tuple[object, ...]]:
        reading = some(reader.read(now))
        return {row[2]: row[3:7] for row in reading.rows}

    assert rows(0.0)["mail"] == ("running", None, 0, None)
    places.rename(host2 / "lxc.payload.mail.old")
    assert "mail" not in rows(30.0), "it ran for seconds: a task may have ended"
    write(host2, {"lxc.payload.mail/memory.events": "low 0\noom 3\noom_kill 2\noom_group_kill 0\n"})
    assert rows(60.0)["mail"] == ("running", None, 1, 2)
    assert rows(LASTING_S)["mail"] == ("running", None, 1, 2)
    places.rename(host2 / "elsewhere")
    assert rows(LASTING_S + 60.0)["mail"] == ("stopped", None, 1, 2)
    assert "mail" not in rows(LASTING_S + STOPPED_S + 60.0)


def test_a_container_is_as_old_as_its_oldest_process(host2: Path, tmp_path: Path) -> None:
    began = time.time()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        write(host2, {"lxc.payload.mail/init.scope/cgroup.procs": f"999999999\n{process.pid}\n"})
        reading = Containers(str(host2), "/proc", NOBODY).read(0.0)
        process.kill()
    started = {row[2]: row[7] for row in some(reading).rows}
    assert isinstance(started["mail"], int)
    assert abs(started["mail"] / 1000 - began) < 30
    assert started["101"] is None


def test_a_host_without_containers_has_no_such_table(tmp_path: Path) -> None:
    assert Containers(str(tmp_path), str(tmp_path), NOBODY).read(0.0) is None


def test_containers_with_equal_names_are_distinguished_by_engine() -> None:
    twins = [Group("docker", ID, "/a", 1), Group("podman", ID, "/b", 2)]
    assert list(NOBODY.of(twins).values()) == [ID[:12], f"{ID[:12]} (podman 2)"]
