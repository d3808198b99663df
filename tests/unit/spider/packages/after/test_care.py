"""A failing check after a job affects neither the job nor the other checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.packages.after.post_checks import PostJobChecks, read_host
from spider.packages.detect import BACKENDS


def care(root: Path, manager: str = "pacman") -> PostJobChecks:
    (root / "var/lib/stardust/jobs").mkdir(parents=True, exist_ok=True)
    (root / "etc").mkdir(exist_ok=True)
    return PostJobChecks(manager, str(root), str(root / "var/lib/stardust/jobs"))


@pytest.mark.parametrize("manager", BACKENDS)
def test_new_leftovers_are_listed_and_earlier_ones_are_a_note(tmp_path: Path, manager: str) -> None:
    looked = care(tmp_path, manager)
    (tmp_path / "etc/old.conf.rpmsave").write_text("x\n")
    looked.begin()
    (tmp_path / "etc/a.conf").write_text("a\n")
    (tmp_path / "etc/a.conf.rpmnew").write_text("b\n")
    report = looked.report(("yes", "glibc was updated"), [])
    assert (report.reboot, report.reboot_why) == ("yes", "glibc was updated")
    assert [leftover.path for leftover in report.leftovers] == ["/etc/a.conf.rpmnew"]
    assert "New configuration files from earlier upgrades, not applied: /etc/old.conf.rpmsave." in report.notes
    assert report.failed_units == ()


def test_a_failed_check_costs_only_its_part_of_the_report(tmp_path: Path) -> None:
    looked = care(tmp_path)
    looked.begin()
    (tmp_path / "var/lib/stardust/jobs/.reboot.tmp").mkdir()  # what was said cannot be kept
    (tmp_path / "etc/a.conf.pacnew").write_text("b\n")
    report = looked.report(("no", ""), [])
    assert (report.reboot, report.reboot_why) == ("unknown", "the check failed; the node's log says why")
    assert [leftover.path for leftover in report.leftovers] == ["/etc/a.conf.pacnew"]
    assert "Some checks after the job failed; the node's log says why." in report.notes


def test_an_empty_host_has_a_report_too(tmp_path: Path) -> None:
    looked = PostJobChecks("apt", str(tmp_path), str(tmp_path / "nowhere"))
    looked.begin()
    report = looked.report(("unknown", ""), [("a", "1", "2")])
    assert report.reboot == "unknown"
    assert report.leftovers == ()


def test_this_host_reports_its_kernel_and_boot() -> None:
    host = read_host("apt")
    assert host.kernel
    assert len(host.boot) == 32
    assert host.booted_at > 1e9
