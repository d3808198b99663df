"""Layout and motion: no screen scrolls in two directions when small or zoomed, reduced motion is respected, and forced colours keep every icon."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import TimeoutError as TooLate

from tests.support.hub import HubProcess
from tests.support.page.gate import PHONE, Gate, gate
from tests.support.page.hubs import hub_of_the_file, stage_of_the_file
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

NARROW = {"width": 320, "height": 640}
ZOOMED = {"width": 720, "height": 450}
"""What a window of 1440 by 900 shows at 200 %."""
SCREENS = (
    "/",
    "/?view=cards",
    "/n/{node}",
    "/n/{node}/packages",
    "/n/{node}/settings",
    "/n/{node}/processes",
    "/compare?nodes={node}",
    "/alerts",
    "/alerts/rules",
    "/updates",
    "/jobs",
    "/events",
    "/settings/account",
    "/settings/audit",
    "/settings/users",
)
BETWEEN = (761, 768, 960, 1000, 1024, 1100, 1150, 1240, 1370, 1400, 1920)
"""Where columns go and the side bar changes its form."""
SOME_BETWEEN = (761, 1024, 1240)
WIDER = "() => document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
PAST_EDGE = """() => Math.max(0, ...[...document.querySelectorAll(".grid-table [role=row]")].filter((row) => row.lastElementChild).map((row) => {
    const cells = [...row.children].filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect().right);
    return Math.max(...cells) - row.getBoundingClientRect().right + parseFloat(getComputedStyle(row).paddingRight) - 0.5;
}))"""
"""By how much a cell runs over the edge of its card, which does not make the page wider."""
OUT_OF_CARD = """() => Math.max(0, ...[...document.querySelectorAll("figure.card")].flatMap((card) => {
    const {left, right} = card.getBoundingClientRect();
    const inside = [...card.querySelectorAll("header *")].filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect());
    return inside.map((one) => Math.max(one.right - right, left - one.left));
}))"""
"""By how much the head of a chart runs over the edge of its card."""
LONG_NAME = "prod-eu-central-1-kubernetes-worker-node-a07.example.com"
MOVING = """() => document.getAnimations().filter((one) => one.playState === "running").map((one) => one.animationName ?? one.transitionProperty)"""
SEEN_GLYPHS = """() => [...document.querySelectorAll("main svg, nav svg")].filter((one) => one.checkVisibility()).map((one) => {
    const style = getComputedStyle(one);
    return [style.color, style.fill, style.stroke];
}).filter(([color, fill, stroke]) => [color, fill, stroke].every((ink) => ink === getComputedStyle(document.body).backgroundColor)).length"""


hub = hub_of_the_file()
stage = stage_of_the_file("web-01", "web-02", "web-03", "db-01", "edge-ams")


def each_screen(seen: Gate, stage: Stage) -> Iterator[str]:
    for screen in SCREENS:
        path = screen.format(node=stage.ids["db-01"])
        seen.turn_to(path)
        yield path


def settled(seen: Gate, how: str) -> int:
    """By how many pixels it is too wide, after the layout has followed the window."""
    with contextlib.suppress(TooLate):
        seen.page.wait_for_function(f"() => ({how})() <= 0")
    over: int = seen.page.evaluate(how)
    return over


@pytest.mark.holds("J-19")
def test_nothing_scrolls_two_ways_on_a_small_screen_or_at_twice_the_size(
    browser: Browser, hub: HubProcess, stage: Stage, *, every: bool
) -> None:
    too_wide = []
    with gate(browser, hub) as seen:
        seen.sign_in()
        for path in each_screen(seen, stage):
            for size in (NARROW, ZOOMED, PHONE) if every else (NARROW, ZOOMED):
                seen.page.set_viewport_size(size)  # type: ignore[arg-type]  # a TypedDict in disguise
                seen.page.wait_for_function("(wanted) => innerWidth === wanted", arg=size["width"])
                too_wide += [f"{path} at {size['width']}: {over} px" for over in [settled(seen, WIDER)] if over > 0]
        for path in ("/", "/?view=cards", f"/?q={'x' * 2000}", f"/n/{stage.ids['db-01']}"):
            seen.turn_to(path)
            for width in BETWEEN if every else SOME_BETWEEN:
                seen.page.set_viewport_size({"width": width, "height": 800})
                seen.page.wait_for_function("(wanted) => innerWidth === wanted", arg=width)
                too_wide += [f"{path} at {width}: {over} px" for how in (WIDER, PAST_EDGE) if (over := settled(seen, how)) > 0]
        for size in (NARROW, ZOOMED):
            seen.page.set_viewport_size(size)  # type: ignore[arg-type]  # as above
            seen.page.goto(seen.hub.url)
            seen.page.get_by_role("button", name="Add node").locator("visible=true").first.click()
            dialog = seen.page.get_by_role("dialog")
            for way in ("Over SSH", "Many servers", "One-line command"):
                dialog.get_by_role("radio", name=way).click()
                expect(dialog.get_by_role("radio", name=way)).to_be_checked()
                inner = dialog.evaluate("(one) => one.scrollWidth - one.clientWidth")
                too_wide += [f"{way} at {size['width']}: {over} px" for over in (inner, seen.page.evaluate(WIDER)) if over > 0]
    assert not too_wide


def test_long_names_stay_in_their_cards(browser: Browser, hub: HubProcess, stage: Stage, *, every: bool) -> None:
    """Sensors are called as kernels call them, and servers as their owners do."""
    node = stage.ids["edge-ams"]
    hub.local("PATCH", f"/api/v1/nodes/{node}", {"name": LONG_NAME})
    over = []
    try:
        with gate(browser, hub) as seen:
            seen.sign_in()
            for path in (f"/n/{node}", f"/compare?nodes={node},{stage.ids['web-01']},{stage.ids['db-01']}"):
                seen.turn_to(path)
                expect(seen.page.locator("figure .legend b").last).to_have_text(re.compile(r"\d"))
                for width in (NARROW["width"], PHONE["width"], *(BETWEEN if every else SOME_BETWEEN), 1440):
                    seen.page.set_viewport_size({"width": width, "height": 900})
                    seen.page.wait_for_function("(wanted) => innerWidth === wanted", arg=width)
                    over += [f"{path} at {width}: {px} px" for how in (WIDER, OUT_OF_CARD) if (px := settled(seen, how)) > 0]
    finally:
        hub.local("PATCH", f"/api/v1/nodes/{node}", {"name": "edge-ams"})
    assert not over


@pytest.mark.holds("J-19")
def test_reduced_motion_stops_animations_and_forced_colours_preserve_glyphs(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub, reduced_motion="reduce", forced_colors="active") as seen:
        page = seen.page
        seen.sign_in()
        for _ in each_screen(seen, stage):
            assert page.evaluate(MOVING) == []
            assert page.evaluate(SEEN_GLYPHS) == 0
        seen.open("/")
        meters = page.locator(".meter:visible")
        expect(meters.first).to_be_visible()
        assert page.evaluate("() => matchMedia('(forced-colors: active)').matches")
        borders: list[str] = meters.evaluate_all(
            "(all) => all.map((one) => getComputedStyle(one).borderTopStyle + getComputedStyle(one).outlineStyle)"
        )
        assert all("solid" in border for border in borders)
        page.keyboard.press("Control+k")
        expect(page.get_by_role("dialog")).to_be_visible()
        assert page.evaluate(MOVING) == []
