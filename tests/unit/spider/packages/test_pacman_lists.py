"""pacman's lists and records are read from their files: written by Python's tar, in every compression."""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.packages.pacman.lists import SyncDatabase, installed, parse_desc, size_bytes
from spider.packages.pacman.parsers import PackageDetails, PacmanSettings, parse_settings

ENTRIES = {
    "a-1-1": "%FILENAME%\na-1-1-any.pkg.tar.gz\n\n%NAME%\na\n\n%VERSION%\n1-1\n\n%ISIZE%\n120000\n\n%REPLACES%\nb<2\nc\n\n",
    "dbus-broker-units-36-4": "%NAME%\ndbus-broker-units\n\n%ISIZE%\n7\n\n%DESC%\n%NAME%\n\n",
}


def packed(entries: dict[str, str] = ENTRIES, tar_format: int = tarfile.GNU_FORMAT, pax: dict[str, str] | None = None) -> bytes:
    """A list as `repo-add` makes it: a folder for each package, its description in it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tar_format) as archive:
        for folder, desc in entries.items():
            member = tarfile.TarInfo(folder)
            member.type = tarfile.DIRTYPE
            archive.addfile(member)
            member = tarfile.TarInfo(f"{folder}/desc")
            member.size, member.pax_headers = len(desc.encode()), pax or {}
            archive.addfile(member, io.BytesIO(desc.encode()))
    return file.getvalue()


def with_size(field: bytes) -> bytes:
    """A list whose first description has this size in its header."""
    content = bytearray(packed())
    content[512 + 124 : 512 + 136] = field
    return bytes(content)


def put(folder: Path, content: bytes) -> SyncDatabase:
    (folder / "core.db").write_bytes(content)
    return SyncDatabase.read(str(folder), "core")


@pytest.mark.parametrize(
    "content",
    [packed(), gzip.compress(packed()), gzip.compress(packed(tar_format=tarfile.USTAR_FORMAT)), packed(tar_format=tarfile.PAX_FORMAT, pax={"mtime": "1.5"})],
    ids=["plain", "gzip", "ustar", "with times of a fraction"],
)  # fmt: skip
def test_details_of_a_package_are_read_for_the_new_version_only(tmp_path: Path, content: bytes) -> None:
    known = put(tmp_path, content)
    assert known.details_of("a", "1-1") == PackageDetails("a", ("b<2", "c"), 120000, "core", "1-1")
    assert known.details_of("dbus-broker-units", "36-4") == PackageDetails("dbus-broker-units", (), 7, "core", "36-4")
    assert known.details_of("a", "1-2") is None
    assert known.details_of("b", "1-1") is None


@pytest.mark.parametrize(
    "content",
    [b"", packed()[:140], with_size(b"-0000001000\0"), with_size(b"0000_0000170"), bz2.compress(packed()), gzip.compress(packed())[:-9], packed()[:1600], packed({"n" * 120 + "-1-1": "%NAME%\nn\n"}), packed(tar_format=tarfile.PAX_FORMAT, pax={"path": "other/desc"})],
    ids=["empty", "cut within a header", "a negative size", "an underscore in a size", "packed in another way", "cut", "cut within a member", "long names", "another name in a header"],
)  # fmt: skip
def test_a_list_that_cannot_be_read_here_is_left_to_pacman(tmp_path: Path, content: bytes) -> None:
    known = put(tmp_path, content)
    assert known.details_of("a", "1-1") is None
    assert SyncDatabase.read(str(tmp_path), "not-there").details_of("a", "1-1") is None


def test_a_name_in_two_parts_is_read(tmp_path: Path) -> None:
    name = "n" * 94
    known = put(tmp_path, packed({f"{name}-1-1": "%ISIZE%\n7\n"}, tarfile.USTAR_FORMAT))
    assert known.details_of(name, "1-1") == PackageDetails(name, (), 7, "core", "1-1")


@given(st.binary(max_size=3000), st.booleans())
def test_an_arbitrary_list_raises_no_error(tmp_path_factory: pytest.TempPathFactory, content: bytes, keep_head: bool) -> None:
    whole = packed()
    put(tmp_path_factory.getbasetemp(), whole[: 500 if keep_head else 0] + content).details_of("a", "1-1")
    parse_desc(content.decode("latin-1"))


def test_records_and_their_sizes(tmp_path: Path) -> None:
    for name in ("a-1-1", "dbus-broker-units-1:36-4"):
        (tmp_path / name).mkdir()
    (tmp_path / "ALPM_DB_VERSION").write_text("9\n")
    assert installed(str(tmp_path)) == {"a": "1-1", "dbus-broker-units": "1:36-4"}
    (tmp_path / "lost+found").mkdir()
    with pytest.raises(ValueError, match="unpack"):
        installed(str(tmp_path))
    assert size_bytes("%NAME%\na\n\n%SIZE%\n4096\n\n", "SIZE") == 4096
    assert size_bytes("%NAME%\na\n\n%SIZE%\na lot\n", "SIZE") == size_bytes("", "SIZE") == 0


def test_settings_are_read_with_their_repositories_in_order() -> None:
    printed = "[options]\nDBPath = /var/lib/pacman/\nIgnorePkg = a\nIgnorePkg = b*\nCheckSpace\n[lab]\nUsage = All\nServer = file:///x\nDBPath = no\n[core]\n"
    settings = parse_settings(printed)
    assert settings == PacmanSettings({"DBPath": ["/var/lib/pacman/"], "IgnorePkg": ["a", "b*"]}, ("lab", "core"))
    assert (settings.first("DBPath"), settings.first("CacheDir"), settings.all_of("IgnoreGroup")) == ("/var/lib/pacman/", "", [])
