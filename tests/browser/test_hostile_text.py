"""S-16, S-17: text from a hostile node is shown as text; it runs nothing and fetches nothing."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from concurrent.futures import Future

import pytest
from playwright.sync_api import Browser, Page, expect

from spider.wire.codec import pack_rows
from spider.wire.frames import Message
from spider.wire.job_messages import JobAnswer, JobEnded, JobOutput, JobProgress, JobStart
from spider.wire.metrics import NOT_IN_LABELS, parse_series
from spider.wire.report_messages import LogLines, PackagesHeld, Table
from spider.wire.sample_messages import STREAM_LIVE, Layout, Pack, Row
from spider.wire.tables import SUBJECTS, TEXT
from tests.support.agent import IDENTITY, SERIES, TestAgent, agents, layout_of
from tests.support.hostile_text import CORPUS, MARK, filled
from tests.support.hub import Enrolled, HubProcess
from tests.support.job_messages import ended
from tests.support.page.accounts import sign_in
from tests.support.page.deployments import Server
from tests.support.page.fleets import plan
from tests.support.page.gate import Gate, gate
from tests.support.page.rules import add_rule
from tests.support.stage import Stage, report

pytestmark = pytest.mark.browser

TEXTS = [text for text in CORPUS if len(text) < 500]
LABELS = [text for text in TEXTS if re.fullmatch(rf"[^{NOT_IN_LABELS}]{{1,200}}", text)]
"""Those that can be a part's name in a series; the hub takes no other."""
LABELLED = {
    "pulse": ("network.received{interface", "network.sent{interface", "disk.read{device", "disk.written{device"),
    "breathe": ("filesystem.size{mount", "filesystem.used{mount", "temperature{sensor"),
}
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
        texts = TEXTS[: subject.max_rows]
        for number, text in enumerate(texts):
            cells += [text[: column.most] if column.kind == TEXT else number for column in subject.columns]
        made.append(Table(subject.name, int(time.time() * 1000), len(texts), [column.name for column in subject.columns], cells))
    return made


def log_lines() -> list[Message]:
    """Lines of the journal, their sources too."""
    now_ms = int(time.time() * 1000)
    return [LogLines("", "c", 0, [now_ms] * len(TEXTS), [3] * len(TEXTS), TEXTS, TEXTS)]


def layouts() -> dict[str, Layout]:
    """Series of parts with hostile names, by family."""
    return {
        family: layout_of(family, rhythm_s, [*own, *(f"{metric}={label}}}" for label in LABELS for metric in LABELLED[family])])
        for family, rhythm_s, own in (("pulse", 1, SERIES), ("breathe", 60, ()))
    }


def measured(seq: int, layout: Layout) -> Pack:
    """One row: every disk is full, every sensor hot."""
    amounts = {"filesystem.size": 100 << 30, "filesystem.used": 97 << 30, "temperature": 99}
    values: list[int | None] = []
    for name in layout.series:
        metric, _ = parse_series(name)
        values.append(round(amounts.get(metric.name, 50) * metric.scale))
    coding, body = pack_rows([Row(int(time.time() * 1000), values)])
    return Pack(STREAM_LIVE, seq, layout.layout, coding, body)


async def go_on(agent: TestAgent, stop: threading.Event) -> None:
    """Send samples until stopped, and answer an order for a plan with a hostile one."""
    pulse = layouts()["pulse"]

    async def measure() -> None:
        while not stop.is_set():
            await agent.say(measured(agent.acked[STREAM_LIVE] + 1, pulse))
            await asyncio.sleep(0.5)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(measure(), name="measures")
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                job = (await agent.expect(JobStart, 1)).job
                planned = filled(plan(job), TEXTS[0])._replace(job=job, digest="5e" * 32, reboot="yes", security=["yes", "no"])
                await agent.say(
                    JobAnswer(job, "accepted", "", 0), planned, ended(job, b"", change_packages=[], change_from=[], change_to=[])
                )


async def speak(hub: HubProcess, node: Enrolled, told: Future[str], stop: threading.Event) -> None:
    """Act as a hostile node until stopped: facts, tables, and a job, all with hostile text."""
    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.expect(PackagesHeld)
        await agent.say(
            filled(IDENTITY, TEXTS[0])._replace(policy_mode="managed", policy_verbs=["check", "plan", "upgrade"], reboot_required="yes"),
            *layouts().values(),
            measured(0, layouts()["breathe"]),
            measured(1, layouts()["pulse"]),
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
        await go_on(agent, stop)


def inert(page: Page) -> None:
    """Nothing ran, nothing was fetched, nothing stands there but text."""
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.__alarms") == []
    assert page.evaluate("[...document.querySelectorAll('script:not([src]), img, iframe, object, embed, [onerror], [onload]')].length") == 0
    assert page.evaluate("[...document.querySelectorAll('a')].filter((a) => !a.href.startsWith(location.origin)).length") == 0


@pytest.mark.holds("SAFETY-29", "S-16", "J-17")
def test_hostile_text_of_a_node_is_inert_everywhere(browser: Browser, hub: HubProcess) -> None:
    [node] = hub.enrol("hostile")
    add_rule(hub, "traffic", "last(network.received)", 1)
    assert hub.local("PATCH", "/api/v1/rules/packages.broken", {"version": 0, "enabled": False}).status == 200
    told: Future[str] = Future()
    stop = threading.Event()
    speaker = threading.Thread(target=lambda: asyncio.run(speak(hub, node, told, stop)))
    speaker.start()
    try:
        with gate(browser, hub) as seen:
            shown_as_text(seen, node, told)
    finally:
        stop.set()
        speaker.join(20)


def shown_as_text(seen: Gate, node: Enrolled, told: Future[str]) -> None:
    page, hub, own = seen.page, seen.hub, f"/n/{node.node_id}"
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url) if "127.0.0.1" not in request.url.split("/")[2] else None)
    page.add_init_script(WATCHED)
    seen.sign_in()
    reply = hub.request("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "check"}, token=hub.login().token)
    assert reply.status == 202, reply.body
    job = told.result(60)
    text = ""
    for tab in (
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
        seen.turn_to(own + tab)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_role("tabpanel")).not_to_be_empty()
        text += page.locator("body").inner_text()
    for path in (f"/jobs/{job}", "/jobs", "/events", "/updates", "/settings/audit", f"/compare?nodes={node.node_id}", "/?view=cards", "/"):
        seen.turn_to(path)
        for folded in page.locator("summary").all():
            folded.click()
        text += page.locator("body").inner_text()
        assert page.title() == "Stardust" or "evil" not in page.title()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog")).to_be_visible()
    text += page.get_by_role("dialog").inner_text()
    page.keyboard.press("Escape")
    expect(page.locator("[data-node] .also")).to_contain_text(MARK)  # by the name of an interface
    seen.turn_to(own)
    for name in ("Network shown", "Disk shown"):
        expect(page.get_by_label(name).get_by_role("option")).to_have_count(len(LABELS))
    page.get_by_role("button", name="Upgrade").click()
    planned = page.get_by_role("dialog").get_by_role("table", name="Planned changes")
    expect(planned).to_contain_text(MARK)
    assert MARK in text, "what the node said was shown"
    inert(page)
    assert outside == []


@pytest.mark.holds("J-17")
def test_hostile_text_of_a_server_that_joins_is_inert(page: Page, fresh_hub: HubProcess) -> None:
    hub = fresh_hub
    hub.first_login()
    page.add_init_script(WATCHED)
    sign_in(page, hub)
    page.get_by_role("button", name="One-line command").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Create command").click()
    expect(dialog.get_by_label("Checksum")).to_be_visible()
    with Server(hub, dialog.get_by_label("Invite", exact=True).inner_text(), TEXTS[1]) as server:
        expect(dialog.get_by_role("heading", name="The server is joining")).to_be_visible()
        server.go_on.set()
        expect(dialog.get_by_role("alert")).to_contain_text(MARK)
        inert(page)
        page.goto(f"{hub.url}/events")
        expect(page.get_by_role("table", name="Events")).to_contain_text(MARK)
        inert(page)


@pytest.mark.holds("J-17")
def test_property_names_of_objects_in_the_address_match_nothing(page: Page, hub: HubProcess) -> None:
    with Stage(hub, only=("web-01",)) as stage:
        sign_in(page, hub, at="/jobs?state=constructor&action=constructor")
        expect(page.get_by_role("heading", name=re.compile("No job"))).to_be_visible()
        page.goto(f"{hub.url}/n/{stage.ids['web-01']}/measures?chart=constructor")
        expect(page.get_by_role("region", name="Metrics")).to_be_visible()
        expect(page.get_by_role("figure")).to_have_count(0)
