"""The page on a phone: no horizontal overflow, the important parts first, and text that stays readable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.hub import HubProcess
from tests.support.page.gate import HUB_AWAY, LOOKS, Look, gate, log_in
from tests.support.page.hubs import hub_of_the_file, stage_of_the_file
from tests.support.page.phone import LIVING, inside, not_wider, on_phone
from tests.support.page.waits import try_now, until
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

AA = 4.5
"""What normal text must have, WCAG 1.4.3."""
CONTRAST = """(button) => {
    const paint = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const light = (colour) => {
        paint.clearRect(0, 0, 1, 1);
        paint.fillStyle = colour;
        paint.fillRect(0, 0, 1, 1);
        const [red, green, blue] = [...paint.getImageData(0, 0, 1, 1).data].map((part) => part / 255)
            .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const {color, backgroundColor} = getComputedStyle(button);
    const [low, high] = [light(color), light(backgroundColor)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
}"""


FULL = """(strip) => {
    const cells = [...strip.children];
    const say = (cell, part, text) => { if (cell?.querySelector(part)) cell.querySelector(part).textContent = text; };
    say(cells[2], ".value", "0.59");
    say(cells[4], ".states > *", "[+] 1210 security on 320 nodes");
    const unit = document.createElement("small");
    unit.textContent = "of 1.02 TiB";
    cells[2].querySelector(".value").append(unit);
    const end = (cell) => {
        const inner = document.createRange();
        return Math.max(...[...cell.querySelectorAll(".value, .under, .states")].filter((part) => part.checkVisibility())
            .map((part) => { inner.selectNodeContents(part); return inner.getBoundingClientRect().right; }));
    };
    return cells.filter((cell) => cell.checkVisibility()).slice(1).map((cell) => Math.floor(cell.getBoundingClientRect().right - end(cell)));
}"""
"""The fleet's figures as long as those of a large fleet, and how much room is left behind each."""
TALL = """(link) => {
    const {left, top, width, height} = link.getBoundingClientRect();
    const hit = (y) => link.contains(document.elementFromPoint(left + width / 2, y));
    let first = top + height / 2, last = first;
    while (hit(first - 1)) first -= 1;
    while (hit(last + 1)) last += 1;
    return last - first;
}"""
"""How high it is for who presses it."""


hub = hub_of_the_file()
stage = stage_of_the_file(*LIVING)


def under_pointer(page: Page, button: Locator) -> None:
    button.hover()
    until(page, lambda: float(button.evaluate(CONTRAST)), lambda ratio: ratio >= AA)


def test_the_selection_bar_is_above_the_tabs_and_within_the_screen(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        seen.sign_in()
        for width in (320, 390):
            page = on_phone(seen, width)
            for name in ("web-01", "web-02", "db-02"):
                page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()
            bar = page.get_by_role("region", name="Selection")
            expect(bar.get_by_text("3 nodes selected")).to_be_visible()
            for name in ("Upgrade…", "Run…", "Tag…", "Remove…", "Clear"):
                inside(page, bar.get_by_role("button", name=name, exact=True))
            not_wider(page)
            below = page.get_by_role("navigation", name="Main, phone").bounding_box()
            box = bar.bounding_box()
            assert box is not None
            assert below is not None
            assert abs(box["y"] + box["height"] - below["y"]) <= 1, (box, below)
            page.get_by_role("button", name="Clear", exact=True).click()
            expect(bar).to_have_count(0)


@pytest.mark.slow
def test_figures_of_a_large_fleet_stay_within_their_cells(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        log_in(seen.page, seen.hub)
        seen.open("/")
        for width in (375, 390, 761, 1100, 1240):
            page = on_phone(seen, width)
            expect(page.locator(".vitals .value").nth(2)).to_contain_text("of")
            expect(page.locator(".vitals .states > *").last).to_be_attached()
            left = page.locator(".vitals").evaluate(FULL)
            assert min(left) >= 4, left


def test_the_states_are_large_enough_to_be_pressed(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    [late] = hub.enrol("late")  # where all are well, there is no state to press
    try:
        with gate(browser, hub) as seen:
            seen.sign_in()
            for width in (390, 1440):
                link = on_phone(seen, width).locator(".states a:visible").first
                expect(link).to_be_visible()
                assert link.evaluate(TALL) >= 23
    finally:
        hub.local("DELETE", f"/api/v1/nodes/{late.node_id}?force=true")


@pytest.mark.slow
def test_a_toast_does_not_cover_the_selection_bar(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        log_in(seen.page, seen.hub)
        for width in (800, 1440):
            page = on_phone(seen, width)
            seen.open("/")
            page.get_by_role("checkbox", name="Select web-01", exact=True).check()
            bar = page.get_by_role("region", name="Selection")
            bar.get_by_role("button", name="Tag…").click()
            tag = page.get_by_role("dialog").get_by_role("textbox")
            tag.fill("noted")
            tag.press("Enter")
            page.get_by_role("dialog").get_by_role("button", name=re.compile("^Change")).click()
            note = page.get_by_role("region", name="Notifications").get_by_role("status")
            expect(note).to_be_visible()
            above, below = note.bounding_box(), bar.bounding_box()
            assert above is not None
            assert below is not None
            assert above["y"] + above["height"] <= below["y"], (above, below)
            not_wider(page)
            note.get_by_role("button", name="Undo").click()
            expect(page.get_by_text("Tag change undone on 1 node")).to_be_visible()


@pytest.mark.slow
def test_a_toast_does_not_cover_the_offline_notice(browser: Browser, tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as own, gate(browser, own, expected=(*HUB_AWAY, "ERR_FAILED")) as seen:
        own.enrol("one")
        seen.sign_in()
        page = on_phone(seen)
        expect(page.get_by_role("list", name="Nodes")).to_contain_text("one")
        own.slay()
        banner = page.locator(".banners .banner")
        expect(banner).to_contain_text("No connection to Ground Control")
        page.keyboard.press("Control+k")
        note = page.get_by_role("region", name="Notifications").get_by_role("alert")
        expect(note).to_contain_text("This part of the page could not be loaded")
        above, below = banner.bounding_box(), note.bounding_box()
        tabs = page.locator(".tabbar").bounding_box()
        assert above is not None
        assert below is not None
        assert tabs is not None
        assert above["y"] + above["height"] <= below["y"], (above, below)
        assert below["y"] + below["height"] <= tabs["y"], (below, tabs)


def test_the_selected_tab_is_visible_and_the_bottom_bar_names_the_page(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        log_in(seen.page, seen.hub)
        seen.walks = True
        page = on_phone(seen)
        for path, tabs in ((f"/n/{stage.ids['db-01']}", "Parts of the node"), ("/settings", "Parts of the settings")):
            seen.open(path)
            labels = page.get_by_role("tablist", name=tabs).get_by_role("tab")
            for place in range(labels.count()):
                tab = labels.nth(place)
                tab.click()
                expect(tab).to_have_attribute("aria-selected", "true")
                inside(page, tab)
        below = page.get_by_role("navigation", name="Main, phone")
        names = [re.sub(r"\W*\d*$", "", text.strip().splitlines()[0]) for text in below.get_by_role("link").all_inner_texts()]
        assert names == ["Fleet", "Alerts", "Updates", "Jobs", "Events"], "in the order of the side bar"
        account = below.get_by_role("button", name="Account")
        assert account.evaluate("(one) => getComputedStyle(one).color") != below.get_by_role("link", name="Events").evaluate(
            "(one) => getComputedStyle(one).color"
        )


def test_the_process_table_of_a_phone_begins_with_the_name(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        log_in(seen.page, seen.hub)
        page = on_phone(seen)
        seen.open(f"/n/{stage.ids['db-01']}/processes")
        table = page.get_by_role("region", name="Processes, table")
        heads = table.get_by_role("columnheader")
        expect(heads.first).to_have_text("Name")
        for name in ("Name", "CPU", "Memory"):
            inside(page, table.get_by_role("columnheader", name=name))
        seen.look(LOOKS[0])
        expect(heads.first).to_have_text("PID")


def test_a_phone_orders_and_groups_its_cards(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub, has_touch=True) as seen:
        seen.sign_in()
        page = on_phone(seen, 320)
        order, groups = page.get_by_label("Sort by", exact=True), page.get_by_label("Groups", exact=True)
        names = page.get_by_role("list", name="Nodes").get_by_role("listitem").locator("b.cut")
        expect(names).to_have_count(len(LIVING))
        expect(order).to_have_value("-state")
        for part in (order, groups, page.get_by_role("main").get_by_role("button", name="Add node")):
            inside(page, part)
        order.select_option(label="Name")
        expect(names).to_have_text(sorted(LIVING))
        order.select_option(label="Reverse order")
        expect(names).to_have_text(sorted(LIVING, reverse=True))
        expect(page).to_have_url(re.compile(r"\?sort=-name$"))
        order.select_option(label="Name")
        groups.select_option(label="By tag")
        expect(page.get_by_role("button", name=re.compile("^prod"))).to_be_visible()
        page.reload()
        expect(order).to_have_value("name")
        expect(groups).to_have_value("tag")
        groups.select_option(label="No groups")
        order.select_option(label="CPU")
        expect(names).to_have_count(len(LIVING))
        not_wider(page)

        names.first.dispatch_event("touchstart")
        before = names.all_inner_texts()
        stage.hold_cpu(before[-1], 98)
        try:
            pill = page.get_by_role("button", name="Re-sort")
            expect(pill).to_be_visible()
            assert names.all_inner_texts() == before, "nothing moves under a finger"
            pill.click()
            expect(names.first).to_have_text(before[-1])
        finally:
            stage.hold_cpu(before[-1], 5)


@pytest.mark.slow
def test_a_button_under_the_pointer_can_be_read(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        log_in(seen.page, seen.hub)
        seen.walks = True
        for scheme in ("dark", "light"):
            seen.look(Look(scheme, {"width": 1440, "height": 900}))
            seen.open(f"/n/{stage.ids['db-01']}/settings")
            page = seen.page
            page.get_by_role("button", name="Remove node").first.click()
            dialog = page.get_by_role("dialog")
            dialog.get_by_role("textbox").last.fill("db-01")
            under_pointer(page, dialog.get_by_role("button", name=re.compile("Remove")).last)
            dialog.get_by_role("button", name="Cancel").click()
            page.get_by_label("Name in Stardust").fill("db-one")
            under_pointer(page, page.get_by_role("button", name="Save", exact=True))
            under_pointer(page, page.get_by_role("button", name="Add node", exact=True).first)


def test_the_first_run_offers_ssh_and_a_command(browser: Browser, tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub, gate(browser, hub) as seen:
        seen.sign_in()
        page = seen.page
        page.get_by_role("button", name="One-line command").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("radio", name="One-line command")).to_have_attribute("aria-checked", "true")
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        page.get_by_role("main").get_by_role("button", name="Add node").click()
        expect(page.get_by_role("dialog").get_by_role("radio", name="Over SSH")).to_have_attribute("aria-checked", "true")


@pytest.mark.slow
def test_a_dialog_scrolls_as_a_whole_on_a_very_low_screen(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        seen.sign_in()
        page = seen.page
        page.set_viewport_size({"width": 1440, "height": 540})
        page.get_by_role("button", name="Add node", exact=True).first.click()
        dialog = page.get_by_role("dialog")
        body, connect = dialog.locator(".deploy-form"), dialog.get_by_role("button", name="Connect")
        expect(connect).to_be_in_viewport(ratio=1)
        inner = "(part) => part.scrollHeight - part.clientHeight"
        assert body.evaluate(inner) > 0, "a high screen keeps head and foot where they are"
        page.set_viewport_size({"width": 360, "height": 225})
        until(page, lambda: body.evaluate(inner), lambda hidden: hidden == 0)
        until(page, lambda: dialog.evaluate(inner), lambda hidden: hidden > 0)
        for part in (dialog.get_by_label("Host name or IP"), connect, dialog.get_by_role("button", name="Close")):
            part.scroll_into_view_if_needed()
            inside(page, part)
            expect(part).to_be_in_viewport(ratio=1)
        not_wider(page)


INKS = """(page) => [...new Set([page, ...page.querySelectorAll(
    '.node-card b, .fleet :is(.figure, .both-ways, [role=cell].right, .right > span:not(.pill))')].map((one) => getComputedStyle(one).color))]"""
"""The page's first, then those of its figures."""
ALARMING = ":is(.node-card b, .fleet .figure):is(.warn, .crit)"


@pytest.mark.slow
def test_all_figures_are_dimmed_while_the_hub_is_lost(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    busy = {"version": 0, "expr": "last(cpu.total)", "for_s": 0, "clear_s": 0, "warn": {"trigger": 1, "clear": 0.5}}
    assert hub.local("PATCH", "/api/v1/rules/cpu.saturated", busy).status == 200
    stage.hold_cpu("web-01", 90)
    with gate(browser, hub, expected=HUB_AWAY) as seen:
        seen.sign_in()
        page = on_phone(seen)
        main = page.locator("main > .page")

        def inks() -> list[str]:
            found: list[str] = main.evaluate(INKS)
            return found

        expect(page.locator(f".node-card {ALARMING}").first).to_be_visible(timeout=60_000)
        bright = inks()
        assert len(bright) > 1, "what alarms has an ink of its own"
        hub.slay()
        try:
            expect(page.get_by_text("No connection to Ground Control")).to_be_visible()
            until(page, inks, lambda found: len(found) == 1 and found[0] not in bright)
            page.set_viewport_size({"width": 1440, "height": 900})
            expect(page.locator(f".fleet {ALARMING}").first).to_be_visible()
            for theme in ("light", "dark"):
                page.evaluate("(theme) => { document.documentElement.dataset.theme = theme }", theme)
                until(page, inks, lambda found: len(found) == 1)
        finally:
            hub.launch()
        try_now(page)
        until(page, inks, lambda found: len(found) > 1 and found[0] == bright[0])


WORN = """(part) => [getComputedStyle(part, "::after").backgroundColor, getComputedStyle(part).backgroundColor]"""


@pytest.mark.slow
def test_in_forced_colours_the_selected_items_are_distinguishable(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    hub.enrol("late")  # a second state
    with gate(browser, hub, forced_colors="active") as seen:
        page = seen.page
        seen.walks = True
        seen.sign_in(at="/")
        marked = "(one) => getComputedStyle(one).outlineStyle"
        expect(page.locator(".state-bar i").first).to_be_attached()
        assert page.locator(".state-bar i").first.evaluate(marked) == "solid"
        assert page.get_by_role("radio", name="Table").evaluate(marked) == "solid"
        assert page.get_by_role("radio", name="Cards").evaluate(marked) == "none"
        inks = "(all) => all.map((one) => getComputedStyle(one).backgroundColor)"
        states = page.locator(".state-bar i").evaluate_all(inks)
        assert len(set(states)) > 1, states
        seen.open(f"/n/{stage.ids['db-01']}")
        series = page.locator(".legend").first.locator("i")
        expect(series.nth(2)).to_be_visible()
        colours = series.evaluate_all(inks)
        assert len(set(colours)) == len(colours), colours  # the series of each line
        expect(page.locator("figure.card").first).to_have_css("outline-style", "solid")
        page.keyboard.press("Control+k")
        expect(page.get_by_role("dialog")).to_have_css("outline-style", "solid")
        page.keyboard.press("Escape")
        seen.open("/settings/appearance")
        switch = page.get_by_role("switch").first
        assert switch.evaluate(marked) == "solid"
        knob, track = switch.evaluate(WORN)
        assert knob != track, (knob, track)
