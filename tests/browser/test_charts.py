"""Charts of a node: zooming by drag and keyboard, gaps, marks and tables; a large node without temperatures."""

from __future__ import annotations

import csv
import io
import operator
import re
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import sign_in
from tests.support.page.answers import saves_preferences
from tests.support.page.gate import log_in, tab
from tests.support.page.hubs import hub_of_the_file
from tests.support.page.large_node import CARDS, CORES, HOLE, WINDOW_S, Large
from tests.support.page.plots import drag, plot_box, told_at_the_end, window_of
from tests.support.page.rules import add_rule
from tests.support.page.waits import until
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

hub = hub_of_the_file()


@pytest.mark.holds("J-7")
def test_the_table_of_a_narrow_chart_shows_every_series_with_its_range(page: Page, hub: HubProcess) -> None:
    with Stage(hub, only=("web-01",)) as stage:
        sign_in(page, hub, at=f"/n/{stage.ids['web-01']}?range=24h")
        card = page.get_by_role("figure", name="Memory chart")
        expect(card.locator(".u-over")).to_be_visible()
        card.hover()
        page.keyboard.press("v")
        table = card.get_by_role("region", name="Memory as table")
        expect(table.locator("td", has_text="–").first).to_be_visible()  # noqa: RUF001  # from the least to the most
        expect(table.get_by_role("columnheader")).to_have_text(["Time", "used", "cache"])
        assert table.evaluate("(box) => box.scrollWidth - box.clientWidth") <= 0


@pytest.mark.holds("J-7", "J-14")
def test_charts_show_any_window_and_never_hide_a_gap(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("with-a-hole")
    with Large(hub, [node]) as large:
        sign_in(page, hub, at=f"/n/{node.node_id}")
        cpu = page.get_by_role("figure", name="CPU chart")
        chart = cpu.get_by_role("group", name="CPU over time")
        plot = cpu.locator(".u-over")
        expect(plot).to_be_visible()

        # parts: one cell for each core, readable by keyboard; the busiest card first, the others selectable; nothing for missing metrics
        cores = page.get_by_role("group", name=re.compile("Per-core CPU"))
        expect(cores.locator("i")).to_have_count(CORES)
        cores.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        expect(page.get_by_role("region", name="Cores").get_by_role("status")).to_contain_text("#8")
        expect(page.get_by_label("Network shown").get_by_role("option")).to_have_count(CARDS)
        expect(page.get_by_label("Disk shown").get_by_role("option")).to_have_count(2)
        expect(page.get_by_role("figure", name="Temperature chart")).to_have_count(0)

        # a job becomes a mark; the hole is over by the time that it is there
        token = hub.login().token
        assert hub.request("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "check"}, token=token).status == 202
        expect(page.get_by_role("region", name="Recent events").get_by_text("succeeded").first).to_be_visible()
        page.wait_for_function("() => document.querySelectorAll('.u-over').length >= 5")
        assert large.speaks_again.wait(30)

        # arrow keys read sample by sample, as text; the cursor follows in all charts; the gap is reported, not bridged
        chart.focus()
        page.keyboard.press("End")
        expect(chart.get_by_role("status")).to_contain_text(re.compile(r"user \d+\.\d%, system"))
        lines = "() => [...document.querySelectorAll('.u-cursor-x')].filter((line) => !line.classList.contains('u-off')).length"
        page.wait_for_function(f"({lines})() >= 5")
        # what history may still tell is no hole: that it tells nothing more is known some seconds after the page was opened
        chart.focus()
        page.keyboard.press("v")
        table = cpu.get_by_role("region", name="CPU as table")
        expect(table.get_by_role("cell", name=re.compile(r"^no data \d+\ss$"))).to_be_visible()
        cpu.get_by_role("button", name="View CPU as chart").click()
        chart.focus()
        page.keyboard.press("End")
        told = chart.get_by_role("status")
        for _ in range(WINDOW_S):
            before = told.inner_text()
            page.keyboard.press("ArrowLeft")
            expect(told).not_to_have_text(before)
            if "no data" in told.inner_text():
                break
        expect(told).to_contain_text(re.compile(r"no data for \d"))

        # the same as a table and as a file: there it is a row with both of its ends, here it is none, since nothing was measured then
        page.keyboard.press("v")
        hole = table.get_by_role("row").filter(has_text="no data")
        expect(hole).to_have_text(re.compile(r"^\d\d:\d\d:\d\d – \d\d:\d\d:\d\d.*no data \d+\ss$"))  # noqa: RUF001  # from then to then
        moments = [
            datetime.fromisoformat(at).timestamp()
            for at in hole.locator("time").evaluate_all("(found) => found.map((one) => one.dateTime)")
        ]
        assert HOLE <= moments[1] - moments[0] < HOLE + 3
        expect(table.get_by_text("Check for updates: succeeded")).to_be_visible()
        with page.expect_download() as saved:
            cpu.get_by_role("button", name="CPU, more").click()
            page.get_by_role("menuitem", name="Download as CSV").click()
        rows = list(csv.reader(io.StringIO(Path(saved.value.path()).read_text())))
        assert rows[0] == ["time", "cpu.total", "cpu.user", "cpu.system", "cpu.iowait", "marks"]
        assert [row for row in rows if row[1:4] == ["", "", ""]] == []
        assert not [row for row in rows[1:] if moments[0] < datetime.fromisoformat(row[0]).timestamp() < moments[1]]
        assert any(re.fullmatch(r"\d+(\.\d+)?", row[1]) for row in rows[1:])
        cpu.get_by_role("button", name="View CPU as chart").click()

        # a drag freezes the view of all charts and the URL; Escape resets it
        drag(page, plot, 0.8, 0.95)
        page.wait_for_url(re.compile("from="))
        frozen = until(page, lambda: window_of(page))
        assert 30 <= frozen[1] - frozen[0] <= 60
        expect(page.get_by_role("button", name="Back to live")).to_be_visible()
        page.reload()
        expect(page.get_by_role("button", name="Back to live")).to_be_visible()
        expect(cpu.get_by_text("user")).to_be_visible()
        page.get_by_role("button", name="Zoom out").click()
        wider = until(page, lambda: window_of(page), lambda found: found != frozen)
        assert wider[1] - wider[0] == pytest.approx(2 * (frozen[1] - frozen[0]), abs=2)
        page.get_by_role("button", name="Earlier").click()
        until(page, lambda: window_of(page), lambda found: found[0] < wider[0])
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Back to live")).to_have_count(0)
        until(page, lambda: window_of(page), operator.not_)

        # keys do what a drag does, and a double click what Escape does
        expect(plot).to_be_visible()
        chart.focus()
        page.keyboard.press("End")
        for _ in range(14):
            page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("from="))
        plot.dblclick()
        expect(page.get_by_role("button", name="Back to live")).to_have_count(0)

        # Space freezes; a number is a range; any window can be typed
        page.get_by_role("heading", level=1).focus()
        page.keyboard.press("Space")
        expect(page.get_by_role("button", name="Back to live")).to_be_visible()
        page.keyboard.press("2")
        expect(page.get_by_role("radio", name="1h")).to_be_checked()
        expect(plot).to_be_visible()
        page.get_by_role("button", name="Choose a time range").click()
        dialog = page.get_by_role("dialog", name="Custom time range")
        dialog.get_by_label("From").fill("2026-01-02T03:04:05")
        dialog.get_by_label("To").fill("2026-01-02T03:04:00")
        expect(dialog.get_by_role("button", name="Show")).to_be_disabled()
        dialog.get_by_label("To").fill("2026-01-02T04:04:05")
        dialog.get_by_role("button", name="Show").click()
        expect(cpu.get_by_text("No data in this time")).to_be_visible()
        page.get_by_role("button", name="Back to 1h").click()

        # the server's own clock stands beside the reader's, and colours follow the theme
        expect(plot).to_be_visible()
        plot.hover()
        expect(cpu.get_by_text("Asia/Tokyo")).to_be_visible()
        shade = "() => { const canvas = document.querySelector('figure canvas'); return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.join() }"
        shown = page.evaluate(shade)
        page.emulate_media(color_scheme="light")
        page.wait_for_function(f"(before) => ({shade})() !== before", arg=shown)


def test_charts_out_of_view_load_when_they_come_into_view(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("scrolled")
    with Large(hub, [node]):
        sign_in(page, hub, at=f"/n/{node.node_id}/measures")
        values, figures = page.locator(".measure-groups button"), page.get_by_role("figure")
        expect(values.nth(40)).to_be_visible()
        for at in range(1, 31):
            values.nth(at).evaluate("(one) => one.click()")
        expect(figures).to_have_count(30)
        page.evaluate("() => scrollTo(0, 0)")
        first, last = (one.locator("[data-at]").first for one in (figures.first, figures.last))

        def behind() -> float:
            return float(first.get_attribute("data-at") or 0) - float(last.get_attribute("data-at") or 0)

        until(page, behind, lambda seconds: seconds > 2)
        figures.last.scroll_into_view_if_needed()
        until(page, behind, lambda seconds: seconds <= 0)


UNDER_SPARKS = """() => [...document.querySelectorAll('.vitals .spark')].filter((spark) => {
    const its = spark.getBoundingClientRect(), words = document.createRange();
    return its.width && [...spark.parentElement.querySelectorAll('.name, .value')].some((text) => {
        words.selectNodeContents(text);
        const {right, top, bottom} = words.getBoundingClientRect();
        return right > its.left && top < its.bottom && bottom > its.top;
    });
}).map((spark) => spark.parentElement.textContent)"""
"""Of the fleet's vitals those whose words reach into their own spark."""


@pytest.mark.holds("J-13")
def test_network_rates_are_shown_in_bits_if_preferred(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("web-1")
    with Large(hub, [node]):
        sign_in(page, hub)
        row = page.locator("[data-node]").filter(has_text="web-1")
        expect(row.locator("[data-series='network.received']")).to_have_text(re.compile(r"B$"))
        page.goto(f"{hub.url}/settings/appearance")
        with page.expect_response(saves_preferences):
            page.get_by_role("switch", name="Network speed in bits per second").click()
        page.goto(hub.url)
        for way in ("received", "sent"):
            expect(row.locator(f"[data-series='network.{way}']")).to_have_text(re.compile(r"bit$"))
        expect(page.get_by_role("region", name="Fleet vitals")).to_contain_text(re.compile(r"bit/s in.*bit/s out"))
        for width in (800, 1099, 1120, 1366, 1440, 1599, 1600):
            page.set_viewport_size({"width": width, "height": 900})
            expect(page.locator(".vitals .spark").first).to_be_visible()
            assert page.evaluate(UNDER_SPARKS) == [], width
        page.set_viewport_size({"width": 390, "height": 844})
        expect(page.locator(".node-card").filter(has_text="web-1").locator(".last")).to_contain_text(re.compile(r"bit/s.*bit/s"))
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(f"{hub.url}/n/{node.node_id}")
        network = page.get_by_role("figure", name=re.compile(r"^Network .* chart$"))
        expect(network).to_contain_text(re.compile(r"bit/s"))
        expect(page.get_by_role("figure", name=re.compile(r"^Disk .* chart$"))).to_contain_text(re.compile(r"[^t]B/s"))
        network.get_by_role("button", name=re.compile("more$")).click()
        page.get_by_role("menuitem", name="Show bytes per second").click()
        expect(network).not_to_contain_text("bit/s")


@pytest.mark.slow
def test_an_unchanged_time_range_stays_the_same_in_a_repeated_hour(browser: Browser, hub: HubProcess) -> None:
    [node] = hub.enrol("repeated")
    with Large(hub, [node]), tab(browser, timezone_id="Europe/Berlin") as page:
        log_in(page, hub)
        page.clock.set_fixed_time(datetime(2026, 11, 25, 12, tzinfo=UTC))
        window = (1_792_890_600, 1_792_892_400)
        page.goto(f"{hub.url}/n/{node.node_id}?from={window[0]}&to={window[1]}")
        page.get_by_role("button", name="Choose a time range").click()
        dialog = page.get_by_role("dialog", name="Custom time range")
        expect(dialog).to_contain_text("This time comes twice: the second one is meant, UTC+01:00.")
        dialog.get_by_role("button", name="Show").click()
        expect(dialog).to_have_count(0)
        assert window_of(page) == window


@pytest.mark.refusals("500 (Internal Server Error)")
def test_a_node_page_shows_its_issues_failures_and_offline_reason(page: Page, hub: HubProcess) -> None:
    add_rule(hub, "traffic", "last(network.received{interface=eth0})", 1)
    [node] = hub.enrol("large")
    with Large(hub, [node], full=True):
        sign_in(page, hub, at=f"/n/{node.node_id}")
        expect(page.get_by_role("status").filter(has_text="traffic (eth0)")).to_be_visible()

        # a part that fails says so where it is, and tries again; the rest goes on
        page.route(
            re.compile(r"/history\?"),
            lambda route: route.fulfill(
                status=500,
                content_type="application/problem+json",
                json={
                    "type": "",
                    "title": "",
                    "status": 500,
                    "detail": "The database is locked.",
                    "code": "internal",
                    "instance": "req-7f31c",
                },
            ),
        )
        page.get_by_role("radio", name="24h").click()
        failed = page.get_by_role("alert").filter(has_text="History could not be read.")
        expect(failed).to_contain_text("req-7f31c")
        expect(page.get_by_role("figure", name="CPU chart").get_by_text("Could not be read")).to_be_visible()
        page.unroute(re.compile(r"/history\?"))
        failed.get_by_role("button", name="Try again").click()
        expect(failed).to_have_count(0)
        expect(page.get_by_role("figure", name="CPU chart").locator(".u-over")).to_be_visible()

        # a new name and a tag are undone from the note that tells of them
        page.get_by_role("tab", name="Settings").click()
        page.get_by_label("Name in Stardust").fill("renamed")
        page.get_by_role("textbox", name="Tags").fill("edge")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Save").click()
        undo = page.get_by_role("button", name="Undo")
        undo.hover()  # the note that offers it stays while the pointer is on it
        expect(page.get_by_role("heading", level=1, name="renamed")).to_be_visible()
        until(page, lambda: hub.node(node.node_id)["tags"], lambda tags: tags == ["edge"])
        undo.click()
        expect(page.get_by_role("heading", level=1, name="large")).to_be_visible()
        expect(page.get_by_label("Name in Stardust")).to_have_value("large")
        until(page, lambda: hub.node(node.node_id)["tags"], lambda tags: tags == [])
        page.get_by_role("tab", name="Overview").click()
        page.get_by_role("radio", name="Live").click()
    offline = page.get_by_role("status").filter(has_text="large is offline.")
    expect(offline).to_contain_text("Last contact")
    expect(offline).to_contain_text("It closed the connection itself")
    expect(page.get_by_role("tabpanel")).to_have_class("dimmed")


def test_a_pointer_beside_the_plot_shows_no_values_and_every_chart_has_the_threshold_of_an_alert(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("charted")
    with Large(hub, [node]) as large:
        log_in(page, hub)
        assert large.speaks_again.wait(60)
        page.goto(f"{hub.url}/n/{node.node_id}")
        cpu = page.get_by_role("figure", name="CPU chart")

        def values_at(across: float, down: float, right: float = 0, below: float = 0) -> int:
            """Point there, in shares of the plot and in pixels from it, wherever it is by now: the page above it may grow at any time."""
            box = plot_box(page, cpu)
            page.mouse.move(box["x"] + box["width"] * across + right, box["y"] + box["height"] * down + below, steps=3)
            return cpu.locator(".plot-tip").count()

        for beside in (partial(values_at, 0, 0.5, right=-20), partial(values_at, 0.5, 1, below=10)):
            until(page, partial(values_at, 1, 0.5, right=-8))
            until(page, beside, operator.not_)

        add_rule(hub, "busy", "last(cpu.total)", 1)
        for address in (
            f"n/{node.node_id}",
            f"n/{node.node_id}/measures?chart=cpu.total",
            f"compare?nodes={node.node_id}&metric=cpu.total",
        ):
            page.goto(f"{hub.url}/{address}")
            chart = page.get_by_role("figure", name=re.compile(r"^CPU (total )?chart$"))
            expect(chart.locator(".u-over")).to_be_visible()
            told = partial(told_at_the_end, page, chart)
            until(page, told, lambda found: any("threshold\n1%" in text for text in found), limit_s=60)
