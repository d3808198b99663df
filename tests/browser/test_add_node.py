"""Add Node for one server: errors beside their fields, private keys, a changed host key, and the deployment in the background."""

from __future__ import annotations

import contextlib
import re

import asyncssh
import pytest
from playwright.sync_api import Browser, Route, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import choose_password
from tests.support.page.answers import Kept
from tests.support.page.deployments import SUDO, asked_for_its_key, held_back, listed, opened, said, trusted
from tests.support.page.gate import DESKTOP, LOOKS, PHONE, Look, gate, log_in
from tests.support.page.hubs import hub_of_the_file
from tests.support.page.waits import forgotten, settle, until
from tests.support.ports import free_port
from tests.support.ssh_server import SshServerThread

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

hub = hub_of_the_file()
PASSPHRASE = "open sesame 4711"
DROPPED = "(text) => { const held = new DataTransfer(); held.items.add(new File([text], 'dropped_key')); return held; }"


def begun(hub: HubProcess, name: str, port: int) -> str:
    body = {"host": "127.0.0.1", "port": port, "username": "ada", "name": name, "password": "wrong"}
    made = hub.local("POST", "/api/v1/deployments", body)
    assert made.status == 202, made.body
    return str(made.json["id"])


@pytest.mark.holds("J-8")
def test_invalid_fields_are_marked_and_a_private_key_is_parsed(browser: Browser, hub: HubProcess) -> None:
    plain = asyncssh.generate_private_key("ssh-ed25519")
    locked = plain.export_private_key(passphrase=PASSPHRASE, rounds=50).decode()
    with SshServerThread() as end, gate(browser, hub) as seen:
        page = seen.page
        sent = said(page)
        seen.sign_in()
        dialog = opened(page)
        connect = dialog.get_by_role("button", name="Connect")
        dialog.get_by_label("Port").fill("70000")
        connect.click()
        for words in ("s name or address.", "1 to 65535", "Enter the user to sign in as.", "Enter a private key, or choose another way."):
            expect(dialog.get_by_text(words)).to_be_visible()
        expect(dialog.get_by_label("Host name or IP")).to_have_attribute("aria-invalid", "true")
        expect(dialog.get_by_label("Host name or IP")).to_be_focused()  # a refused user can start again from the beginning
        dialog.get_by_label("Host name or IP").fill("127.0.0.1")
        dialog.get_by_label("Port").fill("22")
        dialog.get_by_label("SSH user").fill("ada")
        expect(dialog.get_by_label("SSH user")).to_be_focused()
        connect.click()
        expect(dialog.get_by_role("button", name="Choose file")).to_be_focused()
        dialog.get_by_label("SSH user").fill("")
        dialog.get_by_label("Host name or IP").fill("ada@127.0.0.1")
        connect.click()
        expect(dialog.get_by_text("user and port have their own fields")).to_be_visible()
        assert hub.local("GET", "/api/v1/deployments").json["deployments"] == [], "nothing of it was sent"

        # the hub's own key: made by an admin, and shown as the line for the server
        dialog.get_by_role("radio", name="Stardust").click()
        dialog.get_by_role("button", name="Create key").click()
        line = dialog.get_by_label("Line for authorized_keys")
        expect(line).to_contain_text("restrict,pty ssh-ed25519 ")
        assert hub.local("GET", "/api/v1/hub-key").json["key"]["authorized_keys"] == line.inner_text()
        assert not seen.axe()
        dialog.get_by_role("radio", name="Key", exact=True).click()

        # the public half, a file that is none, and the real one: dropped, then picked
        dialog.get_by_role("button", name="Paste key").click()
        dialog.get_by_label("Private key text").fill(plain.export_public_key().decode())
        expect(dialog.get_by_text("This is a public key: the private one is needed")).to_be_visible()
        key_file = dialog.get_by_label("Private key file")
        key_file.set_input_files({"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": b"x" * (17 * 1024)})
        expect(dialog.get_by_text("This file is larger than 16 KiB")).to_be_visible()
        expect(dialog.get_by_label("Key passphrase")).to_have_count(0)
        dropped = page.evaluate_handle(DROPPED, locked)
        dialog.get_by_role("group", name="Private key").dispatch_event("drop", {"dataTransfer": dropped})
        expect(dialog.get_by_text("dropped_key")).to_be_visible()
        dialog.get_by_role("button", name="Remove key").click()
        expect(dialog.get_by_label("Key passphrase")).to_have_count(0)
        beside = dialog.get_by_role("heading", name="Add node")
        assert not beside.evaluate("(one) => one.dispatchEvent(new DragEvent('drop', {bubbles: true, cancelable: true}))"), (
            "it is not opened"
        )
        key_file.set_input_files({"name": "id_ed25519", "mimeType": "text/plain", "buffer": locked.encode()})
        expect(dialog.get_by_text("Ed25519, encrypted")).to_be_visible()
        expect(dialog.get_by_text("id_ed25519")).to_be_visible()

        # a passphrase that does not fit is asked for again alone; the right one goes on to the server, which knows the key not
        dialog.get_by_label("Host name or IP").fill("127.0.0.1")
        dialog.get_by_label("Port").fill(str(end.port))
        dialog.get_by_label("SSH user").fill("ada")
        dialog.get_by_label("Key passphrase", exact=True).fill("not this one")
        dialog.get_by_label("sudo password", exact=True).fill(SUDO)
        connect.click()
        failure = dialog.locator(".failure")
        again = failure.get_by_role("textbox", name="Key passphrase")
        expect(again.or_(dialog.get_by_text("Is this the right server?")).first).to_be_visible()
        if not again.is_visible():
            trusted(seen)
        again.fill(PASSPHRASE)
        failure.get_by_role("button", name="Retry").click()
        question = dialog.get_by_text("Is this the right server?")
        refused = failure.get_by_text("does not let ada in with this key")
        expect(question.or_(refused).first).to_be_visible()
        if question.is_visible():
            trusted(seen)
        expect(refused).to_be_visible()
        expect(dialog.locator("[data-step=authenticate][data-state=failed]")).to_be_visible()
        expect(dialog.get_by_text("This attempt changed nothing on the server.")).to_be_visible()
        expect(failure.get_by_role("button", name="Choose file")).to_be_visible()
        sent.clear()
        dialog.get_by_role("button", name="Close").last.click()
        expect(dialog).to_have_count(0)
        forgotten(page, PASSPHRASE, SUDO, "PRIVATE KEY")
        page.reload()
        forgotten(page, PASSPHRASE, SUDO, "PRIVATE KEY")
        assert not [line for line in sent if PASSPHRASE in line or SUDO in line or "PRIVATE KEY" in line]


@pytest.mark.holds("J-8")
def test_a_deployment_continues_in_the_background_and_can_be_reopened(browser: Browser, hub: HubProcess) -> None:
    with SshServerThread() as end, gate(browser, hub) as seen:
        page = seen.page
        log_in(page, hub)
        asked_for_its_key(end, "right")(seen)
        trusted(seen)
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Run in background").click()
        expect(dialog).to_have_count(0)
        expect(page.get_by_text("The installation continues in the background.")).to_be_visible()
        expect(page.get_by_role("heading", name="Adding 127.0.0.1")).to_be_visible()  # an empty fleet says so too
        page.reload()
        back = page.get_by_role("button", name="Adding 127.0.0.1")
        expect(back).to_be_visible()
        seen.look(Look("dark", PHONE))
        expect(back).to_be_in_viewport(ratio=1)
        back.click()
        expect(page.get_by_role("dialog", name="Deploying to 127.0.0.1")).to_be_visible()
        seen.look(LOOKS[0])
        expect(dialog.locator("[data-step=host_key][data-state=done]")).to_be_visible()
        dialog.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("dialog", name="Deployment to 127.0.0.1 cancelled")).to_be_visible()
        dialog.get_by_role("button", name="Close").last.click()
        expect(page.get_by_text("No nodes yet")).to_be_visible()


@pytest.mark.timeout(600)
def test_a_nixos_server_is_left_alone_and_the_page_says_what_to_paste(browser: Browser, hub: HubProcess) -> None:
    with SshServerThread(os_release="ID=nixos\nVERSION_ID=26.05\n") as end, gate(browser, hub) as seen:
        seen.sign_in()
        asked_for_its_key(end, "right")(seen)
        trusted(seen)
        failure = seen.page.get_by_role("dialog").locator(".failure")
        expect(failure.get_by_text("The server runs NixOS")).to_be_visible(timeout=240_000)
        expect(seen.page.get_by_text("This attempt changed nothing on the server.")).to_be_visible()
        expect(failure.get_by_label("Settings for NixOS")).to_contain_text("services.stardust-spider")
        failure.get_by_role("button", name="Create an invite for it").click()
        invite = failure.get_by_label("Invite", exact=True)
        expect(invite).to_have_text(re.compile(r"stardust1\.\S{20,}"))
        assert not seen.axe()
    made = hub.local("GET", "/api/v1/invites").json["invites"][0]
    assert (made["kind"], made["most_uses"], made["approval"]) == ("organisation", 1, True)


def test_a_conflicting_deployment_can_be_opened_from_the_error(browser: Browser, hub: HubProcess) -> None:
    with held_back(free_port()) as (port, _), gate(browser, hub, expected=("409 (Conflict)",)) as seen:
        page = seen.page
        seen.sign_in()
        begun(hub, "busy", port)  # by another user, or by a click whose response was lost
        dialog = opened(page)
        dialog.get_by_label("Host name or IP").fill("127.0.0.1")
        dialog.get_by_label("Port", exact=True).fill(str(port))
        dialog.get_by_label("SSH user").fill("ada")
        dialog.get_by_role("radio", name="Password", exact=True).click()
        dialog.get_by_label("SSH password", exact=True).fill("right")
        dialog.get_by_role("button", name="Connect").click()
        expect(dialog.get_by_text("a deployment to 127.0.0.1 is running already")).to_be_visible()
        dialog.get_by_role("button", name="Open").click()
        expect(page.get_by_role("dialog", name="Deploying to busy")).to_be_visible()


def test_a_refused_cancel_is_shown_in_its_dialog(browser: Browser, hub: HubProcess) -> None:
    refusal = {"code": "internal", "detail": "It is in a muddle."}
    with (
        SshServerThread() as end,
        held_back(free_port()) as (port, let_go),
        gate(browser, hub, expected=("500 (Internal Server Error)",)) as seen,
    ):
        page = seen.page
        log_in(page, hub)
        page.route("**/cancel", lambda route: route.fulfill(status=500, json=refusal))
        asked_for_its_key(end, "right")(seen)
        dialog = page.get_by_role("dialog")
        why = dialog.get_by_role("alert").filter(has_text="It is in a muddle.")
        dialog.get_by_role("button", name="Cancel").click()
        expect(why).to_be_in_viewport()
        page.keyboard.press("Escape")
        first = hub.local("GET", "/api/v1/deployments").json["deployments"][0]
        assert hub.local("POST", f"/api/v1/deployments/{first['id']}/cancel").status == 200
        begun(hub, "stuck", port)
        page.get_by_role("button", name="Adding stuck").click()
        expect(dialog.locator("footer")).to_contain_text("This continues when you close the dialog.")  # the stored value is unknown here
        dialog.get_by_role("button", name="Cancel").click()
        expect(why).to_be_in_viewport()
        expect(page.get_by_text("It could not be cancelled")).to_have_count(0)
        seen.look(LOOKS[3])
        assert not seen.axe()
        let_go.set()
        expect(page.get_by_role("dialog", name="Could not deploy to stuck")).to_be_visible()
        expect(why).to_have_count(0)


@pytest.mark.holds("J-8")
def test_a_server_with_a_changed_host_key_is_refused_on_every_retry(browser: Browser, hub: HubProcess) -> None:
    with SshServerThread() as end, gate(browser, hub) as seen:
        page = seen.page
        log_in(page, hub)
        asked_for_its_key(end, "wrong")(seen)
        dialog = page.get_by_role("dialog")
        trust = dialog.get_by_role("button", name="Trust and deploy")
        expect(trust).to_be_disabled()
        expect(dialog).to_contain_text("This host key is not confirmed yet.")  # whether another try was shown it does not count
        shown = dialog.get_by_label("Fingerprint", exact=True).inner_text()
        trusted(seen)
        failure = dialog.locator(".failure")
        password = failure.get_by_role("textbox", name="SSH password")
        expect(password).to_be_visible()
        end.another_key()
        knocks = end.knocks
        password.fill("right")
        failure.get_by_role("button", name="Retry").click()
        for _ in range(2):
            expect(failure).to_contain_text("somebody intercepts the connection")
            expect(failure).to_contain_text(shown)  # and the other one, to compare
            expect(dialog.get_by_text("The fingerprints match")).to_have_count(0)
            expect(dialog.locator("[data-step=host_key][data-state=failed]")).to_be_visible()
            with page.expect_response(re.compile("/retry$")):
                failure.get_by_role("button", name="Retry").click()
        expect(failure).to_contain_text("somebody intercepts the connection")
        assert end.knocks == knocks, "whoever it is was not told the password"


@pytest.mark.parametrize("size", [PHONE, pytest.param(DESKTOP, marks=pytest.mark.slow)], ids=["phone", "desktop"])
def test_a_background_deployment_is_opened_from_its_toast(browser: Browser, hub: HubProcess, size: dict[str, int]) -> None:
    with SshServerThread() as end, held_back(end.port) as (port, let_go), gate(browser, hub) as seen:
        page = seen.page
        page.set_viewport_size(size)  # type: ignore[arg-type]  # a TypedDict in disguise
        begun(hub, "behind", port)
        log_in(page, hub)
        with page.expect_response(re.compile(r"/deployments\?")):
            seen.open("/")
        notes, dialog = page.get_by_role("region", name="Notifications"), page.get_by_role("dialog")
        expect(page.get_by_role("button", name="Adding behind")).to_be_visible()
        let_go.set()
        note = notes.get_by_role("status").filter(has_text="behind: compare its host key")
        note.get_by_role("button", name="Open").click()
        expect(dialog.get_by_text("Is this the right server?")).to_be_visible()
        expect(note).to_have_count(0)
        fingerprint = dialog.get_by_label("Fingerprint", exact=True).inner_text()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)

        one = hub.local("GET", "/api/v1/deployments").json["deployments"][0]
        assert hub.local("POST", f"/api/v1/deployments/{one['id']}/host-key", {"fingerprint": fingerprint}).status < 300
        failed = notes.get_by_role("alert").filter(has_text="behind could not be added")
        expect(failed).to_contain_text("password")
        page.evaluate("() => new Promise((done) => setTimeout(done, 6500))")  # longer than a note stays that is only news
        failed.get_by_role("button", name="Open").click()
        expect(page.get_by_role("dialog", name="Could not deploy to behind")).to_be_visible()
        expect(dialog.locator("[data-step=authenticate][data-state=failed]")).to_be_visible()
        expect(dialog.locator(".failure").get_by_role("button", name="Retry")).to_be_visible()
        expect(failed).to_have_count(0)


def test_ended_deployments_are_listed_with_the_jobs(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in(at="/jobs")
        page.get_by_role("radio", name="Deployments").click()
        body = {"host": "127.0.0.1", "port": free_port(), "username": "ada", "name": "ended", "password": "wrong"}
        assert hub.local("POST", "/api/v1/deployments", body).status == 202
        page.reload()
        row = page.get_by_role("table", name="Deployments").get_by_role("row").filter(has_text="ended")
        expect(row).to_contain_text("Add server")
        expect(row).to_have_attribute("data-state", "failed")
        expect(row).to_contain_text("nothing listens on port")
        expect(row).to_contain_text("local:")
        seen.open("/jobs")
        expect(page.get_by_role("table", name="Jobs").get_by_role("row").filter(has_text="ended")).to_contain_text("Add server")
        page.get_by_role("radio", name="Deployments").click()

        read = Kept(page, "GET", "**/api/v1/deployments/*")
        row.focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("group", name="Loading its steps")).to_be_visible()
        [asked] = read.wait()
        asked.continue_()
        expect(page.get_by_role("dialog", name="Could not deploy to ended")).to_be_visible()
        expect(dialog.locator("[data-step=connect][data-state=failed]")).to_be_visible()
        page.keyboard.press("Escape")
        expect(row).to_be_focused()
        assert not seen.axe()


def test_toasts_of_failed_deployments_do_not_displace_each_other(browser: Browser, hub: HubProcess) -> None:
    names = {"one", "two", "three", "four"}
    with contextlib.ExitStack() as ways, gate(browser, hub) as seen:
        page = seen.page
        let_go = []
        for name in names:
            port, event = ways.enter_context(held_back(free_port()))
            let_go.append(event)
            begun(hub, name, port)
        seen.sign_in()
        expect(page.get_by_role("button", name="4 deployments")).to_be_visible()
        for event in let_go:
            event.set()
        expect(page.get_by_role("button", name="4 deployments")).to_have_count(0)
        notes = page.get_by_role("region", name="Notifications").get_by_role("alert")
        told = set()
        for left in (3, 3, 2, 1):
            expect(notes).to_have_count(left)
            [name] = [name for name in names if f"{name} could not be added" in notes.last.inner_text()]
            told.add(name)
            notes.last.get_by_role("button", name="Dismiss").click()
        expect(notes).to_have_count(0)
        assert told == names


@pytest.mark.slow
def test_a_failed_read_of_a_deployment_closes_no_other_dialog(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub, expected=("503 (Service Unavailable)",)) as seen:
        page = seen.page
        log_in(page, hub)
        begun(hub, "unread", free_port())
        row = listed(seen, "unread")
        expect(row).to_have_attribute("data-state", "failed")
        read = Kept(page, "GET", "**/api/v1/deployments/*")
        row.click()
        dialog = page.get_by_role("dialog", name="Deployment")
        [first] = read.wait()
        expect(dialog.get_by_text("Loading its steps takes longer than usual.")).to_be_visible()
        dialog.get_by_role("button", name="Try again").click()
        [second] = read.wait()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        page.get_by_role("button", name="Add node").first.click()
        other = page.get_by_role("dialog", name="Add node")
        expect(other).to_be_visible()
        for late in (first, second):
            with page.expect_event("requestfinished", lambda request: "/deployments/" in request.url):
                late.fulfill(status=503, json={"code": "unavailable", "detail": "It is busy."})
        settle(page)
        expect(other).to_be_visible()
        expect(page.get_by_text("It is busy.")).to_have_count(0)
        page.keyboard.press("Escape")
        row.click()
        [third] = read.wait()
        third.fulfill(status=503, json={"code": "unavailable", "detail": "It is busy still."})
        expect(page.get_by_role("alert").filter(has_text="It is busy still.")).to_be_visible()
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_viewer_sees_deployments_without_actions(browser: Browser, hub: HubProcess) -> None:
    made = hub.local("POST", "/api/v1/users", {"username": "grace", "role": "viewer"}).json
    begun(hub, "viewed-1", free_port())
    with SshServerThread() as end, gate(browser, hub) as seen:
        page = seen.page
        begun(hub, "viewed-2", end.port)
        choose_password(page, hub, "grace", made["password"])
        expect(page.get_by_role("heading", name="No nodes yet").or_(page.get_by_text("Adding viewed-2")).first).to_be_visible()
        listed(seen, "viewed-1").click()
        dialog = page.get_by_role("dialog", name="Could not deploy to viewed-1")
        expect(dialog.locator(".failure")).to_contain_text("Your role can view deployments")
        expect(dialog.get_by_role("textbox")).to_have_count(0)
        expect(dialog.get_by_role("button")).to_have_text(["", "Close"])
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        listed(seen, "viewed-2").click()
        question = page.get_by_role("dialog", name="Is this the right server?")
        expect(question).to_contain_text("Your role can view deployments")
        expect(question.get_by_text("The fingerprints match")).to_have_count(0)
        for name in ("Trust and deploy", "Cancel"):
            expect(question.get_by_role("button", name=name)).to_have_count(0)
        assert not seen.axe()
        question.get_by_role("button", name="Close").last.click()
        expect(question).to_have_count(0)


def test_an_update_of_the_agent_shows_its_steps_and_its_cause(browser: Browser, hub: HubProcess) -> None:
    [node] = hub.enrol("web-1")
    assert hub.local("POST", "/api/v1/agent-updates", {"nodes": [node.node_id]}).status < 300
    with gate(browser, hub) as seen:
        page = seen.page
        log_in(page, hub)
        listed(seen, "web-1").click()
        dialog = page.get_by_role("dialog", name="Updating the agent on web-1")
        expect(dialog.locator("[data-step=wait][data-state=running]")).to_contain_text("Wait until the node is free")
        expect(dialog.get_by_role("button", name="Cancel")).to_have_count(0)
    hub.end()
    hub.launch()
    with gate(browser, hub) as seen:
        page = seen.page
        log_in(page, hub)
        listed(seen, "web-1").click()
        dialog = page.get_by_role("dialog", name="Could not update the agent on web-1")
        expect(dialog.locator(".failure")).to_contain_text("the hub was stopped before the update began: order it again")
        expect(dialog.locator("[data-step=wait]")).to_be_visible()
        expect(dialog.get_by_role("button", name="Retry")).to_have_count(0)
        seen.look(LOOKS[3])
        assert not seen.axe()
        dialog.get_by_role("button", name="Settings of the node").click()
        expect(dialog).to_have_count(0)
        expect(page.get_by_role("button", name="Update agent")).to_be_visible()


def test_an_added_node_is_shown_as_live_only_while_it_is(browser: Browser, hub: HubProcess) -> None:
    [node] = hub.enrol("added-1")
    begun(hub, "other", free_port())
    batch = "0" * 20
    told = {"name": "added-1", "state": "succeeded", "error": None, "node_id": node.node_id, "batch_id": batch}

    def as_of_old(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        for one in body.get("deployments", [body]):
            one.update(told if one["name"] == "other" else {})
        route.fulfill(response=answer, json=body)

    with gate(browser, hub) as seen:
        page = seen.page
        until(page, lambda: hub.local("GET", "/api/v1/deployments").json["deployments"][0]["state"], lambda state: state == "failed")
        page.route(re.compile(r"/api/v1/deployments([/?][^/]*)?$"), as_of_old)
        log_in(page, hub)
        listed(seen, "added-1").click()
        dialog = page.get_by_role("dialog", name="added-1 was added")
        expect(dialog).to_contain_text("The node is not connected now.")
        expect(dialog.get_by_role("button", name="Open node")).to_be_visible()
        assert not seen.axe()
        assert hub.local("DELETE", f"/api/v1/nodes/{node.node_id}?force=true").status < 300
        expect(dialog).to_contain_text("The node is not in the fleet now.")
        expect(dialog.get_by_role("button", name="Open node")).to_have_count(0)
        dialog.get_by_role("link", name="All servers in this request").click()
        page.wait_for_url(re.compile(f"/deployments/{batch}$"))
        expect(dialog).to_have_count(0)


def test_a_limited_user_learns_that_a_new_node_needs_a_granted_tag(browser: Browser, hub: HubProcess) -> None:
    made = hub.local("POST", "/api/v1/users", {"username": "olga", "role": "operator", "grants": {"tags": ["web"]}}).json
    with gate(browser, hub) as seen:
        page = seen.page
        choose_password(page, hub, "olga", made["password"])
        expect(page.get_by_text("You see only the nodes you have access to, and there are none yet.")).to_be_visible()
        dialog = opened(page)
        needed = dialog.get_by_text("a new one needs a tag that you have access to")
        for way in ("Many servers", "One-line command", "Over SSH"):
            dialog.get_by_role("radio", name=way).click()
            expect(needed).to_be_visible()
        refused = dialog.get_by_text("your rights are limited to some nodes: give the new node a tag that you are granted")
        dialog.get_by_label("Host name or IP").fill("127.0.0.1")
        dialog.get_by_label("SSH user").fill("ada")
        dialog.get_by_role("radio", name="Password", exact=True).click()
        dialog.get_by_label("SSH password", exact=True).fill("right")
        dialog.get_by_role("button", name="Connect").click()
        expect(refused).to_be_visible()
        dialog.get_by_role("radio", name="One-line command").click()
        dialog.get_by_role("button", name="Create command").click()
        expect(refused).to_be_visible()
        assert not seen.axe()
        dialog.get_by_label("Tags").fill("web")
        dialog.get_by_label("Services that may be restarted").fill("nginx.service, php*")
        dialog.get_by_label("Journal on demand").select_option("warning")
        dialog.get_by_role("button", name="Create command").click()
        expect(page.get_by_role("dialog", name="Run this on the server")).to_be_visible()
        invite, *_ = hub.local("GET", "/api/v1/invites").json["invites"]
        assert (invite["units"], invite["journal"]) == (["nginx.service", "php*"], "warning")
        page.keyboard.press("Escape")
        seen.open("/settings")
        expect(page.get_by_role("region", name="You")).to_contain_text("You have access to some nodes only")
