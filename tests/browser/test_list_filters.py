"""Lists whose filter or order changes: results of the previous request are not shown as results of the next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import settings, sign_in
from tests.support.page.answers import Kept
from tests.support.page.gate import log_in
from tests.support.page.waits import try_now
from tests.support.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

BUSY = {"code": "unavailable", "detail": "It is busy."}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    with HubProcess(tmp_path / "hub") as made:
        [node] = made.enrol("web-1")
        job = made.local("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "refresh"})
        assert made.local("POST", f"/api/v1/jobs/{job.json['id']}/cancel").status == 200
        yield made


def refused_then_answered(page: Page, asked: Kept, what: str, rows: Locator) -> None:
    """Previous results disappear immediately; a refused request can be retried."""
    [first] = asked.wait()
    expect(page.get_by_role("group", name=f"Loading {what}")).to_be_visible()
    expect(rows).to_have_count(0)
    first.fulfill(status=503, json=BUSY)
    told = page.get_by_role("alert").filter(has_text=f"{what.capitalize()} could not be read")
    expect(told).to_contain_text("It is busy.")
    expect(rows).to_have_count(0)
    told.get_by_role("button", name="Try again").click()
    [second] = asked.wait()
    second.continue_()
    expect(told).to_have_count(0)


@pytest.mark.refusals("503 (Service Unavailable)")
def test_a_list_never_shows_the_answer_to_an_earlier_filter(page: Page, hub: HubProcess) -> None:
    sign_in(page, hub, at="/jobs")
    rows = page.get_by_role("table", name="Jobs").get_by_role("row").filter(has_text="web-1")
    expect(rows).to_have_count(1)
    asked = Kept(page, "GET", "**/api/v1/jobs?*state=*")
    page.get_by_role("group", name="State").get_by_role("button", name="Succeeded").click()
    refused_then_answered(page, asked, "the jobs", rows)
    expect(page.get_by_role("heading", name="No job matches")).to_be_visible()

    body = {"host": "127.0.0.1", "port": free_port(), "username": "ada", "name": "one", "password": "wrong"}
    assert hub.local("POST", "/api/v1/deployments", body).status == 202
    page.goto(f"{hub.url}/events")
    rows = page.get_by_role("table", name="Events").get_by_role("row").filter(has_text="Add server one")
    expect(rows).to_have_count(1)
    asked = Kept(page, "GET", "**/api/v1/events?*group=*")
    page.get_by_role("group", name="About").get_by_role("button", name="Operating system").click()
    refused_then_answered(page, asked, "the events", rows)
    expect(page.get_by_role("heading", name="No event matches")).to_be_visible()


@pytest.mark.refusals("503 (Service Unavailable)")
def test_a_stale_list_of_a_setting_is_marked_and_can_be_reloaded(page: Page, hub: HubProcess) -> None:
    def of_two_pages(route: Route) -> None:
        if "cursor=" in route.request.url:
            route.fulfill(status=503, json=BUSY)
        else:
            answer = route.fetch()
            route.fulfill(response=answer, json={**answer.json(), "next": "2"})

    log_in(page, hub)
    page.route("**/api/v1/auth/sessions?*", of_two_pages)
    page.goto(f"{hub.url}/settings")
    page.get_by_role("button", name="Show more").click()
    told = page.get_by_role("status").filter(has_text="This may be out of date.")
    expect(told).to_contain_text("It is busy.")
    top, first = told.bounding_box(), page.get_by_role("list", name="Sessions").get_by_role("listitem").first.bounding_box()
    assert top is not None
    assert first is not None
    assert top["y"] < first["y"]
    told.get_by_role("button", name="Try again").click()
    expect(told).to_have_count(0)


def test_users_and_their_settings_reload_after_the_hub_returns(page: Page, hub: HubProcess) -> None:
    sign_in(page, hub)
    settings(page)
    hub.end()
    page.get_by_role("tab", name="Users").click()
    told = page.get_by_role("alert").filter(has_text="could not be read")
    expect(told).to_have_text([re.compile("^The users could not be read"), re.compile("^The rule for second factors could not be read")])
    expect(told.get_by_role("button", name="Try again")).to_have_count(2)
    hub.launch()
    try_now(page)
    expect(page.get_by_role("table", name="Users")).to_contain_text("admin")
    expect(page.get_by_role("region", name="Required second factor")).to_be_visible()
    expect(told).to_have_count(0)
