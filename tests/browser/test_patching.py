"""A patch policy and a roll-out, made and followed in the page."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Browser, expect

from tests.support.hub import HubProcess
from tests.support.left_rollout import OWNER, left_rollout
from tests.support.page.gate import gate, log_in
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


NODES = ("web-01", "web-02", "web-03", "db-01", "cache-01", "edge-hel")


def test_a_policy_is_made_beside_its_preview_and_its_run_is_followed_and_stopped(browser: Browser, hub: HubProcess) -> None:
    with Stage(hub, only=NODES) as stage, gate(browser, hub, expected=("409 (Conflict)",)) as seen:
        page = seen.page
        log_in(page, hub)
        seen.walks = True
        seen.open("/updates")
        page.get_by_role("tab", name="Patch policies").click()
        page.get_by_role("link", name="Add patch policy").first.click()
        page.get_by_label("Name").fill("Security by night")
        preview = page.get_by_role("complementary", name="Preview")
        expect(preview).to_contain_text("openssl")
        expect(preview).to_contain_text("does not allow upgrades")
        expect(preview.get_by_role("list").first.get_by_role("listitem")).to_have_count(5)
        page.get_by_label("Leave out packages").fill("openssl*")
        page.get_by_label("Leave out packages").press("Enter")
        expect(preview).not_to_contain_text("openssl")
        page.get_by_role("button", name="Remove tag openssl*").click()
        only = page.get_by_label("Only these packages")
        only.fill("curl;")
        only.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("curl; is not a name or pattern of packages")
        expect(page.get_by_role("button", name="Save")).to_be_disabled()
        page.get_by_role("button", name="Remove tag curl;").click()
        only.fill("openssl*")
        only.press("Enter")
        expect(preview).to_contain_text("openssl")
        page.get_by_label("Only servers that have reported an event").check()
        page.get_by_label("Event", exact=True).fill("backup_completed")
        page.get_by_label("Within the last hours").fill("12")
        page.get_by_label("Actions before each server").fill("drain")
        page.get_by_label("Actions before each server").press("Enter")
        page.get_by_label("Seconds that drain may take").fill("4000")
        expect(page.get_by_role("alert")).to_have_text("It is 1 to 3600 seconds.")
        page.get_by_label("Seconds that drain may take").fill("90")
        for at, (kind, target) in enumerate((("http", "http://example.org/"), ("tcp", "5432"), ("unit", "nginx.service")), 1):
            page.get_by_role("button", name="Add probe").click()
            page.get_by_label(f"Kind of probe {at}").select_option(kind)
            page.get_by_label(f"Target of probe {at}").fill(target)
        expect(page.get_by_role("alert")).to_contain_text("an address on the server itself")
        page.get_by_label("Target of probe 1").fill("http://localhost:8080/health")
        expect(page.get_by_role("alert")).to_have_count(0)
        page.get_by_role("button", name="Save").click()
        row = page.get_by_role("list", name="Patch policies").get_by_role("listitem").filter(has_text="Security by night")
        expect(row).to_contain_text("second Tue of each month at 02:30")
        (saved_policy,) = hub.local("GET", "/api/v1/patch-policies").json["patch_policies"]
        assert saved_policy["only"] == ["openssl*"]
        assert saved_policy["needs_event"] == {"type": "backup_completed", "within_s": 12 * 3600}
        assert saved_policy["before"] == [{"name": "drain", "timeout_s": 90, "must_succeed": True}]
        assert [(one["kind"], one["target"]) for one in saved_policy["probes"]] == [
            ("http", "http://localhost:8080/health"), ("tcp", "5432"), ("unit", "nginx.service"),
        ]  # fmt: skip

        seen.open(f"/patch-policies/{saved_policy['id']}")
        page.get_by_role("textbox", name="Time zone").fill("Europe/Budapst")
        expect(page.get_by_role("button", name="Save")).to_be_disabled()
        expect(page.get_by_role("alert"), "what is half typed is not wrong yet").to_have_count(0)
        page.get_by_label("Start").fill("03:30")
        expect(page.get_by_role("alert")).to_have_text("There is no such time zone: it is a name such as Europe/Budapest.")
        page.get_by_role("textbox", name="Time zone").fill(saved_policy["zone"])
        theirs = {"version": saved_policy["version"], "start": "04:00", "max_failed": 2}
        assert hub.local("PATCH", f"/api/v1/patch-policies/{saved_policy['id']}", theirs).status == 200
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert")).to_contain_text("Accepted failures: 0 → 2")
        expect(page.get_by_role("alert")).to_contain_text("Start: 04:00 → 03:30")
        page.get_by_role("button", name="Save over it").click()
        expect(row).to_contain_text("at 03:30")
        (stored,) = hub.local("GET", "/api/v1/patch-policies").json["patch_policies"]
        assert (stored["start"], stored["max_failed"]) == ("03:30", 2)

        seen.open("/?q=-patch%3Anone")
        expect(page.locator(".fleet [role=row]:not(.head)").first).to_be_visible()
        seen.open("/?q=patch%3Anone")
        expect(page.get_by_text("No node matches")).to_be_visible()

        seen.open("/")
        page.get_by_role("link", name="web-02").first.click()
        page.get_by_role("tab", name="Settings").click()
        page.get_by_label("Why no patch policy may touch it").fill("the boss's machine")
        page.get_by_role("button", name="Set the mark").click()
        expect(page.get_by_text("No patch policy touches it, says admin.")).to_be_visible()
        page.get_by_label("Why no patch policy may touch it").fill("")
        page.get_by_role("button", name="Take the mark away").click()
        expect(page.get_by_text("With a reason here, no patch policy touches it.")).to_be_visible()

        seen.open("/rollouts/calendar")
        dates = page.get_by_role("list", name="Dates of patch policies").get_by_role("listitem")
        expect(dates).to_have_count(5)
        dates.first.get_by_role("button", name="Skip").click()
        expect(dates.filter(has_text="skipped")).to_have_count(1)
        page.get_by_role("button", name="Freeze all now…").click()
        page.get_by_label("Why").fill("the shop burns")
        page.get_by_role("button", name="Freeze now").click()
        freeze = page.get_by_role("list", name="Windows and freezes").get_by_role("listitem").filter(has_text="the shop burns")
        expect(freeze).to_contain_text("freeze, in force now")
        banner = page.get_by_role("status").filter(has_text="Every server is frozen.")
        expect(banner).to_contain_text("By admin, since")
        page.get_by_role("tab", name="Patch status").click()
        expect(banner).to_contain_text("the shop burns")
        page.get_by_role("link", name="Fleet").first.click()
        expect(page.get_by_role("region", name="Needs attention").get_by_text("the shop burns")).to_be_visible()
        seen.open("/rollouts/calendar")
        banner.get_by_role("button", name="End it").click()
        expect(freeze).to_have_count(0)
        expect(banner).to_have_count(0)

        page.get_by_role("tab", name="Patch policies").click()
        with page.expect_download() as saved:
            page.get_by_role("button", name="Export").click()
        page.get_by_role("button", name="Import…").click()
        imports = page.get_by_role("dialog", name="Import patch policies")
        imports.get_by_label("Import from a file").set_input_files(saved.value.path())
        expect(imports.get_by_text("0 would be added, 0 changed, 1 are the same.")).to_be_visible()
        expect(imports.get_by_role("button", name="Apply")).to_be_disabled()
        page.keyboard.press("Escape")
        row.get_by_role("button", name="Actions for Security by night").click()
        page.get_by_role("menuitem", name="Run now").click()
        page.get_by_role("button", name="Run now").click()
        expect(page).to_have_url(re.compile("/rollout/"))
        expect(page.get_by_role("list", name="Waves").get_by_role("heading", name="Canaries")).to_be_visible()
        expect(page.get_by_role("table", name="Servers of the roll-out").get_by_role("row").filter(has_text="web-01")).to_be_visible()
        page.get_by_role("button", name="Stop…").click()
        page.get_by_role("button", name="Stop the roll-out").click()
        expect(page.get_by_role("button", name="Stop…")).to_have_count(0)
        seen.open("/rollouts/calendar")
        expect(dates.filter(has_text=re.compile("Cancelled|Stopping|Stopped"))).to_have_count(1)

        left = left_rollout(hub)
        seen.open(f"/rollout/{left}")
        page.get_by_role("button", name=f"Take over from {OWNER}").click()
        expect(page.get_by_text("taken over by admin: resume it")).to_be_visible()
        expect(page.get_by_role("button", name="Take over")).to_have_count(0)
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        page.get_by_role("button", name="Stop…").click()
        page.get_by_role("button", name="Stop the roll-out").click()
        expect(page.get_by_role("button", name="Stop…")).to_have_count(0)

        page.get_by_role("link", name="Updates").first.click()
        page.get_by_role("button", name="Roll out in waves…").click()
        page.get_by_role("button", name="Plan").click()
        expect(page).to_have_url(re.compile("/rollout/"))
        expect(page.get_by_role("paragraph").filter(has_text="Planning:")).to_be_visible()

        page.get_by_role("link", name="Updates").first.click()
        page.get_by_role("tab", name="Patch status").click()
        expect(page.get_by_text(re.compile(r"\d+ of \d+ in time"))).to_be_visible()
        cell = page.get_by_role("table", name="Patch status").get_by_role("row").nth(1).get_by_role("cell").nth(1)
        label = "cell => getComputedStyle(cell, '::before').content"
        assert "Security updates" not in cell.evaluate(label)
        page.set_viewport_size({"width": 390, "height": 844})
        assert "Security updates" in cell.evaluate(label), "numbers have labels where the table has no header"
        page.set_viewport_size({"width": 1440, "height": 900})

        node = stage.ids["web-01"]
        seen.open(f"/n/{node}/events")
        page.get_by_role("radio", name="Changes").click()
        changes = page.get_by_role("region", name="Changes")
        expect(changes.get_by_role("table", name="Changes").or_(changes.get_by_text("No changes in the last day"))).to_be_visible()
        expect(changes.get_by_role("region", name="Reboots")).to_contain_text("No reboot was ordered here")
        hub.local("POST", f"/api/v1/nodes/{node}/jobs", {"action": "reboot"})
        page.get_by_role("button", name="Read again").click()
        expect(changes.get_by_role("region", name="Reboots").get_by_role("listitem")).to_contain_text("ordered by")
        seen.open(f"/n/{node}/changes?at={int(time.time())}&metric=cpu.total")
        expect(changes).to_contain_text("does not mean that it was the cause")
        expect(changes.get_by_label("What rose")).to_have_value("cpu.total")
        page.get_by_role("button", name="Back to the last day").click()
        expect(changes.get_by_label("What rose")).to_have_count(0)
