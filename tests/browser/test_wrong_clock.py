"""A server with a wrong clock, while it is wrong and after it is corrected; a hub whose clock was ahead; and midnight on an open page."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from spider.wire.codec import pack_rows
from spider.wire.sample_messages import Pack, Row
from tests.support.agent import TestAgent, layout_of
from tests.support.hub import Enrolled, HubProcess
from tests.support.hub_faults import fault_file, set_fault
from tests.support.page.accounts import sign_in
from tests.support.page.fleets import CHECK, Printer, checked
from tests.support.played import PlayedNodes

pytestmark = pytest.mark.browser

BREATHE = layout_of("breathe", 60, ["clock.skew"])


class WrongClock(PlayedNodes):
    """Measures the offset of its clock, and again when it is set."""

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        await super().greet(agent, node)
        self._agent, self._seq = agent, agent.acked[0]
        await agent.say(BREATHE)
        await self._measure(200_000)

    async def _measure(self, skew_ms: int) -> None:
        self._seq += 1
        coding, body = pack_rows([Row(int(time.time() * 1000), [skew_ms])])
        await self._agent.say(Pack(0, self._seq, BREATHE.layout, coding, body))

    def set_right(self) -> None:
        asyncio.run_coroutine_threadsafe(self._measure(12), self._loop).result(30)


def test_a_wrong_node_clock_is_shown_beside_the_address_until_corrected(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("late-01")
    with WrongClock(hub, [node]) as played:
        sign_in(page, hub, at=f"/n/{node.node_id}")
        label = page.get_by_text(re.compile(r"^clock 3\smin.* ahead$"))
        expect(label).to_be_visible()
        played.set_right()
        expect(label).to_have_count(0)


def test_a_page_open_over_midnight_shows_dates(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("web-01")
    with PlayedNodes(hub, [node]):
        sign_in(page, hub, at="/events")
        at = page.get_by_role("row").filter(has_text="web-01").first.locator("time")
        expect(at).to_have_text(re.compile(r"^\d\d:\d\d$"))
        page.clock.set_fixed_time(time.time() + 86_400)
        expect(at).to_have_text(re.compile(r"^\d+\s[A-Z]\w\w(\s\d{4})?, \d\d:\d\d$"))


def test_events_are_live_after_the_hubs_clock_was_ahead(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    fault_file(folder, "clock").write_text("3600")
    with HubProcess(folder, faults=["clock"]) as hub:
        [node] = hub.enrol("web-01")
        with Printer(hub, [node]) as printer:
            checked(page, hub, printer, node)  # of a later hour than all that follows
            set_fault(hub, "clock", "0")
            sign_in(page, hub, at="/events")
            times = page.get_by_role("row").filter(has_text=f"{CHECK} on web-01").locator("time")
            expect(times).to_have_count(1)
            checked(page, hub, printer, node)
            expect(times).to_have_count(2)
            told = times.evaluate_all("(shown) => shown.map((one) => one.dateTime)")
            assert told[0] < told[1], "what was written last stands on top"
            page.reload()
            expect(times).to_have_count(2)
            assert times.evaluate_all("(shown) => shown.map((one) => one.dateTime)") == told
