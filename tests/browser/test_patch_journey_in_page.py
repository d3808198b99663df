"""A patch policy as a new user would meet it, in the page and over real hosts: made in the editor, stopped at a broken canary, repaired, tried again.

Pictures of each step, in both themes and on a phone, go into the folder that STARDUST_PICTURES names.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support import lab as labs
from tests.support.eventually import wait_until
from tests.support.gate_trials import PACKAGE, PATIENCE_S, POLL_S, Trial
from tests.support.hub import HubProcess
from tests.support.page.gate import DESKTOP, PHONE, Gate, Look, gate, log_in
from tests.support.page.phone import not_wider
from tests.support.webhook_inbox import messages

pytestmark = [pytest.mark.browser, pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(2400)]

BREAKS = "if test -e /srv/broken; then echo 'lab-app: cannot migrate' >&2; exit 1; fi\n"
DRAIN = b"#!/bin/sh\necho drained >> /srv/actions\n"
LONG_MS = PATIENCE_S * 1000
LAPTOP = {"width": 1280, "height": 800}


def pictures(seen: Gate, step: str) -> None:
    folder = os.environ.get("STARDUST_PICTURES")
    for look in (Look(scheme, size) for scheme in ("dark", "light") for size in (DESKTOP, LAPTOP, PHONE)):
        seen.look(look)
        not_wider(seen.page)
        if folder:
            seen.page.screenshot(path=f"{folder}/{step}-{look.scheme}-{look.size['width']}.png", full_page=True)
    seen.look(Look("dark", DESKTOP))


def follow(page: Page, end: Locator) -> None:
    """Wait for the end of a roll-out. A wave of servers that are some minutes old waits for a person, who accepts that."""
    young = page.get_by_role("button", name="Go on without comparing with the past…")
    while True:
        expect(end.or_(young).first).to_be_visible(timeout=LONG_MS)
        if end.is_visible():
            return
        young.click()
        page.get_by_label("Reason").fill("fresh servers have no past")
        page.get_by_role("button", name="Go on", exact=True).click()
        expect(young).to_have_count(0)


def test_a_policy_is_made_stopped_by_its_canary_repaired_and_tried_again_in_the_page(browser: Browser, tmp_path: Path) -> None:
    assert (reason := labs.unavailable()) is None, f"this test needs lab hosts, and {reason}"
    with ExitStack() as ends:
        receiver, got = ends.enter_context(messages())
        hub = ends.enter_context(HubProcess(tmp_path / "hub", faults=("quick-watch=0.02",), env={"STARDUST_NOTIFY_ALLOW": receiver}))
        hosts = [Trial(host, hub) for host in labs.up(debian=3)]
        ends.callback(labs.down)
        for one in hosts:
            one.host.sh("install -d -m 755 /etc/stardust/actions.d; touch /srv/broken")
            one.put("/etc/stardust/actions.d/drain", DRAIN, "0755")
            one.prepare(BREAKS)
            one.host.sh("sed -i 's/^version.*/version = 3\\nactions = drain/' /etc/stardust/policy.conf; systemctl restart stardust-spider")
        for one in hosts:
            one.wait_online()
            wait_until(
                lambda one=one: one.call("GET", f"nodes/{one.node}")["policy"]["actions"] == ["drain"],  # type: ignore[misc]  # bound now
                PATIENCE_S, what="the node names its action", poll_s=POLL_S,
            )  # fmt: skip
            one.wait_row(one.submit("check"))
        hosts[0].call("POST", "channels", {"kind": "webhook", "name": "ops", "target": {"url": f"http://{receiver}/"}})
        seen = ends.enter_context(gate(browser, hub))
        page = seen.page
        log_in(page, hub)

        seen.open("/updates")
        page.get_by_role("tab", name="Patch policies").click()
        page.get_by_role("link", name="Add patch policy").first.click()
        page.get_by_label("Name").fill("Shop by night")
        page.get_by_label("Install", exact=True).select_option("all")
        only = page.get_by_label("Only these packages")
        only.fill(PACKAGE)
        only.press("Enter")
        before = page.get_by_label("Actions before each server")
        before.fill("drain")
        before.press("Enter")
        page.get_by_label("Watch for minutes").fill("5")
        page.get_by_role("group", name="Report to").get_by_text("ops").click()
        preview = page.get_by_role("complementary", name="Preview")
        expect(preview).to_contain_text(PACKAGE)
        pictures(seen, "1-editor")
        page.get_by_role("button", name="Save").click()
        row = page.get_by_role("list", name="Patch policies").get_by_role("listitem").filter(has_text="Shop by night")
        row.get_by_role("button", name="Actions for Shop by night").click()
        page.get_by_role("menuitem", name="Run now").click()
        page.get_by_role("button", name="Run now").click()
        expect(page).to_have_url(re.compile("/rollout/"))

        again = page.get_by_role("button", name="Try the other 3 again…")
        pictures(seen, "2-under-way")
        follow(page, again)
        servers = page.get_by_role("table", name="Servers of the roll-out")
        expect(servers.get_by_role("row").filter(has_text="failed")).to_have_count(1)
        expect(servers).to_contain_text("run Repair on it")
        pictures(seen, "3-stopped")
        wait_until(lambda: "stopped" in json.dumps(got), PATIENCE_S, what="the message arrives")
        assert sum(one.host.sh("cat /srv/actions 2>/dev/null || true").split() == ["drained"] for one in hosts) == 1

        for one in hosts:
            one.host.sh("rm /srv/broken; dpkg --configure -a >/dev/null 2>&1 || true")
            one.wait_row(one.submit("check"))
        again.click()
        page.get_by_role("button", name="Try again now").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("rest of Shop by night")
        follow(page, page.get_by_role("paragraph").filter(has_text=re.compile("^Succeeded:")))
        pictures(seen, "4-succeeded")
        assert {one.version(PACKAGE) for one in hosts} == {"ii 2.0"}
        wait_until(lambda: "report of rest of Shop by night" in json.dumps(got), PATIENCE_S, what="the report arrives")
        one = hosts[0]
        one.wait_row(one.submit("reboot"))
        seen.open(f"/n/{one.node}/changes")
        reboot = page.get_by_role("region", name="Reboots").get_by_role("listitem")
        expect(reboot).to_contain_text(re.compile(r"Came back.*eeded: .*Up again after .* · kernel .* · boot [0-9a-f]{8} → [0-9a-f]{8}"))
        pictures(seen, "5-reboots")
        page.get_by_role("link", name="Updates").first.click()
        page.get_by_role("tab", name="Patch status").click()
        expect(page.get_by_role("link", name="Save as CSV")).to_be_visible()
        pictures(seen, "6-status")
        with page.expect_download() as saved:
            page.get_by_role("link", name="Save as CSV").click()
        text = Path(saved.value.path()).read_text()
        assert all(f"lab {one.host.name}" in text for one in hosts), text
