"""A job with much output: scrolling, pausing in one tab while another follows, reloading midway, and completeness at the end."""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading

import pytest
from playwright.sync_api import Locator, Page, expect

from spider.wire.frames import Message
from spider.wire.job_messages import MAX_OUTPUT_BYTES, OUTPUT_WINDOW_BYTES, JobAck, JobAnswer, JobOutput, JobProgress, JobStart
from tests.support.agent import TestAgent
from tests.support.hub import Enrolled, HubProcess
from tests.support.job_messages import ended
from tests.support.page.gate import log_in
from tests.support.page.waits import until
from tests.support.played import PlayedNodes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

MUCH = 50_000_000
ENOUGH = 12_000_000
"""At its half already more than the 4 MB of an output that the page asks for."""
LINE = "line %07d of a busy build: compiling object file\r\n"
LINE_BYTES = len(LINE % 0)
NOTCH = 120
SCROLLED = "() => document.querySelector('.xterm-rows').textContent"
NUMBER = re.compile(r"line (\d{7}) of")


class Builder(PlayedNodes):
    """Prints numbered lines, as many as requested, never further ahead of the hub than a Spider."""

    def __init__(self, hub: HubProcess, node: Enrolled) -> None:
        super().__init__(hub, [node])
        self.printed, self.acked = 0, 0
        self.digest = hashlib.sha256()
        self.began = threading.Event()
        self._room = asyncio.Event()

    async def answer(self, agent: TestAgent, node: Enrolled, told: Message | None) -> None:
        if isinstance(told, JobStart):
            self.agent, self.job = agent, told.job
            await agent.say(JobAnswer(told.job, "accepted", "", 0), JobProgress(told.job, 0, "commit", 1, "", ""))
            self.began.set()
        elif isinstance(told, JobAck):
            self.acked = max(self.acked, told.offset)
            self._room.set()

    async def _print(self, end: int) -> None:
        each = MAX_OUTPUT_BYTES // LINE_BYTES
        number = self.printed // LINE_BYTES
        while number < end:
            if self.printed - self.acked >= OUTPUT_WINDOW_BYTES:
                self._room.clear()
                await self._room.wait()
                continue
            piece = "".join(LINE % one for one in range(number, min(number + each, end))).encode()
            await self.agent.say(JobOutput(self.job, self.printed, 0, piece))
            self.digest.update(piece)
            self.printed += len(piece)
            number = self.printed // LINE_BYTES

    def print(self, end: int) -> None:
        """Lines up to the one before `end`. From the test's thread."""
        asyncio.run_coroutine_threadsafe(self._print(end), self._loop).result(120)

    def end(self) -> None:
        message = ended(self.job, b"", output_bytes=self.printed, output_sha256=self.digest.hexdigest())
        asyncio.run_coroutine_threadsafe(self.agent.say(message), self._loop).result(10)


def begun(page: Page, hub: HubProcess, node: Enrolled, builder: Builder) -> None:
    """A job of it runs, and the page shows it."""
    log_in(page, hub)
    reply = hub.request("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "upgrade"}, token=hub.login().token)
    assert reply.status == 202, reply.body
    assert builder.began.wait(30)
    page.goto(f"{hub.url}/jobs/{reply.json['id']}")


def in_sight(page: Page) -> list[int]:
    """The numbers of the lines that are seen."""
    return [int(number) for number in NUMBER.findall(page.evaluate(SCROLLED))]


def scroll(page: Page, follow: Locator, way: int, *, following: str) -> None:
    """Turn the wheel over the terminal, notch by notch, until the page says that it follows, or no longer does."""
    page.locator(".xterm").hover()

    def turned() -> str | None:
        page.mouse.wheel(0, way * NOTCH)
        return follow.get_attribute("aria-pressed")

    until(page, turned, lambda said: said == following)


def settled(page: Page, note: Locator) -> str:
    """What it says once it says the same for a while: it takes a line of the terminal itself."""
    text = ""
    while text != (text := note.inner_text()):
        page.wait_for_timeout(1000)
    return text


@pytest.mark.holds("J-10", "J-14")
def test_scrolling_up_stops_following_in_this_tab_and_dropped_output_is_in_the_download(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("builder")
    with Builder(hub, node) as builder:
        begun(page, hub, node, builder)
        builder.print(400)
        rows, follow = page.locator(".xterm-rows"), page.get_by_role("button", name=re.compile("^Follow"))
        expect(rows).to_contain_text(f"{399:07}")
        expect(follow).to_have_attribute("aria-pressed", "true")
        over_px = "document.documentElement.scrollHeight - innerHeight"
        for height_px in (1800, 900):  # the rows of the tall window do not hold the pane open
            page.set_viewport_size({"width": 1440, "height": height_px})
            until(page, lambda: page.evaluate(over_px), lambda found: found == 0)
        other = page.context.new_page()
        other.goto(page.url)
        expect(other.locator(".xterm-rows")).to_contain_text(f"{399:07}")

        scroll(page, follow, -1, following="false")
        stands = until(page, lambda: in_sight(page), lambda seen: seen and seen[-1] < 399)
        builder.print(500)
        expect(page.locator("[data-output-bytes]")).to_have_attribute("data-output-bytes", str(builder.printed))
        assert in_sight(page) == stands, "what is read stays where it is"
        expect(other.locator(".xterm-rows")).to_contain_text(f"{499:07}")
        expect(other.get_by_role("button", name=re.compile("^Follow"))).to_have_attribute("aria-pressed", "true")
        other.close()

        # at the end by itself or by the button, it is followed again
        scroll(page, follow, 1, following="true")
        expect(rows).to_contain_text(f"{499:07}")
        scroll(page, follow, -1, following="false")
        follow.click()
        expect(rows).to_contain_text(f"{499:07}")
        builder.print(600)
        expect(rows).to_contain_text(f"{599:07}")

        # keys go to the focused terminal: they scroll, and letters have no effect
        page.locator(".xterm").click()
        page.keyboard.press("Shift+PageUp")
        page.keyboard.type("n?t")
        expect(page.get_by_role("dialog")).to_have_count(0)

        # what is dropped here is said, and is in the download
        note = page.get_by_text("can be scrolled to, searched and copied here")
        found, box = page.get_by_role("search").get_by_role("status"), page.get_by_label("Search in output")
        box.fill("line 0000003 of")
        expect(found).to_have_text("1 of 1")
        expect(note).to_have_count(0)
        box.fill("not there")
        expect(found).to_have_text("none")

        builder.print(20_000)
        page.get_by_role("button", name=re.compile("^Follow")).click()
        expect(rows).to_contain_text(f"{19_999:07}")
        expect(note).to_be_visible()
        told = re.search("last ([\\d\u202f]+) lines", settled(page, note))
        assert told is not None
        kept = int(told[1].replace("\u202f", ""))
        assert 5_000 <= kept < 5_200
        box.fill("line 0000003 of")
        expect(found).to_have_text(f"none in the last {told[1]} lines")
        box.fill(f"line {20_000 - kept:07} of")
        expect(found).to_have_text("1 of 1")
        box.press("Escape")
        expect(page.get_by_role("button", name=f"Copy the last {told[1]} lines")).to_be_visible()
        page.get_by_role("button", name="View as plain text").click()
        text = page.get_by_role("log", name=re.compile("plain text"))
        expect(text).to_contain_text(f"{19_999:07}")
        assert len(text.inner_text().splitlines()) == kept, "as many as it says"
        href = page.get_by_role("link", name="Download the whole output").get_attribute("href")
        held = page.request.get(f"{hub.url}{href}").body()
        assert hashlib.sha256(held).hexdigest() == builder.digest.hexdigest()


@pytest.mark.slow
@pytest.mark.holds("J-10")
@pytest.mark.parametrize("size", [ENOUGH, MUCH])
def test_long_output_is_complete_after_a_reload_in_the_middle(page: Page, hub: HubProcess, size: int) -> None:
    last = size // LINE_BYTES - 1
    [node] = hub.enrol("builder")
    with Builder(hub, node) as builder:
        begun(page, hub, node, builder)
        rows, received = page.locator(".xterm-rows"), page.locator("[data-output-bytes]")
        builder.print(last // 2)
        expect(rows).to_contain_text(f"{last // 2 - 1:07}")
        page.reload()
        expect(rows).to_contain_text(f"{last // 2 - 1:07}")
        expect(page.get_by_role("progressbar", name="Progress")).to_be_visible()
        builder.print(last + 1)
        expect(rows).to_contain_text(f"{last:07}")
        expect(received).to_have_attribute("data-output-bytes", str(builder.printed))
        expect(page.get_by_text("are not shown here")).to_be_visible()
        seen = in_sight(page)
        assert seen == list(range(seen[0], last + 1)), "line by line up to the last one"
        assert page.locator(".xterm-rows > *").count() < 100, "what is drawn is what is seen"
        builder.end()
        expect(page.get_by_role("status").get_by_text("Succeeded")).to_be_visible()
        href = page.get_by_role("link", name="Download log").get_attribute("href")
        held = page.request.get(f"{hub.url}{href}").body()
        assert (len(held), hashlib.sha256(held).hexdigest()) == (builder.printed, builder.digest.hexdigest())
        page.reload()
        expect(rows).to_contain_text(f"{last:07}")
