"""A component of the page that fails: its old content is removed, the rest keeps working, and it can recover."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.support.hub import HubProcess
from tests.support.page.gate import Gate, gate, log_in
from tests.support.page.hubs import hub_of_the_file

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

UNFIT = {"tables": [{"subject": "processes", "columns": None, "rows": None, "taken_at": 1, "total": 1}]}
"""As from a hub of another version."""


hub = hub_of_the_file()


def only_the_break_was_told(seen: Gate) -> None:
    """In the console stands what broke, and nothing that went wrong besides."""
    assert seen.faults, "what broke is in the console"
    assert [fault for fault in seen.faults if "Cannot read properties of null" not in fault] == []
    seen.faults.clear()


def test_an_invalid_answer_breaks_only_its_own_part(browser: Browser, hub: HubProcess) -> None:
    [node] = hub.enrol("odd-one")
    with gate(browser, hub) as seen:
        page = seen.page
        log_in(seen.page, seen.hub)
        page.route("**/tables", lambda route: route.fulfill(json=UNFIT))
        page.goto(f"{hub.url}/n/{node.node_id}/processes")
        failed = page.get_by_role("alert").filter(has_text="This part of the page failed")
        expect(failed).to_be_visible()
        expect(page.get_by_role("heading", level=1, name="odd-one")).to_be_visible()
        assert seen.axe() == []
        only_the_break_was_told(seen)

        page.get_by_role("tab", name="Software").click()
        page.get_by_role("radio", name="Jobs").click()
        expect(failed).to_have_count(0)
        expect(page.get_by_role("tabpanel")).to_have_count(1)
        page.get_by_role("tab", name="Processes").click()
        page.unroute("**/tables")
        expect(failed).to_be_visible()
        page.get_by_role("link", name="Events").first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Events")
        only_the_break_was_told(seen)


def test_a_page_that_failed_is_read_and_drawn_again_on_demand(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        log_in(seen.page, seen.hub)
        page.route("**/api/v1/updates?*", lambda route: route.fulfill(json={"packages": [None], "total": 1, "told": 1}))
        page.goto(f"{hub.url}/updates")
        failed = page.get_by_role("alert").filter(has_text="This part of the page failed")
        expect(failed).to_be_visible()
        page.unroute("**/api/v1/updates?*")
        failed.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Updates")
        expect(failed).to_have_count(0)
        only_the_break_was_told(seen)
