"""The main screens as they were, point by point: a hub whose clock stands, nodes that say the same at every start, a page whose clock stands too.

`STARDUST_PICTURES=renew scripts/test --slow tests/browser/test_gates_pictures.py` takes the pictures anew; look at them before they are committed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.gates import LOOKS, Gate, Look, gate
from tests.browser.plots import told_at
from tests.browser.test_gates_live import OLDER
from tests.browser.test_settings import choose_password
from tests.browser.waits import until
from tests.support.hub import HubProcess
from tests.support.pictures import difference
from tests.support.stage import FROZEN_AT, Stage, frozen_hub, play_jobs, wait_told_of_who_left

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PICTURES = Path(__file__).parent / "pictures"
RENEW = os.environ.get("STARDUST_PICTURES") == "renew"
APART = 40
"""Edges of letters and lines are drawn a little otherwise by each processor and each build of the browser."""
MOST_SHARE = 0.002
HOLE = 0.55
"""Where the live charts of a frozen node have theirs, as a share of their width."""
MASKED = """
.brand small, .unsettled { visibility: hidden !important; }
* { caret-color: transparent !important; animation: none !important; transition: none !important; }
.xterm-cursor, .xterm-cursor-layer { visibility: hidden !important; }
"""
"""The port of the hub is another one at each start; what blinks is hidden."""
WEAR = "(text) => { const sheet = new CSSStyleSheet(); sheet.replaceSync(text); document.adoptedStyleSheets.push(sheet); }"
"""As a sheet of the document: the page's policy lets no style element in."""
Staged = tuple[HubProcess, Stage, dict[str, str]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    with frozen_hub(tmp_path_factory.mktemp("pictures") / "hub") as hub, Stage(hub, frozen=True) as stage:
        jobs = play_jobs(hub, stage)
        wait_told_of_who_left(hub, stage)
        yield hub, stage, jobs


def still(seen: Gate) -> None:
    """Wait until two looks at the screen are the same."""
    seen.page.evaluate(WEAR, MASKED)
    seen.page.evaluate("() => document.fonts.ready.then(() => true)")
    seen.page.mouse.move(0, 0)
    before = seen.page.screenshot()
    for _ in range(20):
        seen.page.wait_for_function("(at) => performance.now() > at + 300", arg=seen.page.evaluate("() => performance.now()"))
        after = seen.page.screenshot()
        if after == before:
            return
        before = after
    raise AssertionError("the screen does not come to rest")


def compare(seen: Gate, name: str, look: Look, folder: Path) -> list[str]:
    """Hold one screen against its picture; returns what differs."""
    still(seen)
    taken = seen.page.screenshot()
    label = f"{name}-{look.scheme}-{look.size['width']}"
    path = PICTURES / f"{label}.png"
    if RENEW:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(taken)
        return []
    if not path.exists():
        return [f"{label}: there is no picture yet"]
    paper = seen.page.context.new_page()
    found = difference(paper, path, taken, apart=APART)
    paper.close()
    if found.share <= MOST_SHARE:
        return []
    (folder / f"{label}.png").write_bytes(taken)
    (folder / f"{label}-differs.png").write_bytes(found.image)
    return [f"{label}: {found.share:.2%} of the points differ ({'; '.join(found.boxes)}); see {folder}"]


def screens(stage: Stage, jobs: dict[str, str]) -> dict[str, tuple[str, Callable[[Gate], None]]]:
    """Name -> address, and what is waited for there."""

    def fleet(seen: Gate) -> None:
        expect(seen.page.locator("[data-node]").nth(5)).to_be_visible()

    def charts(seen: Gate) -> None:
        expect(seen.page.locator("canvas").nth(3)).to_be_attached()
        expect(seen.page.locator("[data-series='cpu.user']").first).to_be_visible()

    def holes(seen: Gate) -> None:
        # What a node may still hold back is no hole: one that says nothing is given some seconds for it.
        charts(seen)
        cpu = seen.page.get_by_role("figure", name="CPU chart")
        until(seen.page, lambda: told_at(seen.page, cpu, HOLE), lambda told: any("no data" in text for text in told))

    def form(seen: Gate) -> None:
        fleet(seen)
        seen.page.keyboard.press("n")
        expect(seen.page.get_by_role("dialog").get_by_label("Host name or IP")).to_be_focused()

    def output(seen: Gate) -> None:
        expect(seen.page.locator(".xterm-rows")).to_contain_text("exim4")

    def heading(seen: Gate) -> None:
        expect(seen.page.get_by_role("heading", level=1).first).to_be_attached()

    return {
        "fleet": ("/", fleet),
        "cards": ("/?view=cards", fleet),
        "node": (f"/n/{stage.ids['db-01']}", holes),
        "node-hour": (f"/n/{stage.ids['db-01']}?range=1h", charts),
        "add-node": ("/", form),
        "job": (f"/jobs/{jobs['failed']}", output),
        "settings": ("/settings/account", heading),
    }


@contextmanager
def studio(browser: Browser, hub: HubProcess) -> Iterator[Gate]:
    """A page whose clock, zone and language stand."""
    with gate(browser, hub, timezone_id="UTC", locale="en-GB", reduced_motion="reduce", device_scale_factor=1) as seen:
        seen.page.clock.set_fixed_time(FROZEN_AT)
        yield seen


@pytest.mark.holds("J-16")
def test_the_log_in_looks_as_it_did(browser: Browser, tmp_path: Path) -> None:
    differs = []
    with frozen_hub(tmp_path / "hub") as hub, studio(browser, hub) as seen:
        seen.page.goto(hub.url)
        for look in LOOKS:
            seen.look(look)
            differs += compare(seen, "log-in", look, tmp_path)
    assert not differs, "\n".join(differs)


@pytest.mark.holds("J-16")
@pytest.mark.slow
def test_the_main_screens_look_as_they_did(browser: Browser, world: Staged, tmp_path: Path) -> None:
    hub, stage, jobs = world
    differs = []
    with studio(browser, hub) as seen:
        seen.sign_in()
        for name, (path, ready) in screens(stage, jobs).items():
            for look in LOOKS:
                if name == "cards" and look.size["width"] < 760:
                    continue  # a phone shows cards anyway
                seen.look(look)
                seen.open(path)
                ready(seen)
                differs += compare(seen, name, look, tmp_path)
    assert not differs, "\n".join(differs)


@pytest.mark.holds("J-16")
@pytest.mark.slow
def test_a_refusal_and_the_offer_of_a_newer_page_look_as_they_did(browser: Browser, world: Staged, tmp_path: Path) -> None:
    hub, _, _ = world
    made = hub.local("POST", "/api/v1/users", {"username": "grace", "role": "viewer"}).json
    differs = []
    with studio(browser, hub) as seen:
        choose_password(seen.page, hub, "grace", made["password"])
        expect(seen.page.get_by_role("table", name="Nodes")).to_be_visible()
        seen.page.add_init_script(OLDER)
        for look in LOOKS:
            seen.look(look)
            seen.open("/settings/users")
            expect(seen.page.get_by_text("Your role does not allow this")).to_be_visible()
            expect(seen.page.get_by_text("A new version of this page is ready")).to_be_visible()
            differs += compare(seen, "no-permission", look, tmp_path)
    assert not differs, "\n".join(differs)
