"""Events and jobs filtered by the URL, and the names shown for unknown nodes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import choose_password, sign_in
from tests.support.page.fleets import CHECK, Printer, checked

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

CREATED = 201


def test_events_are_searched_as_typed_and_a_node_is_shown_as_removed_only_once_the_fleet_is_known(page: Page, hub: HubProcess) -> None:
    """A filter in the address that cannot be is ignored."""
    [node] = hub.enrol("web-01")
    silent = False

    def opened(socket: WebSocketRoute) -> None:
        if not silent:
            socket.connect_to_server()

    page.route_web_socket("**/api/v1/live", opened)
    with Printer(hub, [node]) as printer:
        job = checked(page, hub, printer, node)
        sign_in(page, hub, at="/events?severity=bogus&type=bogus")
        row = page.get_by_role("row").filter(has_text=f"{CHECK} on web-01: succeeded")
        expect(row).to_be_visible()
        expect(page.get_by_role("group", name="Severity").locator("[aria-pressed=true]")).to_have_count(0)
        search = page.get_by_label("Search events")
        search.fill("Check for up")
        page.wait_for_url(re.compile("q=Check"))
        expect(row).to_be_visible()
        expect(page.get_by_role("row").filter(has_text="web-01")).to_have_count(1)
        checked(page, hub, printer, node)  # a live event is found by the same text
        expect(row).to_have_count(2)
        search.fill("Check for updates on web-02")
        expect(page.get_by_role("heading", name="No event matches")).to_be_visible()
        page.get_by_role("button", name="Show all events").click()
        expect(row).to_have_count(2)
        expect(page).to_have_url(f"{hub.url}/events")
        page.get_by_label("To date").fill("2020-01-01")
        expect(page.get_by_role("heading", name="No event matches")).to_be_visible()
        page.get_by_label("To date").fill("")
        page.get_by_label("From date").fill("2020-01-01")
        expect(page).to_have_url(f"{hub.url}/events?from=2020-01-01")
        expect(row).to_have_count(2)

    main = page.get_by_role("main")
    silent = True
    for path in ("/events", "/jobs", f"/jobs/{job}"):
        page.goto(hub.url + path)
        expect(main.get_by_text(CHECK).locator("visible=true").first).to_be_visible()
        expect(main.get_by_text("…", exact=path != f"/jobs/{job}").first).to_be_visible()
        expect(page.get_by_text("removed node")).to_have_count(0)
    silent = False
    page.goto(f"{hub.url}/jobs/{job}")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{CHECK}, web-01")
    expect(page.locator(".crumb")).to_contain_text(f"{CHECK}, web-01")
    page.goto(f"{hub.url}/events")
    row = page.get_by_role("row").filter(has_text=CHECK).first
    expect(row.get_by_role("link", name="web-01")).to_be_visible()
    assert hub.local("DELETE", f"/api/v1/nodes/{node.node_id}?force=true").status < 300
    expect(row.get_by_role("link", name="removed node")).to_be_visible()


@pytest.mark.refusals("404 (Not Found)")
def test_nodes_outside_the_grant_are_not_shown_as_removed(page: Page, hub: HubProcess) -> None:
    mine, other = hub.enrol("web-01", "web-02")
    made = hub.local("POST", "/api/v1/users", {"username": "vera", "role": "operator", "grants": {"nodes": [mine.node_id]}})
    assert made.status == CREATED, made.body
    choose_password(page, hub, "vera", made.json["password"])
    expect(page.get_by_text("web-01").first).to_be_visible()
    page.goto(f"{hub.url}/compare?nodes={mine.node_id},{other.node_id}")
    table = page.get_by_role("table")
    expect(table.get_by_role("link", name="web-01")).to_be_visible()
    expect(table.get_by_text("not among your nodes")).to_be_visible()
    expect(page.get_by_text("removed node")).to_have_count(0)


MANY = 30
"""More than half a page of events, so that those of an order with two for each node are on two pages."""


def test_an_order_for_many_nodes_is_one_row_of_events_and_audit_with_its_true_number(page: Page, hub: HubProcess) -> None:
    """Two orders of 30 nodes: a page of 50 events ends within the second one."""
    nodes = [node.node_id for node in hub.enrol(*(f"web-{at:02}" for at in range(MANY)))]
    for body in ({"action": "check"}, {"action": "plan", "for": "upgrade"}):
        made = hub.local("POST", "/api/v1/jobs", {**body, "nodes": nodes})
        assert made.status < 300, made.body
        batch = made.json["id"]
        assert hub.local("POST", f"/api/v1/batches/{batch}/cancel").status < 300
    sign_in(page, hub, at="/events")
    rows = page.get_by_role("table", name="Events").get_by_role("row")
    summary = f"{MANY}\u00a0nodes: {MANY} cancelled"
    for title in ("Plan: Upgrade packages", "Check for updates"):
        expect(rows.filter(has_text=f"{title} on {summary}")).to_have_count(1)
    expect(rows.filter(has_text="Check for updates")).to_have_count(1)
    rows.filter(has_text="Plan:").get_by_role("button", expanded=False).click()
    expect(rows.filter(has_text="Plan on web-07: cancelled")).to_have_count(1)
    rows.filter(has_text="Plan: ").get_by_role("link", name="Open").click()
    page.wait_for_url(re.compile(f"/batches/{batch}$"))
    page.goto(f"{hub.url}/settings/audit")
    rows = page.get_by_role("table", name="Audit log").get_by_role("row")
    for title in ("Plan: Upgrade packages", "Check for updates"):
        row = rows.filter(has_text=title)
        expect(row).to_have_count(1)
        expect(row.get_by_role("link")).to_have_text(summary)
        expect(row.get_by_role("cell").nth(3)).to_have_text(re.compile("^local:"))
    page.reload()
    expect(rows.filter(has_text="Job cancelled")).to_have_count(0)
