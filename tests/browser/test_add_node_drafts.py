"""Drafts of Add Node: restored without secrets when the dialog is opened again, and deleted with the session."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.support.hub import HubProcess
from tests.support.page.deployments import SUDO, opened
from tests.support.page.gate import gate
from tests.support.page.waits import forgotten

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def test_an_unsent_draft_is_restored_without_its_secrets(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        dialog = opened(page)
        left = dialog.get_by_text("As you left it, except for keys and passwords")
        expect(dialog.get_by_label("Host name or IP")).to_be_focused()
        expect(left).to_have_count(0)
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        dialog = opened(page)
        expect(dialog.get_by_label("Host name or IP")).to_be_focused()
        expect(left).to_have_count(0)  # nothing had been typed
        dialog.get_by_label("Host name or IP").fill("web-7.example")
        dialog.get_by_label("SSH user").fill("ada")
        dialog.get_by_label("sudo password", exact=True).fill(SUDO)
        dialog.locator("summary", has_text="Options").click()
        dialog.get_by_text("Through a jump host").click()
        dialog.get_by_label("Jump host", exact=True).fill("bastion")
        dialog.get_by_label("Sign in with").select_option("Its own password")
        dialog.get_by_label("Jump host password", exact=True).fill(SUDO)
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        forgotten(page, SUDO)
        dialog = opened(page)
        expect(left).to_be_visible()
        # the server's password is not sent to a jump host that has one of its own
        expect(dialog.get_by_label("Sign in with")).to_have_value("password")
        dialog.get_by_label("Port", exact=True).fill("70000")
        dialog.get_by_role("button", name="Connect").click()
        expect(dialog.get_by_text("Enter its password.")).to_be_visible()
        expect(dialog.get_by_text("1 to 65535")).to_be_visible()
        expect(dialog.get_by_label("Host name or IP")).to_have_value("web-7.example")
        expect(dialog.get_by_label("SSH user")).to_have_value("ada")
        expect(dialog.get_by_label("sudo password", exact=True)).to_have_value("")
        assert seen.axe() == []
        dialog.get_by_role("button", name="Start over").click()
        expect(left).to_have_count(0)
        expect(dialog.get_by_label("Host name or IP")).to_have_value("")
        expect(dialog.get_by_label("Port", exact=True)).to_have_value("22")
        expect(dialog.get_by_text("1 to 65535")).to_have_count(0)
        expect(dialog.locator("[aria-invalid]")).to_have_count(0)

        dialog.get_by_label("Host name or IP").fill("web-8.example")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Sign out").first.click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        forgotten(page, "web-8.example")
        seen.sign_in()
        expect(opened(page).get_by_label("Host name or IP")).to_have_value("")


def test_a_server_list_and_its_options_are_restored_too(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        dialog = opened(page)
        method, left = dialog.get_by_role("radiogroup", name="Method"), dialog.get_by_text("As you left it")
        servers, name = dialog.get_by_label("Servers", exact=True), dialog.get_by_role("textbox", name="Name in Stardust")

        def way(label: str) -> None:
            method.get_by_role("radio", name=label).click()

        way("Many servers")
        expect(left).to_have_count(0)
        servers.fill("ada@web-1.example\nada@web-2.example")
        dialog.get_by_label("SSH user").fill("ada")
        dialog.get_by_label("sudo password", exact=True).fill(SUDO)
        way("One-line command")
        expect(left).to_have_count(0)
        name.fill("web-7")
        way("Over SSH")
        dialog.get_by_label("SSH user").fill("grace")
        way("Many servers")
        expect(left).to_be_visible()
        expect(servers).to_have_value("ada@web-1.example\nada@web-2.example")
        expect(dialog.get_by_text("2 of 2 servers can be added")).to_be_visible()
        expect(dialog.get_by_label("SSH user")).to_have_value("ada")
        expect(dialog.get_by_label("sudo password", exact=True)).to_have_value("")
        assert seen.axe() == []
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        forgotten(page, SUDO, "web-2.example", "web-7")  # in the page's memory alone
        dialog = opened(page)
        expect(dialog.get_by_label("SSH user")).to_have_value("grace")
        way("One-line command")
        expect(left).to_be_visible()
        expect(name).to_have_value("web-7")
        left_alone = page.locator("dialog").get_by_role("button", name="Start over")
        left_alone.click()
        expect(left).to_have_count(0)
        expect(name).to_have_value("")
        way("Many servers")
        left_alone.click()
        expect(left).to_have_count(0)
        expect(servers).to_have_value("")
        servers.fill("web-9.example")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Sign out").first.click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        seen.sign_in()
        dialog = opened(page)
        expect(dialog.get_by_label("SSH user")).to_have_value("")
        way("Many servers")
        expect(servers).to_have_value("")
