"""The outcome of apt-get from its status and output, from recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.packages.apt.backend import Apt
from spider.packages.apt.plan import plan_of
from spider.packages.backend import Failure, PackageError
from spider.packages.plan import InstalledPackage
from spider.root.terminal import TerminalEnded
from tests.support.null_console import NullConsole
from tests.support.some import some

DATA = Path(__file__).with_name("data")


def failure(verb: str, rc: int, *lines: str) -> Failure | None:
    reader = Apt().reader(verb, NullConsole())
    for line in lines:
        reader.line(line)
    return Apt().failure(verb, TerminalEnded(rc, 0, ""), reader)


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("apt-2.6/lock-held-timeout.err", "job.lock_busy"),
        ("apt-2.6/held-package.err", "job.package_held"),
        ("apt-2.6/no-space.err", "job.no_space"),
        ("apt-2.6/unknown-package.err", "job.package_manager"),
        ("apt-2.6/repo-dead-strict.err", "job.fetch_failed"),
        ("apt-2.6/upgrade-failing-scriptlet.txt", "job.script_failed"),
    ],
)
def test_messages_of_apt_map_to_error_codes(file: str, code: str) -> None:
    found = some(failure("upgrade", 100, *(DATA / file).read_text().splitlines()))
    assert (found.code, found.text) == (code, "apt-get ended with status 100")


def test_a_package_is_kept_back_even_if_a_full_upgrade_has_no_plan(tmp_path: Path) -> None:
    script = 'case "$*" in *dist-upgrade*) echo "E: Unable to correct problems" >&2; exit 100; esac'
    for name, more in (("apt-get", "printf 'The following packages have been kept back:\n  app\n'"), ("apt-cache", "")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n{more}\n")
        (tmp_path / name).chmod(0o755)
    plan = plan_of("upgrade", (), {"app": InstalledPackage("1")}, {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert plan.kept == (("app", "", "unresolvable"),)


def test_a_count_of_updates_names_what_is_phased_also_where_apt_only_calls_it_kept_back(tmp_path: Path) -> None:
    for name, printed in (("apt-get", "plan-upgrade-phased.txt"), ("apt-cache", "policy-phased.txt")):
        (tmp_path / name).write_text(f"#!/bin/sh\ncat {DATA / 'apt-2.6' / printed}\n")
        (tmp_path / name).chmod(0o755)
    plan = plan_of("full-upgrade", (), {}, {"PATH": f"{tmp_path}:/usr/bin:/bin"}, counts_only=True)
    assert ([one.package for one in plan.upgrades], [tuple(one) for one in plan.kept]) == (["plain"], [("phased-one", "", "phased")])


def answering(folder: Path, printed: str, errors: str, rc: int) -> dict[str, str]:
    """The environment in which apt-get prints this recording."""
    for name in ("apt-get", "apt-cache"):
        (folder / name).write_text(f"#!/bin/sh\ncat {DATA / printed}\ncat {DATA / errors} >&2\nexit {rc}\n")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def test_a_plan_names_what_is_on_hold_where_apt_names_a_dependency(tmp_path: Path) -> None:
    inventory = {"held-one": InstalledPackage("1.0", held=True), "plain": InstalledPackage("1.0")}
    with pytest.raises(PackageError) as refused:
        plan_of("install", ("fresh",), inventory, answering(tmp_path, "apt-2.6/plan-needs-held.txt", "apt-2.6/plan-needs-held.err", 100))
    assert refused.value.code == "job.unmet_dependencies"
    assert refused.value.text.endswith("but 1.0 is to be installed · on hold on this node: held-one")


def test_apt_plans_to_change_a_held_package_that_is_named(tmp_path: Path) -> None:
    plan = plan_of("install", ("held-one", "plain"), {}, answering(tmp_path, "apt-2.6/plan-install-held.txt", "apt-2.6/policy.txt", 0))
    assert [(step.package, step.after) for step in plan.steps] == [("held-one", "2.0"), ("plain", "2.0")]


def test_an_upgrade_with_status_0_is_no_failure() -> None:
    assert failure("upgrade", 0, "W: Operation was interrupted before it could finish") is None


@pytest.mark.parametrize("release", ["apt-2.2", "apt-2.6", "apt-3.0", "apt-3.3"])
def test_a_dead_repository_fails_a_refresh_despite_status_0(release: str) -> None:
    lines = [*(DATA / release / "repo-dead.txt").read_text().splitlines(), *(DATA / release / "repo-dead.err").read_text().splitlines()]
    found = some(failure("refresh", 0, *lines))
    assert found.code == "job.repository_stale"


def test_failures_of_a_refresh_are_recognised() -> None:
    assert failure("refresh", 0) is None
    malformed = some(failure("refresh", 100, *(DATA / "apt-2.6/repo-malformed.err").read_text().splitlines()))
    assert malformed.code == "job.package_manager"
    locked = some(failure("refresh", 100, *(DATA / "apt-2.6/lock-lists-held.err").read_text().splitlines()))
    assert locked.code == "job.lock_busy"
    assert "waiting for" in locked.text
