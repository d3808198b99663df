"""More charts at once than the hub answers in one go."""

from __future__ import annotations

import csv
import io
import re
import threading
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from spider.wire.codec import pack_rows
from spider.wire.frames import STREAM_LIVE, Layout, Pack, Row
from spider.wire.metrics import parse_series
from tests.browser.test_settings import sign_in
from tests.support.agent import IDENTITY, TestAgent, layout_of
from tests.support.hub import Enrolled, HubProcess
from tests.support.played import PlayedNodes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

MOST_SERIES = 50
"""So many the hub answers at once."""
HOUR_S = 3600
PACK_ROWS = 300
DISKS = [f"disk.busy{{device=d{disk:02}}}" for disk in range(MOST_SERIES)]
FILES = "filesystem.used{mount=/}"


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


def as_file(page: Page, chart: Locator) -> list[list[str]]:
    """What the chart's own file holds, without the names of its columns."""
    with page.expect_download() as saved:
        chart.get_by_role("button", name=re.compile(r", more$")).click()
        page.get_by_role("menuitem", name="Download as CSV").click()
    return list(csv.reader(io.StringIO(Path(saved.value.path()).read_text())))[1:]


def seconds(text: str) -> float:
    """The moment of a row."""
    return datetime.fromisoformat(text).timestamp()


def test_more_series_than_one_answer_holds_are_each_drawn_at_their_own_times(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("ramps")
    with Ramps(hub, node) as ramps:
        assert ramps.told.wait(60)
        sign_in(page, hub)
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
