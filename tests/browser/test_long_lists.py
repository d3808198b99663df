"""Paginated lists that change while they are read: shown rows stay, and requested pages arrive."""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
import time

import pytest
from playwright.sync_api import Page, Route, expect

from spider.wire.report_messages import InstalledPackages, Table, Updates
from tests.support.agent import IDENTITY, TestAgent
from tests.support.hub import Enrolled, HubProcess
from tests.support.page.accounts import sign_in
from tests.support.page.fleets import COLUMNS
from tests.support.page.waits import until
from tests.support.played import PlayedNodes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ACCEPTED, OK = 202, 200
PAGE = 50
JOBS = 2 * PAGE + 10
PACKAGES = 130
INSTALLED = 230
INSTALLED_PAGE = 200


def installed(names: list[str]) -> InstalledPackages:
    """All that a node has."""
    digest = hashlib.sha256("".join(f"{name}\t1.0\n" for name in sorted(names)).encode()).hexdigest()[:32]
    return InstalledPackages("", digest, 0, 1, names, ["1.0"] * len(names))


class Shelf(PlayedNodes):
    """A node that could be brought up to date by many packages."""

    def __init__(self, hub: HubProcess, node: Enrolled) -> None:
        super().__init__(hub, [node])
        self.told = threading.Event()

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        self.agent = agent
        await agent.say(IDENTITY._replace(hostname=node.name))
        await agent.say(installed([f"tool-{no:03}" for no in range(INSTALLED)]))
        await self._tell(PACKAGES)
        self.told.set()

    async def _tell(self, count: int) -> None:
        now_ms = int(time.time() * 1000)
        cells: list[str | int | None] = [cell for no in range(count) for cell in (f"pack-{no:03}", "1.0", "1.1", "no", "main")]
        await self.agent.say(Updates(count, 0, now_ms), Table("updates", now_ms, count, COLUMNS, cells))

    def tell(self, count: int) -> None:
        """From the test's thread."""
        asyncio.run_coroutine_threadsafe(self._tell(count), self._loop).result(10)


def order(hub: HubProcess, node: Enrolled) -> str:
    """A job of it, which waits."""
    job = hub.local("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "refresh"})
    assert job.status == ACCEPTED, job.body
    made: str = job.json["id"]
    return made


def cancel(hub: HubProcess, job: str) -> None:
    assert hub.local("POST", f"/api/v1/jobs/{job}/cancel").status == OK


def test_loaded_jobs_stay_while_others_begin_and_end_and_are_restored_by_going_back(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("web-1")
    for _ in range(JOBS):
        cancel(hub, order(hub, node))
    sign_in(page, hub, at="/jobs")
    rows = page.get_by_role("table", name="Jobs").get_by_role("row").filter(has_text="web-1")
    more = page.get_by_role("button", name="Show more")
    expect(rows).to_have_count(PAGE)
    more.click()
    expect(rows).to_have_count(2 * PAGE)
    more.scroll_into_view_if_needed()
    at = page.evaluate("() => scrollY")
    assert at > 0

    job = order(hub, node)
    first = rows.first
    expect(first).to_contain_text("Waiting for the server")
    expect(rows).to_have_count(2 * PAGE)
    cancel(hub, job)
    expect(first).to_contain_text("Cancelled")
    expect(rows).to_have_count(2 * PAGE)
    assert page.evaluate("() => scrollY") >= at - 1

    # a page that is on its way while a job changes comes all the same
    held: list[Route] = []
    page.route("**/api/v1/jobs?*cursor=*", lambda route: route.fallback() if held else held.append(route))
    more.focus()
    page.keyboard.press("Enter")
    until(page, lambda: held)
    order(hub, node)
    expect(page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Jobs")).to_contain_text("1 running")
    held[0].continue_()
    expect(rows).to_have_count(JOBS + 2)
    expect(first).to_contain_text("Waiting for the server")
    expect(more).to_have_count(0)
    expect(rows.nth(2 * PAGE + 1)).to_be_focused()  # the first that came, below the job that began meanwhile

    # restored with its length and position by going back and by loading again; a new step begins at the top
    chosen = rows.nth(JOBS - 5)
    chosen.scroll_into_view_if_needed()
    at = page.evaluate("() => scrollY")
    assert at > 1000
    chosen.click()
    expect(rows).to_have_count(0)
    page.go_back()
    expect(rows).to_have_count(JOBS + 2)
    until(page, lambda: abs(page.evaluate("() => scrollY") - at) < 3)
    page.reload()
    expect(rows).to_have_count(JOBS + 2)
    until(page, lambda: abs(page.evaluate("() => scrollY") - at) < 3)
    page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Fleet").click()
    page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Jobs").click()
    expect(rows).to_have_count(PAGE)

    # those of a node stay, too
    page.goto(f"{hub.url}/n/{node.node_id}/jobs")
    expect(rows).to_have_count(PAGE)
    more.click()
    expect(rows).to_have_count(2 * PAGE)
    cancel(hub, order(hub, node))
    expect(first).to_contain_text("Cancelled")
    expect(rows).to_have_count(2 * PAGE)


@pytest.mark.slow
def test_expanded_packages_stay_and_a_search_shows_only_its_own_answer(page: Page, hub: HubProcess) -> None:
    one, two = hub.enrol("web-1", "web-2")
    with Shelf(hub, one) as shelf, Shelf(hub, two) as second:
        assert shelf.told.wait(30)
        assert second.told.wait(30)
        sign_in(page, hub, at="/updates")
        rows = page.get_by_role("table", name="Packages").get_by_role("row").filter(has_text="pack-")
        expect(rows).to_have_count(100)
        page.get_by_role("button", name="Show more of 130").click()
        expect(rows).to_have_count(PACKAGES)
        shelf.tell(PACKAGES + 1)
        expect(page.get_by_text("131 packages")).to_be_visible()
        expect(rows).to_have_count(PACKAGES + 1)

        # more nodes of a package: the focus stays in their list
        page.route("**/updates/nodes?*", lambda route: route.continue_(url=re.sub(r"limit=\d+", "limit=1", route.request.url)))
        page.get_by_role("table", name="Packages").get_by_role("button", name="pack-000").click()
        expect(page.get_by_text("1 of 2 nodes loaded.")).to_be_visible()
        page.get_by_role("button", name="Load more").focus()
        page.keyboard.press("Enter")
        nodes = page.locator(".node-chips")
        expect(nodes.get_by_role("listitem")).to_have_count(2)
        expect(page.get_by_role("button", name="Load more")).to_have_count(0)
        expect(nodes.get_by_role("listitem").filter(has_text="web-2")).to_be_focused()
        expect(page.get_by_role("button", name="Upgrade it on 2…")).to_be_visible()

        page.goto(f"{hub.url}/n/{one.node_id}/packages")
        rows = page.get_by_role("region", name="Packages, table").get_by_role("row").filter(has_text="tool-")
        expect(rows).to_have_count(INSTALLED_PAGE)
        page.get_by_role("button", name=f"Show more of {INSTALLED}").click()
        expect(rows).to_have_count(INSTALLED)
        with page.expect_response(lambda answer: "/packages?" in answer.url and "cursor=" in answer.url):  # both pages are read again
            shelf.tell(PACKAGES + 2)
        expect(rows).to_have_count(INSTALLED)

        held: list[Route] = []
        page.route("**/packages?*search=*", lambda route: route.fallback() if held else held.append(route))
        search = page.get_by_label("Search in packages")
        search.fill("22")
        until(page, lambda: held)
        expect(rows).to_have_count(0)  # none of the answer to another question
        expect(search).to_be_focused()
        held[0].continue_()
        expect(rows).to_have_count(12)  # 022, 122, 220 to 229
