"""Whether a reboot is needed is reported with a reason, and `no` only for what was checked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spider.packages.after.reboot import Host, RebootVerdict, flavour, is_kernel, load_verdict, passed_over, reboot_required, save_verdict

LONG_AGO, FAR_AHEAD = 1.0, 4e9
"""Moments of a boot: before and after every file that a test writes."""


def write(root: Path, *paths: str) -> Path:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    return root


def kernels(root: Path, *names: str) -> Path:
    write(root, *(f"lib/modules/{name}/modules.dep" for name in names), *(f"boot/vmlinuz-{name}" for name in names))
    return write(root, "usr/lib/x86_64-linux-gnu/libc.so.6")


def ask(root: Path, kernel: str, manager: str = "apt", booted_at: float = FAR_AHEAD, container: str = "", **told: str) -> RebootVerdict:
    return reboot_required(str(root), Host(manager, kernel, booted_at, container), (told.get("required", "unknown"), told.get("why", "")))


def test_a_newer_kernel_that_was_there_before_the_boot_was_passed_over(tmp_path: Path) -> None:
    kernels(tmp_path, "6.1.0-18-amd64", "6.1.0-28-amd64", "6.1.0-30-amd64", "6.1.0-31-rt-amd64")
    write(tmp_path, *(f"lib/modules/{name}/kernel/fs.ko" for name in ("6.1.0-18-amd64", "6.1.0-30-amd64", "6.1.0-31-rt-amd64")))
    host = Host("apt", "6.1.0-28-amd64", FAR_AHEAD, "")
    assert passed_over(str(tmp_path), host) == ["6.1.0-30-amd64"]
    assert passed_over(str(tmp_path), host._replace(booted_at=1.0)) == [], "it was installed after the boot"
    assert passed_over(str(tmp_path), host._replace(container="lxc")) == []
    assert passed_over(str(tmp_path), host._replace(kernel="6.1.0-30-amd64")) == []


def test_live_patches_are_named_beside_the_reason_and_change_no_result(tmp_path: Path) -> None:
    kernels(tmp_path, "6.1.0-28-amd64")
    write(tmp_path, "sys/kernel/livepatch/lkp_1/enabled", "sys/kernel/livepatch/old/enabled")
    (tmp_path / "sys/kernel/livepatch/lkp_1/enabled").write_text("1\n")
    assert ask(tmp_path, "6.1.0-28-amd64", booted_at=FAR_AHEAD) == ask(kernels(tmp_path / "other", "6.1.0-28-amd64"), "6.1.0-28-amd64")
    write(tmp_path, "run/reboot-required")
    found = ask(tmp_path, "6.1.0-28-amd64")
    assert found == ("yes", "the file /run/reboot-required exists; live patches are loaded until then: lkp_1")
    assert ask(tmp_path, "6.1.0-28-amd64", container="lxc").why == "the file /run/reboot-required exists", "its kernel is its host's"


@pytest.mark.parametrize("mark", ["run/reboot-required", "var/run/reboot-required", "run/reboot-needed"])
def test_a_reboot_mark_gives_yes_with_the_packages_that_made_it(tmp_path: Path, mark: str) -> None:
    write(tmp_path, mark)
    assert ask(tmp_path, "6.1") == ("yes", f"the file /{mark} exists")
    (tmp_path / (mark + ".pkgs")).write_text("libc6\nlinux-base\nlibc6\n")
    assert ask(tmp_path, "6.1") == ("yes", "asked for by libc6, linux-base")
    (tmp_path / (mark + ".pkgs")).write_text("".join(f"p{number}\n" for number in range(9)))
    assert ask(tmp_path, "6.1").why == "asked for by p0, p1, p2, p3, p4 (+4)"


def test_without_any_evidence_the_verdict_is_unknown(tmp_path: Path) -> None:
    for manager in ("apt", "dnf", "zypper", "pacman", "apk", ""):
        assert ask(tmp_path, "6.1", manager).required == "unknown"


@pytest.mark.parametrize(
    ("manager", "running", "newer"),
    [
        ("apt", "6.1.0-9-amd64", "6.1.0-18-amd64"),
        ("apt", "6.12.48+deb13-amd64", "6.12.48+deb13.1-amd64"),
        ("apt", "6.8.12-4-pve", "6.8.12-10-pve"),
        ("apt", "6.6.31+rpt-rpi-v8", "6.12.25+rpt-rpi-v8"),
        ("apt", "5.15.0-91-generic", "5.15.0-113-generic"),
        ("dnf", "5.14.0-503.el9.x86_64", "5.14.0-503.11.1.el9_5.x86_64"),
        ("dnf5", "6.9.9-200.fc40.x86_64", "6.11.4-301.fc41.x86_64"),
        ("zypper", "6.4.0-150600.23.9-default", "6.4.0-150600.23.17-default"),
        ("pacman", "6.9.9.arch1-1", "6.12.1.arch1-1"),
        ("pacman", "6.6.9-1-lts", "6.6.63-1-lts"),
    ],
)
def test_a_newer_kernel_of_the_same_flavour_says_yes_and_an_older_one_no(tmp_path: Path, manager: str, running: str, newer: str) -> None:
    kernels(tmp_path, running, newer)
    assert ask(tmp_path, running, manager) == ("yes", f"kernel {newer} is installed, but {running} is running")
    assert ask(tmp_path, newer, manager).required == "no"
    assert flavour(running) == flavour(newer)


@pytest.mark.parametrize(
    ("running", "other"),
    [
        ("6.1.0-9-amd64", "6.1.0-18-rt-amd64"),
        ("6.1.0-9-amd64", "6.1.0-18-cloud-amd64"),
        ("6.6.31+rpt-rpi-v8", "6.12.25+rpt-rpi-2712"),
        ("6.1.21-v7+", "6.1.22-v8+"),
        ("5.14.0-503.el9.x86_64", "5.14.0-504.el9.x86_64+rt"),
        ("6.9.9-arch1-1", "6.12.1-1-lts"),
        ("6.9.9-arch1-1", "6.12.1-zen1-1-zen"),
        ("6.11.0-1.fc41.aarch64", "6.11.1-1.fc41.aarch64+64k"),
        ("6.6.62-0-lts", "6.6.70-0-virt"),
    ],
)
def test_a_newer_kernel_of_another_flavour_is_ignored(tmp_path: Path, running: str, other: str) -> None:
    kernels(tmp_path, running, other)
    assert flavour(running) != flavour(other)
    assert ask(tmp_path, running).required == "no"


def test_a_kernel_that_no_package_has_is_not_called_old(tmp_path: Path) -> None:
    kernels(tmp_path, "6.1.0-18-amd64")
    verdict = ask(tmp_path, "6.18.44-fc-v657")
    assert verdict == ("unknown", "the running kernel 6.18.44-fc-v657 is not among the installed ones")


def test_removed_modules_of_the_running_kernel_say_yes(tmp_path: Path) -> None:
    kernels(tmp_path, "6.12.2-arch1-1", "6.6.63-1-lts")
    verdict = ask(tmp_path, "6.12.1-arch1-1", "pacman")
    assert verdict == ("yes", "the running kernel 6.12.1-arch1-1 is no longer installed; 6.12.2-arch1-1 is")


def test_leftover_folders_of_modules_are_no_kernels(tmp_path: Path) -> None:
    kernels(tmp_path, "6.1.0-9-amd64")
    write(tmp_path, "lib/modules/6.1.0-18-amd64/kernel/dkms.ko")
    assert ask(tmp_path, "6.1.0-9-amd64").required == "no"


def test_the_same_kernel_written_again_after_the_boot_says_yes(tmp_path: Path) -> None:
    kernels(tmp_path, "6.1.0-9-amd64")
    verdict = ask(tmp_path, "6.1.0-9-amd64", booted_at=LONG_AGO)
    assert verdict == ("yes", "the file of the running kernel 6.1.0-9-amd64 was replaced after the boot")


def test_a_libc_installed_after_the_boot_says_yes(tmp_path: Path) -> None:
    kernels(tmp_path, "6.1.0-9-amd64")
    for image in (tmp_path / "boot").iterdir():
        image.unlink()
    verdict = ask(tmp_path, "6.1.0-9-amd64", "apk", booted_at=LONG_AGO)
    assert verdict == ("yes", "libc.so.6 changed after the boot: programs started before still run the old version")


def test_systemd_counts_as_core_where_dnf_counts_it(tmp_path: Path) -> None:
    write(tmp_path, "usr/lib/systemd/systemd")
    assert ask(tmp_path, "6.1", "dnf", booted_at=LONG_AGO).required == "yes"
    assert ask(tmp_path, "6.1", "apt", booted_at=LONG_AGO).required == "unknown"


def test_a_missing_mark_says_no_where_a_tool_writes_marks(tmp_path: Path) -> None:
    write(tmp_path, "etc/kernel/postinst.d/unattended-upgrades")
    assert ask(tmp_path, "6.1").required == "no"
    assert ask(tmp_path, "6.1", "dnf").required == "unknown"


def test_the_managers_verdict_counts_but_a_newer_kernel_overrides_it(tmp_path: Path) -> None:
    assert ask(tmp_path, "6.1", "dnf", required="yes", why="glibc was updated") == ("yes", "glibc was updated")
    assert ask(tmp_path, "6.1", "dnf", required="no", why="nothing was updated") == ("no", "nothing was updated")
    kernels(tmp_path, "6.1-a", "6.2-a")
    assert ask(tmp_path, "6.1-a", "dnf", required="no").required == "yes"


class TestContainer:
    """Its kernel is its host's."""

    def test_kernels_and_libraries_do_not_count(self, tmp_path: Path) -> None:
        kernels(tmp_path, "6.2")
        verdict = ask(tmp_path, "6.1", booted_at=LONG_AGO, container="lxc")
        assert verdict == ("no", "it is a container (lxc): the kernel is its host's, and nothing here asks for a restart")

    def test_a_mark_counts_but_not_one_for_a_kernel_alone(self, tmp_path: Path) -> None:
        write(tmp_path, "run/reboot-required")
        assert ask(tmp_path, "6.1", container="lxc").required == "yes"
        (tmp_path / "run/reboot-required.pkgs").write_text("linux-image-6.1.0-18-amd64\nlinux-base\n")
        assert ask(tmp_path, "6.1", container="lxc").required == "no"
        (tmp_path / "run/reboot-required.pkgs").write_text("linux-image-6.1.0-18-amd64\ndbus\n")
        assert ask(tmp_path, "6.1", container="lxc").required == "yes"

    @pytest.mark.parametrize(("why", "required"), [("kernel, kernel-core", "no"), ("glibc", "yes"), ("kernel, glibc", "yes"), ("", "yes")])
    def test_the_managers_verdict_counts_in_a_container(self, tmp_path: Path, why: str, required: str) -> None:
        assert ask(tmp_path, "6.1", "dnf", container="lxc", required="yes", why=why).required == required


def test_kernels_are_recognised_by_package_name() -> None:
    for name in ("linux-image-amd64", "kernel", "kernel-core", "kernel-default", "linux", "linux-lts", "proxmox-kernel-6.8"):
        assert is_kernel(name), name
    for name in ("linux-libc-dev", "util-linux", "libc6", "lab-kernel", "linuxptp"):
        assert not is_kernel(name), name


class TestRemembered:
    """What the manager told root is reported by Spider until it no longer holds."""

    BOOT = "0" * 32

    def keep(self, root: Path, required: str, why: str = "because") -> None:
        (root / "var/lib/stardust/jobs").mkdir(parents=True, exist_ok=True)
        save_verdict((required, why), self.BOOT, str(root / "var/lib/stardust/jobs"))

    def test_a_stored_yes_is_valid_until_the_next_boot(self, tmp_path: Path) -> None:
        self.keep(tmp_path, "yes")
        write(tmp_path, "var/lib/rpm/rpmdb.sqlite")
        assert load_verdict(self.BOOT, str(tmp_path)) == ("yes", "because")
        assert load_verdict("1" * 32, str(tmp_path)) == ("unknown", "")
        assert load_verdict("", str(tmp_path)) == ("unknown", "")

    def test_a_stored_no_is_valid_until_packages_change(self, tmp_path: Path) -> None:
        write(tmp_path, "var/lib/rpm/rpmdb.sqlite")
        self.keep(tmp_path, "no")
        path = tmp_path / "var/lib/stardust/jobs/.reboot"
        os.utime(path, (FAR_AHEAD, FAR_AHEAD))
        assert load_verdict(self.BOOT, str(tmp_path)) == ("no", "because")
        os.utime(path, (LONG_AGO, LONG_AGO))
        assert load_verdict(self.BOOT, str(tmp_path)) == ("unknown", "")

    def test_an_rpm_query_is_not_a_package_change(self, tmp_path: Path) -> None:
        (tmp_path / "var/lib/rpm").mkdir(parents=True)
        self.keep(tmp_path, "no")
        os.utime(tmp_path / "var/lib/stardust/jobs/.reboot", (LONG_AGO, LONG_AGO))
        (tmp_path / "var/lib/rpm/rpmdb.sqlite-wal").touch()
        assert load_verdict(self.BOOT, str(tmp_path)) == ("no", "because")
        (tmp_path / "var/lib/rpm/rpmdb.sqlite-wal").write_text("x")
        assert load_verdict(self.BOOT, str(tmp_path)) == ("unknown", "")

    @pytest.mark.parametrize("content", ["", "{", "[]", "1", '{"boot": 1}', '{"boot": "x", "required": "maybe", "why": ""}'])
    def test_an_invalid_stored_verdict_is_ignored(self, tmp_path: Path, content: str) -> None:
        assert load_verdict(self.BOOT, str(tmp_path)) == ("unknown", "")
        (write(tmp_path, "var/lib/stardust/jobs/.reboot") / "var/lib/stardust/jobs/.reboot").write_text(content)
        assert load_verdict(self.BOOT, str(tmp_path)) == ("unknown", "")

    def test_only_root_and_its_group_can_read_the_stored_verdict(self, tmp_path: Path) -> None:
        self.keep(tmp_path, "yes")
        assert (tmp_path / "var/lib/stardust/jobs/.reboot").stat().st_mode & 0o777 == 0o640
