"""Assembles everything that measures this host and reports it to the hub. Most of Spider's modules are imported from here, so it is
loaded only after the session has begun."""

import os
import socket
import sys
from functools import partial
from typing import Callable, Coroutine, Dict, NamedTuple

from spider.clock import Clock
from spider.config import Config
from spider.hub.link import HubLink
from spider.hub.outbox import Outbox
from spider.packages.query_process import SeparateQuery
from spider.reports.event_queue import EventQueue
from spider.reports.event_reports import EventReports, Reporters, boot_events
from spider.reports.host_changes import HostChanges
from spider.reports.host_reports import HostReports
from spider.reports.looks import Looks
from spider.reports.node_log import LogSender
from spider.reports.package_sync import PackageSync
from spider.reports.table_reporter import Tables
from spider.reports.unit_journal import UnitJournal
from spider.sampling.collectors.boots import BootRecord, Boots
from spider.sampling.collectors.container_engines import Names
from spider.sampling.collectors.host import host_collectors, host_tables
from spider.sampling.collectors.host_look import HostLooks
from spider.sampling.collectors.listed_containers import ListedContainers
from spider.sampling.collectors.systemd_units import Starts
from spider.sampling.collectors.updates import Available, package_tables
from spider.sampling.exec_metrics import Programs
from spider.sampling.sampler import Sampler, phase_ms_of
from spider.sampling.statsd import Statsd
from spider.selfcare.bundle_receiver import Bundles, note_joined
from spider.wire.ids import from_text
from spider.wire.job_messages import Bundle
from spider.wire.report_messages import EventsStored, JournalRequest, LogAck, LookOrder, PackagesHeld
from spider.wire.sample_messages import Watch

ABOUT_PACKAGES = ("package_faults", "updates", "held", "repositories")
ABOUT_UNITS = ("services", "units")
"""Tables that the end of a job may change at once."""


class Measurement(NamedTuple):
    """The tasks that measure and report, not started yet, and the functions that the agent calls at certain moments."""

    tasks: Dict[str, Coroutine[None, None, None]]
    job_ended: Callable[[], None]
    """Call this when a job has ended, which may have changed anything."""
    record_end: Callable[[], None]
    """Call this at a normal end of the program (not a crash). It writes to the disk."""


def _connect_event_reports(config: Config, clock: Clock, link: HubLink, policy_owner: int, boot: BootRecord) -> EventReports:
    """Build the receiver of events from programs of this host, and connect it to the link."""
    queue = EventQueue(os.path.join(config.state_dir, "events"))
    reporters = Reporters(config.policy_path, policy_owner, clock)
    events = EventReports(config.events_path, queue, reporters, clock, link.send, partial(boot_events, boot))
    link.on_joined(events.joined)
    link.on_message(EventsStored, events.acknowledge)
    return events


def build_measurement(config: Config, clock: Clock, link: HubLink, outbox: Outbox, policy_owner: int) -> Measurement:
    """Build all components and connect them to the link; no task runs yet."""
    available = Available()
    manager = None if sys.platform == "darwin" else SeparateQuery()  # macOS has no package manager that Spider knows
    host_reports = HostReports(config, clock, link.send, policy_owner, manager, available, learned=lambda: tables.read_now(ABOUT_PACKAGES))
    link.on_joined(host_reports.joined)
    inventory = PackageSync(link.send, settled=host_reports.packages_changed)
    link.on_joined(inventory.joined)
    link.on_message(PackagesHeld, inventory.acknowledge)
    names = Names(listed=ListedContainers(config.launcher_path, config.policy_path, policy_owner))
    readers = host_collectors(clock, lambda: link.hub_time, names=names, sensors_refused=config.sensors_refused)
    collectors = [*readers, Programs(config.metrics_dir)]
    optional: Dict[str, Coroutine[None, None, None]] = {}
    if config.statsd:
        statsd = Statsd(config.statsd, clock)
        collectors.append(statsd)
        optional["statsd"] = statsd.run()
    boot = BootRecord(config.state_dir, config.boot)
    sampler = Sampler(collectors, clock, outbox.add, phase_ms_of(from_text(config.node)))
    tables = Tables([*host_tables(names=names), Boots(boot), *package_tables(available)], clock, link.send)
    link.on_joined(tables.joined)
    link.on_message(Watch, tables.watch)
    link.on_joined(partial(note_joined, config.state_dir))
    link.on_message(Bundle, Bundles(config.state_dir).receive_part)
    unit_journal = UnitJournal(config.policy_path, policy_owner, link.send)
    link.on_joined(unit_journal.joined)
    link.on_message(JournalRequest, unit_journal.request)
    looks = Looks(config.policy_path, policy_owner, clock, link.send, HostLooks().look)
    link.on_joined(looks.joined)
    link.on_message(LookOrder, looks.order)
    if config.events_path and hasattr(socket, "SO_PEERCRED"):  # without it (macOS), the kernel does not name the program that reports
        events = _connect_event_reports(config, clock, link, policy_owner, boot)
        optional["events"] = events.run()
        optional["changes"] = HostChanges(clock, HostLooks().look, Starts(), events.add).run()
    if config.journal:
        journal = LogSender(config.journal, clock, link.send)
        link.on_joined(journal.joined)
        link.on_message(LogAck, journal.acknowledge)
        optional["journal"] = journal.run()

    def job_ended() -> None:
        host_reports.job_ended()
        tables.read_now(ABOUT_UNITS)
        inventory.check_now()

    return Measurement(
        {
            "sampler": sampler.run(),
            "facts": host_reports.run(),
            "inventory": inventory.run(),
            "tables": tables.run(),
            "unit journal": unit_journal.run(),
            "looks": looks.run(),
            **optional,
        },
        job_ended,
        boot.end,
    )
