"""Invite commands on the page: creation, countdown, expiry and use; and nodes that wait for approval."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
import time
from pathlib import Path

import aiohttp
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.hub import PASSWORD, HubProcess
from tests.support.hub_faults import set_fault
from tests.support.join_client import made, start_join
from tests.support.page.accounts import sign_in
from tests.support.page.deployments import Server
from tests.support.page.gate import LOOKS, gate, log_in
from tests.support.page.waits import forgotten, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.mark.holds("J-9")
def test_an_invite_command_counts_down_expires_and_works_once(page: Page, hub: HubProcess) -> None:
    sign_in(page, hub)
    page.get_by_role("button", name="Add node").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("One-line command").click()
    dialog.get_by_role("textbox", name="Name in Stardust").fill("web-7")
    dialog.get_by_role("button", name="Create command").click()
    command = dialog.get_by_label("Command", exact=True)
    expect(dialog.get_by_text(re.compile(r"works once, for another 4.min"))).to_be_visible()
    checksum = hub.request("GET", "/api/v1/invites", token=hub.login().token).json["installer"]["sha256"]
    expect(dialog.get_by_label("Checksum")).to_have_text(checksum)
    assert command.inner_text() == f"curl -fsS {hub.url.replace('127.0.0.1', 'localhost')}/install.sh | sudo sh"
    dialog.get_by_text("The server has no curl").click()
    assert "wget" in dialog.get_by_label("Command with wget", exact=True).inner_text()
    assert "python3" in dialog.get_by_label("Command with Python", exact=True).inner_text()
    first = dialog.get_by_label("Invite", exact=True).inner_text()
    dialog.get_by_text("Compare the script").click()
    paste = dialog.get_by_label("Paste that holds the invite").inner_text()
    assert ("sha256sum" in paste, paste.splitlines()[-2]) == (True, first)
    line = dialog.get_by_label("Line that asks for the invite").inner_text()
    assert ("sha256sum" in line, "stardust1." in line) == (True, False)
    page.keyboard.press("c")
    expect(dialog.get_by_role("status").get_by_text("Copied").first).to_be_attached()

    with sqlite3.connect(hub.folder / "stardust.db", timeout=10) as database:
        database.execute("UPDATE invite SET expires_at = ?", (time.time() - 1,))
    database.close()
    expect(dialog.get_by_role("heading", name="This command no longer works")).to_be_visible()
    expect(command).to_have_count(0)
    dialog.get_by_role("button", name="Create a new one").click()
    expect(command).to_be_visible()
    second = dialog.get_by_label("Invite", exact=True).inner_text()
    assert first != second
    with Server(hub, second) as server:
        expect(dialog.get_by_role("heading", name="The server is joining")).to_be_visible()
        server.go_on.set()
        expect(dialog.get_by_role("heading", name="web-7 is connected")).to_be_visible()
        forgotten(page, second)
        dialog.get_by_role("button", name="Open node").click()
        page.wait_for_url(re.compile(r"/n/"))
        listed = hub.local("GET", "/api/v1/invites").json["invites"]
        assert [one["state"] for one in listed] == ["used", "expired"]


@pytest.mark.holds("J-9")
@pytest.mark.refusals("503 (Service Unavailable)")
def test_an_invite_outlives_its_dialog_unless_revoked_and_a_server_that_fails_with_it_is_shown_as_failed(
    page: Page, hub: HubProcess
) -> None:
    sign_in(page, hub)
    dialog = page.get_by_role("dialog")

    def states() -> list[str]:
        return sorted(one["state"] for one in hub.local("GET", "/api/v1/invites").json["invites"])

    for way in ("Close", "Revoke it"):
        page.get_by_role("button", name="Add node").first.click()
        method = dialog.get_by_role("radiogroup", name="Method")
        method.get_by_role("radio", name="Over SSH").focus()
        page.keyboard.press("ArrowLeft")
        expect(method.get_by_role("radio", name="One-line command")).to_be_focused()
        dialog.get_by_role("button", name="Create command").click()
        expect(dialog.get_by_label("Checksum")).to_be_visible()
        if way == "Revoke it":
            page.route(
                "**/api/v1/invites/*",
                lambda route: (
                    route.fulfill(status=503, json={"detail": "the disk is full"}) if route.request.method == "DELETE" else route.fallback()
                ),
            )
            dialog.get_by_role("button", name=way).click()
            expect(dialog.get_by_text("the disk is full")).to_be_visible()
            page.unroute("**/api/v1/invites/*")
        dialog.get_by_role("button", name=way).last.click()
        expect(dialog).to_have_count(0)
    expect(page.get_by_text("The command works for another")).to_be_visible()
    until(page, lambda: states() == ["open", "revoked"])

    # a server that uses one and fails
    page.get_by_role("button", name="Add node").first.click()
    dialog.get_by_role("radio", name="One-line command").click()
    dialog.get_by_role("button", name="Create command").click()
    expect(dialog.get_by_label("Checksum")).to_be_visible()
    with Server(hub, dialog.get_by_label("Invite", exact=True).inner_text(), "the disk is full") as server:
        expect(dialog.get_by_role("heading", name="The server is joining")).to_be_visible()
        server.go_on.set()
        expect(dialog.get_by_role("heading", name="The server could not join")).to_be_visible()
        expect(dialog.get_by_text("could not join: the disk is full.")).to_be_visible()
        dialog.get_by_role("button", name="Create a new one").click()
        expect(dialog.get_by_role("heading", name="Run this on the server")).to_be_visible()


@pytest.mark.holds("S-45")
def test_pending_nodes_are_approved_or_rejected_on_the_fleet_page(page: Page, hub: HubProcess) -> None:
    invite = made(hub, kind="organisation", name="cloud", uses=5)["invite"]

    async def come() -> None:
        async with aiohttp.ClientSession() as client:
            for _ in range(2):
                await (await start_join(client, hub, invite)).accepted()

    sign_in(page, hub)
    thread = threading.Thread(target=lambda: asyncio.run(come()), name="two servers")
    thread.start()
    thread.join(30)
    region = page.get_by_role("region", name="Waiting for approval")
    expect(region.get_by_text("far-away-2")).to_be_visible()
    region.get_by_role("button", name="Approve far-away", exact=True).click()
    expect(region.get_by_role("button", name="Approve far-away", exact=True)).to_have_count(0)
    region.get_by_role("button", name="Reject far-away-2").click()
    region.get_by_role("button", name="Keep waiting").click()
    region.get_by_role("button", name="Reject far-away-2").click()
    expect(region).to_contain_text("Reject far-away-2 for good?")
    region.get_by_role("button", name="Reject far-away-2 for good").click()
    expect(region).to_have_count(0)
    left = hub.local("GET", "/api/v1/nodes").json["nodes"]
    assert [(node["name"], node["waiting"]) for node in left] == [("far-away", False)]


def test_rejecting_and_changing_granted_tags_ask_for_the_password_once(browser: Browser, tmp_path: Path) -> None:
    async def come(hub: HubProcess, invite: str) -> None:
        async with aiohttp.ClientSession() as client:
            await (await start_join(client, hub, invite)).accepted()

    with HubProcess(tmp_path / "late", faults=["clock"]) as hub, gate(browser, hub) as seen:
        page = seen.page
        nodes = hub.enrol("web-1", "web-2", "web-3")
        for node in nodes:
            assert hub.local("PATCH", f"/api/v1/nodes/{node.node_id}", {"tags": ["web"]}).status == 200
        limited = {"username": "eve", "role": "viewer", "grants": {"tags": ["web"]}}
        assert hub.local("POST", "/api/v1/users", limited).status == 201
        sign_in(page, hub)
        invite = made(hub, kind="organisation", name="cloud", uses=5)["invite"]
        thread = threading.Thread(target=lambda: asyncio.run(come(hub, invite)), name="a server")
        thread.start()
        thread.join(30)
        set_fault(hub, "clock", "301")
        region, asked = page.get_by_role("region", name="Waiting for approval"), page.get_by_role("dialog", name="Confirm your identity")

        region.get_by_role("button", name="Reject far-away").click()
        region.get_by_role("button", name="Reject far-away for good").click()
        asked.get_by_role("button", name="Cancel").click()
        expect(asked).to_have_count(0)
        expect(region.get_by_text("far-away")).to_be_visible()

        def left() -> list[tuple[str, list[str]]]:
            return sorted((node["name"], node["tags"]) for node in hub.local("GET", "/api/v1/nodes").json["nodes"])

        for name in ("web-1", "web-2", "web-3"):
            page.get_by_role("checkbox", name=f"Select {name}").check()
        page.get_by_role("button", name="Tag…").click()
        dialog = page.get_by_role("dialog", name="Tag 3 nodes")
        dialog.get_by_role("checkbox", name="web on 3").check()
        dialog.get_by_role("button", name="Change 3 nodes").click()
        asked.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("3 nodes not changed")).to_be_visible()
        assert {name: tags for name, tags in left() if tags} == {"web-1": ["web"], "web-2": ["web"], "web-3": ["web"]}
        dialog.get_by_role("button", name="Change 3 nodes").click()
        asked.get_by_role("textbox", name="Your password").fill(PASSWORD)
        asked.get_by_role("button", name="Confirm").click()
        expect(asked).to_have_count(0)
        expect(page.get_by_text("Tags changed on 3 nodes")).to_be_visible()
        assert not [tags for _, tags in left() if tags]
        region.get_by_role("button", name="Reject far-away for good").click()  # the proof counts for five minutes
        expect(region).to_have_count(0)
        assert [name for name, _ in left()] == ["web-1", "web-2", "web-3"]


def test_organisation_secrets_are_created_shown_once_used_and_revoked(browser: Browser, hub: HubProcess) -> None:
    async def come(invite: str) -> None:
        async with aiohttp.ClientSession() as client:
            await (await start_join(client, hub, invite)).accepted()

    with gate(browser, hub) as seen:
        log_in(seen.page, seen.hub)
        page = seen.page
        seen.open("/settings/joining")
        expect(page.get_by_text("No servers are waiting.")).to_be_visible()
        expect(page.get_by_role("heading", name="No organisation secrets")).to_be_visible()
        key = page.get_by_role("region", name="SSH key")
        key.get_by_role("button", name="Create key").click()
        line, confirm = key.get_by_label("Line for authorized_keys"), page.get_by_role("dialog")
        expect(line).to_contain_text("restrict,pty ssh-ed25519 ")
        first = line.inner_text()
        key.get_by_role("button", name="Replace…").click()
        confirm.get_by_role("textbox").fill("authorized_keys")
        confirm.get_by_role("button", name="Replace", exact=True).click()
        expect(line).not_to_have_text(first)
        page.get_by_role("button", name="New organisation secret").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name").fill("web servers")
        dialog.get_by_label("Maximum servers").fill("0")
        expect(dialog.get_by_role("button", name="Create secret")).to_be_disabled()
        dialog.get_by_label("Maximum servers").fill("5")
        dialog.get_by_role("button", name="Create secret").click()
        secret = dialog.get_by_label("Organisation secret", exact=True)
        invite = secret.inner_text()
        seen.look(LOOKS[3])
        assert not seen.axe()
        dialog.get_by_text("I have saved").click()
        dialog.get_by_role("button", name="Done").click()
        assert invite not in page.content()
        assert invite not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])")
        row = page.get_by_role("table", name="Organisation secrets and invites").locator("[data-state]")
        expect(row).to_contain_text("0 of 5")

        thread = threading.Thread(target=lambda: asyncio.run(come(invite)), name="a server")
        thread.start()
        thread.join(30)
        region = page.get_by_role("region", name="Waiting for approval")
        expect(region.get_by_text("far-away")).to_be_visible()
        seen.open("/settings/joining")
        expect(row).to_contain_text("1 of 5")
        seen.look(LOOKS[2])
        assert not seen.axe()
        region.get_by_role("button", name="Approve far-away", exact=True).click()
        expect(page.get_by_text("No servers are waiting.")).to_be_visible()
        row.get_by_role("button", name="Revoke web servers").click()
        dialog.get_by_role("textbox").fill("web servers")
        dialog.get_by_role("button", name="Revoke", exact=True).click()
        expect(row).to_contain_text("revoked")
        expect(row.get_by_role("button")).to_have_count(0)
        assert [one["state"] for one in hub.local("GET", "/api/v1/invites").json["invites"]] == ["revoked"]

        page.route("**/api/v1/invites?*", lambda route: route.abort())
        seen.open("/settings/joining")
        expect(page.get_by_role("heading", name="The invites could not be read")).to_be_visible()
        page.unroute("**/api/v1/invites?*")
        page.get_by_role("button", name="Try again").click()
        expect(row).to_contain_text("revoked")
        seen.faults.clear()  # the browser's text for the connection that was cut here
