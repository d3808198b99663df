"""macOS: what a deployment and a join decide there, the property list, and what Spider reads of the system.

Written from documentation, and not run on a Mac. `tests/e2e/test_macos.py` runs Spider with a Mac's Python as far as Linux can have it.
"""

from __future__ import annotations

import plistlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from majortom.interfaces import DeployError, Payload, Secret
from majortom.launchd import LABEL, PLIST, render_plist
from majortom.plan import plan_install, unit_names, upload_files
from majortom.probe import parse_probe, summary
from majortom.ssh.shell import units
from spider.sampling.collectors.darwin import Psutil
from spider.sampling.collectors.darwin_identity import DarwinIdentityReader, addresses, machine_uuid, parse_system_version
from spider.sysctl import MAX_BYTES, sysctl, sysctl_number, sysctl_text
from tests.support.spider_as_on_macos import STATES, Library

PYTHON = "/Library/Developer/CommandLineTools/usr/bin/python3"
LINES = [
    "uid=0", "kernel=Darwin", "arch=arm64", "hostname=mac.local", "clock=1000", "os_ID=macos", 'os_PRETTY_NAME="macOS 15.1"', "launchd=yes",
    f"python={PYTHON}", "python_version=3.9.6",
]  # fmt: skip


def planned(*lines: str, replaceable: bool = False) -> str:
    return plan_install(parse_probe([*lines, *LINES]), install_python=False, hub_url="", fleet="0" * 26, replaceable=replaceable).clean


def test_launchd_keeps_spider_running_as_its_own_account() -> None:
    made = plistlib.loads(render_plist(PYTHON))
    assert made["Label"] == LABEL
    assert made["ProgramArguments"] == [PYTHON, "-I", "-B", "/opt/stardust/spider.pyz"]
    assert (made["UserName"], made["RunAtLoad"], made["KeepAlive"], made["Umask"]) == ("_stardust", True, True, 0o77)


def test_a_mac_gets_a_property_list_and_no_unit() -> None:
    probe = parse_probe(LINES)
    assert summary(probe, 1000.0) == "macOS 15.1, arm64, launchd, Python 3.9.6"
    assert unit_names(probe, launcher=False) == (PLIST,)
    payload = Payload(
        "1.0", b"zip", "[hub]\n", "[policy]\nversion = 1\nmode = monitor\n", Secret("00" * 32), Secret("11" * 32), install_python=False
    )
    files = upload_files(payload, units(), probe)
    assert set(files) == {"spider.pyz", "spider.conf", "policy.conf", "session.key", PLIST, "manifest"}
    assert plistlib.loads(files[PLIST])["ProgramArguments"][0] == PYTHON


@pytest.mark.parametrize(
    ("lines", "replaceable", "clean"),
    [
        ((), False, "nothing"),
        (("existing=/opt/stardust", "journal=begun"), False, "undo"),
        (("existing=/opt/stardust", "journal=complete", f"existing_fleet={'0' * 26}", f"existing_id={'1' * 26}"), True, "remove"),
    ],
)
def test_a_join_on_a_mac_clears_its_own_rest(lines: tuple[str, ...], replaceable: bool, clean: str) -> None:
    assert planned(*lines, replaceable=replaceable) == clean


def test_a_join_on_a_mac_is_refused_where_a_node_of_this_hub_is() -> None:
    with pytest.raises(DeployError) as refused:
        planned("existing=/opt/stardust", "journal=complete", f"existing_fleet={'0' * 26}", f"existing_id={'1' * 26}")
    assert refused.value.code == "already_installed"


def test_a_deployment_by_ssh_changes_nothing_on_a_mac_and_says_what_to_do() -> None:
    over_ssh = [line for line in LINES if not line.startswith(("launchd", "os_", "python"))]  # what the Linux probe tells there
    with pytest.raises(DeployError, match=r"one-line command of an invite.*docs/macos\.md") as refused:
        plan_install(parse_probe(over_ssh), install_python=False, hub_url="", fleet="0" * 26, replaceable=False)
    assert refused.value.code == "macos"


def test_states_of_the_kernel_are_read_as_text_and_number() -> None:
    assert sysctl_text("machdep.cpu.brand_string", Library) == "Apple M2 Pro"
    assert sysctl_number("hw.memsize", Library) == 16 << 30
    assert (sysctl("kern.nothing", Library), sysctl_text("kern.nothing", Library), sysctl_number("kern.nothing", Library)) == (b"", "", 0)


def test_a_state_that_is_too_large_and_a_kernel_without_states_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STATES, b"kern.large", bytes(MAX_BYTES + 1))
    assert sysctl("kern.large", Library) == b""
    assert sysctl("hw.memsize", SimpleNamespace()) == b""
    assert machine_uuid(SimpleNamespace()) == ""
    assert machine_uuid(SimpleNamespace(gethostuuid=lambda *_: -1)) == ""


def psutil_with(**rows: list[tuple[str, str]]) -> Psutil:
    found = {
        name: [SimpleNamespace(family=SimpleNamespace(name=family), address=text) for family, text in one] for name, one in rows.items()
    }
    return cast("Psutil", SimpleNamespace(net_if_addrs=lambda: found))


def test_the_identity_of_a_mac(tmp_path: Path) -> None:
    psutil = psutil_with(
        lo0=[("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")],
        en0=[("AF_LINK", "00:11:22:33:44:55"), ("AF_INET6", "fe80::1%en0"), ("AF_INET6", "fd00::7"), ("AF_INET", "192.0.2.7")],
        en1=[("AF_INET", "169.254.3.4")],
    )
    version = tmp_path / "SystemVersion.plist"
    version.write_bytes(plistlib.dumps({"ProductName": "macOS", "ProductVersion": "15.1", "ProductBuildVersion": "24B83"}))
    found = DarwinIdentityReader(psutil, Library, str(version)).read(0.0, "1.0", "monitor", [], 0)
    assert (found.os_id, found.os_name, found.os_version) == ("macos", "macOS", "15.1")
    assert (found.cpu_model, found.memory_bytes, found.booted_at_ms) == ("Apple M2 Pro", 16 << 30, 1_790_000_000_000)
    assert found.machine_id == "000102030405060708090a0b0c0d0e0f"
    assert found.addresses == ["192.0.2.7", "fd00::7"]
    assert (found.package_manager, found.reboot_required, found.policy_mode) == ("", "unknown", "monitor")


def test_what_a_mac_does_not_tell_is_unknown(tmp_path: Path) -> None:
    found = DarwinIdentityReader(psutil_with(), SimpleNamespace(), str(tmp_path / "none")).read(0.0, "1.0", "monitor", [], 0)
    assert (found.os_version, found.machine_id, found.cpu_model, found.memory_bytes, found.booted_at_ms) == ("", "", "", 0, 0)


@pytest.mark.parametrize("data", [b"", b"<plist>", plistlib.dumps(["list"]), b"bplist00junk", b"\xff" * 100])
def test_a_damaged_version_file_names_no_version(data: bytes) -> None:
    assert parse_system_version(data) == {}


def test_without_psutil_no_address_is_known() -> None:
    assert addresses(None) == []

    def failing() -> Any:
        raise OSError("no")

    assert addresses(cast("Psutil", SimpleNamespace(net_if_addrs=failing))) == []
