"""What apt and dpkg print is read from recordings of five releases."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.packages import apt_text
from spider.packages.apt_text import Installed, compare_inventories, parse_inventory, parse_lock, parse_plan, parse_status
from spider.terminal import Lines

DATA = Path(__file__).with_name("data")
RELEASES = sorted(folder.name for folder in DATA.iterdir() if folder.is_dir())


def text(name: str) -> str:
    return (DATA / name).read_text()


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("which", ["plan-dist-upgrade", "plan-upgrade", "plan-upgrade-with-new-pkgs"])
def test_every_line_of_a_plan_is_understood(release: str, which: str) -> None:
    printed = text(f"{release}/{which}.txt")
    plan = parse_plan(printed)
    assert len(plan.steps) == sum(line.startswith(("Inst ", "Remv ")) for line in printed.splitlines())
    assert plan.removals == []
    assert all(step.after for step in plan.steps)


def test_a_plan_tells_new_upgraded_and_security() -> None:
    plan = parse_plan(text("apt-2.6/plan-dist-upgrade.txt"))
    by_name = {step.package: step for step in plan.steps}
    assert by_name["lab-hello"] == ("lab-hello", "1.0", "2.0", False)
    assert by_name["lab-extra"] == ("lab-extra", "", "2.0", False)
    assert by_name["lab-sec"].security
    assert "lab-extra" not in [step.package for step in plan.upgrades]
    kept_back = parse_plan(text("apt-2.6/plan-upgrade.txt"))
    assert {step.package for step in plan.steps} - {step.package for step in kept_back.steps} == {"lab-dep", "lab-extra"}


def test_security_on_ubuntu_is_told_though_two_pockets_are_named() -> None:
    plan = parse_plan(text("apt-2.7-ubuntu/plan-dist-upgrade.txt"))
    printed = text("apt-2.7-ubuntu/plan-dist-upgrade.txt")
    expected = [line for line in printed.splitlines() if line.startswith("Inst ") and "noble-security" in line and "] (" in line]
    assert len(plan.security) == len(expected) > 0
    assert len(plan.security) < len(plan.upgrades)


def test_nothing_to_do_is_an_empty_plan() -> None:
    for release in RELEASES:
        path = DATA / release / "nothing-to-do-plan.txt"
        if path.exists():
            assert parse_plan(path.read_text()).steps == ()


def test_removals_are_told_as_removals() -> None:
    for release in RELEASES:
        path = DATA / release / "plan-remove.txt"
        if path.exists():
            assert parse_plan(path.read_text()).removals


def test_a_plan_that_is_not_understood_is_not_read_as_less() -> None:
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
        apt_text.is_trouble(prefix + junk)
        apt_text.is_stale_repository(prefix + junk)


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


def test_states_of_packages_are_told_apart() -> None:
    assert parse_inventory(text("apt-2.6/upgrade-failing-installed.txt"))["lab-fail"].broken
    assert any(package.broken for package in parse_inventory(text("apt-2.6/broken-installed.txt")).values())
    held = Installed("1.0", "hi ")
    assert held.held
    assert not held.broken
    assert not Installed("1.0", "rc ").present
    assert Installed("1.0", "iiR").broken
    assert not Installed("1.0", "it ").broken


def test_the_difference_of_two_inventories_is_every_change() -> None:
    before = {"a": Installed("1", "ii "), "b": Installed("1", "ii "), "c": Installed("1", "ii ")}
    after = {"a": Installed("2", "ii "), "c": Installed("1", "iF "), "d": Installed("1", "ii ")}
    assert compare_inventories(before, after) == (("a", "1", "2"), ("b", "1", ""), ("d", "", "1"))


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
    status = parse_status("pmstatus:man-db:80.0000:Running post-installation trigger man-db")
    assert status is not None
    assert (status.phase, status.percent) == ("triggers", 80)
    multi = parse_status("pmstatus:libc6:i386:50.5:Unpacking libc6 (i386)")
    assert multi is not None
    assert (multi.package, multi.percent) == ("libc6:i386", 50)


@pytest.mark.parametrize("release", ["apt-2.2", "apt-2.6", "apt-3.0"])  # 3.3 waits in silence
def test_who_holds_a_lock_is_told(release: str) -> None:
    locks = [lock for lock in map(parse_lock, text(f"{release}/lock-held-timeout.txt").splitlines()) if lock]
    assert locks
    assert {lock.name for lock in locks} == {"python3"}
    assert "waiting for python3 (process " in str(locks[0])
    lists = parse_lock(text(f"{release}/lock-lists-held.err").splitlines()[0])
    assert lists is not None
    assert lists.file == "/var/lib/apt/lists/lock"


@pytest.mark.parametrize(
    "path", sorted(path for path in DATA.glob("*/repo-*.err") if path.stem != "repo-malformed"), ids=lambda path: f"{path.parent.name}/{path.stem}"
)  # fmt: skip
def test_a_repository_that_could_not_be_refreshed_is_seen(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert any(apt_text.is_stale_repository(line) for line in lines)
    assert all(apt_text.is_trouble(line) for line in lines if line[:2] in ("E:", "W:"))


@pytest.mark.parametrize("release", RELEASES)
def test_a_good_refresh_shows_no_trouble(release: str) -> None:
    assert not any(apt_text.is_trouble(line) or apt_text.is_stale_repository(line) for line in text(f"{release}/refresh.txt").splitlines())


def test_lines_come_off_a_terminal_as_a_person_sees_them() -> None:
    seen: list[str] = []
    lines = Lines(seen.append)
    raw = (DATA / "apt-2.6/upgrade.pty").read_bytes()
    for start in range(0, len(raw), 7):
        lines.feed(raw[start : start + 7])
    lines.end()
    assert "6 upgraded, 1 newly installed, 0 to remove and 17 not upgraded." in seen
    assert any(line.startswith("(Reading database ... ") and "currently installed" in line for line in seen)
    assert not any("\x1b" in line or "\r" in line for line in seen)
