"""Values in the rows of the fleet page: warnings, order, columns, sparklines, and how often they are drawn."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from pathlib import Path

import aiohttp
import pytest
from playwright.sync_api import Page, expect

from spider.wire.codec import pack_rows
from spider.wire.sample_messages import STREAM_LIVE, Pack, Row
from tests.support.agent import IDENTITY, TestAgent, layout_of, pack_of
from tests.support.hub import Enrolled, HubProcess
from tests.support.page.accounts import sign_in
from tests.support.page.answers import saves_preferences
from tests.support.page.gate import log_in
from tests.support.page.rules import quick_rules
from tests.support.page.waits import stop_clock
from tests.support.played import PlayedNodes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

BUSY = layout_of(series=["cpu.total"])


class Chatty(PlayedNodes):
    """Twenty of them send forty new values a second, evenly spread."""

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        await agent.say(IDENTITY._replace(hostname=node.name), layout_of())
        asyncio.get_running_loop().create_task(self._talk(agent, int(node.name[2:]) / 40), name=f"talk of {node.name}")

    async def _talk(self, agent: TestAgent, phase_s: float) -> None:
        await asyncio.sleep(phase_s)
        with contextlib.suppress(OSError, aiohttp.ClientError):
            for seq in itertools.count():
                await agent.say(pack_of(seq))
                await asyncio.sleep(0.5)


class Busy(PlayedNodes):
    """Uses enough CPU for a warning; then a little less, which keeps it until the value is much lower."""

    cpu = 85

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        await agent.say(IDENTITY._replace(hostname=node.name), BUSY)
        asyncio.get_running_loop().create_task(self._talk(agent), name=f"talk of {node.name}")

    async def _talk(self, agent: TestAgent) -> None:
        with contextlib.suppress(OSError, aiohttp.ClientError):
            for seq in itertools.count():
                coding, body = pack_rows([Row(int(time.time() * 1000), [self.cpu * 100])])
                await agent.say(Pack(STREAM_LIVE, seq, BUSY.layout, coding, body))
                await asyncio.sleep(1)


def test_the_value_that_causes_a_warning_is_marked(page: Page, hub: HubProcess) -> None:
    quick_rules(hub, "cpu.saturated")
    with Busy(hub, hub.enrol("vm")) as busy:
        sign_in(page, hub)
        expect(page.get_by_role("row", name=re.compile("^vm, warning, CPU 85%"))).to_be_visible()
        busy.cpu = 78
        row = page.get_by_role("row", name=re.compile("^vm, warning, CPU 78%"))
        expect(row).to_be_visible()
        expect(row.locator(".figure.warn [aria-label=Warning]")).to_be_visible()
        expect(row.locator(".figure")).to_have_text("78%")
        page.get_by_role("radio", name="Cards").click()
        expect(page.locator(".node-card .three b.warn")).to_have_text("78%")
        busy.cpu = 19  # the mean of ten minutes is high still: a mark beside this number would contradict it
        page.get_by_role("radio", name="Table").click()
        expect(page.get_by_role("row", name=re.compile("^vm, warning, CPU 19%"))).to_be_visible()
        expect(row.locator(".figure.warn")).to_have_count(0)


class Late(PlayedNodes):
    """Their data is a minute old until their live stream starts: then the last of them needs attention."""

    talks = False

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        await agent.say(IDENTITY._replace(hostname=node.name), BUSY)
        await self._tell(agent, 0, time.time() - 60, 1)
        asyncio.get_running_loop().create_task(self._talk(agent, 99 if node.name == "z-1" else 1), name=f"talk of {node.name}")

    async def _talk(self, agent: TestAgent, cpu: int) -> None:
        with contextlib.suppress(OSError, aiohttp.ClientError):
            for seq in itertools.count(1):
                await asyncio.sleep(0.5)
                if self.talks:
                    await self._tell(agent, seq, time.time(), cpu)

    async def _tell(self, agent: TestAgent, seq: int, at: float, cpu: int) -> None:
        coding, body = pack_rows([Row(int(at * 1000), [cpu * 100])])
        await agent.say(Pack(STREAM_LIVE, seq, BUSY.layout, coding, body))


def test_the_order_follows_the_first_values(page: Page, hub: HubProcess) -> None:
    """By the page's own clock: before the five seconds are over that an order lasts otherwise."""
    page.clock.install()
    with Late(hub, hub.enrol("a-1", "m-1", "z-1")) as late:
        log_in(page, hub)
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"{hub.url}/?sort=-cpu")
        tabs = page.get_by_role("navigation", name="Main, phone")
        expect(page.get_by_role("link", name=re.compile("Stale"))).to_have_count(3)
        tabs.get_by_role("link", name="Jobs").click()
        expect(page.get_by_role("heading", level=1, name="Jobs")).to_be_attached()
        stop_clock(page)
        page.go_back()
        names = page.locator(".node-card .first b")
        expect(names).to_have_text(["a-1", "m-1", "z-1"])
        late.talks = True
        for _ in range(40):
            page.clock.run_for(100)
            page.evaluate("() => new Promise((done) => queueMicrotask(done))")
            if names.all_inner_texts() == ["z-1", "a-1", "m-1"]:
                break
            time.sleep(0.2)
        expect(names).to_have_text(["z-1", "a-1", "m-1"])


@pytest.mark.slow
def test_when_a_node_was_last_seen_is_read_in_its_row(page: Page, hub: HubProcess) -> None:
    page.clock.install()
    enrolled = hub.enrol("backup-hel")
    with PlayedNodes(hub, enrolled):
        sign_in(page, hub)
        expect(page.get_by_text("1of 1 online")).to_be_visible()
    seen = page.locator(".fleet .also")
    expect(seen).to_contain_text("offline", timeout=60_000)
    page.clock.fast_forward(82_000)
    expect(seen).to_have_text(re.compile(r"offline 1\smin: stopped or shut down"))
    past = """(one) => {
        const range = document.createRange();
        range.selectNode(one.firstChild);
        return range.getBoundingClientRect().right - one.getBoundingClientRect().right;
    }"""
    assert seen.evaluate(past) <= 0, "the time is read whole; the reason after it may be cut, and is in the title"


class Kernels(PlayedNodes):
    """One runs an older kernel than it has installed."""

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        kernel, reboot = ("6.1.0", "yes") if node.name == "web-1" else ("6.12.0", "no")
        await agent.say(IDENTITY._replace(hostname=node.name, kernel=kernel, reboot_required=reboot))


@pytest.mark.holds("J-2")
def test_columns_are_added_sorted_filtered_and_saved_as_csv(page: Page, hub: HubProcess) -> None:
    """They are the user's own, so another visit has them; a name or a note that begins like a formula is none in the file."""
    enrolled = hub.enrol("web-1", "web-2")
    for node, note in zip(enrolled, ("=1+1", ""), strict=True):
        hub.local("PATCH", f"/api/v1/nodes/{node.node_id}", {"note": note})
    with Kernels(hub, enrolled):
        sign_in(page, hub)
        page.get_by_role("button", name="Columns…").click()
        dialog = page.get_by_role("dialog", name="Columns")
        for label in ("Kernel", "Reboot", "Note", "Memory"):  # the last is there from the start, and is taken off
            with page.expect_response(saves_preferences):
                dialog.get_by_label(label).click()
        with page.expect_download() as saved:
            dialog.get_by_role("button", name="Save 2 nodes as CSV").click()
        lines = Path(saved.value.path()).read_text().splitlines()
        assert sorted(line.split(",")[0] for line in lines) == ["name", "web-1", "web-2"]
        assert any(line.endswith(",yes,0,'=1+1") for line in lines), lines
        page.keyboard.press("Escape")
        page.reload()
        table = page.get_by_role("table", name="Nodes")
        expect(table.get_by_role("columnheader").filter(has_text=re.compile("^(Updates|Kernel|Reboot|Note)$"))).to_have_count(4)
        expect(table.get_by_role("columnheader", name="Memory")).to_have_count(0)
        widths = "(one) => getComputedStyle(one).gridTemplateColumns.split(' ').length"
        head = table.get_by_role("row").first
        shown = head.evaluate("(one) => [...one.children].filter((cell) => cell.offsetParent).length")
        assert head.evaluate(widths) == shown  # no track is left for what is not shown
        row = table.get_by_role("row", name=re.compile("^web-1,"))
        for text in ("6.1.0", "needed", "=1+1"):
            expect(row.get_by_role("cell", name=text, exact=True)).to_be_visible()
        names = table.get_by_role("rowheader").locator("b")
        table.get_by_role("columnheader", name="Kernel").get_by_role("button").click()
        expect(names).to_have_text(["web-2", "web-1"])
        assert table.get_by_role("row").nth(1).evaluate("(one) => one.offsetHeight") == 30
        for text, left in (("kernel:6.12", "web-2"), ("reboot:yes", "web-1"), ("-failed:>0 note:=1", "web-1")):
            page.get_by_label("Filter nodes").fill(text)
            expect(names).to_have_text([left])


POINTS = """() => {
    const lines = [...document.querySelectorAll(".vitals .spark path")].map((one) => one.getAttribute("d").split(/[ML]/).length - 1);
    return lines.length === 2 && lines;
}"""


COUNT_DRAWINGS = """() => {
    window.__drawn = 0;
    window.__seen = new Set();
    new MutationObserver((changes) => {
        window.__drawn += 1;
        for (const { target } of changes) window.__seen.add((target.parentElement ?? target).closest('[data-node]')?.dataset.node);
    }).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
    window.__since = performance.now();
}"""


def drawings(page: Page) -> tuple[int, float]:
    """How often the page is drawn in some five seconds, and their length."""
    expect(page.locator("[data-node] [data-value]").first).to_be_visible()
    page.evaluate(COUNT_DRAWINGS)
    page.wait_for_function("() => performance.now() - window.__since > 5000 && window.__seen.size > 20", timeout=60_000)
    drawn, took_ms = page.evaluate("() => [window.__drawn, performance.now() - window.__since]")
    return drawn, took_ms / 1000


def test_continuous_values_are_drawn_together_and_once_a_second_in_a_large_fleet(page: Page, hub: HubProcess) -> None:
    """40 a second come."""
    enrolled = hub.enrol(*(f"n-{number}" for number in range(20)))
    with Chatty(hub, enrolled):
        sign_in(page, hub)
        first = page.wait_for_function(POINTS).json_value()
        assert min(first) >= 5, "a line appears with enough points"
        drawn, took_s = drawings(page)
        assert drawn <= took_s * 10 + 5, "four times a second they are drawn, and what shows the time besides"
        hub.enrol(*(f"still-{number}" for number in range(60)))
        page.goto(f"{hub.url}/?q=n-")
        drawn, took_s = drawings(page)
    assert drawn <= took_s * 8 + 5, "once a second they are drawn, and what shows the time or answers besides"
