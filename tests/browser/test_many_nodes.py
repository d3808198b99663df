"""One order for many nodes, from the selection to the end of every job; force, logs and the retention of samples."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import settings, sign_in
from tests.support.page.answers import Kept
from tests.support.page.fleets import NAMES, Fleet, choose
from tests.support.page.hubs import hub_of_the_file
from tests.support.page.waits import until

PLANNED = re.compile(r"on \d nodes?$")
"""The button that starts what the plans say."""
BATCH = "**/api/v1/batches/*"
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


hub = hub_of_the_file()


@pytest.fixture(scope="module")
def played(hub: HubProcess) -> Iterator[Fleet]:
    with Fleet(hub, hub.enrol(*NAMES)) as nodes:
        yield nodes


@pytest.fixture
def nodes(played: Fleet) -> Fleet:
    """Without the orders of earlier tests."""
    played.orders.clear()
    return played


def all_online(page: Page) -> None:
    """Every node is connected and has said what its policy is."""
    expect(page.get_by_text("4of 4 online")).to_be_visible()


@pytest.mark.holds("J-10")
def test_a_bulk_order_for_all_shown_nodes_ends_and_lists_refusals(page: Page, hub: HubProcess, nodes: Fleet) -> None:
    sign_in(page, hub)
    all_online(page)
    rows = page.get_by_role("table", name="Nodes").get_by_role("row")
    rows.nth(1).focus()
    page.keyboard.press("x")
    bar = page.get_by_role("region", name="Selection")
    expect(bar).to_contain_text("1 node selected")
    page.keyboard.press("End")
    page.keyboard.press("Shift+X")
    expect(bar).to_contain_text("4 nodes selected")
    bar.get_by_role("button", name="Clear").click()
    expect(bar).to_have_count(0)
    page.get_by_role("checkbox", name="Select all shown").check()
    expect(bar).to_contain_text("4 nodes selected")
    page.get_by_label("Filter").first.fill("web-1")
    expect(bar).to_contain_text("4 nodes selected, 3 hidden by the filter")
    page.keyboard.press("Escape")
    expect(bar.get_by_role("status")).to_have_text("4 nodes selected")
    page.get_by_role("heading", level=1).focus()
    page.keyboard.press("u")

    dialog = page.get_by_role("dialog", name="Upgrade packages on 3 of 4 nodes")
    expect(dialog.get_by_label("What to do")).to_have_count(0)
    expect(dialog.get_by_text("1 node cannot do this:")).to_be_visible()
    dialog.get_by_role("button", name="Preview", exact=True).click()
    expect(dialog.get_by_text("1 of the 4 chosen without a plan: watched")).to_be_visible()
    expect(dialog.get_by_role("table", name="Plans").get_by_role("row").filter(has_text="watched")).to_contain_text("Left out. ")
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    dialog.get_by_role("button", name="Start upgrade on 3 without a preview").click()
    page.wait_for_url(re.compile(r"/batches/"))
    expect(page.get_by_role("heading", level=1, name="Upgrade packages on 3 of 4 nodes")).to_be_visible()
    expect(page.get_by_text("3 of 3 ended")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="2 of 3 succeeded, 1 with problems, 1 left out, 1 needs a reboot")).to_be_visible()
    side = page.get_by_role("complementary", name=re.compile("^Job on web-"))
    expect(side).to_contain_text("the mirror is away")  # the output of what went wrong is at the side
    expect(page.get_by_role("region", name="Left out")).to_contain_text("watched")
    jobs = page.get_by_role("table", name="Jobs in this bulk job").get_by_role("row")
    expect(jobs).to_have_count(4)
    expect(jobs.nth(1)).to_contain_text("the mirror is away")  # what went wrong comes first, once all have ended
    expect(page.get_by_text("1 server needs a reboot.")).to_be_visible()
    expect(jobs.filter(has_text="web-1")).to_contain_text("Succeeded, reboot needed")
    expect(jobs.filter(has_text="web-3")).not_to_contain_text("reboot needed")
    page.get_by_role("button", name="Run again on 1…").click()
    expect(page.get_by_role("dialog", name=re.compile("Upgrade packages: web-"))).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="1 with problems").click()
    expect(jobs).to_have_count(2)
    jobs.nth(1).get_by_role("link").click()
    page.wait_for_url(re.compile(r"/jobs/"))
    page.get_by_role("button", name="Run again…").click()
    expect(page.get_by_role("dialog", name=re.compile("Upgrade packages: web-"))).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="part of a bulk job").click()
    page.wait_for_url(re.compile(r"/batches/"))
    page.reload()
    expect(jobs.nth(2)).to_contain_text("web-1")  # by its name, though the fleet comes later than the order
    done = sorted(
        (name, order.verb) for name, order in nodes.orders if order.verb != "plan"
    )  # to run it again is asked for with a plan, and was not done
    assert done == [("web-1", "upgrade"), ("web-2", "upgrade"), ("web-3", "upgrade")]
    page.goto(f"{hub.url}/events")
    folded = (
        page.get_by_role("table", name="Events")
        .get_by_role("row")
        .filter(has_text=re.compile(r"(?<!Plan: )Upgrade\spackages\son\s3\snodes:.*2\ssucceeded"))
    )
    expect(folded).to_contain_text("1 failed")  # one row for the order, with the worst of its ends
    expect(folded.get_by_role("img", name="error")).to_be_visible()
    folded.get_by_role("link", name="Open").click()
    page.wait_for_url(re.compile(r"/batches/"))


def all_ended(route: Route) -> None:
    """Answer that each job of the batch has ended, and that the page should ask again."""
    batch = route.fetch().json()
    route.fulfill(json={**batch, "jobs": [{**job, "state": "succeeded"} for job in batch["jobs"]]})


@pytest.mark.holds("J-10")
@pytest.mark.refusals("409 (Conflict)")
def test_a_bulk_reboot_needs_the_number_of_nodes_and_a_late_stop_needs_force(page: Page, hub: HubProcess, nodes: Fleet) -> None:
    sign_in(page, hub)
    all_online(page)
    choose(page, "web-1", "web-3")
    dialog = page.get_by_role("dialog", name="Run on 2 nodes")
    dialog.get_by_label("What to do").select_option("reboot")
    expect(dialog.get_by_text("2 servers reboot")).to_be_visible()
    start = dialog.get_by_role("button", name="Reboot 2 servers")
    expect(start).to_be_disabled()
    dialog.get_by_label("Type 2 to confirm").fill("2")
    start.click()
    page.wait_for_url(re.compile(r"/batches/"))
    expect(page.get_by_text("1 of 2 ended")).to_be_visible()

    page.get_by_role("button", name="Stop all…").click()
    asked = page.get_by_role("dialog", name="Stop all jobs")
    expect(asked).to_contain_text("1 job running")
    page.route(BATCH, all_ended)
    expect(asked).to_have_count(0)
    page.unroute(BATCH)
    asked.get_by_label("Type 1 to confirm").fill("1")
    asked.get_by_role("button", name="Stop 1 job").click()
    row = page.get_by_role("table", name="Jobs in this bulk job").get_by_role("row").filter(has_text="web-3")
    expect(row).to_contain_text("The job can no longer be stopped")
    row.click()
    side = page.get_by_role("complementary", name="Job on web-3")
    expect(side.get_by_role("region", name="Output")).to_be_visible()
    side.get_by_role("link", name="Open the job").click()
    expect(page.get_by_text("last output")).to_be_visible()

    page.get_by_role("button", name="Force stop…").click()
    asked = page.get_by_role("dialog", name="Force stop")
    expect(asked.get_by_text("may stay half configured")).to_be_visible()
    act = asked.get_by_role("button", name="Force stop")
    expect(act).to_be_disabled()
    asked.get_by_label("Type web-3 to confirm").fill("web-3")
    kept = Kept(page, "POST", "**/cancel")
    act.click()
    [sent] = kept.wait()
    page.keyboard.press("Escape")
    expect(asked).to_have_count(0)
    sent.fulfill(status=409, json={"code": "conflict", "detail": "It is at its last step."})
    expect(page.get_by_role("alert").filter(has_text="The job was not stopped")).to_contain_text("It is at its last step.")
    page.unroute_all()
    page.get_by_role("button", name="Force stop…").click()
    asked.get_by_label("Type web-3 to confirm").fill("web-3")
    act.click()
    expect(page.get_by_role("status").get_by_text("Failed")).to_be_visible()
    assert [order.args for name, order in nodes.orders if name == "web-3" and order.verb == "stop"] == [{}, {"force": True}]


@pytest.mark.refusals("404 (Not Found)", "409 (Conflict)")  # these nodes end their plans without one
def test_a_plan_is_used_only_for_its_order_and_escape_does_not_close_a_running_removal(page: Page, hub: HubProcess, nodes: Fleet) -> None:
    sign_in(page, hub)
    all_online(page)
    choose(page, "web-1", "web-3")
    dialog = page.get_by_role("dialog", name="Run on 2 nodes")
    what = dialog.get_by_label("What to do")
    what.select_option(label="Install packages")
    dialog.get_by_label("Packages").fill("vim")
    dialog.get_by_role("button", name="Preview", exact=True).click()
    expect(dialog.get_by_role("button", name=PLANNED)).to_be_visible()
    dialog.get_by_label("Packages").fill("nginx")
    expect(dialog.get_by_role("button", name=PLANNED)).to_have_count(0)
    expect(dialog.get_by_role("button", name="Preview", exact=True)).to_be_enabled()

    held: list[Route] = []
    page.route("**/api/v1/jobs", lambda route: route.fallback() if held else held.append(route))
    dialog.get_by_role("button", name="Preview", exact=True).click()
    until(page, lambda: held)
    what.select_option("upgrade")
    with page.expect_response("**/api/v1/jobs"):
        held[0].continue_()
    expect(dialog.get_by_role("button", name="Preview", exact=True)).to_be_enabled()
    expect(dialog.get_by_role("button", name=PLANNED)).to_have_count(0)

    # a removal that runs stays open, however often Escape is pressed
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.unroute_all()
    page.get_by_role("checkbox", name="Select web-2", exact=True).check()
    held.clear()
    page.route("**/api/v1/nodes/*", lambda route: held.append(route) if route.request.method == "DELETE" else route.fallback())
    remove = page.get_by_role("region", name="Selection").get_by_role("button", name="Remove…")
    remove.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("3")
    dialog.get_by_role("button", name="Remove").last.click()
    until(page, lambda: held)
    for _ in range(4):
        page.keyboard.press("Escape")
        page.wait_for_timeout(100)
    expect(dialog).to_be_visible()
    held[0].fulfill(
        status=409,
        content_type="application/problem+json",
        body='{"code":"conflict","title":"Conflict","status":409,"detail":"busy with a job","instance":"r1"}',
    )
    expect(dialog.get_by_text("1 node not removed")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    remove.click()
    expect(dialog).to_be_visible()


def test_log_lines_are_shown_and_retention_is_changed(page: Page, hub: HubProcess, nodes: Fleet) -> None:
    sign_in(page, hub)
    all_online(page)
    page.get_by_role("row").get_by_text("web-1").first.click()
    page.get_by_role("tab", name="Logs & events").click()
    page.get_by_role("radio", name="Logs").click()
    log = page.get_by_role("table", name="Log").get_by_role("row")
    expect(log).to_have_count(3)
    expect(log.nth(1)).to_contain_text(r"I/O error⏎⇥on \x1b[31msda\u202e (3 lines before this one dropped")
    expect(log.nth(2)).to_contain_text("Failed <b>password</b>")
    page.get_by_role("link", name="Fleet", exact=True).first.click()
    page.get_by_role("row").get_by_text("web-2").first.click()
    page.get_by_role("tab", name="Logs & events").click()
    page.get_by_role("radio", name="Logs").click()
    expect(page.get_by_text("journal = warning")).to_be_visible()

    settings(page, "Retention")
    form = page.get_by_role("region", name="Retention")
    expect(form.get_by_label("Per second")).to_have_value("24 h")
    form.get_by_label("Per second").fill("40 d")
    expect(form.get_by_text("At least as long as for the finer samples above.")).to_be_visible()
    expect(form.get_by_role("button", name="Save")).to_be_disabled()
    form.get_by_label("Per second").fill("12 h")
    expect(form.get_by_text("Older samples are deleted.")).to_be_visible()
    form.get_by_label("Per second").press("Enter")
    asked = page.get_by_role("dialog", name="Delete older samples")
    expect(asked).to_contain_text("Per second: everything before ")
    expect(asked).to_contain_text("older than 12 h; until now 24 h were kept")
    expect(asked.get_by_role("button", name="Cancel")).to_be_focused()
    act = asked.get_by_role("button", name="Save and delete older samples")
    typed = asked.get_by_label("Type Per second to confirm")
    typed.press("Enter")
    expect(act).to_be_disabled()
    typed.fill("Per second")
    typed.press("Enter")
    expect(act).to_be_enabled()
    assert kept(hub) == [86_400, 30 * 86_400, 400 * 86_400], "nothing is written before the button is pressed"
    asked.get_by_role("button", name="Cancel").click()
    expect(form.get_by_label("Per second")).to_have_value("12 h")
    form.get_by_role("button", name="Save and delete older samples…").click()
    typed.fill("Per second")
    act.click()
    expect(asked).to_have_count(0)
    expect(form.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    assert kept(hub) == [12 * 3600, 30 * 86_400, 400 * 86_400]

    longer = {"retention": {"seconds_s": 7 * 86_400}}
    assert hub.local("PATCH", "/api/v1/settings", longer).status == 200  # by another user, while the form says 12 h
    form.get_by_label("Per hour").fill("500 d")
    form.get_by_label("Per hour").press("Enter")
    expect(form.get_by_label("Per second")).to_have_value("7 d")
    assert kept(hub) == [7 * 86_400, 30 * 86_400, 500 * 86_400], "what becomes longer is saved at once, and nothing else is written"


def kept(hub: HubProcess) -> list[int]:
    """How long samples are kept, the finest first."""
    return [tier["kept_s"] for tier in hub.local("GET", "/api/v1/settings").json["retention"]]


def test_a_bulk_order_covers_nodes_that_exist_when_it_is_sent(page: Page, hub: HubProcess, nodes: Fleet) -> None:
    sign_in(page, hub)
    all_online(page)
    choose(page, "web-1", "web-2", "watched")
    dialog = page.get_by_role("dialog", name="Run on 2 of 3 nodes")
    dialog.get_by_label("What to do").select_option("reboot")
    dialog.get_by_label("Type 2 to confirm").fill("2")
    expect(dialog.get_by_role("button", name="Reboot 2 servers")).to_be_enabled()
    gone = next(node for node in hub.local("GET", "/api/v1/nodes").json["nodes"] if node["name"] == "web-2")
    assert hub.local("DELETE", f"/api/v1/nodes/{gone['id']}?force=true").status < 300
    dialog = page.get_by_role("dialog", name="Run on 1 of 2 nodes")
    expect(dialog.get_by_text("1 server reboots")).to_be_visible()
    start = dialog.get_by_role("button", name="Reboot 1 server")
    expect(start).to_be_disabled()
    dialog.get_by_label("Type 1 to confirm").fill("1")
    start.click()
    page.wait_for_url(re.compile(r"/batches/"))
    expect(page.get_by_text("1 of 1 ended")).to_be_visible()
    assert [(name, order.verb) for name, order in nodes.orders] == [("web-1", "reboot")]
