"""Parsers of rpm's output, from recordings; names, versions and holds have rpm's meaning."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.packages.backend import PackageError
from spider.packages.plan import Planned
from spider.packages.rpm import backend as rpm_backend
from spider.packages.rpm import parsers as rpm_parsers
from spider.packages.rpm import repositories
from spider.packages.rpm.backend import RpmReader
from spider.packages.rpm.parsers import RpmPackage, parse_installed, split_nevra
from tests.support.null_console import NullConsole
from tests.support.some import some

DATA = Path(__file__).with_name("data")
HOSTS = ["dnf-4.14", "dnf5-5.4", "zypper-1.14.42"]


@pytest.mark.parametrize("host", HOSTS)
def test_everything_installed_is_read(host: str) -> None:
    printed = (DATA / host / "installed.txt").read_text()
    packages = parse_installed(printed)
    assert len(packages) == len(printed.splitlines())
    assert RpmPackage("lab-hello", "1.0-1.lab", "noarch") in packages
    inventory = rpm_parsers.inventory_of(packages, "x86_64", held={"lab-fail"})
    assert inventory["lab-hello"] == ("1.0-1.lab", False, False)
    assert inventory["lab-fail"].held


def test_keys_are_no_packages_and_epochs_are_reported() -> None:
    text = "gpg-pubkey|0:a15b79cc-63d04c2c|(none)|1\nbind|32:9.16.23-1.el9|x86_64|1700000000\n"
    assert parse_installed(text) == [("bind", "32:9.16.23-1.el9", "x86_64")]
    with pytest.raises(ValueError, match="not understood"):
        parse_installed("warning: database is broken\n")


def test_a_foreign_architecture_is_part_of_the_name() -> None:
    packages = [RpmPackage("glibc", "2.39-1", arch) for arch in ("x86_64", "i686")] + [
        RpmPackage("kernel-core", v, "x86_64") for v in ("6.9-2", "6.10-1")
    ]
    inventory = rpm_parsers.inventory_of(packages, "x86_64", ())
    assert sorted(inventory) == ["glibc", "glibc.i686", "kernel-core"]
    assert inventory["kernel-core"].version == "6.9-2 6.10-1"
    assert rpm_parsers.label("a", "x86_64_v2", "x86_64") == "a"
    assert rpm_parsers.label("a", "i586", "i686") == "a"
    assert rpm_parsers.label("a", "armv7hl", "armv7l") == "a"
    assert rpm_parsers.doubled(packages) == {("kernel-core", "x86_64"): ["6.9-2", "6.10-1"]}


@pytest.mark.parametrize(
    ("nevra", "package"),
    [
        ("lab-sec-1.1-1.lab.noarch", RpmPackage("lab-sec", "1.1-1.lab", "noarch")),
        ("bind-32:9.16-1.el9.x86_64", RpmPackage("bind", "32:9.16-1.el9", "x86_64")),
        ("32:bind-9.16-1.el9.x86_64", RpmPackage("bind", "32:9.16-1.el9", "x86_64")),
        ("a-b-c-0:1-1.noarch", RpmPackage("a-b-c", "1-1", "noarch")),
        ("nothing", None),
        ("a-1.noarch", None),
    ],
)
def test_a_full_package_name_is_split(nevra: str, package: RpmPackage | None) -> None:
    assert split_nevra(nevra) == package


@given(st.text(max_size=60))
def test_arbitrary_text_raises_only_valueerror(text: str) -> None:
    split_nevra(text)
    rpm_parsers.parse_script_failed(text)
    rpm_parsers.parse_size(text)
    with contextlib.suppress(ValueError):
        parse_installed(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("6.1 k", 6246), ("49 KiB", 50176), ("14  ", 14), ("40.0   B", 40), ("1.2 G", 1288490189), ("0 B", 0), ("many", None)],
)
def test_sizes_are_read_to_the_accuracy_they_are_printed_with(text: str, size: int | None) -> None:
    assert rpm_parsers.parse_size(text) == size


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("dnf-4.14/upgrade-failing-post.txt", "lab-post-2.0-1.lab.noarch"),
        ("dnf-4.14/upgrade-failing-pre.txt", "lab-fail-2.0-1.lab.noarch"),
        ("dnf5-5.4/upgrade-failing-post.err", "lab-post-2.0-1.lab.noarch"),
        ("dnf5-5.4/upgrade-failing-pre.err", "lab-fail-2.0-1.lab.noarch"),
        ("zypper-1.14.42/upgrade-failing-post.txt", "lab-post-2.0-1.lab.noarch"),
        ("zypper-1.14.42/upgrade-failing-pre.err", "lab-fail-2.0-1.lab.noarch"),
        ("zypper-1.14.101/upgrade-failing-post.txt", "lab-post-2.0-1.lab.noarch"),
        ("dnf-4.24-chroot/upgrade-all.txt", "sd-fail-0:2-1.noarch"),
    ],
)
def test_a_failed_script_is_found_in_the_output_of_every_manager(path: str, package: str) -> None:
    reader = RpmReader(NullConsole())
    for line in (DATA / path).read_text().splitlines():
        reader.line(line)
    assert [failed.package for failed in reader.scripts] == [package]
    assert package in reader.scripts_text()
    assert any("scriptlet failed" in line for line in reader.troubles)


@pytest.mark.parametrize(
    ("line", "how"),
    [
        ("warning: %post(lab-hang-2.0-1.lab.noarch) scriptlet failed, signal 9", "signal 9"),
        ("warning: %post(lab-hang-2.0-1.lab.noarch) scriptlet failed, exit status 3", "status 3"),
        ("error: %prein(lab-hang-2.0-1.lab.noarch) scriptlet failed, waitpid(12) rc -1: No child processes", "waitpid(12)"),
    ],
)
def test_a_script_that_a_signal_ended_has_failed(line: str, how: str) -> None:
    failed = some(rpm_parsers.parse_script_failed(line))
    assert (failed.package, failed.how) == ("lab-hang-2.0-1.lab.noarch", how)


def test_names_of_options_groups_paths_patterns_and_removals_are_no_names() -> None:
    for name in (
        "-y",
        "--all",
        "@core",
        "lab-*",
        "a?b",
        "[ab]",
        "/bin/sh",
        "./a.rpm",
        "a b",
        "a=1",
        "a>1",
        "a(b)",
        "",
        "a\n",
        "ä",
        "$(x)",
        "%x",
    ):
        assert not rpm_parsers.NAME.match(name), name
    for name in ("bash", "glibc.i686", "gtk2+extra", "python3.11", "NetworkManager", "lab-hello-"):
        assert rpm_parsers.NAME.match(name)  # whether there is such a package is asked of the lists


def test_excludes_and_locks_match_packages_by_name() -> None:
    packages = [RpmPackage("lab-hello", "1.0-1.lab", "noarch"), RpmPackage("bash", "1:5-1", "x86_64"), RpmPackage("glibc", "2-1", "i686")]
    for pattern, found in [
        ("lab-hello-0:1.0-1.lab.*", {"lab-hello"}),
        ("lab-hello", {"lab-hello"}),
        ("lab-*", {"lab-hello"}),
        ("1:bash-5-1.*", {"bash"}),
        ("bash-1:5-1.*", {"bash"}),
        ("glibc.i686", {"glibc.i686"}),
        ("glib", set()),
    ]:
        assert rpm_backend.matching([pattern], packages, "x86_64") == found, pattern


def test_progress_names_a_package_only_when_it_is_sure_which() -> None:
    steps = [
        Planned("lab-sec", "1.0-1.lab", "1.1-1.lab"),
        Planned("lab-sec-tools", "1.0-1.lab", "1.1-1.lab"),
        Planned("glibc.i686", "2-1", "2-2"),
    ]
    reader = RpmReader(NullConsole(), steps)
    assert reader.package("lab-sec-1.1-1.lab.noarch") == "lab-sec"
    assert reader.package("lab-sec-0:1.0-1.lab.noarch") == "lab-sec"
    assert reader.package("lab-sec-t") == "lab-sec-tools"
    assert reader.package("lab-s") == ""
    assert reader.package("glibc-2-2.i686") == "glibc.i686"
    assert reader.package("other-1-1.noarch") == ""


def test_enabled_repositories_excludes_and_their_metadata_are_read_from_files(tmp_path: Path) -> None:
    repos, overrides, cache = tmp_path / "repos", tmp_path / "override", tmp_path / "cache"
    for folder in (repos, overrides):
        folder.mkdir()
    (repos / "a.repo").write_text(
        "[one]\nname=One\n[two]\nenabled=0\n[three]\nenabled = no\nexclude=kernel* foo\n[four]\nenabled=1\nexcludepkgs=bar\n"
    )
    (repos / "b.repo").write_text("no section here\n[five]\n")
    (repos / "c.txt").write_text("[six]\n")
    (overrides / "o.repo").write_text("[tw?]\nenabled=1\n[four]\nenabled=0\n")
    main = tmp_path / "dnf.conf"
    main.write_text("[main]\nexcludepkgs=a, b\n  c-*\n[inmain]\nbaseurl=x\n")
    assert repositories.enabled([str(repos)], str(main)) == ["inmain", "one", "four"]
    assert repositories.enabled([str(repos)], str(main), [str(overrides)]) == ["inmain", "one", "two"]
    assert repositories.excluded(str(main), [str(repos)]) == ["a", "b", "c-*", "bar"], "a disabled repository excludes nothing"
    assert repositories.excluded(str(main), [str(repos)], [str(overrides)]) == ["a", "b", "c-*"]
    assert repositories.option(str(main), "excludepkgs") == "a, b\nc-*"
    main.write_text("[main]\ncachedir = /srv/cache\nreposdir=/var/$basearch\n")
    assert [repositories.option(str(main), key) for key in ("cachedir", "reposdir", "nothing")] == ["/srv/cache", "", ""]
    assert repositories.option(str(tmp_path / "none"), "cachedir") == ""
    folder = cache / "one-0123456789abcdef" / "repodata"
    folder.mkdir(parents=True)
    (folder / "repomd.xml").write_text('<repomd><data type="updateinfo"></data></repomd>')
    (cache / "one-more-0123456789abcdef" / "repodata").mkdir(parents=True)
    one, other = (repositories.dnf_repository(name, str(cache)) for name in ("one", "two"))
    assert one.advisories
    assert one.refreshed_at > 0
    assert (other.refreshed_at, other.advisories) == (0.0, False)
    assert repositories.missing([one, other]) == ["two"]
    assert repositories.refreshed_at([one, other]) == one.refreshed_at
    assert repositories.refreshed_at([other]) == 0.0
    repositories.require_advisories("security-upgrade", [one, other])
    repositories.require_advisories("upgrade", [other])
    with pytest.raises(PackageError, match="no repository of this server says"):
        repositories.require_advisories("security-upgrade", [other])
