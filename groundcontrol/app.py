"""The composition root: it creates, connects, starts and stops all parts of the hub. Only this file imports every implementation."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
import sys
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import uvloop
from aiohttp import web

from groundcontrol import local_api
from groundcontrol.access.passwords import Passwords
from groundcontrol.access.service import AuthService
from groundcontrol.access.store import OrganisationStore, UserStore
from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.adapters.sqlite.database import open_database
from groundcontrol.agents import socket as agents_socket
from groundcontrol.agents.handshake import AgentHandshake
from groundcontrol.agents.ingest import Ingest
from groundcontrol.agents.process_history import ProcessHistoryWriter
from groundcontrol.agents.registry import Registry
from groundcontrol.agents.store import HubInfo
from groundcontrol.config import Config
from groundcontrol.config_reader import read_config
from groundcontrol.core.database import Database
from groundcontrol.core.errors import ConfigError, StoreError, StoreFull, VaultError
from groundcontrol.core.forward_clock import ForwardClock
from groundcontrol.core.ids import HubId
from groundcontrol.core.steady_clock import SteadyClock
from groundcontrol.data_dir import PID_NAME, SOCKET_NAME, check_folders
from groundcontrol.deployments import invites_api as invites_http
from groundcontrol.deployments.install_script import Invitations, install_script
from groundcontrol.deployments.node_files import bundle_version
from groundcontrol.deployments.service import DeploymentService
from groundcontrol.events.refusals import Refusals
from groundcontrol.events.store import LogStore
from groundcontrol.housekeeping import Housekeeping
from groundcontrol.lan import fixed_addresses
from groundcontrol.lifecycle import (
    LoopLag,
    StopSignals,
    SystemdNotifier,
    apply_process_limits,
    malloc_trim,
    scrub_environment,
    set_switch_interval,
    tune_gc,
    tune_malloc,
)
from groundcontrol.metrics_export import MetricSources, export_metrics, export_metrics_of
from groundcontrol.nodes.interfaces import AgentBundle
from groundcontrol.nodes.locations import Locations
from groundcontrol.nodes.store import NodeStore
from groundcontrol.organisations import run_organisations
from groundcontrol.own_certificate import make_tls_end
from groundcontrol.samples.checker import reporter
from groundcontrol.samples.compactor import Compactor
from groundcontrol.samples.store import DamageReports, MetricStore
from groundcontrol.settings import SETTINGS
from groundcontrol.slices import EXPIRES, PER_ORG, PROVIDERS, SLICES, STARTS, TASKS
from groundcontrol.vault import KeyringStore, Vault, open_vault
from groundcontrol.web import health
from groundcontrol.web.costs import Costs
from groundcontrol.web.cursors import Cursors
from groundcontrol.web.local_socket import listen
from groundcontrol.web.server import GATE, LIVE, build_app, make_runner
from groundcontrol.web.services import Services, provide
from groundcontrol.web.tls_listener import TlsListener
from majortom.build.bundle import BundleError, read_bundle
from spider.clock import Clock, SystemClock
from spider.logs import event, set_up
from spider.version import VERSION
from spider.wire.ids import new_time_id

log = logging.getLogger(__name__)

EXIT_OK: Final = 0
EXIT_SOFTWARE: Final = 70
EXIT_RETRY: Final = 75
"""Exit status after a database failure. A new process may succeed."""
EXIT_CONFIG: Final = 78
BACKLOG: Final = 1024
DRAIN_LIMIT_S: Final = 8.0
"""Time limit of closing connections and committing received data. With the rest, a stop takes less than ten seconds."""
FLUSH_LIMIT_S: Final = 3.0
WEB_LIMIT_S: Final = 3.0
HEADS_LIMIT_S: Final = 0.5
REFUSALS_LIMIT_S: Final = 1.0
END_LIMIT_S: Final = 9.5
"""How long after the signal the hub stops waiting for a hanging disk."""


class Site(Protocol):
    """A listener for clients."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class _Stop(Exception):
    """Ends the task group after a stop signal."""


@dataclass
class Components:
    """The parts that the hub starts and stops in order."""

    config: Config
    services: Services
    housekeeping: Housekeeping
    compactor: Compactor
    runner: web.AppRunner
    tls: ssl.SSLContext | None
    """None: the hub does not terminate TLS itself."""


def serve(environ: MutableMapping[str, str], argv: Sequence[str], complain: Callable[[str, str], None]) -> int:
    """Run the hub until a stop signal.

    Args:    complain: prints an error code and its text on the console, whatever the format of the log is.
    Returns: the exit status. 0: stopped. 70: an unexpected error. 75: the database failed. 78: the settings are wrong.
    """
    apply_process_limits()
    tune_malloc()
    set_switch_interval()
    try:
        config = read_config(environ, argv)
        set_up(style=config.log_format)
        scrub_environment(item.env for item in SETTINGS if item.kind == "secret")
        check_folders(config.data_dir, config.control_db.parent, volatile=config.allow_volatile)
        if config.lan is not None:
            config = config.with_lan(fixed_addresses(config.data_dir, config.lan))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(config, SystemdNotifier(environ.get("NOTIFY_SOCKET"), environ.get("WATCHDOG_USEC"))))
    except ConfigError as exc:
        complain("config.invalid", str(exc))
        return EXIT_CONFIG
    except StoreError as exc:
        complain(exc.code, f"the database cannot be used now: {exc.message}")
        return EXIT_RETRY
    except Exception:  # the boundary of the process: an error that no task handled ends it, and is logged
        event(log, "hub_failed", logging.CRITICAL, exc_info=True)
        return EXIT_SOFTWARE


async def _run(config: Config, notifier: SystemdNotifier) -> int:
    clock = SystemClock()
    listener = _bind(config)
    config = config.on_port(listener.getsockname()[1])
    pid, control = config.data_dir / PID_NAME, config.data_dir / SOCKET_NAME

    def remove_files() -> None:
        for path in (pid, control):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    with contextlib.closing(listener):
        keys = _Keys(config)
        database: Database = await open_database(config.data_dir, clock=clock, control=config.control_db, meanwhile=keys.unlock)
        status, signals = EXIT_RETRY, None
        try:
            _write_pid(pid)
            signals = StopSignals(remove_files)
            parts = await _compose(config, clock, database, keys.opened, notifier)
            try:
                status = await _serve(parts, listener, notifier, signals)
            finally:
                parts.services.auth.close()
        finally:
            closed = await database.close(END_LIMIT_S if signals is None else signals.left_s(END_LIMIT_S))
            remove_files()
            if not closed:
                event(log, "database_left", logging.WARNING, means="its disk does not answer; what was acknowledged is stored")
                os._exit(status)  # the interpreter would wait for the thread that hangs on the disk
    return status


def _write_pid(path: Path) -> None:
    try:
        path.write_text(f"{os.getpid()}\n")
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull("no space is left in the data folder") from exc
        raise ConfigError(f"{path} cannot be written: {exc.strerror}") from exc


def _bind(config: Config) -> socket.socket:
    """Bind the port before the hub changes any file."""
    family = socket.AF_INET6 if ":" in config.bind else socket.AF_INET
    with contextlib.ExitStack() as on_failure:
        try:
            listener = on_failure.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)
            listener.bind((config.bind, config.port))
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                raise ConfigError(f"port {config.port} on {config.bind} is taken by another program: choose one with --port") from exc
            raise ConfigError(f"the hub cannot listen on {config.bind} port {config.port}: {exc.strerror}") from exc
        on_failure.pop_all()
    return listener


class _Keys:
    """Opens the vault. It runs while the samples database is checked: that needs the disk, and the key derivation a second of processor time."""

    opened: Vault

    def __init__(self, config: Config) -> None:
        self._config = config

    async def unlock(self, store: KeyringStore) -> None:
        try:
            self.opened = await open_vault(self._config.secret.reveal(), store)
        except VaultError as exc:
            raise ConfigError(f"the vault in {self._config.control_db} does not open: {exc.message}") from exc


async def _compose(config: Config, clock: Clock, database: Database, vault: Vault, notifier: SystemdNotifier) -> Components:
    hub = HubId(new_time_id(clock.now()))
    store = await database.store(audit_key=vault.audit_key, chain=hub, earlier_audit_keys=vault.earlier_audit_keys)
    bus = LocalBus()
    database.publish_to(bus.publish)
    refusals = Refusals(store[LogStore], clock)
    config, tls = await _end_tls(config, vault, clock)
    auth = AuthService(
        store=store, bus=bus, clock=clock, refusals=refusals, sealer=vault, jwt_key=vault.jwt_key, pepper=vault.pepper,
        passwords=Passwords(vault.pepper), issuer=vault.fleet_id, least_totp=config.require_totp,
        always_setup_code=config.lan is not None,
    )  # fmt: skip
    try:  # before the setup code is printed, which is shown once
        bundle = await asyncio.to_thread(read_bundle, config.agent_bundle)
        text = await asyncio.to_thread(install_script)
    except BundleError as exc:
        raise ConfigError(str(exc)) from exc
    code = await auth.first_log_in.create_admin(config.admin_user, None if config.admin_pass is None else config.admin_pass.reveal())
    if code is not None:
        _print_first_login(config, code)
    if behind := await auth.clock_guard.compare_at_start():
        print_notice(f"this machine's clock is {behind / 3600:.1f} hours behind the newest row of the audit log: nobody can log in")
        print_notice("set the clock right; or, if it is right now and was wrong before: stardust clock accept")
    invites = Invitations(urls=config.node_urls, fleet_id=vault.fleet_id, fleet_key=vault.fleet_key, tls_pin=config.tls_pin, script=text)
    lag, forward_clock = LoopLag(notifier), ForwardClock(clock, await database.latest())
    services = Services(
        config=config, clock=clock, bus=bus, auth=auth, refusals=refusals, hub_id=hub, build=VERSION, costs=Costs(clock), stores=store,
        providers=(
            *PROVIDERS,
            provide(Config)(lambda _: config),
            provide(Vault)(lambda _: vault),
            provide(Cursors)(lambda _: Cursors(vault.jwt_key)),
            provide(Locations)(lambda _: Locations(config.locations)),
            provide(AgentBundle)(lambda _: AgentBundle(bundle_version(bundle), bundle)),
            provide(ForwardClock)(lambda _: forward_clock),
            provide(Invitations)(lambda _: invites),
            provide(LoopLag)(lambda _: lag),
        ),
        per_org=PER_ORG,
    )  # fmt: skip
    for service in STARTS:
        await services[service].start()
    steady = services[SteadyClock]
    steady.start(await database.last_probe())
    registry, handshake = services[Registry], services[AgentHandshake]
    facts = HubInfo(hub, config.node_url, VERSION)
    housekeeping = Housekeeping(
        store, clock, facts, EXPIRES, retention=config.retention, broken=lambda: database.broken, trouble=lambda: database.trouble,
        probe=database.probe, steady=steady, shrink=lambda: _shrink(database),
        clock_disagrees=registry.clock_disagrees, forward_clock=forward_clock.now,
    )  # fmt: skip
    compactor = Compactor(
        store[MetricStore],
        clock,
        housekeeping.may_compact,
        store[NodeStore].id_by_number,
        report=reporter(store[NodeStore], services[DamageReports]),
    )
    app = build_app(services, SLICES, routes=local_api.routes(vault.fleet_id, vault.fleet_key, handshake.stop_adopting))
    runner = make_runner(app)
    counting = MetricSources(
        services, compactor, app[LIVE], runner, lambda: database.stats, lambda: bus.dropped, lambda: database.trouble is not None
    )
    health_sources = health.HealthSources(
        store[UserStore], store[OrganisationStore], lambda: _trouble(handshake, database), lambda: export_metrics(counting),
        lambda org: export_metrics_of(services, org),
    )  # fmt: skip
    app.add_routes(
        [
            web.get("/ws", agents_socket.handler(handshake, config.trusted_proxies)),
            web.get("/install.sh", invites_http.script(services)),
            web.get("/healthz", health.healthz(health_sources)),
            web.get("/metrics", health.metrics(health_sources, app[GATE], config.metrics_token)),
        ]
    )
    return Components(config, services, housekeeping, compactor, runner, tls)


async def _end_tls(config: Config, vault: Vault, clock: Clock) -> tuple[Config, ssl.SSLContext | None]:
    """Load the hub's own certificate with `--lan`; without it, return the configuration unchanged."""
    if config.lan is None:
        return config, None
    tls = await asyncio.to_thread(make_tls_end, config, vault.fleet_key, clock.now())
    for line in tls.notices:
        print_notice(line)
    return tls.config, tls.context


def _print_first_login(config: Config, code: str) -> None:
    print_notice(f"first start: log in as {config.admin_user} with the first password and choose a new one")
    where = " from a public address, or where no named proxy says from which" if config.lan is None else ""
    print_notice(f"setup code, needed to do that{where} (shown once): {code}")


async def _shrink(database: Database) -> None:
    await database.shrink()
    await asyncio.to_thread(malloc_trim)


async def _serve(parts: Components, listener: socket.socket, notifier: SystemdNotifier, signals: StopSignals) -> int:
    """Run all tasks until a stop signal or an error. Returns the exit status."""
    status = EXIT_OK
    try:
        async with asyncio.TaskGroup() as group:
            for name, work in (
                ("refusals", parts.services.refusals.run()),
                ("janitor", parts.housekeeping.run()),
                ("compactor", parts.compactor.run()),
                ("lag", parts.services[LoopLag].run()),
                ("live", parts.runner.app[LIVE].run()),
                ("organisations", run_organisations(parts.services, [task for task in TASKS if task in PER_ORG])),
                *((task.__name__, parts.services[task].run()) for task in TASKS if task not in PER_ORG),
            ):
                group.create_task(work, name=name)
            await parts.runner.setup()
            control = await asyncio.to_thread(listen, parts.config.data_dir / SOCKET_NAME)
            sites = [web.SockSite(parts.runner, control), _network(parts, listener, group)]
            for site in sites:
                await site.start()
            tune_gc()
            notifier.notify("READY=1")
            event(
                log, "hub_ready", page=parts.config.origin, port=parts.config.port, bind=parts.config.bind, nodes=parts.config.node_url,
                data=str(parts.config.data_dir),
            )  # fmt: skip
            if not parts.config.direct and not parts.config.trusted_proxies:
                event(
                    log,
                    "no_proxy_named",
                    logging.WARNING,
                    setting="STARDUST_TRUSTED_PROXIES",
                    means="everybody seems to come from one address",
                )
            await signals.requested.wait()
            notifier.notify("STOPPING=1")
            await _drain(parts, sites)
            raise _Stop
    except* _Stop:
        with contextlib.suppress(StoreError, TimeoutError):  # the next start logs them as well
            async with asyncio.timeout(HEADS_LIMIT_S):
                await parts.housekeeping.log_chain_heads()
        event(log, "hub_stopped")
    except* StoreError as failed:
        event(log, "hub_gave_up", logging.CRITICAL, why=str(failed.exceptions[0]))
        status = EXIT_RETRY
    return status


def _network(parts: Components, listener: socket.socket, group: asyncio.TaskGroup) -> Site:
    """The listener for connections from the network."""
    if parts.tls is None:
        return web.SockSite(parts.runner, listener, backlog=BACKLOG)
    assert parts.runner.server is not None  # it is set up
    tls = TlsListener(listener, parts.tls, parts.runner.server, parts.config.origin, BACKLOG)
    group.create_task(tls.run(), name="tls")
    return tls


async def _drain(parts: Components, sites: Sequence[Site]) -> None:
    """Refuse new connections, close the existing ones, and commit all received data."""
    parts.services[AgentHandshake].draining = True
    try:
        async with asyncio.timeout(DRAIN_LIMIT_S):
            for site in sites:
                await site.stop()
            await asyncio.gather(parts.services[DeploymentService].close(), _drain_agents(parts))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WEB_LIMIT_S):
                    await parts.runner.cleanup()
    except TimeoutError:
        event(log, "drain_cut_short", logging.WARNING)


async def _drain_agents(parts: Components) -> None:
    registry = parts.services[Registry]
    await registry.drain()
    if not await parts.services[Ingest].flush(FLUSH_LIMIT_S):
        event(log, "drain_unflushed", logging.WARNING)  # never acknowledged, so the nodes still have it
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FLUSH_LIMIT_S):
            await parts.services[ProcessHistoryWriter].flush()
    await registry.events.close(FLUSH_LIMIT_S)
    await parts.services.refusals.close(REFUSALS_LIMIT_S)


def _trouble(handshake: AgentHandshake, database: Database) -> str:
    if handshake.draining:
        return "draining"
    trouble: StoreError | None = database.trouble
    return "" if trouble is None else trouble.code


def print_notice(line: str) -> None:
    print(f"stardust: {line}", file=sys.stderr, flush=True)  # noqa: T201  # for the console, never for a log collector
