"""Hosts without an enabled repository, or with lists in another place, by the output of each manager."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from spider.packages import interfaces
from spider.packages.apk import backend as apk_backend
from spider.packages.apt import backend as apt_backend
from spider.packages.apt import parsers as apt_parsers
from spider.packages.backend import Backend, PackageError
from spider.packages.dnf.dnf4 import Dnf4
from spider.packages.dnf.dnf5 import Dnf5
from spider.packages.interfaces import Output, PackagesUnreadable
from spider.packages.pacman import backend as pacman_backend
from spider.packages.pacman.parsers import parse_settings
from spider.packages.rpm import repositories
from spider.packages.yum.backend import Yum
from spider.packages.zypper.backend import Zypper

LIST = "http://deb.example.org/debian bookworm\t{folder}/deb.example.org_main_binary-amd64_Packages\tmain/binary-amd64/Packages\tamd64\n"


def say(monkeypatch: pytest.MonkeyPatch, module: object, out: str) -> None:
    """Let every question of a module be answered so."""

    def ask(_argv: Sequence[str], *_more: object, **_options: object) -> Output:
        return Output(0, out, "")

    monkeypatch.setattr(module, "run_query", ask)


def without_repository(backend: Backend) -> None:
    with pytest.raises(PackageError, match="no repository is enabled") as told:
        backend.missing()
    assert told.value.code == "job.lists_missing"


def test_apt_that_expects_no_list_has_no_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same answer for no source, for `Enabled: no` and for `Acquire::IndexTargets::deb::Packages::DefaultEnabled "false"`."""
    say(monkeypatch, interfaces, "")
    without_repository(apt_backend.Apt())
    assert apt_backend.Apt().lists_refreshed_at() == 0.0
    say(monkeypatch, interfaces, LIST.format(folder=tmp_path))
    assert apt_backend.Apt().missing() == ["http://deb.example.org/debian bookworm"]
    assert apt_backend.Apt().lists_refreshed_at() == 0.0


def test_a_list_of_apt_that_says_it_is_not_valid_any_more_is_expired(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    say(monkeypatch, interfaces, LIST.format(folder=tmp_path))
    release = tmp_path / "deb.example.org_InRelease"
    (tmp_path / "deb.example.org_main_binary-amd64_Packages").touch()
    for field, expired in (
        ("Valid-Until: Sat, 28 Nov 2020 08:11:14 UTC", True),
        ("Valid-Until: Fri, 31 Dec 2060 00:00:00 UTC", False),
        ("Valid-Until: Fri, 31 Dec 99999 00:00:00 UTC", False),
        ("", False),
    ):
        release.write_text(f"Origin: Debian\n{field}\nArchitectures: amd64\n")
        [one] = apt_backend.Apt().lists()
        assert (one.name, one.expired, one.refreshed_at > 0) == ("http://deb.example.org/debian bookworm", expired, True)
    for path in (release, tmp_path / "deb.example.org_main_binary-amd64_Packages"):
        path.unlink()
    [one] = apt_backend.Apt().lists()
    assert not one.refreshed_at


def test_the_lists_of_apt_are_where_it_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    say(monkeypatch, interfaces, LIST.format(folder=tmp_path))
    (tmp_path / "deb.example.org_main_binary-amd64_Packages.lz4").touch()
    os.utime(tmp_path, (1000.0, 1000.0))
    assert apt_backend.lists_refreshed_at([str(tmp_path / "none")]) == 1000.0
    assert apt_backend.Apt().missing() == []


@pytest.mark.parametrize(
    ("said", "folder"),
    [("FOLDER='/srv/archives/'\n", "/srv/archives"), ("FOLDER='/srv/a b'\\''c/'\n", "/srv/a b'c"), ("", ""), ("FOLDER='", "")],
)
def test_a_folder_is_read_as_apt_config_writes_it(said: str, folder: str) -> None:
    assert apt_parsers.parse_folder(said) == folder


def test_pacman_without_a_section_has_no_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacman_backend, "_settings", lambda: parse_settings("[options]\nDBPath = /var/lib/pacman/\n"))
    without_repository(pacman_backend.Pacman())


def test_apk_without_a_line_has_no_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    say(monkeypatch, apk_backend, "")
    monkeypatch.setattr(apk_backend, "enabled_repositories", lambda _options: [])
    without_repository(apk_backend.Apk())
    monkeypatch.undo()

    named, more = tmp_path / "repositories", tmp_path / "more.list"
    patterns = (str(named), str(tmp_path / "*.list"))
    assert apk_backend.enabled_repositories((), patterns) == []
    named.write_text("#http://a.example.org/main\n\nset mirror=http://a.example.org\n")
    assert apk_backend.enabled_repositories((), patterns) == []
    more.write_text("@edge http://b.example.org/edge\nhttp://b.example.org/main\n")
    assert apk_backend.enabled_repositories((), patterns) == ["http://b.example.org/edge", "http://b.example.org/main"]
    assert apk_backend.enabled_repositories(("--repositories-file", str(named)), patterns) == []
    assert apk_backend.enabled_repositories(("--repository", "http://c.example.org/main"), patterns[:1]) == ["http://c.example.org/main"]


def test_a_lock_of_pacman_is_unknown_where_its_settings_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_words: object, **_more: object) -> Output:
        raise PackagesUnreadable("pacman-conf: error")

    monkeypatch.setattr(pacman_backend, "run_query", fail)
    assert pacman_backend.Pacman().lock() is None


@pytest.mark.parametrize("backend", [Dnf4("dnf", "x86_64"), Dnf5("dnf5", "x86_64"), Yum("x86_64"), Zypper("x86_64", "opensuse-leap")])
def test_the_rpm_family_without_an_enabled_section_has_no_repository(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repositories, "enabled", lambda *_folders, **_more: [])
    without_repository(backend)
    for verb in ("upgrade", "full-upgrade", "install"):
        with pytest.raises(PackageError, match="no repository is enabled"):
            backend.simulate(verb, ())
