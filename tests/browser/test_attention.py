"""The list of what needs attention: the hub's order, with cause and time."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import choose_password
from tests.support.page.gate import HUB_AWAY, gate
from tests.support.page.phone import inside, not_wider
from tests.support.page.rules import quick_rules
from tests.support.page.waits import until
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.mark.timeout(300)  # one journey through three pages, by two users
def test_issues_are_counted_by_kind_and_each_kind_is_a_filter(browser: Browser, hub: HubProcess) -> None:
    quick_rules(hub)
    with Stage(hub, only=("web-01", "web-03", "mail-01")) as stage, gate(browser, hub) as seen:
        page = seen.page
        stage.hold_cpu("web-03", 99)
        seen.walks = True
        seen.sign_in(at="/")
        strip = page.get_by_role("region", name="Needs attention")
        rows = page.get_by_role("table", name="Nodes").locator("[data-node]")
        names = rows.get_by_role("rowheader").locator("b")
        for part in ("2 need attention", "1 CPU", "1 memory", "1 failed unit", "1 reboot"):
            expect(strip).to_contain_text(part)
        expect(names).to_have_text(["web-03", "mail-01", "web-01"])  # the worst first
        mail = rows.filter(has_text="mail-01")
        expect(mail).to_contain_text(re.compile(r"Service failed \(certbot\.service\), \d+\s(s|min)"))
        expect(rows.filter(has_text="web-03").locator(".figure.crit [aria-label=Critical]")).to_be_visible()  # the value that it is about
        for mark in ("failed unit", "reboot"):
            expect(mail.get_by_role("img", name=mark)).to_be_visible()
        assert seen.axe() == []

        strip.get_by_role("link", name="1 reboot").click()
        expect(names).to_have_text(["mail-01"])
        expect(page.get_by_label("Filter nodes")).to_have_value("finding:reboot_due")
        seen.open("/?q=health:critical")
        expect(names).to_have_text(["web-03"])

        seen.open(f"/n/{stage.ids['mail-01']}")
        reboot = page.get_by_role("status").filter(has_text="Reboot is due")
        expect(reboot).to_contain_text(re.compile(r"since \d\d:\d\d"))
        failed = page.get_by_role("status").filter(has_text="Service failed (certbot.service)")
        expect(failed.get_by_role("link", name="Services")).to_have_attribute("href", f"/n/{stage.ids['mail-01']}/services")
        failed.get_by_role("button", name="Restart…").click()
        expect(page.get_by_role("dialog", name="Restart certbot.service").get_by_role("button", name="Restart")).to_be_enabled()
        page.keyboard.press("Escape")
        failed.get_by_role("button", name="Last 200 lines").click()
        journal = page.get_by_role("dialog", name="Last lines of certbot.service")
        expect(journal.get_by_role("log")).to_contain_text("Challenge failed for domain www.example.org")
        assert seen.axe() == []
        page.set_viewport_size({"width": 390, "height": 844})
        not_wider(page)
        journal.get_by_role("button", name="Close").last.click()
        for name in ("Restart…", "Last 200 lines", "Alert"):
            inside(page, failed.get_by_role("button", name=name).or_(failed.get_by_role("link", name=name)))
        expect(page.get_by_role("tab", name="Services")).to_contain_text("1")
        reboot.get_by_role("button", name="Reboot…").click()
        expect(page.get_by_role("dialog")).to_contain_text("The server reboots now.")
        page.keyboard.press("Escape")
        reboot.get_by_role("link", name="Alert").click()
        page.wait_for_url(re.compile(r"/alerts/\w+"))
        alert = page.get_by_role("row", name="Reboot is due")
        alert.get_by_role("button", name="Reboot…").click()
        expect(page.get_by_role("dialog", name="Reboot: mail-01")).to_contain_text("The server reboots now.")
        page.keyboard.press("Escape")
        seen.open("/alerts")
        alert = page.get_by_role("row", name="Service failed: certbot.service")
        expect(alert.get_by_role("link", name="Services")).to_have_attribute("href", f"/n/{stage.ids['mail-01']}/services")
        not_wider(page)
        seen.open(f"/n/{stage.ids['mail-01']}")

        page.get_by_role("tab", name="Services").click()
        expect(page.get_by_role("region", name="Units, table")).to_be_visible()
        not_wider(page)
        page.set_viewport_size({"width": 1440, "height": 900})
        container = page.get_by_role("region", name="Containers, table").get_by_role("row").nth(1)
        for part in ("metrics", "running", "docker", "prom/prometheus:v3"):
            expect(container).to_contain_text(part)
        container.get_by_role("button", name="Restart…").click()
        expect(page.get_by_role("dialog", name="Restart metrics")).to_contain_text("metrics is stopped and started again on mail-01")
        page.keyboard.press("Escape")
        units = page.get_by_role("region", name="Units, table").get_by_role("row")
        expect(units.nth(1)).to_contain_text("certbot.service")
        expect(units.nth(1)).to_contain_text("exit-code")
        expect(page.get_by_role("button", name="Actions for ssh.service")).to_be_visible()  # its journal may be read
        page.get_by_role("button", name="Actions for certbot.service").click()
        expect(page.get_by_role("menuitem")).to_have_text(["Start", "Restart…", "Last 200 lines"])
        page.get_by_role("menuitem", name="Restart…").click()
        dialog = page.get_by_role("dialog", name="Restart certbot.service")
        expect(dialog).to_contain_text("Connections to it may end")
        dialog.get_by_role("button", name="Restart").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Restart unit, mail-01")
        page.get_by_role("button", name="Run again…").click()
        expect(page.get_by_role("dialog", name="Restart certbot.service")).to_contain_text("Connections to it may end")
        page.keyboard.press("Escape")
        left = page.get_by_role("region", name="Report").get_by_role("listitem")
        left.filter(has_text="exim4.service").get_by_role("button", name="Why not?").click()
        policy = page.get_by_role("dialog", name="Restart exim4.service")
        expect(policy).to_contain_text("units = certbot.service, nginx.service, postgresql.service, exim4.service")
        expect(policy.get_by_role("button", name="Restart")).to_have_count(0)
        assert seen.axe() == []
        page.keyboard.press("Escape")
        left.filter(has_text="still running the old version").get_by_role("button", name="Restart…").click()
        some = page.get_by_role("dialog", name="Restart nginx.service")
        expect(some).to_contain_text("does not allow this for ssh.service")
        some.get_by_role("button", name="Restart").click()
        expect(page.get_by_text("nginx.service · by")).to_be_visible()

        made = hub.local("POST", "/api/v1/users", {"username": "grace", "role": "viewer"}).json
        with gate(browser, hub) as other:
            choose_password(other.page, hub, "grace", made["password"])
            expect(other.page.get_by_role("table", name="Nodes")).to_be_visible()
            other.open(f"/n/{stage.ids['mail-01']}/services")
            expect(other.page.get_by_role("region", name="Units, table")).to_contain_text("certbot.service")
            expect(other.page.get_by_role("status").filter(has_text="Service failed")).to_be_visible()
            for withheld in (re.compile("Restart…"), re.compile("Last 200 lines"), re.compile("Actions for")):
                expect(other.page.get_by_role("button", name=withheld)).to_have_count(0)


def test_findings_of_the_hub_stay_while_nothing_is_measured(browser: Browser, hub: HubProcess) -> None:
    quick_rules(hub, "memory.available")
    with Stage(hub, only=("web-01", "web-03")) as stage, gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        rows = page.get_by_role("table", name="Nodes").locator("[data-node]")
        expect(rows.first).to_contain_text("web-03")
        for name in stage.ids:
            stage.hush(name)
        expect(rows.filter(has_text="web-01")).to_contain_text(re.compile(r"\d+\ss old"))
        expect(rows.filter(has_text="web-03")).to_have_class(re.compile("dimmed"))
        expect(rows.filter(has_text="web-03").get_by_role("img", name="Warning").first).to_be_visible()
        page.reload()
        expect(rows.first).to_contain_text("web-03")
        stage.leave("web-01")
        expect(rows.first).to_contain_text(re.compile("web-01.*offline", re.DOTALL), timeout=60_000)
        assert hub.local("DELETE", f"/api/v1/nodes/{stage.ids['web-01']}?force=true").status < 300
        expect(rows).to_have_count(1)


@pytest.mark.slow
def test_the_fleet_shows_seventeen_rows_of_a_small_screen_while_something_is_wrong(browser: Browser, hub: HubProcess) -> None:
    hub.enrol(*(f"node-{number:02}" for number in range(30)), simulated=True)
    quick_rules(hub)
    with Stage(hub, only=("web-03", "mail-01", "backup-hel")), gate(browser, hub) as seen:
        page = seen.page
        page.set_viewport_size({"width": 1280, "height": 800})
        seen.sign_in()
        rows = page.get_by_role("table", name="Nodes").locator("[data-node]")
        expect(rows.filter(has_text="backup-hel")).to_contain_text("stopped or shut down")
        expect(rows.filter(has_text="mail-01")).to_contain_text("Service failed")
        expect(page.get_by_text("nobody is notified")).to_be_visible(timeout=90_000)
        assert (
            page.evaluate(
                "() => [...document.querySelectorAll('.fleet [data-node]')].filter((row) => row.getBoundingClientRect().bottom <= 800).length"
            )
            >= 17
        )
        for name in ("web-03", "mail-01", "backup-hel"):
            assert page.locator("#main").get_by_text(name).count() == 1, f"{name} stands in its row alone"


def test_a_lost_server_shows_its_cause_once_known(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        with Stage(hub, only=("db-01",)):
            seen.sign_in()
            expect(page.get_by_text("1of 1 online")).to_be_visible()
        lost = page.get_by_role("table", name="Nodes").locator("[data-node]").filter(has_text="db-01")
        expect(lost).to_contain_text("offline", timeout=60_000)
        expect(lost).to_contain_text("stopped or shut down")
        assert page.get_by_text("db-01").count() == 1, "one row, and nowhere else"
        held: list[Route] = []
        page.route("**/a/issues-*.js", lambda route: held.append(route), times=1)  # noqa: PLW0108  # the driver wants a function of Python
        page.reload()
        expect(lost).to_contain_text("offline")
        until(page, lambda: held)
        before = lost.bounding_box()
        held[0].continue_()
        expect(lost).to_contain_text("stopped or shut down")
        assert lost.bounding_box() == before


@pytest.mark.slow
def test_a_server_that_did_not_come_back_to_a_hub_that_was_restarted_says_so(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub, expected=HUB_AWAY) as seen:
        page = seen.page
        with Stage(hub, only=("db-01", "web-01")) as stage:
            seen.sign_in()
            stage.leave("web-01")
            silent = page.get_by_role("table", name="Nodes").locator("[data-node]").filter(has_text="web-01")
            expect(silent).to_contain_text("stopped or shut down", timeout=60_000)
            away = stage.ids["db-01"]
            hub.end()
        hub.launch()
        seen.open(f"/n/{away}")
        expect(page.get_by_role("status").filter(has_text="db-01 is reconnecting.")).to_contain_text("The hub was started a moment ago.")
        hub.end()
        with HubProcess(hub.folder, port=hub.port, faults=("reconnect=1",)):
            seen.open("/")
            lost = page.get_by_role("table", name="Nodes").locator("[data-node]").filter(has_text="db-01")
            expect(lost).to_contain_text("not back since Ground Control restarted")
            expect(silent).to_contain_text("stopped or shut down")  # it had left before
            seen.open(f"/n/{away}")
            banner = page.get_by_role("status").filter(has_text="db-01 is offline.")
            expect(banner).to_contain_text(re.compile(r"Ground Control was restarted at \d\d:\d\d, and the node has not come back since\."))


def test_the_page_of_a_node_says_what_is_set_known_and_allowed_there(browser: Browser, hub: HubProcess) -> None:
    override = {"select": {"tags": ["web"]}, "warn": {"trigger": 70, "clear": 65}}
    reply = hub.local("PATCH", "/api/v1/rules/cpu.iowait", {"version": 0, "overrides": [override]})
    assert reply.status == 200, reply.body
    [never] = hub.enrol("lab-07")
    with (
        Stage(hub, only=("web-01", "edge-hel", "build-02"), quiet_s=400) as stage,
        gate(browser, hub) as seen,
    ):  # longer than a live chart shows
        page = seen.page
        seen.sign_in(at=f"/n/{stage.ids['web-01']}/settings")
        note = page.get_by_role("region", name="Note")
        note.get_by_role("textbox").fill("Marie's: no reboot before 18:00\nask first")
        note.get_by_role("button", name="Set note").click()
        expect(page.locator(".note")).to_have_text("Marie's: no reboot before 18:00\nask first")
        page.get_by_role("tab", name="Overview").click()
        expect(page.locator(".note")).to_be_visible()

        # the rules that watch it, with the override that holds
        seen.turn_to(f"/n/{stage.ids['web-01']}/rules")
        row = page.get_by_role("row").filter(has_text="CPU waits for disks")
        expect(row).to_contain_text("above 70%")
        expect(row).to_contain_text("override for tag web")
        assert seen.axe() == []

        # a container that the policy lets nobody restart
        seen.turn_to(f"/n/{stage.ids['edge-hel']}/services")
        container = page.get_by_role("region", name="Containers, table").get_by_role("row").nth(1)
        expect(container.get_by_role("button")).to_have_text(["Why not?"])
        container.get_by_role("button").click()
        policy = page.get_by_role("dialog", name="Restart metrics")
        expect(policy).to_contain_text("mode = managed")
        expect(policy).not_to_contain_text("nothing else")  # a mode allows more than this restart
        expect(policy.get_by_role("button", name="Restart")).to_have_count(0)
        assert seen.axe() == []
        page.keyboard.press("Escape")

        # one that has measured before, and does so no more: its charts do not wait for first samples
        seen.turn_to(f"/n/{stage.ids['build-02']}")
        expect(page.get_by_role("status").filter(has_text="No samples for")).to_be_visible()
        expect(page.get_by_role("figure", name="CPU")).to_contain_text("No data in this time")
        expect(page.get_by_text("Waiting for the first samples")).to_have_count(0)

        # one that never connected is not shown as live
        seen.turn_to(f"/n/{never.node_id}")
        expect(page.get_by_role("status").filter(has_text="Waiting for the first contact.")).to_contain_text("both are in its settings")
        expect(page.get_by_role("radio", name="Live").locator(".glyph [stroke-dasharray]")).to_have_count(1)
        page.get_by_role("tab", name="Settings").click()
        for act in ("Deploy again…", "Remove node…"):
            expect(page.get_by_role("button", name=act)).to_be_enabled()
