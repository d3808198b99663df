"""Parsers of dnf 4's and dnf 5's output, from recordings; output that is not fully understood is refused."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.packages.dnf import parsers as dnf_parsers
from spider.packages.dnf.dnf4 import Dnf4
from spider.packages.dnf.dnf5 import Dnf5Reader
from spider.packages.dnf.parsers import DnfRow, parse_table
from spider.packages.dnf.run_reader import DnfReader
from spider.packages.plan import Planned
from spider.packages.rpm.parsers import RpmPackage, parse_installed_sizes
from spider.root.terminal import Lines
from tests.support.null_console import NullConsole
from tests.support.some import some

DATA = Path(__file__).with_name("data")
LAB = ["lab-conf", "lab-dep", "lab-hello", "lab-sec", "lab-slow", "lab-svc", "linux-firmware"]


def both(name: str) -> tuple[str, str]:
    """Standard output and standard error of a recording."""
    err = DATA / f"{name}.err"
    return (DATA / f"{name}.txt").read_text(), err.read_text() if err.exists() else ""


@pytest.mark.parametrize("release", ["dnf-4.14", "dnf-4.24", "dnf5-5.4"])
def test_a_plan_is_read_whole(release: str) -> None:
    table = parse_table(*both(f"{release}/plan-assumeno"))
    assert [row.package.name for row in table.rows if row.act == "upgrade"] == LAB
    assert [row for row in table.rows if row.act != "upgrade"] == [DnfRow("install", RpmPackage("lab-extra", "2.0-1.lab", "noarch"), "lab")]
    assert table.rows[3] == DnfRow("upgrade", RpmPackage("lab-sec", "1.1-1.lab", "noarch"), "lab")
    assert table.download_bytes == 49 * 1024
    assert table.installed_bytes == (14 if release == "dnf5-5.4" else None)


@pytest.mark.parametrize("release", ["dnf-4.14", "dnf5-5.4"])
def test_a_security_only_plan_is_parsed(release: str) -> None:
    table = parse_table(*both(f"{release}/plan-security-assumeno"))
    assert [row.package.name for row in table.rows] == ["lab-sec", "linux-firmware"]


@pytest.mark.parametrize("release", ["dnf-4.24-chroot", "dnf5-5.4-chroot"])
def test_replacements_new_kernels_and_skipped_packages_are_distinguished(release: str) -> None:
    table = parse_table(*both(f"{release}/plan-broken-dependency"))
    by_name = {row.package.name: row for row in table.rows}
    assert by_name["kernel"].act == "install"
    assert by_name["sd-new"].replaces == (RpmPackage("sd-obs", "1-1", "noarch"),)
    assert by_name["sd-broken"].act == "skip"
    assert by_name["sd-sec"].replaces == ()
    assert len(table.rows) == 7


@pytest.mark.parametrize("release", ["dnf-4.14", "dnf5-5.4"])
def test_nothing_to_do_is_an_empty_plan_and_empty_output_is_no_plan(release: str) -> None:
    assert parse_table(*both(f"{release}/nothing-to-do")).rows == ()
    with pytest.raises(ValueError, match="nothing to do"):
        parse_table("", "")
    with pytest.raises(ValueError, match="nothing to do"):
        parse_table(
            *both(
                f"{release}-chroot/plan-broken-dependency-best" if release == "dnf5-5.4" else "dnf-4.24-chroot/plan-broken-dependency-best"
            )
        )


def test_removals_include_their_dependants() -> None:
    table = parse_table(*both("dnf-4.14/remove-extra-assumeno"))
    assert [(row.act, row.package.name) for row in table.rows] == [("remove", "lab-extra"), ("remove", "lab-dep")]
    assert table.installed_bytes == -26
    assert [row.act for row in parse_table(*both("dnf5-5.4-chroot/remove-with-dependants")).rows] == ["remove"]


@pytest.mark.parametrize("release", ["dnf-4.14", "dnf5-5.4"])
def test_long_names_versions_and_repositories_break_nothing(release: str) -> None:
    rows = parse_table(*both(f"{release}/plan-long-names")).rows
    assert [row.package.name for row in rows] == [
        "lab-hello",
        "nodejs-very-long-package-name-that-goes-on-and-on-and-never-ends-devel-static-libs",
    ]
    assert rows[0].package.version == "7:3.0-1.20261120gitabcdef0123456789abcdef.module_el9+9999+abcdef01.lab"
    assert rows[0].repository == "a-very-long-repository-id-epel-testing-modular"


def test_rows_that_do_not_match_the_summary_are_refused() -> None:
    out, err = both("dnf-4.14/plan-assumeno")
    for wrong in (
        out.replace("Upgrade  7 Packages", "Upgrade  8 Packages"),
        out.replace(" lab-svc ", " lab svc "),
        out.replace("Upgrading:", "Something:"),
    ):
        with pytest.raises(ValueError):  # noqa: PT011  # by count or by row
            parse_table(wrong, err)


NAME = st.from_regex(r"[a-z][a-z0-9._+-]{0,90}", fullmatch=True)
VERSION = st.from_regex(r"([1-9]:)?[0-9][0-9a-z.~^]{0,30}-[0-9][0-9a-z.]{0,30}", fullmatch=True)


@given(st.lists(st.tuples(NAME, VERSION, NAME), min_size=1, max_size=6), st.sampled_from([(20, 8, 12, 10), (1, 1, 1, 1), (60, 12, 40, 20)]))
def test_any_names_at_any_width_are_read_back(rows: list[tuple[str, str, str]], widths: tuple[int, int, int, int]) -> None:
    """Where a column is too narrow the row goes on below, as dnf 4 and yum print it."""
    text = "Upgrading:\n"
    for name, version, repository in rows:
        at = 1
        line = " "
        for word, width in zip((name, "noarch", version, repository), widths, strict=True):
            line += word + (" " * (width - len(word) + 1) if len(word) <= width else "\n" + " " * (at + width + 1))
            at += width + 1
        text += line + "6.1 k\n"
    text += f"\nTransaction Summary\n====\nUpgrade  {len(rows)} Package{'s' if len(rows) > 1 else ''}\n\nTotal download size: 6 k\n"
    assert [(row.package.name, row.package.version, row.repository) for row in parse_table(text).rows] == rows


@given(st.text(alphabet=" \nabcUpgradinTsctoSumy:=0123456789.-()", max_size=200))
def test_any_text_is_a_plan_or_is_not_understood(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_table(text)
    with contextlib.suppress(ValueError):
        dnf_parsers.parse_repoquery(text)
    with contextlib.suppress(ValueError):
        dnf_parsers.parse_check_update(text)
    with contextlib.suppress(ValueError):
        dnf_parsers.parse_advisories_json(text)
    dnf_parsers.parse_advisories(text)
    dnf_parsers.parse_step(text)
    dnf_parsers.parse_step_5(text)


def test_newer_versions_are_listed_once_each() -> None:
    for path in ("dnf-4.14/upgrades-repoquery.txt", "dnf5-5.4/upgrades-repoquery.txt"):
        newer = dnf_parsers.parse_repoquery((DATA / path).read_text())
        assert [package.name for package in newer.values()] == LAB
        assert set(dnf_parsers.parse_origins((DATA / path).read_text()).items()) == {((name, "noarch"), "lab") for name in LAB}
    assert [package.name for package in dnf_parsers.parse_check_update((DATA / "dnf-4.14/upgrades.txt").read_text())] == LAB
    listed = dnf_parsers.parse_check_update((DATA / "dnf-4.24-chroot/upgrades-obsoletes.txt").read_text())
    assert "sd-obs" not in [package.name for package in listed]
    assert len(listed) == 6


def test_security_updates_are_recognised_by_the_kind_of_advisory() -> None:
    wanted = {("lab-sec", "noarch"), ("linux-firmware", "noarch")}
    assert dnf_parsers.secured(dnf_parsers.parse_advisories((DATA / "dnf-4.14/advisory-list.txt").read_text())) == wanted
    assert dnf_parsers.secured(dnf_parsers.parse_advisories_json((DATA / "dnf5-5.4/advisory-list-json.txt").read_text())) == wanted
    assert dnf_parsers.secured(dnf_parsers.parse_advisories((DATA / "dnf-4.24-chroot/advisory-list.txt").read_text())) == {
        ("sd-sec", "noarch")
    }
    assert dnf_parsers.parse_advisories_json((DATA / "dnf5-5.4/nothing-advisory-json.txt").read_text()) == []


def read(reader: DnfReader, data: bytes) -> NullConsole:
    lines = Lines(reader.line)
    lines.feed(data)
    lines.end()
    assert isinstance(reader.console, NullConsole)
    return reader.console


def steps() -> list[Planned]:
    return [
        Planned(name, "1.0-1.lab", "1.1-1.lab" if name in ("lab-sec", "linux-firmware") else "2.0-1.lab") for name in [*LAB, "lab-extra"]
    ]


@pytest.mark.parametrize(("release", "make"), [("dnf-4.14", DnfReader), ("dnf5-5.4", Dnf5Reader)])
def test_a_run_on_a_terminal_is_followed_to_its_end(release: str, make: type[DnfReader]) -> None:
    console = read(make(NullConsole(), steps()), (DATA / release / "upgrade.pty").read_bytes())
    commits = [told for told in console.told if told[0] == "commit"]
    percents = [told[1] for told in commits]
    assert percents[0] == 0
    assert percents[-1] == 100
    assert percents == sorted(percents)
    assert {told[2] for told in commits} >= {"lab-svc", "lab-sec", "lab-extra"}
    assert {told[2] for told in commits} <= {"", *LAB, "lab-extra"}
    assert "download" not in [told[0] for told in console.told]  # this run installs: it must not look as if it could be stopped


@pytest.mark.parametrize(("release", "make"), [("dnf-4.14", DnfReader), ("dnf5-5.4", Dnf5Reader)])
def test_the_holder_of_the_lock_is_reported(release: str, make: type[DnfReader]) -> None:
    reader = make(NullConsole())
    for line in "".join(both(f"{release}/lock-held-waits")).splitlines():
        reader.line(line)
    assert some(reader.lock).pid == {"dnf-4.14": "39", "dnf5-5.4": "59"}[release]
    assert isinstance(reader.console, NullConsole)
    assert any(told[0] == "waiting_lock" for told in reader.console.told)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("dnf-4.14/lock-held", "job.lock_busy"),
        ("dnf-4.24-chroot/plan-broken-dependency-best", "job.unmet_dependencies"),
        ("dnf5-5.4-chroot/plan-broken-dependency-best", "job.unmet_dependencies"),
        ("dnf5-5.4/excluded-package", "job.package_held"),
        ("dnf-4.14/nothing-to-do", "job.package_manager"),
    ],
)
def test_messages_of_dnf_map_to_error_codes(path: str, code: str) -> None:
    assert Dnf4("dnf", "x86_64").code_in("".join(both(path))) == code


@pytest.mark.parametrize("release", ["dnf-4.14", "dnf5-5.4"])
def test_a_repository_that_does_not_answer_is_seen_though_the_status_is_0(release: str) -> None:
    make = Dnf5Reader if release.startswith("dnf5") else DnfReader
    for name in ("repo-dead", "repo-dead-skipped"):
        reader = make(NullConsole())
        for line in "".join(both(f"{release}/{name}")).splitlines():
            reader.line(line)
        assert reader.stale, name
    reader = make(NullConsole())
    for line in "".join(both(f"{release}/refresh-verbose")).splitlines():
        reader.line(line)
    assert not reader.stale


def test_unknown_and_excluded_packages_are_named() -> None:
    for path, name in [("dnf-4.14/unknown-and-known", "nosuchpkg"), ("dnf-4.14/excluded-package", "lab-fail"), ("dnf5-5.4/unknown-and-known", "nosuchpkg"), ("dnf5-5.4/excluded-package", "lab-fail")]:  # fmt: skip
        assert dnf_parsers.parse_unmatched("\n".join(both(path))) == [name]


def test_answers_of_the_dnf_shell_are_split_at_its_prompts() -> None:
    listed, found = dnf_parsers.parse_shell(
        "> LAB-1 Important/Sec. a-2-1.noarch\n> |a|noarch|0:2-1|lab|4096\n|b|noarch|0:2-1|lab|4096\n> > "
    )
    assert [advisory.package.name for advisory in dnf_parsers.parse_advisories(listed)] == ["a"]
    assert sorted(dnf_parsers.parse_repoquery(found)) == [("a", "noarch"), ("b", "noarch")]


def test_the_size_of_a_plan_is_computed_from_package_sizes() -> None:
    """dnf 4 tells it of plans that only install or only remove."""
    old, new, more, gone = (
        RpmPackage(name, version, "noarch") for name, version in (("a", "1-1"), ("a", "1:2-1"), ("b", "1-1"), ("c", "3-1"))
    )
    told = dnf_parsers.parse_sizes("a|noarch|1:2-1|lab|4096|150\nb|noarch|0:1-1|lab|9|7\nUpdating Subscription Management repositories.\n")
    takes = parse_installed_sizes("a|0:1-1|noarch|100\nc|0:3-1|noarch|40\nold|0:1-1|noarch|(none)\n")
    assert (told, takes) == ({new: 150, more: 7}, {old: 100, gone: 40})
    sizes = {**told, **takes}
    rows = [DnfRow("upgrade", new, "lab", (gone,)), DnfRow("install", more, "lab"), DnfRow("skip", RpmPackage("x", "1-1", "noarch"), "lab")]
    assert dnf_parsers.growth(rows, [old, gone], sizes) == 150 + 7 - 100 - 40
    assert dnf_parsers.growth([DnfRow("remove", old, "")], [old], sizes) == -100
    assert dnf_parsers.growth([], [old], sizes) == 0


def test_an_unknown_size_is_not_zero() -> None:
    old, new = RpmPackage("a", "1-1", "noarch"), RpmPackage("a", "2-1", "noarch")
    upgrade = DnfRow("upgrade", new, "lab")
    for known in ({old: 1}, {new: 1}, {}):
        assert dnf_parsers.growth([upgrade], [old], known) is None
    assert dnf_parsers.growth([upgrade], [old._replace(arch="x86_64")], {old: 1, new: 2}) is None
