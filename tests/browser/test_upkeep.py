"""The agent's version and keys, ordered on a node's page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_settings import sign_in
from tests.support.agent import SpiderProcess
from tests.support.hub import HubProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def test_the_agent_is_updated_and_given_new_keys_from_its_page(page: Page, tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        [node] = hub.enrol("kept-up")
        spider = SpiderProcess(tmp_path / "spider", hub, node)  # without root's side: what is ordered does not come to its end here
        spider.launch()
        try:
            sign_in(page, hub)
            page.get_by_text("kept-up").first.click()
            page.get_by_role("tab", name="Settings").click()
            page.get_by_role("button", name="Update agent").click()
            expect(page.get_by_text("The update was ordered")).to_be_visible()
            expect(page.get_by_role("button", name="Updating kept-up")).to_be_visible()
            [row] = hub.local("GET", "/api/v1/deployments").json["deployments"]
            assert (row["kind"], row["state"], row["node_id"]) == ("update", "running", node.node_id)
            with page.expect_response(lambda answer: answer.url.endswith("/rekey")) as ordered:
                page.get_by_role("button", name="Give new keys…").click()
            assert ordered.value.status == 202
            assert "rekey" in [job["action"] for job in hub.local("GET", "/api/v1/jobs").json["jobs"]]
        finally:
            spider.close()
