"""Parsers of zypper's output, from recordings."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.packages.plan import Planned
from spider.packages.rpm.parsers import RpmPackage
from spider.packages.zypper import parsers as zypper_parsers
from spider.packages.zypper.parsers import parse_summary
from spider.packages.zypper.run_reader import ZypperReader
from spider.root.terminal import Lines
from tests.support.null_console import NullConsole

DATA = Path(__file__).with_name("data")
LAB = ["lab-conf", "lab-dep", "lab-hello", "lab-sec", "lab-slow", "lab-svc", "linux-firmware"]


def text(name: str) -> str:
    return (DATA / name).read_text()


@pytest.mark.parametrize("name", ["zypper-1.14.42/plan-xml.txt", "zypper-1.14.101/plan-xml.txt", "zypper-1.14.42/plan-dup-xml.txt"])
def test_a_plan_is_read_whole(name: str) -> None:
    plan = parse_summary(text(name))
    assert [(row.act, row.package.name, row.before, row.package.version) for row in plan.rows][:1] == [
        ("upgrade", "lab-conf", "1.0-1.lab", "2.0-1.lab")
    ]
    assert [row.package.name for row in plan.rows if row.act == "upgrade"] == LAB
    assert [row.package.name for row in plan.rows if row.act == "install"] == ["lab-extra"]
    assert (plan.download_bytes, plan.installed_bytes) == (49885, 14)
    assert {row.repository for row in plan.rows} == ({"lab"} if "101" in name else {""})


def test_a_plan_with_a_removal_and_a_reboot() -> None:
    plan = parse_summary(text("zypper-1.14.101-chroot/plan-xml.txt"))
    assert [(row.package.name, row.before) for row in plan.rows if row.act == "remove"] == [("sd-obs", "1-1")]
    assert plan.reboot is True
    assert parse_summary(text("zypper-1.14.101/plan-xml.txt")).reboot is False
    assert parse_summary(text("zypper-1.14.42/plan-xml.txt")).reboot is None


def test_patches_are_no_packages() -> None:
    assert [row.package.name for row in parse_summary(text("zypper-1.14.42/plan-patch-security-xml.txt")).rows] == ["lab-sec"]


def test_nothing_to_do_a_wish_for_a_decision_and_an_unknown_name_are_three_things() -> None:
    nothing = parse_summary(text("zypper-1.14.42/nothing-to-do-xml.txt"))
    assert (nothing.rows, nothing.problem, nothing.missing) == ((), "", ())
    problem = parse_summary(text("zypper-1.14.101-chroot/plan-dup-xml.txt"))
    assert "nothing provides the requested 'glibc'" in problem.problem
    assert parse_summary(text("zypper-1.14.42/unknown-package-xml.txt")).missing == ("nosuchpkg",)
    locked = parse_summary(text("zypper-1.14.42/lock-held-xml.txt"))
    assert zypper_parsers.parse_lock(locked.errors[0]) == ("/run/zypp.pid", "39", "zypper")


def test_a_summary_that_does_not_match_its_count_is_refused() -> None:
    printed = text("zypper-1.14.42/plan-xml.txt")
    with pytest.raises(ValueError, match="says 9"):
        parse_summary(printed.replace('packages-to-change="8"', 'packages-to-change="9"'))
    with pytest.raises(ValueError, match="not understood"):
        parse_summary(printed.replace("to-install>", "to-conjure>"))
    for broken in ("", printed[:600], "<?xml version='1.0'?><stream></stream>"):
        with pytest.raises(ValueError):  # noqa: PT011  # cut short in different ways
            parse_summary(broken)


@given(st.text(max_size=200))
def test_any_text_is_an_answer_or_is_not_understood(junk: str) -> None:
    for parse in (parse_summary, zypper_parsers.parse_updates, zypper_parsers.parse_patches, zypper_parsers.parse_found):
        for answer in (junk, "<?xml version='1.0'?><stream>" + junk + "</stream>"):
            with contextlib.suppress(ValueError):
                parse(answer)
    zypper_parsers.parse_locks(junk)
    zypper_parsers.parse_patched(junk)
    zypper_parsers.parse_step(junk)
    zypper_parsers.parse_fetched(junk)


def test_updates_are_listed_with_installed_version_and_repository() -> None:
    updates = zypper_parsers.parse_updates(text("zypper-1.14.42/upgrades-xml.txt"))
    # linux-firmware stands among the patches alone where zypper lists packages for people
    assert [update.package.name for update in updates] == [name for name in LAB if name in {update.package.name for update in updates}]
    assert updates[0] == (RpmPackage("lab-conf", "2.0-1.lab", "noarch"), "1.0-1.lab", "lab")
    every = {update.package.name for update in zypper_parsers.parse_updates(text("zypper-1.14.42/upgrades-all-xml.txt"))}
    assert {"lab-fail", "lab-hang", "lab-post"} <= every


def test_a_repository_that_is_left_out_is_seen() -> None:
    assert any(zypper_parsers.is_stale(message) for message in zypper_parsers.messages(text("zypper-1.14.42/repo-dead-upgrades-xml.txt")))
    for name in ("zypper-1.14.42/repo-dead-refresh", "zypper-1.14.42/repo-dead-update", "zypper-1.14.101/repo-dead-update"):
        reader = ZypperReader(NullConsole())
        for line in (text(f"{name}.txt") + text(f"{name}.err")).splitlines():
            reader.line(line)
        assert reader.stale, name
    reader = ZypperReader(NullConsole())
    for line in text("zypper-1.14.42/refresh.txt").splitlines():
        reader.line(line)
    assert not reader.stale


def test_the_packages_of_a_security_patch_are_parsed() -> None:
    patches = zypper_parsers.parse_patches(text("zypper-1.14.42/patches-xml.txt"))
    assert patches == [("LAB-2026-0001", True, False), ("LAB-2026-0002", True, True), ("LAB-2026-0003", False, False)]
    assert zypper_parsers.parse_patches(text("zypper-1.14.42/nothing-patches-xml.txt")) == []
    assert zypper_parsers.parse_patches(text("zypper-1.14.101-chroot/patches-xml.txt"))[0] == ("RLSA-2026:0001", True, True)
    patched = zypper_parsers.parse_patched(text("zypper-1.14.42/patch-info.txt"))
    assert patched == [RpmPackage("lab-sec", "1.1-1.lab", "")]
    assert zypper_parsers.mended(patched, "lab-sec", "noarch", "1.0-1.lab")
    assert not zypper_parsers.mended(patched, "lab-sec", "noarch", "1.1-1.lab")
    assert not zypper_parsers.mended(patched, "lab-hello", "noarch", "1.0-1.lab")
    several = (
        "Conflicts   : [3]\n    srcpackage:bind < 9.2-1\n    bind.x86_64 < 9.2-1\n    python3.11.noarch < 3.11.9-1\n    libfoo.so < 2-1\n"
    )
    assert zypper_parsers.parse_patched(several) == [
        RpmPackage("bind", "9.2-1", "x86_64"),
        RpmPackage("python3.11", "3.11.9-1", "noarch"),
        RpmPackage("libfoo.so", "2-1", ""),
    ]


def test_locks_are_read_from_their_file() -> None:
    file = (
        "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: lab-fail\n\n\n"
        "type: patch\nmatch_type: glob\nsolvable_name: SUSE-1\n\ntype: package\nsolvable_name: kernel-*\n"
    )
    assert zypper_parsers.parse_locks(file) == ["lab-fail", "kernel-*"]


@pytest.mark.parametrize("release", ["zypper-1.14.42", "zypper-1.14.101"])
def test_a_run_on_a_terminal_is_followed_to_its_end(release: str) -> None:
    steps = [
        Planned(name, "1.0-1.lab", "1.1-1.lab" if name in ("lab-sec", "linux-firmware") else "2.0-1.lab") for name in [*LAB, "lab-extra"]
    ]
    console = NullConsole()
    lines = Lines(ZypperReader(console, steps).line)
    lines.feed((DATA / release / "upgrade.pty").read_bytes())
    lines.end()
    commits = [told for told in console.told if told[0] == "commit"]
    assert max(told[1] for told in commits) == 100
    assert {told[2] for told in commits} == {*LAB, "lab-extra"}
    assert {told[0] for told in console.told} == {"commit"}  # this run installs: it must not look as if it could be stopped


def test_downloads_are_followed_where_nothing_is_installed() -> None:
    console = NullConsole()
    reader = ZypperReader(console, [Planned("lab-hello", "1.0-1.lab", "2.0-1.lab")])
    for line in (
        "Overall download size: 6.0 KiB. Already cached: 0 B. Download only.",
        "Retrieving package lab-conf-2.0-1.lab.noarch (1/2),   6.1 KiB (   40   B unpacked)",
        "Retrieving: lab-hello-2.0-1.lab.noarch (Lab)                       (2/2),   6.0 KiB    ",
    ):
        reader.line(line)
    assert console.told == [("download", 0, "", ""), ("download", 50, "", ""), ("download", 100, "lab-hello", "")]
