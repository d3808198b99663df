"""Decides whether this host needs a reboot: yes, no or unknown, with the reason. Missing data is never read as `no`.

It reads only files, so an unprivileged Spider and root's runner get the same result. A `yes` of any row wins over a `no`:

| finding | result |
|---|---|
| a marker file: `/run/reboot-required` (with the packages that requested it), `/run/reboot-needed` | yes |
| the manager's own check after the last job of this boot (`save_verdict`) | its result; a `no` only until the package database changes |
| the running kernel's modules were removed, and another kernel of its flavour is installed | yes |
| a newer kernel of the same flavour is installed, by the manager's version rules | yes |
| the running kernel's image was replaced after the boot | yes |
| libc or another core library of the distribution was replaced after the boot | yes |
| none of these, and both kernel and core could be checked | no |
| none of these, but this host has a program that creates the marker file | no |

Only kernels of the same flavour are compared (`amd64`, `rt-amd64`, `rpi-v8`, `pve` …). A kernel without a package, or a newer kernel of
another flavour, decides nothing.

Live patches that are loaded change no result, since a file of a package cannot tell what they mend: the reason names them.

A container uses its host's kernel. So a marker file does not count there if it names kernels alone. The manager's own check counts if it
names a core package, or no kernel. Without either, the result is no.
"""

import functools
import glob
import json
import os
import re
from typing import Callable, FrozenSet, Iterable, List, NamedTuple, Optional, Tuple

from spider.files import changed_at, read_file
from spider.jobs.files import JOBS_DIR
from spider.packages.after.versions import compare_alpm, compare_deb, compare_rpm
from spider.packages.plan import NO, UNKNOWN, YES
from spider.wire.sentences import name_list, sentence

MARKS = ("/run/reboot-required", "/var/run/reboot-required", "/run/reboot-needed")
MARKERS = (
    "/etc/kernel/postinst.d/unattended-upgrades",
    "/etc/kernel/postinst.d/reboot-notifier",
    "/etc/kernel/postinst.d/update-notifier",
    "/usr/share/update-notifier/notify-reboot-required",
)
"""Programs that create the marker file on Debian and its derivatives. Without such a program, a missing file decides nothing."""
REMEMBERED = ".reboot"
RPM_FAMILY = frozenset({"dnf", "dnf5", "yum", "zypper"})
DATABASES = (
    "/var/lib/dpkg/status",
    *(
        f"{directory}/{name}"
        for directory in ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
        for name in ("rpmdb.sqlite", "rpmdb.sqlite-wal", "Packages.db", "Packages")
    ),
    "/var/lib/pacman/local",
    "/lib/apk/db/installed",
    "/usr/lib/apk/db/installed",
)
MAX_NAMED = 5

_MODULES = ("/lib/modules", "/usr/lib/modules")
_LIBRARIES = ("lib/*-linux-*", "usr/lib/*-linux-*", "lib64", "usr/lib64", "lib", "usr/lib")
_CORE = ("libc.so.6", "libc.musl-*.so.1")
_CORE_PROGRAMS = ("usr/bin/dbus-daemon", "usr/bin/dbus-broker")
_CORE_OF_RPM = ("usr/lib/systemd/systemd", "lib/systemd/systemd")
"""Core files on systems with dnf or zypper. On other systems the upgrade itself re-executes systemd."""
_KERNEL_PACKAGE = re.compile(
    r"(?:linux-(?:image|headers|modules|generic|virtual|base|lts|zen|hardened|rt)|kernel|proxmox-kernel|pve-kernel|linux\Z)"
)
_CORE_PACKAGE = re.compile(r"\b(?:g?libc|systemd|udev|dbus|openssl|gnutls|linux-firmware)")
_DISTRIBUTION = re.compile(r"(?:deb|fc|el|amzn|mga|lp|ubuntu|bpo|rpt|rc|git|gentoo)\d*(?:_\d+)?\Z")


class RebootVerdict(NamedTuple):
    """Whether a reboot is needed, and the reason."""

    required: str
    why: str


class Host(NamedTuple):
    """Properties of the host."""

    manager: str
    kernel: str
    """The release of the running kernel."""
    booted_at: float
    """Unix seconds; 0 = unknown."""
    container: str
    """The kind of container; empty = none."""
    boot: str = ""
    """The id of this boot; empty = unknown."""


def flavour(kernel: str) -> FrozenSet[str]:
    """The words of a kernel release without its version: `6.1.0-18-rt-amd64` and `6.1.0-9-rt-amd64` have the same flavour.

    Words of a distribution's release (`deb13`, `fc41`, `el9_4`) belong to the version. `arch1` is the flavour `arch`. `v7`, `v8`,
    `64k` and `16k` are whole words.
    """
    words = set()
    for word in re.split(r"[-+.~]", kernel):
        if re.match(r"\d+k\Z|v\d+l?\Z", word):
            words.add(word)
        elif word and not word[0].isdigit() and not _DISTRIBUTION.match(word):
            words.add(word.rstrip("0123456789") if "_" not in word else word)
    return frozenset(words - {""})


def comparer(manager: str) -> Callable[[str, str], int]:
    """The version comparison of this host."""
    return compare_deb if manager == "apt" else compare_rpm if manager in RPM_FAMILY else compare_alpm


def installed_kernels(root: str = "") -> List[str]:
    """The releases of the kernels with installed modules. (/lib is /usr/lib on most systems.)"""
    for directory in _MODULES:
        try:
            with os.scandir(root + directory) as entries:
                return sorted(entry.name for entry in entries if os.path.exists(entry.path + "/modules.dep"))
        except OSError:  # noqa: PERF203  # this host has the other folder
            continue
    return []


def _of_my_flavour(root: str, host: Host) -> List[str]:
    """The other installed kernels of the running kernel's flavour, oldest first."""
    mine = flavour(host.kernel)
    others = [name for name in installed_kernels(root) if name != host.kernel and flavour(name) == mine]
    return sorted(others, key=functools.cmp_to_key(comparer(host.manager)))


def passed_over(root: str, host: Host) -> List[str]:
    """Newer kernels of the same flavour that were there before this boot, which started the running one. Oldest first."""
    if host.container or not host.booted_at:
        return []
    newer = [name for name in _of_my_flavour(root, host) if comparer(host.manager)(name, host.kernel) > 0]
    since = {name: max(changed_at(f"{root}{directory}/{name}/kernel") for directory in _MODULES) for name in newer}
    return [name for name in newer if 0 < since[name] < host.booted_at]


def _kernel(root: str, host: Host) -> RebootVerdict:  # noqa: PLR0911  # one return for each answer
    kernels = installed_kernels(root)
    if not kernels:
        return RebootVerdict(UNKNOWN, sentence("due.unknown_kernels"))
    others = _of_my_flavour(root, host)
    if host.kernel not in kernels:
        if others:
            return RebootVerdict(YES, sentence("due.kernel_removed", running=host.kernel, installed=others[-1]))
        return RebootVerdict(UNKNOWN, sentence("due.unknown_kernel", running=host.kernel))
    newer = [name for name in others if comparer(host.manager)(name, host.kernel) > 0]
    if newer:
        return RebootVerdict(YES, sentence("due.kernel_newer", installed=newer[-1], running=host.kernel))
    images = [f"{root}/boot/{name}-{host.kernel}" for name in ("vmlinuz", "vmlinux", "Image")]
    images += [f"{root}/lib/modules/{host.kernel}/vmlinuz", f"{root}/usr/lib/modules/{host.kernel}/vmlinuz"]
    changed = [at for at in map(changed_at, images) if at]
    if host.manager not in ("pacman", "apk") and not (changed and host.booted_at):
        return RebootVerdict(UNKNOWN, sentence("due.unknown_image"))
    if changed and host.booted_at and max(changed) > host.booted_at:
        return RebootVerdict(YES, sentence("due.kernel_replaced", running=host.kernel))
    return RebootVerdict(NO, "")


def _core(root: str, host: Host) -> RebootVerdict:
    found = list(_core_files(root, host.manager))
    if not found or not host.booted_at:
        return RebootVerdict(UNKNOWN, sentence("due.unknown_core"))
    newer = [os.path.basename(path) for path in found if changed_at(path) > host.booted_at]
    if newer:
        return RebootVerdict(YES, sentence("due.core_replaced", names=name_list(sorted(set(newer)))))
    return RebootVerdict(NO, "")


def _core_files(root: str, manager: str) -> Iterable[str]:
    for directory in _LIBRARIES:
        for name in _CORE:
            yield from glob.glob(f"{root}/{directory}/{name}")
    for program in _CORE_PROGRAMS + (_CORE_OF_RPM if manager in RPM_FAMILY else ()):
        if os.path.exists(f"{root}/{program}"):
            yield f"{root}/{program}"


def _marked(root: str, container: str) -> Optional[RebootVerdict]:
    for mark in MARKS:
        if not os.path.exists(root + mark):
            continue
        packages = list(dict.fromkeys(read_file(root + mark + ".pkgs", 64 * 1024).split()))
        if container and packages and all(is_kernel(name) for name in packages):
            continue  # a container uses the host's kernel
        return RebootVerdict(
            YES, sentence("due.asked_by", names=name_list(packages, MAX_NAMED)) if packages else sentence("due.file", path=mark)
        )
    return None


def is_kernel(package: str) -> bool:
    """Whether a package belongs to the kernel, by its name."""
    return _KERNEL_PACKAGE.match(package) is not None


def reboot_required(root: str, host: Host, reported: Tuple[str, str] = (UNKNOWN, "")) -> RebootVerdict:
    """Decide by the table at the top of this file.

    Args: reported: the result of the manager's own check, with its reason.
    """
    found = _decide(root, host, reported)
    patches = [] if host.container or found.required != YES else live_patches(root)
    return found._replace(why=sentence("due.live_patched", why=found.why, names=name_list(patches, MAX_NAMED))) if patches else found


def live_patches(root: str = "") -> List[str]:
    """The live patches of the running kernel that are in force. Not read: none is named."""
    return sorted(path.split("/")[-2] for path in glob.glob(f"{root}/sys/kernel/livepatch/*/enabled") if read_file(path, 8).strip() == "1")


def _decide(root: str, host: Host, reported: Tuple[str, str]) -> RebootVerdict:  # noqa: PLR0911  # a row of the table each
    marked = _marked(root, host.container)
    if marked:
        return marked
    if host.container:
        if reported[0] == YES and (_CORE_PACKAGE.search(reported[1]) or not any(map(is_kernel, reported[1].replace(",", " ").split()))):
            return RebootVerdict(YES, reported[1])
        return RebootVerdict(NO, sentence("due.not_in_container", kind=host.container))
    kernel, core = _kernel(root, host), _core(root, host)
    for verdict in (RebootVerdict(*reported), kernel, core):
        if verdict.required == YES:
            return verdict
    if reported[0] == NO:
        return RebootVerdict(NO, reported[1] or sentence("due.not_by_manager"))
    if kernel.required == NO and core.required == NO:
        return RebootVerdict(NO, sentence("due.not_kernel_or_core", running=host.kernel))
    if host.manager == "apt" and any(os.path.exists(root + marker) for marker in MARKERS):
        return RebootVerdict(NO, sentence("due.not_asked"))
    return kernel if kernel.required == UNKNOWN else core


def _databases_changed_at(root: str) -> float:
    """When packages last changed, Unix seconds, by the database files. rpm's folders do not count: queries create files there, too."""
    newest = 0.0
    for path in DATABASES:
        try:
            info = os.stat(root + path)
        except OSError:  # the file of another package manager
            continue
        if info.st_size:  # a query of rpm leaves an empty log
            newest = max(newest, info.st_ctime)
    return newest


def save_verdict(verdict: Tuple[str, str], boot: str, jobs_dir: str = JOBS_DIR) -> None:
    """Save the result of the manager's own check. Root saves it for Spider: the check needs root.

    Args:   verdict: yes, no or unknown; reason. boot: id of this boot.
    Raises: OSError.
    """
    path = os.path.join(jobs_dir, REMEMBERED)
    fd = os.open(path + ".tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    with open(fd, "w", encoding="utf-8") as file:
        json.dump({"boot": boot, "required": verdict[0], "why": verdict[1]}, file)
    os.replace(path + ".tmp", path)


def load_verdict(boot: str, root: str = "", jobs_dir: str = JOBS_DIR) -> Tuple[str, str]:
    """The saved result, if it is of this boot. A `no` is valid until a package changes. Otherwise unknown."""
    path = root + os.path.join(jobs_dir, REMEMBERED)
    try:
        with open(path, encoding="utf-8") as file:
            found = json.loads(file.read(4096))
        saved_at = os.stat(path).st_mtime
        required, why, of = str(found["required"]), str(found["why"]), str(found["boot"])
    except (OSError, ValueError, KeyError, TypeError):
        return UNKNOWN, ""
    if not boot or of != boot or required not in (YES, NO) or (required == NO and _databases_changed_at(root) > saved_at):
        return UNKNOWN, ""
    return required, why
