"""Several servers in one chart."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import sign_in
from tests.support.page.hubs import hub_of_the_file
from tests.support.page.large_node import Large
from tests.support.page.phone import not_wider
from tests.support.page.plots import draw_across, told_at_the_end, window_of
from tests.support.page.waits import until
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

hub = hub_of_the_file()

HIDDEN_BESIDE = "(one) => one.scrollWidth - one.clientWidth"
"""How much of an element's width is seen by scrolling only."""


def test_servers_are_compared_in_one_chart(page: Page, hub: HubProcess) -> None:
    first, second, third = hub.enrol("web-1", "web-2", "web-3")
    with Large(hub, [first, second]):
        sign_in(page, hub, at=f"/n/{first.node_id}")
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
        not_wider(page)
        page.set_viewport_size({"width": 390, "height": 844})
        not_wider(page)

        # a finger drawn across chooses a stretch too
        expect(chart.locator(".u-over")).to_be_visible()
        draw_across(page, chart.locator(".u-over"), 0.4, 0.8)
        frozen = until(page, lambda: window_of(page))
        assert 1200 <= frozen[1] - frozen[0] <= 1700, "four tenths of an hour"
        expect(page.get_by_role("button", name="Back to 1h")).to_be_visible()


@pytest.mark.slow
def test_a_silent_compared_server_shows_since_when_and_its_own_gap(page: Page, hub: HubProcess) -> None:
    with Stage(hub, only=("web-01", "db-01")) as stage:
        sign_in(page, hub, at=f"/compare?nodes={stage.ids['web-01']},{stage.ids['db-01']}&metric=cpu.total")
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
            until(page, lambda: page.get_by_role("region", name="Figures, table").evaluate(HIDDEN_BESIDE), lambda hidden: hidden == 0)
            not_wider(page)


@pytest.mark.slow
def test_a_compared_server_with_a_long_name_can_be_removed(page: Page, hub: HubProcess) -> None:
    nodes = hub.enrol("short", "a-server-whose-name-is-as-long-as-they-come")
    with Large(hub, list(nodes)):
        sign_in(page, hub, at=f"/compare?nodes={','.join(node.node_id for node in nodes)}")
        figures = page.get_by_role("region", name="Figures, table")
        expect(figures.get_by_role("row").filter(has_text="short")).to_contain_text(re.compile(r"\d%.*\d%.*\d%.*\d%"))
        for metric, unit in (("memory.used", "GiB"), ("cpu.total", "%")):
            page.get_by_label("Value", exact=True).select_option(metric)
            expect(figures.get_by_role("row").filter(has_text="short")).to_contain_text(unit)
            for width in (320, 390, 1440):
                page.set_viewport_size({"width": width, "height": 900})
                until(page, lambda: figures.evaluate(HIDDEN_BESIDE), lambda hidden: hidden == 0)
                not_wider(page)
        figures.get_by_role("button", name=re.compile(r"^Remove a-server")).click()
        expect(figures.get_by_role("row").filter(has_text="a-server")).to_have_count(0)
