"""The alerts page: acknowledging by keyboard, explanations, and adding, testing and breaking a channel."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.hub import PASSWORD, HubProcess
from tests.support.page.gate import PHONE, Gate, gate
from tests.support.page.phone import not_wider
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

FIRES_LIMIT_MS = 60_000
"""The samples of a pack, and a tick of the engine."""
RULE = {"name": "CPU in use", "expr": "last(cpu.total)", "select": {"all": True}, "warn": {"trigger": 1, "clear": 0.5}}
GONE = "410 (Gone)"
"""The browser's word for a link that is over."""
ABSENT = "404 (Not Found)"
"""And for an incident that is not kept."""
STALE = "409 (Conflict)"
REFUSED = "400 (Bad Request)"
"""And for a rule that somebody else has changed."""


class Hook:
    """A receiver of webhooks on loopback; its status is the test's."""

    def __init__(self) -> None:
        self.status = 200
        self.paths: list[str] = []
        self.port = 0

    @contextmanager
    def running(self) -> Iterator[Hook]:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                hook.paths.append(self.path)
                self.send_response(hook.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


def acknowledge_by_key(page: Page) -> None:
    page.keyboard.press("g")
    page.keyboard.press("a")
    row = page.get_by_role("row", name="CPU in use")
    expect(row).to_be_visible(timeout=FIRES_LIMIT_MS)
    expect(page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Alerts")).to_contain_text("1")
    expect(page.get_by_role("status").filter(has_text="Alerts fire and nobody is notified.")).to_be_visible()
    page.keyboard.press("j")
    expect(row).to_be_focused()
    page.keyboard.press("e")
    expect(page.get_by_label("Note")).to_be_focused()
    page.keyboard.type("on <b>it</b>")
    page.keyboard.press("Enter")
    expect(row).to_contain_text("admin has it")
    expect(row).to_contain_text("“on <b>it</b>”")  # text typed by users is shown as text
    expect(row.get_by_role("button", name="Acknowledge")).to_have_count(0)


def undo_a_second_snooze(page: Page, hub: HubProcess) -> None:
    """After the undo the alert has its first snooze again."""

    def alert() -> dict[str, Any]:
        found: dict[str, Any] = hub.local("GET", "/api/v1/alerts").json["alerts"][0]
        return found

    first = time.time() + 8 * 3600
    assert hub.local("POST", f"/api/v1/alerts/{alert()['id']}/snooze", {"until_at": first}).status == 200
    expect(page.get_by_role("row", name="CPU in use")).to_contain_text("snoozed until")
    page.get_by_role("button", name="Snooze CPU in use").click()
    page.get_by_role("menuitem", name="1 hour").click()
    undo = page.get_by_role("button", name="Undo")
    undo.hover()  # so that the note stays
    assert alert()["flags"]["snoozed_until"] < first
    undo.click()
    expect(page.get_by_text("Undone")).to_be_visible()
    assert alert()["flags"]["snoozed_until"] == first


def add_channel(page: Page, hook: Hook) -> None:
    page.get_by_role("tab", name="Channels").click()
    expect(page.get_by_role("heading", name="No channels")).to_be_visible()
    page.get_by_role("button", name="Add channel").click()
    dialog = page.get_by_role("dialog", name="Add channel")
    dialog.get_by_label("Kind").select_option("webhook")
    dialog.get_by_label("Name", exact=True).fill("Ops")
    dialog.get_by_role("textbox", name="Address (URL)").fill(f"http://127.0.0.1:{hook.port}/secret-path")
    dialog.get_by_role("button", name="Add channel").click()
    row = page.get_by_role("listitem").filter(has_text="Ops")
    expect(row).to_contain_text("not tested yet")
    expect(row).not_to_contain_text("works")
    assert "secret-path" not in row.inner_text()


@pytest.mark.holds("J-12", "J-14")
def test_an_alert_is_acknowledged_by_key_and_a_broken_channel_is_seen_on_every_page(browser: Browser, tmp_path: Path) -> None:
    with Hook().running() as hook, HubProcess(tmp_path / "hub", env={"STARDUST_NOTIFY_ALLOW": f"127.0.0.1:{hook.port}"}) as hub:
        assert hub.local("POST", "/api/v1/rules", RULE).status == 201
        with Stage(hub, only=("web-01",)), gate(browser, hub, expected=(GONE, ABSENT, STALE, REFUSED)) as seen:
            page = seen.page
            seen.sign_in()
            acknowledge_by_key(page)
            undo_a_second_snooze(page, hub)
            page.get_by_role("button", name="Explain CPU in use").click()
            expect(page.get_by_text("There is no channel yet, so nobody is notified.")).to_be_visible()
            alert = page.get_by_role("region").filter(has=page.get_by_role("row", name="CPU in use"))
            assert alert.last.inner_text().count("CPU in use") == 1, "the name stands once"
            page.get_by_role("link", name="CPU in use").click()
            around = page.get_by_role("region", name="Around CPU in use on web-01")
            expect(around.get_by_role("img", name="CPU total, at most")).to_be_visible()
            expect(page.get_by_role("region", name="Who was told")).to_contain_text("There is no channel yet, so nobody is notified.")
            expect(page.get_by_role("status").filter(has_text="Alerts fire and nobody is notified.")).to_be_visible()
            value = page.get_by_role("row", name="CPU in use").get_by_role("cell").nth(2)
            expect(value).to_contain_text("limit 1%")
            expect(value).not_to_have_text(value.inner_text(), timeout=FIRES_LIMIT_MS)  # it follows the server
            start = around.get_by_text("began ").bounding_box()
            axis = around.get_by_role("img").bounding_box()
            assert start
            assert axis
            assert start["x"] + start["width"] / 2 > axis["x"] + axis["width"] * 0.6, "it has just begun: near the end"
            expect(around).to_contain_text("limit")
            expect(around.get_by_role("table")).to_contain_text("nginx")
            expect(page.get_by_role("list", name="Timeline").get_by_text("Fired: CPU in use · web-01")).to_be_visible()
            check(seen)
            page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a TypedDict in disguise
            not_wider(page)
            check(seen)

            [incident] = hub.local("GET", "/api/v1/incidents?state=open").json["incidents"]
            seen.turn_to(f"/alerts/{incident['id']}")  # where messages link to
            whole = page.get_by_role("region", name=incident["title"])
            expect(whole.get_by_role("row", name="CPU in use")).to_be_visible()
            title = whole.get_by_role("heading").first
            title.evaluate("(title) => title.append(' and more words that nobody should have to guess'.repeat(4))")
            for width in (PHONE["width"], 1280):
                page.set_viewport_size({"width": width, "height": 800})
                assert title.evaluate("(title) => title.scrollWidth <= title.clientWidth && title.clientWidth > 100"), f"cut at {width} px"
            page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a TypedDict in disguise
            seen.turn_to(f"/alerts/{'0' * 26}")
            expect(page.get_by_role("heading", name="There is no such incident")).to_be_visible()
            page.get_by_role("link", name="All alerts").click()

            add_channel(page, hook)
            row = page.get_by_role("listitem").filter(has_text="Ops")
            row.get_by_role("button", name="Test Ops").click()
            expect(row.get_by_role("status")).to_have_text("Sent")
            expect(row).to_contain_text("last test arrived")
            assert hook.paths == ["/secret-path"]
            hook.status = 503
            row.get_by_role("button", name="Test Ops").click()
            expect(row.get_by_role("status")).to_contain_text("Try 1 failed")
            hook.status = 404
            row.get_by_role("button", name="Test Ops").click()
            expect(row.get_by_role("status")).to_have_text("Failed: the receiver answered 404")
            page.wait_for_timeout(1_500)  # the first test would be read twice in this time
            assert row.get_by_role("status").inner_text() == "Failed: the receiver answered 404"
            check(seen)
            page.goto(hub.url)
            expect(page.get_by_role("status").filter(has_text="The channel “Ops” is broken.")).to_be_visible()

            page.keyboard.press("g")
            page.keyboard.press("a")
            page.get_by_role("button", name="Explain CPU in use").click()
            expect(page.get_by_role("listitem").filter(has_text="Ops: not notified: somebody acknowledged it")).to_be_visible()
            page.get_by_role("tab", name="Rules").click()
            expect(page.get_by_text("CPU total: above 1% → warning")).to_be_visible()
            preview_says_what_it_would_have_done(page)
            rule_that_somebody_else_changed_keeps_what_was_typed_or_is_taken(page, hub)
            rules_go_out_and_come_back_as_a_file(page, hub)
            deadlines_say_how_an_event_is_reported(page)
            new_maintenance_is_above_an_older_one(page, hub)
            viewer_changes_nothing(browser, hub)
            link_leaves_no_token(seen)


def check(seen: Gate) -> None:
    assert seen.axe() == []


def preview_says_what_it_would_have_done(page: Page) -> None:
    page.get_by_role("button", name="Actions for CPU in use").click()
    page.get_by_role("menuitem", name="Edit…").click()
    dialog = page.get_by_role("dialog", name="Edit CPU in use")
    expect(dialog.get_by_text(re.compile(r"Would have fired \d+.time.* in the last 7 days on 1.server, and notified"))).to_be_visible()
    dialog.get_by_role("group", name="Warning").get_by_label("Starts at (%)").fill("99.99")
    dialog.get_by_role("group", name="Warning").get_by_label("Ends at (%)").fill("99.9")
    expect(dialog.get_by_text(re.compile("Would not have fired in the last 7 days"))).to_be_visible()
    removed_exception_leaves_the_fields_of_the_others(dialog)
    dialog.get_by_role("button", name="Cancel").click()


def rule_that_somebody_else_changed_keeps_what_was_typed_or_is_taken(page: Page, hub: HubProcess) -> None:
    page.get_by_role("button", name="Actions for CPU in use").click()
    page.get_by_role("menuitem", name="Edit…").click()
    dialog = page.get_by_role("dialog", name="Edit CPU in use")
    [rule] = (one for one in hub.local("GET", "/api/v1/rules").json["rules"] if one["name"] == RULE["name"])
    assert hub.local("PATCH", f"/api/v1/rules/{rule['id']}", {"version": rule["version"], "clear_s": 120, "for_s": 420}).status == 200
    ends_after = dialog.get_by_label("Ends after")
    ends_after.fill("3")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Somebody else has saved it meanwhile")
    expect(dialog.get_by_role("alert")).to_contain_text(re.compile("Ends after: 2.min → 3.min"))
    expect(dialog.get_by_label("After it lasted"), "their change is in its field").to_have_value("7")
    expect(ends_after, "what was typed is still there").to_have_value("3")
    dialog.get_by_role("button", name="Take theirs").click()
    expect(ends_after).to_have_value("2")
    expect(dialog.get_by_role("alert")).to_have_count(0)
    ends_after.fill("4")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)


def deadlines_say_how_an_event_is_reported(page: Page) -> None:
    page.get_by_role("tab", name="Deadlines").click()
    expect(page.get_by_text("sudo /opt/stardust/stardust-spider event backup_completed")).to_be_visible()
    expect(page.get_by_text("events = backup")).to_be_visible()
    page.get_by_role("button", name="Add deadline").click()
    dialog = page.get_by_role("dialog", name="Add deadline")
    dialog.get_by_label("Event", exact=True).fill("dbdump_completed")
    dialog.get_by_text("How a server reports “dbdump_completed”").click()
    expect(dialog.get_by_text("stardust-spider event dbdump_completed")).to_be_visible()
    dialog.get_by_label("Name", exact=True).fill("Nightly dump")
    dialog.get_by_role("button", name="Add deadline").click()
    made = page.get_by_role("region", name="Nightly dump")
    expect(made).to_contain_text("No server has reported this yet")
    expect(made.get_by_text("stardust-spider event dbdump_completed")).to_be_visible()
    expect(made.get_by_role("list")).to_have_count(0)  # no calendar of days without a result


def rules_go_out_and_come_back_as_a_file(page: Page, hub: HubProcess) -> None:
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export").click()
    file = json.loads(saved.value.path().read_text())
    own = next(rule for rule in file["rules"] if rule["name"] == RULE["name"])
    page.get_by_role("button", name="Import…").click()
    dialog = page.get_by_role("dialog", name="Import rules")

    def given(text: str) -> None:
        dialog.get_by_label("Import from a file").set_input_files(
            {"name": "mine.json", "mimeType": "application/json", "buffer": text.encode()}
        )

    given("[]")
    expect(dialog.get_by_role("alert")).to_contain_text("This file has no “rules”")
    given(json.dumps({"rules": [{**own, "expr": "nothing("}]}))
    expect(dialog.get_by_role("alert")).to_contain_text("Entry 1: ")
    apply = dialog.get_by_role("button", name="Apply")
    expect(apply).to_be_disabled()
    given(json.dumps({"rules": [{**own, "for_s": own["for_s"] + 60}, {**own, "id": "", "name": "Another"}]}))
    expect(dialog.get_by_text("1 would be added, 1 changed, 0 are the same.")).to_be_visible()
    expect(dialog.get_by_role("list", name="What would change")).to_contain_text(re.compile(r"After it lasted: .+ → .+"))
    apply.click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("table", name="Own rules").get_by_role("row").filter(has_text="Another")).to_be_visible()
    [changed] = (one for one in hub.local("GET", "/api/v1/rules").json["rules"] if one["name"] == RULE["name"])
    assert changed["for_s"] == own["for_s"] + 60


def new_maintenance_is_above_an_older_one(page: Page, hub: HubProcess) -> None:
    older = hub.local("POST", "/api/v1/maintenance", {"select": {"all": True}, "until_at": time.time() + 3600, "reason": "older"})
    assert older.status == 201, older.body
    assert hub.local("DELETE", f"/api/v1/maintenance/{older.json['id']}").status == 204
    page.get_by_role("tab", name="Maintenance").click()
    rows = page.get_by_role("table", name="Maintenance").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("over")
    page.get_by_role("button", name="Open maintenance").click()
    dialog = page.get_by_role("dialog", name="Open maintenance")
    dialog.get_by_text("Every server").click()
    dialog.get_by_role("button", name="Open maintenance").click()
    expect(rows.nth(1)).to_contain_text("open now")
    expect(rows.nth(2)).to_contain_text("older")


def removed_exception_leaves_the_fields_of_the_others(dialog: Locator) -> None:
    def limit(number: int) -> Locator:
        return (
            dialog.get_by_role("group", name=f"Exception {number}").get_by_role("group", name="Other warning").get_by_label("Starts at (%)")
        )

    for number, percent in ((1, "80"), (2, "60")):
        dialog.get_by_role("button", name="Add an exception by tag").click()
        limit(number).fill(percent)
    dialog.get_by_role("group", name="Exception 1").get_by_role("button", name="Remove the exception").click()
    expect(limit(1)).to_have_value("60")


def viewer_changes_nothing(browser: Browser, hub: HubProcess) -> None:
    token = hub.login()
    made = hub.request("POST", "/api/v1/users", {"username": "vera", "role": "viewer"}, token=token.token)
    assert made.status == 201, made.body
    password = made.json["password"]
    first = hub.login("vera", password)
    changed = hub.request("POST", "/api/v1/auth/password", {"current": password, "new": PASSWORD}, token=first.token)
    assert changed.status == 200, changed.body
    with gate(browser, hub) as seen:
        seen.sign_in("vera", PASSWORD, at="/alerts")
        expect(seen.page.get_by_role("button", name="Explain CPU in use")).to_be_visible()
        for name in ("Acknowledge", "Snooze"):
            expect(seen.page.get_by_role("button", name=name)).to_have_count(0)
        seen.page.get_by_role("tab", name="Rules").click()
        expect(seen.page.get_by_role("table", name="Own rules")).to_be_visible()
        expect(seen.page.get_by_role("switch")).to_have_count(0)
        expect(seen.page.get_by_role("button", name="New rule")).to_have_count(0)


def link_leaves_no_token(seen: Gate) -> None:
    seen.page.goto(f"{seen.hub.url}/a#AAAA")
    expect(seen.page.get_by_role("heading", level=1)).to_be_visible()
    assert seen.page.url == f"{seen.hub.url}/a"
    seen.page.get_by_role("button", name="Acknowledge").click()
    expect(seen.page.get_by_role("alert")).to_contain_text("This link is not one of this hub")
