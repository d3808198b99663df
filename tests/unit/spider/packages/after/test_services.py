"""Services that run replaced code are found by the files their processes have mapped."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.packages.after.services import (
    NEVER_ALONE,
    Replaced,
    counts,
    find_replaced,
    is_in_container,
    replaced_code,
    runs_replaced_code,
    unit_of,
)
from spider.packages.after.units import parse_failed

DATA = Path(__file__).with_name("data")


def recorded(release: str) -> dict[int, tuple[str, str]]:
    """Processes of a recording: cgroup and maps by process."""
    found = {}
    for part in (DATA / f"deleted-maps-{release}.txt").read_text().split("== ")[1:]:
        head, *lines = part.splitlines()
        maps = [line for line in lines if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line)]
        found[int(head.split(" ")[0])] = ("\n".join(line for line in lines if line not in maps), "\n".join(maps))
    return found


@pytest.mark.parametrize(
    ("release", "units"),
    [
        ("apt-2.2", ["dbus.service", "systemd-logind.service"]),
        ("apt-2.6", ["", "systemd-journald.service", "dbus.service", "systemd-logind.service", "ssh.service"]),
        ("apt-3.0", ["", "systemd-journald.service", "dbus.service", "systemd-logind.service", "ssh.service"]),
    ],
)
def test_services_that_run_replaced_libraries_are_named_by_unit(release: str, units: list[str]) -> None:
    processes = recorded(release)
    assert [unit_of(cgroup) for cgroup, _ in processes.values()] == units
    for pid, (_, maps) in processes.items():
        files = replaced_code(maps)
        assert files, pid
        assert all(file.startswith("/usr/") for file in files)
        assert len(files) == len(set(files))


@pytest.mark.parametrize(
    ("path", "is_code"),
    [
        ("/usr/sbin/nginx (deleted)", True), ("/usr/lib/x86_64-linux-gnu/libc.so.6 (deleted)", True), ("/opt/app/bin (deleted)", True),
        ("/usr/sbin/nginx", False), ("/memfd:pulseaudio (deleted)", False), ("/dev/zero (deleted)", False),
        ("/SYSV00000000 (deleted)", False), ("/drm mm object (deleted)", False), ("/tmp/jit (deleted)", False),
        ("/dev/shm/x (deleted)", False), ("/home/me/a.out (deleted)", False), ("/run/user/1000/orcexec (deleted)", False),
    ],
)  # fmt: skip
def test_files_deleted_by_design_do_not_count_as_replaced(path: str, is_code: bool) -> None:
    assert counts(path) == is_code
    line = f"7f6913f48000-7f6913fb3000 r-xp 00002000 00:82 2561979    {path}"
    assert bool(replaced_code(line)) == is_code
    assert replaced_code(line.replace("r-xp", "r--p")) == []  # data: a cache or a catalogue


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/nginx.service", "nginx.service"),
        ("0::/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
        ("0::/system.slice/systemd-fsck@dev-disk-by\\x2duuid.service", "systemd-fsck@dev-disk-by\\x2duuid.service"),
        ("0::/system.slice/app.service/worker", "app.service"),
        ("12:pids:/x.service\n1:name=systemd:/system.slice/cron.service", "cron.service"),
        ("1:name=systemd:/\n0::/system.slice/cron.service", "cron.service"),
        ("0::/user.slice/user-1000.slice/session-3.scope", "user:1000"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.service", "user:1000"),
        ("0::/openrc/nginx", "nginx"),
        ("0::/openrc.nginx", "nginx"),
        ("1:name=openrc:/openrc/sshd", "sshd"),
        ("2:cpu:/\n1:name=openrc:/stardust-spider", "stardust-spider"),
        ("1:name=openrc:/", ""),
        ("0::/init.scope", ""),
        ("0::/", ""),
        ("", ""),
    ],
)
def test_a_process_belongs_to_the_service_of_its_control_group(cgroup: str, unit: str) -> None:
    assert unit_of(cgroup) == unit


@given(st.text(max_size=300))
def test_arbitrary_text_raises_no_error(text: str) -> None:
    assert isinstance(unit_of(text), str)
    assert isinstance(replaced_code(text), list)
    assert isinstance(parse_failed(text), frozenset)


def test_a_running_program_that_was_replaced_is_found_until_it_ends() -> None:
    """A real process: its own copy of `sleep`, deleted while it runs."""
    own = Path("/usr/local/lib") / f"stardust-test-{os.getpid()}"
    try:
        shutil.copy("/bin/sleep", own)
    except PermissionError:
        pytest.skip("needs a folder that is not one of temporary files")
    with subprocess.Popen([str(own), "60"]) as process:
        try:
            assert not runs_replaced_code(f"/proc/{process.pid}")
            own.unlink()
            assert runs_replaced_code(f"/proc/{process.pid}")
            assert find_replaced() != Replaced() or os.geteuid() != 0
        finally:
            process.kill()
    assert not runs_replaced_code(f"/proc/{process.pid}")


@pytest.mark.parametrize(
    ("root", "mounts", "container"),
    [("same", "same", False), ("jail", "same", False), ("same", "private", False), ("other", "private", True), ("gone", "same", True)],
)
def test_a_process_with_another_root_and_other_mounts_is_in_a_container(tmp_path: Path, root: str, mounts: str, container: bool) -> None:
    """A service that called chroot has only another root, and one with PrivateTmp only other mounts."""
    for name in ("same", "jail", "private", "other"):
        (tmp_path / name).mkdir()
    for process, targets in (("self", ("same", "same")), ("7", (root, mounts))):
        (tmp_path / process / "ns").mkdir(parents=True)
        for part, target in zip(("root", "ns/mnt"), targets, strict=True):
            (tmp_path / process / part).symlink_to(tmp_path / target)
    assert is_in_container(str(tmp_path / "7"), str(tmp_path / "self")) == container


def test_the_agents_own_processes_under_openrc_are_no_other_service(tmp_path: Path) -> None:
    """The launcher's cgroup also has the job's own processes, which end with the job."""
    (tmp_path / "root").mkdir()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as agent, subprocess.Popen(["sleep", "60"]) as mine:
        try:
            for process, service in ((str(agent.pid), "stardust-spider"), (str(mine.pid), "stardust-launcher"), ("self", "")):
                folder = tmp_path / "proc" / process
                (folder / "ns").mkdir(parents=True)
                (folder / "root").symlink_to(tmp_path / "root")
                (folder / "ns/mnt").symlink_to(tmp_path / "root")
                (folder / "exe").symlink_to("/usr/bin/python3 (deleted)")
                (folder / "cgroup").write_text(f"0::/openrc.{service}\n")
            assert find_replaced(str(tmp_path / "proc")) == Replaced(own=True)
            shutil.rmtree(tmp_path / "proc" / str(agent.pid))
            assert find_replaced(str(tmp_path / "proc")) == Replaced()
        finally:
            agent.kill()
            mine.kill()


def test_an_exceeded_time_limit_is_reported() -> None:
    assert not find_replaced(limit_s=-1).complete


def test_failed_units_are_read_from_new_and_old_systemd() -> None:
    text = "● lab-svc.service loaded failed failed Lab\n  other.mount loaded failed failed x\n* third.timer  masked failed failed\n\n"
    assert parse_failed(text) == {"lab-svc.service", "other.mount", "third.timer"}
    assert parse_failed("") == frozenset()


def test_the_page_offers_nothing_for_units_that_are_protected_or_never_restarted_alone() -> None:
    page = " ".join((Path(__file__).parents[5] / "capsule/src/core/nodes/units.ts").read_text().split())
    never_alone = page.partition("const NEVER_ALONE")[2].partition(";")[0]
    assert {f"{name}.service" for name in re.findall(r'"([a-z-]+)"', never_alone)} == NEVER_ALONE
