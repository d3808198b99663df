"""A real Chromium against the real hub."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright

from tests.support.hub import HubProcess
from tests.support.page.gate import DESKTOP, FIRST_REFUSAL, HUB_AWAY, PATIENCE_MS, STEP_UP, closed

CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
HUBS = {"hub", "fresh_hub"}
"""What fixtures that start a hub are called."""

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the fixtures know how their test ended."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium without a window system, which takes half the processor time of the other build.

    One for each process: browser tests come last there, since the driver's event loop goes on until the end.
    """
    path = shutil.which("chromium-headless-shell")
    if path is None:
        pytest.fail("no chromium-headless-shell is installed; scripts/test installs it")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield started
        started.close()


@pytest.fixture
def every(request: pytest.FixtureRequest) -> bool:
    """Whether a test that looks at many screens, sizes or settings looks at all of them, not at some of each kind: with --slow."""
    return bool(request.config.getoption("--slow"))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    """A hub whose admin has chosen a password."""
    with HubProcess(tmp_path / "hub") as made:
        yield made


@pytest.fixture
def fresh_hub(tmp_path: Path) -> Iterator[HubProcess]:
    """A hub as on its first start: admin / admin."""
    with HubProcess(tmp_path / "hub", default_admin=True) as hub:
        yield hub


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Page]:
    """A page that must stay free of errors, blocked content included; a screenshot of a failure is stored in the test's folder.

    A hub of the test is set up before it, so that the page is closed before the hub stops: a stopping hub answers 503 to health checks.
    """
    for name in HUBS & set(request.fixturenames):
        request.getfixturevalue(name)
    context = browser.new_context(viewport=DESKTOP, color_scheme="dark", reduced_motion="reduce")  # type: ignore[arg-type]  # a TypedDict in disguise
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    faults: list[str] = []
    marked = request.node.get_closest_marker("refusals")
    refusals = (FIRST_REFUSAL, STEP_UP, *HUB_AWAY, *(marked.args if marked else ()))

    def heard(message: ConsoleMessage) -> None:
        expected = any(word in message.text for word in refusals)
        if message.type == "error" and not expected:
            faults.append(f"console: {message.text}")

    def broke(error: Error) -> None:
        faults.append(f"page: {error}")

    page.on("console", heard)
    page.on("pageerror", broke)
    yield page
    if faults or request.node.stash.get(FAILED, False):
        page.screenshot(path=tmp_path / "end.png")
    closed(context)
    assert not faults, faults
