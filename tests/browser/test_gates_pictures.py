"""Eight screens compared with stored screenshots: the clocks of hub and page are frozen, and nodes report fixed values.

`STARDUST_PICTURES=renew scripts/test --slow tests/browser/test_gates_pictures.py` renews the screenshots; check them before they are committed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.hub import HubProcess
from tests.support.page.gate import DESKTOP, PHONE, Gate, Look, gate
from tests.support.page.plots import told_at
from tests.support.page.waits import until
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
DARK, LIGHT = Look("dark", DESKTOP), Look("light", DESKTOP)
DARK_PHONE, LIGHT_PHONE = Look("dark", PHONE), Look("light", PHONE)
Screen = tuple[str, tuple[Look, ...], str, Callable[[Gate], None]]
"""Its name, the looks that are compared, its address, and what is waited for there."""


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
    """Compare one screen with its picture; returns what differs."""
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


def screens(stage: Stage, jobs: dict[str, str]) -> tuple[Screen, ...]:
    """What a signed-in admin sees."""

    def fleet(seen: Gate) -> None:
        expect(seen.page.locator("[data-node]").nth(5)).to_be_visible()

    def holes(seen: Gate) -> None:
        expect(seen.page.locator("canvas").nth(3)).to_be_attached()
        expect(seen.page.locator("[data-series='cpu.user']").first).to_be_visible()
        # A series that a node may still send is not a gap: a silent one gets some seconds for it.
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

    return (
        ("fleet", (DARK, LIGHT_PHONE), "/", fleet),
        ("node", (LIGHT, DARK_PHONE), f"/n/{stage.ids['db-01']}", holes),
        ("add-node", (LIGHT,), "/", form),
        ("job", (DARK,), f"/jobs/{jobs['failed']}", output),
        ("settings", (LIGHT_PHONE,), "/settings/account", heading),
    )


@contextmanager
def studio(browser: Browser, hub: HubProcess) -> Iterator[Gate]:
    """A page with a fixed clock, time zone and language."""
    with gate(browser, hub, timezone_id="UTC", locale="en-GB", reduced_motion="reduce", device_scale_factor=1) as seen:
        seen.page.clock.set_fixed_time(FROZEN_AT)
        yield seen


@pytest.mark.holds("J-16")
@pytest.mark.slow
def test_the_main_screens_match_their_pictures(browser: Browser, tmp_path: Path) -> None:
    with frozen_hub(tmp_path / "hub") as hub, Stage(hub, frozen=True) as stage, studio(browser, hub) as seen:
        jobs = play_jobs(hub, stage)
        wait_told_of_who_left(hub, stage)
        seen.page.goto(hub.url)
        seen.look(DARK)
        differs = compare(seen, "log-in", DARK, tmp_path)
        seen.sign_in()
        for name, looks, path, ready in screens(stage, jobs):
            for look in looks:
                seen.look(look)
                seen.open(path)
                ready(seen)
                differs += compare(seen, name, look, tmp_path)
    assert not differs, "\n".join(differs)
