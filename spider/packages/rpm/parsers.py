"""Parsers of the output of rpm, as pure functions, for all rpm-based managers."""

import re
from functools import cmp_to_key
from typing import Collection, Dict, Iterable, List, NamedTuple, Optional, Tuple

from spider.packages.after.versions import compare_rpm
from spider.packages.plan import InstalledPackage, Inventory

QUERY = "%{NAME}|%|EPOCH?{%{EPOCH}}:{0}|:%{VERSION}-%{RELEASE}|%{ARCH}|%{LONGSIZE}\\n"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*\Z")
"""The form of a valid package name. No option, group, path, pattern or condition matches it."""

_SCRIPT_FAILED = re.compile(
    r"%(?P<script>\w+)\((?P<package>[^)]+)\) scriptlet failed(?:, (?:exit )?(?P<how>status \d+|signal \d+|waitpid\(\d+\)))?"
)
"""Source: runExtScript in rpm's lib/rpmscript.c. A script that a signal ended has no exit status."""
_X86 = ("i386", "i486", "i586", "i686", "athlon", "geode", "pentium3", "pentium4")


class RpmPackage(NamedTuple):
    """One package in one version."""

    name: str
    version: str
    """Epoch (without the epoch 0), version and release: `1:2.0-3.el9`."""
    arch: str


def without_zero_epoch(evr: str) -> str:
    """`0:2.0-1` → `2.0-1`, the notation of all managers except dnf 5."""
    return evr[2:] if evr.startswith("0:") else evr


def oldest_first(versions: Iterable[str]) -> List[str]:
    """Versions in rpm's order."""
    return sorted(versions, key=cmp_to_key(compare_rpm))


def native(arch: str, machine: str) -> bool:
    """Whether an architecture is native on this machine, so that names need no suffix."""
    if arch in ("noarch", "(none)", "", machine) or arch.startswith(machine + "_v"):
        return True
    if machine in _X86:
        return arch in _X86
    return machine.startswith("arm") and arch.startswith("arm")


def label(name: str, arch: str, machine: str) -> str:
    """The name of a package in orders and texts: `bash`, but `glibc.i686` on x86_64."""
    return name if native(arch, machine) else f"{name}.{arch}"


def patterns(name: str, version: str, machine: str) -> List[str]:
    """All full names that a label and a version may have. A label omits a native architecture.

    The text after a dot may be an architecture or a part of the name, so the names for both cases are returned.
    """
    base, dot, foreign = name.rpartition(".")
    arches = _X86 if machine in _X86 else ("arm*",) if machine.startswith("arm") else (machine, machine + "_v*")
    return [f"{name}-{version}.{arch}" for arch in ("noarch", *arches)] + ([f"{base}-{version}.{foreign}"] if dot else [])


def parse_installed(text: str) -> List[RpmPackage]:
    """Read `rpm -qa --qf QUERY`. Trusted keys (`gpg-pubkey`) are not packages.

    Raises: ValueError: a line has an unknown format.
    """
    found = []
    for line in text.split("\n"):
        if not line.strip():
            continue
        fields = line.split("|")
        if len(fields) != 4 or not fields[0] or ":" not in fields[1]:
            raise ValueError("not understood: " + line[:200])
        if fields[0] != "gpg-pubkey":
            found.append(RpmPackage(fields[0], without_zero_epoch(fields[1]), fields[2]))
    return found


def parse_installed_sizes(text: str) -> Dict[RpmPackage, int]:
    """Read the installed sizes, in bytes, from the lines of `rpm -qa --qf QUERY`."""
    rows = (line.split("|") for line in text.split("\n"))
    return {RpmPackage(row[0], without_zero_epoch(row[1]), row[2]): int(row[3]) for row in rows if len(row) == 4 and row[3].isdecimal()}


def inventory_of(packages: Iterable[RpmPackage], machine: str, held: Collection[str], broken: Collection[str] = ()) -> Inventory:
    """The inventory of these packages. Args: held, broken: labels."""
    versions: Dict[str, List[str]] = {}
    for package in packages:
        versions.setdefault(label(package.name, package.arch, machine), []).append(package.version)
    return {
        name: InstalledPackage(" ".join(oldest_first(all_of)), name in broken, name in held) for name, all_of in sorted(versions.items())
    }


def doubled(packages: Iterable[RpmPackage]) -> Dict[Tuple[str, str], List[str]]:
    """Packages in more than one version: name and architecture -> versions, oldest first."""
    versions: Dict[Tuple[str, str], List[str]] = {}
    for package in packages:
        versions.setdefault((package.name, package.arch), []).append(package.version)
    return {key: oldest_first(all_of) for key, all_of in versions.items() if len(all_of) > 1}


def split_nevra(nevra: str) -> Optional[RpmPackage]:
    """Split a full name such as `lab-sec-1.1-1.lab.noarch` or `glibc-0:2.39-1.x86_64`. None: another format."""
    rest, dot, arch = nevra.rpartition(".")
    parts = rest.rsplit("-", 2)
    if not dot or len(parts) != 3 or not all(parts):
        return None
    epoch, colon, version = parts[1].rpartition(":")
    name = parts[0]
    if not colon and ":" in name:  # `1:glibc-2.39-1.x86_64`, the notation of yum and older advisories
        epoch, _, name = name.partition(":")
    evr = f"{version}-{parts[2]}"
    return RpmPackage(name, f"{epoch}:{evr}" if epoch and epoch != "0" else evr, arch)


class ScriptFailed(NamedTuple):
    """A failed package script."""

    package: str
    """The package in rpm's notation: name, version, release, architecture."""
    script: str
    how: str
    """`status 1`, `signal 9` or a failed call of the system; empty = rpm does not say."""


def parse_script_failed(line: str) -> Optional[ScriptFailed]:
    """The failed script, if this line of rpm reports it; else None."""
    match = _SCRIPT_FAILED.search(line)
    return ScriptFailed(match["package"], match["script"], match["how"] or "") if match else None


_UNITS = {"": 1, "b": 1, "k": 1024, "kib": 1024, "m": 1024**2, "mib": 1024**2, "g": 1024**3, "gib": 1024**3, "t": 1024**4, "tib": 1024**4}


def parse_size(text: str) -> Optional[int]:
    """Read a size of dnf or yum (`6.1 k`, `49 KiB`, `14`), in bytes, as exactly as it is printed. None: not a size."""
    match = re.match(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$", text)
    unit = _UNITS.get(match[2].lower()) if match else None
    return None if match is None or unit is None else round(float(match[1]) * unit)
