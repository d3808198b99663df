"""Saved views: each action changes one view, also with two tabs open."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.hub import HubProcess
from tests.support.page.gate import gate

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def test_views_saved_by_two_tabs_are_all_stored(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        hub.enrol("one")
        here = seen.page
        seen.sign_in()
        there = here.context.new_page()

        def save(page: Page, query: str, name: str) -> None:
            page.get_by_role("button", name=re.compile("^Group: ")).click()
            page.get_by_role("menuitem", name=f"Group by {query}").click()
            page.get_by_role("button", name="Save view…").click()
            page.get_by_role("dialog", name="Saved views").get_by_label("Name").fill(name)
            page.keyboard.press("Enter")
            expect(page.get_by_role("dialog")).to_have_count(0)

        def remove(page: Page, name: str) -> None:
            page.get_by_role("button", name="Save view…").click()
            page.get_by_role("button", name=f"Remove {name}").click()
            expect(page.get_by_role("button", name=f"Remove {name}")).to_have_count(0)
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)

        def kept() -> list[str]:
            here.reload()
            side = here.get_by_role("navigation", name="Main", exact=True).locator("a[href*=group]")
            expect(side.first).to_be_visible()
            return side.all_inner_texts()

        there.goto(hub.url)
        expect(there.get_by_role("table", name="Nodes")).to_contain_text("one")
        expect(here.get_by_role("table", name="Nodes")).to_contain_text("one")
        save(here, "tag", "first")
        save(there, "state", "second")
        assert kept() == ["first", "second"]
        remove(there, "first")
        there.get_by_role("button", name="Undo").hover()  # the note that offers it stays while the pointer is on it
        save(here, "os", "third")
        there.get_by_role("button", name="Undo").click()
        expect(there.get_by_role("link", name="third")).to_be_visible()
        assert kept() == ["first", "second", "third"], "what is put back stands where it stood, and takes nothing away"
        there.close()
