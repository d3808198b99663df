"""The updates page: an order above a list covers the current contents of that list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from spider.wire.report_messages import Table, Updates
from tests.support.agent import IDENTITY, TestAgent
from tests.support.hub import Enrolled, HubProcess
from tests.support.page.accounts import sign_in
from tests.support.page.fleets import COLUMNS
from tests.support.page.gate import DESKTOP
from tests.support.played import PlayedNodes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

NAMES = ("mail-1", "web-1", "web-2")


class Tellers(PlayedNodes):
    """Each could bring curl to 1.1, until it tells something else."""

    def __init__(self, hub: HubProcess, nodes: list[Enrolled]) -> None:
        super().__init__(hub, nodes)
        self._agents: dict[str, TestAgent] = {}

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        self._agents[node.name] = agent
        await agent.say(IDENTITY._replace(hostname=node.name))
        await self._tell(node.name, ("curl", "1.1", "no"))

    async def _tell(self, name: str, *newer: tuple[str, str, str]) -> None:
        now_ms = int(time.time() * 1000)
        cells: list[str | int | None] = [cell for package, to, security in newer for cell in (package, "1.0", to, security, "main")]
        numbers = Updates(len(newer), sum(security == "yes" for _, _, security in newer), now_ms)
        await self._agents[name].say(numbers, Table("updates", now_ms, len(newer), COLUMNS, cells))

    def tell(self, name: str, *newer: tuple[str, str, str]) -> None:
        """Package, version and whether it is for security; from the test's thread."""
        asyncio.run_coroutine_threadsafe(self._tell(name, *newer), self._loop).result(10)


@pytest.fixture
def nodes(hub: HubProcess) -> Iterator[Tellers]:
    with Tellers(hub, hub.enrol(*NAMES)) as played:
        yield played


def first_row(page: Page) -> Locator:
    return page.get_by_role("table").get_by_role("row").nth(1)


def test_an_order_covers_what_its_list_shows_and_the_list_follows_the_nodes(page: Page, hub: HubProcess, nodes: Tellers) -> None:
    sign_in(page, hub, at="/updates?by=node")
    expect(page.get_by_text("3 updates on 3 nodes")).to_be_visible()
    expect(page.get_by_role("button", name="Upgrade on 3 nodes…")).to_be_visible()
    page.get_by_role("searchbox", name="Search nodes").fill("mail")
    expect(page.get_by_role("table", name="Nodes with updates").get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="Upgrade on 1 node…").click()
    expect(page.get_by_role("dialog", name="Upgrade packages on 1 node")).to_contain_text("mail-1")
    page.keyboard.press("Escape")
    page.get_by_role("searchbox", name="Search nodes").fill("")
    page.get_by_role("radio", name="By package").click()
    expect(page.get_by_role("button", name="Upgrade on 3 nodes…")).to_be_visible()
    page.get_by_role("searchbox", name="Search packages").fill("curl")
    page.get_by_role("button", name="Upgrade all packages on 3 nodes…").click()
    expect(page.get_by_role("dialog", name="Upgrade packages on 3 nodes")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("searchbox", name="Search packages").fill("")

    # a newer version is shown although no count changes
    row = first_row(page)
    expect(row).to_contain_text("1.1")
    for name in NAMES:
        nodes.tell(name, ("curl", "1.2", "no"))
    expect(row).to_contain_text("1.2")
    expect(row).not_to_contain_text("1.1")
    nodes.tell("web-1", ("curl", "1.2", "yes"))
    expect(row).to_contain_text("1 for security")

    # versions are sorted, and the summary has the full width of a phone
    for name, version in zip(NAMES, ("6.5.2-1", "6.5.10-1", "6.5.2-1"), strict=True):
        nodes.tell(name, ("curl", version, "no"))
    expect(row).to_contain_text("6.5.10-1, 6.5.2-1")
    for width in (320, 390):
        page.set_viewport_size({"width": width, "height": 844})
        summary, button = page.locator(".page-head .grow").bounding_box(), page.locator(".page-head .button.primary").bounding_box()
        assert summary is not None
        assert button is not None
        assert summary["width"] == width - 32
        assert summary["y"] + summary["height"] <= button["y"]
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]  # a TypedDict in disguise

    # and so does what a package shows when it is opened
    row.click()
    chips = page.locator(".node-chips").get_by_role("listitem")
    expect(chips).to_have_count(3)
    expect(page.get_by_role("button", name="Upgrade it on 3…")).to_be_visible()
    nodes.tell("web-1")
    expect(row).to_contain_text("2")
    expect(page.get_by_role("button", name="Upgrade it on 2…")).to_be_visible()
    expect(chips).to_have_count(2)
    nodes.tell("web-2", ("curl", "1.3", "no"))
    expect(chips.filter(has_text="1.0 → 1.3")).to_have_count(1)
