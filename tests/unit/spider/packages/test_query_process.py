"""Querying the package manager in a separate process. `tests/e2e/test_run_script.py` compares it with a real one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from spider.packages.detect import answer
from spider.packages.interfaces import PackageCondition, PackageManager, PackagesUnreadable
from spider.packages.plan import Planned
from spider.packages.query_process import SeparateQuery
from spider.wire.report_messages import Updates
from tests.support.eventually import wait_until


class Manager:
    """One that need not compute anything."""

    newer = (Planned("curl", "8.1", "8.2", "yes", "Debian-Security"), Planned("libfoo:i386", "", "1.0"))

    def __init__(self, *, unreadable: str = "", held_unreadable: str = "") -> None:
        self._unreadable = unreadable
        self._held_unreadable = held_unreadable

    def available_updates(self) -> Updates:
        if self._unreadable:
            raise PackagesUnreadable(self._unreadable)
        return Updates(2, 1, 1_790_000_000_000)

    def condition(self) -> PackageCondition:
        return PackageCondition([("curl", "incomplete")], [("Debian-Security", 1_790_000_000.0, "current")])

    def held(self) -> list[tuple[str, str, str]]:
        if self._held_unreadable:
            raise PackagesUnreadable(self._held_unreadable)
        return [("linux-image", "6.1", "held"), ("vim", "9", "phased")]


class Printed(SeparateQuery):
    """Reads what the other process prints."""

    def __init__(self, manager: Manager) -> None:
        super().__init__()
        self._manager = cast("PackageManager", manager)

    def _run_query(self) -> Any:
        return json.loads(json.dumps(answer(self._manager)))


def test_the_query_process_returns_the_managers_answers() -> None:
    apart, manager = Printed(Manager()), Manager()
    assert apart.available_updates() == manager.available_updates()
    assert list(apart.newer) == list(manager.newer)
    assert list(apart.held()) == manager.held()
    assert json.loads(json.dumps(manager.condition())) == list(apart.condition())


def test_unreadable_lists_are_reported_with_the_managers_message() -> None:
    with pytest.raises(PackagesUnreadable, match="the lists are damaged"):
        (damaged := Printed(Manager(unreadable="the lists are damaged"))).available_updates()
    assert [tuple(fault) for fault in damaged.condition().faults or ()] == [("curl", "incomplete")]
    apart = Printed(Manager(held_unreadable="no selections"))
    assert apart.available_updates() == Updates(2, 1, 1_790_000_000_000)
    with pytest.raises(PackagesUnreadable, match="no selections"):
        apart.held()


def test_a_manager_that_does_not_answer_in_time_is_no_host_without_updates() -> None:
    with pytest.raises(PackagesUnreadable, match="within 0 s"):
        SeparateQuery(0.0).available_updates()


@pytest.mark.holds("F-18")
def test_a_query_over_its_time_leaves_no_program_behind(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    program = f"import subprocess; subprocess.run(['/bin/sh', '-c', 'echo $$ >{pid}; exec sleep 60'])"
    with pytest.raises(PackagesUnreadable, match="within 2 s"):
        SeparateQuery(2.0, program).available_updates()
    stat = Path(f"/proc/{pid.read_text().strip()}/stat")
    wait_until(lambda: not stat.exists() or ") Z " in stat.read_text(), what="the program is killed")


def test_a_host_without_a_manager_is_reported_as_such() -> None:
    assert answer(None) is None
