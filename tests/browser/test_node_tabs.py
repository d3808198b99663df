"""The tabs of a node's page: a real Spider of this machine, the real hub, a real browser."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from groundcontrol.nodes.processes import TOP
from tests.support.agent import SpiderProcess
from tests.support.hub import HubProcess
from tests.support.page.accounts import sign_in
from tests.support.page.hubs import hub_of_the_file

pytestmark = pytest.mark.browser

hub = hub_of_the_file()


@pytest.mark.holds("J-7")
def test_processes_parts_services_packages_and_values_of_this_machine(page: Page, hub: HubProcess, tmp_path: Path) -> None:
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(9)]  # a table of a few rows has no search
        [node] = hub.enrol("this-machine")
        spider = SpiderProcess(tmp_path / "spider", hub, node)
        spider.launch()
        try:
            sign_in(page, hub)
            page.get_by_text("this-machine").first.click()

            page.get_by_role("tab", name="Processes").click()
            processes = page.get_by_role("region", name="Processes, table")
            expect(processes.get_by_role("row").nth(5)).to_be_visible(timeout=60_000)
            expect(processes.get_by_role("columnheader", name="CPU")).to_have_attribute("aria-sort", "descending")
            assert spider.process is not None
            page.get_by_label("Search in Processes").fill(str(os.getpid()))
            page.get_by_role("button", name="Freeze").click()
            page.get_by_role("heading", level=1).focus()
            page.keyboard.press("Space")
            expect(page.get_by_role("button", name="Freeze")).to_be_visible()
            page.get_by_role("button", name="At a past time…").click()
            page.get_by_role("button", name="+1 min").click()
            past = page.get_by_role("region", name="Past processes, table")
            expect(past.get_by_role("row").nth(TOP)).to_be_visible(timeout=60_000)
            page.get_by_label("Time", exact=True).fill("2026-01-01T03:12")
            expect(page.get_by_role("heading", name="At 1 Jan, 03:12")).to_be_visible(timeout=60_000)
            expect(page.get_by_text("No reading at 1 Jan, 03:12.")).to_be_visible()
            page.get_by_role("button", name="Back to now").click()

            page.get_by_role("tab", name="Settings").click()
            page.get_by_role("radio", name="Hardware").click()
            interfaces = page.get_by_role("region", name="Network interfaces, table")
            expect(interfaces.get_by_role("cell", name="lo", exact=True)).to_be_visible()

            page.get_by_role("tab", name="Services").click()
            page.get_by_label("Search in Listening sockets").fill(str(listeners[0].getsockname()[1]))
            expect(page.get_by_role("region", name="Listening sockets, table").get_by_role("row")).to_have_count(2)

            page.get_by_role("tab", name="Software").click()
            version = subprocess.run(["dpkg-query", "-W", "-f=${Version}", "bash"], capture_output=True, text=True, check=True).stdout
            page.get_by_label("Search in packages").fill("bash")
            expect(page.get_by_role("row", name=f"bash {version}", exact=True)).to_be_visible(timeout=60_000)

            page.get_by_role("tab", name="Metrics").click()
            page.get_by_label("Search in values").fill("memory.total")
            page.get_by_role("button", name="total").click()
            expect(page.get_by_role("figure", name="Memory total")).to_be_visible()
            page.get_by_label("Search in values").fill("memory.available")
            page.get_by_role("button", name="available").first.click()
            expect(page.get_by_role("figure", name="Memory available")).to_be_visible()
            expect(page.get_by_role("figure", name="Memory total")).to_be_visible()
            page.reload()
            expect(page.get_by_role("figure", name="Memory available")).to_be_visible()
            expect(page.get_by_role("figure", name="Memory total")).to_be_visible()
            page.get_by_role("button", name="Remove 2 charts").click()
            expect(page.get_by_role("figure")).to_have_count(0)
            assert "chart=" not in page.url
            page.get_by_label("Search in values").fill("memory.total")
            page.get_by_role("button", name="total").first.click()
            page.get_by_role("radio", name="7d").click()
            expect(page.get_by_text("No data in this time")).to_have_count(0)
        finally:
            spider.close()


def test_navigating_back_from_a_node_tab_restores_the_focus(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("lab-08")
    sign_in(page, hub, at=f"/n/{node.node_id}")
    overview, processes, services = (page.get_by_role("tab", name=name) for name in ("Overview", "Processes", "Services"))
    overview.focus()
    page.keyboard.press("ArrowRight")
    expect(processes).to_be_focused()
    services.click()
    expect(services).to_be_focused()
    page.go_back()
    expect(processes).to_have_attribute("aria-selected", "true")
    expect(processes).to_be_focused()
    page.go_back()
    expect(overview).to_be_focused()
    expect(overview).to_have_attribute("tabindex", "0")
