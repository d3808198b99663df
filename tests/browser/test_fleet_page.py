"""The fleet page: groups, keyboard navigation, tags with undo, package updates, filters and the palette."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from spider.wire.frames import Message
from spider.wire.job_messages import JobAnswer, JobPlan, JobStart
from spider.wire.orders import SignedOrder
from spider.wire.report_messages import Table, Updates
from tests.support.agent import IDENTITY, TestAgent
from tests.support.hub import Enrolled, HubProcess
from tests.support.job_messages import ended
from tests.support.page.accounts import sign_in
from tests.support.page.fleets import COLUMNS, DIGEST
from tests.support.page.gate import gate, log_in
from tests.support.page.hubs import hub_of_the_file
from tests.support.page.phone import not_wider
from tests.support.played import PlayedNodes
from tests.support.wire import open_order

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

TAGS = {"db-1": "db", "web-1": "web", "web-2": "web", "watched": "web", "spare-1": ""}
NEWER = {
    "db-1": [("openssl", "yes")],
    "web-1": [("curl", "no"), ("openssl", "yes")],
    "web-2": [("curl", "no")],
    "watched": [("curl", "no")],
}
OLD = "db-1"
"""Its package lists are not all there, so that nothing newer means nothing."""


class Fleet(PlayedNodes):
    """Reports updates, plans when asked, and applies them."""

    def __init__(self, hub: HubProcess, nodes: list[Enrolled]) -> None:
        super().__init__(hub, nodes)
        self.orders: list[tuple[str, SignedOrder]] = []

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        newer = NEWER.get(node.name, [])
        now_ms = int(time.time() * 1000)
        cells: list[str | int | None] = [cell for name, security in newer for cell in (name, "1.0", "1.1", security, "main")]
        await agent.say(
            IDENTITY._replace(hostname=node.name, policy_mode="monitor" if node.name == "watched" else "managed"),
            Updates(len(newer), sum(security == "yes" for _, security in newer), 0 if node.name == OLD else now_ms),
            Table("updates", now_ms, len(newer), COLUMNS, cells),
        )

    async def answer(self, agent: TestAgent, node: Enrolled, told: Message | None) -> None:
        if not isinstance(told, JobStart):
            return
        order = open_order(node.launch_key, told.order)
        self.orders.append((node.name, order))
        await agent.say(JobAnswer(told.job, "accepted", "", 0))
        if order.verb == "plan":
            steps = [] if node.name == "web-2" else ["curl"]
            old, new, no, main = ([word] * len(steps) for word in ("1.0", "1.1", "no", "main"))
            await agent.say(JobPlan(told.job, 0, 1, DIGEST, steps, old, new, no, main, [], [], [], 1000, None, "no", ""))
        await agent.say(ended(told.job, b""))


hub = hub_of_the_file()


@pytest.fixture(scope="module")
def nodes(hub: HubProcess) -> Iterator[Fleet]:
    enrolled = hub.enrol(*TAGS)
    for node in enrolled:
        if TAGS[node.name]:
            hub.local("PATCH", f"/api/v1/nodes/{node.node_id}", {"tags": [TAGS[node.name]]})
    with Fleet(hub, enrolled) as played:
        yield played


@pytest.mark.holds("J-2", "J-14")
def test_groups_rows_and_tags_work_by_key_and_the_address_stores_the_view(page: Page, hub: HubProcess, nodes: Fleet) -> None:
    sign_in(page, hub)
    expect(page.get_by_text("5of 5 online")).to_be_visible()
    table = page.get_by_role("table", name="Nodes")
    rows = table.get_by_role("row")
    page.get_by_role("button", name="Group: none").click()
    page.get_by_role("menuitem", name="Group by tag").click()
    expect(rows).to_have_count(9)  # the head, three groups, five nodes
    expect(rows.nth(1).get_by_role("button", name="db 1", expanded=True)).to_be_visible()
    expect(table.locator(".group [role=rowheader]")).to_have_text(["db 1", "web 3", "untagged 1"])

    rows.nth(1).focus()
    page.keyboard.press("ArrowLeft")
    expect(rows).to_have_count(8)
    expect(page).to_have_url(re.compile("group=tag.*closed=db"))
    page.keyboard.press("j")
    page.keyboard.press("x")  # a group's header stands for its nodes
    expect(page.get_by_role("region", name="Selection")).to_contain_text("3 nodes selected")
    page.keyboard.press("j")
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile("^watched"))
    page.reload()
    expect(rows).to_have_count(8)
    expect(rows.nth(1).get_by_role("button", name="db 1", expanded=False)).to_be_visible()

    field = page.get_by_role("searchbox", name="Filter nodes")
    page.keyboard.press("/")
    expect(field).to_be_focused()
    page.keyboard.type("gremlins>3")
    expect(page.get_by_text("cannot be compared")).to_be_visible()
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("tag:web -watched security>0")
    expect(page.get_by_role("row", name="web-1")).to_contain_text(re.compile("1 security update(?!s)"))
    expect(rows).to_have_count(3)
    page.keyboard.press("Escape")
    expect(field).to_have_value("")
    page.keyboard.press("Escape")

    page.get_by_role("checkbox", name="Select all of web").check()
    page.get_by_role("button", name="Tag…").click()
    dialog = page.get_by_role("dialog", name="Tag 3 nodes")
    dialog.get_by_label("Add").fill("eu,")
    dialog.get_by_role("checkbox", name="web on 3").check()
    dialog.get_by_role("button", name="Change 3 nodes").click()
    undo = page.get_by_role("button", name="Undo")
    undo.hover()  # the note that offers it stays while the pointer is on it, and the order moves while it is not on a row
    expect(table.locator(".group [role=rowheader]").filter(has_text="eu")).to_be_visible()
    with page.expect_response(re.compile("/nodes/")):
        undo.click()
    expect(page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="web 3")).to_be_visible()
    assert sorted(tag for node in hub.local("GET", "/api/v1/nodes").json["nodes"] for tag in node["tags"]) == ["db", "web", "web", "web"]

    page.get_by_role("button", name="Save view…").click()
    page.get_by_role("dialog", name="Saved views").get_by_label("Name").fill("By tag")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)  # saved: leaving earlier discards it
    page.goto(hub.url)
    expect(rows).to_have_count(6)
    page.get_by_role("link", name="By tag").click()
    expect(rows).to_have_count(8)
    vitals = page.get_by_role("region", name="Fleet vitals")
    vitals.get_by_role("link", name="CPU").click()
    expect(page).to_have_url(re.compile("group=tag.*closed=db.*sort=-cpu"))  # an order takes nothing else away
    expect(rows).to_have_count(8)
    vitals.get_by_role("link", name="Nodes", exact=True).click()
    expect(page).to_have_url(re.compile("group=tag.*closed=db(?!.*sort)"))
    expect(rows).to_have_count(8)

    page.get_by_role("checkbox", name="Select all shown").check()
    page.get_by_role("region", name="Selection").get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1, name="Compare")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Remove…").click()
    asked = page.get_by_role("dialog", name="Remove 4 nodes")
    expect(asked.get_by_role("button", name="Remove 4 nodes")).to_be_disabled()
    asked.get_by_label("Type 4 to confirm").fill("3")
    expect(asked.get_by_role("button", name="Remove 4 nodes")).to_be_disabled()
    asked.get_by_role("button", name="Cancel").click()


@pytest.mark.slow
def test_the_filter_field_is_wide_enough_at_every_width(page: Page, hub: HubProcess, nodes: Fleet) -> None:
    log_in(page, hub)
    field = page.get_by_role("searchbox", name="Filter nodes")
    for view in ("", "&view=cards"):
        page.goto(f"{hub.url}/?q=updates>=0&group=tag&sort=-cpu{view}")
        expect(field).to_be_visible()
        for width in (768, 900, 1024, 1100, 1280, 1440):
            page.set_viewport_size({"width": width, "height": 800})
            tools = page.locator(".tools").bounding_box()
            box = page.get_by_role("search").filter(has=field).bounding_box()
            assert tools is not None
            assert box is not None
            assert box["width"] >= 240, (view, width)
            inner = field.bounding_box()
            assert inner is not None
            assert inner["width"] >= 160, (view, width)
            ends = page.locator(".tools > :visible").evaluate_all(
                "(all) => Math.max(...all.map((one) => one.getBoundingClientRect().right))"
            )
            assert ends <= tools["x"] + tools["width"] + 1, (view, width)
            not_wider(page)


def test_the_sort_order_does_not_change_under_the_pointer(page: Page, hub: HubProcess, nodes: Fleet) -> None:
    sign_in(page, hub)
    expect(page.get_by_text("5of 5 online")).to_be_visible()
    rows = page.get_by_role("table", name="Nodes").get_by_role("row")
    focused = page.locator(":focus")
    [moved] = [node for node in hub.local("GET", "/api/v1/nodes").json["nodes"] if node["name"] == "db-1"]
    rows.nth(1).focus()
    expect(focused).to_have_attribute("data-node", moved["id"])
    hub.local("PATCH", f"/api/v1/nodes/{moved['id']}", {"name": "zz-1"})
    expect(page.get_by_role("button", name="Re-sort")).to_be_visible()
    expect(focused).to_have_attribute("data-node", moved["id"])
    expect(rows.nth(1)).to_contain_text("zz-1")
    page.get_by_role("button", name="Re-sort").click()
    expect(rows.nth(5)).to_contain_text("zz-1")
    hub.local("PATCH", f"/api/v1/nodes/{moved['id']}", {"name": "db-1"})


def test_updates_are_planned_then_run_and_the_lists_find_them(page: Page, hub: HubProcess, nodes: Fleet) -> None:
    sign_in(page, hub)
    expect(page.get_by_text("5of 5 online")).to_be_visible()
    for key in ("j", "j", "k", "x"):  # a row need not be stood on before
        page.keyboard.press(key)
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile("^db-1"))
    expect(page.get_by_role("region", name="Selection")).to_contain_text("1 node selected")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("u")
    table = page.get_by_role("table", name="Packages")
    rows = table.locator("[role=row][aria-rowindex]")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("openssl")  # for security comes first
    expect(
        page.get_by_text(f"Old or missing package lists on 1 node. Updates published since then are not counted there: {OLD}.")
    ).to_be_visible()
    page.get_by_role("button", name="Refresh on 1 node…").click()
    expect(page.get_by_role("dialog", name="Refresh package lists on 1 node").get_by_role("button", name="Refresh")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    for key in ("j", "ArrowDown", "o"):
        page.keyboard.press(key)
    expect(table.get_by_text("monitoring only, by its own policy")).to_be_visible()
    table.get_by_role("button", name="Upgrade it on 2…").click()
    dialog = page.get_by_role("dialog", name="Upgrade packages on 2 nodes")
    dialog.get_by_role("button", name="Preview", exact=True).click()
    expect(dialog.get_by_role("heading", name="Upgrade packages on 2 nodes")).to_be_focused()  # for the button is gone
    plans = dialog.get_by_role("table", name="Plans")
    expect(plans.get_by_role("row").filter(has_text="web-1")).to_contain_text("1 upgrade")
    expect(plans.get_by_role("row").filter(has_text="web-2")).to_contain_text("Nothing to do")
    dialog.get_by_role("button", name="Start upgrade on 1 node").click()
    page.wait_for_url(re.compile(r"/batches/"))
    expect(page.get_by_text("1 of 1 ended")).to_be_visible()
    [(name, order)] = [(name, order) for name, order in nodes.orders if order.verb == "upgrade"]
    assert (name, order.args) == ("web-1", {"packages": ["curl"], "plan": DIGEST})

    page.goto(hub.url)
    page.get_by_role("table", name="Nodes").get_by_role("link", name=OLD, exact=True).click()
    page.get_by_role("status").get_by_role("button", name="Check now").click()
    expect(page.get_by_role("status").filter(has_text="It was started.")).to_be_visible()
    assert "/n/" in page.url, "a check stays where it is"

    page.goto(f"{hub.url}/updates?by=node&q=w")
    expect(page.get_by_role("table", name="Nodes with updates").get_by_role("row")).to_have_count(4)
    expect(page.get_by_text("1 node: monitoring only, by its own policy")).to_be_visible()

    page.goto(f"{hub.url}/jobs?action=upgrade&by=me")
    jobs = page.get_by_role("table", name="Jobs").get_by_role("row")
    expect(jobs).to_have_count(2)
    page.get_by_role("button", name="With problems").click()
    expect(page.get_by_text("No job matches")).to_be_visible()
    page.get_by_role("button", name="Show all jobs").click()
    expect(jobs).to_have_count(3)  # an order for many is one row, and its plans are none

    page.goto(f"{hub.url}/events?group=job&q=upgrade")
    events = page.get_by_role("table", name="Events").get_by_role("row")
    expect(events).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    assert [event["type"] for event in json.loads(Path(download.value.path()).read_text())] == ["job_succeeded"]


@pytest.mark.holds("J-14")
def test_the_palette_acts_and_single_keys_can_be_switched_off(page: Page, hub: HubProcess, nodes: Fleet) -> None:
    sign_in(page, hub)
    expect(page.get_by_text("5of 5 online")).to_be_visible()
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Search or run a command")
    expect(box).to_be_focused()
    page.keyboard.type("tag web")
    chosen = page.get_by_role("option", selected=True)
    expect(chosen).to_contain_text("Upgrade all with tag web…")
    expect(box).to_have_attribute("aria-activedescendant", str(chosen.get_attribute("id")))
    box.press("Enter")
    expect(page.get_by_role("dialog", name="Upgrade packages on 2 of 3 nodes")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    expect(box).to_be_focused()
    page.keyboard.type("web-2")
    expect(page.get_by_role("option", name="Upgrade web-2…")).to_be_visible()
    expect(chosen, "who types a whole name means the node").to_have_text(re.compile(r"^web-2(?!.*Upgrade)"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/n/"))
    expect(page.get_by_role("heading", level=1, name="web-2")).to_be_focused()
    page.keyboard.press("[")
    expect(page.get_by_role("heading", level=1, name="web-1")).to_be_visible()
    page.keyboard.press("3")
    page.wait_for_url(re.compile(r"range=24h"))

    page.goto(f"{hub.url}/settings/appearance")
    page.get_by_role("switch", name="Single-key shortcuts").click()
    expect(page.get_by_role("switch", name="Single-key shortcuts")).to_have_attribute("aria-checked", "false")
    page.goto(hub.url)
    rows = page.get_by_role("table", name="Nodes").get_by_role("row")
    rows.nth(1).focus()
    for key in ("x", "?", "j"):
        page.keyboard.press(key)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("region", name="Selection")).to_have_count(0)
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile("db-1"))
    page.keyboard.press("ArrowDown")
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile("spare-1"))


def test_the_sidebar_counts_tags_up_says_how_many_it_leaves_out_and_has_them_all(browser: Browser, tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as own, gate(browser, own) as seen:
        page = seen.page
        first, *others = [node.node_id for node in own.enrol("web-1", "web-2", "web-3")]
        names = [f"tag-{index}" for index in range(14)]
        for node in others:
            assert own.local("PATCH", f"/api/v1/nodes/{node}", {"tags": names[:12]}).status == 200
        seen.sign_in()
        side = page.get_by_role("navigation", name="Main", exact=True)
        expect(side.get_by_role("link", name="tag-")).to_have_text([f"{name}2" for name in names[:12]])  # with how many nodes have it
        expect(side.get_by_text("more")).to_have_count(0)
        assert own.local("PATCH", f"/api/v1/nodes/{first}", {"tags": names[12:]}).status == 200
        more = side.get_by_text("2 more")
        more.focus()
        page.keyboard.press("Enter")
        expect(side.get_by_role("link", name="tag-")).to_have_count(14)
        side.get_by_role("link", name="tag-13").click()
        expect(page.locator("[data-node]")).to_have_count(1)
        expect(side.get_by_role("link", name="tag-13")).to_have_attribute("aria-current", "true")
        more.click()
        expect(side.get_by_role("link", name="tag-")).to_have_count(12)
