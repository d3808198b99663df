"""S-16, S-17: whatever a hostile node says, the page shows it as text, runs nothing of it and fetches nothing for it."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future

import pytest
from playwright.sync_api import Page, expect

from spider.wire.frames import JobAnswer, JobEnded, JobOutput, JobProgress, JobStart, LogLines, Message, PackagesHeld, Table
from spider.wire.tables import SUBJECTS, TEXT
from tests.browser.test_settings import sign_in
from tests.e2e.test_attacks_node import CORPUS, MARK, filled
from tests.support.agent import IDENTITY, agents, layout_of, pack_of
from tests.support.hub import Enrolled, HubProcess
from tests.support.stage import report

pytestmark = pytest.mark.browser

TEXTS = [text for text in CORPUS if len(text) < 500]
OUTPUT = "\r\n".join(TEXTS).encode() + b"\x1b]0;evil title\x07\x1b]8;;http://evil.example\x07link\x1b]8;;\x07\x1b]52;c;ZXZpbA==\x07done\r\n"
WATCHED = """
window.__alarms = [];
for (const name of ["alert", "confirm", "prompt", "open"]) window[name] = (...words) => { window.__alarms.push([name, ...words]); };
document.addEventListener("securitypolicyviolation", (event) => window.__alarms.push(["csp", event.blockedURI, event.violatedDirective]));
"""


def tables() -> list[Table]:
    """Every subject, each text of it hostile."""
    made = []
    for subject in SUBJECTS:
        cells: list[str | int | None] = []
        for number, text in enumerate(TEXTS):
            cells += [text[: column.most] if column.kind == TEXT else number for column in subject.columns]
        made.append(Table(subject.name, int(time.time() * 1000), len(TEXTS), [column.name for column in subject.columns], cells))
    return made


def log_lines() -> list[Message]:
    """Lines of the journal, their sources too."""
    now_ms = int(time.time() * 1000)
    return [LogLines("", "c", 0, [now_ms] * len(TEXTS), [3] * len(TEXTS), TEXTS, TEXTS)]


async def speak(hub: HubProcess, node: Enrolled, told: Future[str], stop: threading.Event) -> None:
    """Be a hostile node until told to stop: facts, tables, and a job whose every word is hostile."""
    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.expect(PackagesHeld)
        await agent.say(
            filled(IDENTITY, TEXTS[0])._replace(policy_mode="managed", policy_verbs=["check"], reboot_required="yes"),
            layout_of(),
            pack_of(0),
            *tables(),
            *log_lines(),
        )
        job = (await agent.expect(JobStart, 30)).job
        now_ms = int(time.time() * 1000)
        await agent.say(
            JobAnswer(job, "accepted", TEXTS[1], now_ms),
            JobOutput(job, 0, now_ms, OUTPUT),
            JobProgress(job, now_ms, "commit", 60, TEXTS[0], TEXTS[1]),
            filled(report(job), TEXTS[0])._replace(job=job, reboot="yes"),
            JobEnded(
                job, "failed", 1, 0, len(OUTPUT), "", 0, now_ms, now_ms, TEXTS, TEXTS, TEXTS[::-1], "job.package_manager", TEXTS[2]
            ),
        )  # fmt: skip
        told.set_result(job)
        while not stop.is_set():
            await agent.say(pack_of(agent.acked[0] + 1))
            await asyncio.sleep(0.5)


def test_hostile_text_of_a_node_is_inert_everywhere(page: Page, fresh_hub: HubProcess) -> None:
    hub = fresh_hub
    hub.first_login()
    [node] = hub.enrol("hostile")
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url) if "127.0.0.1" not in request.url.split("/")[2] else None)
    page.add_init_script(WATCHED)
    told: Future[str] = Future()
    stop = threading.Event()
    speaker = threading.Thread(target=lambda: asyncio.run(speak(hub, node, told, stop)))
    speaker.start()
    try:
        sign_in(page, hub)
        token = hub.login().token
        reply = hub.request("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "check"}, token=token)
        assert reply.status == 202, reply.body
        job = told.result(60)
        seen = ""
        for path in (
            "",
            "/measures",
            "/processes",
            "/hardware",
            "/services",
            "/packages",
            "/jobs",
            "/logs",
            "/events",
            "/settings",
            "?range=1h",
        ):
            page.goto(f"{hub.url}/n/{node.node_id}{path}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            expect(page.get_by_role("tabpanel")).not_to_be_empty()
            seen += page.locator("body").inner_text()
        for path in (f"/jobs/{job}", "/jobs", "/events", "/updates", "/settings/audit", "/?view=cards", "/"):
            page.goto(f"{hub.url}{path}")
            expect(page.get_by_role("heading", level=1)).to_be_attached()
            page.wait_for_load_state("networkidle")
            for folded in page.locator("summary").all():
                folded.click()
            seen += page.locator("body").inner_text()
            assert page.title() == "Stardust" or "evil" not in page.title()
        page.keyboard.press("Control+k")
        expect(page.get_by_role("dialog")).to_be_visible()
        seen += page.get_by_role("dialog").inner_text()
        page.keyboard.press("Escape")
        assert MARK in seen, "what the node said was shown"
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.__alarms") == []
        assert (
            page.evaluate("[...document.querySelectorAll('script:not([src]), img, iframe, object, embed, [onerror], [onload]')].length")
            == 0
        )
        assert page.evaluate("[...document.querySelectorAll('a')].filter((a) => !a.href.startsWith(location.origin)).length") == 0
        assert outside == []
    finally:
        stop.set()
        speaker.join(20)
