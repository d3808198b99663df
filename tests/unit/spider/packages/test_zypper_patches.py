"""What patches fix, from the repositories' advisories compared with the installed packages."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.packages.rpm.parsers import RpmPackage
from spider.packages.zypper.patches import Advisories, Needed

REPOMD = '<repomd><data type="primary"><location href="repodata/p.xml.gz"/></data><data type="updateinfo"><checksum/><location href="repodata/{name}"/></data></repomd>'
INSTALLED = [
    RpmPackage("openssl", "1:3.0-1", "x86_64"),
    RpmPackage("kernel", "5.1-1", "x86_64"),
    RpmPackage("kernel", "5.3-1", "x86_64"),
    RpmPackage("glibc", "2.38-1", "x86_64"),
    RpmPackage("glibc", "2.39-1", "i686"),
]


def patch(*packages: str, kind: str = "security", status: str = "stable") -> str:
    """An advisory; a package is `name epoch version-release arch [reboot]`."""
    listed = ""
    for one in packages:
        name, epoch, evr, arch, *reboot = one.split()
        version, release = evr.split("-")
        flag = "<reboot_suggested>1</reboot_suggested>" if reboot else ""
        listed += f'<package name="{name}" epoch="{epoch}" version="{version}" release="{release}" arch="{arch}">{flag}</package>'
    return f'<update type="{kind}" status="{status}"><id>X</id><pkglist><collection>{listed}</collection></pkglist></update>'


def needed(folder: Path, *patches: str, head: str = "", name: str = "u.xml.gz", installed: list[RpmPackage] | None = None) -> Needed:
    (folder / "repomd.xml").write_text(REPOMD.format(name=name))
    (folder / name).write_bytes(gzip.compress(f"{head}<updates>{''.join(patches)}</updates>".encode()))
    advisories = Advisories(INSTALLED if installed is None else installed)
    advisories.read(str(folder))
    return advisories.needed()


def test_a_needed_security_patch_lists_the_older_installed_packages(tmp_path: Path) -> None:
    found = needed(tmp_path, patch("openssl 1 3.1-1 x86_64", "unknown 0 1-1 noarch"), patch("glibc 0 2.39-1 x86_64", kind="recommended"))
    assert found == Needed([RpmPackage("openssl", "1:3.1-1", "x86_64")], restart=False)


@pytest.mark.parametrize(
    "unneeded",
    [
        patch("openssl 1 3.0-1 x86_64 reboot"),
        patch("openssl 0 9-1 x86_64 reboot"),  # without its epoch it is older than anything with one
        patch("openssl 1 3.1-1 aarch64 reboot"),
        patch("openssl 1 3.1-1 x86_64 reboot", status="retracted"),
        patch("kernel 0 5.2-1 x86_64 reboot"),  # an older one stands beside the newest
        patch("unknown 0 1-1 noarch reboot"),
    ],
)
def test_an_unneeded_patch_lists_nothing(tmp_path: Path, unneeded: str) -> None:
    assert needed(tmp_path, unneeded) == Needed([], restart=False)


def test_any_patch_may_want_a_reboot(tmp_path: Path) -> None:
    assert needed(tmp_path, patch("glibc 0 2.39-1 x86_64 reboot", kind="recommended")) == Needed([], restart=True)
    found = needed(tmp_path, patch("kernel 0 5.4-1 x86_64 reboot"))
    assert found == Needed([RpmPackage("kernel", "5.4-1", "x86_64")], restart=True)


def test_a_package_for_another_architecture_counts_for_that_alone(tmp_path: Path) -> None:
    found = needed(tmp_path, patch("glibc 0 2.39-1 x86_64", "glibc 0 2.39-1 i686"))
    assert set(found.cures) == {RpmPackage("glibc", "2.39-1", "x86_64"), RpmPackage("glibc", "2.39-1", "i686")}
    assert needed(tmp_path, patch("glibc 0 2.39-1 i686")) == Needed([], restart=False)


def test_a_repository_without_advisories_has_none(tmp_path: Path) -> None:
    (tmp_path / "repomd.xml").write_text('<repomd><data type="primary"><location href="p.xml.gz"/></data></repomd>')
    advisories = Advisories(INSTALLED)
    advisories.read(str(tmp_path))
    assert advisories.needed() == Needed([], restart=False)


@pytest.mark.parametrize(
    "content", [lzma.compress(b"<updates/>"), b"\x28\xb5\x2f\xfd junk", gzip.compress(b"<updates/>")[:-9], b"<updates><update>", b""]
)
def test_unreadable_advisories_are_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "repomd.xml").write_text(REPOMD.format(name="u.xml.zst"))
    (tmp_path / "u.xml.zst").write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged|truncated"):
        Advisories(INSTALLED).read(str(tmp_path))


def test_entities_are_not_followed_and_a_way_out_of_the_folder_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="entities"):
        needed(tmp_path, head='<!DOCTYPE a [<!ENTITY b "c">]>')
    (tmp_path / "repomd.xml").write_text(REPOMD.format(name="../../../../../../etc/passwd"))
    with pytest.raises(FileNotFoundError):
        Advisories(INSTALLED).read(str(tmp_path))


@given(st.binary(max_size=400))
def test_arbitrary_advisories_raise_only_valueerror(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "repomd.xml").write_text(REPOMD.format(name="u.xml"))
    (folder / "u.xml").write_bytes(content)
    try:
        Advisories(INSTALLED).read(str(folder))
    except ValueError:
        return
