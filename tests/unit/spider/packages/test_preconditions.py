"""Names of packages that fill /boot."""

from __future__ import annotations

import pytest

from spider.packages.apk.backend import Apk
from spider.packages.apt.backend import Apt
from spider.packages.backend import Backend
from spider.packages.pacman.backend import Pacman
from spider.packages.rpm.backend import RpmBackend


@pytest.mark.parametrize(
    ("manager", "kernels", "others"),
    [
        (
            Apt,
            "linux-image-6.1.0-28-amd64 linux-modules-extra-6.8.0-50-generic proxmox-kernel-6.8.12-4-pve-signed pve-kernel-5.15.30-2-pve"
            " raspberrypi-kernel",
            "linux-libc-dev linux-base linux-firmware linux-headers-amd64 linux-tools-common linux-image-6.1.0-28-amd64-dbg"
            " proxmox-kernel-helper raspberrypi-kernel-headers",
        ),
        (
            RpmBackend,
            "kernel kernel-core kernel-modules-core kernel-default kernel-default-base kernel-uek kernel-64k-core kernel6.12"
            " kernel-desktop-6.6.58-1.mga9 kernel.i686",
            "kernel-headers kernel-devel kernel-default-devel kernel-tools-libs kernel-srpm-macros kernel-firmware-amdgpu"
            " kernel-abi-stablelists kernel-docs kernelshark",
        ),
        (Pacman, "linux linux-lts linux-rt-lts", "linux-firmware linux-headers linux-api-headers"),
        (Apk, "linux-lts linux-virt linux-rpi4", "linux-firmware linux-headers linux-pam linux-lts-dev"),
    ],
)
def test_only_packages_with_a_kernel_need_room_in_boot(manager: type[Backend], kernels: str, others: str) -> None:
    assert [name for name in kernels.split() if not manager.kernels.match(name)] == []
    assert [name for name in others.split() if manager.kernels.match(name)] == []
