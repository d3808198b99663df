"""What needs a person stands first, with its cause, since when, and until when."""

from __future__ import annotations

import re
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.support.hub import HubProcess
from tests.support.page.gate import gate
from tests.support.page.waits import until
from tests.support.stage import BY_STAR, Stage, Star, values

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

HOURS = 6
LEFT_H = 9.5
"""So long until the disk is full, by the growth that is played."""


def growing(route: Route) -> None:
    """As if the disk of db-01 had grown for hours."""
    [metric] = parse_qs(urlsplit(route.request.url).query)["metric"]
    star, now = BY_STAR["db-01"], int(time.time())
    whole = star.cores * 20e9
    an_hour = whole * (1 - star.disk) / LEFT_H
    times = [now - 3600 * hour for hour in range(HOURS, -1, -1)]
    used = [whole * star.disk - an_hour * (now - at) / 3600 for at in times]
    answer = {
        "node_id": "",
        "from": times[0],
        "to": now,
        "step": 3600,
        "times": times,
        "series": {metric: {"avg": used, "min": used, "max": used}},
    }
    route.fulfill(json=answer)


def test_trouble_says_since_when_and_until_when(browser: Browser, hub: HubProcess) -> None:
    with Stage(hub, only=("web-03", "db-01", "edge-ams")) as stage, gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        strip = page.get_by_role("region", name="Needs attention")
        disk = strip.get_by_role("link").filter(has_text="db-01")
        expect(disk).to_contain_text("/ 93% full")
        expect(disk).to_contain_text(re.compile(r"277\sGiB of 298\sGiB"))  # a quarter of an hour is too short for a forecast
        assert "127.0.0.1" not in disk.inner_text()
        expect(strip.get_by_role("link").last).to_contain_text("edge-ams")  # an update can wait, whatever its server is called
        stage.hold_cpu("web-03", 99)
        expect(strip.get_by_role("link").filter(has_text="web-03")).to_contain_text(
            re.compile(r"CPU \d+% for (over )?\d+\s(s|min)"), timeout=60_000
        )

        page.route(re.compile(r"/history\?metric=filesystem\.used"), growing)
        page.reload()
        expect(disk).to_contain_text(re.compile(r"full in about 9\sh at this rate"))
        disk.click()
        expect(page.get_by_role("status").filter(has_text="/ is 93% full.")).to_contain_text(
            re.compile(r"Growing .*/h, full in about 9\sh\.")
        )


def test_what_was_wrong_with_servers_that_measure_no_more_stays_with_its_age_behind_what_is_known(
    browser: Browser, hub: HubProcess
) -> None:
    with Stage(hub, only=("web-01", "web-03", "db-01")) as stage, gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        links = page.get_by_role("region", name="Needs attention").get_by_role("link")
        disk = links.filter(has_text="db-01")
        stage.hold_cpu("web-03", 99)
        expect(links.first).to_contain_text("web-03", timeout=60_000)
        for name in stage.ids:
            stage.hush(name)
        for link in (links.first, disk):
            expect(link).to_contain_text(re.compile(r"(CPU|/) \d+%.*\d+\ss old", re.DOTALL))
            expect(link.get_by_role("img", name="Stale")).to_be_visible()
        expect(links.first).to_contain_text("web-03")
        assert seen.axe() == []
        page.get_by_role("link", name="Jobs").first.click()
        expect(page.get_by_role("heading", level=1, name="Jobs")).to_be_attached()
        page.get_by_role("link", name="Fleet").first.click()
        expect(disk).to_contain_text("/ 93% full")
        stage.leave("web-01")
        expect(links.first).to_contain_text(re.compile("web-01.*No contact for", re.DOTALL), timeout=60_000)
        stage.leave("web-03")  # whoever is removed does not come again
        assert hub.local("DELETE", f"/api/v1/nodes/{stage.ids['web-03']}?force=true").status < 300
        expect(links.filter(has_text="web-03")).to_have_count(0)
        stage.hush("db-01", on=False)
        expect(disk.get_by_role("img", name="Warning")).to_be_visible()
        expect(disk).not_to_contain_text("old")


def test_a_server_that_is_lost_says_how_once_the_cause_is_known(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        with Stage(hub, only=("db-01",)):
            seen.sign_in()
            expect(page.get_by_text("1of 1 online")).to_be_visible()
        lost = page.get_by_role("region", name="Needs attention").get_by_role("link").filter(has_text="db-01")
        expect(lost).to_contain_text("No contact for", timeout=60_000)
        expect(lost).to_contain_text("Closed the connection itself")
        assert "127.0.0.1" not in lost.inner_text()
        held: list[Route] = []
        page.route("**/a/issues-*.js", lambda route: held.append(route), times=1)  # noqa: PLW0108  # the driver wants a function of Python
        page.reload()
        expect(lost).to_contain_text("No contact for")
        until(page, lambda: held)
        assert "127.0.0.1" not in lost.inner_text()
        before = lost.bounding_box()
        held[0].continue_()
        expect(lost).to_contain_text("Closed the connection itself")
        assert lost.bounding_box() == before


def test_a_server_that_did_not_come_back_to_a_hub_that_was_restarted_says_so(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub, expected=("WebSocket", "ERR_CONNECTION_REFUSED")) as seen:
        page = seen.page
        with Stage(hub, only=("db-01", "web-01")) as stage:
            seen.sign_in()
            stage.leave("web-01")
            silent = page.get_by_role("region", name="Needs attention").get_by_role("link").filter(has_text="web-01")
            expect(silent).to_contain_text("Closed the connection itself", timeout=60_000)
            away = stage.ids["db-01"]
            hub.end()
        hub.launch()
        seen.open(f"/n/{away}")
        expect(page.get_by_role("status").filter(has_text="db-01 is reconnecting.")).to_contain_text("The hub was started a moment ago.")
        hub.end()
        with HubProcess(hub.folder, port=hub.port, faults=("reconnect=1",)):
            seen.open("/")
            lost = page.get_by_role("region", name="Needs attention").get_by_role("link").filter(has_text="db-01")
            expect(lost).to_contain_text("Not back since Ground Control restarted", timeout=30_000)
            expect(silent).to_contain_text("Closed the connection itself")  # it had left before
            seen.open(f"/n/{away}")
            banner = page.get_by_role("status").filter(has_text="db-01 is offline.")
            expect(banner).to_contain_text(re.compile(r"Ground Control was restarted at \d\d:\d\d, and the node has not come back since\."))


def test_a_server_that_never_came_is_not_called_live_and_its_way_out_is_named(browser: Browser, hub: HubProcess) -> None:
    [never] = hub.enrol("lab-07")
    with gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        seen.open(f"/n/{never.node_id}")
        expect(page.get_by_role("status").filter(has_text="Waiting for the first contact.")).to_contain_text("both are in its settings")
        expect(page.get_by_role("radio", name="Live").locator(".glyph [stroke-dasharray]")).to_have_count(1)
        page.get_by_role("tab", name="Settings").click()
        for act in ("Deploy again…", "Remove node…"):
            expect(page.get_by_role("button", name=act)).to_be_enabled()


def test_charts_of_a_node_that_has_measured_before_do_not_wait_for_its_first_samples(browser: Browser, hub: HubProcess) -> None:
    with Stage(hub, only=("build-02",), quiet_s=400) as stage, gate(browser, hub) as seen:  # longer than a live chart shows
        page = seen.page
        seen.sign_in()
        seen.open(f"/n/{stage.ids['build-02']}")
        expect(page.get_by_role("status").filter(has_text="No samples for")).to_be_visible()
        expect(page.get_by_role("figure", name="CPU")).to_contain_text("No data in this time")
        expect(page.get_by_text("Waiting for the first samples")).to_have_count(0)


def test_a_file_system_out_of_inodes_is_marked_in_the_fleet_as_on_its_own_page(
    browser: Browser, hub: HubProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worn(star: Star, at: int) -> dict[str, float]:
        return {**values(star, at), "filesystem.inodes_used": 99.0}

    monkeypatch.setattr("tests.support.stage.values", worn)
    with Stage(hub, only=("cache-01",)) as stage, gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        row = page.get_by_role("table", name="Nodes").locator("[data-node]")
        expect(row.get_by_role("img", name="Critical")).to_be_visible()
        strip = page.get_by_role("region", name="Needs attention")
        expect(strip.get_by_role("link").filter(has_text="cache-01")).to_contain_text("99% of inodes used")
        seen.open("/?q=state:critical")
        expect(row).to_have_count(1)
        seen.open(f"/n/{stage.ids['cache-01']}")
        expect(page.get_by_text("/ has used 99% of its inodes.")).to_be_visible()
        expect(page.locator(".node-head").get_by_role("img", name="Critical")).to_be_visible()
