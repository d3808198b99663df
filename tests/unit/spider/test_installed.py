"""Installed packages, read from the databases themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from spider.reports import package_database
from tests.support.some import some

DPKG = """Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.21.22

Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 2.36-9
Conffiles:
 /etc/ld.so.conf.d/x86_64-linux-gnu.conf d4e7a7b88a71b5ffd9e2644e71a0cfab
Description: Version: of nothing

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.36-9

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1.0

Package: half
Status: install ok half-configured
Architecture: all
Version: 2:1.0~rc1-1
"""
APK = "C:Q1\nP:musl\nV:1.2.4-r2\nA:x86_64\nF:lib\nR:ld-musl-x86_64.so.1\n\nC:Q2\nP:busybox\nV:1.36.1-r5\n"


def write(root: Path, path: str, text: str) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def test_dpkg_status_lists_unpacked_packages_with_foreign_architectures(tmp_path: Path) -> None:
    write(tmp_path, "var/lib/dpkg/status", DPKG)
    assert package_database.read_dpkg(str(tmp_path)) == {
        "dpkg": "1.21.22",
        "libc6": "2.36-9",
        "libc6:i386": "2.36-9",
        "half": "2:1.0~rc1-1",
    }


def test_apk_s_and_pacman_s_databases_are_read(tmp_path: Path) -> None:
    write(tmp_path, "lib/apk/db/installed", APK)
    for name in ("bash-5.2.015-5", "lib32-gcc-libs-13.2.1-3"):
        (tmp_path / "var/lib/pacman/local" / name).mkdir(parents=True)
    write(tmp_path, "var/lib/pacman/local/ALPM_DB_VERSION", "9\n")
    assert package_database.read_apk(str(tmp_path)) == {"musl": "1.2.4-r2", "busybox": "1.36.1-r5"}
    assert package_database.read_pacman(str(tmp_path)) == {"bash": "5.2.015-5", "lib32-gcc-libs": "13.2.1-3"}


def test_several_versions_of_a_kernel_are_joined_in_one_row() -> None:
    lines = ["kernel.x86_64\t5.14-2", "kernel.x86_64\t5.14-1", "bash.x86_64\t5.1-6", "gpg-pubkey.(none)\tabc-def", "", "nonsense"]
    assert package_database.parse_rpm(lines) == {"kernel.x86_64": "5.14-1,5.14-2", "bash.x86_64": "5.1-6"}


def test_the_database_with_packages_in_it_is_the_one_in_use(tmp_path: Path) -> None:
    assert package_database.find_database(str(tmp_path)) is None
    write(tmp_path, "var/lib/dpkg/status", "")
    write(tmp_path, "lib/apk/db/installed", APK)
    found = some(package_database.find_database(str(tmp_path)))
    assert found[0].read is package_database.read_apk
    assert found[2] == package_database.read_apk(str(tmp_path))


def test_a_database_that_cannot_be_read_is_an_error_unless_another_can(tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg/status").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        package_database.find_database(str(tmp_path))
    write(tmp_path, "lib/apk/db/installed", APK)
    found = some(package_database.find_database(str(tmp_path)))
    assert found[0].read is package_database.read_apk


def test_hostile_names_are_made_harmless_and_short(tmp_path: Path) -> None:
    write(tmp_path, "lib/apk/db/installed", f"P:a\x1b[2Jb\nV:\x07\n\nP:{'x' * 5000}\nV:{'9' * 5000}\n")
    assert package_database.read_apk(str(tmp_path)) == {"a_[2Jb": "_", "x" * 200: "9" * 200}
    local = tmp_path / "var/lib/pacman/local"
    local.mkdir(parents=True)
    (local / os.fsdecode(b"na\xffme-1.0-1")).mkdir()
    assert package_database.read_pacman(str(tmp_path)) == {"na_me": "1.0-1"}


def test_a_changed_database_is_detected_without_reading_it(tmp_path: Path) -> None:
    write(tmp_path, "lib/apk/db/installed", APK)
    found = some(package_database.find_database(str(tmp_path)))
    database, before, _ = found
    assert package_database.stamp(database, str(tmp_path)) == before != ()
    write(tmp_path, "lib/apk/db/installed", APK + "\nP:new\nV:1\n")
    assert package_database.stamp(database, str(tmp_path)) != before


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="this machine has no dpkg")
def test_this_machine_s_packages_are_those_that_dpkg_names() -> None:
    own = ":" + subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    query = ["dpkg-query", "-W", "-f=${db:Status-Abbrev}\t${binary:Package}\t${Version}\n"]
    rows = [line.split("\t") for line in subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()]
    assert package_database.read_dpkg() == {name.removesuffix(own): version for state, name, version in rows if state[1] not in "nc"}
