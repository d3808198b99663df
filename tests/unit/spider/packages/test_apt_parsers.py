"""Parsers of apt's and dpkg's output, from recordings of five releases."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.packages.apt import parsers as apt_parsers
from spider.packages.apt.parsers import (
    parse_inventory,
    parse_lock,
    parse_phased,
    parse_pinned,
    parse_policy,
    parse_report,
    parse_sizes,
    parse_status,
)
from spider.packages.plan import Plan
from spider.root.terminal import Lines
from tests.support.some import some

DATA = Path(__file__).with_name("data")
RELEASES = sorted(folder.name for folder in DATA.glob("apt-*"))


def text(name: str) -> str:
    return (DATA / name).read_text()


def parse_plan(printed: str) -> Plan:
    return Plan(apt_parsers.parse_plan(printed))


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("which", ["plan-dist-upgrade", "plan-upgrade", "plan-upgrade-with-new-pkgs"])
def test_every_line_of_a_plan_is_parsed(release: str, which: str) -> None:
    printed = text(f"{release}/{which}.txt")
    plan = parse_plan(printed)
    assert len(plan.steps) == sum(line.startswith(("Inst ", "Remv ")) for line in printed.splitlines())
    assert plan.removals == []
    assert all(step.after for step in plan.steps)


def test_a_plan_reports_new_upgraded_and_security() -> None:
    plan = parse_plan(text("apt-2.6/plan-dist-upgrade.txt"))
    by_name = {step.package: step for step in plan.steps}
    assert by_name["lab-hello"] == ("lab-hello", "1.0", "2.0", "no", "Stardust Lab lab")
    assert by_name["lab-extra"] == ("lab-extra", "", "2.0", "no", "Stardust Lab lab")
    assert by_name["lab-sec"].security == "yes"
    assert "lab-extra" not in [step.package for step in plan.upgrades]
    kept_back = parse_plan(text("apt-2.6/plan-upgrade.txt"))
    assert {step.package for step in plan.steps} - {step.package for step in kept_back.steps} == {"lab-dep", "lab-extra"}


def test_security_updates_of_ubuntu_are_marked_where_two_pockets_are_named() -> None:
    plan = parse_plan(text("apt-2.7-ubuntu/plan-dist-upgrade.txt"))
    printed = text("apt-2.7-ubuntu/plan-dist-upgrade.txt")
    expected = [line for line in printed.splitlines() if line.startswith("Inst ") and "noble-security" in line and "] (" in line]
    assert len([step for step in plan.upgrades if step.security == "yes"]) == len(expected) > 0
    assert len(expected) < len(plan.upgrades)


def test_nothing_to_do_is_an_empty_plan() -> None:
    for release in RELEASES:
        path = DATA / release / "nothing-to-do-plan.txt"
        if path.exists():
            assert parse_plan(path.read_text()).steps == ()


def test_removals_are_parsed() -> None:
    for release in RELEASES:
        path = DATA / release / "plan-remove.txt"
        if path.exists():
            assert parse_plan(path.read_text()).removals


def test_an_unknown_plan_line_is_an_error() -> None:
    with pytest.raises(ValueError, match="not understood"):
        parse_plan("Inst lab-hello 1.0 -> 2.0\n")
    with pytest.raises(ValueError, match="not understood"):
        parse_plan("Remv lab-hello\n")


@given(st.text(max_size=300))
def test_no_text_upsets_the_readers(junk: str) -> None:
    for line in (junk, "Inst " + junk, "Remv " + junk):
        with contextlib.suppress(ValueError):
            parse_plan(line)
    parse_inventory(junk)
    for prefix in ("", "pmstatus:", "dlstatus:1:", "E: Could not get lock "):
        parse_status(prefix + junk)
        parse_lock(prefix + junk)
        apt_parsers.is_stale_repository(prefix + junk)
        parse_report(prefix + junk)
        parse_sizes(prefix + junk)
        parse_policy(prefix + junk)
        parse_pinned(prefix + junk)


@pytest.mark.parametrize("release", RELEASES)
def test_the_inventory_names_packages_as_apt_does(release: str) -> None:
    printed = text(f"{release}/installed.txt")
    inventory = parse_inventory(printed)
    assert len(inventory) == len(printed.splitlines())
    assert not any(":" in name for name in inventory)
    assert inventory["apt"].version
    assert not any(package.broken for package in inventory.values())
    # What apt plans to upgrade is there, under the same name and version.
    for step in parse_plan(text(f"{release}/plan-dist-upgrade.txt")).upgrades:
        assert inventory[step.package].version == step.before


def test_packages_of_another_architecture_keep_it_in_their_name() -> None:
    inventory = parse_inventory("ii \tdpkg\t1.21\tamd64\nii \tlibc6:amd64\t2.36\tamd64\nii \tlibc6:i386\t2.36\ti386\n")
    assert set(inventory) == {"dpkg", "libc6", "libc6:i386"}


def test_states_of_packages_are_distinguished() -> None:
    assert parse_inventory(text("apt-2.6/upgrade-failing-installed.txt"))["lab-fail"].broken
    assert any(package.broken for package in parse_inventory(text("apt-2.6/broken-installed.txt")).values())
    inventory = parse_inventory("hi \ta\t1.0\tall\nrc \tb\t1.0\tall\niiR\tc\t1.0\tall\nit \td\t1.0\tall\niU \te\t1.0\tall\n")
    assert [name for name, package in inventory.items() if package.held] == ["a"]
    assert [name for name, package in inventory.items() if package.broken] == ["c", "e"]
    assert set(inventory) == set("acde")


def test_a_phased_version_is_found_where_apt_get_says_only_kept_back() -> None:
    assert parse_report(text("apt-2.6/plan-upgrade-phased.txt")) == (("held-one", "phased-one"), ())
    printed = text("apt-2.6/policy-phased.txt")
    assert parse_phased(printed) == ["phased-one"]
    assert parse_phased(printed.replace("(phased 0%)", "(phased 99%)")) == ["phased-one"]
    assert parse_phased(printed.replace("(phased 0%)", "(phased 100%)")) == []
    older = printed.replace("Candidate: 2.0", "Candidate: 1.0")
    assert parse_phased(older) == [], "it is not what would be installed"


def test_held_back_and_phased_packages_are_distinguished() -> None:
    told = parse_report(text("apt-2.6/plan-upgrade.txt"))
    assert "lab-dep" in told.kept_back
    assert "lab-fail" in told.kept_back
    phased = (
        "Calculating upgrade...\nThe following upgrades have been deferred due to phasing:\n  apt\n  tar zlib1g\n"
        "The following packages have been kept back:\n  lab-dep\n0 upgraded, 0 newly installed\n"
    )
    assert parse_report(phased) == (("lab-dep",), ("apt", "tar", "zlib1g"))


@pytest.mark.parametrize("release", [release for release in RELEASES if (DATA / release / "print-uris.txt").exists()])
def test_download_and_installed_sizes_of_a_plan_are_summed(release: str) -> None:
    printed = text(f"{release}/print-uris.txt")
    lines = [line for line in printed.splitlines() if line.startswith("'http")]
    wanted = sum(int(line.split("' ")[1].split()[1]) for line in lines)
    assert parse_sizes(printed).download_bytes == (wanted if lines else -1)
    after = "Need to get 0 B/6766 B of archives.\nAfter this operation, 47.1 kB of additional disk space will be used.\n"
    assert parse_sizes(after) == (0, 47_100)
    assert (
        parse_sizes("Need to get 1 B of archives.\nAfter this operation, 1,234 MB disk space will be freed.\n").installed_bytes
        == -1_234_000_000
    )
    assert parse_sizes("") == (-1, None)


def test_the_versions_that_are_known_are_read() -> None:
    versions = parse_policy(text("apt-2.7-ubuntu/policy.txt"))
    assert versions["apt"] == ("2.8.4ubuntu0.1", "2.8.4ubuntu0.1", True)
    assert not versions["base-files"].security_above
    below = parse_policy(text("apt-2.6/policy.txt"))["libc6"]
    assert not below.security_above  # the one from the security pocket is older than the installed one


def test_names_that_are_pinned_are_found() -> None:
    printed = "Package files:\n 100 /var/lib/dpkg/status\nPinned packages:\n     lab-hello -> 1.0 with priority 1001\n"
    assert parse_pinned(printed) == ("lab-hello",)
    assert parse_pinned(text("apt-2.6/policy-sources.txt")) == ()


@pytest.mark.parametrize("release", [release for release in RELEASES if (DATA / release / "upgrade-selected-statusfd.fd3").exists()])
def test_progress_of_download_and_installation_is_read(release: str) -> None:
    lines = text(f"{release}/upgrade-selected-statusfd.fd3").splitlines()
    read = [status for status in map(parse_status, lines) if status]
    assert len(read) == len(lines)
    assert [status.phase for status in read if status.phase == "download"]
    commit = [status for status in read if status.phase == "commit"]
    assert commit[-1].percent > 70
    assert all(0 <= status.percent <= 100 and not status.error for status in read)


def test_a_failing_package_is_named_in_the_progress() -> None:
    read = [parse_status(line) for line in text("apt-2.6/upgrade-failing-scriptlet.fd3").splitlines()]
    errors = [status for status in read if status and status.error]
    assert [status.package for status in errors] == ["lab-fail"]


def test_triggers_are_a_phase_of_their_own() -> None:
    status = some(parse_status("pmstatus:man-db:80.0000:Running post-installation trigger man-db"))
    assert (status.phase, status.percent) == ("triggers", 80)
    multi = some(parse_status("pmstatus:libc6:i386:50.5:Unpacking libc6 (i386)"))
    assert (multi.package, multi.percent) == ("libc6:i386", 50)


@pytest.mark.parametrize("release", ["apt-2.2", "apt-2.6", "apt-3.0"])  # 3.3 waits in silence
def test_the_holder_of_a_lock_is_parsed(release: str) -> None:
    locks = [lock for lock in map(parse_lock, text(f"{release}/lock-held-timeout.txt").splitlines()) if lock]
    assert locks
    assert {lock.name for lock in locks} == {"python3"}
    assert "waiting for python3 (process " in str(locks[0])
    lists = some(parse_lock(text(f"{release}/lock-lists-held.err").splitlines()[0]))
    assert lists.file == "/var/lib/apt/lists/lock"


@pytest.mark.parametrize(
    "path", sorted(path for path in DATA.glob("apt-*/repo-*.err") if path.stem != "repo-malformed"), ids=lambda path: f"{path.parent.name}/{path.stem}"
)  # fmt: skip
def test_a_repository_that_could_not_be_refreshed_is_seen(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert any(apt_parsers.is_stale_repository(line) for line in lines)


@pytest.mark.parametrize("release", RELEASES)
def test_a_successful_refresh_reports_no_trouble(release: str) -> None:
    assert not any(apt_parsers.is_stale_repository(line) for line in text(f"{release}/refresh.txt").splitlines())


def test_terminal_output_is_read_as_displayed_lines() -> None:
    seen: list[str] = []
    lines = Lines(seen.append)
    raw = (DATA / "apt-2.6/upgrade.pty").read_bytes()
    for start in range(0, len(raw), 7):
        lines.feed(raw[start : start + 7])
    lines.end()
    assert "6 upgraded, 1 newly installed, 0 to remove and 17 not upgraded." in seen
    assert any(line.startswith("(Reading database ... ") and "currently installed" in line for line in seen)
    assert not any("\x1b" in line or "\r" in line for line in seen)


def test_expected_lists_are_those_named_by_the_release_file() -> None:
    told = "http://a/debian bookworm\t/lists/a_main_binary-amd64_Packages\tmain/binary-amd64/Packages\tamd64\nnoise\n"
    [target] = apt_parsers.parse_targets(told)
    assert target == apt_parsers.AptTarget(
        "http://a/debian bookworm", "/lists/a_main_binary-amd64_Packages", "main/binary-amd64/Packages", "amd64"
    )
    digest = "0" * 64
    for size, name, has in (
        ("12", "main/binary-amd64/Packages", True),
        ("12", "main/binary-amd64/Packages.xz", True),
        ("0", "main/binary-amd64/Packages", False),
        ("12", "main/binary-i386/Packages", False),
        ("12", "contrib/main/binary-amd64/Packages", False),
        ("12", "main/binary-amd64/Packages.diff/Index", False),
    ):
        assert apt_parsers.has_list(f"Origin: x\nSHA256:\n {digest} {size:>8} {name}\n", target) is has, name
    both = target._replace(key="main/binary-all/Packages", architecture="all")
    listed = f"SHA256:\n {digest} 12 main/binary-all/Packages\n"
    assert apt_parsers.has_list(listed, both)
    assert not apt_parsers.has_list("No-Support-for-Architecture-all: Packages\n" + listed, both)
    assert not apt_parsers.has_list("Architectures: amd64 arm64\n" + listed, both)
    assert apt_parsers.has_list("Architectures: all amd64\n" + listed, both)
