"""Charts of a node: windows by drag and by keys, holes, marks, tables; a large node that measures no temperature."""

from __future__ import annotations

import asyncio
import csv
import io
import operator
import re
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from spider.wire.codec import pack_rows
from spider.wire.frames import STREAM_LIVE, JobAnswer, JobOutput, JobStart, Message, Pack, Row
from spider.wire.metrics import parse_series
from tests.browser.test_settings import sign_in
from tests.browser.waits import until
from tests.e2e.ordering import LINE, ended
from tests.support.agent import IDENTITY, TestAgent, layout_of
from tests.support.hub import Enrolled, HubProcess
from tests.support.played import PlayedNodes
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

CORES, CARDS = 128, 12
SERIES = [
    *("cpu.total", "cpu.user", "cpu.system", "cpu.iowait", "load.1", "load.15", "memory.total", "memory.used", "memory.cached"),
    *(f"cpu.core{{core={core}}}" for core in range(CORES)),
    *(f"network.{way}{{interface=eth{card}}}" for card in range(CARDS) for way in ("received", "sent")),
    *(f"disk.{way}{{device={disk}}}" for disk in ("sda", "sdb") for way in ("read", "written")),
]  # fmt: skip
LAYOUT = layout_of("pulse", 1, SERIES)
DISKS = layout_of("breathe", 60, ["filesystem.size{mount=/srv}", "filesystem.used{mount=/srv}"])
BEFORE, HOLE = 4, 6
"""Seconds of samples, then of none; more samples follow."""
HELD_S = 12
WINDOW_S = 300
"""What is seen live: so far back the hole may lie by the time that a busy machine looks for it."""


def value(series: str, turn: int) -> int:
    """Something to look at, other in each second."""
    metric, _ = parse_series(series)
    amount = {"memory.total": 8 << 30, "memory.used": 3 << 30, "memory.cached": 1 << 30}.get(series, 10 + turn % 50)
    return round(amount * metric.scale)


class Large(PlayedNodes):
    """A node of many parts, which is silent for some seconds, and does what it is ordered."""

    def __init__(self, hub: HubProcess, nodes: list[Enrolled], *, full: bool = False) -> None:
        super().__init__(hub, nodes)
        self.full = full
        self.greeted = {node.node_id: asyncio.Event() for node in nodes}
        self.speaks_again = threading.Event()

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        await agent.say(IDENTITY._replace(hostname=node.name, cpu_cores=CORES, timezone="Asia/Tokyo"), LAYOUT)
        if self.full:
            coding, body = pack_rows([Row(int(time.time() * 1000), [100 << 30, 96 << 30])])
            await agent.say(DISKS, Pack(STREAM_LIVE, 0, DISKS.layout, coding, body))
        self.greeted[node.node_id].set()

    async def _play_one(self, agent: TestAgent, node: Enrolled) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.measure(agent, self.greeted[node.node_id]), name=f"measures of {node.name}")
            await super()._play_one(agent, node)

    async def measure(self, agent: TestAgent, greeted: asyncio.Event) -> None:
        await greeted.wait()
        for turn in range(600):
            coding, body = pack_rows([Row(int(time.time() * 1000), [value(series, turn) for series in SERIES])])
            await agent.say(Pack(STREAM_LIVE, turn + self.full, LAYOUT.layout, coding, body))
            await asyncio.sleep(HOLE if turn == BEFORE else 1)
            if turn > BEFORE:
                self.speaks_again.set()

    async def answer(self, agent: TestAgent, node: Enrolled, told: Message | None) -> None:
        if isinstance(told, JobStart):
            await agent.say(JobAnswer(told.job, "accepted", "", 0), JobOutput(told.job, 0, 0, LINE), ended(told.job, LINE))


class Holding(PlayedNodes):
    """A node that nobody watches after its first seconds: what it measures then it holds, and sends with its next sample once somebody looks."""

    FIRST = 4

    def __init__(self, hub: HubProcess, node: Enrolled) -> None:
        super().__init__(hub, [node])
        self.holds, self.goes_on = threading.Event(), threading.Event()

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        await agent.say(IDENTITY._replace(hostname=node.name), LAYOUT)
        self.measuring = asyncio.get_running_loop().create_task(self.measure(agent), name=f"measures of {node.name}")

    async def measure(self, agent: TestAgent) -> None:
        held: list[float] = []
        sent = 0
        for turn in range(600):
            held.append(time.time())
            if turn < self.FIRST or self.goes_on.is_set():
                coding, body = pack_rows([Row(int(at * 1000), [value(series, 1) for series in SERIES]) for at in held])
                await agent.say(Pack(STREAM_LIVE, sent, LAYOUT.layout, coding, body))
                held.clear()
                sent += 1
            elif len(held) == HELD_S:
                self.holds.set()
            await asyncio.sleep(1)


def window_of(page: Page) -> tuple[int, ...]:
    """What the address says: from, to; empty while it says nothing."""
    query = parse_qs(urlsplit(page.url).query)
    return (int(query["from"][0]), int(query["to"][0])) if "from" in query else ()


def drag(page: Page, plot: Locator, start: float, end: float) -> None:
    """Over a part of it, in shares of its width."""
    box = plot.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * start, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, y, steps=4)
    page.mouse.up()


def draw_across(page: Page, plot: Locator, start: float, end: float) -> None:
    """As drag, with a finger."""
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    cdp = page.context.new_cdp_session(page)
    cdp.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    steps = [start + (end - start) * step / 4 for step in range(5)]
    points = [{"x": box["x"] + box["width"] * share, "y": box["y"] + box["height"] / 2} for share in steps]
    cdp.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points[:1]})
    for point in points[1:]:
        cdp.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    cdp.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    cdp.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    cdp.detach()


def test_a_table_in_a_narrow_card_shows_every_series_with_what_it_ranged_over(page: Page, hub: HubProcess) -> None:
    with Stage(hub, only=("web-01",)) as stage:
        sign_in(page, hub)
        page.goto(f"{hub.url}/n/{stage.ids['web-01']}?range=24h")
        card = page.get_by_role("figure", name="Memory chart")
        expect(card.locator(".u-over")).to_be_visible()
        card.hover()
        page.keyboard.press("v")
        table = card.get_by_role("region", name="Memory as table")
        expect(table.locator("td", has_text="–").first).to_be_visible()  # noqa: RUF001  # from the least to the most
        expect(table.get_by_role("columnheader")).to_have_text(["Time", "used", "cache"])
        assert table.evaluate("(box) => box.scrollWidth - box.clientWidth") <= 0


def test_charts_show_any_window_and_never_hide_a_hole(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("large")
    with Large(hub, [node]) as large:
        sign_in(page, hub)
        page.goto(f"{hub.url}/n/{node.node_id}")
        cpu = page.get_by_role("figure", name="CPU chart")
        chart = cpu.get_by_role("group", name="CPU over time")
        plot = cpu.locator(".u-over")
        expect(plot).to_be_visible()

        # parts: as many cells as cores, read by keys; the busiest card first, the others to pick; nothing for what is not measured
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
        expect(page.get_by_role("region", name="Recent events").get_by_text("succeeded").first).to_be_visible(timeout=30_000)
        page.wait_for_function("() => document.querySelectorAll('.u-over').length >= 5")
        assert large.speaks_again.wait(30)

        # keys read sample by sample, in words; the line goes along in all charts; the hole is told, not bridged
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
        assert rows[0] == ["time", "cpu.user", "cpu.system", "cpu.iowait", "marks"]
        assert [row for row in rows if row[1:4] == ["", "", ""]] == []
        assert not [row for row in rows[1:] if moments[0] < datetime.fromisoformat(row[0]).timestamp() < moments[1]]
        assert any(re.fullmatch(r"\d+(\.\d+)?", row[1]) for row in rows[1:])
        cpu.get_by_role("button", name="View CPU as chart").click()

        # a drag freezes what is seen, for all charts and in the address; Escape goes back
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


def told_at_the_end(page: Page, chart: Locator) -> list[str]:
    """What the chart says of its last seconds, place by place."""
    box = chart.locator(".u-over").bounding_box()
    assert box is not None
    found = []
    for left in range(4, 44, 4):
        page.mouse.move(box["x"] + box["width"] - left, box["y"] + box["height"] / 2)
        found += chart.locator(".plot-tip").all_inner_texts()
    return found


def test_what_history_has_not_told_yet_is_no_hole(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("large")
    held: list[Route] = []
    with Large(hub, [node]) as large:
        sign_in(page, hub)
        assert large.speaks_again.wait(60)
        page.route(re.compile(r"/history\?"), lambda route: held.append(route))  # noqa: PLW0108  # the driver wants a function of Python
        page.goto(f"{hub.url}/n/{node.node_id}")
        cpu = page.get_by_role("figure", name="CPU chart")
        expect(cpu.locator(".u-over")).to_be_visible()
        until(page, lambda: held)
        assert not [told for told in told_at_the_end(page, cpu) if "no data" in told]
        for route in held:
            route.continue_()
        page.unroute(re.compile(r"/history\?"))
        until(page, lambda: [told for told in told_at_the_end(page, cpu) if "no data" in told])


def test_what_a_server_held_back_until_somebody_looked_is_no_hole(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("holding")
    with Holding(hub, node) as holding:
        sign_in(page, hub)
        assert holding.holds.wait(60)
        with page.expect_response(lambda response: "/history?" in response.url):
            page.goto(f"{hub.url}/n/{node.node_id}")
        cpu = page.get_by_role("figure", name="CPU chart")
        expect(cpu.locator(".u-over")).to_be_visible()
        holding.goes_on.set()
        ends_at = time.monotonic() + 6
        while time.monotonic() < ends_at:
            assert not [told for told in told_at_the_end(page, cpu) if "no data" in told]
            page.wait_for_timeout(100)
        # and by then the past is there, where the line had been broken
        table = cpu.get_by_role("region", name="CPU as table")
        page.keyboard.press("v")
        expect(table.get_by_role("row").nth(HELD_S + 4)).to_be_visible()
        expect(table.get_by_text("no data")).to_have_count(0)


def test_a_pointer_beside_the_lines_reads_no_moment(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("large")
    with Large(hub, [node]) as large:
        sign_in(page, hub)
        assert large.speaks_again.wait(60)
        page.goto(f"{hub.url}/n/{node.node_id}")
        cpu = page.get_by_role("figure", name="CPU chart")
        plot = cpu.locator(".u-over")
        expect(plot).to_be_visible()
        box = plot.bounding_box()
        assert box is not None
        for x, y in ((-20, box["height"] / 2), (box["width"] / 2, box["height"] + 10)):
            page.mouse.move(box["x"] + box["width"] - 8, box["y"] + box["height"] / 2)
            expect(cpu.locator(".plot-tip")).to_be_visible()
            page.mouse.move(box["x"] + x, box["y"] + y, steps=3)
            expect(cpu.locator(".plot-tip")).to_have_count(0)


@pytest.mark.refusals("500 (Internal Server Error)")
def test_a_live_view_whose_past_could_not_be_read_says_so_and_reads_it_again(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("large")
    with Large(hub, [node]) as large:
        sign_in(page, hub)
        assert large.speaks_again.wait(60)
        fault = {
            "type": "about:blank",
            "title": "broken",
            "status": 500,
            "code": "internal",
            "detail": "the store broke",
            "instance": "r-77",
        }
        page.route(re.compile(r"/history\?"), lambda route: route.fulfill(status=500, json=fault))
        for address in (f"n/{node.node_id}", f"compare?nodes={node.node_id}&metric=cpu.user"):
            page.goto(f"{hub.url}/{address}")
            told = page.get_by_role("alert").filter(has_text="History could not be read.")
            expect(told).to_contain_text("the store broke")
            expect(told).to_contain_text("r-77")
        page.unroute(re.compile(r"/history\?"))
        told.get_by_role("button", name="Try again").click()
        expect(told).to_have_count(0)


def test_a_window_that_is_still_being_read_says_so_and_after_a_while_offers_to_ask_again(page: Page, hub: HubProcess) -> None:
    held: list[Route] = []
    holding = threading.Event()
    page.route(re.compile(r"/history\?"), lambda route: held.append(route) if holding.is_set() else route.continue_())
    with Stage(hub, only=("web-01",)) as stage:
        sign_in(page, hub)
        for address, name in ((f"n/{stage.ids['web-01']}?", "CPU chart"), (f"compare?nodes={stage.ids['web-01']}&", "CPU total chart")):
            page.goto(f"{hub.url}/{address}range=1h")
            cpu = page.get_by_role("figure", name=name)
            expect(cpu.locator(".u-over")).to_be_visible()
            expect(cpu.get_by_text("reading…")).to_have_count(0)
            holding.set()
            page.get_by_role("radio", name="7d").click()
            expect(cpu.get_by_text("reading…")).to_be_visible()
            slow = page.get_by_text("Reading the history takes longer than usual.")
            expect(slow).to_be_visible()
            expect(cpu.get_by_text("reading…")).to_be_visible()
            holding.clear()
            page.get_by_role("button", name="Try again").click()
            expect(slow).to_have_count(0)
            expect(cpu.get_by_text("reading…")).to_have_count(0)
            while held:
                held.pop().continue_()


def test_every_chart_of_a_value_is_on_the_same_scale(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("large")
    with Large(hub, [node]) as large:
        sign_in(page, hub)
        assert large.speaks_again.wait(60)
        for address in (
            f"n/{node.node_id}",
            f"n/{node.node_id}/measures?chart=cpu.total",
            f"compare?nodes={node.node_id}&metric=cpu.total",
        ):
            page.goto(f"{hub.url}/{address}")
            chart = page.get_by_role("figure", name=re.compile(r"^CPU (total )?chart$"))
            expect(chart.locator(".u-over")).to_be_visible()
            until(page, lambda: told_at_the_end(page, chart), lambda found: any("80%" in told for told in found))  # noqa: B023  # called at once


def test_charts_out_of_sight_wait_until_they_are_seen(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("large")
    with Large(hub, [node]):
        sign_in(page, hub)
        page.goto(f"{hub.url}/n/{node.node_id}/measures")
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


def test_networks_are_read_in_bits_by_who_wants_them_so(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("web-1")
    with Large(hub, [node]):
        sign_in(page, hub)
        expect(page.locator("[data-node] [data-series='network.received']")).to_have_text(re.compile(r"B$"))
        page.goto(f"{hub.url}/settings/appearance")
        with page.expect_response(lambda response: response.url.endswith("/auth/preferences") and response.request.method == "PATCH"):
            page.get_by_role("switch", name="Network speed in bits per second").click()
        page.goto(hub.url)
        for way in ("received", "sent"):
            expect(page.locator(f"[data-node] [data-series='network.{way}']")).to_have_text(re.compile(r"bit$"))
        expect(page.get_by_role("region", name="Fleet vitals")).to_contain_text(re.compile(r"bit/s in.*bit/s out"))
        for width in (800, 1099, 1120, 1366, 1440, 1599, 1600):
            page.set_viewport_size({"width": width, "height": 900})
            expect(page.locator(".vitals .spark").first).to_be_visible()
            assert page.evaluate(UNDER_SPARKS) == [], width
        page.set_viewport_size({"width": 390, "height": 844})
        expect(page.locator(".node-card .last")).to_contain_text(re.compile(r"bit/s.*bit/s"))
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(f"{hub.url}/n/{node.node_id}")
        network = page.get_by_role("figure", name=re.compile(r"^Network .* chart$"))
        expect(network).to_contain_text(re.compile(r"bit/s"))
        expect(page.get_by_role("figure", name=re.compile(r"^Disk .* chart$"))).to_contain_text(re.compile(r"[^t]B/s"))
        network.get_by_role("button", name=re.compile("more$")).click()
        page.get_by_role("menuitem", name="Show bytes per second").click()
        expect(network).not_to_contain_text("bit/s")


def test_a_compared_server_can_be_taken_away_however_long_its_name_is(page: Page, hub: HubProcess) -> None:
    nodes = hub.enrol("web-1", "a-server-whose-name-is-as-long-as-they-come")
    with Large(hub, list(nodes)):
        sign_in(page, hub)
        page.goto(f"{hub.url}/compare?nodes={','.join(node.node_id for node in nodes)}")
        figures = page.get_by_role("region", name="Figures, table")
        expect(figures.get_by_role("row").filter(has_text="web-1")).to_contain_text(re.compile(r"\d%.*\d%.*\d%.*\d%"))
        for metric, unit in (("memory.used", "GiB"), ("cpu.total", "%")):
            page.get_by_label("Value", exact=True).select_option(metric)
            expect(figures.get_by_role("row").filter(has_text="web-1")).to_contain_text(unit)
            for width in (320, 390, 1440):
                page.set_viewport_size({"width": width, "height": 900})
                assert figures.evaluate("(one) => one.scrollWidth - one.clientWidth") == 0, (metric, width)
                assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") == 0, (metric, width)
        figures.get_by_role("button", name=re.compile(r"^Remove a-server")).click()
        expect(figures.get_by_role("row").filter(has_text="a-server")).to_have_count(0)


def test_servers_are_compared_in_one_chart(page: Page, hub: HubProcess) -> None:
    first, second, third = hub.enrol("web-1", "web-2", "web-3")
    with Large(hub, [first, second]):
        sign_in(page, hub)
        page.goto(f"{hub.url}/n/{first.node_id}")
        cpu = page.get_by_role("figure", name="CPU chart")
        expect(cpu.locator(".u-over")).to_be_visible()
        cpu.get_by_role("button", name="CPU, more").click()
        page.get_by_role("menuitem", name="Compare with other nodes…").click()
        expect(page.get_by_role("heading", level=1, name="Compare")).to_be_visible()
        page.get_by_label("Add a server").select_option(label="web-2")
        page.get_by_label("Add a server").select_option(label="web-3")
        page.get_by_label("Value", exact=True).select_option("network.received{interface=eth3}")
        chart = page.get_by_role("figure", name="Network received eth3 chart")
        expect(chart.locator(".u-over")).to_be_visible()
        figures = page.get_by_role("region", name="Figures, table")
        for name in ("web-1", "web-2"):
            row = figures.get_by_role("row").filter(has_text=name)
            expect(row.get_by_role("cell").nth(2)).to_have_text(re.compile(r"\d+\sB/s"))
        expect(figures.get_by_role("row").filter(has_text="web-3").get_by_role("cell").nth(1)).to_have_text("—")

        # history comes from the hub by one question, in the same steps; the address brings all of it back
        with page.expect_response(lambda response: "/api/v1/history?" in response.url) as asked:
            page.get_by_role("radio", name="1h").click()
        answer = asked.value.json()
        assert set(answer["nodes"]) == {first.node_id, second.node_id, third.node_id}
        page.reload()
        expect(figures.get_by_role("row")).to_have_count(4)
        expect(page.get_by_role("radio", name="1h")).to_be_checked()
        expect(page.get_by_label("Value", exact=True)).to_have_value("network.received{interface=eth3}")
        figures.get_by_role("button", name="Remove web-2").click()
        expect(figures.get_by_role("row")).to_have_count(3)
        page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth")
        page.set_viewport_size({"width": 390, "height": 844})
        page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth")

        # a finger drawn across chooses a stretch too
        expect(chart.locator(".u-over")).to_be_visible()
        draw_across(page, chart.locator(".u-over"), 0.4, 0.8)
        frozen = until(page, lambda: window_of(page))
        assert 1200 <= frozen[1] - frozen[0] <= 1700, "four tenths of an hour"
        expect(page.get_by_role("button", name="Back to 1h")).to_be_visible()


def test_a_compared_server_that_fell_silent_says_since_when_and_its_hole_is_its_own(page: Page, hub: HubProcess) -> None:
    with Stage(hub, only=("web-01", "db-01")) as stage:
        sign_in(page, hub)
        page.goto(f"{hub.url}/compare?nodes={stage.ids['web-01']},{stage.ids['db-01']}&metric=cpu.total")
        chart = page.get_by_role("figure", name="CPU total chart")
        expect(chart.locator(".u-over")).to_be_visible()
        legend, row = chart.locator(".legend > span"), page.get_by_role("region", name="Figures, table").get_by_role("row")
        expect(legend.filter(has_text="db-01")).to_have_text(re.compile(r"%$"))
        stage.hush("db-01")
        for told in (legend, row):
            expect(told.filter(has_text="db-01")).to_have_text(re.compile(r"\d%, \d+\ss ago"))
            expect(told.filter(has_text="db-01")).to_have_class("dimmed")
            expect(told.filter(has_text="web-01")).not_to_contain_text("ago")

        def said(found: list[str]) -> bool:
            return any(re.search(r"web-01\s*[\d.]+%", told) and re.search(r"db-01\s*no data \d+\ss", told) for told in found)

        until(page, lambda: told_at_the_end(page, chart), said)
        page.get_by_label("Value", exact=True).select_option("memory.used")
        expect(row.filter(has_text="db-01")).to_contain_text(re.compile(r"GiB, \d+\ss ago"))
        for width in (320, 390, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.get_by_role("region", name="Figures, table").evaluate("(one) => one.scrollWidth - one.clientWidth") == 0, width
            assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") == 0, width


def test_a_time_range_that_nobody_changed_is_the_same_in_an_hour_that_comes_twice(browser: Browser, hub: HubProcess) -> None:
    [node] = hub.enrol("large")
    context = browser.new_context(timezone_id="Europe/Berlin")
    page = context.new_page()
    with Large(hub, [node]):
        sign_in(page, hub)
        page.clock.set_fixed_time(datetime(2026, 11, 25, 12, tzinfo=UTC))
        window = (1_792_890_600, 1_792_892_400)
        page.goto(f"{hub.url}/n/{node.node_id}?from={window[0]}&to={window[1]}")
        page.get_by_role("button", name="Choose a time range").click()
        dialog = page.get_by_role("dialog", name="Custom time range")
        expect(dialog).to_contain_text("This time comes twice: the second one is meant, UTC+01:00.")
        dialog.get_by_role("button", name="Show").click()
        expect(dialog).to_have_count(0)
        assert window_of(page) == window
    context.close()


@pytest.mark.refusals("500 (Internal Server Error)")
def test_a_node_tells_its_worst_its_failures_and_why_it_is_gone(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("large")
    with Large(hub, [node], full=True):
        sign_in(page, hub)
        page.goto(f"{hub.url}/n/{node.node_id}")
        expect(page.get_by_role("status").filter(has_text="/srv is 96% full.")).to_be_visible()

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
    expect(offline).to_contain_text("It closed the connection itself", timeout=30_000)
    expect(page.get_by_role("tabpanel")).to_have_class("dimmed")
