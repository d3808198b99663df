"""Detects the virtualization of this system, in the words of systemd-detect-virt, without calling it."""

import os
from typing import List, Optional, Tuple

from spider.files import read_text

_FIRMWARE: Tuple[Tuple[str, str], ...] = (
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Oracle Corporation", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Apple Virtualization", "apple"),
    ("Google Compute Engine", "google"),
    ("Google", "google"),
)
_ALSO_REAL = ("Amazon EC2", "Google", "Oracle Corporation")
"""Vendors of both real and virtual machines."""
_CLOCKS = (("kvm-clock", "kvm"), ("hyperv_clocksource", "microsoft"), ("xen", "xen"))
_X86 = ("x86_64", "i686", "i586", "i386")


def detect_container(root: str = "") -> str:
    """The kind of container; empty: none was detected.

    Source: systemd-detect-virt(1), https://systemd.io/CONTAINER_INTERFACE: the manager writes /run/systemd/container.
    """
    if "microsoft" in read_text(root + "/proc/sys/kernel/osrelease").lower():
        return "wsl"
    if os.path.exists(root + "/proc/vz") and not os.path.exists(root + "/proc/bc"):
        return "openvz"
    reported = read_text(root + "/run/systemd/container") or read_text(root + "/run/host/container-manager")
    if reported:
        return reported[:40]
    if os.path.exists(root + "/run/.containerenv"):
        return "podman"
    return "docker" if os.path.exists(root + "/.dockerenv") else ""


def detect_machine(root: str = "", architecture: str = "x86_64") -> str:
    """The hypervisor. `none`: bare metal. `vm`: a hypervisor that hides its name. Empty: unknown.

    Sources in this order: Xen's first domain, the firmware's tables (DMI), Xen, the device tree, the flags and clocks of an x86 processor.
    Args: architecture: as `uname -m` names it.
    """
    by_xen = _by_xen(root)
    if by_xen == "none":  # this domain sees the firmware tables of the real machine
        return by_xen
    hypervisor = _has_hypervisor(root) if architecture in _X86 else None
    dmi = root + "/sys/class/dmi/id/"
    firmware = [read_text(dmi + name) for name in ("product_name", "sys_vendor", "board_vendor", "bios_vendor")]
    by_firmware = _by_firmware(firmware, hypervisor)
    reported = by_firmware or by_xen or _by_device_tree(root)
    if reported or by_firmware == "":
        return reported
    if hypervisor:
        clocks = read_text(root + "/sys/devices/system/clocksource/clocksource0/available_clocksource").split()
        return next((kind for clock, kind in _CLOCKS if any(found.startswith(clock) for found in clocks)), "vm")
    return "none" if architecture in _X86 or any(firmware) else ""


def _by_firmware(texts: List[str], hypervisor: Optional[bool]) -> Optional[str]:
    """The hypervisor by the DMI product and vendors. Some vendors build both real and virtual machines; then the processor's flag decides.

    Args:    texts: product, then vendors. hypervisor: the processor's flag; None: this architecture has no such flag.
    Returns: None: the texts name no hypervisor. Empty: the machine may be real or virtual.
    """
    for text in texts:
        for start, kind in _FIRMWARE:
            if not text.startswith(start):
                continue
            if hypervisor or start not in _ALSO_REAL:
                return kind
            if hypervisor is None:
                return _without_flag(kind, product=texts[0])
    return "microsoft" if texts[0].startswith("Virtual Machine") and texts[1].startswith("Microsoft") else None


def _without_flag(kind: str, product: str) -> str:
    """The hypervisor on a machine of a vendor of real and virtual machines, without the processor's flag. Empty: unknown.

    Amazon's real machines have `.metal` in their type, such as `c7g.metal`.
    """
    if kind != "amazon":
        return ""
    return "none" if ".metal" in product else kind


def _by_xen(root: str) -> str:
    if read_text(root + "/sys/hypervisor/type") != "xen":
        return ""
    # The first domain controls the machine, so it counts as bare metal.
    return "none" if "control_d" in read_text(root + "/proc/xen/capabilities") else "xen"


def _by_device_tree(root: str) -> str:
    tree = read_text(root + "/proc/device-tree/hypervisor/compatible").rstrip("\0")
    if tree:
        return "kvm" if tree == "linux,kvm" else "xen" if "xen" in tree else "vm"
    return "qemu" if os.path.exists(root + "/proc/device-tree/fw-cfg") else ""


def _has_hypervisor(root: str) -> bool:
    """Whether an x86 processor has the hypervisor flag."""
    for line in read_text(root + "/proc/cpuinfo").split("\n"):
        if line.startswith("flags"):
            return " hypervisor" in line
    return False
