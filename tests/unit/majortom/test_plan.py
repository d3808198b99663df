"""The deployment plan for a server, from its current state."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from majortom.interfaces import DeployError, Payload, Secret
from majortom.plan import OPENRC_SERVICES, SPIDER_UNIT, InstallPlan, plan_install, render_unit, upload_files, with_launcher
from majortom.probe import Existing, InaccessiblePath, Probe, TargetFolder, parse_probe, summary
from majortom.ssh.shell import units

FLEET = "0" * 26
FOLDERS = tuple(TargetFolder(path, 1 << 30, writable=True, noexec=False) for path in ("/opt", "/etc/systemd/system", "/var/lib", "/tmp"))
GOOD = Probe(
    uid=0, kernel="Linux", arch="x86_64", hostname="web-1", os_id="debian", os_name="Debian GNU/Linux 12 (bookworm)", clock=1000.0,
    systemd=True, systemd_version=252, systemd_state="running", selinux="absent", package_manager="apt-get", missing_tools=(),
    folders=FOLDERS, python="/usr/bin/python3", python_version="3.11.2", python_old="", python_incomplete="", reach="ok", existing=Existing(),
)  # fmt: skip
OPENRC = GOOD._replace(systemd=False, systemd_version=0, systemd_state="", openrc="0.45.2", openrc_runlevel="default")
NO_PYTHON = GOOD._replace(python="", python_version="", reach="")


def refused(probe: Probe, *, install_python: bool = False, replaceable: bool = False) -> str:
    with pytest.raises(DeployError) as caught:
        plan_install(probe, install_python=install_python, hub_url="ws://hub/ws", fleet=FLEET, replaceable=replaceable)
    assert caught.value.step == "probe"
    return caught.value.code


VAR = "/var/lib/stardust"
OWN, OTHER, FOREIGN = "1" * 26, "2" * 26, "9" * 26
OURS = "stardust:x:999:999:Stardust agent:/var/lib/stardust:/usr/sbin/nologin"


def again(*, replaceable: bool = False, **there: Any) -> InstallPlan:
    probe = GOOD._replace(existing=Existing(**there))
    return plan_install(probe, install_python=False, hub_url="", fleet=FLEET, replaceable=replaceable, node=OWN)


@pytest.mark.parametrize(
    ("there", "plan"),
    [
        ({}, InstallPlan("nothing", "")),
        (
            {"paths": (VAR,), "finished": True, "node": OWN, "fleet": FLEET, "user": OURS},
            InstallPlan("stash", "", ("spider", "started", "jobs")),
        ),
        ({"paths": (VAR,), "finished": True, "user": OURS}, InstallPlan("stash", "", ("started", "jobs"))),
        ({"paths": ("/opt/stardust",)}, InstallPlan("stash", "", ("started", "jobs"))),
        ({"user": OURS}, InstallPlan("stash", "", ("started", "jobs"))),
        ({"paths": (VAR,), "finished": True, "node": FOREIGN, "fleet": FOREIGN, "user": OURS}, InstallPlan("stash", "")),
        ({"paths": (VAR,), "finished": True, "node": OWN, "fleet": FOREIGN, "user": OURS}, InstallPlan("stash", "")),
        ({"paths": (VAR,), "finished": False, "node": OWN, "fleet": FLEET, "user": OURS}, InstallPlan("undo", "")),
    ],
)
def test_a_redeployment_takes_over_only_its_own_installation(there: dict[str, Any], plan: InstallPlan) -> None:
    assert again(**there) == plan


def test_a_redeployment_does_not_touch_other_nodes_and_accounts() -> None:
    other = {"paths": (VAR,), "finished": True, "node": OTHER, "fleet": FLEET, "user": OURS}
    for there, code in (
        (other, "already_installed"),
        ({"user": "stardust:x:1000:1000:Ziggy:/home/stardust:/bin/bash"}, "name_in_use"),
        ({"paths": (VAR,), "finished": True, "node": OWN, "fleet": FLEET, "user": OURS, "jobs": 1}, "job_running"),
    ):
        with pytest.raises(DeployError) as caught:
            again(**there)
        assert caught.value.code == code
    assert again(**other, replaceable=True) == InstallPlan("stash", "")


def test_a_fresh_server_needs_no_preparation() -> None:
    plan = plan_install(GOOD, install_python=True, hub_url="", fleet=FLEET, replaceable=False)
    assert plan == InstallPlan("nothing", "")


@pytest.mark.holds("F-23")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kernel": "FreeBSD"}, "not_linux"),
        ({"systemd": False}, "no_systemd"),
        ({"systemd_version": 219}, "systemd_old"),
        ({"systemd_state": "stopping"}, "systemd_stopping"),
        ({"missing_tools": ("flock", "useradd")}, "tool_missing"),
        ({"folders": (TargetFolder("/opt", 1 << 30, writable=False, noexec=False),)}, "read_only"),
        ({"closed": InaccessiblePath("/opt", "750", "x")}, "closed_to_spider"),
        ({"folders": (TargetFolder("/opt", 4096, writable=True, noexec=False),)}, "no_space"),
        ({"existing": Existing(jobs=1)}, "job_running"),
        ({"existing": Existing(paths=("/opt/stardust",))}, "already_installed"),
        ({"existing": Existing(user="stardust:x:1000:1000::/home/stardust:/bin/sh")}, "name_in_use"),
        ({"existing": Existing(group="stardust:x:1000:")}, "name_in_use"),
        ({"python": "", "reach": ""}, "no_python3"),
        ({"python": "", "python_old": "3.6.8", "reach": ""}, "python3_old"),
        ({"python": "", "python_incomplete": "asyncio ssl", "reach": ""}, "python3_incomplete"),
        ({"reach": "connection refused"}, "hub_unreachable"),
    ],
)
def test_each_obstacle_is_named_before_anything_is_changed(change: dict[str, Any], code: str) -> None:
    assert refused(GOOD._replace(**change)) == code


def test_folders_on_one_file_system_need_room_together() -> None:
    def folders(mount: str, free_bytes: int) -> tuple[TargetFolder, ...]:
        return tuple(TargetFolder(path, free_bytes, writable=True, noexec=False, mount=mount) for path in ("/opt", "/var/lib"))

    def plan(mount: str, free_bytes: int) -> InstallPlan:
        probe = GOOD._replace(folders=folders(mount, free_bytes))
        return plan_install(probe, install_python=False, hub_url="", fleet=FLEET, replaceable=False)

    assert plan("", 16 << 20) == plan("/", 24 << 20) == InstallPlan("nothing", "")
    with pytest.raises(DeployError, match=r"^/ on the server has 23 MiB free, and 24 MiB are needed"):
        plan("/", (24 << 20) - 1)


@pytest.mark.parametrize(("device", "together"), [("/dev/sda1", True), ("tmpfs", False)])
def test_folders_on_two_mount_points_of_one_device_need_room_together(device: str, together: bool) -> None:
    folders = tuple(
        TargetFolder(path, (24 << 20) - 1, writable=True, noexec=False, device=device, mount=path) for path in ("/opt", "/var/lib")
    )
    probe = GOOD._replace(folders=folders)
    if together:
        assert refused(probe) == "no_space"
    else:
        assert plan_install(probe, install_python=False, hub_url="", fleet=FLEET, replaceable=False) == InstallPlan("nothing", "")


def test_with_openrc_a_server_gets_openrc_services() -> None:
    plan = plan_install(OPENRC, install_python=False, hub_url="", fleet=FLEET, replaceable=False)
    assert plan == InstallPlan("nothing", "")
    assert refused(OPENRC._replace(openrc_runlevel="shutdown")) == "systemd_stopping"
    assert refused(OPENRC._replace(openrc="")) == "no_systemd"
    assert "OpenRC 0.45.2" in summary(OPENRC, 1000.0)
    files = upload_files(payload("monitor"), units(), OPENRC._replace(python="/usr/bin/python3.12"))
    assert set(files) == {"spider.pyz", "spider.conf", "policy.conf", "session.key", "stardust-spider", "manifest"}
    files = upload_files(payload("managed"), units(), OPENRC._replace(python="/usr/bin/python3.12"))
    assert all(b"\ncommand=/usr/bin/python3.12\n" in files[name] for name in OPENRC_SERVICES)
    assert "launch.key" in files


def test_the_version_of_openrc_is_parsed() -> None:
    lines = ["uid=0", "kernel=Linux", "arch=x86_64", "hostname=web-1", "clock=1000"]
    for told, version in (
        ("rc-service (OpenRC [SYSTEMD-NSPAWN]) 0.45.2", "0.45.2"),
        ("rc-service (OpenRC) 0.54 (Alpine Linux)", "0.54"),
        ("", ""),
    ):
        assert parse_probe([*lines, f"openrc={told}"]).openrc == version


def test_missing_python3_is_reported_with_the_option() -> None:
    with pytest.raises(DeployError, match="install_python"):
        plan_install(NO_PYTHON, install_python=False, hub_url="", fleet=FLEET, replaceable=False)


def test_python3_is_installed_when_that_was_agreed_to() -> None:
    assert plan_install(NO_PYTHON, install_python=True, hub_url="", fleet=FLEET, replaceable=False).python_manager == "apt-get"
    assert refused(NO_PYTHON._replace(package_manager=""), install_python=True) == "no_package_manager"


def test_an_unfinished_installation_is_cleared_away_first() -> None:
    there = Existing(paths=("/opt/stardust", "/var/lib/stardust"), finished=False, user="stardust:x:998:998")
    assert plan_install(GOOD._replace(existing=there), install_python=False, hub_url="", fleet=FLEET, replaceable=False).clean == "undo"


def test_a_complete_installation_is_replaced_only_if_its_node_is_unknown() -> None:
    there = GOOD._replace(existing=Existing(paths=("/opt/stardust",), finished=True, node="1" * 26, fleet=FLEET))
    assert plan_install(there, install_python=False, hub_url="", fleet=FLEET, replaceable=True).clean == "remove"
    with pytest.raises(DeployError, match=r"already on this server \(node web-1\)") as caught:
        plan_install(there, install_python=False, hub_url="", fleet=FLEET, replaceable=False, name="web-1")
    assert caught.value.code == "already_installed"
    assert refused(there._replace(existing=there.existing._replace(fleet="2" * 26)), replaceable=True) == "already_installed"


# -- what the probe prints ---------------------------------------------------------------------


LINES = """uid=0
kernel=Linux
arch=x86_64
hostname=node2
clock=1795169086
os_PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
os_VERSION_ID="12"
os_ID=debian
systemd=yes
systemd_version=systemd 252 (252.39-1~deb12u1)
systemd_state=degraded
selinux=1
package_manager=apt-get
folder /opt=80000 yes no /dev/sda1 /srv/a disk
folder /tmp=70 no yes
existing=/opt/stardust /etc/stardust
journal=begun
existing_id=0123456789abcdefghjkmnpqrs
user=
group=stardust:x:998:
jobs=0
python_incomplete=does not run
python=/usr/bin/python3.11
python_version=3.11.2
reach=connection refused""".splitlines()


def test_the_output_of_the_probe_is_parsed() -> None:
    probe = parse_probe(LINES)
    assert probe.os_name == "Debian GNU/Linux 12 (bookworm)"
    assert probe.systemd_version == 252
    assert probe.selinux == "enforcing"
    assert probe.folders == (
        TargetFolder("/opt", 80000 * 1024, writable=True, noexec=False, device="/dev/sda1", mount="/srv/a disk"),
        TargetFolder("/tmp", 70 * 1024, writable=False, noexec=True),
    )
    assert probe.existing.paths == ("/opt/stardust", "/etc/stardust")
    assert probe.existing.finished is False
    assert probe.existing.group == "stardust:x:998:"
    assert probe.python == "/usr/bin/python3.11"
    assert probe.reach == "connection refused"


def test_a_probe_without_a_required_line_is_an_error() -> None:
    with pytest.raises(DeployError, match="the answer lacks kernel"):
        parse_probe(["uid=0"])


@given(st.lists(st.text(max_size=60), max_size=30))
def test_any_output_gives_a_probe_or_a_named_error(extra: list[str]) -> None:
    probe = parse_probe([*LINES, *extra])
    assert probe.python == "/usr/bin/python3.11"
    with contextlib.suppress(DeployError):
        parse_probe(extra)


def test_a_python_path_with_shell_syntax_is_refused() -> None:
    assert parse_probe([*[line for line in LINES if not line.startswith("python=")], "python=/usr/bin/python3;id"]).python == ""


def test_the_summary_mentions_a_wrong_clock() -> None:
    assert summary(GOOD, GOOD.clock) == "Debian GNU/Linux 12 (bookworm), x86_64, systemd 252, Python 3.11.2"
    assert "300 s behind" in summary(GOOD, GOOD.clock + 300)


# -- files to copy -----------------------------------------------------------------------------


def payload(mode: str) -> Payload:
    policy = f"[policy]\nversion = 1\nmode = {mode}\n"
    return Payload("0.1.0", b"zip", "[hub]\n", policy, Secret("11" * 32), Secret("22" * 32), install_python=False)


def test_monitor_gets_neither_launcher_nor_launch_key() -> None:
    files = upload_files(payload("monitor"), units(), GOOD)
    assert set(files) == {"spider.pyz", "spider.conf", "policy.conf", "session.key", SPIDER_UNIT, "manifest"}
    assert not with_launcher("[policy]\nmode = monitor")
    assert with_launcher("[policy]\nmode = readonly")


def test_the_manifest_lists_every_file() -> None:
    files = upload_files(payload("managed"), units(), GOOD)
    listed = [line.split("  ")[1] for line in files["manifest"].decode().splitlines()]
    assert sorted([*listed, "manifest"]) == sorted(files)
    assert files["launch.key"] == bytes([0x22]) * 32


@pytest.mark.parametrize("version", ["../x", "a/b", "", "..", "1 2", "-x", "x" * 80])
def test_an_invalid_version_is_refused(version: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        upload_files(payload("managed")._replace(version=version), units(), GOOD)


def test_units_are_adapted_to_the_server() -> None:
    for name, text in units().items():
        fitted = render_unit(text, "/usr/libexec/platform-python", 239)
        assert "/usr/bin/python3" not in fitted
        assert "Type=exec" not in fitted
        assert ("ExecStart=/usr/libexec/platform-python " in fitted) == ("ExecStart=" in text), name
    assert render_unit("Type=exec\n", "/usr/bin/python3", 252) == "Type=exec\n"
    with pytest.raises(ValueError, match="plain path"):
        render_unit("", "/usr/bin/python3 -c 'x'", 252)
