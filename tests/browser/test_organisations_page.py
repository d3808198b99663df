"""Organisations in a real browser: a second one, its members, the switch between them, suspension and deletion."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import choose_password, keep, settings, sign_in
from tests.support.page.gate import DESKTOP, PATIENCE_MS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PHONE = {"width": 390, "height": 844}


def look(page: Page, folder: Path, name: str) -> None:
    """Take the page in both themes, on a desk and on a phone; nothing is wider than the screen."""
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for size in (DESKTOP, PHONE):
            page.set_viewport_size(size)  # type: ignore[arg-type]  # a TypedDict in disguise
            page.screenshot(path=folder / f"{name}-{theme}-{size['width']}.png", full_page=True)
            assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), name
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]  # a TypedDict in disguise


def act(page: Page, of: str, item: str) -> None:
    page.get_by_role("button", name=f"Actions for {of}").click()
    page.get_by_role("menuitem", name=item).click()


@pytest.mark.holds("SAFETY-108")
def test_a_second_organisation_from_its_creation_to_its_deletion(page: Page, hub: HubProcess, browser: Browser, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    sign_in(page, hub, at="/settings/account")
    expect(page.get_by_role("tab", name="Members")).to_have_count(0)
    expect(page.get_by_role("combobox", name="Organisation")).to_have_count(0)
    settings(page, "Organisations")
    expect(page.get_by_role("list", name="Organisations").get_by_role("listitem")).to_have_count(1)

    page.get_by_role("button", name="Add organisation").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("Blue Team")
    expect(dialog.get_by_label("Short name")).to_have_value("blue-team")
    dialog.get_by_label("Most servers").fill("5")
    look(page, pictures, "add")
    dialog.get_by_role("button", name="Add organisation").click()
    rows = page.get_by_role("list", name="Organisations").get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("0 of at most 5 servers · 1 member")
    switch = page.get_by_role("combobox", name="Organisation")
    expect(switch).to_be_visible()
    look(page, pictures, "organisations")

    switch.select_option("blue-team")
    expect(page.get_by_text("No nodes yet")).to_be_visible()
    expect(page.get_by_role("combobox", name="Organisation")).to_have_value("blue-team")
    settings(page, "Members")
    expect(page.get_by_role("heading", name="Members of Blue Team")).to_be_visible()
    page.get_by_role("button", name="Offer membership").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("User name").fill("eve")
    dialog.get_by_role("button", name="Offer", exact=True).click()
    expect(page.get_by_role("list", name="Open offers")).to_contain_text("eve")
    look(page, pictures, "members")

    page.get_by_role("combobox", name="Organisation").select_option("default")
    settings(page, "Users")
    page.get_by_role("button", name="Add user").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("User name").fill("eve")
    dialog.get_by_role("button", name="Add user").click()
    password = page.get_by_role("dialog").get_by_role("group", name="One-time password").inner_text()
    keep(page.get_by_role("dialog"), "Done")
    context = browser.new_context(viewport=DESKTOP)  # type: ignore[arg-type]  # a TypedDict in disguise
    try:
        eve = context.new_page()
        eve.set_default_timeout(PATIENCE_MS)
        choose_password(eve, hub, "eve", password)
        expect(eve.get_by_text("No nodes yet")).to_be_visible()
        settings(eve, "Account")
        offers = eve.get_by_role("region", name="Offered memberships")
        expect(offers).to_contain_text("Blue Team")
        look(eve, pictures, "offer")
        offers.get_by_role("button", name="Accept").click()
        expect(eve.get_by_role("combobox", name="Organisation")).to_be_visible()
        eve.get_by_role("combobox", name="Organisation").select_option("blue-team")
        expect(eve.get_by_role("combobox", name="Organisation")).to_have_value("blue-team")

        page.reload()
        settings(page, "Organisations")
        act(page, "Blue Team", "Suspend")
        expect(page.get_by_role("list", name="Organisations")).to_contain_text("suspended")
        look(page, pictures, "suspended")
        act(page, "Blue Team", "Resume")
        expect(page.get_by_role("list", name="Organisations")).not_to_contain_text("suspended")
        act(page, "Blue Team", "Delete…")
        dialog = page.get_by_role("dialog")
        button = dialog.get_by_role("button", name="Delete organisation")
        expect(button).to_be_disabled()
        dialog.get_by_role("textbox").fill("blue-team")
        look(page, pictures, "delete")
        button.click()
        expect(rows).to_have_count(1)
        expect(page.get_by_role("combobox", name="Organisation")).to_have_count(0)
        eve.reload()
        expect(eve.get_by_text("No nodes yet")).to_be_visible()
        expect(eve.get_by_role("combobox", name="Organisation")).to_have_count(0)
    finally:
        context.close()
    assert len(list(pictures.iterdir())) == 24
