"""axe on confirmations of irreversible actions, on jobs with every outcome, and on all dialogs about users and access."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect

from tests.support.hub import HubProcess
from tests.support.page.accounts import choose_password, password_step, switch_on
from tests.support.page.fleets import NAMES, Fleet
from tests.support.page.gate import Gate, Screen, at, gate, log_in
from tests.support.page.screens import answered, dialog_by, into_palette, sweep
from tests.support.stage import wait_job

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

Go = Callable[[Gate], None]


def no_views(seen: Gate) -> None:
    seen.open("/")
    into_palette(seen.page, "Saved views")
    seen.page.keyboard.press("Enter")
    expect(seen.page.get_by_role("dialog", name="Saved views")).to_be_visible()


def full_disk(seen: Gate) -> None:
    seen.page.route("**/healthz", lambda route: route.fulfill(status=503, json={"status": "failing", "version": "", "database": False}))
    seen.load("/")
    expect(seen.page.get_by_role("alert").filter(has_text="cannot save data")).to_be_visible()


def told_of_a_failure(seen: Gate) -> None:
    """A note that stays, since what was asked for did not happen."""
    answered(r"/api/v1/nodes/[^/]+/jobs", "/?q=web-1", 500, "internal", "web-1")(seen)
    seen.page.get_by_role("row").get_by_text("web-1").first.click()
    seen.page.get_by_role("button", name="More package actions").click()
    seen.page.get_by_role("menuitem", name="Check now").click()
    expect(seen.page.get_by_text("Refresh package lists: web-1")).to_be_visible()


def tags_not_changed(seen: Gate) -> None:
    answered(r"/api/v1/nodes/", "/?q=web-1", 500, "internal", "web-1")(seen)
    seen.page.get_by_role("checkbox", name="Select web-1", exact=True).check()
    seen.page.get_by_role("button", name="Tag…").click()
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_role("textbox").last.fill("edge")
    dialog.get_by_role("textbox").last.press("Enter")
    dialog.get_by_role("button", name="Change 1 node").click()
    expect(dialog.get_by_text("1 node not changed")).to_be_visible()


@pytest.mark.holds("J-15")
def test_confirmations_and_ended_jobs_pass_axe(browser: Browser, hub: HubProcess, *, every: bool) -> None:
    enrolled = hub.enrol(*NAMES, "away")
    ids = {node.name: node.node_id for node in enrolled}
    with Fleet(hub, enrolled[:-1]), gate(browser, hub, expected=("500 (Internal", "503 (Service")) as seen:
        seen.sign_in()
        expect(seen.page.get_by_text("4of 5 online")).to_be_visible()
        token = hub.login().token

        def ordered(action: str, *names: str) -> str:
            reply = hub.request("POST", "/api/v1/jobs", {"action": action, "nodes": [ids[name] for name in names]}, token=token)
            assert reply.status < 300, reply.body
            made: str = reply.json["id"]
            return made

        failed = hub.request("POST", f"/api/v1/nodes/{ids['web-2']}/jobs", {"action": "check"}, token=token).json["id"]
        wait_job(hub, failed, "failed")
        held = ordered("reboot", "web-1", "web-3")
        [late] = [job["id"] for job in hub.local("GET", "/api/v1/jobs").json["jobs"] if job["node_id"] == ids["web-3"]]
        wait_job(hub, late, "running")
        waiting = hub.request("POST", f"/api/v1/nodes/{ids['web-3']}/jobs", {"action": "check"}, token=token).json["id"]
        taken_back = hub.request("POST", f"/api/v1/nodes/{ids['web-3']}/jobs", {"action": "refresh"}, token=token).json["id"]
        assert hub.request("POST", f"/api/v1/jobs/{taken_back}/cancel", {}, token=token).status == 200

        def too_late(_: Gate) -> None:
            assert hub.request("POST", f"/api/v1/jobs/{late}/cancel", {}, token=token).status == 200
            seen.open(f"/jobs/{late}")
            expect(seen.page.get_by_role("button", name="Force stop…")).to_be_visible()

        def removal_of_what_is_there(_: Gate) -> None:
            dialog_by(f"/n/{ids['web-1']}/settings", "Remove node…")(seen)
            seen.page.get_by_role("dialog").get_by_label("Type web-1 to confirm").fill("web-")

        def forgotten(_: Gate) -> None:
            dialog_by(f"/n/{ids['away']}/settings", "Remove node…")(seen)
            dialog = seen.page.get_by_role("dialog")
            dialog.get_by_text("The server is gone, only forget the node").click()
            dialog.get_by_label("Type away to confirm").fill("away")
            dialog.get_by_role("button", name="Remove node").click()
            expect(seen.page.get_by_role("dialog", name="away is forgotten")).to_be_visible()

        screens: list[Screen] = [
            ("a job that failed before it printed", at(f"/jobs/{failed}")),
            ("a job that waits for its turn", at(f"/jobs/{waiting}")),
            ("a job that was taken back", at(f"/jobs/{taken_back}")),
            ("an order that goes on", at(f"/batches/{held}")),
            ("stop all of it", dialog_by(f"/batches/{held}", "Stop all…")),
            ("a job that cannot be stopped any more", too_late),
            ("stop by force", dialog_by(f"/jobs/{late}", "Force stop…")),
            ("no such job", at("/jobs/00000000000000000000000000")),
            ("removal of a server that is there", removal_of_what_is_there),
            ("removal of one that is gone", dialog_by(f"/n/{ids['away']}/settings", "Remove node…")),
            ("many deployed again", dialog_by("/settings/policies", "Change all…")),
            ("import of rules", dialog_by("/alerts/rules", "Import…")),
            ("saved views, none", no_views),
            ("nothing can be stored", full_disk),
            ("a failure that is told", told_of_a_failure),
            ("tags that were not changed", tags_not_changed),
            ("a node that was forgotten", forgotten),
        ]
        seen.walks = True
        found = sweep(seen, screens, every=every)
        seen.faults = [fault for fault in seen.faults if "404" not in fault]  # of the job that there is not
    assert not found, "\n".join(found)


def keys_and_codes(seen: Gate) -> None:
    seen.open("/settings/account")
    seen.page.get_by_role("button", name="Set up…").click()
    expect(seen.page.get_by_role("img", name="QR code of the key")).to_be_visible()


def codes_to_keep(seen: Gate) -> None:
    dialog_by("/settings/account", "New recovery codes…")(seen)
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Create new codes").click()
    expect(dialog.get_by_role("list", name="Recovery codes")).to_be_visible()
    seen.page.keyboard.press("Escape")  # not before they are kept
    expect(dialog).to_be_visible()


@pytest.mark.holds("J-15")
def test_dialogs_of_users_and_access_pass_axe(browser: Browser, hub: HubProcess, *, every: bool) -> None:
    made = hub.local("POST", "/api/v1/users", {"username": "ada", "role": "operator"}).json
    with gate(browser, hub) as seen:
        log_in(seen.page, seen.hub)
        found = sweep(seen, [("the key of a second factor", keys_and_codes)], every=every)
        seen.open("/settings/account")
        switch_on(seen.page)
        screens: list[Screen] = [
            ("codes to keep", codes_to_keep),
            ("turning the second factor off", dialog_by("/settings/account", "Turn off…")),
            ("sessions of a user", dialog_by("/settings/users", "Actions for ada", "Sessions…")),
            ("rule of the second factor", at("/settings/users")),
        ]
        found += sweep(seen, screens, every=every)
        rule = seen.page.get_by_role("region", name="Required second factor")
        rule.get_by_role("radio", name="Everybody").check()
        rule.get_by_role("button", name="Save").click()
        expect(seen.page.get_by_text("A second factor is now required for everybody")).to_be_visible()
    with gate(browser, hub) as seen:
        password_step(seen.page, hub, "ada", made["password"])
        expect(seen.page.get_by_label("Repeat password", exact=True)).to_be_visible()
        found += sweep(seen, [("a password to choose", lambda _: None)], every=every)
    with gate(browser, hub) as seen:
        choose_password(seen.page, hub, "ada", made["password"])
        expect(seen.page.get_by_role("heading", name="Set up a second factor")).to_be_visible()
        found += sweep(seen, [("a second factor that is required", lambda _: None)], every=every)
    assert not found, "\n".join(found)
