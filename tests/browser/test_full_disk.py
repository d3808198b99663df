"""The page while the hub's disk is full: a real hub on a small disk, a real Spider, a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.agent import SpiderProcess
from tests.support.faults import small_disk
from tests.support.hub import HubProcess
from tests.support.page.accounts import sign_in

pytestmark = pytest.mark.browser


@pytest.mark.holds("SAFETY-82")
@pytest.mark.refusals("503 (Service Unavailable)")
def test_a_full_disk_is_shown_until_there_is_space(page: Page, tmp_path: Path) -> None:
    with small_disk(tmp_path / "hub", "12m") as disk:
        hub = HubProcess(tmp_path / "hub", mounts_of=disk.pid)
        hub.view = disk.view
        with hub:
            [node] = hub.enrol("this-machine")
            spider = SpiderProcess(tmp_path / "spider", hub, node)
            spider.launch()
            try:
                sign_in(page, hub)
                alert = page.get_by_role("alert").filter(has_text="cannot save data")
                expect(page.get_by_text("1of 1 online")).to_be_visible()
                expect(alert).to_have_count(0)
                filler = disk.fill()
                expect(alert).to_be_visible(timeout=60_000)
                filler.unlink()
                expect(alert).to_have_count(0, timeout=60_000)
            finally:
                spider.close()
