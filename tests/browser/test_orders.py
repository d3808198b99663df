"""Orders on the page: plan, stop, report and repair, with a simulated node."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from spider.wire.frames import Message
from spider.wire.job_messages import JobAnswer, JobOutput, JobPlan, JobProgress, JobReport, JobStart, JobStop
from spider.wire.orders import SignedOrder
from spider.wire.sentences import sentence
from tests.support.agent import TestAgent
from tests.support.hub import Enrolled, HubProcess
from tests.support.job_messages import LINE, ended
from tests.support.page.accounts import sign_in
from tests.support.page.answers import Kept
from tests.support.page.deployments import opened
from tests.support.page.fleets import PLAN_DIGEST, plan
from tests.support.page.waits import until
from tests.support.played import PlayedNodes
from tests.support.stage import table
from tests.support.wire import open_order

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


class Planner(PlayedNodes):
    """A node that plans, holds an upgrade until it is stopped, and repairs."""

    def __init__(self, hub: HubProcess, node: Enrolled) -> None:
        super().__init__(hub, [node])
        self.id = node.node_id
        self.orders: list[SignedOrder] = []
        self.broken = False
        """Interrupted package work: plans are empty and fail until a repair."""

    async def answer(self, agent: TestAgent, node: Enrolled, told: Message | None) -> None:
        if isinstance(told, JobStop):
            stopping = JobProgress(told.job, 0, "commit", 40, "curl", "curl is being unpacked", "after_package")
            await agent.say(stopping)
            why = "curl was left half-configured"
            await agent.say(report(told.job), ended(told.job, LINE, state="failed", error_code="job.packages_broken", error_text=why))
        if not isinstance(told, JobStart):
            return
        order = open_order(node.launch_key, told.order)
        self.orders.append(order)
        await agent.say(JobAnswer(told.job, "accepted", "", 0))
        if order.verb == "plan" and self.broken:
            empty = JobPlan(told.job, 0, 1, PLAN_DIGEST, [], [], [], [], [], [], [], [], 0, 0, "no", "")
            await agent.say(empty, ended(told.job, b"", state="failed", error_code="job.packages_broken", error_text="repair it first"))
        elif order.verb == "plan":
            await agent.say(plan(told.job), ended(told.job, b"", change_packages=[], change_from=[], change_to=[]))
        elif order.verb == "upgrade":
            await agent.say(JobOutput(told.job, 0, 0, LINE), JobProgress(told.job, 0, "commit", 40, "curl", ""))
        elif order.verb == "reboot":
            lost = sentence("reboot.mounts", names="/srv/data")
            await agent.say(JobReport(told.job, "no", "", [], [], [], [], [lost]), ended(told.job, b""))
        else:
            self.broken = False
            await agent.say(ended(told.job, b""))


def report(job: str) -> JobReport:
    return JobReport(job, "yes", "a new kernel", ["nginx.service"], ["/etc/a.conf.dpkg-dist"], ["-old\n+<b>new</b>\n"], [], [])


@pytest.fixture
def node(hub: HubProcess) -> Iterator[Planner]:
    [enrolled] = hub.enrol("web-1")
    with Planner(hub, enrolled) as played:
        yield played


@pytest.mark.holds("J-10")
@pytest.mark.refusals("500 (Internal Server Error)")
def test_the_plan_that_was_seen_is_ordered_stopped_and_repaired(page: Page, hub: HubProcess, node: Planner) -> None:
    sign_in(page, hub, at=f"/n/{node.id}")
    page.get_by_role("button", name="Upgrade").click()
    dialog = page.get_by_role("dialog")
    chips = dialog.get_by_role("status").get_by_role("listitem")
    expect(chips).to_have_text(["reboot expected", "1 for security", "1 removal", "1 upgrade", "1 kept back", re.compile("to download")])
    included = dialog.get_by_role("checkbox", name="Include curl")
    included.uncheck()
    expect(dialog.get_by_role("button", name="Preview without 1 package")).to_be_disabled()  # for nothing is left to upgrade
    included.check()
    expect(dialog.get_by_role("radio", name="No", exact=True)).to_be_checked()
    dialog.get_by_role("radio", name="If needed").click()
    table = dialog.get_by_role("table", name="Planned changes")
    expect(table.get_by_role("row").nth(1)).to_contain_text("old-lib")  # removals are listed first
    expect(dialog.get_by_text("offered to only some servers so far")).to_be_visible()
    dialog.get_by_role("button", name="Start upgrade").click()
    page.wait_for_url(re.compile(r"/jobs/"))
    expect(page.get_by_text("installing curl")).to_be_visible()
    expect(page.get_by_role("region", name="Load of the server during this job")).to_be_visible()

    page.get_by_role("button", name="Stop job…").click()
    asked = page.get_by_role("dialog", name="Stop this job?")
    expect(asked).to_contain_text("a package being installed is finished first")
    expect(asked.get_by_role("button", name="Keep it running")).to_be_focused()
    page.keyboard.press("Escape")
    expect(asked).to_have_count(0)
    expect(page.get_by_text("installing curl")).to_be_visible()
    page.get_by_role("button", name="Stop job…").click()
    page.route("**/cancel", lambda route: route.fulfill(status=500, json={"code": "internal", "detail": "It is in a muddle."}), times=1)
    asked.get_by_role("button", name="Stop job").click()
    expect(asked.get_by_role("alert")).to_contain_text("It is in a muddle.")
    asked.get_by_role("button", name="Stop job").click()
    expect(asked).to_have_count(0)
    expect(page.get_by_role("status").get_by_text("Failed, reboot needed")).to_be_visible()
    after = page.get_by_role("region", name="Report")
    need = after.get_by_role("listitem").filter(has_text="Reboot needed (a new kernel)")
    need.get_by_role("button", name="Reboot…").click()
    expect(page.get_by_role("dialog", name="Reboot: web-1")).to_be_visible()
    page.keyboard.press("Escape")
    old = after.get_by_role("listitem").filter(has_text="nginx.service")
    expect(old.get_by_role("link", name="Services")).to_have_attribute("href", re.compile("/services$"))
    after.get_by_text("/etc/a.conf.dpkg-dist").click()
    expect(after.get_by_text("+<b>new</b>")).to_be_visible()

    page.get_by_role("link", name="Jobs").first.click()
    jobs = page.get_by_role("table", name="Jobs")
    page.get_by_role("button", name="Plans too").click()
    expect(jobs.get_by_role("rowheader").get_by_text("Plan: Upgrade packages")).to_be_visible()
    jobs.get_by_role("rowheader", name="Upgrade packages", exact=True).click()
    first = page.url
    kept = Kept(page, "POST", "**/api/v1/nodes/*/jobs")
    page.get_by_role("button", name="Repair packages").click()
    [sent] = kept.wait()
    dialog = opened(page)
    sent.continue_()
    note = page.get_by_role("status").filter(has_text="Repair packages: web-1")
    expect(note).to_contain_text("It was started.")
    expect(dialog).to_be_visible()
    assert page.url == first
    page.keyboard.press("Escape")
    note.get_by_role("button", name="Open").click()
    page.wait_for_url(lambda url: "/jobs/" in url and url != first)
    expect(page.locator(".page-head .meta")).to_have_text(re.compile("^by admin"))
    expect(page.get_by_role("status").get_by_text("Succeeded")).to_be_visible()
    assert [(order.verb, order.args) for order in node.orders] == [
        ("plan", {"for": "upgrade"}),
        ("upgrade", {"plan": PLAN_DIGEST}),
        ("repair", {}),
    ]


class HalfConfigured(Planner):
    """A node with a package whose script fails at each repair."""

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        await super().greet(agent, node)
        await agent.say(table("package_faults", self.now(), ("lab-app", "half-configured: its post-installation script failed")))

    async def answer(self, agent: TestAgent, node: Enrolled, told: Message | None) -> None:
        if isinstance(told, JobStart) and open_order(node.launch_key, told.order).verb == "repair":
            await agent.say(JobAnswer(told.job, "accepted", "", 0), JobOutput(told.job, 0, 0, FAILED_SCRIPT))
            await agent.say(ended(told.job, FAILED_SCRIPT, state="failed", exit_code=100))


FAILED_SCRIPT = (
    b"Setting up lab-app (2.0-1) ...\r\nlab-app: cannot migrate the database\r\ndpkg: error processing package lab-app (--configure):\r\n"
    b" installed lab-app package post-installation script subprocess returned error exit status 1\r\n"
)


def test_a_repair_that_failed_names_its_package_and_cause_and_is_not_offered_again(page: Page, hub: HubProcess) -> None:
    [node] = hub.enrol("web-1")
    with HalfConfigured(hub, node):
        sign_in(page, hub, at=f"/n/{node.node_id}")
        banner = page.locator(".banner").filter(has_text="Packages are broken")
        expect(banner).to_contain_text("lab-app: half-configured", timeout=60_000)
        address = page.url
        banner.get_by_role("button", name="Repair…").click()
        page.get_by_role("dialog").get_by_role("button", name="Repair", exact=True).click()
        page.wait_for_url(re.compile(r"/jobs/"))
        failed = page.get_by_role("region", name="Failed scripts")
        expect(failed).to_contain_text("The script of lab-app failed", timeout=60_000)
        expect(failed).to_contain_text("cannot migrate the database")
        failed.get_by_role("button", name="Remove lab-app…").click()
        expect(page.get_by_role("dialog").get_by_label("Packages")).to_have_value("lab-app")
        page.keyboard.press("Escape")
        page.goto(address)
        expect(banner.get_by_role("link", name="Why the repair failed")).to_be_visible(timeout=60_000)
        expect(banner.get_by_role("button", name="Repair…")).to_have_count(0)


@pytest.mark.refusals("ERR_FAILED")
def test_a_check_is_done_once_and_does_not_navigate_and_a_removal_needs_its_plan(page: Page, hub: HubProcess, node: Planner) -> None:
    sign_in(page, hub, at=f"/n/{node.id}")
    asked = Kept(page, "POST", "**/api/v1/nodes/*/jobs")

    def check() -> Route:
        page.get_by_role("button", name="More package actions").click()
        page.get_by_role("menuitem", name="Check now").click()
        [sent] = asked.wait()
        return sent

    lost = check()
    lost.fetch()
    lost.abort()
    told = page.get_by_role("alert").filter(has_text="Refresh package lists: web-1")
    expect(told).to_contain_text("It is not known whether it started. Trying again does not start it twice.")
    expect(told).not_to_contain_text("not started")
    told.get_by_role("button", name="Retry").click()
    [again] = asked.wait()
    assert again.request.headers["idempotency-key"] == lost.request.headers["idempotency-key"]
    again.continue_()
    page.get_by_role("status").filter(has_text="It was started.").get_by_role("button", name="Open").click()
    page.wait_for_url(re.compile(r"/jobs/"))
    assert len(hub.local("GET", "/api/v1/jobs").json["jobs"]) == 1
    page.go_back()
    late = check()
    dialog, before = opened(page), page.url
    dialog.get_by_label("Host name or IP").fill("web-8.example")
    late.continue_()
    expect(page.get_by_role("status").filter(has_text="Refresh package lists: web-1")).to_contain_text("It was started.")
    expect(dialog.get_by_label("Host name or IP")).to_have_value("web-8.example")
    assert page.url == before
    page.keyboard.press("Escape")
    page.unroute_all()

    # packages are named before anything is planned, and a removal needs its plan
    page.get_by_role("button", name="More package actions").click()
    page.get_by_role("menuitem", name="Remove…", exact=False).first.click()
    show = dialog.get_by_role("button", name="Preview", exact=True)
    expect(show).to_be_disabled()
    dialog.get_by_role("textbox", name="Packages").fill("curl,  old-lib")
    show.click()
    expect(dialog.get_by_role("table", name="Planned changes")).to_be_visible()
    dialog.get_by_role("button", name="Remove packages").click()
    page.wait_for_url(re.compile(r"/jobs/"))
    expect(page.get_by_role("status").get_by_text("Succeeded")).to_be_visible()
    assert [order.args for order in node.orders if order.verb not in {"check", "refresh"}] == [
        {"for": "remove", "packages": ["curl", "old-lib"]},
        {"packages": ["curl", "old-lib"], "plan": PLAN_DIGEST},
    ]


def test_a_verb_that_needs_a_plan_needs_it_from_an_offline_node_too(page: Page, hub: HubProcess) -> None:
    [enrolled] = hub.enrol("web-1")
    with Planner(hub, enrolled):
        sign_in(page, hub, at=f"/n/{enrolled.node_id}")
        page.get_by_role("button", name="More package actions").click()
        page.get_by_role("menuitem", name="Remove…", exact=False).first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("textbox", name="Packages").fill("curl")
        expect(dialog.get_by_text("The node is not connected")).to_have_count(0)
    expect(dialog.get_by_text("The node is not connected. A job waits a few minutes for it to come back, then expires.")).to_be_visible()
    remove = dialog.get_by_role("button", name="Remove packages")
    expect(remove).to_have_count(0)
    dialog.get_by_role("button", name="Preview", exact=True).click()
    expect(remove).to_be_disabled()
    until(page, lambda: [job["action"] for job in hub.local("GET", "/api/v1/jobs").json["jobs"]], lambda found: found == ["plan"])
    expect(remove).to_be_disabled()
    with Planner(hub, enrolled):
        expect(dialog.get_by_role("table", name="Planned changes")).to_be_visible()
        expect(remove).to_be_enabled()
        expect(dialog.get_by_text("The node is not connected")).to_have_count(0)


@pytest.mark.refusals("ERR_FAILED", "503 (Service Unavailable)")
def test_a_plan_that_cannot_be_made_ordered_read_or_started_can_be_retried(page: Page, hub: HubProcess, node: Planner) -> None:
    sign_in(page, hub, at=f"/n/{node.id}")
    dialog = page.get_by_role("dialog")
    told, again = dialog.get_by_role("alert"), dialog.get_by_role("button", name="Try again")
    node.broken = True
    page.get_by_role("button", name="Upgrade").click()
    expect(told).to_contain_text("repair it first")
    expect(again).to_be_enabled()
    expect(dialog.get_by_text("Nothing to do")).to_have_count(0)
    expect(dialog.get_by_role("button", name="Plan again")).to_have_count(0)
    dialog.get_by_role("button", name="Repair packages").click()
    page.wait_for_url(re.compile(r"/jobs/"))
    expect(page.get_by_role("status").get_by_text("Succeeded")).to_be_visible()
    page.go_back()

    sent, read = Kept(page, "POST", "**/api/v1/nodes/*/jobs"), Kept(page, "GET", "**/api/v1/jobs/*")
    page.get_by_role("button", name="Upgrade").click()
    [lost] = sent.wait()
    lost.fetch()
    lost.abort()
    expect(told).to_contain_text("Ground Control could not be reached. It is not known whether it started.")
    again.click()
    [asked] = sent.wait()
    asked.continue_()
    [unread] = read.wait()
    unread.fulfill(status=503, json={"code": "unavailable", "detail": "It is busy."})
    expect(told).to_contain_text("It is busy.")
    again.click()
    [found] = read.wait()
    found.continue_()
    expect(dialog.get_by_role("table", name="Planned changes")).to_be_visible()
    expect(told).to_have_count(0)

    start = dialog.get_by_role("button", name="Start upgrade")
    start.click()
    [refused] = sent.wait()
    refused.fulfill(status=503, json={"code": "unavailable", "detail": "It is busy still."})
    expect(told).to_contain_text("It is busy still.")
    expect(start).to_be_enabled()
    again.click()
    [taken] = sent.wait()
    taken.continue_()
    page.unroute_all()
    page.wait_for_url(re.compile(r"/jobs/"))
    expect(page.get_by_text("installing curl")).to_be_visible()
    keys = [route.request.headers["idempotency-key"] for route in (lost, asked, refused, taken)]
    assert keys[0] == keys[1] != keys[2] == keys[3]
    assert [order.verb for order in node.orders] == ["plan", "repair", "plan", "upgrade"]


def confirmed_reboot(page: Page, *wrong: str) -> Locator:
    """The dialog, ready to be sent. `wrong`: what is typed before the name, and does not confirm it."""
    page.get_by_role("button", name="Server actions").click()
    page.get_by_role("menuitem", name="Reboot…").click()
    dialog = page.get_by_role("dialog", name="Reboot: web-1")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    for typed in wrong:
        dialog.get_by_label("Type web-1 to confirm").fill(typed)
        expect(dialog.get_by_role("button", name="Reboot server")).to_be_disabled()
    dialog.get_by_label("Type web-1 to confirm").fill("web-1")
    return dialog


@pytest.mark.holds("J-10")
@pytest.mark.refusals("ERR_FAILED")
def test_a_reboot_needs_the_typed_name_and_is_reported_when_its_answer_or_its_dialog_is_lost(
    page: Page, hub: HubProcess, node: Planner
) -> None:
    sign_in(page, hub, at=f"/n/{node.id}")
    start = confirmed_reboot(page, "", "web-2").get_by_role("button", name="Reboot server")
    start.click()
    page.wait_for_url(re.compile(r"/jobs/"))
    expect(page.get_by_role("status").get_by_text("Succeeded, not everything came back")).to_be_visible()
    expect(page.get_by_role("region", name="Report")).to_contain_text("/srv/data")

    # an answer that is lost: the order is followed once its job appears
    page.go_back()
    asked = Kept(page, "POST", "**/api/v1/nodes/*/jobs")
    dialog = confirmed_reboot(page)
    start.click()
    [unheard] = asked.wait()
    unheard.abort()
    expect(dialog.get_by_role("alert")).to_contain_text("It is not known whether it started.")
    page.wait_for_timeout(1500)
    expect(start).to_be_enabled()  # because no answer about it has arrived
    start.click()
    [lost] = asked.wait()
    assert lost.fetch().status == 202
    lost.abort()
    page.wait_for_url(re.compile(r"/jobs/"))
    expect(dialog).to_have_count(0)
    # the page may know the job before the node does
    until(page, lambda: [order.verb for order in node.orders], lambda verbs: verbs == ["reboot"] * 2)

    # a dialog that is closed before the answer: a note says what became of it
    page.go_back()
    dialog = confirmed_reboot(page)
    start.click()
    [sent] = asked.wait()
    expect(dialog.get_by_text("Sent, waiting for the answer.")).to_be_visible()
    expect(dialog.get_by_role("button", name="Cancel")).to_have_count(0)
    dialog.get_by_role("button", name="Close").last.click()
    expect(dialog).to_have_count(0)
    before = page.url
    sent.continue_()
    note = page.get_by_role("status").filter(has_text="Reboot: web-1")
    expect(note).to_contain_text("It was started.")
    assert page.url == before
    note.get_by_role("button", name="Open").click()
    page.wait_for_url(re.compile(r"/jobs/"))
    expect(page.get_by_role("status").get_by_text("Succeeded")).to_be_visible()
    assert [order.verb for order in node.orders] == ["reboot"] * 3
