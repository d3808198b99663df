"""The identity of a server."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import pytest

from spider.sampling.collectors.identity import IdentityReader, parse_cpu_model, parse_os_release, parse_uptime, read_timezone
from spider.sampling.collectors.virtualization import detect_container, detect_machine
from spider.wire.codec import NODE_CODEC
from tests.support.moving_machine import compared_at_rest
from tests.support.recordings import captured, write

AGENT = ("0.1.0", "managed", ("refresh", "check"))
"""What Spider says of itself."""


def test_os_release_of_a_debian_host_is_read_by_value() -> None:
    release = parse_os_release(captured("nspawn", "os-release").decode())
    assert (release["ID"], release["NAME"], release["VERSION_ID"]) == ("debian", "Debian GNU/Linux", "12")


def test_os_release_is_quoted_as_in_a_shell() -> None:
    text = '# a remark\nNAME=\'It is\'\nPRETTY_NAME="a \\"b\\" \\$c"\nID=arch\nVERSION_ID=\nlower=1\nnonsense\nBROKEN="x\n'
    assert parse_os_release(text) == {"NAME": "It is", "PRETTY_NAME": 'a "b" $c', "ID": "arch", "VERSION_ID": "", "BROKEN": '"x'}


def test_the_cpu_model_of_the_machine_is_read_by_value() -> None:
    text = captured("machine", "cpuinfo").decode()
    assert parse_cpu_model(text) == next(line.split(": ")[1] for line in text.splitlines() if line.startswith("model name"))


def test_a_nameless_processor_gets_the_name_of_its_board() -> None:
    arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n"
    assert parse_cpu_model(arm, "Raspberry Pi 4 Model B") == "Raspberry Pi 4 Model B"
    assert parse_cpu_model(arm) == "ARM implementer 0x41 part 0xd0c"
    assert parse_cpu_model("") == ""


def test_the_time_zone_is_where_localtime_leads(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert read_timezone(root) == "UTC"
    write(tmp_path, {"etc/timezone": "Europe/Oslo\n"})
    assert read_timezone(root) == "Europe/Oslo"
    (tmp_path / "etc/localtime").symlink_to("../usr/share/zoneinfo/America/New_York")
    assert read_timezone(root) == "America/New_York"
    (tmp_path / "etc/localtime").unlink()
    write(tmp_path, {"etc/localtime": b"TZif"})
    assert read_timezone(root) == "Europe/Oslo"


def test_container_managers_are_detected_by_their_files(tmp_path: Path) -> None:
    assert detect_container(str(tmp_path / "none")) == ""
    for number, (name, content, kind) in enumerate(
        [
            ("run/systemd/container", "systemd-nspawn\n", "systemd-nspawn"),
            ("run/.containerenv", "", "podman"),
            (".dockerenv", "", "docker"),
            ("proc/vz/version", "", "openvz"),
            ("proc/sys/kernel/osrelease", "5.15.90.1-microsoft-standard-WSL2\n", "wsl"),
        ]
    ):
        assert detect_container(str(write(tmp_path / str(number), {name: content}))) == kind


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"sys/class/dmi/id/sys_vendor": "QEMU"}, "qemu"),
        ({"sys/class/dmi/id/product_name": "KVM"}, "kvm"),
        ({"sys/class/dmi/id/sys_vendor": "VMware, Inc."}, "vmware"),
        ({"sys/class/dmi/id/sys_vendor": "Microsoft Corporation", "sys/class/dmi/id/product_name": "Virtual Machine"}, "microsoft"),
        ({"sys/class/dmi/id/sys_vendor": "Microsoft Corporation", "sys/class/dmi/id/product_name": "Surface"}, "none"),
        ({"sys/class/dmi/id/sys_vendor": "innotek GmbH"}, "oracle"),
        ({"sys/class/dmi/id/sys_vendor": "Amazon EC2", "proc/cpuinfo": "flags : fpu hypervisor"}, "amazon"),
        ({"sys/class/dmi/id/sys_vendor": "Amazon EC2", "proc/cpuinfo": "flags : fpu"}, "none"),
        ({"sys/class/dmi/id/sys_vendor": "Dell Inc.", "proc/cpuinfo": "flags : fpu"}, "none"),
        ({"sys/hypervisor/type": "xen"}, "xen"),
        ({"sys/hypervisor/type": "xen", "proc/xen/capabilities": "control_d\n"}, "none"),
        (
            {"sys/class/dmi/id/sys_vendor": "Oracle Corporation", "proc/cpuinfo": "flags : fpu hypervisor"}
            | {"sys/hypervisor/type": "xen", "proc/xen/capabilities": "control_d\n"},
            "none",
        ),
        ({"proc/device-tree/hypervisor/compatible": "linux,kvm\0"}, "kvm"),
        (
            {
                "proc/cpuinfo": captured("machine", "cpuinfo"),
                "sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc kvm-clock\n",
            },
            "kvm",
        ),
        ({"proc/cpuinfo": captured("machine", "cpuinfo")}, "vm"),
        ({"proc/cpuinfo": "flags : fpu"}, "none"),
    ],
)
def test_hypervisors_are_detected_by_firmware_and_processor(tmp_path: Path, files: dict[str, str | bytes], kind: str) -> None:
    assert detect_machine(str(write(tmp_path, files))) == kind


@pytest.mark.parametrize(
    ("vendor", "product", "kind"),
    [
        ("Amazon EC2", "m6g.large", "amazon"),
        ("Amazon EC2", "m6g.metal", "none"),
        ("Google", "Google Compute Engine", "google"),
        ("Google", "Izumi", ""),
        ("Dell Inc.", "", "none"),
    ],
)
def test_a_processor_without_a_flag_leaves_it_to_the_firmware(tmp_path: Path, vendor: str, product: str, kind: str) -> None:
    files = {"sys_vendor": vendor, "product_name": product}
    root = write(tmp_path, {f"sys/class/dmi/id/{name}": text for name, text in files.items()} | {"proc/cpuinfo": "Features : fp asimd\n"})
    assert detect_machine(str(root), "aarch64") == kind


def test_an_unknown_architecture_without_a_sign_stays_unknown(tmp_path: Path) -> None:
    assert detect_machine(str(tmp_path), "aarch64") == ""


def test_uptime_is_read_by_value() -> None:
    assert parse_uptime(captured("machine", "uptime").decode()) == 5827.32
    assert parse_uptime(captured("lxcfs", "uptime").decode()) == 16.40
    for wrong in ("", "x", "nan 1", "-1 2", "1e300"):
        with pytest.raises(ValueError, match=r"."):
            parse_uptime(wrong)


def test_the_boot_time_is_stable(tmp_path: Path) -> None:
    reader = IdentityReader(str(write(tmp_path, {"proc/uptime": "100.00 0\n"})))
    assert reader.read(1_000_000.0, *AGENT).booted_at_ms == 999_900_000
    assert reader.read(1_000_002.4, *AGENT).booted_at_ms == 999_900_000
    assert reader.read(1_000_600.0, *AGENT).booted_at_ms == 1_000_500_000


@compared_at_rest
def test_the_identity_of_this_machine_matches_its_own_tools() -> None:
    identity = IdentityReader().read(2e9, *AGENT)
    assert (identity.agent_version, identity.policy_mode, identity.policy_verbs) == (AGENT[0], AGENT[1], list(AGENT[2]))
    assert identity.hostname == platform.node()
    assert identity.kernel == platform.release()
    assert identity.cpu_cores == os.cpu_count()
    assert identity.architecture == platform.machine()
    assert identity.memory_bytes == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    shown = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    assert set(identity.addresses) <= set(shown)


def test_an_empty_host_is_unknown_and_no_failure(tmp_path: Path) -> None:
    identity = IdentityReader(str(tmp_path)).read(0.0, *AGENT)
    assert (identity.machine_id, identity.os_version, identity.package_manager, identity.booted_at_ms) == ("", "", "", 0)
    assert identity.reboot_required == "unknown"


def test_the_end_of_support_is_what_os_release_names(tmp_path: Path) -> None:
    write(tmp_path, {"etc/os-release": "ID=fedora\nSUPPORT_END=2027-05-12\n"})
    assert IdentityReader(str(tmp_path)).read(0.0, *AGENT).support_end == "2027-05-12"


def test_a_name_of_any_bytes_can_be_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/localtime").symlink_to(os.fsdecode(b"/usr/share/zoneinfo/x\xfe"))
    system = os.uname_result(("Linux", os.fsdecode(b"we\xff\x1b[2Jb"), "6.1", "#1", "x86_64"))
    monkeypatch.setattr(os, "uname", lambda: system)  # what uname(2) gives after sethostname(2) with these bytes
    frame = IdentityReader(str(tmp_path)).read(0.0, *AGENT)
    assert (frame.hostname, frame.timezone) == ("we\\udcff [2Jb", "x\\udcfe")
    assert NODE_CODEC.encode(frame)
