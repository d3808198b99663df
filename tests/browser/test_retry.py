"""A deployment that fails after a reload: typed values are gone, and the hub does not use credentials for another server."""

from __future__ import annotations

import socket

import pytest
from playwright.sync_api import Page, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import sign_in
from tests.support.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.mark.holds("J-8")
@pytest.mark.refusals("409 (Conflict)")
def test_a_retry_at_another_port_asks_for_credentials_again(page: Page, hub: HubProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        sign_in(page, hub)
        port = mute.getsockname()[1]
        body = {"host": "127.0.0.1", "port": port, "username": "root", "name": "one", "password": "first server's"}
        made = hub.local("POST", "/api/v1/deployments", body)  # and from now on the hub waits for some seconds for the mute one
        assert made.status == 202, made.body
        page.reload()
        page.get_by_role("button", name="Adding one").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        taken, _ = mute.accept()
        mute.close()  # nothing listens any more when it looks again
        taken.recv(4096)
        taken.close()
    failure = dialog.locator(".failure")
    expect(failure).to_be_visible()
    expect(failure.get_by_role("button", name="Paste key")).to_have_count(0)
    expect(failure.get_by_label("Port")).to_have_value(str(port))
    failure.get_by_label("Port").fill(str(free_port()))
    failure.get_by_role("button", name="Retry").click()
    expect(failure.get_by_role("button", name="Paste key")).to_be_visible()
    expect(failure.get_by_text("This is a different server")).to_be_visible()
    expect(failure).not_to_contain_text("private_key")
    failure.get_by_role("radio", name="Password", exact=True).click()
    failure.get_by_label("SSH password", exact=True).fill("second server's")
    with page.expect_response(lambda answer: answer.url.endswith("/retry")) as answer:
        failure.get_by_role("button", name="Retry").click()
    assert answer.value.status == 202
    sent = answer.value.request.post_data_json
    assert sent is not None
    assert sent["password"] == "second server's"
    expect(dialog.locator(".failure")).to_be_visible()
    expect(
        dialog.get_by_text("Attempt 2. The previous one ended at “Reach the server”: it had changed nothing on the server")
    ).to_be_visible()


@pytest.mark.holds("J-8")
def test_a_restarted_hub_asks_once_for_the_log_ins_of_all_servers_and_their_jump_host(page: Page, hub: HubProcess) -> None:
    servers = [{"host": "127.0.0.1", "port": free_port(), "name": f"web-{number}"} for number in (1, 2)]
    gate = {"host": "127.0.0.1", "port": free_port(), "username": "ops"}
    body = {
        "servers": [{**servers[0], "jump": None}, servers[1]],
        "username": "root",
        "password": "wrong",
        "jump": {**gate, "password": "its own"},
    }
    made = hub.local("POST", "/api/v1/deployments/many", body)
    batch = made.json["deployments"][0]["batch_id"]
    hub.slay()
    hub.launch()
    sign_in(page, hub, at=f"/deployments/{batch}")
    page.get_by_role("button", name="Retry all that failed").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("radio", name="Password", exact=True).click()
    dialog.get_by_role("button", name="Retry 2 servers").click()
    expect(dialog.get_by_text("Enter the password.")).to_be_visible()
    dialog.get_by_label("SSH password", exact=True).fill("once")
    dialog.get_by_role("button", name="Retry 2 servers").click()
    jump = dialog.get_by_role("group", name="Jump host 127.0.0.1")
    expect(jump.get_by_text("Enter its password.")).to_be_visible()
    jump.get_by_label("Jump host password", exact=True).fill("of the jump host")
    with page.expect_response(lambda answer: answer.url.endswith("/deployments/retry")) as answer:
        dialog.get_by_role("button", name="Retry 2 servers").click()
    assert (answer.value.status, len(answer.value.json()["deployments"])) == (202, 2)
    assert (answer.value.request.post_data_json or {})["jumps"] == [{**gate, "password": "of the jump host"}]
    expect(dialog).to_have_count(0)


@pytest.mark.slow
def test_the_retry_form_shows_the_last_values(page: Page, hub: HubProcess) -> None:
    sign_in(page, hub)
    page.get_by_role("button", name="Add node").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Host name or IP").fill("127.0.0.1")
    dialog.get_by_label("Port", exact=True).fill(str(free_port()))
    dialog.get_by_label("SSH user").fill("root")
    dialog.get_by_role("radio", name="Password", exact=True).click()
    dialog.get_by_label("SSH password", exact=True).fill("typed once")
    dialog.get_by_role("button", name="Connect").click()
    failure = dialog.locator(".failure")
    other = str(free_port())
    failure.get_by_label("Port").fill(other)
    with page.expect_response(lambda answer: answer.url.endswith("/retry")):
        failure.get_by_role("button", name="Retry").click()
    expect(dialog.get_by_text("Attempt 2.")).to_be_visible()
    expect(failure).to_be_visible()
    dialog.get_by_role("button", name="Edit connection").click()
    expect(dialog.get_by_label("Port", exact=True)).to_have_value(other)
    expect(dialog.get_by_label("SSH password", exact=True)).to_have_value("typed once")
