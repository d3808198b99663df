"""The hub of the tests, with faults: `python -m tests.support.hub_program [--fault NAME[=VALUE]]… serve --data-dir … …`.

Each hub and each command makes keyrings with one round, and hashes passwords in microseconds. With the usual cost, keys and passwords
take most of the processor time of a start, and the tests start hundreds of hubs. The keyring records the rounds, so later starts use the
same number.

A forked hub copies new databases from the fork server, because migrations take a third of a first start. Hubs that are not forked run the
migrations.

A test and a fault communicate through the file `DATA_DIR.NAME`, and through SIGUSR1 where the table says so.
"""

from __future__ import annotations

import asyncio
import collections
import ctypes
import gc
import json
import signal
import sqlite3
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

from aiohttp.web import UrlDispatcher

from groundcontrol import app, vault
from groundcontrol.access.passwords import Passwords
from groundcontrol.adapters.sqlite import database as database_module
from groundcontrol.adapters.sqlite.admin.migrate import CONTROL, SAMPLES, Kind
from groundcontrol.adapters.sqlite.control_store import SERVED
from groundcontrol.adapters.sqlite.database import Database, open_database
from groundcontrol.adapters.sqlite.engine.organisation import act_for_owners
from groundcontrol.adapters.sqlite.engine.reader import POOL_SIZE
from groundcontrol.adapters.sqlite.engine.tx import Rows
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.agents.registry import Registry
from groundcontrol.cli import main as cli
from groundcontrol.cli import recovery, restore, rotate_secret
from groundcontrol.core import failpoints
from groundcontrol.rollouts.facts import RolloutFacts
from groundcontrol.slices import ROUTES
from groundcontrol.web import openapi
from groundcontrol.web.live.hub import LiveHub
from groundcontrol.web.routes import ROOT
from groundcontrol.web.static import BuiltPage
from spider.clock import SystemClock
from tests.support.hub_faults import fault_file
from tests.support.kept_stores import new_file
from tests.support.quick_hasher import QUICK_HASHER

OnSignal = Callable[[], None]
"""Runs in the main thread at each SIGUSR1."""

ENDLESS_QUERY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
POLL_S = 0.05
CLONE_NEWNET = 0x40000000
BLOCKS = "blocks"
"""Allocated blocks of any type, including strings, numbers and bytes, which the collector does not track."""
COLLECT_AFTER, SWITCH_US = "collect after", "switch us"
"""Settings of the interpreter."""


def _replace(owner: object, name: str, value: object) -> None:
    setattr(owner, name, value)  # the names are not public: mypy and ruff would refuse a plain assignment


def _clock(file: Path, _value: str) -> OnSignal:
    """The wall clock is wrong by the seconds in the file, read at the start and at SIGUSR1. The monotonic clock is right."""
    wrong_by_s = 0.0

    class WrongClock(SystemClock):
        def now(self) -> float:
            return super().now() + wrong_by_s

    def read() -> None:
        nonlocal wrong_by_s
        if file.exists():
            wrong_by_s = float(file.read_text())
            file.unlink()

    read()
    _replace(app, "SystemClock", WrongClock)
    return read


def _time(file: Path, _value: str) -> OnSignal:
    """At SIGUSR1 the seconds in the file have passed, by the wall clock and by the monotonic clock."""
    passed_s = 0.0

    class LaterClock(SystemClock):
        def now(self) -> float:
            return super().now() + passed_s

        def monotonic(self) -> float:
            return super().monotonic() + passed_s

    def read() -> None:
        nonlocal passed_s
        if file.exists():
            passed_s += float(file.read_text())
            file.unlink()

    read()
    _replace(app, "SystemClock", LaterClock)
    return read


def _network(_file: Path, value: str) -> None:
    """The hub runs in the network namespace of the process VALUE."""
    with open(f"/proc/{value}/ns/net", "rb") as there:
        if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "the network cannot be entered")


def _frozen_clock(_file: Path, value: str) -> None:
    """The wall clock always shows VALUE, in Unix seconds. The monotonic clock goes on."""
    at = float(value)

    class FrozenClock(SystemClock):
        def now(self) -> float:
            return at

    _replace(app, "SystemClock", FrozenClock)


def _reconnect(_file: Path, value: str) -> None:
    """A node that was online before this hub may come back for VALUE seconds until it is offline."""
    _replace(Registry, "__init__", partialmethod(Registry.__init__, reconnect_s=float(value)))


def _killable(file: Path, _value: str) -> OnSignal:
    """SIGUSR1 arms the failpoint that the file names (name and count), and removes the file."""

    def arm() -> None:
        if file.exists():
            name, after = file.read_text().split()
            failpoints.arm(name, int(after))
            file.unlink()

    return arm


def _killed_at(_file: Path, value: str) -> None:
    """The process is killed when it reaches the failpoint VALUE for the first time."""
    failpoints.arm(value, 1)


def _busy_readers(file: Path, _value: str) -> OnSignal:
    """SIGUSR1 makes every reading connection busy for ever. The file appears when all are busy.

    In the control database a statement never ends; in the database of samples, Python code between two statements never ends.
    """
    begun = threading.Barrier(2 * POOL_SIZE, file.touch)
    opened: list[tuple[Database, asyncio.AbstractEventLoop]] = []
    queries: list[asyncio.Task[Any]] = []

    def read_endlessly(rows: Rows) -> int:
        begun.wait()
        return len(rows.fetch_all(ENDLESS_QUERY))

    def wait_endlessly(rows: Rows) -> None:
        rows.fetch_one("SELECT 1 FROM fence")
        begun.wait()
        threading.Event().wait()

    async def open_and_keep(*args: Any, **options: Any) -> Database:
        database = await open_database(*args, **options)
        opened.append((database, asyncio.get_running_loop()))
        return database

    def query(database: Database) -> None:
        for _ in range(POOL_SIZE):
            queries.append(asyncio.create_task(database._control.reader.run(read_endlessly)))
            queries.append(asyncio.create_task(database._samples.reader.run(wait_endlessly)))

    def make_busy() -> None:
        for database, loop in opened:
            loop.call_soon_threadsafe(query, database)

    _replace(app, "open_database", open_and_keep)
    return make_busy


def _stalled_disk(file: Path, _value: str) -> None:
    """While the file exists, writes neither end nor fail.

    A process that waits for a real stalled disk cannot be killed. So the writing threads wait before they reach the disk.
    """
    write: Callable[..., Any] = getattr(Writer, "_transact")  # noqa: B009  # not public

    def stalled(self: Writer, db: sqlite3.Connection, commands: list[Any]) -> Any:
        while file.exists():
            time.sleep(POLL_S)
        return write(self, db, commands)

    _replace(Writer, "_transact", stalled)


def _object_count(file: Path, _value: str) -> OnSignal:
    """SIGUSR1 counts the objects of the process by type. The file appears complete."""

    def count() -> None:
        for _ in range(3):
            gc.collect()
        found = collections.Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
        found["threads"] = threading.active_count()
        found[BLOCKS] = sys.getallocatedblocks()
        found[COLLECT_AFTER], found[SWITCH_US] = gc.get_threshold()[0], round(sys.getswitchinterval() * 1e6)
        partial_file = file.with_suffix(".part")
        partial_file.write_text(json.dumps(found))
        partial_file.rename(file)

    return count


def _no_revocations(file: Path, _value: str) -> None:
    """The task that ends revoked live pages fails as soon as the file exists."""

    async def fail(_live: LiveHub) -> None:
        while not file.exists():  # noqa: ASYNC110, ASYNC240  # another process creates it
            await asyncio.sleep(POLL_S)
        raise RuntimeError("the task for revocations failed")

    _replace(LiveHub, "_revocations", fail)


def _usual_passwords(_file: Path, _value: str) -> None:
    """No fault: passwords cost what they cost in a user's hub."""
    _replace(app, "Passwords", Passwords)


def _quick_watch(_file: Path, value: str) -> None:
    """Roll-outs watch their nodes for this share of the time."""
    _replace(RolloutFacts, "__init__", partialmethod(RolloutFacts.__init__, watch_scale=float(value)))


FAULTS: dict[str, Callable[[Path, str], OnSignal | None]] = {
    "clock": _clock,
    "time": _time,
    "frozen-clock": _frozen_clock,
    "network": _network,
    "reconnect": _reconnect,
    "killable": _killable,
    "killed-at": _killed_at,
    "busy-readers": _busy_readers,
    "stalled-disk": _stalled_disk,
    "object-count": _object_count,
    "no-revocations": _no_revocations,
    "usual-passwords": _usual_passwords,
    "quick-watch": _quick_watch,
}


def warm_up() -> None:
    """Do once what each hub of this process's children would do alike."""
    openapi.encode(ROUTES)
    paths = UrlDispatcher()
    for route in ROUTES:
        paths.add_resource(ROOT + route.path)  # `re` keeps the compiled patterns
    for served in SERVED.values():
        act_for_owners(served.made)
    page = BuiltPage.load()
    _replace(BuiltPage, "load", lambda: page)
    for kind in (CONTROL, SAMPLES):
        new_file(kind)


def _copy_new_file(path: Path, kind: Kind) -> None:
    path.write_bytes(new_file(kind))


def _install(faults: Sequence[str], data_dir: Path) -> None:
    handlers: list[OnSignal] = []
    for fault in faults:
        name, _, value = fault.partition("=")
        handler = FAULTS[name](fault_file(data_dir, name), value)
        if handler is not None:
            handlers.append(handler)

    def handle(*_: object) -> None:
        for handler in handlers:
            handler()

    if handlers:
        signal.signal(signal.SIGUSR1, handle)


def main(argv: Sequence[str]) -> int:
    """Install the faults, then run the `stardust` command. Every change of the product's modules happens here."""
    words, faults = list(argv), []
    while words[:1] == ["--fault"]:
        faults.append(words[1])
        words = words[2:]
    warnings.filterwarnings("ignore", message="Warning: bcrypt.kdf", category=UserWarning)
    _replace(vault, "LEAST_ROUNDS", 1)
    _replace(app, "Passwords", partial(Passwords, hasher=QUICK_HASHER))
    _replace(app, "open_vault", partial(vault.open_vault, rounds=1))
    for module in (rotate_secret, restore):
        _replace(module, "prepare_rotation", partial(vault.prepare_rotation, rounds=1))
    _replace(recovery, "create_keyring", partial(vault.create_keyring, rounds=1))
    if new_file.cache_info().currsize:
        _replace(database_module, "make_database", _copy_new_file)
    if faults:
        _install(faults, Path(words[words.index("--data-dir") + 1]))
    return cli.main(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
