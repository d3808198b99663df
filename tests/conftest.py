"""Which tests run here, and the checks after every test."""

from __future__ import annotations

import fcntl
import gc
import logging
import os
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import kept_stores
from tests.support import lab as labs
from tests.support.fork_server import FORK_SERVER

LONG_BYTES = 8
FOLDERS = ("unit", "fuzz", "contract", "e2e", "system", "browser")
"""Quick tests first: a mistake shows early. Browser tests last: their driver's event loop goes on until the process ends."""
LONGEST = (
    "test_checks", "test_packages_apt", "test_deploy", "test_packages_rpm", "test_owners_policy", "test_jobs_on_a_host", "test_launcher", "test_openrc", "test_packages_pacman",
    "test_wheel", "test_run_script", "test_backup", "test_attacks_log_in", "test_faults_crowd", "test_attacks_floods", "test_lift_off", "test_gates_axe", "test_every_step", "test_settings",
)  # fmt: skip
"""Files that take longest. They begin first in their folder, so that short ones are left for the end of a lane."""
SLOW = "slow: run with --slow"
GC_THRESHOLD = (20_000, 20, 20)
"""A test makes many objects and is soon over: the collector looks at them seldom, and after each file (`pytest_runtest_teardown`)."""

# How long an example takes says how busy the machine is, not whether it holds; a test as a whole has its time limit. The examples are others in
# each run, so few of them find in time what many do; --slow looks for longer.
settings.register_profile("patient", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("slow", settings.get_profile("patient"), max_examples=400)
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the long tests (full fault counts, soak)")


def pytest_configure(config: pytest.Config) -> None:
    """Take Ctrl-C as on a terminal: a shell starts what runs in the background with SIGINT ignored, and commands inherit that."""
    if config.getoption("--slow"):
        settings.load_profile("slow")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """One process of a checkout collects at a time, so that only the first one compiles the tests.

    Collected items live until the end: the garbage collector need not scan them again and again.
    """
    lock = os.open(session.config.rootpath, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    gc.disable()
    try:
        return (yield)
    finally:
        os.close(lock)
        gc.enable()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLD)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Collect what a file has left, and look at the rest no more: the heap of a long run would be walked again and again."""
    try:
        return (yield)
    finally:
        if nextitem is None or nextitem.path != item.path:
            gc.collect()
            gc.freeze()


def _is_unasked(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None and not item.config.getoption("--slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot run here, with the reason; in CI nothing is left out quietly."""
    no_lab = labs.unavailable()
    for item in items:
        if _is_unasked(item):
            item.add_marker(pytest.mark.skip(reason=SLOW))
        if item.get_closest_marker("system") and no_lab and not os.environ.get("CI"):
            item.add_marker(pytest.mark.skip(reason=no_lab))
    items.sort(key=_place)


def _place(item: pytest.Item) -> tuple[int, int]:
    folder, name = item.path.relative_to(item.config.rootpath / "tests").parts[0], item.path.stem
    return FOLDERS.index(folder) if folder in FOLDERS else -1, LONGEST.index(name) if name in LONGEST else len(LONGEST)


def pytest_sessionfinish() -> None:
    """End the process that starts hubs for this one."""
    FORK_SERVER.close()


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name long bytes by their length: what was compressed holds the second in which that was done, so that no two processes
    would agree on the name."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) and len(val) > LONG_BYTES else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI everything that a test needs is installed: only a slow test may be skipped."""
    report = yield
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    if os.environ.get("CI") and report.skipped and not (_is_unasked(item) and reason == f"Skipped: {SLOW}"):
        report.outcome, report.longrepr = "failed", f"skipped in CI: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In CI no file may skip itself."""
    report = yield
    if os.environ.get("CI") and report.skipped:
        report.outcome, report.longrepr = "failed", f"{collector.nodeid} is skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """The hub closes its umask when it starts; in this process that must not outlive its test."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    """A program that is started in this process sets its log up, for all of the process: what the next test logs is its own affair."""
    root, spider = logging.getLogger(), logging.getLogger("spider")
    levels, handlers = (root.level, spider.level), list(root.handlers)
    yield
    root.setLevel(levels[0])
    spider.setLevel(levels[1])
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)


@pytest.fixture(scope="session", autouse=True)
def opened_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests of this process use the same opened databases, one after the other."""
    with kept_stores.keeping(tmp_path_factory.mktemp("stores")):
        yield


@pytest.fixture
def disk_path() -> Iterator[Path]:
    """A folder on a disk. `tmp_path` may be in memory below /dev, where the hub keeps nothing and the agent measures nothing."""
    with tempfile.TemporaryDirectory(prefix="stardust-", dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def lab() -> Iterator[None]:
    """The hosts that tests have booted are stopped at the end."""
    yield
    labs.down()


@pytest.fixture(scope="module")
def lab_hosts(lab: None) -> Iterator[list[labs.Host]]:
    """Two Debian hosts, which all modules share. They are booted again if a module has stopped its lab."""
    reason = labs.unavailable()
    if reason:
        pytest.fail(f"this test needs lab hosts, and {reason}")
    hosts = labs.up(debian=2)
    yield hosts
    labs.rest(hosts)


@pytest.fixture
def host(lab_hosts: list[labs.Host]) -> labs.Host:
    """A Debian host in factory state."""
    first = lab_hosts[0]
    first.reset()
    return first


@pytest.fixture
def second_host(lab_hosts: list[labs.Host]) -> labs.Host:
    """Another Debian host in factory state."""
    second = lab_hosts[1]
    second.reset()
    return second
