"""The terminal of a job: following, pausing, searching, text view, several readers, and filtered control sequences."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.hub import HubProcess
from tests.support.page.fleets import FIRST, LINES, NEXT, WIDE, Printer
from tests.support.page.gate import log_in
from tests.support.page.hubs import hub_of_the_file

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

hub = hub_of_the_file()


@pytest.mark.holds("J-10")
def test_the_output_of_a_job_is_followed_held_searched_and_read(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("printer")
    with Printer(hub, [node]) as printer:
        log_in(page, hub)
        token = hub.login().token
        reply = hub.request("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "check"}, token=token)
        assert reply.status == 202, reply.body
        assert printer.began.wait(30)
        printer.print(FIRST)
        page.goto(f"{hub.url}/jobs/{reply.json['id']}")
        rows = page.locator(".xterm-rows")
        follow = page.get_by_role("button", name=re.compile("^Follow"))
        expect(rows).to_contain_text(f"line {LINES} of many")
        expect(follow).to_have_attribute("aria-pressed", "true")

        # a search starts at the newest match and goes backwards, and the current match stays visible
        page.get_by_role("heading", level=1).focus()
        page.keyboard.press("/")
        page.keyboard.type("needle")
        found = page.get_by_role("search").get_by_role("status")
        expect(found).to_have_text("3 of 3")
        expect(rows).to_contain_text("line 207 of many NEEDLE")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        expect(found).to_have_text("1 of 3")
        expect(rows).to_contain_text("line 7 of many NEEDLE")
        expect(follow).to_have_attribute("aria-pressed", "false")
        printer.print(NEXT)
        expect(page.locator("[data-output-bytes]")).to_have_attribute("data-output-bytes", str(len(printer.printed)))
        expect(rows).to_contain_text("line 7 of many NEEDLE")
        page.get_by_role("button", name="Next match").click()
        expect(found).to_have_text("2 of 3")
        page.get_by_label("Search in output").fill("not there")
        expect(found).to_have_text("none")
        page.get_by_label("Search in output").press("Escape")

        # at the end again; while paused, new output waits and is counted
        follow.click()
        expect(rows).to_contain_text("and then some more")
        expect(follow).to_have_attribute("aria-pressed", "true")
        follow.click()
        printer.print(b"while it was held\r\n")
        expect(follow).to_contain_text("19 B new")
        expect(rows).not_to_contain_text("while it was held")
        follow.click()
        expect(rows).to_contain_text("while it was held")

        # as text for screen readers: whole lines, without titles, clipboard sequences and links; new lines are appended
        page.get_by_role("button", name="View as plain text").click()
        text = page.get_by_role("log", name=re.compile("plain text"))
        expect(text).to_contain_text(WIDE)
        expect(text).to_contain_text("a link")
        expect(text).not_to_contain_text("evil")
        printer.print(b"a late line \x1b[38;2;250;120;10mof its own\x1b[0m\r\n")
        expect(text).to_contain_text("a late line")
        page.get_by_role("button", name="View as plain text").click()
        expect(rows).to_contain_text("a late line")
        page.get_by_role("button", name="Wrap").click()
        expect(rows).to_contain_text("a late line")

        # another reader sees the same; both get the end, and the file has the printed bytes
        other = page.context.new_page()
        other.goto(page.url)
        expect(other.locator(".xterm-rows")).to_contain_text("a late line")
        printer.end()
        for reader in (page, other):
            expect(reader.get_by_role("status").get_by_text("Succeeded")).to_be_visible()
        href = page.get_by_role("link", name="Download log").get_attribute("href")
        assert page.request.get(f"{hub.url}{href}").body() == printer.printed
        other.close()

        # from the beginning, the end is one press away also when the job is over
        page.get_by_label("Search in output").fill("line 7 of")
        expect(found).to_have_text("1 of 1")
        page.get_by_role("button", name="Jump to end").click()
        expect(rows).to_contain_text("a late line")
        expect(page).not_to_have_title(re.compile("evil"))

        # a colour beyond the palette is shown too, under the page's own policy
        expect(rows.get_by_text("of its own")).to_have_css("color", "rgb(250, 120, 10)")


@pytest.mark.holds("J-10")
def test_erased_output_of_a_job_can_be_scrolled_to(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("eraser")
    with Printer(hub, [node]) as printer:
        log_in(page, hub)
        reply = hub.request("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "check"}, token=hub.login().token)
        assert reply.status == 202, reply.body
        assert printer.began.wait(30)
        page.goto(f"{hub.url}/jobs/{reply.json['id']}")
        printer.print(b"".join(b"line %d before\r\n" % number for number in range(LINES)))
        for number, erase in enumerate((b"\x1b[H\x1b[2J\x1b[3J", b"\x1b[H\x1b[J", b"\x1b[1;1H\x1b[0m\x1b[0J", b"\x1b[2J\x1b[3J\x1b[H")):
            printer.print(b"warning %d\r\n%sgone on\r\n" % (number, erase))
        printer.print(b"10%\r\x1b[K20%\r\none bar\r\nother bar\r\n\x1b[2A\x1b[2Kone full\r\n\x1b[J\x1b[2Kother full\r\n")
        expect(page.locator(".xterm-rows")).to_contain_text("other full")
        page.get_by_role("button", name="View as plain text").click()
        text = page.get_by_role("log", name=re.compile("plain text"))
        expect(text).to_contain_text("other full")
        lines = text.inner_text().splitlines()
        assert [line for line in lines if "before" in line] == [f"line {number} before" for number in range(LINES)]
        assert [line for line in lines if "warning" in line] == [f"warning {number}" for number in range(4)]
        assert lines.count("gone on") == 4
        assert lines[-3:] == ["20%", "one full", "other full"], "bars are drawn over themselves"
