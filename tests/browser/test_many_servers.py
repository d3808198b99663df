"""Many servers on the page: a host list parsed row by row, one confirmation, one result page; and deployment through a jump host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from majortom.ssh.connect import describe
from tests.support.hub import HubProcess
from tests.support.page.deployments import GATE, KEY, OPENS, Servers
from tests.support.page.gate import LOOKS, Gate, gate

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

FINGERPRINT = describe(KEY).fingerprint


@pytest.fixture
def servers() -> Iterator[Servers]:
    with Servers() as found:
        yield found


def see(seen: Gate, *numbers: int) -> None:
    """Check the screen against the rules, in some of the four looks."""
    seen.page.mouse.move(0, 0)
    for number in numbers:
        seen.look(LOOKS[number])
        assert not seen.axe()
    seen.look(LOOKS[0])


@pytest.mark.holds("J-8")
def test_a_server_list_is_deployed_with_one_confirmation(browser: Browser, hub: HubProcess, servers: Servers) -> None:
    one, two, three = servers.ports
    with gate(browser, hub) as seen:
        seen.sign_in()
        page = seen.page
        page.get_by_role("button", name="Add node").first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("radio", name="Many servers").click()
        add = dialog.get_by_role("button", name="Add ", exact=False).last
        dialog.get_by_label("Servers", exact=True).fill(
            f"# mine\n127.0.0.1:{one} web-1\nops@127.0.0.1:{two} web-2\n127.0.0.1:x web-3\n127.0.0.1:{one}"
        )
        expect(dialog.get_by_text("2 of 4 servers can be added")).to_be_visible()
        expect(dialog.locator("[data-line='4']")).to_contain_text("“x” is not a port")
        expect(dialog.locator("[data-line='5']")).to_contain_text("is in the list already, in line 2")
        expect(add).to_be_disabled()
        foot = dialog.locator("footer").get_by_role("status")
        expect(foot).to_have_text("2 lines have errors. Fix the list, or tick “Skip lines with errors”.")
        see(seen, 0, 3)
        dialog.get_by_role("checkbox", name="Skip lines with errors").check()
        expect(foot).to_have_text("Next, you confirm all fingerprints at once.")
        expect(add).to_be_enabled()
        dialog.get_by_label("Servers", exact=True).fill(f"host,name,tags,jump,host_key\n192.0.2.1,web-1,eu prod,gate,{FINGERPRINT}")
        row = dialog.locator("[data-line='2']")
        seen.look(LOOKS[3])
        for text in ("web-1", "gate", "eu, prod", FINGERPRINT):
            expect(row.get_by_text(text)).to_be_visible()
        assert not seen.axe()
        seen.look(LOOKS[0])
        dialog.get_by_label("Servers", exact=True).fill(
            f"host,port,user,name\n127.0.0.1,{one},,web-1\n127.0.0.1,{two},ops,web-2\n127.0.0.1,{three},,web-3"
        )
        expect(dialog.get_by_text("3 of 3 servers can be added")).to_be_visible()
        add.click()
        expect(dialog.get_by_text("2 servers on the list name no user")).to_be_visible()
        dialog.get_by_label("SSH user").fill("root")
        dialog.get_by_role("button", name="Paste key").click()
        dialog.get_by_label("Private key text").fill(OPENS)
        add.click()

        page.wait_for_url("**/deployments/*")
        keys = page.get_by_role("region", name="Host keys")
        expect(keys.get_by_text(FINGERPRINT)).to_have_count(3)
        trust = keys.get_by_role("button", name="Trust these 3 and continue")
        expect(trust).to_be_disabled()
        see(seen, 1, 2)
        keys.get_by_text("All 3 fingerprints match").click()
        trust.click()
        rows = page.get_by_role("table", name="Servers").locator("[data-host]")
        expect(page.locator("[data-state='failed']")).to_have_count(3)
        expect(rows.first).to_contain_text("key")
        expect(keys).to_have_count(0)
        see(seen, 0, 3)
        assert "PRIVATE KEY" not in page.content()
        assert "PRIVATE KEY" not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])")

        with page.expect_response(lambda answer: answer.url.endswith("/retry")) as answer:
            rows.first.get_by_role("button", name="Retry web-1").click()
        assert answer.value.status == 202
        expect(page.locator("[data-state='failed']")).to_have_count(3)
        rows.first.get_by_role("button", name="Details of web-1").click()
        expect(page.get_by_role("dialog").get_by_role("heading", name="Could not deploy to web-1")).to_be_visible()


@pytest.mark.holds("J-8")
def test_a_jump_host_is_typed_shown_and_left_out_again(browser: Browser, hub: HubProcess, servers: Servers) -> None:
    with gate(browser, hub) as seen:
        seen.sign_in()
        page = seen.page
        page.get_by_role("button", name="Add node").first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Host name or IP").fill("127.0.0.1")
        dialog.get_by_label("Port", exact=True).fill(str(servers.ports[0]))
        dialog.get_by_label("SSH user").fill("root")
        dialog.get_by_role("button", name="Paste key").click()
        dialog.get_by_label("Private key text").fill(OPENS)
        dialog.get_by_role("button", name="Add a certificate for this key").click()
        dialog.get_by_label("User certificate").fill("no certificate")
        expect(dialog.get_by_text("This is not an OpenSSH certificate")).to_be_visible()
        dialog.get_by_label("User certificate").fill("")
        dialog.locator("summary", has_text="Options").click()
        dialog.get_by_role("switch", name="Through a jump host").click()
        dialog.get_by_label("Sign in with").select_option("password")
        dialog.get_by_role("button", name="Connect").click()
        expect(dialog.get_by_text("Enter the jump host")).to_be_visible()
        expect(dialog.get_by_text("Enter its password.")).to_be_visible()
        see(seen, 0, 3)
        dialog.get_by_label("Jump host", exact=True).fill("127.0.0.1")
        dialog.get_by_label("Its port").fill(str(servers.jump))
        dialog.get_by_label("User on the jump host").fill("admin")
        dialog.get_by_label("Jump host password", exact=True).fill("right")
        dialog.get_by_role("button", name="Connect").click()
        for fingerprint in (describe(GATE).fingerprint, FINGERPRINT):
            expect(dialog.get_by_label("Fingerprint", exact=True)).to_have_text(fingerprint)
            dialog.get_by_text("The fingerprints match").click()
            dialog.get_by_role("button", name="Trust and deploy").click()
        failure = dialog.locator(".failure")
        expect(failure).to_be_visible()
        expect(dialog.get_by_text(f":{servers.ports[0]} over 127.0.0.1")).to_be_visible()
        made = hub.local("GET", "/api/v1/deployments").json["deployments"][0]
        assert made["jump"] == {"host": "127.0.0.1", "port": servers.jump, "username": "admin", "fingerprint": describe(GATE).fingerprint}
        failure.get_by_text("Without the jump host").click()
        failure.get_by_role("button", name="Paste key").click()
        failure.get_by_label("Private key text").fill(OPENS)
        failure.get_by_role("button", name="Retry").click()
        expect(dialog.get_by_label("Fingerprint", exact=True)).to_have_text(FINGERPRINT)
        assert hub.local("GET", "/api/v1/deployments").json["deployments"][0]["jump"] is None
