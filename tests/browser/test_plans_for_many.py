"""Plans of many nodes: nodes whose plan has arrived are started without waiting for unreachable ones."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from spider.wire.frames import Message
from spider.wire.job_messages import JobAnswer, JobPlan, JobStart, JobStop
from tests.support.agent import TestAgent
from tests.support.hub import Enrolled, HubProcess
from tests.support.job_messages import ended
from tests.support.page.accounts import sign_in
from tests.support.page.fleets import DIGEST, choose
from tests.support.page.hubs import hub_of_the_file
from tests.support.page.waits import until
from tests.support.played import PlayedNodes
from tests.support.wire import open_order

PLANNED = re.compile(r"on \d nodes?$")
"""The button that starts what the plans say."""
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SLOW = "web-2"
"""Takes the order for its plan, and tells none before it is let."""
AWAY = "web-3"
"""Was never there."""


class Planners(PlayedNodes):
    """Each would upgrade curl, and does so when ordered."""

    def __init__(self, hub: HubProcess, nodes: list[Enrolled]) -> None:
        super().__init__(hub, nodes)
        self.verbs: list[tuple[str, str]] = []
        self.may_emit = threading.Event()
        self.broken = False
        """The slow one has interrupted package work: it cannot plan."""

    async def answer(self, agent: TestAgent, node: Enrolled, told: Message | None) -> None:
        if isinstance(told, JobStop):
            self.verbs.append((node.name, "stop"))
            await agent.say(ended(told.job, b"", state="cancelled"))
        if not isinstance(told, JobStart):
            return
        order = open_order(node.launch_key, told.order)
        self.verbs.append((node.name, order.verb))
        await agent.say(JobAnswer(told.job, "accepted", "", 0))
        if node.name == SLOW and self.broken:
            text = "run dpkg --configure -a"
            await agent.say(ended(told.job, b"", state="failed", error_code="job.packages_broken", error_text=text))
            return
        if order.verb == "plan" and node.name == SLOW and not self.may_emit.is_set():
            self._held = agent, told.job
            return
        await self._end(agent, told.job, planned=order.verb == "plan")

    async def _end(self, agent: TestAgent, job: str, *, planned: bool) -> None:
        if planned:
            await self._plan(agent, job)
        await agent.say(ended(job, b""))

    async def _plan(self, agent: TestAgent, job: str) -> None:
        await agent.say(JobPlan(job, 0, 1, DIGEST, ["curl"], ["1.0"], ["1.1"], ["no"], ["main"], [], [], [], 1000, None, "no", ""))

    def tell_at_once(self) -> None:
        """The slow one is as quick as the other."""
        self.may_emit.set()

    def tell(self) -> None:
        """The slow one has worked it out; from the test's thread."""
        self.tell_plan()
        self.end()

    def tell_plan(self) -> None:
        """The slow one sends its plan, and its job goes on."""
        agent, job = self._held
        asyncio.run_coroutine_threadsafe(self._plan(agent, job), self._loop).result(10)

    def end(self) -> None:
        """The job of the slow one ends."""
        self.may_emit.set()
        asyncio.run_coroutine_threadsafe(self._end(*self._held, planned=False), self._loop).result(10)


hub = hub_of_the_file()


@pytest.fixture(scope="module")
def played(hub: HubProcess) -> Iterator[Planners]:
    one, slow, _ = hub.enrol("web-1", SLOW, AWAY)
    with Planners(hub, [one, slow]) as nodes:
        yield nodes


@pytest.fixture
def nodes(played: Planners) -> Planners:
    """As they begin, without the orders of earlier tests."""
    played.verbs.clear()
    played.may_emit.clear()
    played.broken = False
    return played


def orders(hub: HubProcess) -> list[dict[str, Any]]:
    """What was ordered of many, the newest first."""
    found: list[dict[str, Any]] = hub.local("GET", "/api/v1/batches").json["batches"]
    return found


def test_planned_nodes_are_started_and_the_others_are_listed(page: Page, hub: HubProcess, nodes: Planners) -> None:
    before = sum(order["action"] != "plan" for order in orders(hub))
    sign_in(page, hub)
    expect(page.get_by_text("2of 3 online")).to_be_visible()
    choose(page, "web-1", SLOW, AWAY)
    dialog = page.get_by_role("dialog", name="Run on 3 nodes")
    dialog.get_by_label("What to do").select_option("upgrade")
    dialog.get_by_role("button", name="Preview", exact=True).click()
    start = dialog.get_by_role("button", name=PLANNED)
    expect(start).to_be_enabled()
    expect(start).to_have_text("Start upgrade on 1 node")
    expect(dialog.get_by_text("2 nodes left out:")).to_be_visible()
    expect(dialog).to_contain_text(f"{AWAY} (not connected)")
    expect(dialog).to_contain_text(f"{SLOW} (still planning)")
    expect(dialog.get_by_role("button", name="Plan again")).to_have_count(0)

    nodes.tell_plan()
    expect(dialog.get_by_role("table", name="Plans").get_by_role("row").filter(has_text=SLOW)).to_contain_text("1 upgrade")
    expect(dialog.get_by_text("2 of 3 have answered…")).to_be_visible()
    expect(dialog).to_contain_text(f"{SLOW} (planned, and not done yet)")  # its plan is shown, and starts nothing before its job ends
    expect(start).to_have_text("Start upgrade on 1 node")
    nodes.end()
    expect(start).to_have_text("Start upgrade on 2 nodes")
    expect(dialog.get_by_text("1 node left out:")).to_be_visible()
    expect(dialog.get_by_role("button", name="Plan again")).to_be_enabled()  # because nobody works on it any more
    start.click()
    page.wait_for_url(re.compile(r"/batches/"))
    expect(page.get_by_text("2 of 2 ended")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"on 2 of 3\snodes"))
    left = page.get_by_role("region", name="Left out")
    expect(left).to_contain_text("its plan was not waited for")
    expect(left.get_by_role("link")).to_have_text([AWAY])
    upgrade, plans = orders(hub)[:2]
    assert upgrade["counts"] == {"succeeded": 2}
    until(page, lambda: orders(hub)[1]["counts"], lambda counts: counts == {"succeeded": 2, "cancelled": 1})
    assert plans["for"] == "upgrade"
    page.goto(f"{hub.url}/jobs")
    rows = page.get_by_role("table", name="Jobs").get_by_role("row")
    expect(rows).to_have_count(2 + before)
    for text in ("Upgrade packages", "2 nodes", "2 succeeded"):
        expect(rows.nth(1)).to_contain_text(text)
    page.get_by_role("searchbox", name="Search jobs").fill("nobody")
    expect(page.get_by_text("No job matches")).to_be_visible()


@pytest.mark.refusals("Failed to load resource")
def test_a_late_plan_is_not_added_to_an_unanswered_order(page: Page, hub: HubProcess, nodes: Planners) -> None:
    before = len(orders(hub))
    sign_in(page, hub)
    expect(page.get_by_text("2of 3 online")).to_be_visible()
    choose(page, "web-1", SLOW)
    dialog = page.get_by_role("dialog", name="Run on 2 nodes")
    dialog.get_by_label("What to do").select_option("upgrade")
    dialog.get_by_role("button", name="Preview", exact=True).click()
    start = dialog.get_by_role("button", name=PLANNED)
    expect(start).to_be_enabled()

    page.route("**/api/v1/jobs", lambda route: route.abort(), times=1)
    start.click()
    expect(dialog.get_by_text("Trying again does not start it twice.")).to_be_visible()
    row = dialog.get_by_role("table", name="Plans").get_by_role("row").filter(has_text=SLOW)
    nodes.tell()
    expect(row).to_contain_text("1 upgrade")
    expect(start).to_have_text("Start upgrade on 1 node")
    start.click()
    page.wait_for_url(re.compile(r"/batches/"))
    expect(page.get_by_text("1 of 1 ended")).to_be_visible()  # the page is there before the node has its order
    assert [verb for _, verb in nodes.verbs].count("upgrade") == 1
    assert len(orders(hub)) == before + 2


def test_a_node_that_cannot_plan_for_broken_packages_links_to_its_repair(page: Page, hub: HubProcess, nodes: Planners) -> None:
    nodes.broken = True
    sign_in(page, hub)
    expect(page.get_by_text("2of 3 online")).to_be_visible()
    choose(page, "web-1", SLOW)
    dialog = page.get_by_role("dialog", name="Run on 2 nodes")
    dialog.get_by_label("What to do").select_option("upgrade")
    dialog.get_by_role("button", name="Preview", exact=True).click()
    expect(dialog.get_by_text("run dpkg --configure -a")).to_be_visible()
    [broken] = [node for node in hub.local("GET", "/api/v1/nodes").json["nodes"] if node["name"] == SLOW]
    expect(dialog.get_by_role("link", name=f"Repair on {SLOW}…")).to_have_attribute("href", f"/n/{broken['id']}")


def test_a_planned_node_that_was_removed_is_not_started(page: Page, hub: HubProcess, nodes: Planners) -> None:
    nodes.tell_at_once()
    sign_in(page, hub)
    expect(page.get_by_text("2of 3 online")).to_be_visible()
    choose(page, "web-1", SLOW)
    dialog = page.get_by_role("dialog", name="Run on 2 nodes")
    dialog.get_by_label("What to do").select_option("upgrade")
    dialog.get_by_role("button", name="Preview", exact=True).click()
    start = dialog.get_by_role("button", name=PLANNED)
    expect(start).to_have_text("Start upgrade on 2 nodes")
    dialog.get_by_role("checkbox", name=f"Include {SLOW}").uncheck()
    expect(start).to_have_text("Start upgrade on 1 node")
    dialog.get_by_role("checkbox", name=f"Include {SLOW}").check()
    [gone] = [node for node in hub.local("GET", "/api/v1/nodes").json["nodes"] if node["name"] == "web-1"]
    assert hub.local("DELETE", f"/api/v1/nodes/{gone['id']}?force=true").status < 300
    start = page.get_by_role("dialog", name="Run on 1 node").get_by_role("button", name=PLANNED)
    expect(start).to_have_text("Start upgrade on 1 node")
    start.click()
    page.wait_for_url(re.compile(r"/batches/"))
    expect(page.get_by_text("1 of 1 ended")).to_be_visible()
