"""REST responses that arrive after newer live data do not overwrite it."""

from __future__ import annotations

import pytest
from playwright.sync_api import APIResponse, Browser, Locator, Page, Route, expect

from tests.support.hub import HubProcess
from tests.support.page.answers import Held
from tests.support.page.deployments import asked_for_its_key, held_back, trusted
from tests.support.page.gate import LOOKS, gate, log_in
from tests.support.page.hubs import hub_of_the_file
from tests.support.page.waits import settle, until
from tests.support.ports import free_port
from tests.support.ssh_server import SshServerThread

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

hub = hub_of_the_file()


def nobody_answers(page: Page, told: Locator) -> None:
    """Retry before the loss of the connection is noticed: the page stays, instead of the browser's error page."""
    page.route("**/*", lambda route: route.abort())
    with page.expect_event("requestfailed"):
        told.get_by_role("button", name="Try again").click()
    settle(page)
    expect(page.get_by_role("link", name="Fleet").locator("visible=true").first).to_be_visible()
    expect(told).to_be_in_viewport()
    page.unroute("**/*")


@pytest.mark.holds("J-4")
def test_a_part_of_the_page_that_fails_to_load_is_reported_and_loaded_by_a_reload(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub, expected=("ERR_FAILED",)) as seen:
        page = seen.page
        hub.enrol("moon")
        seen.sign_in()
        expect(page.locator("[data-node]").first).to_be_visible()
        page.route("**/a/*.js", lambda route: route.abort())
        page.keyboard.press("n")
        told = page.get_by_role("alert").filter(has_text="This part of the page could not be loaded")
        expect(told).to_be_in_viewport()
        nobody_answers(page, told)
        page.unroute("**/a/*.js")
        told.get_by_role("button", name="Try again").click()
        page.wait_for_function("() => performance.getEntriesByType('navigation')[0].type === 'reload'")
        expect(page.locator("[data-node]").first).to_be_visible()
        page.keyboard.press("n")
        expect(page.get_by_role("dialog", name="Add node")).to_be_visible()

        page.goto(hub.url)
        expect(page.locator("[data-node]").first).to_be_visible()
        page.route("**/a/*.js", lambda route: route.abort())
        page.get_by_role("link", name="Events").locator("visible=true").click()
        expect(told).to_contain_text("did not send the list of events")
        nobody_answers(page, told)
        page.unroute("**/a/*.js")
        told.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("heading", level=1, name="Events")).to_be_visible()
        expect(told).to_have_count(0)


def test_late_answers_do_not_revert_names_or_preferences(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        [node] = hub.enrol("first-name")
        page = seen.page
        log_in(seen.page, seen.hub)

        seen.open(f"/n/{node.node_id}/settings")
        rename = Held(page, "PATCH", f"**/nodes/{node.node_id}")
        page.get_by_label("Name in Stardust").fill("second-name")
        page.get_by_role("button", name="Save").click()
        assert rename.wait().json()["name"] == "second-name"
        assert hub.local("PATCH", f"/api/v1/nodes/{node.node_id}", {"name": "third-name"}).status == 200
        crumb = page.locator(".crumb")
        expect(crumb).to_contain_text("third-name")
        rename.let_go()
        expect(page.get_by_text("Saved")).to_be_visible()
        assert "third-name" in crumb.inner_text()
        expect(page.get_by_label("Name in Stardust")).to_have_value("third-name")
        expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()

        preferences = Held(page, "GET", "**/auth/preferences")
        page.goto(f"{hub.url}/settings/appearance")
        single = page.get_by_role("switch", name="Single-key shortcuts")
        preferences.wait()
        single.click()
        expect(single).not_to_be_checked()
        preferences.let_go()
        assert not single.is_checked()


def test_an_unsaved_preference_is_not_saved_for_the_next_user(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        made = hub.local("POST", "/api/v1/users", {"username": "ada", "role": "viewer"}).json
        saved: list[str] = []
        page.on("request", lambda request: saved.append(request.url) if request.method == "PATCH" else None)
        seen.sign_in(at="/settings/appearance")
        first = Held(page, "PATCH", "**/auth/preferences")
        page.get_by_role("switch", name="Single-key shortcuts").click()
        first.wait()
        page.get_by_role("switch", name="bits").click()
        page.get_by_role("button", name="Sign out").first.click()
        page.get_by_label("User name").fill("ada")
        page.get_by_label("Password", exact=True).fill(made["password"])
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_label("New password", exact=True)).to_be_visible()
        first.let_go()
        assert len(saved) == 1


def test_jobs_and_deployments_of_others_are_listed_as_they_begin_and_end(browser: Browser, hub: HubProcess) -> None:
    with held_back(free_port()) as (port, let_go), gate(browser, hub) as seen:
        [node] = hub.enrol("web-1")
        page = seen.page
        seen.sign_in(at="/jobs")
        expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()
        job = hub.local("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "refresh"})
        assert job.status == 202, job.body
        row = page.get_by_role("table", name="Jobs").get_by_role("row").filter(has_text="web-1")
        expect(row).to_contain_text("Waiting for the server")
        side = page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Jobs")
        expect(side).to_contain_text("1 running")
        assert hub.local("POST", f"/api/v1/jobs/{job.json['id']}/cancel").status == 200
        expect(row).to_contain_text("Cancelled")
        expect(side).not_to_contain_text("running")

        seen.turn_to("/jobs?of=deployments")
        expect(page.get_by_role("heading", name="No deployments yet")).to_be_visible()
        body = {"host": "127.0.0.1", "port": port, "username": "ada", "name": "one", "password": "wrong"}
        made = hub.local("POST", "/api/v1/deployments", body)
        assert made.status == 202, made.body
        row = page.get_by_role("table", name="Deployments").get_by_role("row").filter(has_text="one")
        expect(row).to_have_attribute("data-state", "running")
        expect(page.get_by_role("button", name="Adding one")).to_be_visible()
        let_go.set()
        expect(row).to_have_attribute("data-state", "failed")
        row.click()
        dialog = page.get_by_role("dialog")
        expect(page.get_by_role("dialog", name="Could not deploy to one")).to_be_visible()
        for _ in range(2):
            let_go.clear()
            assert hub.local("POST", f"/api/v1/deployments/{made.json['id']}/retry", {"password": "wrong"}).status == 202
            expect(dialog.locator("[data-step=connect][data-state=running]")).to_be_visible()
            let_go.set()
            expect(page.get_by_role("dialog", name="Could not deploy to one")).to_be_visible()
        page.keyboard.press("Escape")
        expect(row).to_have_attribute("data-state", "failed")


def test_neither_a_late_answer_nor_a_late_renewal_signs_a_user_in_again(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        me = Held(page, "GET", "**/auth/me")
        page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
        assert me.wait().json()["user"]["username"] == "admin"
        page.get_by_role("button", name="Sign out").first.click()
        expect(page.get_by_label("User name")).to_be_visible()
        me.let_go()
        assert page.get_by_label("User name").is_visible()

        log_in(page, hub)
        renewal = Held(page, "POST", "**/auth/refresh")
        page.route("**/auth/preferences", lambda route: route.fulfill(status=401, json={"code": "auth.required"}))
        page.goto(f"{hub.url}/settings/appearance")
        assert renewal.wait().json()["user"]["username"] == "admin"
        page.get_by_role("button", name="Sign out").first.click()
        expect(page.get_by_label("User name")).to_be_visible()
        renewal.let_go()
        assert page.get_by_label("User name").is_visible()


def test_a_late_answer_does_not_revert_a_deployment(browser: Browser, hub: HubProcess) -> None:
    held: list[tuple[Route, APIResponse]] = []
    with SshServerThread() as end, gate(browser, hub) as seen:
        log_in(seen.page, seen.hub)
        asked_for_its_key(end, "right")(seen)
        seen.page.route("**/host-key", lambda route: held.append((route, route.fetch())))
        trusted(seen)
        expect(seen.page.locator("[data-step=authenticate][data-state=running]")).to_be_visible()
        [(route, answer)] = until(seen.page, lambda: held)
        assert [step["state"] for step in answer.json()["steps"]][:2] == ["done", "running"], "older than what is shown"
        with seen.page.expect_response("**/host-key") as late:
            route.fulfill(response=answer)
        late.value.finished()
        seen.look(LOOKS[0])  # two frames
        assert seen.page.locator("[data-step=host_key]").get_attribute("data-state") == "done"
