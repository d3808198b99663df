"""Actions that are cancelled midway: requests already sent are reported as sent, others are not sent."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import sign_in
from tests.support.page.answers import Kept
from tests.support.page.waits import until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

NAMES = ("web-1", "web-2", "web-3", "web-4", "web-5")


def tags(hub: HubProcess) -> dict[str, list[str]]:
    """By node."""
    return {node["name"]: node["tags"] for node in hub.local("GET", "/api/v1/nodes").json["nodes"]}


def choose_all(page: Page, act: str) -> None:
    page.get_by_role("checkbox", name="Select all shown").check()
    page.get_by_role("region", name="Selection").get_by_role("button", name=act).click()


def write_tags(hub: HubProcess, name: str, *given: str) -> None:
    """As another user does it."""
    [node] = [node for node in hub.local("GET", "/api/v1/nodes").json["nodes"] if node["name"] == name]
    reply = hub.local("PATCH", f"/api/v1/nodes/{node['id']}", {"tags": list(given)})
    assert reply.status == 200, reply.body


def forget(hub: HubProcess, name: str) -> None:
    """As another user does it."""
    [node] = [node for node in hub.local("GET", "/api/v1/nodes").json["nodes"] if node["name"] == name]
    reply = hub.local("DELETE", f"/api/v1/nodes/{node['id']}?force=true")
    assert reply.status < 300, reply.body


def test_a_bulk_tag_dialog_shows_concurrent_changes(page: Page, hub: HubProcess) -> None:
    hub.enrol("web-1", "web-2", "web-3")
    sign_in(page, hub)
    choose_all(page, "Tag…")
    dialog = page.get_by_role("dialog", name="Tag 3 nodes")
    expect(dialog.get_by_label("Add")).to_be_visible()
    expect(dialog.get_by_role("checkbox")).to_have_count(0)
    write_tags(hub, "web-1", "night")
    dialog.get_by_role("checkbox", name="night on 1").check()
    expect(dialog.get_by_role("button", name="Change 1 node")).to_be_enabled()
    write_tags(hub, "web-2", "night")
    expect(dialog.get_by_role("button", name="Change 2 nodes")).to_be_enabled()
    forget(hub, "web-1")
    dialog = page.get_by_role("dialog", name="Tag 2 nodes")
    dialog.get_by_role("button", name="Change 1 node").click()
    expect(page.get_by_text("Tags changed on 1 node")).to_be_visible()
    assert tags(hub) == {"web-2": [], "web-3": []}


def test_bulk_tags_are_applied_and_undone_on_the_current_tags(page: Page, hub: HubProcess) -> None:
    hub.enrol("web-1", "web-2")
    write_tags(hub, "web-1", "old", "web")
    write_tags(hub, "web-2", "web")
    sign_in(page, hub)
    choose_all(page, "Tag…")
    dialog = page.get_by_role("dialog", name="Tag 2 nodes")
    dialog.get_by_label("Add").fill("eu,")
    dialog.get_by_role("checkbox", name="old on 1").check()
    write_tags(hub, "web-1", "old", "web", "night")
    dialog.get_by_role("button", name="Change 2 nodes").click()
    undo = page.get_by_role("button", name="Undo")
    undo.hover()
    expect(page.get_by_text("Tags changed on 2 nodes")).to_be_visible()
    expect(dialog).to_have_count(0)
    assert tags(hub) == {"web-1": ["web", "night", "eu"], "web-2": ["web", "eu"]}
    write_tags(hub, "web-2", "web", "eu", "late")
    undo.click()
    expect(page.get_by_text("Tag change undone on 2 nodes")).to_be_visible()
    assert {name: sorted(found) for name, found in tags(hub).items()} == {"web-1": ["night", "old", "web"], "web-2": ["late", "web"]}


def test_bulk_tagging_shows_its_progress_and_stops_at_the_first_refusal(page: Page, hub: HubProcess) -> None:
    hub.enrol(*NAMES)
    sign_in(page, hub)
    asked = Kept(page, "PATCH", "**/api/v1/nodes/*")
    choose_all(page, "Tag…")
    dialog = page.get_by_role("dialog", name="Tag 5 nodes")
    dialog.get_by_label("Add").fill("eu")
    dialog.get_by_label("Add").press("Enter")
    dialog.get_by_role("button", name="Change 5 nodes").click()
    [first] = asked.wait()
    first.fulfill(status=403, json={"code": "auth.step_up_required", "detail": "The password is wanted once more."})
    question = page.get_by_role("dialog", name="Confirm your identity")
    question.get_by_role("button", name="Cancel").click()
    expect(dialog.get_by_role("alert")).to_contain_text(
        "5 nodes not changed: web-1, web-2, web-3, web-4, web-5. The password is wanted once more."
    )
    expect(question).to_have_count(0)
    assert asked.none(), "who would rather not is not asked again for each node"

    dialog.get_by_role("button", name="Change 5 nodes").click()
    [again] = asked.wait()
    again.continue_()
    others = asked.wait(4)
    expect(dialog.get_by_text("1 of 5")).to_be_visible()
    for other in others:
        other.continue_()
    expect(page.get_by_text("Tags changed on 5 nodes")).to_be_visible()
    expect(dialog).to_have_count(0)
    assert set(map(tuple, tags(hub).values())) == {("eu",)}


def test_concurrently_added_tags_stay_when_tags_are_saved_and_undone(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("web-1")
    write_tags(hub, "web-1", "old", "web")
    sign_in(page, hub, at=f"/n/{node.node_id}/settings")
    card = page.get_by_role("region", name="Name and tags")
    card.get_by_label("Tags", exact=True).fill("eu,")
    card.get_by_role("button", name="Remove tag old").click()
    write_tags(hub, "web-1", "old", "web", "night")
    expect(card.get_by_role("button", name="Remove tag night")).to_be_visible()
    expect(card.get_by_role("button", name="Remove tag eu")).to_be_visible()
    card.get_by_role("button", name="Save").click()
    undo = page.get_by_role("button", name="Undo")
    undo.hover()
    assert tags(hub) == {"web-1": ["web", "night", "eu"]}
    write_tags(hub, "web-1", "web", "night", "eu", "late")
    undo.click()
    expect(page.get_by_text("Undone")).to_be_visible()
    assert sorted(tags(hub)["web-1"]) == ["late", "night", "old", "web"]
    expect(card.get_by_role("button", name="Save")).to_be_disabled()


@pytest.mark.refusals("409 (Conflict)")
def test_a_bulk_removal_stops_after_the_running_ones_and_counts_what_is_left(page: Page, hub: HubProcess) -> None:
    hub.enrol(*NAMES)
    sign_in(page, hub)
    choose_all(page, "Remove…")
    dialog = page.get_by_role("dialog", name="Remove 5 nodes")
    dialog.get_by_text("The servers are gone, only forget the nodes").click()
    dialog.get_by_label("Type 5 to confirm").fill("5")
    asked = Kept(page, "DELETE", "**/api/v1/nodes/*")
    dialog.get_by_role("button", name="Remove 5 nodes").click()
    [first] = asked.wait()
    assert asked.none(), "the first goes alone"
    first.continue_()
    [second, third] = asked.wait(2)
    expect(dialog.get_by_text("1 of 5")).to_be_visible()
    expect(dialog.get_by_role("button", name="Cancel")).to_have_count(0)
    dialog.get_by_role("button", name="Stop after the current ones").click()
    expect(dialog.get_by_text("Stopping after the current ones…")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    second.continue_()
    third.fulfill(status=409, json={"code": "conflict", "detail": "It is being deployed."})
    expect(dialog).to_contain_text("2 nodes forgotten: web-1, web-2. Nothing on the servers was touched.")
    expect(dialog.get_by_role("alert")).to_contain_text("1 node not removed: web-3. It is being deployed.")
    expect(dialog).to_contain_text("2 nodes not started: web-4, web-5. Nothing was changed on them.")
    assert asked.none()
    dialog.get_by_role("button", name="Close").last.click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("region", name="Selection")).to_contain_text("3 nodes selected")
    until(page, lambda: sorted(tags(hub)), lambda left: left == ["web-3", "web-4", "web-5"])

    # nodes that go meanwhile: the number is asked for again
    page.unroute_all()
    page.get_by_role("region", name="Selection").get_by_role("button", name="Remove…").click()
    dialog = page.get_by_role("dialog", name="Remove 3 nodes")
    expect(dialog.get_by_text("3 nodes will be refused:")).to_be_visible()
    dialog.get_by_text("The servers are gone, only forget the nodes").click()
    dialog.get_by_label("Type 3 to confirm").fill("3")
    expect(dialog.get_by_role("button", name="Remove 3 nodes")).to_be_enabled()
    forget(hub, "web-4")
    dialog = page.get_by_role("dialog", name="Remove 2 nodes")
    expect(dialog.get_by_role("button", name="Remove 2 nodes")).to_be_disabled()
    dialog.get_by_label("Type 2 to confirm").fill("2")
    dialog.get_by_role("button", name="Remove 2 nodes").click()
    expect(dialog).to_have_count(0)
    until(page, lambda: tags(hub), lambda left: not left)


@pytest.mark.refusals("503 (Service Unavailable)", "ERR_FAILED")
def test_a_sent_bulk_order_is_followed_although_its_dialog_closed_or_its_answer_is_lost(page: Page, hub: HubProcess) -> None:
    nodes = [node.node_id for node in hub.enrol("web-1", "web-2")]
    sign_in(page, hub)
    asked = Kept(page, "POST", "**/api/v1/jobs")
    choose_all(page, "Run…")
    dialog = page.get_by_role("dialog", name="Run on 2 nodes")
    start = dialog.get_by_role("button", name="Check for updates on 2")
    start.click()
    [first] = asked.wait()
    expect(dialog.get_by_text("Sent, waiting for the answer. It continues when you close this.")).to_be_visible()
    expect(dialog.get_by_role("button", name="Cancel")).to_have_count(0)
    first.fulfill(status=503, json={"code": "unavailable", "detail": "It is busy."})
    expect(dialog.get_by_role("alert")).to_contain_text("It is busy. It is not known whether it started.")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_visible()
    start.click()
    [second] = asked.wait()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.get_by_role("region", name="Selection").get_by_role("button", name="Tag…").click()
    other = page.get_by_role("dialog", name="Tag 2 nodes")
    expect(other).to_be_visible()
    second.fulfill(status=503, json={"code": "unavailable", "detail": "It is busy still."})
    told = page.get_by_role("alert").filter(has_text="It is busy still.")
    expect(told).to_contain_text("Check for updates on 2 nodes")
    page.keyboard.press("Escape")
    told.get_by_role("button", name="Retry").click()
    [third] = asked.wait()
    page.get_by_role("region", name="Selection").get_by_role("button", name="Tag…").click()
    third.continue_()
    note = page.get_by_role("status").filter(has_text="It was started.")
    expect(note).to_be_visible()
    expect(other).to_be_visible()
    assert "/batches/" not in page.url
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Selection")).to_contain_text("2 nodes selected")
    note.get_by_role("button", name="Open").click()
    page.wait_for_url(re.compile(r"/batches/"))
    keys = {route.request.headers["idempotency-key"] for route in (first, second, third)}
    assert len(keys) == 1, "the same order, however often it was sent"

    # an answer that is lost: the order is followed once its jobs appear
    page.get_by_role("link", name="Fleet").first.click()
    page.get_by_role("region", name="Selection").get_by_role("button", name="Run…").click()
    start.click()
    [lost] = asked.wait()
    assert lost.fetch().status == 202
    lost.abort()
    page.wait_for_url(re.compile(r"/batches/"))
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("heading", level=1, name="Check for updates on 2 nodes")).to_be_visible()

    # a plan says what it is a plan of
    made = hub.local("POST", "/api/v1/jobs", {"action": "plan", "for": "upgrade", "nodes": nodes})
    assert made.status < 300, made.body
    page.goto(f"{hub.url}/batches/{made.json['id']}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Plan: Upgrade packages on 2 nodes")
    page.get_by_role("table", name="Jobs in this bulk job").get_by_role("link", name="web-1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Plan: Upgrade packages, web-1")
    expect(page.locator(".page-head .meta")).to_contain_text("All packages · by")
