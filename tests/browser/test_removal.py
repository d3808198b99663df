"""Removing a server on the page: typing its name, what is left behind, and forgetting an unreachable server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import choose_password, sign_in
from tests.support.page.answers import Kept
from tests.support.page.deployments import listed
from tests.support.page.gate import LOOKS, gate, log_in
from tests.support.ports import free_port
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

NOT_FOUND = 404


@pytest.mark.holds("J-11")
def test_a_lost_server_is_removed_after_its_name_was_typed_and_one_removed_elsewhere_is_named(browser: Browser, hub: HubProcess) -> None:
    with Stage(hub, only=("backup-hel", "web-01")) as stage, gate(browser, hub, expected=("404 (Not Found)",)) as seen:
        page = seen.page
        log_in(seen.page, seen.hub)
        gone = stage.ids["backup-hel"]
        seen.open(f"/n/{gone}/settings")
        opener = page.get_by_role("button", name="Remove node…")
        opener.click()
        dialog = page.get_by_role("dialog", name="Remove backup-hel")
        remove, name = dialog.get_by_role("button", name="Remove node"), dialog.get_by_label("Type backup-hel to confirm")
        expect(dialog.get_by_label("Host name or IP")).to_be_focused()
        expect(dialog).to_contain_text("and it is not connected")
        expect(dialog).to_contain_text(re.compile(r"Its history of .+ is deleted here\. This cannot be undone\."))
        with page.expect_download() as kept:
            dialog.get_by_role("link", name="Download its history first").click()
        minutes = [json.loads(line) for line in Path(kept.value.path()).read_text().splitlines()]
        assert {"cpu.total", "memory.used"} <= set().union(*(line["values"] for line in minutes)), (
            "what there was, for who wants to keep it"
        )
        for wrong in ("backup", "Backup-hel", "web-01"):
            name.fill(wrong)
            name.press("Enter")
            expect(remove).to_be_disabled()
        name.fill("backup-hel")
        remove.click()  # by SSH it would be, and nothing was given to sign in with
        expect(dialog.get_by_text("Enter the user to sign in as.")).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(opener).to_be_focused()
        assert {node["name"] for node in hub.local("GET", "/api/v1/nodes").json["nodes"]} == {"backup-hel", "web-01"}

        opener.click()
        dialog.get_by_text("The server is gone, only forget the node").click()
        expect(dialog).to_contain_text("nothing on the server is touched")
        expect(dialog.get_by_label("SSH user")).to_have_count(0)
        name.fill("backup-hel")
        remove.click()
        ended = page.get_by_role("dialog", name="backup-hel is forgotten")
        expect(ended).to_contain_text("The server was not contacted")
        ended.get_by_role("button", name="Done").click()
        rows = page.get_by_role("table", name="Nodes").locator("[data-node]")
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("web-01")
        for path in (f"/api/v1/nodes/{gone}", f"/api/v1/nodes/{gone}/history?metric=cpu.total&from=0&to=1&points=2"):
            assert hub.local("GET", path).status == NOT_FOUND, path
        page.goto(f"{hub.url}/n/{gone}")
        expect(page.get_by_role("heading", name="There is no such node")).to_be_visible()

        # one that is removed elsewhere is named, and the keys have a place
        [other] = hub.enrol("lab-07")
        page.goto(f"{hub.url}/n/{other.node_id}/settings")
        page.get_by_label("Name in Stardust").fill("half a name")
        assert hub.local("DELETE", f"/api/v1/nodes/{other.node_id}?force=true").status < 300
        expect(page.get_by_role("heading", name="lab-07 is no longer here")).to_be_visible()
        title = page.get_by_role("heading", level=1)
        expect(title).to_have_text("lab-07")
        expect(title).to_be_focused()
        expect(page).to_have_title("lab-07 · Stardust")


@pytest.mark.holds("J-11")
def test_removal_of_a_connected_server_continues_in_the_background(browser: Browser, hub: HubProcess) -> None:
    with Stage(hub, only=("web-01",)) as stage, gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in(at=f"/n/{stage.ids['web-01']}/settings")
        page.get_by_role("button", name="Remove node…").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        expect(dialog).to_contain_text("so the request goes over the agent")
        expect(dialog.get_by_label("SSH user")).to_have_count(0)
        dialog.get_by_label("Type web-01 to confirm").fill("web-01")
        with page.expect_response(re.compile(f"/nodes/{stage.ids['web-01']}")) as answer:
            dialog.get_by_role("button", name="Remove node").click()
        assert answer.value.status < 300
        expect(dialog.get_by_role("list", name="Steps")).to_be_visible()
        seen.look(LOOKS[3])
        assert not seen.axe()
        [row] = hub.local("GET", "/api/v1/deployments").json["deployments"]
        assert (row["kind"], row["node_id"]) == ("remove", stage.ids["web-01"])


def test_a_removal_whose_answer_is_lost_is_followed(browser: Browser, hub: HubProcess) -> None:
    with Stage(hub, only=("backup-hel", "web-01")) as stage, gate(browser, hub, expected=("ERR_FAILED", "404 (Not Found)")) as seen:
        page = seen.page
        answers: list[int] = []

        def lose(route: Route) -> None:
            if route.request.method != "DELETE":
                return route.fallback()
            answers.append(route.fetch().status)  # the hub has it
            return route.abort()

        page.route("**/api/v1/nodes/*", lose)
        log_in(seen.page, seen.hub)
        for name, gone in (("web-01", False), ("backup-hel", True)):
            seen.open(f"/n/{stage.ids[name]}/settings")
            page.get_by_role("button", name="Remove node…").click()
            dialog = page.get_by_role("dialog")
            if gone:
                dialog.get_by_text("The server is gone, only forget the node").click()
            dialog.get_by_label(f"Type {name} to confirm").fill(name)
            dialog.get_by_role("button", name="Remove node").click()
            expect(page.get_by_role("dialog", name=f"{name} is forgotten" if gone else f"Removing {name}")).to_be_visible()
            expect(dialog.get_by_role("list", name="Steps")).to_be_visible()
            dialog.get_by_role("button", name="Done" if gone else "Run in background").click()
        assert len(answers) == len([answer for answer in answers if answer < 300]) == 2, "each was sent once"


def test_a_failed_removal_can_be_retried_by_typing_the_name(browser: Browser, hub: HubProcess) -> None:
    [node] = hub.enrol("web-1")
    given = {"host": "127.0.0.1", "port": free_port(), "username": "root", "password": "no"}
    assert hub.local("DELETE", f"/api/v1/nodes/{node.node_id}", given).status < 300
    made = hub.local("POST", "/api/v1/users", {"username": "grace", "role": "viewer"}).json
    with gate(browser, hub) as seen:
        page = seen.page
        log_in(seen.page, seen.hub)
        listed(seen, "web-1").click()
        dialog = page.get_by_role("dialog", name="Could not remove web-1")
        retry, name = dialog.get_by_role("button", name="Retry"), dialog.get_by_label("Type web-1 to confirm")
        expect(dialog).to_contain_text("Trying again takes the server out of the fleet and deletes its history.")
        expect(retry).to_be_disabled()
        name.fill("web")
        name.press("Enter")
        expect(retry).to_be_disabled()
        seen.look(LOOKS[3])
        assert not seen.axe()
        name.fill("web-1")
        with page.expect_response(re.compile("/retry$")) as answer:
            retry.click()
        assert answer.value.request.post_data_json == {"port": given["port"]}
        expect(dialog).to_contain_text("Attempt 2.")
        expect(retry).to_be_disabled()
        [row] = hub.local("GET", "/api/v1/deployments").json["deployments"]
        shown = re.search(r" · ([0-9.]+)\s", dialog.locator("header .meta").inner_text())
        assert shown is not None
        took_s = row["ended_at"] - row["steps"][0]["started_at"]
        assert abs(float(shown[1]) - took_s) < 0.1, "of this try, not since the first one"
        dialog.get_by_role("button", name="Settings of the node").click()
        expect(dialog).to_have_count(0)
        expect(page.get_by_role("button", name="Remove node…")).to_be_visible()
    with gate(browser, hub) as seen:
        choose_password(seen.page, hub, "grace", made["password"])
        expect(seen.page.get_by_role("table", name="Nodes")).to_be_visible()
        listed(seen, "web-1").click()
        dialog = seen.page.get_by_role("dialog", name="Could not remove web-1")
        expect(dialog.locator(".failure")).to_contain_text("Your role can view deployments")
        expect(dialog.get_by_role("textbox")).to_have_count(0)
        expect(dialog.get_by_role("button")).to_have_text(["", "Close"])


@pytest.mark.refusals("409 (Conflict)")
def test_a_removal_logs_in_at_the_known_address_and_port(page: Page, hub: HubProcess) -> None:
    host = "2001:db8::5:22"
    made = hub.local("POST", "/api/v1/local/enrol", {"names": ["web-1"], "address": host})
    assert made.status == 201, made.body
    node = made.json["nodes"][0]["node_id"]
    sign_in(page, hub, at=f"/n/{node}/settings")

    def sent(dialog: Locator, asked: Kept, act: str) -> Route:
        expect(dialog.get_by_label("Host name or IP")).to_have_value(host)
        expect(dialog.get_by_label("Port", exact=True)).to_have_value("")
        dialog.get_by_label("SSH user").fill("ada")
        dialog.get_by_role("radio", name="Password", exact=True).click()
        dialog.get_by_label("SSH password", exact=True).fill("canary-ssh-7743")
        dialog.get_by_role("button", name=act).click()
        [route] = asked.wait()
        assert route.request.post_data_json == {"host": host, "username": "ada", "password": "canary-ssh-7743"}
        return route

    page.get_by_role("button", name="Remove node…").click()
    dialog = page.get_by_role("dialog", name="Remove web-1")
    dialog.get_by_label("Type web-1 to confirm").fill("web-1")
    refused = sent(dialog, Kept(page, "DELETE", f"**/nodes/{node}*"), "Remove node")
    refused.fulfill(status=409, json={"code": "conflict", "detail": "Not now."})
    expect(dialog.get_by_role("alert")).to_contain_text("Not now.")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Deploy again…").click()
    taken = sent(page.get_by_role("dialog", name="Deploy web-1 again"), Kept(page, "POST", f"**/nodes/{node}/redeploy"), "Deploy again")
    place = {"host": host, "port": 2222}
    one = {
        "id": "A" * 22, "kind": "install", "state": "awaiting_host_key", "node_id": node, **place, "username": "ada", "name": "web-1",
        "host_key": {"type": "ssh-ed25519", "fingerprint": "SHA256:" + "a" * 43, **place}, "steps": [], "error": None, "created_by": "admin",
        "created_at": 1.0, "ended_at": None, "jump": None, "batch_id": None, "again": True, "earlier": None, "version": 1,
    }  # fmt: skip
    taken.fulfill(status=202, json=one)
    expect(page.get_by_role("dialog", name="Is this the right server?").locator("header")).to_contain_text(
        "[2001:db8::5:22]:2222 · not confirmed yet"
    )
