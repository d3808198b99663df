"""Charts whose history is loading, late or unreadable."""

from __future__ import annotations

import re
import threading
import time

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.hub import HubProcess
from tests.support.page.gate import log_in
from tests.support.page.hubs import hub_of_the_file
from tests.support.page.large_node import HELD_S, Holding, Large
from tests.support.page.plots import told_at_the_end
from tests.support.page.waits import until
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

hub = hub_of_the_file()


def test_history_that_has_not_arrived_yet_is_not_shown_as_a_gap(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("late-history")
    held: list[Route] = []
    with Large(hub, [node]) as large:
        log_in(page, hub)
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


def test_rows_delayed_until_a_watch_are_not_shown_as_a_gap(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("holding")
    with Holding(hub, node) as holding:
        log_in(page, hub)
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


@pytest.mark.refusals("500 (Internal Server Error)")
def test_a_live_view_whose_history_could_not_be_read_says_so_and_retries(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("unreadable")
    with Large(hub, [node]) as large:
        log_in(page, hub)
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
            expect(told).to_contain_text("The store broke. ")
            expect(told).to_contain_text("r-77")
        page.unroute(re.compile(r"/history\?"))
        told.get_by_role("button", name="Try again").click()
        expect(told).to_have_count(0)


@pytest.mark.slow
def test_a_slowly_loading_window_shows_its_state_and_later_offers_a_retry(page: Page, hub: HubProcess) -> None:
    held: list[Route] = []
    holding = threading.Event()
    page.route(re.compile(r"/history\?"), lambda route: held.append(route) if holding.is_set() else route.continue_())
    with Stage(hub, only=("web-01",)) as stage:
        log_in(page, hub)
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
