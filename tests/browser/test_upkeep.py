"""Updating the agent and renewing its keys from a node's page."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.agent import SpiderProcess
from tests.support.hub import HubProcess
from tests.support.page.accounts import choose_password, sign_in
from tests.support.page.answers import Kept
from tests.support.page.deployments import opened
from tests.support.page.gate import log_in
from tests.support.page.hubs import hub_of_the_file
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

hub = hub_of_the_file()


def test_the_agent_is_updated_and_rekeyed_from_its_page(page: Page, hub: HubProcess, tmp_path: Path) -> None:
    [node] = hub.enrol("kept-up")
    spider = SpiderProcess(tmp_path / "spider", hub, node)  # without the root part: orders do not complete here
    spider.launch()
    try:
        sign_in(page, hub)
        page.get_by_text("kept-up").first.click()
        page.get_by_role("tab", name="Settings").click()
        page.get_by_role("button", name="Update agent").click()
        expect(page.get_by_text("The update was requested")).to_be_visible()
        expect(page.get_by_role("button", name="Updating kept-up")).to_be_visible()
        [row] = hub.local("GET", "/api/v1/deployments").json["deployments"]
        assert (row["kind"], row["state"], row["node_id"]) == ("update", "running", node.node_id)
        asked = Kept(page, "POST", "**/rekey")
        page.get_by_role("button", name="Replace keys…").click()
        [sent] = asked.wait()
        dialog = opened(page)
        sent.continue_()
        expect(page.get_by_role("status").filter(has_text="It was started.")).to_contain_text("Replace keys: kept-up")
        expect(dialog).to_be_visible()
        assert page.url.endswith("/settings")
        assert "rekey" in [job["action"] for job in hub.local("GET", "/api/v1/jobs").json["jobs"]]
    finally:
        spider.close()


def test_a_node_that_runs_another_spider_than_the_hub_ships_is_marked_with_its_version(page: Page, hub: HubProcess) -> None:
    with Stage(hub, only=("web-01",), spider="0.0.9") as stage:
        sign_in(page, hub)
        expect(page.locator("[data-node]").filter(has_text="web-01")).to_contain_text("127.0.0.1 · agent 0.0.9")
        page.goto(f"{hub.url}/n/{stage.ids['web-01']}/settings")
        expect(page.get_by_title("This hub ships another version")).to_have_text("agent 0.0.9")
        agent = page.get_by_role("region", name="Agent", exact=True)
        expect(agent).to_contain_text("Version 0.0.9. This hub ships another version, which an update installs.")


@pytest.mark.slow
def test_the_rekey_action_is_hidden_from_users_without_the_right(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("rekeyed")
    made = hub.local("POST", "/api/v1/users", {"username": "vera", "role": "operator"})
    log_in(page, hub)
    agent = page.get_by_role("region", name="Agent", exact=True)
    page.goto(f"{hub.url}/n/{node.node_id}/settings")
    expect(agent).to_contain_text("Replacing its keys")
    page.get_by_role("button", name="Sign out").first.click()
    choose_password(page, hub, "vera", made.json["password"])
    expect(page.get_by_role("navigation", name="Main", exact=True)).to_be_visible()
    page.goto(f"{hub.url}/n/{node.node_id}/settings")
    expect(agent.get_by_role("button", name="Update agent")).to_be_visible()
    expect(agent).not_to_contain_text("keys", ignore_case=True)


def test_a_node_is_deployed_again_from_its_page(page: Page, hub: HubProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        [node] = hub.enrol("broken")
        before = hub.local("GET", "/api/v1/deployments").json["deployments"]
        sign_in(page, hub)
        page.get_by_text("broken").first.click()
        page.get_by_role("tab", name="Settings").click()
        page.get_by_role("button", name="Deploy again…").click()
        dialog = page.get_by_role("dialog", name="Deploy broken again")
        expect(dialog.get_by_text("No credentials are stored for this server.")).to_be_visible()
        dialog.get_by_role("button", name="Deploy again").click()
        expect(dialog.locator(".wrong").first).to_be_visible()  # nothing was typed yet
        assert hub.local("GET", "/api/v1/deployments").json["deployments"] == before
        dialog.get_by_label("Host name or IP").fill("127.0.0.1")
        dialog.get_by_label("Port").fill(str(mute.getsockname()[1]))
        dialog.get_by_label("SSH user").fill("root")
        dialog.get_by_role("radio", name="Password", exact=True).click()
        dialog.get_by_label("SSH password", exact=True).fill("once only")
        dialog.get_by_role("button", name="Deploy again").click()
        steps = page.get_by_role("dialog", name="Deploying to broken")
        expect(steps.locator("footer")).to_contain_text("This continues when you close the dialog.")
        row = hub.local("GET", "/api/v1/deployments").json["deployments"][0]
        assert (row["kind"], row["again"], row["node_id"]) == ("install", True, node.node_id)
        steps.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("dialog", name="Deployment to broken cancelled")).to_be_visible()
        assert [one["id"] for one in hub.local("GET", "/api/v1/nodes").json["nodes"] if one["name"] == "broken"] == [node.node_id]
