"""Errors of the live socket: shown with their own texts, retried, and final only where the hub says so."""

from __future__ import annotations

import msgspec
import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.support.hub import HubProcess
from tests.support.page.fleets import FIRST, NEXT, Printer
from tests.support.page.gate import log_in
from tests.support.page.hubs import hub_of_the_file
from tests.support.page.waits import until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

hub = hub_of_the_file()

BUSY = "the hub is too busy for this"
SAID = "The hub is too busy for this."


class Door:
    """The live socket of a page. A request for the topic is refused while a code is set for it."""

    def __init__(self, page: Page, topic: str) -> None:
        self.topic = topic
        self.code = ""
        self.refused = 0
        self._page_end: WebSocketRoute | None = None
        page.route_web_socket("**/api/v1/live", self._opened)

    def _opened(self, opened: WebSocketRoute) -> None:
        server = opened.connect_to_server()
        self._page_end = opened

        def from_page(message: str | bytes) -> None:
            assert isinstance(message, bytes)
            kind, body = msgspec.msgpack.decode(message)
            if kind == "subscribe" and body["topic"] == self.topic and self.code:
                self.refuse()
            else:
                server.send(message)

        opened.on_message(from_page)

    def refuse(self) -> None:
        """Say that it is over."""
        assert self._page_end is not None
        self.refused += 1
        self._page_end.send(msgspec.msgpack.encode(["error", {"code": self.code, "message": BUSY, "topic": self.topic}]))


def test_a_temporarily_refused_node_topic_is_retried(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("moon")
    door = Door(page, f"node:{node.node_id}")
    log_in(page, hub)
    door.code = "unavailable"
    page.goto(f"{hub.url}/n/{node.node_id}")
    told = page.get_by_role("alert").filter(has_text="The node could not be read")
    expect(told).to_contain_text(SAID)
    until(page, lambda: door.refused, lambda times: times >= 3)
    door.code = ""
    title = page.get_by_role("heading", level=1, name="moon")
    expect(title).to_be_visible()
    expect(told).to_have_count(0)

    # a shown list stays; that it is no longer updated is reported once, for as long as it lasts
    door.code = "internal"
    door.refuse()
    until(page, lambda: door.refused, lambda times: times >= 6)
    note = page.get_by_text("No new data from moon")
    expect(note).to_have_count(1)
    expect(title).to_be_visible()
    door.code = ""
    expect(note).to_have_count(0)

    door.code = "not_found"
    door.refuse()
    expect(page.get_by_role("heading", name="moon is no longer here")).to_be_visible()
    times = door.refused
    page.wait_for_timeout(1_500)
    assert door.refused == times, "the last word is not asked for again"

    page.goto(f"{hub.url}/n/elsewhere")
    expect(page.get_by_role("heading", name="There is no such node")).to_be_visible()


def test_a_refused_job_topic_is_reported_and_resumes(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("printer")
    with Printer(hub, [node]) as printer:
        log_in(page, hub)
        reply = hub.request("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "check"}, token=hub.login().token)
        assert reply.status == 202, reply.body
        door = Door(page, f"job:{reply.json['id']}")
        assert printer.began.wait(30)
        printer.print(FIRST)
        page.goto(f"{hub.url}/jobs/{reply.json['id']}")
        rows = page.locator(".xterm-rows")
        expect(rows).to_contain_text("line 300 of many")
        old = page.get_by_role("main").get_by_role("status").filter(has_text="This may be out of date.")
        expect(old).to_have_count(0)

        door.code = "unavailable"
        door.refuse()
        expect(old).to_contain_text(SAID)
        until(page, lambda: door.refused, lambda times: times >= 2)
        printer.print(NEXT)
        printer.end()
        expect(rows).not_to_contain_text("and then some more")
        door.code = ""
        expect(page.get_by_role("status").get_by_text("Succeeded")).to_be_visible()
        expect(old).to_have_count(0)
        expect(rows).to_contain_text("and then some more")
        expect(page.locator("[data-output-bytes]")).to_have_attribute("data-output-bytes", str(len(printer.printed)))

        door.code = "not_found"
        door.refuse()
        expect(page.get_by_text("This job is no longer kept.")).to_be_visible()
        expect(rows).to_contain_text("and then some more")
