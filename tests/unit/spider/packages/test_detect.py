"""The package manager is the one whose database the system is built from; for other systems an alternative is named."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from spider.packages.detect import BACKENDS, UnsupportedHost, package_manager, updates_manager
from spider.packages.driver import Driver
from spider.packages.host_manager import INSTEAD, Native, find_native, name_by_version, root_is_read_only
from spider.packages.interfaces import PackagesUnreadable, Task
from tests.support.null_console import NullConsole

DPKG = {"var/lib/dpkg/status": "Package: a\n"}
RPM = {"usr/lib/sysimage/rpm/rpmdb.sqlite": "x"}
OLD_RPM = {"var/lib/rpm/Packages": "x"}
PACMAN = {"var/lib/pacman/local/a-1-1/desc": "x"}
APK = {"lib/apk/db/installed": "P:a\n"}
EVERYTHING = {f"usr/bin/{name}": "x" for name in ("apt-get", "dnf", "dnf5", "yum", "zypper", "pacman", "rpm", "apk")}
WRITABLE = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
READ_ONLY = "22 1 8:1 / / ro,relatime shared:1 - btrfs /dev/sda1 rw\n23 22 8:1 /var /var rw,relatime - btrfs /dev/sda1 rw\n"


def tree(root: Path, *parts: dict[str, str]) -> str:
    for part in parts:
        for name, content in part.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    return str(root)


def release(words: str) -> dict[str, str]:
    """`debian` or `rocky like rhel centos`."""
    name, _, like = words.partition(" like ")
    return {"ID": name, "ID_LIKE": like}


@pytest.mark.parametrize(
    ("files", "words", "name"),
    [
        (DPKG, "debian", "apt"),
        ({"var/lib/dpkg/status": ""}, "debian", ""),
        (PACMAN, "arch", "pacman"),
        ({"var/lib/pacman/local/ALPM_DB_VERSION": "9"}, "arch", ""),
        (APK, "alpine", "apk"),
        ({"usr/lib/apk/db/installed": "P:a\n"}, "alpine", "apk"),
        ({**RPM, "usr/bin/zypper": "x"}, "opensuse-leap like suse opensuse", "zypper"),
        ({**RPM, "usr/bin/zypper": "x", "usr/bin/dnf": "x"}, "opensuse-tumbleweed like opensuse suse", "zypper"),
        ({**RPM, "usr/bin/zypper": "x", "usr/bin/dnf": "x"}, "fedora", "dnf"),
        ({**RPM, "usr/bin/dnf": "x", "usr/bin/yum": "x"}, "rocky like rhel centos fedora", "dnf"),
        ({**RPM, "usr/bin/dnf5": "x"}, "fedora", "dnf5"),
        ({**OLD_RPM, "usr/bin/yum": "x"}, "centos like rhel fedora", "yum"),
        ({**RPM, "usr/bin/microdnf": "x"}, "rhel like fedora", ""),
        ({**DPKG, **RPM, **PACMAN, **APK, **EVERYTHING}, "debian", "apt"),
        ({**DPKG, **RPM, **PACMAN, **APK, **EVERYTHING}, "linuxmint like ubuntu debian", "apt"),
        ({**DPKG, **RPM, **PACMAN, **APK, **EVERYTHING}, "arch", "pacman"),
        ({**DPKG, **RPM, **PACMAN, **APK, **EVERYTHING}, "manjaro like arch", "pacman"),
        ({**DPKG, **RPM, **PACMAN, **APK, **EVERYTHING}, "alpine", "apk"),
        ({**DPKG, **RPM, **PACMAN, **APK, **EVERYTHING}, "sles like suse", "zypper"),
        (EVERYTHING, "debian", ""),
        (EVERYTHING, "other", ""),
        ({**DPKG, **EVERYTHING}, "fedora", "apt"),
        ({}, "flatcar like coreos", ""),
    ],
)  # fmt: skip
def test_the_package_manager_is_detected_by_its_database_not_its_programs(
    tmp_path: Path, files: dict[str, str], words: str, name: str
) -> None:
    assert find_native(tree(tmp_path, files), release(words)) == Native(name)


@pytest.mark.parametrize(("leads_to", "name"), [("dnf5", "dnf5"), ("dnf-3", "dnf")])
def test_the_target_of_the_dnf_link_decides_the_dnf_version(tmp_path: Path, leads_to: str, name: str) -> None:
    tree(tmp_path, RPM, {"usr/bin/dnf5": "x", "usr/bin/dnf-3": "x"})
    (tmp_path / "usr/bin/dnf").symlink_to(leads_to)
    (tmp_path / "usr/bin/yum").symlink_to("dnf")
    assert find_native(str(tmp_path), {"ID": "fedora"}).name == name
    (tmp_path / "usr/bin/dnf").unlink()
    (tmp_path / "usr/bin/yum").unlink()
    (tmp_path / "usr/bin/yum").symlink_to(leads_to)
    assert find_native(str(tmp_path), {"ID": "rhel"}).name == name


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("4.24.0\n  Installed: dnf-0:4.24.0", "dnf"),
        ("dnf5 version 5.4.6.0\ndnf5 plugin API version 2.0", "dnf5"),
        ("3.4.3\n  Installed: rpm-4.11.3", "yum"),
        ("", ""),
        ("command not found", ""),
    ],
)
def test_the_version_output_decides_which_program_it_is(said: str, name: str) -> None:
    assert name_by_version(said) == name


@pytest.mark.parametrize(
    ("files", "words", "name", "says"),
    [
        ({"etc/NIXOS": ""}, "nixos", "nixos", "nixos-rebuild"),
        ({}, "guix", "guix", "guix system reconfigure"),
        ({**RPM, "run/ostree-booted": "", "usr/bin/rpm-ostree": "x", "usr/bin/bootc": "x", "usr/bin/dnf": "x"}, "fedora", "rpm-ostree", "rpm-ostree upgrade"),
        ({**RPM, "run/ostree-booted": "", "usr/bin/bootc": "x", "usr/bin/dnf": "x"}, "rhel like fedora", "bootc", "bootc upgrade"),
        ({**DPKG, "run/ostree-booted": ""}, "endless like debian", "ostree", "ostree admin upgrade"),
        ({**PACMAN, "usr/bin/pacman": "x"}, "steamos like arch", "steamos", "steamos-update"),
        ({**DPKG}, "ubuntu-core", "ubuntu-core", "snap refresh"),
        ({**RPM, "usr/bin/zypper": "x", "usr/sbin/transactional-update": "x", "proc/1/mountinfo": READ_ONLY}, "opensuse-microos like suse", "transactional-update", "transactional-update"),
        ({**DPKG, "proc/1/mountinfo": READ_ONLY}, "debian", "read-only", "mounted read-only"),
        ({**APK, "proc/1/mountinfo": READ_ONLY}, "postmarketos like alpine", "read-only", "mounted read-only"),
    ],
)  # fmt: skip
def test_image_based_systems_name_the_tool_to_use_instead(tmp_path: Path, files: dict[str, str], words: str, name: str, says: str) -> None:
    root = tree(tmp_path, files, {"etc/os-release": "\n".join(f'{key}="{value}"' for key, value in release(words).items())})
    native = find_native(root, release(words))
    assert native.name == name
    assert says in native.instead
    manager = package_manager(root)
    assert isinstance(manager, UnsupportedHost)
    assert updates_manager(root) is None
    console = NullConsole()
    for verb in ("refresh", "check", "upgrade", "reboot"):
        outcome = manager.perform(Task(verb), console)
        assert (outcome.state, outcome.error_code, outcome.exit_code, outcome.changes) == ("failed", "job.not_this_way", None, ())
        assert outcome.error_text == native.instead
    assert native.instead in console.said
    with pytest.raises(PackagesUnreadable):
        manager.available_updates()


def test_a_writable_system_with_snapshots_and_an_old_steamos_are_driven(tmp_path: Path) -> None:
    root = tree(tmp_path, RPM, {"usr/bin/zypper": "x", "usr/sbin/transactional-update": "x", "proc/1/mountinfo": WRITABLE})
    assert find_native(root, release("opensuse-leap like suse")) == Native("zypper")
    assert find_native(tree(tmp_path / "b", DPKG), release("steamos like debian")) == Native("apt")


def test_spider_s_own_view_of_the_root_does_not_count(tmp_path: Path) -> None:
    """Its sandbox mounts everything read-only; the first process sees what the system really has."""
    root = tree(tmp_path, {"proc/1/mountinfo": WRITABLE, "proc/self/mountinfo": READ_ONLY})
    assert not root_is_read_only(root)
    assert not root_is_read_only(tree(tmp_path / "b", {"proc/self/mountinfo": READ_ONLY}))  # where the first process is hidden
    assert root_is_read_only(tree(tmp_path / "d", {"proc/1/mountinfo": READ_ONLY}))
    assert not root_is_read_only(str(tmp_path / "nowhere"))
    # the last mount over it counts
    assert not root_is_read_only(tree(tmp_path / "c", {"proc/1/mountinfo": READ_ONLY + WRITABLE}))


def test_mounts_are_read_to_their_end_although_the_kernel_returns_one_page_at_a_time(tmp_path: Path) -> None:
    root = tree(tmp_path, {"proc/1/stat": ""})
    mounts = tmp_path / "proc/1/mountinfo"
    os.mkfifo(mounts)

    def write() -> None:
        with mounts.open("w") as file:
            for _ in range(3):
                file.write("25 1 0:22 / /sys rw - sysfs sysfs rw\n" * 50)
                file.flush()
            file.write(READ_ONLY)

    writer = threading.Thread(target=write)
    writer.start()
    is_read_only = root_is_read_only(root)
    reader = os.open(mounts, os.O_RDONLY | os.O_NONBLOCK)  # without a reader the writer would wait
    writer.join()
    os.close(reader)
    assert is_read_only


def test_every_sentence_ends_and_names_a_command_or_a_place_to_look() -> None:
    for name, sentence in INSTEAD.items():
        assert sentence.endswith("."), name
        assert len(sentence) < 300


@pytest.mark.parametrize(
    ("files", "words", "name"),
    [
        ({**DPKG, "usr/bin/apt-get": "x"}, "debian", "apt"),
        ({**PACMAN, "usr/bin/pacman": "x"}, "arch", "pacman"),
        ({**APK, "sbin/apk": "x"}, "alpine", "apk"),
    ],
)
def test_a_manager_is_driven_where_its_program_is_too(tmp_path: Path, files: dict[str, str], words: str, name: str) -> None:
    root = tree(tmp_path, files, {"usr/lib/os-release": f"ID={words}\n"})
    manager = package_manager(root + "/")
    assert isinstance(manager, Driver)
    assert manager.name == name
    for program in BACKENDS[name][1]:
        (tmp_path / program).unlink(missing_ok=True)
    assert package_manager(root) is None


def test_a_host_without_any_database_has_no_manager(tmp_path: Path) -> None:
    assert package_manager(str(tmp_path)) is None
    assert updates_manager(str(tmp_path)) is None
