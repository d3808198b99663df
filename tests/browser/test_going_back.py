"""Browser back with a dialog open: the dialog closes with the page that it belongs to."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.hub import HubProcess
from tests.support.page.gate import Gate, gate
from tests.support.page.hubs import hub_of_the_file, stage_of_the_file
from tests.support.page.waits import until
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


hub = hub_of_the_file()
stage = stage_of_the_file("web-01")


def two_pages(seen: Gate, stage: Stage) -> Page:
    """From the fleet to a node, so that there is a step to go back."""
    seen.sign_in()
    seen.page.get_by_role("link", name="web-01").first.click()
    expect(seen.page.get_by_role("heading", level=1)).to_have_text("web-01")
    return seen.page


def test_navigating_back_closes_the_dialog_of_a_page(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        page = two_pages(seen, stage)
        for opened in ("Add node", "Search or run a command"):
            page.get_by_role("button", name=opened).first.click()
            expect(page.get_by_role("dialog")).to_be_visible()
            page.go_back()
            expect(page.get_by_role("heading", level=1)).to_have_text("Fleet")
            expect(page.get_by_role("dialog")).to_have_count(0)
            page.go_forward()
            expect(page.get_by_role("heading", level=1)).to_have_text("web-01")
            expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_submitting_dialog_stays_until_its_answer(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    held: list[Route] = []
    with gate(browser, hub, expected=("422 (", "400 (")) as seen:
        page = two_pages(seen, stage)

        def hold(route: Route) -> None:
            held.append(route)

        page.route("**/api/v1/deployments", hold)
        page.get_by_role("button", name="Add node").first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Host name or IP").fill("192.0.2.7")
        dialog.get_by_label("SSH user").fill("ada")
        dialog.get_by_role("radio", name="Password", exact=True).click()
        dialog.get_by_label("SSH password", exact=True).fill("right")
        dialog.get_by_role("button", name="Connect").click()
        [route] = until(page, lambda: held)
        page.go_back()
        expect(page.get_by_role("heading", level=1)).to_have_text("Fleet")
        expect(dialog.get_by_label("SSH user")).to_have_value("ada")
        route.fulfill(
            status=400, json={"type": "about:blank", "title": "Bad request", "status": 400, "code": "bad_request", "detail": "Not so."}
        )
        expect(dialog.get_by_text("Not so.")).to_be_visible()
        page.go_forward()
        expect(dialog).to_have_count(0)
