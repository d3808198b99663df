"""Drafts in forms: kept as typed, replaced by changes from elsewhere, with errors shown beside their fields."""

from __future__ import annotations

import re
import time

import asyncssh
import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import sign_in
from tests.support.page.answers import Kept
from tests.support.page.deployments import opened
from tests.support.page.gate import log_in
from tests.support.page.hubs import hub_of_the_file
from tests.support.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

hub = hub_of_the_file()


def test_a_filter_field_shows_the_active_filter(page: Page, hub: HubProcess) -> None:
    hub.enrol("web-1", "web-2", "db-1")
    log_in(page, hub)
    field, nodes = page.get_by_label("Filter nodes"), page.locator("[data-node]")
    page.goto(f"{hub.url}/?q=db")
    expect(nodes).to_have_count(1)
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("saved views")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Saved views")
    dialog.get_by_label("Name").fill("Databases")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    page.goto(hub.url)
    expect(nodes).to_have_count(3)
    field.fill("web ")
    expect(nodes).to_have_count(2)
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("Databases")
    page.keyboard.press("Enter")
    expect(nodes).to_have_count(1)
    expect(field).to_have_value("db")
    page.keyboard.press("/")
    expect(field).to_be_focused()
    page.go_back()
    expect(nodes).to_have_count(2)
    expect(field).to_have_value("web ")
    page.goto(f"{hub.url}/events")
    search = page.get_by_label("Search events")
    search.click()
    page.keyboard.type("job ")
    page.wait_for_url("**/events?q=job")
    page.keyboard.type("failed")
    expect(search).to_have_value("job failed")
    page.wait_for_url(re.compile("q=job(%20|\\+)failed"))
    expect(search).to_have_value("job failed")


@pytest.mark.refusals("400 (Bad Request)")
def test_fields_of_a_server_are_neither_lost_nor_silently_refused(page: Page, hub: HubProcess) -> None:
    sign_in(page, hub)
    dialog = opened(page)
    dialog.get_by_label("Host name or IP").fill("127.0.0.1")
    dialog.get_by_label("Port", exact=True).fill(str(free_port()))
    dialog.get_by_label("SSH user").fill("ada")

    dialog.locator("summary", has_text="Options").click()
    jump = dialog.get_by_role("switch", name="Through a jump host")
    jump.click()
    dialog.get_by_label("Jump host", exact=True).fill("bastion")
    for _ in range(2):
        jump.click()
    expect(dialog.get_by_label("Jump host", exact=True)).to_have_value("bastion")
    jump.click()

    dialog.get_by_role("button", name="Paste key").press("Enter")
    expect(dialog.get_by_label("Private key text")).to_be_focused()
    page.keyboard.insert_text(asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode())
    expect(dialog.get_by_role("button", name="Paste instead")).to_be_focused()
    dialog.get_by_role("button", name="Remove key").click()

    dialog.get_by_role("radio", name="Password", exact=True).click()
    password, tags = dialog.get_by_label("SSH password", exact=True), dialog.get_by_label("Tags", exact=True)
    password.fill("y" * 1100)
    tags.fill("we\u200bb")
    dialog.get_by_role("button", name="Connect").click()
    expect(password).to_have_attribute("aria-invalid", "true")
    told = dialog.get_by_role("alert")
    expect(told.filter(has_text="1024")).to_be_visible()
    expect(tags).to_have_attribute("aria-invalid", "true")
    expect(told.filter(has_text="The tag web contains a character that cannot be seen (U+200B).")).to_be_visible()
    password.fill("y")
    dialog.get_by_role("button", name="Connect").click()
    expect(told).to_have_count(1)
    expect(tags).to_have_attribute("aria-invalid", "true")

    tags.fill("prod")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opened(page).locator(".tag")).to_contain_text(["we", "prod"])


@pytest.mark.refusals("ERR_FAILED")
def test_the_deployment_method_cannot_change_while_it_is_requested(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("joined-1")
    sign_in(page, hub)
    asked = Kept(page, "POST", "**/api/v1/invites")
    dialog = opened(page)
    way = dialog.get_by_role("radio", name="Over SSH")
    dialog.get_by_role("radio", name="One-line command").click()
    dialog.get_by_role("button", name="Create command").click()
    [sent] = asked.wait()
    with pytest.raises(Exception, match="Timeout"):
        way.click(timeout=500)
    ends_at = time.time() + 3

    def looked_at(route: Route) -> None:
        """The hub is not heard until its time is over; by then a server has joined with it."""
        if time.time() < ends_at + 2:
            route.abort()
            return
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"state": "used", "uses": 1, "node_id": node.node_id})

    page.route("**/api/v1/invites/*", looked_at)
    answer = sent.fetch()
    sent.fulfill(response=answer, json=answer.json() | {"expires_at": ends_at})
    expect(dialog.get_by_role("heading", name="The command has expired")).to_be_visible()
    expect(dialog.get_by_label("Command", exact=True)).to_have_count(0)
    expect(dialog.get_by_role("heading", name="The server is joining")).to_be_visible()


@pytest.mark.refusals("409 (Conflict)")
def test_node_drafts_stay_over_tabs_and_show_their_errors(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("web-9")
    sign_in(page, hub, at=f"/n/{node.node_id}/settings")
    card = page.get_by_role("region", name="Name and tags")
    name, tags, save = card.get_by_label("Name in Stardust"), card.get_by_label("Tags", exact=True), card.get_by_role("button", name="Save")
    name.fill("web-9 in the cellar")
    tags.fill("eu,")

    def away_and_back() -> None:
        page.get_by_role("tab", name="Overview").click()
        expect(card).to_have_count(0)
        renamed = hub.local("PATCH", f"/api/v1/nodes/{node.node_id}", {"tags": ["night"]})
        assert renamed.status == 200, renamed.body
        page.get_by_role("tab", name="Settings").click()

    away_and_back()
    expect(name).to_have_value("web-9 in the cellar")
    for tag in ("eu", "night"):  # what others make of it meanwhile is there as well
        expect(card.get_by_role("button", name=f"Remove tag {tag}")).to_be_visible()
    save.click()
    expect(page.get_by_text("Saved")).to_be_visible()
    expect(save).to_be_disabled()
    view = hub.node(node.node_id)
    assert (view["name"], sorted(view["tags"])) == ("web-9 in the cellar", ["eu", "night"])

    hub.enrol("cache-01")
    name.fill("cache-01")
    save.click()
    expect(card.get_by_role("alert")).to_contain_text("There is a node named cache-01 already")
    name.fill("web\u202e1")
    expect(card.get_by_role("alert")).to_contain_text("a character that cannot be seen (U+202E)")
    expect(save).to_be_disabled()
    name.fill("w" * 101)
    expect(card.get_by_role("alert")).to_have_text("A name has at most 100 characters; this has 101.")
    name.fill("w" * 100)
    save.click()
    expect(save).to_be_disabled()
    assert hub.local("GET", f"/api/v1/nodes/{node.node_id}").json["name"] == "w" * 100
    tags.fill("t" * 70)
    tags.press("Enter")
    expect(card.get_by_role("button", name="Remove tag " + "t" * 70)).to_be_visible()
    expect(card.get_by_role("alert")).to_contain_text("A tag has at most 64 characters;")
    expect(save).to_be_disabled()
    page.goto(hub.url)
    page.goto(f"{hub.url}/n/{node.node_id}/settings")
    expect(card.get_by_role("button", name="Remove tag eu")).to_be_visible()
    expect(card.get_by_role("button", name="Remove tag " + "t" * 70)).to_have_count(0)
