"""Time windows of a node's charts: names, keyboard shortcuts, and no requests while they are not visible."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, Request, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import sign_in
from tests.support.page.answers import saves_preferences
from tests.support.page.gate import log_in
from tests.support.page.hubs import hub_of_the_file
from tests.support.page.waits import settle, until
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

HIDING = """
let hidden = false;
Object.defineProperty(Document.prototype, "hidden", {get: () => hidden});
Object.defineProperty(Document.prototype, "visibilityState", {get: () => hidden ? "hidden" : "visible"});
window.__hide = (on) => { hidden = on; document.dispatchEvent(new Event("visibilitychange")); };
"""
HOUR_S = 3600


hub = hub_of_the_file()


@pytest.fixture(scope="module")
def node_page(hub: HubProcess) -> Iterator[str]:
    """The path of a node's page."""
    with Stage(hub, only=("web-01",)) as stage:
        yield f"/n/{stage.ids['web-01']}"


def single_keys(hub: HubProcess, page: Page, *, on: bool) -> None:
    """Switch them on the page itself."""
    page.goto(f"{hub.url}/settings/appearance")
    switch = page.get_by_role("switch", name="Single-key shortcuts")
    with page.expect_response(saves_preferences):
        switch.click()
    expect(switch).to_be_checked(checked=on)


def test_a_window_shows_its_date_and_year_if_they_differ_from_today(page: Page, hub: HubProcess, node_page: str) -> None:
    log_in(page, hub)
    bar = page.locator(".window-bar b")
    today = datetime.now().astimezone()
    noon = today.replace(hour=12, minute=0, second=0)
    for then in (noon.replace(year=today.year - 1, day=min(today.day, 28)), noon - timedelta(days=2)):
        start = int(then.timestamp())
        page.goto(f"{hub.url}{node_page}?from={start}&to={start + HOUR_S // 2}")
        said = f"{then:%-d\u00a0%b}" + ("" if then.year == today.year else f"\u00a0{then.year}")
        expect(bar).to_have_text(f"{said}, 12:00 \u2013 {said}, 12:30")
    since, still = (today - timedelta(seconds=ago) for ago in (60, 30))
    page.goto(f"{hub.url}{node_page}?from={int(since.timestamp())}&to={int(still.timestamp())}")
    expect(bar).to_have_text(f"{since:%H:%M:%S} \u2013 {still:%H:%M:%S}" if since.date() == today.date() else re.compile(""))


def test_a_typed_window_keeps_its_start_although_its_end_is_in_the_future(page: Page, hub: HubProcess, node_page: str) -> None:
    sign_in(page, hub, at=node_page)
    page.get_by_role("button", name="Choose a time range").click()
    dialog = page.get_by_role("dialog", name="Custom time range")
    now = datetime.now().astimezone().replace(microsecond=0)
    start = now - timedelta(seconds=60)
    for label, at in (("From", start), ("To", now + timedelta(seconds=HOUR_S))):
        dialog.get_by_label(label).fill(f"{at:%Y-%m-%dT%H:%M:%S}")
    dialog.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(rf"from={int(start.timestamp())}&"))
    end = int(page.url.partition("to=")[2])
    assert now.timestamp() <= end <= datetime.now().astimezone().timestamp() + 1, "as far as it is over"


def test_disabled_single_keys_do_nothing(page: Page, hub: HubProcess, node_page: str, *, every: bool) -> None:
    log_in(page, hub)
    cpu = page.get_by_role("figure", name=re.compile("^CPU")).first
    for on in (False, True) if every else (False,):  # what they do is in test_keys.py and test_joining.py
        single_keys(hub, page, on=on)
        page.goto(hub.url + node_page)
        plot = cpu.locator(".u-over")
        expect(plot).to_be_visible()
        plot.hover()
        page.keyboard.press("v")
        page.keyboard.press("3")
        expect(page.get_by_role("radio", name="24h")).to_be_checked(checked=on)
        expect(cpu.get_by_role("table")).to_have_count(1 if on else 0)
        page.keyboard.press("Escape")
        page.keyboard.press("1")

        page.get_by_role("button", name="Add node").first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_text("One-line command").click()
        dialog.get_by_role("button", name="Create command").click()
        expect(dialog.get_by_label("Checksum")).to_be_visible()
        expect(dialog.get_by_text("or press")).to_have_count(1 if on else 0)
        page.keyboard.press("c")
        copied = dialog.get_by_role("button", name="Copied")  # in sight, and not only read out
        if on:
            expect(copied).to_be_visible()
        else:
            settle(page)
            expect(copied).to_have_count(0)
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)


def test_a_hidden_tab_requests_no_history_and_a_shown_one_immediately(page: Page, hub: HubProcess, node_page: str) -> None:
    page.add_init_script(HIDING)
    page.clock.install()
    asked: list[str] = []

    def heard(request: Request) -> None:
        if re.search(r"/nodes/\w+/history\?", request.url):
            asked.append(request.url)

    page.on("request", heard)
    sign_in(page, hub, at=f"{node_page}?range=1h")
    expect(page.get_by_role("figure").first).to_be_visible()
    until(page, lambda: len(asked))
    page.wait_for_load_state("networkidle")
    page.evaluate("() => window.__hide(true)")
    before = len(asked)
    page.clock.fast_forward(600_000)
    page.wait_for_timeout(1_000)
    assert len(asked) == before, "nobody looks"
    page.evaluate("() => window.__hide(false)")
    until(page, lambda: len(asked), lambda count: count > before)
    seen = len(asked)
    page.clock.fast_forward(60_000)
    until(page, lambda: len(asked), lambda count: count > seen)
