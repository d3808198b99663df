"""Five hundred nodes on the fleet page: rendering, filters, sorting, keyboard navigation and reload. A locked log-in."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.hub import HubProcess
from tests.support.page.gate import gate, log_in
from tests.support.page.waits import until
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

LIVING = ("web-01", "web-03", "db-01", "build-01", "backup-hel")
ALL = 500
MOST_ROWS = 80
"""What is drawn of them: those that are seen, and some more."""
FILTERS = {
    "web-0": {"web-01", "web-03"},
    "tag:prod -tag:web": {"db-01"},
    "cpu>80 os:debian": {"web-03"},
    "cpu > 80 os: debian": {"web-03"},
    "disk>=90": {"db-01"},
    "memory>75 load<100 -tag:web": {"db-01"},
    "updates>20": {"build-01"},
    "security>0": {"web-01", "db-01"},
    "os:arch": {"build-01"},
    'os:"arch linux" "build-0"': {"build-01"},
    "state:offline": {"backup-hel"},
    "state:online tag:ci": {"build-01"},
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("fleet") / "hub") as made:
        made.enrol(*(f"node-{number:03}" for number in range(ALL - len(LIVING))), simulated=True)
        with Stage(made, only=LIVING):
            yield made


def shown(page: Page) -> list[str]:
    names: list[str] = page.get_by_role("table", name="Nodes").get_by_role("rowheader").locator("b").all_inner_texts()
    return names


def shown_are(page: Page, wanted: set[str]) -> None:
    until(page, lambda: set(shown(page)), lambda names: names == wanted)


def wheel_to_the_top(page: Page) -> None:
    """Turn the wheel until the page is at its top: a busy page may take a turn before it has its layout, and anchor what it draws later."""

    def turned() -> float:
        page.mouse.wheel(0, -200_000)
        return float(page.evaluate("() => scrollY"))

    until(page, turned, lambda y: y == 0)


@pytest.mark.holds("J-2")
def test_five_hundred_nodes_are_filtered_sorted_walked_and_found_again(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        table = page.get_by_role("table", name="Nodes")
        expect(table).to_have_attribute("aria-rowcount", str(ALL + 1))
        until(page, lambda: len(shown(page)), lambda drawn: 0 < drawn < MOST_ROWS)
        field = page.get_by_label("Filter nodes")
        for text, wanted in FILTERS.items():
            field.fill(text)
            expect(table).to_have_attribute("aria-rowcount", str(len(wanted) + 1))
            shown_are(page, wanted)
        for text, why in (
            ("cpu>much", "needs a number"),
            ("state:happy", "is not a state"),
            ("speed > 1", "cannot be compared"),
            (
                "name:vm",
                "is not a key, so “name:vm” is searched as text. Keys are tag, state, health, finding, reboot, os, kernel, agent, address, location, revision, patch, note, and cpu",
            ),
        ):
            field.fill(text)
            expect(field).to_have_attribute("aria-invalid", "true")
            expect(page.get_by_text(re.compile(why))).to_be_visible()
        field.fill("tag:prod")
        page.get_by_role("columnheader", name="Memory").get_by_role("button").click()
        expect(page.get_by_role("columnheader", name="Memory")).to_have_attribute("aria-sort", "descending")
        expect(table.get_by_role("rowheader").locator("b").first).to_have_text("web-03")
        address = page.url
        page.reload()
        expect(table.get_by_role("rowheader").locator("b").first).to_have_text("web-03")
        expect(page).to_have_url(address)
        expect(field).to_have_value("tag:prod")

        seen.open("/?sort=name")  # an order that no finding changes meanwhile
        expect(table).to_have_attribute("aria-rowcount", str(ALL + 1))
        table.get_by_role("row").nth(1).focus()
        for key in ("End", "k", "x", "Home", "j", "Shift+X"):  # as fast as they come, each finds the row that the one before it went to
            page.keyboard.press(key)
        expect(table.locator("[data-index='1']")).to_be_focused()
        expect(page.get_by_role("region", name="Selection")).to_contain_text(f"{ALL - 2} nodes selected")
        page.keyboard.press("End")
        last = table.locator(f"[data-index='{ALL - 1}']")
        expect(last).to_be_focused()
        expect(last).to_be_in_viewport(ratio=1)
        wheel_to_the_top(page)
        expect(last).to_be_focused()  # scrolling away from a row keeps the cursor on it
        page.keyboard.press("k")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("web-03")
        page.go_back()
        expect(table).to_have_attribute("aria-rowcount", str(ALL + 1))


@pytest.mark.holds("J-2")
def test_of_five_hundred_cards_only_visible_ones_are_updated(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        log_in(seen.page, seen.hub)
        seen.open("/?view=cards&sort=name")
        cards = page.locator(".cards [data-node]")
        expect(cards).to_have_count(ALL)
        alive = page.locator(".cards .node-card .three")
        until(page, alive.count, lambda count: 0 < count < MOST_ROWS)
        shown = page.locator(".cards .node-card:has(.three)").first.get_attribute("data-node")  # an offline one shows no values
        first, last = page.locator(f".cards [data-node='{shown}']"), cards.last
        expect(first).to_contain_text("CPU")
        expect(last).to_contain_text("web-03")  # the names of the others are present, for searches in the page
        expect(last).not_to_contain_text("CPU")
        last.scroll_into_view_if_needed()
        expect(last).to_contain_text("CPU")
        expect(last.locator("[data-series='cpu.total']")).to_have_attribute("data-at", re.compile(r"\d"))
        expect(first).not_to_contain_text("CPU")
        last.focus()
        wheel_to_the_top(page)
        expect(first).to_contain_text("CPU")
        expect(last).to_be_focused()


@pytest.mark.holds("J-1")
def test_a_locked_log_in_shows_for_how_long(browser: Browser, hub: HubProcess) -> None:
    answers = [
        hub.request("POST", "/api/v1/auth/login", {"username": "nobody", "password": f"wrong guess {number}"}).status
        for number in range(12)
    ]
    assert 429 in answers
    with gate(browser, hub, expected=("429", "401")) as seen:
        page = seen.page
        page.goto(hub.url)
        page.get_by_label("User name").fill("nobody")
        page.get_by_label("Password", exact=True).fill("another guess")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text(re.compile(r"\d+\s(s|min)"))
