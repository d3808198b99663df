"""Reads the installed packages from the native databases, as any user. No package manager is started except rpm's own query.

The files of each database show by their times whether it has changed. So a check costs only a `stat`, and the database is read on change
only.
"""

import os
import re
import subprocess
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from spider.wire.text import UNSEEN

MAX_PACKAGES = 32_768
MAX_NAME_CHARS = 200
MAX_VERSION_CHARS = 200
RPM_LIMIT_S = 120.0
RPM_QUERY = ("rpm", "-qa", "--qf", "%{NAME}.%{ARCH}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\n")
_RPM_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"}
_UNPRINTABLE = re.compile("[\\s" + UNSEEN + "\ud800-\udfff]")
"""White space and what the hub refuses in a name or version. A lone surrogate stands for a byte of a folder's name that is not UTF-8."""

Packages = Dict[str, str]
"""Name (with the architecture where the manager needs it) to version."""
DatabaseStamp = Tuple[Tuple[str, int, int], ...]
"""Path, modification time and size of each file of a database."""


class PackageDatabase(NamedTuple):
    """One kind of database of installed packages."""

    files: Tuple[str, ...]
    """The database has changed when one of these files has."""
    read: Callable[[str], Packages]
    """Reads the database below a root folder. Raises OSError, ValueError."""


def stamp(database: PackageDatabase, root: str = "/") -> DatabaseStamp:
    """The state of the database files without reading them; empty: there is no such database here."""
    found = []
    for path in database.files:
        try:
            seen = os.stat(os.path.join(root, path))
        except OSError:  # this layout of the database is not used here
            continue
        found.append((path, seen.st_mtime_ns, seen.st_size))
    return tuple(found)


def find_database(root: str = "/") -> "Optional[Tuple[PackageDatabase, DatabaseStamp, Packages]]":
    """The database in use and its content: the first of `DATABASES` with any packages. None: no database has packages.

    Raises: OSError, ValueError: none has packages, and at least one cannot be read.
    """
    failure: Optional[Exception] = None
    for database in DATABASES:
        seen = stamp(database, root)
        if seen:
            try:
                packages = database.read(root)
            except (OSError, ValueError) as error:  # another database may be readable
                failure = failure or error
                continue
            if packages:
                return database, seen, packages
    if failure is not None:
        raise failure
    return None


def read_dpkg(root: str = "/") -> Packages:
    """Packages that dpkg has at least begun to unpack. Source: /var/lib/dpkg/status."""
    found: Packages = {}
    own = ""
    for fields in _stanzas(os.path.join(root, "var/lib/dpkg/status"), (b"Package", b"Status", b"Architecture", b"Version"), b": "):
        name, architecture = fields.get(b"Package", ""), fields.get(b"Architecture", "")
        state = fields.get(b"Status", "").rpartition(" ")[2]
        if name and state not in ("not-installed", "config-files", ""):
            found[f"{name}:{architecture}"] = fields.get(b"Version", "")
            if name == "dpkg":
                own = architecture
    return _plain({_without(name, (":" + own, ":all")): version for name, version in found.items()})


def read_apk(root: str = "/") -> Packages:
    """The packages of apk. Source: /lib/apk/db/installed."""
    path = os.path.join(root, "lib/apk/db/installed")
    return _plain({fields[b"P"]: fields.get(b"V", "") for fields in _stanzas(path, (b"P", b"V"), b":") if b"P" in fields})


def read_pacman(root: str = "/") -> Packages:
    """The packages of pacman. Source: the folders `name-version-release` in /var/lib/pacman/local."""
    found: Packages = {}
    for name in os.listdir(os.path.join(root, "var/lib/pacman/local")):
        parts = name.rsplit("-", 2)
        if len(parts) == 3:
            found[parts[0]] = f"{parts[1]}-{parts[2]}"
    return _plain(found)


def read_rpm(root: str = "/") -> Packages:
    """The packages of rpm, by `rpm -qa`. Several installed versions of one package (kernels) are joined into one text.

    Raises: OSError: there is no rpm; ValueError: it fails or takes longer than `RPM_LIMIT_S`.
    """
    argv = [*RPM_QUERY, *(("--root", root) if root != "/" else ())]
    try:
        done = subprocess.run(
            argv, env=_RPM_ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, timeout=RPM_LIMIT_S, check=False, cwd="/"
        )
    except subprocess.TimeoutExpired as exc:
        raise ValueError(f"rpm did not answer within {RPM_LIMIT_S:.0f} s") from exc
    if done.returncode:
        raise ValueError(f"rpm ended with status {done.returncode}: {done.stderr.decode('utf-8', 'replace').strip()[:300]}")
    return parse_rpm(done.stdout.decode("utf-8", "replace").split("\n"))


def parse_rpm(lines: Sequence[str]) -> Packages:
    """Read the lines that `RPM_QUERY` prints."""
    versions: Dict[str, List[str]] = {}
    for line in lines:
        name, tab, version = line.partition("\t")
        if tab and not name.startswith("gpg-pubkey."):
            versions.setdefault(name, []).append(version)
    return _plain({name: ",".join(sorted(several)) for name, several in versions.items()})


def _stanzas(path: str, wanted: Sequence[bytes], mark: bytes) -> "Iterator[Dict[bytes, str]]":
    """The wanted fields of each paragraph of a file, read line by line, because these files have megabytes."""
    fields: Dict[bytes, str] = {}
    with open(path, "rb") as file:
        for line in file:
            if line == b"\n":
                yield fields
                fields = {}
                continue
            key, found, value = line.partition(mark)
            if found and key in wanted:
                fields[key] = value.decode("utf-8", "replace").strip()
    if fields:
        yield fields


def _without(name: str, endings: Sequence[str]) -> str:
    for ending in endings:
        if len(ending) > 1 and name.endswith(ending):
            return name[: -len(ending)]
    return name


def _plain(packages: Packages) -> Packages:
    """The packages cut to the limits, with `_` in place of characters that no package manager allows in a name or version."""
    clean = {
        _UNPRINTABLE.sub("_", name)[:MAX_NAME_CHARS]: _UNPRINTABLE.sub("_", version)[:MAX_VERSION_CHARS] or "?"
        for name, version in packages.items()
        if name
    }
    return clean if len(clean) <= MAX_PACKAGES else dict(sorted(clean.items())[:MAX_PACKAGES])


_RPM_FILES = tuple(
    f"{folder}/{name}"
    for folder in ("usr/lib/sysimage/rpm", "var/lib/rpm")
    for name in ("rpmdb.sqlite", "rpmdb.sqlite-wal", "Packages.db", "Packages")
)
DATABASES: Sequence[PackageDatabase] = (
    PackageDatabase(("var/lib/dpkg/status",), read_dpkg),
    PackageDatabase(_RPM_FILES, read_rpm),
    PackageDatabase(("var/lib/pacman/local",), read_pacman),
    PackageDatabase(("lib/apk/db/installed",), read_apk),
)
"""In order of preference: a host with dpkg's status and an empty rpm database is a Debian host."""
