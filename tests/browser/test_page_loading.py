"""The page while it loads, in print, and in a second tab."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.support.hub import HubProcess
from tests.support.page.gate import LOOKS, gate, log_in
from tests.support.page.hubs import hub_of_the_file
from tests.support.page.waits import until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

hub = hub_of_the_file()

SURFACES = """() => ["body", ".card, main", "main"].map((part) => {
    const {backgroundColor, color} = getComputedStyle(document.querySelector(part));
    return [backgroundColor, color].map((text) => text.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3);
})"""
"""How bright the page and its letters are, 0 to 255."""
BRIGHT, DARK = 240, 100


def test_over_a_slow_link_a_loading_mark_is_shown_until_the_page_arrives(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        page.route("**/a/chunk-*.js", hold)
        page.goto(hub.url, wait_until="commit")
        mark = page.get_by_role("status")
        expect(mark).to_contain_text("Loading Stardust")
        expect(mark).to_be_visible()
        late = mark.get_by_text("Loading Stardust takes longer than usual.")
        expect(late).to_be_hidden()
        assert page.title() == "Stardust"
        for look in (LOOKS[0], LOOKS[3]):
            seen.look(look)
            assert seen.axe() == [], look
        page.emulate_media(reduced_motion="no-preference")
        for motion in ("no-preference", "reduce"):
            page.emulate_media(reduced_motion=motion)
            hidden_at_first = mark.evaluate("(mark) => [getComputedStyle(mark).animationName, getComputedStyle(mark).animationDelay]")
            assert hidden_at_first == ["boot", "0.4s"], "over a fast link nothing flashes"
        expect(late).to_be_visible()  # ten seconds on, and for as long as nothing comes
        until(page, lambda: held)
        for route in held:
            route.continue_()
        expect(page.get_by_label("User name")).to_be_visible()
        expect(page.get_by_text("Loading Stardust")).to_be_hidden()
        assert seen.refused() == []


@pytest.mark.slow
def test_another_tab_adopts_a_changed_theme_immediately(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        with page.context.expect_page():
            page.evaluate("() => void window.open('/', '_blank', 'noopener')")
        other = next(one for one in page.context.pages if one is not page)
        expect(other.get_by_role("navigation", name="Main", exact=True)).to_be_attached()
        for theme in ("light", "dark", "auto"):
            page.goto(f"{hub.url}/settings/appearance")
            page.get_by_role("radio", name={"light": "Light", "dark": "Dark", "auto": "Same as the system"}[theme]).check()
            expect(other.locator("html")).to_have_attribute("data-theme", theme)
        other.keyboard.press("t")
        expect(page.locator("html")).to_have_attribute("data-theme", "light")
        expect(page.get_by_role("radio", name="Light")).to_be_checked()


def test_the_printed_page_is_light_and_without_bars(browser: Browser, hub: HubProcess) -> None:
    hub.enrol("web-1")
    with gate(browser, hub) as seen:
        page = seen.page
        log_in(seen.page, seen.hub)
        for theme in ("dark", "auto"):
            page.context.add_cookies([{"name": "theme", "value": theme, "url": hub.url}])
            seen.open("/")
            bars = [
                page.get_by_role("navigation", name="Main", exact=True),
                page.locator(".top"),
                page.get_by_role("button", name="Add node"),
            ]
            expect(page.get_by_role("link", name="web-1").first).to_be_visible()
            assert page.evaluate(SURFACES)[0][0] < DARK
            page.emulate_media(media="print")
            for bar in bars:
                for one in bar.all():
                    expect(one).to_be_hidden()
            expect(page.get_by_role("link", name="web-1").first).to_be_visible()
            [(paper, _), *parts] = page.evaluate(SURFACES)
            assert paper > BRIGHT
            assert all(letters < DARK for _, letters in parts)
            page.emulate_media(media="screen")
            expect(bars[0]).to_be_visible()
            assert page.evaluate(SURFACES)[0][0] < DARK
