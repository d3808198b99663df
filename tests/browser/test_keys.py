"""Every listed keyboard shortcut works, and none of them while a text field has the focus."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import choose_password
from tests.support.page.gate import gate, log_in
from tests.support.page.hubs import hub_of_the_file, stage_of_the_file
from tests.support.page.waits import until
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

NODES = ("db-01", "web-01", "web-02")
hub = hub_of_the_file()
stage = stage_of_the_file(*NODES)
PAGES = {"f": "Fleet", "a": "Alerts", "u": "Updates", "j": "Jobs", "e": "Events", "s": "Settings"}
RANGES = ("Live", "1h", "24h", "7d", "30d")
LISTED = [
    "CtrlK", "/", "n", "gf", "ga", "gu", "gj", "ge", "gs", "jk", "Entero", "t", "?", "Esc", "←→", "x", "Shiftx", "u", "Esc", "x", "e", "[]", "1…5", "Space", "v", "←→", "Esc",
]  # fmt: skip
"""Those of charts, groups and alerts are pressed by the tests of charts, of groups and of alerts."""


def call_palette(page: Page) -> Route:
    """Press its key; what it is made of does not come until the answer goes on."""
    held: list[Route] = []
    page.route("**/a/dialogs-*.js", lambda route: held.append(route), times=1)  # noqa: PLW0108  # the driver wants a function of Python
    page.keyboard.press("Control+k")
    return until(page, lambda: held)[0]


NOTE_LEAVING = """() => {
    window.left = [];
    new MutationObserver((changes) => {
        if (changes.some(({removedNodes}) => [...removedNodes].some((node) => node.nodeName === "DIALOG"))) window.left.push(document.activeElement.ariaLabel ?? document.activeElement.textContent);
    }).observe(document.body, {childList: true, subtree: true});
}"""
"""What has the focus at the moment in which a dialog is gone."""


@pytest.mark.holds("J-14")
def test_keys_typed_before_the_palette_opens_go_into_it_unless_escape_ends_that(browser: Browser, tmp_path: Path) -> None:
    def typed(*keys: str) -> None:
        held = call_palette(page)
        for key in keys:
            page.keyboard.press(key)
        held.continue_()

    with HubProcess(tmp_path / "hub") as own, gate(browser, own) as seen:
        page = seen.page
        seen.sign_in()
        add = page.get_by_role("main").get_by_role("button", name="Add node")
        add.focus()
        typed(*"n", "Space", *"?x", "Backspace", "Backspace", "o")
        box = page.get_by_role("combobox", name="Search or run a command")
        expect(box).to_be_focused()
        expect(box).to_have_value("n o")
        expect(page.get_by_role("dialog")).to_have_count(1)
        page.keyboard.press("Escape")
        expect(add).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog", name="Add node")).to_be_visible()

        page.reload()
        expect(add).to_be_visible()
        typed(*"updates", "Enter")
        expect(page.get_by_role("heading", level=1, name="Updates")).to_be_visible()
        expect(page.get_by_role("dialog")).to_have_count(0)

        # Escape ends the wait for it, and the keys are shortcuts again
        page.get_by_role("link", name="Fleet").first.click()
        page.reload()
        expect(add).to_be_visible()
        held = call_palette(page)
        for key in ("j", "Escape", "g", "j"):
            page.keyboard.press(key)
        expect(page.get_by_role("heading", level=1, name="Jobs")).to_be_visible()
        held.continue_()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
        expect(page.get_by_role("dialog")).to_have_count(1)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)

        # the focus returns in the moment in which a dialog closes: later it would take it from a user who has moved on by keyboard
        page.get_by_role("link", name="Fleet").first.click()
        opener = page.get_by_role("main").get_by_role("button", name="One-line command")
        opener.focus()
        page.evaluate(NOTE_LEAVING)
        for key, name in (("n", "Add node"), ("?", "Keyboard shortcuts"), ("Control+k", "Command palette")):
            page.evaluate("() => { window.left = []; }")
            page.keyboard.press(key)
            expect(page.get_by_role("dialog", name=name)).to_be_visible()
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)
            assert until(page, lambda: page.evaluate("window.left")) == ["One-line command"]
            expect(opener).to_be_focused()


def test_the_palette_gives_the_orders_of_a_node_and_says_which_cannot_be_given(browser: Browser, tmp_path: Path) -> None:
    with (
        HubProcess(tmp_path / "hub") as own,
        Stage(own, only=("web-01", "db-01", "edge-hel", "backup-hel")) as stage,
        gate(browser, own) as seen,
    ):
        page = seen.page
        seen.sign_in()
        expect(page.get_by_text("3of 4 online")).to_be_visible()
        box = page.get_by_role("combobox", name="Search or run a command")
        options = page.get_by_role("dialog").get_by_role("option")
        chosen = page.get_by_role("option", selected=True)

        def look_for(text: str) -> None:
            page.keyboard.press("Control+k")
            expect(box).to_be_focused()
            page.keyboard.type(text)

        # arrow keys follow its order
        for text in ("web-01", "web", ""):
            page.keyboard.press("Control+k")
            expect(page.get_by_role("combobox", name="Search or run a command")).to_be_focused()
            page.keyboard.type(text)
            options = page.get_by_role("dialog").get_by_role("option")
            expect(options.nth(1)).to_be_visible()
            for at in range(2):
                expect(options.nth(at)).to_have_attribute("aria-selected", "true")
                page.keyboard.press("ArrowDown")
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)

        for text in ("reboot db", "restart db"):
            look_for(text)
            expect(chosen).to_have_text("Reboot: db-01…")
            page.keyboard.press("Enter")
            asked = page.get_by_role("dialog")
            expect(asked.get_by_role("button", name="Reboot server")).to_be_disabled()  # until its name is typed, as from the menu
            page.keyboard.press("Escape")
            expect(asked).to_have_count(0)
        assert own.local("GET", "/api/v1/jobs").json["jobs"] == []

        # what cannot be done now is there with its reason, and Enter does nothing else in its place
        for text, why in (("upgrade backup-hel", "not connected"), ("check edge-hel", "monitoring only, by its own policy")):
            look_for(text)
            expect(chosen).to_contain_text(why)
            expect(chosen).to_have_attribute("aria-disabled", "true")
            assert not seen.axe()
            page.keyboard.press("Enter")
            expect(box).to_have_value(text)
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)
        look_for("check")
        expect(options).to_have_text(
            [re.compile(f"^Check for updates: {name}(?!…)") for name in ("web-01", "db-01", "edge-hel", "backup-hel")]
        )
        expect(page.locator("[role=option][aria-disabled]")).to_have_count(2)
        page.keyboard.press("Escape")

        # orders of the shown node come first; reading actions start immediately
        seen.open(f"/n/{stage.ids['web-01']}")
        look_for("check")
        expect(chosen).to_have_text("Check for updates: web-01")
        page.keyboard.press("Enter")
        page.get_by_role("status").filter(has_text="It was started.").get_by_role("button", name="Open").click()
        page.wait_for_url("**/jobs/*")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Check for updates")

        look_for("audit")
        expect(chosen).to_have_text("Go to Audit log")
        page.keyboard.press("Escape")
        look_for("tag:database")
        expect(chosen).to_contain_text("Show nodes tagged database")
        page.keyboard.press("Enter")
        expect(page.get_by_role("searchbox", name="Filter nodes")).to_have_value("tag:database")
        expect(page.get_by_role("table", name="Nodes").locator("[data-node]")).to_have_count(1)


@pytest.mark.slow
def test_the_palette_offers_a_viewer_no_orders(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    made = hub.local("POST", "/api/v1/users", {"username": "vera", "role": "viewer"}).json
    assert stage.ids
    with gate(browser, hub) as seen:
        page = seen.page
        choose_password(page, hub, "vera", made["password"])
        expect(page.get_by_text("3of 3 online")).to_be_visible()
        for text, found in (("check", 0), ("audit", 0), ("tag:web", 1)):
            page.keyboard.press("Control+k")
            expect(page.get_by_role("combobox", name="Search or run a command")).to_be_focused()
            page.keyboard.type(text)
            expect(page.get_by_role("dialog").get_by_role("option")).to_have_count(found)
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.holds("J-14")
def test_every_shortcut_does_its_listed_action(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    assert stage.ids
    with gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        press = page.keyboard.press
        title, dialog = page.get_by_role("heading", level=1), page.get_by_role("dialog")
        expect(page.get_by_text("3of 3 online")).to_be_visible()

        press("?")
        keys = page.get_by_role("dialog", name="Keyboard shortcuts")
        expect(keys.locator("dt")).to_have_count(len(LISTED))
        assert keys.locator("dt").evaluate_all("(all) => all.map((one) => one.textContent)") == LISTED
        press("n")  # a dialog is open: letters have no effect
        expect(dialog).to_have_count(1)
        press("Escape")
        expect(dialog).to_have_count(0)

        for key in "aujesf":
            press("g")
            press(key)
            expect(title).to_have_text(PAGES[key])
            expect(title).to_be_focused()
        press("n")
        expect(page.get_by_role("dialog", name="Add node")).to_be_visible()
        press("Escape")
        expect(dialog).to_have_count(0)
        press("Control+k")
        expect(page.get_by_role("combobox", name="Search or run a command")).to_be_focused()
        press("Escape")
        expect(dialog).to_have_count(0)
        root = page.locator("html")
        themes = []
        for _ in range(3):
            before = root.get_attribute("data-theme") or ""
            press("t")
            expect(root).not_to_have_attribute("data-theme", before)
            themes.append(root.get_attribute("data-theme"))
        assert set(themes) == {"auto", "dark", "light"}

        # from another page to the filter; there letters are letters
        press("g")
        press("s")
        expect(title).to_have_text("Settings")
        press("/")
        field = page.get_by_role("searchbox", name="Filter nodes")
        expect(field).to_be_focused()
        for key in ("w", "n", "Backspace", "e", "b", "?", "Backspace"):
            press(key)
        expect(field).to_have_value("web")
        expect(dialog).to_have_count(0)
        rows = page.get_by_role("table", name="Nodes").locator("[data-node]")
        expect(rows).to_have_count(2)
        press("Escape")
        expect(rows).to_have_count(3)

        # rows: down, up, ticked one by one and as a stretch, ordered, let go, opened
        title.focus()
        bar = page.get_by_role("region", name="Selection")
        for key in ("j", "j", "k", "x"):
            press(key)
        expect(rows.nth(0)).to_be_focused()
        expect(bar).to_contain_text("1 node selected")
        for key in ("ArrowDown", "ArrowDown", "ArrowUp", "ArrowDown", "Shift+X"):
            press(key)
        expect(bar).to_contain_text("3 nodes selected")
        press("u")
        expect(page.get_by_role("dialog", name="Upgrade packages on 3 nodes")).to_be_visible()
        press("Escape")
        expect(dialog).to_have_count(0)
        press("Escape")
        expect(bar).to_have_count(0)
        rows.nth(1).focus()
        press("o")
        expect(title).to_have_text("web-01")
        page.go_back()
        expect(title).to_be_focused()  # as on each page that is come to; a row that has the focus before would lose it
        expect(rows).to_have_count(3)
        press("j")
        expect(rows.nth(1)).to_be_focused()
        rows.nth(2).focus()
        press("Enter")
        expect(title).to_have_text("web-02")

        # a node: its neighbours, its ranges
        for key, name in (("[", "web-01"), ("[", "db-01"), ("[", "db-01"), ("]", "web-01")):
            press(key)
            expect(title).to_have_text(name)
        for number, name in list(enumerate(RANGES, 1))[::-1]:
            press(str(number))
            expect(page.get_by_role("radio", name=name)).to_be_checked()
        press("Space")
        expect(page.get_by_role("button", name="Back to live")).to_be_visible()
        press("Escape")
        expect(page.get_by_role("button", name="Back to live")).to_have_count(0)

        # Escape from a window of time keeps the selection in the fleet
        page.get_by_role("link", name="Fleet").first.click()
        rows.nth(0).focus()
        press("x")
        expect(bar).to_contain_text("1 node selected")
        press("o")
        expect(page.get_by_role("heading", level=1)).to_have_text("db-01")
        expect(page.get_by_role("button", name="Freeze live view")).to_be_visible()
        press("Space")
        back = page.get_by_role("button", name="Back to live")
        expect(back).to_be_visible()
        press("Escape")
        expect(back).to_have_count(0)
        press("Escape")
        page.get_by_role("link", name="Fleet").first.click()
        expect(bar).to_contain_text("1 node selected")
        press("Escape")
        expect(bar).to_have_count(0)


@pytest.mark.holds("J-14")
def test_a_range_by_key_or_palette_ends_a_window_and_a_freeze(browser: Browser, hub: HubProcess, stage: Stage, *, every: bool) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        log_in(seen.page, seen.hub)
        press = page.keyboard.press
        window = page.locator(".window-bar")

        def choose(how: str) -> None:
            if len(how) == 1:
                return press(how)
            press("Control+k")
            expect(page.get_by_role("combobox", name="Search or run a command")).to_be_focused()
            page.keyboard.type(how)
            expect(page.get_by_role("option", name=how)).to_have_attribute("aria-selected", "true")
            return press("Enter")

        for tab in ("", "/measures?chart=load.1") if every else ("/measures?chart=load.1",):
            seen.open(f"/n/{stage.ids['web-01']}{tab}")
            for how, name, query in (
                ("2", "1h", "range=1h"),
                ("Charts: Last 24 hours", "24h", "range=24h"),
                ("1", "Live", ""),
                ("Charts: Live", "Live", ""),
            ):
                press("1")
                expect(page.get_by_role("button", name="Freeze live view")).to_be_visible()
                press("Space")
                expect(window).to_be_visible()
                assert "from=" in page.url
                choose(how)
                expect(window).to_have_count(0)
                expect(page.get_by_role("radio", name=name)).to_be_checked()
                left = page.url.partition("?")[2].removeprefix("chart=load.1").removeprefix("&")
                assert left == query

        # where there are no charts there is nothing to choose
        seen.open(f"/n/{stage.ids['web-01']}/packages")
        press("3")
        press("[")
        assert page.url.endswith("/packages")
