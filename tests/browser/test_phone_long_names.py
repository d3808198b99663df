"""Long names and texts on a phone: toasts, groups, tags and cards stay within the screen."""

from __future__ import annotations

import operator
import re
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.hub import HubProcess
from tests.support.page.answers import saves_preferences
from tests.support.page.gate import gate, log_in
from tests.support.page.hubs import hub_of_the_file, stage_of_the_file
from tests.support.page.phone import LIVING, OUTSIDE, inside, not_wider, on_phone
from tests.support.page.waits import until
from tests.support.ports import free_port
from tests.support.stage import Stage, order

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

LONGEST_NAME = 64


hub = hub_of_the_file()
stage = stage_of_the_file(*LIVING)


def test_a_long_name_leaves_room_for_the_action(browser: Browser, tmp_path: Path) -> None:
    name = "w" * LONGEST_NAME
    with HubProcess(tmp_path / "hub") as own, gate(browser, own) as seen:
        [node] = own.enrol(name)
        assert own.local("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "refresh"}).status == 202
        body = {"host": "127.0.0.1", "port": free_port(), "username": "ada", "name": f"{name[1:]}x", "password": "wrong"}
        assert own.local("POST", "/api/v1/deployments", body).status == 202
        log_in(seen.page, seen.hub)
        seen.walks = True
        for width in (390, 800):
            page = on_phone(seen, width)
            for path, table, whose in (("/jobs", "Jobs", name), ("/jobs", "Jobs", "wx"), ("/jobs?of=deployments", "Deployments", "wx")):
                seen.open(path)
                row = page.get_by_role("table", name=table).get_by_role("row").filter(has_text=whose)
                expect(row).to_be_visible()
                for cell in (row.get_by_role("rowheader"), row.get_by_role("cell").nth(2)):
                    box = cell.bounding_box()
                    assert box is not None
                    assert box["width"] >= width / 5, (table, box)
                not_wider(page)
            seen.open("/events")
            expect(page.get_by_role("table", name="Events").get_by_role("row").filter(has_text="www")).to_be_visible()
            not_wider(page)


@pytest.mark.holds("J-19")
def test_the_card_of_a_busy_server_fits_the_smallest_screen(browser: Browser, tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub, Stage(hub, only=("edge-ams",)) as stage, gate(browser, hub) as seen:
        order(hub, stage, "edge-ams", "full-upgrade", "running")
        page = seen.page
        log_in(seen.page, seen.hub)
        seen.walks = True
        for unit in ("B/s", "bit/s"):
            seen.open("/")
            page.set_viewport_size({"width": 320, "height": 640})
            card = page.locator(".node-card")
            expect(card).to_contain_text("Upgrading")
            expect(card).to_contain_text(re.compile(rf"M{unit}.*M{unit}load"))
            not_wider(page)
            out = card.evaluate(OUTSIDE)
            assert not out, (unit, out)
            seen.open("/settings/appearance")
            with page.expect_response(saves_preferences):
                page.get_by_role("switch", name="Network speed in bits per second").click()
        seen.open("/jobs")
        expect(page.get_by_role("table", name="Jobs").get_by_role("row").last.locator("time")).to_be_visible()
        not_wider(page)


LONGEST_TAG = "a-tag-of-sixty-four-characters-which-is-all-that-one-may-have".ljust(64, "0")


@pytest.mark.slow
def test_a_long_tag_is_truncated_and_does_not_widen_the_page(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    path = f"/api/v1/nodes/{stage.ids['db-01']}"
    before = hub.local("GET", path).json["tags"]
    assert hub.local("PATCH", path, {"tags": ["prod", LONGEST_TAG]}).status == 200
    try:
        with gate(browser, hub) as seen:
            log_in(seen.page, seen.hub)
            seen.walks = True
            for width in (320, 390):
                page = on_phone(seen, width)
                for part, shortened in ((f"/n/{stage.ids['db-01']}", True), (f"/n/{stage.ids['db-01']}/settings", False)):
                    seen.open(part)
                    tag = page.locator(".tag" if shortened else ".tag.tall").filter(has_text=LONGEST_TAG)
                    expect(tag).to_be_visible()
                    inside(page, tag)
                    if shortened:
                        expect(tag).to_have_attribute("title", LONGEST_TAG)
                    not_wider(page)
                    cut = tag.evaluate("(tag) => tag.scrollWidth > tag.clientWidth && getComputedStyle(tag).textOverflow")
                    assert cut == ("ellipsis" if shortened else False), cut
    finally:
        hub.local("PATCH", path, {"tags": before})


UNBROKEN_TAG = "x" * 64


@pytest.mark.slow
def test_a_group_with_a_long_name_is_no_wider_than_the_screen(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    paths = [f"/api/v1/nodes/{stage.ids[name]}" for name in ("db-01", "db-02")]
    before = [hub.local("GET", path).json["tags"] for path in paths]
    for path in paths:
        assert hub.local("PATCH", path, {"tags": [UNBROKEN_TAG]}).status == 200
    try:
        with gate(browser, hub) as seen:
            log_in(seen.page, seen.hub)
            seen.walks = True
            for width in (320, 390):
                page = on_phone(seen, width)
                seen.open("/?group=tag")
                head = page.locator(".group-head").filter(has_text=UNBROKEN_TAG)
                expect(head).to_contain_text("CPU")
                not_wider(page)
                for part in (head, head.locator(".end"), page.locator(".node-card").last):
                    inside(page, part)
                name = head.locator(".cut")
                assert name.evaluate("(name) => name.scrollWidth > name.clientWidth && name.clientWidth > innerWidth / 4")
                other = page.locator(".group-head").filter(has_not_text=UNBROKEN_TAG).first.locator(".cut")
                assert other.evaluate("(name) => name.scrollWidth <= name.clientWidth"), "a short name is not shortened"
    finally:
        for path, tags in zip(paths, before, strict=True):
            assert hub.local("PATCH", path, {"tags": tags}).status == 200


LONGEST_VIEW = "x" * 60


@pytest.mark.slow
def test_a_toast_with_a_long_name_stays_within_the_screen(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        log_in(seen.page, seen.hub)
        for width in (320, 1440):
            page = seen.page
            seen.open("/?group=tag")
            page.get_by_role("button", name="Save view…").click()
            page.get_by_role("dialog", name="Saved views").get_by_label("Name").fill(LONGEST_VIEW)
            page.keyboard.press("Enter")
            note = page.get_by_role("region", name="Notifications").get_by_role("status")
            expect(note).to_contain_text(f"“{LONGEST_VIEW}” was saved")
            note.get_by_role("button", name="Dismiss").focus()  # it stays meanwhile
            on_phone(seen, width)
            until(page, partial(note.evaluate, OUTSIDE), operator.not_)
            title = note.locator("b")
            assert title.evaluate("(title) => title.parentElement.scrollWidth <= title.parentElement.clientWidth")
            inside(page, note)
            heading, toast = page.locator("h1").bounding_box(), note.bounding_box()
            assert heading is not None
            assert toast is not None
            assert heading["y"] + heading["height"] <= toast["y"], (heading, toast)
            page.set_viewport_size({"width": 1440, "height": 900})
            page.get_by_role("button", name="Save view…").click()
            page.get_by_role("button", name=f"Remove {LONGEST_VIEW}").click()
            expect(page.get_by_role("button", name=f"Remove {LONGEST_VIEW}")).to_have_count(0)
