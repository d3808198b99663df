"""Reads pacman's lists and records directly, for values that `pacman -Su --print` lacks.

A list is a tar file, compressed with gzip. It has a folder for each package (`name-version/desc`). `pacman -Si` would load all lists
again, which takes as long as the plan itself.
"""

import os
from typing import Dict, List, Optional, Tuple

from spider.packages.gzip_files import MAX_BYTES, unpacked
from spider.packages.pacman.parsers import PackageDetails

_BLOCK = 512
_FILE_OR_FOLDER = b"05\0"


def installed(local: str) -> Dict[str, str]:
    """The installed packages and their versions, from the names of pacman's records (`name-version-release`).

    Raises: OSError; ValueError: a file in the folder is no record.
    """
    found: Dict[str, str] = {}
    for record in os.listdir(local):
        if record == "ALPM_DB_VERSION":
            continue
        name, version, release = record.rsplit("-", 2)
        found[name] = f"{version}-{release}"
    return found


def parse_desc(text: str) -> Dict[str, List[str]]:
    """Read a `desc`. Each field is a line `%FIELD%`, a line for each value, and an empty line."""
    fields: Dict[str, List[str]] = {}
    values: Optional[List[str]] = None
    for line in text.split("\n"):
        if not line:
            values = None
        elif values is None and len(line) > 2 and line[0] == line[-1] == "%":
            values = fields.setdefault(line[1:-1], [])
        elif values is not None:
            values.append(line)
    return fields


def size_bytes(desc: str, field: str) -> int:
    """Read a size in bytes: the field `ISIZE` of a list, or `SIZE` of a record; 0 = unknown."""
    word = next(iter(parse_desc(desc).get(field, [])), "")
    return int(word) if word.isdigit() else 0


class SyncDatabase:
    """One list, decompressed in memory."""

    def __init__(self, repository: str, content: bytes = b"", offsets: Optional[Dict[bytes, Tuple[int, int]]] = None) -> None:
        self._repository = repository
        self._content = content
        self._offsets = offsets or {}
        """Start and end of each `desc`, by name."""

    @classmethod
    def read(cls, folder: str, repository: str) -> "SyncDatabase":
        """Read a list. If it is missing, corrupt or of an unknown compression, the result has no entries."""
        try:
            with open(os.path.join(folder, repository + ".db"), "rb") as file:
                content = unpacked(file.read(MAX_BYTES))
            return cls(repository, content, _offsets(content))
        except (OSError, ValueError):
            return cls(repository)

    def details_of(self, name: str, version: str) -> Optional[PackageDetails]:
        """The details of a package; None: the list lacks this version."""
        offset = self._offsets.get(f"{name}-{version}/desc".encode())
        if offset is None:
            return None
        desc = self._content[slice(*offset)].decode("utf-8", "replace")
        return PackageDetails(name, tuple(parse_desc(desc).get("REPLACES", [])), size_bytes(desc, "ISIZE"), self._repository, version)


def _offsets(content: bytes) -> Dict[bytes, Tuple[int, int]]:
    offsets: Dict[bytes, Tuple[int, int]] = {}
    at, end = 0, len(content)
    while at < end and content[at]:
        begins = at + _BLOCK
        if begins > end:
            raise ValueError("it ends within a header")
        length = _octal(content[at + 124 : at + 136])
        if content[at + 156] not in _FILE_OR_FOLDER:
            _check_plain(content[at + 156], content[begins : begins + length])
        elif length:
            offsets[_name(content, at)] = (begins, begins + length)
        at = begins + length + -length % _BLOCK
    if at > end:
        raise ValueError("it is truncated")
    return offsets


def _octal(field: bytes) -> int:
    """Read an octal number. Raises: ValueError: it has other characters than digits; `int` alone would accept a sign and underscores."""
    digits = field.strip(b"\0 ")
    if digits.strip(b"01234567"):
        raise ValueError("a length is no octal number")
    return int(digits, 8)


def _name(content: bytes, at: int) -> bytes:
    """The name in the header at `at`. In a POSIX header, a long name has two parts."""
    name = content[at : at + 100].rstrip(b"\0")
    if content[at + 345] and content[at + 257 : at + 263] == b"ustar\0":
        return content[at + 345 : at + 500].rstrip(b"\0") + b"/" + name
    return name


def _check_plain(kind: int, content: bytes) -> None:
    """Check that a member that is no file or folder does not change the name or size of the next. Raises: ValueError."""
    if kind in b"LKS" or (kind in b"x" and any(word in content for word in (b" path=", b" size="))):
        raise ValueError("it has names or sizes that do not fit into a plain header")
