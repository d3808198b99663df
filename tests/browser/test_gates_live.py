"""Live updates of the page: values, order, a lost hub, a hidden tab, a silent node, a newer build. Simulated nodes, the real hub."""

from __future__ import annotations

import itertools
import operator
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgpack
import pytest
from playwright.sync_api import Browser, Page, WebSocket, WebSocketRoute, expect

from tests.support.hub import PASSWORD, HubProcess
from tests.support.page.answers import OLDER, Wire
from tests.support.page.gate import HUB_AWAY, gate, log_in
from tests.support.page.rules import quick_rules
from tests.support.page.waits import stop_clock, try_now, until
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

NODES = ("web-01", "web-02", "web-03", "db-01", "edge-ams")
QUIET_MS = 3_500
"""Samples come once a second: three that did not come, and some room."""
SILENT_MS, LOST_MS = 7_500, 30_000
"""When the page says that the hub is silent, and when it has given it up."""
OLD = re.compile(r"\d\s(s|min)\sold")
WATCH_SHIFTS = """
window.__shifts = [];
new PerformanceObserver((list) => {
    for (const one of list.getEntries()) if (!one.hadRecentInput && !one.sources.every(({node}) => node?.closest?.(".attention"))) window.__shifts.push([one.value, ...one.sources.map(({node}) => node?.outerHTML?.slice(0, 200))]);
}).observe({type: "layout-shift", buffered: true});
"""
# What needs attention comes and goes by what happens: that strip may change, values may not move anything.
NEXT_VALUE = """([series, at]) => Number(document.querySelector(`[data-series="${series}"]`)?.dataset.at) > at"""
GROUP = """() => ({
    head: document.querySelector("[role=row].group [role=cell]")?.innerText,
    fresh: document.querySelector("[role=row][aria-label^='web-01,']")?.ariaLabel.match(/CPU (\\d+%)/)?.[1],
})"""
"""What the header of a group says, and what the one of it does that still tells something."""
HIDE = """
let hidden = window.name === "hidden";
Object.defineProperty(Document.prototype, "hidden", {get: () => hidden});
Object.defineProperty(Document.prototype, "visibilityState", {get: () => hidden ? "hidden" : "visible"});
window.__hide = (on) => { hidden = on; document.dispatchEvent(new Event("visibilitychange")); };
const real = window.setTimeout;
window.setTimeout = (then, ms, ...more) => real(then, ms === 30_000 ? 300 : ms, ...more);
"""
"""A headless page is never hidden; and the half minute until it stops listening is shortened."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("live") / "hub") as made:
        quick_rules(made, "memory.available")  # that of web-03
        yield made


@pytest.fixture(scope="module")
def stage(hub: HubProcess) -> Iterator[Stage]:
    with Stage(hub, only=NODES, every_s=1.0) as made:
        yield made


def names_in_order(page: Page) -> list[str]:
    found: list[str] = page.get_by_role("table", name="Nodes").get_by_role("rowheader").locator("b").all_inner_texts()
    return found


def next_value(page: Page, series: str) -> float:
    """Wait for a newer sample of a series; returns its moment."""
    cell = page.locator(f'[data-series="{series}"]').first
    expect(cell).to_be_visible()
    at = float(cell.get_attribute("data-at") or "nan")
    page.wait_for_function(NEXT_VALUE, arg=[series, at])
    return float(cell.get_attribute("data-at") or "nan")


def as_table(page: Page) -> None:
    """Show the CPU chart as a table."""
    page.get_by_role("figure", name="CPU").first.hover()
    page.keyboard.press("v")
    expect(page.get_by_role("region", name="CPU as table")).to_be_visible()


def seconds_shown(page: Page, *, holes: bool = False) -> list[str]:
    """The moments of the CPU chart as its table gives them, newest first; without `holes`, once none of them is without data."""
    as_table(page)
    rows = page.get_by_role("region", name="CPU as table").locator("tbody tr")
    expect(rows.nth(3)).to_be_visible()
    if not holes:
        expect(rows.filter(has_text="no data")).to_have_count(0)  # the hub's history fills what was missed
    times: list[str] = rows.locator("time").evaluate_all("(found) => found.map((one) => one.dateTime)")
    page.get_by_role("button", name=re.compile("^View CPU as chart")).click()
    return times


@pytest.mark.holds("J-3")
def test_values_update_without_layout_shift_or_reordering_under_the_pointer(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        page.add_init_script(WATCH_SHIFTS)
        log_in(seen.page, seen.hub)
        seen.open("/?sort=name")  # by what they measure, rows change places now and then, as they should
        expect(page.get_by_text("5of 5 online")).to_be_visible()
        expect(page.get_by_role("table", name="Nodes").get_by_role("rowheader").locator("b")).to_have_text(sorted(NODES))
        expect(page.get_by_role("region", name="Needs attention")).to_be_visible()  # it pushes the table down when it comes
        expect(page.get_by_text("nobody is notified")).to_be_visible(timeout=90_000)  # so does this
        next_value(page, "cpu.total")  # the first values, and the letters, take their room before the watch begins
        page.evaluate("() => document.fonts.ready.then(() => true)")
        page.evaluate("() => { window.__shifts.length = 0; }")
        for _ in range(6):
            next_value(page, "cpu.total")
        assert page.evaluate("() => window.__shifts") == [], "values that change move nothing"

        seen.open("/?sort=-cpu")
        expect(page.get_by_role("table", name="Nodes").get_by_role("rowheader").locator("b").first).to_have_text("web-03")
        page.get_by_role("table", name="Nodes").get_by_role("row").nth(2).hover()
        before = names_in_order(page)
        stage.hold_cpu("edge-ams", 99)
        stage.hold_cpu("web-03", 3)
        pill = page.get_by_role("button", name=re.compile("Re-sort"))
        expect(pill).to_be_visible()
        assert names_in_order(page) == before
        pill.click()
        expect(page.get_by_role("table", name="Nodes").get_by_role("rowheader").locator("b").first).to_have_text("edge-ams")


@pytest.mark.holds("J-6")
def test_a_silent_node_is_stale_then_offline_then_online(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        row = page.get_by_role("row").filter(has_text="web-02")
        expect(row).to_have_accessible_name(re.compile("^web-02, (ok|healthy|online|well|up)", re.IGNORECASE))
        stage.hush("web-02")
        expect(row).to_contain_text(re.compile(r"\d\ss\sold"))
        expect(row).to_have_class(re.compile("dimmed"))
        stage.leave("web-02")
        expect(row).to_contain_text(re.compile(r"offline \d+\ss: stopped or shut down"))
        stage.hush("web-02", on=False)
        stage.come_back("web-02")
        expect(row).not_to_have_class(re.compile("dimmed"))
        row.get_by_text("web-02").click()
        times = seconds_shown(page, holes=True)
        assert times == sorted(set(times), reverse=True)


def metric_frames(page: Page) -> list[str]:
    """Grows by the topic of every frame with samples that this page receives."""
    heard: list[str] = []

    def frame(data: str | bytes) -> None:
        message: Any = msgpack.unpackb(data) if isinstance(data, bytes) else None
        if message and message[0] in {"change", "snapshot"} and re.match("fleet|node:", message[1]["topic"]):
            heard.append(message[1]["topic"])

    def socket(opened: WebSocket) -> None:
        opened.on("framereceived", frame)

    page.on("websocket", socket)
    return heard


def heard_within(page: Page, heard: list[str], milliseconds: float) -> list[str]:
    heard.clear()
    page.wait_for_timeout(milliseconds)
    return list(heard)


@pytest.mark.holds("J-5")
def test_a_hidden_tab_receives_no_samples_and_has_them_all_after_its_return(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        page.add_init_script(HIDE)
        heard = metric_frames(page)
        log_in(seen.page, seen.hub)
        seen.open(f"/n/{stage.ids['web-01']}")
        next_value(page, "cpu.user")
        assert heard
        page.evaluate("() => window.__hide(true)")
        until(page, lambda: heard_within(page, heard, QUIET_MS), operator.not_, limit_s=60)
        page.evaluate("() => window.__hide(false)")
        next_value(page, "cpu.user")
        times = seconds_shown(page)
        assert times == sorted(set(times), reverse=True)
        page.evaluate("() => { window.name = 'hidden'; }")
        page.reload()  # as a tab that was opened in the background: it may stop listening before the first snapshot
        expect(page.get_by_role("banner").get_by_role("status")).to_contain_text("Live")
        until(page, lambda: heard_within(page, heard, QUIET_MS), operator.not_, limit_s=60)


@pytest.mark.holds("J-4")
def test_a_lost_hub_is_shown_values_are_dimmed_and_the_gap_is_filled(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub, expected=HUB_AWAY) as seen:
        page = seen.page
        log_in(seen.page, seen.hub)
        seen.open(f"/n/{stage.ids['web-01']}")
        next_value(page, "cpu.user")
        banner = page.get_by_text("No connection to Ground Control")
        hub.slay()
        try:
            expect(banner).to_be_visible()
            expect(page.get_by_role("tabpanel")).to_have_class(re.compile("dimmed"))
            expect(page.get_by_text(re.compile(r"Values are from \d\d:\d\d"))).to_be_visible()
            expect(page.get_by_text(re.compile(r"Trying (again in \d+\ss|now)"))).to_be_visible()
        finally:
            hub.launch()
        try_now(page)
        expect(banner).to_have_count(0)
        expect(page.get_by_role("tabpanel")).not_to_have_class(re.compile("dimmed"))
        next_value(page, "cpu.user")
        times = seconds_shown(page)
        assert times == sorted(set(times), reverse=True), "no moment stands twice"
        moments = [datetime.fromisoformat(one) for one in times]
        assert {later - earlier for later, earlier in itertools.pairwise(moments)} == {timedelta(seconds=1)}, "and none is left out"


@pytest.mark.holds("J-4")
def test_a_loss_of_the_hub_is_shown_after_three_seconds(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    """By the page's own clock, which stands while the machine is late."""
    with gate(browser, hub, expected=HUB_AWAY) as seen:
        page = seen.page
        page.clock.install()
        log_in(seen.page, seen.hub)
        seen.open(f"/n/{stage.ids['web-01']}")
        next_value(page, "cpu.user")
        banner = page.get_by_text("No connection to Ground Control")
        stop_clock(page)
        hub.slay()
        try:
            expect(page.get_by_text("Live · 1 s")).to_have_count(0)
            page.clock.run_for(2_800)
            page.evaluate("() => new Promise((done) => queueMicrotask(done))")
            expect(banner).to_have_count(0)
            expect(page.get_by_role("tabpanel")).not_to_have_class(re.compile("dimmed"))
            page.clock.run_for(200)
            expect(banner).to_be_visible()
            expect(page.get_by_role("tabpanel")).to_have_class(re.compile("dimmed"))
        finally:
            page.clock.resume()
            hub.launch()
        try_now(page)
        expect(banner).to_have_count(0)


def mutable(page: Page) -> list[float]:
    """A way to the hub that swallows everything while anything stands in the list; unlike a hub that ends, that closes no socket."""
    muted: list[float] = []

    def between(near: WebSocketRoute) -> None:
        far = near.connect_to_server()
        near.on_message(lambda said: None if muted else far.send(said))
        far.on_message(lambda said: None if muted else near.send(said))

    page.route_web_socket("**/api/v1/live", between)
    return muted


def test_a_silent_hub_is_shown_with_the_time_of_its_last_message(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    """By the page's own clock, which stands while the machine is late."""
    with gate(browser, hub) as seen:
        page = seen.page
        page.clock.install()
        muted = mutable(page)
        seen.sign_in()
        strip = page.get_by_role("table", name="Nodes")
        expect(strip).to_contain_text("web-03")
        next_value(page, "cpu.total")
        expect(page.get_by_text("Live · 1 s")).to_be_visible()
        stop_clock(page)
        muted.append(page.evaluate("() => Date.now()") / 1000)
        told = page.get_by_text(re.compile(r"Values are from \d\d:\d\d:\d\d"))
        page.clock.run_for(SILENT_MS)
        head = page.get_by_role("status").filter(has_text=re.compile(r"Silent · [6-9]\s+s"))
        expect(head.get_by_role("img", name="Stale")).to_be_visible()
        expect(told).to_have_count(0)
        page.clock.run_for(LOST_MS - SILENT_MS)
        expect(told).to_be_visible()
        [said] = re.findall(r"\d\d:\d\d:\d\d", told.inner_text())
        at = datetime.strptime(said, "%H:%M:%S").replace(tzinfo=UTC)
        before = datetime.fromtimestamp(muted[0], UTC).replace(year=1900, month=1, day=1)
        off_s = ((at - before).total_seconds() + 43_200) % 86_400 - 43_200
        assert -3 <= off_s <= 2, "the time of the last word, not of when the silence was noticed"
        expect(page.get_by_role("table", name="Nodes").get_by_role("row").filter(has_text="db-01")).to_contain_text(OLD)
        page.clock.resume()
        for away in ("Jobs", "Fleet"):
            page.get_by_role("link", name=away).first.click()
        expect(strip).to_contain_text("web-03")
        muted.clear()
        try_now(page)
        expect(told).to_have_count(0)
        next_value(page, "cpu.total")


def points(path: str) -> int:
    """How many the line goes through."""
    return path.count("M") + path.count("L")


@pytest.mark.holds("J-4")
def test_sparklines_of_the_fleet_have_a_gap_without_samples(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        page.clock.install()
        muted = mutable(page)
        seen.sign_in()
        lines = page.get_by_role("region", name="Fleet vitals").locator(".spark path")
        expect(lines).to_have_count(2)

        def drawn() -> list[str]:
            return [line.get_attribute("d") or "" for line in lines.all()]

        until(page, drawn, lambda paths: all(points(path) >= 12 for path in paths))
        muted.append(time.time())
        before, vitals = drawn(), page.get_by_role("region", name="Fleet vitals").inner_text()
        page.clock.run_for(30_000)
        for path, old in zip(drawn(), before, strict=True):
            assert points(path) <= points(old) + 4, "what nobody told is not drawn"
        assert "—" not in vitals
        expect(page.get_by_role("region", name="Fleet vitals")).not_to_contain_text("—")  # the last values stand, as they are dimmed
        muted.clear()
        try_now(page)
        expect(page.get_by_text("No connection to Ground Control")).to_have_count(0)
        until(page, drawn, lambda paths: all(path.count("M") > 1 for path in paths))


@pytest.mark.holds("J-6")
def test_a_node_with_old_values_is_left_out_of_the_fleets_sums(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        vitals = page.get_by_role("region", name="Fleet vitals")
        cores = vitals.get_by_text(re.compile(r"^\d+ cores$"))
        all_of_them = int(cores.inner_text().split()[0])
        stage.hush("web-02")
        try:
            until(page, lambda: int(cores.inner_text().split()[0]), lambda count: 0 < count < all_of_them)
            expect(vitals).to_contain_text(re.compile(r"5\s*of 5 online"))
            page.goto(f"{hub.url}/?group=tag&q=tag:web%20-web-03")
            until(page, lambda: page.evaluate(GROUP), lambda said: said["fresh"] and said["head"] == f"{said['fresh']} CPU · 1 stale")
            page.goto(hub.url)
        finally:
            stage.hush("web-02", on=False)
        until(page, lambda: int(cores.inner_text().split()[0]), lambda count: count == all_of_them)


def test_a_busy_button_keeps_its_label(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        page.route("**/auth/login", lambda _: None)
        page.goto(hub.url)
        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("button[aria-busy=true]")).to_have_accessible_name("Sign in")
        assert seen.axe() == []


@pytest.mark.holds("J-4")
def test_a_page_opened_without_a_hub_says_so_and_opens_later(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub, expected=("502 (Bad Gateway)",)) as seen:
        page = seen.page
        wire = Wire(page)
        seen.sign_in()
        wire.lose()
        page.goto(f"{hub.url}/n/{stage.ids['db-01']}/processes")
        expect(page.get_by_role("heading", name="No connection to Ground Control")).to_be_visible()
        expect(page.get_by_text(re.compile(r"Trying (again in \d+\ss|now)"))).to_be_visible()
        assert seen.axe() == []
        wire.mend()
        expect(page.get_by_role("heading", level=1, name="db-01")).to_be_visible()
        expect(page.get_by_role("tab", name="Processes")).to_have_attribute("aria-selected", "true")


@pytest.mark.holds("J-4")
def test_a_page_without_a_hub_names_the_missing_data_and_loads_it_later(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub, expected=("502 (Bad Gateway)",)) as seen:
        page = seen.page
        wire = Wire(page)
        wire.cut = True  # the log-in is answered, and nothing after it
        seen.sign_in()
        waits = page.get_by_role("heading", name="Waiting for the fleet")
        expect(waits).to_be_visible()
        expect(page.get_by_text("No data yet. It appears as soon as")).to_be_visible()
        assert seen.axe() == []
        page.evaluate(
            "path => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')); }", f"/n/{stage.ids['db-01']}"
        )
        expect(page.get_by_role("heading", name="Waiting for the node")).to_be_visible()
        expect(page.get_by_text(re.compile(r"Trying (again in \d+\ss|now)")).first).to_be_visible()
        wire.lose()
        page.get_by_role("link", name="Go to the fleet").click()
        expect(waits).to_be_visible()
        page.get_by_role("link", name="Jobs").first.click()
        expect(page.get_by_role("heading", name="The jobs could not be read")).to_be_visible()
        wire.mend()
        expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()
        page.get_by_role("link", name="Fleet").first.click()
        expect(page.get_by_role("table", name="Nodes")).to_contain_text("db-01")


@pytest.mark.holds("J-20")
def test_a_newer_build_is_offered_and_not_loaded_automatically(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        page.add_init_script(OLDER)
        loads: list[str] = []
        page.on("domcontentloaded", lambda loaded: loads.append(loaded.url))
        seen.open("/")
        expect(page.get_by_text("A new version of this page is ready")).to_be_visible()
        page.get_by_role("button", name="Add node").first.click()
        field = page.get_by_role("dialog").get_by_label("Host name or IP")
        field.fill("half-typed.example")
        next_value(page, "cpu.total")
        expect(field).to_have_value("half-typed.example")
        assert len(loads) == 1
        page.keyboard.press("Escape")
        with page.expect_event("domcontentloaded"):
            page.get_by_role("button", name="Reload").click()
        expect(page.get_by_role("table", name="Nodes")).to_be_visible()
        expect(page.get_by_role("dialog")).to_have_count(0)
        until(page, lambda: len(loads), lambda count: count == 2)
