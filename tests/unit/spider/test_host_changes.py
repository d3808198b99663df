"""Changes that Spider finds between two looks at its host, and what it leaves out."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from spider.reports.event_queue import EventQueue, ReportedEvent
from spider.reports.event_reports import EventReports, Reporters
from spider.reports.host_changes import FIRST_S, LOOK_S, MOST_AN_HOUR, MOST_AT_ONCE, HostChanges
from spider.sampling.collectors.host_look import HostLook, Mounted, Units
from spider.sampling.collectors.systemd_units import Starts
from spider.wire.events import EVENT_ID, MEASURED
from spider.wire.report_messages import Events
from tests.support.background import cancelled
from tests.support.clock import ManualClock
from tests.support.eventually import eventually

SHOP, DATA = "shop.service", "/srv/data"


def a_look(
    failed: str = "", active: str = SHOP, ports: str = "", read_only: bool = False, oom_kills: int = 0, restarting: str = ""
) -> HostLook:
    """Args: names separated by spaces; ports by commas."""
    units = Units(failed.split(), restarting.split(), active.split(), {})
    return HostLook(units, sorted(filter(None, ports.split(","))), {DATA: Mounted(5, read_only)}, oom_kills, [])


class Host:
    """A host whose looks a test makes up."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.shows = a_look()
        self.told: list[ReportedEvent] = []
        self.links = folder / "run/systemd/units"
        self.links.mkdir(parents=True)
        self.starts(SHOP, "first")
        self.changes = HostChanges(self.clock, lambda _: self.shows, Starts(str(folder)), self.report, spent=lambda: 0.0)

    async def report(self, found: list[ReportedEvent]) -> None:
        self.told += found

    def starts(self, name: str, start: str) -> None:
        link = self.links / f"invocation:{name}"
        link.unlink(missing_ok=True)
        link.symlink_to(start)
        os.utime(link, (1_790_000_000, 1_790_000_000), follow_symlinks=False)

    def looks(self, *shown: HostLook) -> list[tuple[str, dict[str, object]]]:
        """Look once at each. Returns: what is new."""
        told: list[ReportedEvent] = []
        for self.shows in shown:
            look, started = self.changes._read()
            told += self.changes._within_limits(self.changes.compare(look, started))
            self.clock.advance(LOOK_S)
        return [(one.type, json.loads(one.details)) for one in told]


def test_a_unit_that_fails_and_runs_again_is_told_once_each(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert host.looks(a_look(failed="old.service run-u7.service"), a_look(failed="old.service")) == [], "the first look tells nothing"
    bad = a_look(failed=f"{SHOP} run-u8.service", active="")
    assert host.looks(bad, bad) == [("unit_failed", {"unit": SHOP})]
    assert host.looks(a_look(restarting=SHOP, active=""), bad) == [], "it tries to run again"
    host.starts(SHOP, "second")
    assert host.looks(a_look()) == [("unit_recovered", {"unit": SHOP})], "which is no restart of a service that ran"


def test_a_service_that_runs_with_another_process_was_restarted(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.looks(a_look())
    host.starts(SHOP, "second")
    host.starts("new.service", "first")
    host.starts("run-u9.service", "first")
    assert host.looks(a_look(active="")) == [], "it is not known yet whether it runs"
    running = a_look(active=f"{SHOP} new.service run-u9.service")
    look, started = running, list[str]()
    [(kind, details, at_ms)] = host.changes.compare(look, started)
    assert (kind, details, at_ms) == ("unit_restarted", {"unit": SHOP}, 1_790_000_000_000), "at the time of its start"
    assert host.looks(running) == []


def test_a_port_is_told_when_two_looks_agree(tmp_path: Path) -> None:
    host = Host(tmp_path)
    known = "tcp 22 ssh.service,tcp 80 shop.service"
    host.looks(a_look(ports=known))
    assert host.looks(a_look(ports="tcp 22 ssh.service"), a_look(ports=known)) == [], "its service was restarted"
    passing = a_look(ports=known + ",tcp 8080 python3,udp 68 dhclient.service,tcp 6010 session-4.scope")
    assert host.looks(passing, a_look(ports=known)) == []
    more = a_look(ports=known + ",tcp6 443 shop.service,udp 68 dhclient.service,tcp 6010 session-4.scope,tcp 5432 docker 0123456789ab")
    assert host.looks(more, more, more) == [
        ("listener_added", {"protocol": "tcp", "port": 5432, "process": "docker"}),
        ("listener_added", {"protocol": "tcp6", "port": 443, "process": SHOP}),
    ]
    anew = a_look(ports="tcp 22 ssh.service,tcp 5432 docker ba9876543210")
    assert host.looks(anew, anew, anew) == [
        ("listener_removed", {"protocol": "tcp", "port": 80, "process": SHOP}),
        ("listener_removed", {"protocol": "tcp6", "port": 443, "process": SHOP}),
    ]


def test_what_cannot_be_read_is_neither_gone_nor_new(tmp_path: Path) -> None:
    host = Host(tmp_path)
    whole = a_look(failed="old.service", ports="tcp 80 shop.service", read_only=True, oom_kills=4)
    host.looks(whole)
    blind = HostLook(None, None, None, -1, ["units"])
    assert host.looks(blind, blind, blind, whole, whole) == []
    assert host.looks(whole._replace(mounts={})) == []
    assert host.looks(whole) == [], "a file system that is mounted read-only has not become so"


def test_a_file_system_and_a_killed_process_are_told(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert host.looks(a_look(), a_look(read_only=True, oom_kills=3), a_look(read_only=True, oom_kills=3)) == [
        ("oom_killed", {"count": 3}),
        ("filesystem_readonly", {"mount": DATA}),
    ]


def test_floods_are_bounded_by_thing_and_by_look(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.looks(a_look())
    told = host.looks(*[a_look(failed=SHOP, active=""), a_look()] * 20)
    assert sorted(kind for kind, _ in told) == ["unit_failed"] * MOST_AN_HOUR + ["unit_recovered"] * MOST_AN_HOUR
    assert len(host.looks(a_look(failed=" ".join(f"unit-{number}.service" for number in range(100))))) == MOST_AT_ONCE
    host.clock.advance(3600)
    assert host.looks(a_look(), a_look(failed=SHOP, active="")) == [("unit_failed", {"unit": SHOP})]


async def test_changes_wait_for_the_hub_like_other_events_and_an_unreadable_look_ends_nothing(tmp_path: Path) -> None:
    host, sent = Host(tmp_path), list[Events]()

    async def send(message: object) -> None:
        assert isinstance(message, Events)
        sent.append(message)

    reports = EventReports(str(tmp_path / "no"), EventQueue(str(tmp_path / "queue")), Reporters("", 0, host.clock), host.clock, send)
    looks: list[HostLook | OSError] = [a_look(), OSError("no bus"), a_look(failed=SHOP, active="")]

    def look(_: float) -> HostLook:
        shown = looks.pop(0) if len(looks) > 1 else looks[0]
        if isinstance(shown, OSError):
            raise shown
        return shown

    changes = HostChanges(host.clock, look, Starts(str(tmp_path)), reports.add, spent=lambda: 0.0)
    tasks = [asyncio.create_task(reports.run()), asyncio.create_task(changes.run())]
    try:
        await host.clock.elapse(FIRST_S)
        for left in (2, 1):
            await eventually(lambda left=left: len(looks) <= left)  # type: ignore[misc]  # bound in this turn
            await host.clock.elapse(LOOK_S)
        await eventually(lambda: bool(sent))
    finally:
        await cancelled(*tasks)
    assert (sent[0].types, sent[0].details, EVENT_ID.match(sent[0].ids[0]) is not None) == (["unit_failed"], [f'{{"unit":"{SHOP}"}}'], True)
    assert set(json.loads(sent[0].details[0])) <= set(MEASURED["unit_failed"])
