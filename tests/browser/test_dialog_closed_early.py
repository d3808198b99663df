"""Dialogs closed before their request is answered: the answer opens and closes nothing, and a notification reports it with a link."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import keep, settings, sign_in
from tests.support.page.answers import Kept
from tests.support.page.deployments import SECRET, opened, signed, with_password
from tests.support.page.hubs import hub_of_the_file
from tests.support.page.waits import forgotten
from tests.support.ports import free_port
from tests.support.ssh_server import SshServerThread

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

hub = hub_of_the_file()
STEP_UP = {"code": "auth.step_up_required", "detail": "Confirm your password first."}


def closed(page: Page, asked: Kept) -> Route:
    """What was sent, once its dialog is gone."""
    [sent] = asked.wait()
    expect(page.get_by_text("Sent, waiting for the answer.")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_role("button", name="Cancel")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    return sent


def typed_anew(page: Page) -> Locator:
    """Another dialog that is being typed into by then."""
    dialog = opened(page)
    dialog.get_by_role("radio", name="Over SSH").click()
    dialog.get_by_label("Host name or IP").fill("web-8.example")
    return dialog


def untouched(page: Page, dialog: Locator, url: str) -> None:
    expect(dialog).to_have_count(1)
    expect(dialog.get_by_label("Host name or IP")).to_have_value("web-8.example")
    assert page.url == url


@pytest.mark.refusals("400 (Bad Request)")
def test_an_added_server_whose_dialog_was_closed_is_reported(page: Page, hub: HubProcess) -> None:
    sign_in(page, hub)
    asked = Kept(page, "POST", "**/api/v1/deployments")
    dialog = opened(page)
    signed(dialog, free_port())
    dialog.get_by_role("button", name="Connect").click()
    closed(page, asked).fulfill(status=400, json={"code": "bad_request", "detail": "That is no server."})
    told = page.get_by_role("alert").filter(has_text="That is no server.")
    expect(told).to_contain_text("Deployment to 127.0.0.1: not started")
    forgotten(page, SECRET)
    told.get_by_role("button", name="Open").click()
    expect(dialog.get_by_text("As you left it")).to_be_visible()
    expect(dialog.get_by_label("SSH user")).to_have_value("ada")
    with_password(dialog)
    dialog.get_by_role("button", name="Connect").click()
    sent = closed(page, asked)
    typing, url = typed_anew(page), page.url
    sent.continue_()
    note = page.get_by_role("status").filter(has_text="It was started.")
    expect(note).to_contain_text("Deployment to 127.0.0.1")
    untouched(page, typing, url)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    note.get_by_role("button", name="Open").click()
    expect(page.get_by_role("dialog", name="Could not deploy to 127.0.0.1")).to_be_visible()
    page.keyboard.press("Escape")
    # what was sent is not left, what was typed since is
    expect(opened(page).get_by_label("Host name or IP")).to_have_value("web-8.example")


@pytest.mark.slow
@pytest.mark.refusals("403 (Forbidden)", "503 (Service Unavailable)")
def test_a_trusted_host_key_whose_dialog_was_closed_is_reported(page: Page, hub: HubProcess) -> None:
    with SshServerThread() as end:
        sign_in(page, hub)
        dialog = opened(page)
        signed(dialog, end.port)
        dialog.get_by_role("button", name="Connect").click()
        asked = Kept(page, "POST", "**/host-key")
        fingerprint = dialog.get_by_label("Fingerprint", exact=True)
        for status, json, why in (
            (403, STEP_UP, STEP_UP["detail"]),
            (503, {"code": "unavailable", "detail": "It is busy."}, "It is busy."),
        ):
            expect(fingerprint).to_be_visible()
            dialog.get_by_text("The fingerprints match").click()
            dialog.get_by_role("button", name="Trust and deploy").click()
            [sent] = asked.wait()
            page.keyboard.press("Escape")
            expect(dialog).to_have_count(0)
            sent.fulfill(status=status, json=json)
            told = page.get_by_role("alert").filter(has_text=why)
            expect(told).to_contain_text("Host key of 127.0.0.1")
            expect(page.get_by_text("Confirm your identity")).to_have_count(0)
            told.get_by_role("button", name="Open").click()
        dialog.get_by_text("The fingerprints match").click()
        dialog.get_by_role("button", name="Trust and deploy").click()
        [sent] = asked.wait()
        sent.continue_()
        expect(dialog.get_by_text("The fingerprints match")).to_have_count(0)


@pytest.mark.slow
@pytest.mark.refusals("503 (Service Unavailable)")
def test_added_servers_whose_dialog_was_closed_are_reported(page: Page, hub: HubProcess) -> None:
    sign_in(page, hub)
    asked = Kept(page, "POST", "**/api/v1/deployments/many")
    dialog = opened(page)
    dialog.get_by_role("radio", name="Many servers").click()
    dialog.get_by_label("Servers", exact=True).fill(f"ada@127.0.0.1:{free_port()} web-1\nada@127.0.0.1:{free_port()} web-2")
    with_password(dialog)
    dialog.get_by_role("button", name="Add 2 servers").click()
    closed(page, asked).fulfill(status=503, json={"code": "unavailable", "detail": "It is busy."})
    told = page.get_by_role("alert").filter(has_text="It is busy. It is not known whether it started.")
    expect(told).to_contain_text("Adding 2 servers")
    expect(told).not_to_contain_text("not started")
    told.get_by_role("button", name="Open").click()
    page.wait_for_url("**/jobs?of=deployments")
    dialog = opened(page)  # where the list was left
    expect(dialog.get_by_label("Servers", exact=True)).to_have_value(re.compile("web-2"))
    with_password(dialog)
    dialog.get_by_role("button", name="Add 2 servers").click()
    sent = closed(page, asked)
    dialog, url = typed_anew(page), page.url
    sent.continue_()
    note = page.get_by_role("status").filter(has_text="It was started.")
    expect(note).to_contain_text("Adding 2 servers")
    untouched(page, dialog, url)
    page.keyboard.press("Escape")
    note.get_by_role("button", name="Open").click()
    page.wait_for_url("**/deployments/*")
    expect(page.get_by_role("table", name="Servers").locator("[data-host]")).to_have_count(2)


@pytest.mark.slow
def test_an_invite_whose_dialog_was_closed_is_reported(page: Page, hub: HubProcess) -> None:
    sign_in(page, hub)
    asked = Kept(page, "POST", "**/api/v1/invites")
    dialog = opened(page)
    dialog.get_by_role("radio", name="One-line command").click()
    dialog.get_by_role("textbox", name="Name in Stardust").fill("web-7")
    dialog.get_by_role("button", name="Create command").click()
    closed(page, asked).fulfill(status=403, json=STEP_UP)
    told = page.get_by_role("alert").filter(has_text="One-line command: not created")
    expect(told).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    told.get_by_role("button", name="Open").click()
    expect(dialog.get_by_role("textbox", name="Name in Stardust")).to_have_value("web-7")
    dialog.get_by_role("button", name="Create command").click()
    sent = closed(page, asked)
    typing, url = typed_anew(page), page.url
    sent.continue_()
    note = page.get_by_role("status").filter(has_text="The command was created, but is no longer shown")
    expect(note).to_be_visible()
    untouched(page, typing, url)
    page.keyboard.press("Escape")
    note.get_by_role("button", name="Open").click()
    page.wait_for_url("**/settings/joining")
    expect(page.get_by_text("web-7")).to_be_visible()


@pytest.mark.refusals("ERR_FAILED")
def test_a_secret_shown_once_is_not_lost_by_navigating_back(page: Page, hub: HubProcess) -> None:
    sign_in(page, hub)
    settings(page, "API tokens")
    url, dialog = page.url, page.get_by_role("dialog")

    def stays(asked: Kept) -> Route:
        [sent] = asked.wait()
        for _ in range(2):  # at a second one the browser shuts it by itself
            page.keyboard.press("Escape")
        dialog.get_by_role("button", name="Cancel").click()
        page.go_back()
        expect(dialog.get_by_text("Sent, waiting for the answer.")).to_be_visible()
        return sent

    asked = Kept(page, "POST", "**/api/v1/tokens")
    page.get_by_role("button", name="New token").click()
    dialog.get_by_label("Name", exact=True).fill("once")
    dialog.get_by_role("button", name="Create token").click()
    stays(asked).continue_()
    expect(dialog.get_by_role("group", name="Token")).to_be_visible()
    page.go_back()
    expect(dialog.get_by_role("alert")).to_contain_text("Once closed, this cannot be shown again.")
    expect(page).to_have_url(url)
    keep(dialog, "Done")

    asked = Kept(page, "DELETE", "**/api/v1/tokens/*")
    page.get_by_role("button", name="Revoke once").click()
    dialog.get_by_label("Type once to confirm").fill("once")
    dialog.get_by_role("button", name="Revoke token").click()
    stays(asked).abort()
    expect(dialog.get_by_role("alert")).to_contain_text("could not be reached")
    expect(page).to_have_url(url)
    page.go_back()
    expect(dialog).to_have_count(0)
    expect(page).not_to_have_url(url)


def test_a_toast_waits_for_the_dialog_above_it(page: Page, hub: HubProcess) -> None:
    page.clock.install()
    sign_in(page, hub)
    asked = Kept(page, "POST", "**/api/v1/deployments")
    dialog = opened(page)
    signed(dialog, free_port())
    dialog.get_by_role("button", name="Connect").click()
    sent = closed(page, asked)
    typed_anew(page)
    sent.continue_()
    note = page.get_by_role("status").filter(has_text="It was started.")
    expect(note).to_be_visible()
    page.clock.run_for(8_000)
    expect(note).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.clock.run_for(3_000)
    expect(note).to_be_visible()
    page.clock.run_for(5_000)
    expect(note).to_have_count(0)


@pytest.mark.refusals("409 (Conflict)", "404 (Not Found)")
def test_a_redeployment_and_a_removal_whose_dialog_was_closed_are_reported(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("web-1")
    sign_in(page, hub, at=f"/n/{node.node_id}/settings")
    asked = Kept(page, "POST", f"**/nodes/{node.node_id}/redeploy")
    dialog = page.get_by_role("dialog", name="Deploy web-1 again")
    page.get_by_role("button", name="Deploy again").click()
    signed(dialog, free_port())
    dialog.get_by_role("button", name="Deploy again").click()
    sent = closed(page, asked)
    typing, url = typed_anew(page), page.url
    sent.fulfill(status=403, json=STEP_UP)
    told = page.get_by_role("alert").filter(has_text="Deploy web-1 again: not started")
    expect(told).to_be_visible()
    expect(page.get_by_text("Confirm your identity")).to_have_count(0)
    untouched(page, typing, url)
    page.keyboard.press("Escape")
    told.get_by_role("button", name="Open").click()
    signed(dialog, free_port())
    dialog.get_by_role("button", name="Deploy again").click()
    sent = closed(page, asked)
    typing = opened(page)
    expect(typing.get_by_label("Host name or IP")).to_have_value("web-8.example")
    sent.continue_()
    note = page.get_by_role("status").filter(has_text="It was started.")
    expect(note).to_contain_text("Deploy web-1 again")
    untouched(page, typing, url)
    page.keyboard.press("Escape")
    note.get_by_role("button", name="Open").click()
    expect(page.get_by_role("dialog", name="Could not deploy to web-1")).to_be_visible()
    page.keyboard.press("Escape")

    # and of a removal
    asked = Kept(page, "DELETE", f"**/nodes/{node.node_id}*")
    dialog = page.get_by_role("dialog", name="Remove web-1")

    def remove() -> Route:
        dialog.get_by_text("The server is gone, only forget the node").click()
        dialog.get_by_label("Type web-1 to confirm").fill("web-1")
        dialog.get_by_role("button", name="Remove node").click()
        return closed(page, asked)

    page.get_by_role("button", name="Remove node…").click()
    remove().fulfill(status=409, json={"code": "conflict", "detail": "It is being deployed."})
    told = page.get_by_role("alert").filter(has_text="It is being deployed.")
    expect(told).to_contain_text("Remove web-1: not started")
    told.get_by_role("button", name="Open").click()
    sent = remove()
    typing, url = typed_anew(page), page.url
    sent.continue_()
    expect(page.get_by_role("status").filter(has_text="web-1 is forgotten")).to_be_visible()
    untouched(page, typing, url)


@pytest.mark.refusals("504 (Gateway Timeout)", "409 (Conflict)")
def test_a_lost_answer_is_requested_again_with_the_same_key(page: Page, hub: HubProcess) -> None:
    before = len(hub.local("GET", "/api/v1/deployments").json["deployments"])
    sign_in(page, hub)
    keys: list[str] = []
    answers: list[int] = []

    def lose(route: Route) -> None:
        if route.request.method != "POST":
            return route.fallback()
        keys.append(route.request.headers["idempotency-key"])
        answer = route.fetch()  # the hub has it
        answers.append(answer.status)
        if len(keys) == 1:
            return route.fulfill(status=504, json={"code": "unavailable", "detail": "The proxy gave up."})
        return route.fulfill(response=answer)

    page.route("**/api/v1/deployments", lose)
    dialog = opened(page)
    signed(dialog, free_port())
    dialog.get_by_role("button", name="Connect").click()
    expect(dialog.get_by_role("alert")).to_contain_text("It is not known whether it started. Trying again does not start it twice.")
    dialog.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("dialog", name="Could not deploy to 127.0.0.1")).to_be_visible()
    assert keys[0] == keys[1]
    assert answers == [202, 202]
    assert len(hub.local("GET", "/api/v1/deployments").json["deployments"]) == before + 1
    page.keyboard.press("Escape")
    dialog = opened(page)
    signed(dialog, free_port())
    dialog.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("dialog", name="Could not deploy to 127.0.0.1")).to_be_visible()
    assert keys[2] != keys[0]
