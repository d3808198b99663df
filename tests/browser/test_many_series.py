"""Many series at once: more charts than one response holds, and nodes that sample at different times."""

from __future__ import annotations

import asyncio
import csv
import io
import math
import re
import threading
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from spider.wire.codec import pack_rows
from spider.wire.metrics import parse_series
from spider.wire.sample_messages import STREAM_LIVE, Layout, Pack, Row
from tests.support.agent import IDENTITY, TestAgent, layout_of
from tests.support.hub import Enrolled, HubProcess
from tests.support.page.accounts import sign_in
from tests.support.page.gate import log_in
from tests.support.page.waits import until
from tests.support.played import PlayedNodes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

MOST_SERIES = 50
"""So many the hub answers at once."""
HOUR_S = 3600
PACK_ROWS = 300
DISKS = [f"disk.busy{{device=d{disk:02}}}" for disk in range(MOST_SERIES)]
FILES = "filesystem.used{mount=/}"
TOTAL = layout_of(series=["cpu.total"])
PHASES = (0.3, 0.7)
"""When within a second a node measures."""


def ramp(at: float) -> float:
    """The same from each series at a moment, and other at each moment of an hour."""
    return at % HOUR_S / HOUR_S * 90


class Ramps(PlayedNodes):
    """Measured for an hour before they came, in both rhythms, and measure nothing more."""

    def __init__(self, hub: HubProcess, node: Enrolled) -> None:
        super().__init__(hub, [node])
        self.until_s = int(time.time())
        self.told = threading.Event()

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        await agent.say(IDENTITY._replace(hostname=node.name))
        seq = agent.acked[STREAM_LIVE] + 1
        for layout in (layout_of("breathe", 60, [FILES]), layout_of("pulse", 1, DISKS)):
            await agent.say(layout)
            seconds = [at for at in range(self.until_s - HOUR_S, self.until_s + 1) if at % layout.rhythm_s == 0]
            for start in range(0, len(seconds), PACK_ROWS):
                coding, body = pack_rows([row(layout, at) for at in seconds[start : start + PACK_ROWS]])
                await agent.say(Pack(STREAM_LIVE, seq, layout.layout, coding, body))
                seq += 1
        await agent.wait_acked(seq - 1, limit_s=30)
        self.told.set()


def row(layout: Layout, at: int) -> Row:
    """All series of a layout at a second."""
    return Row(at * 1000, [round(ramp(at) * parse_series(series)[0].scale) for series in layout.series])


class Phased(PlayedNodes):
    """Each measures once a second, at a part of it that is its own."""

    def __init__(self, hub: HubProcess, nodes: list[Enrolled]) -> None:
        super().__init__(hub, nodes)
        self.greeted = {node.node_id: asyncio.Event() for node in nodes}
        self.phases = {node.node_id: phase for node, phase in zip(nodes, PHASES, strict=True)}

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        await agent.say(IDENTITY._replace(hostname=node.name), TOTAL)
        self.greeted[node.node_id].set()

    async def _play_one(self, agent: TestAgent, node: Enrolled) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.measure(agent, node), name=f"measures of {node.name}")
            await super()._play_one(agent, node)

    async def measure(self, agent: TestAgent, node: Enrolled) -> None:
        await self.greeted[node.node_id].wait()
        begins = math.floor(time.time()) + 1 + self.phases[node.node_id]
        for seq in range(600):
            at = begins + seq  # on a busy machine it arrives late, but for each second
            await asyncio.sleep(max(0.0, at - time.time()))
            coding, body = pack_rows([Row(round(at * 1000), [2000])])
            await agent.say(Pack(STREAM_LIVE, seq, TOTAL.layout, coding, body))


class Restarted(PlayedNodes):
    """Was restarted twice within its last hour."""

    BOOTS_AGO_S = (7200, 2400, 600)

    def __init__(self, hub: HubProcess, node: Enrolled) -> None:
        super().__init__(hub, [node])
        self.until_s = int(time.time()) // 60 * 60
        self.boots = [self.until_s - ago for ago in self.BOOTS_AGO_S]
        self.told = threading.Event()

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        await agent.say(IDENTITY._replace(hostname=node.name, booted_at_ms=self.boots[-1] * 1000))
        seq = agent.acked[STREAM_LIVE] + 1
        for layout in (layout_of("breathe", 60, ["system.uptime"]), layout_of("pulse", 1, ["cpu.user"])):
            moments = range(self.until_s - HOUR_S + 30, self.until_s, 60 if layout.family == "breathe" else 10)
            up = [Row(at * 1000, [at - max(boot for boot in self.boots if boot < at)]) for at in moments]
            coding, body = pack_rows(up)
            await agent.say(layout, Pack(STREAM_LIVE, seq, layout.layout, coding, body))
            seq += 1
        await agent.wait_acked(seq - 1, limit_s=30)
        self.told.set()


def as_file(page: Page, chart: Locator) -> list[list[str]]:
    """What the chart's own file holds, without the names of its columns."""
    with page.expect_download() as saved:
        chart.get_by_role("button", name=re.compile(r", more$")).click()
        page.get_by_role("menuitem", name="Download as CSV").click()
    return list(csv.reader(io.StringIO(Path(saved.value.path()).read_text())))[1:]


def seconds(text: str) -> float:
    """The moment of a row."""
    return datetime.fromisoformat(text).timestamp()


def test_series_of_several_answers_are_drawn_at_their_own_times(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("ramps")
    with Ramps(hub, node) as ramps:
        assert ramps.told.wait(60)
        log_in(page, hub)
        charts = "&".join(f"chart={series}" for series in (*DISKS, FILES))
        for view, least in (("range=1h&", HOUR_S - 120), ("", 120)):
            page.goto(f"{hub.url}/n/{node.node_id}/measures?{view}{charts}")
            slow = page.get_by_role("figure", name="Filesystem used / chart")
            slow.scroll_into_view_if_needed()
            expect(slow.locator(".u-over")).to_be_visible()
            for chart, apart, within in ((slow, 60, 0.6), (page.get_by_role("figure", name="Disk busy d00 chart"), 0, 0.3)):
                chart.scroll_into_view_if_needed()
                expect(chart.locator(".u-over")).to_be_visible()
                rows = [(seconds(cells[0]), float(cells[1])) for cells in as_file(page, chart) if cells[1]]
                assert rows[-1][0] - rows[0][0] >= least, (view, rows[0], rows[-1])
                assert all(value == pytest.approx(ramp(at), abs=within) for at, value in rows), rows
                assert not apart or {later[0] - sooner[0] for sooner, later in pairwise(rows)} == {apart}


CELLS = "(rows) => rows.map((row) => [row.querySelector('time').dateTime, ...[...row.querySelectorAll('td')].slice(1).map((one) => one.textContent)])"


def of_both_after(moment: float, cells: list[str]) -> bool:
    """Whether a row of the table is later, and of both servers."""
    return seconds(cells[0]) >= moment and cells[1:3] == ["20.0%", "20.0%"]


@pytest.mark.slow
def test_compared_servers_share_the_rows_of_their_table_and_of_their_file(page: Page, hub: HubProcess) -> None:
    nodes = list(hub.enrol("web-1", "web-2"))
    with Phased(hub, nodes):
        sign_in(page, hub, at=f"/compare?nodes={','.join(node.node_id for node in nodes)}")
        chart = page.get_by_role("figure", name=re.compile(r"^CPU total chart"))
        expect(chart.locator(".u-over")).to_be_visible()
        opened = time.time()
        chart.hover()
        page.keyboard.press("v")
        table = chart.get_by_role("table")
        expect(table).to_be_visible()
        shown = until(
            page, lambda: table.locator("tbody tr").evaluate_all(CELLS), lambda rows: any(of_both_after(opened + 6, row) for row in rows)
        )
        for rows, unit in ((shown, "%"), (as_file(page, chart), "")):
            # The last second may be of one only, and so may be what was measured before both were there.
            whole = [cells[1:3] for cells in rows if opened + 1 < seconds(cells[0]) < opened + 6]
            assert len(whole) in {4, 5}, rows
            assert all(cells == [f"20.0{unit}" if unit else "20", f"20.0{unit}" if unit else "20"] for cells in whole), whole
            assert all(seconds(cells[0]) % 1 == 0 for cells in rows), rows


def test_each_restart_of_a_window_is_marked(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("restarted")
    with Restarted(hub, node) as restarted:
        log_in(page, hub)
        assert restarted.told.wait(60)
        page.goto(f"{hub.url}/n/{node.node_id}?range=1h")
        chart = page.get_by_role("figure", name="CPU chart")
        expect(chart.locator(".u-over")).to_be_visible()
        found = [seconds(row[0]) for row in as_file(page, chart) if "restarted" in row[-1]]
        near = [[boot for boot in restarted.boots if abs(at - boot) <= 60] for at in found]
        # on the border of two rows it is reported with both
        assert [boot for place, boot in enumerate(near) if boot not in near[:place]] == [[boot] for boot in restarted.boots[1:]]
