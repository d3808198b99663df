"""Users and access in a real browser: second factor, recovery codes, sessions, roles, tokens, the audit log."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

from tests.support.hub import PASSWORD, HubProcess
from tests.support.page.accounts import (
    FORBIDDEN,
    FROM_THE_PAGE,
    NEXT_PASSWORD,
    Authenticator,
    choose_password,
    keep,
    password_step,
    settings,
    sign_in,
    switch_on,
)
from tests.support.page.gate import PATIENCE_MS, tab
from tests.support.page.waits import forgotten, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

UNAUTHORIZED = 401
OK = 200
ACCEPTED = 202
LONGEST_NAME = 64
ACTOR = 3
"""Its column in the audit log, counted from nought."""
OUTSIDE = """() => [...document.querySelectorAll(".audit-table [role=cell]")].filter((cell) => {
    const letters = document.createRange();
    letters.selectNodeContents(cell);
    const [inner, outer] = [letters.getBoundingClientRect(), cell.closest(".audit-table").getBoundingClientRect()];
    return !cell.classList.contains("cut") && inner.width > 0 && (inner.right > outer.right + 1 || inner.right > cell.getBoundingClientRect().right + 1);
}).map((cell) => cell.innerText)"""
"""Words of the audit log that stand outside their cell."""


@pytest.fixture
def other(browser: Browser) -> Iterator[Callable[[], Page]]:
    """Pages of other people, or of the same one elsewhere: each with its own cookies."""
    with contextlib.ExitStack() as tabs:

        def make() -> Page:
            page = tabs.enter_context(tab(browser))
            page.set_default_timeout(PATIENCE_MS)
            return page

        yield make


def lose_answer(route: Route) -> None:
    route.fetch()
    route.abort()


@pytest.mark.refusals("net::ERR_FAILED")
@pytest.mark.holds("J-1", "J-13")
def test_a_second_factor_is_set_up_recovered_turned_off_and_set_up_again(page: Page, hub: HubProcess, other: Callable[[], Page]) -> None:
    sign_in(page, hub, at="/settings/account")
    app, codes = switch_on(page)
    assert len(set(codes)) == 10
    expect(page.get_by_role("region", name="Two-factor authentication").get_by_text("on", exact=True)).to_be_visible()

    second = other()
    password_step(second, hub, "admin", PASSWORD)
    field = second.get_by_label("6-digit code")
    expect(field).to_be_focused()
    field.fill("12 34 5")
    expect(field).to_have_value("12345")
    field.press_sequentially("6")
    expect(second.get_by_role("alert")).to_contain_text("The code is wrong")
    second.get_by_role("button", name="Use a recovery code").click()
    second.get_by_label("Recovery code").fill(codes[0].lower())
    second.keyboard.press("Enter")
    expect(second.get_by_text("No nodes yet")).to_be_visible()

    third = other()
    password_step(third, hub, "admin", PASSWORD)
    third.get_by_role("button", name="Use a recovery code").click()
    third.get_by_label("Recovery code").fill(codes[0])
    third.get_by_role("button", name="Verify").click()
    expect(third.get_by_role("alert")).to_contain_text("already used")
    third.get_by_role("button", name="Use a code from the app").click()
    third.get_by_label("6-digit code").fill(app.code())
    expect(third.get_by_text("No nodes yet")).to_be_visible()

    page.get_by_role("button", name="Turn off…").click()
    page.get_by_role("dialog").get_by_role("button", name="Turn off").click()
    expect(page.get_by_role("button", name="Set up…")).to_be_visible()
    sign_in(other(), hub)  # no code is asked for any more

    page.route("**/auth/totp/confirm", lose_answer)
    page.get_by_role("region", name="Two-factor authentication").get_by_role("button", name="Set up…").click()
    dialog = page.get_by_role("dialog")
    app = Authenticator(dialog.get_by_role("group", name="Key").inner_text())
    dialog.get_by_label("6-digit code from the app").press_sequentially(app.code())
    expect(dialog).to_contain_text("its recovery codes did not arrive")
    dialog.get_by_role("button", name="Create new codes").click()
    expect(dialog.get_by_role("list", name="Recovery codes").get_by_role("listitem")).to_have_count(10)
    keep(dialog, "Done")
    expect(page.get_by_role("region", name="Two-factor authentication").get_by_text("on", exact=True)).to_be_visible()


@pytest.mark.holds("J-13")
def test_a_required_second_factor_comes_before_everything_else(page: Page, hub: HubProcess, other: Callable[[], Page]) -> None:
    sign_in(page, hub, at="/settings/account")
    switch_on(page)
    settings(page, "Users")
    password = add_user(page, "ada", "Operator")
    rule = page.get_by_role("region", name="Required second factor")
    rule.get_by_role("radio", name="Everybody").check()
    rule.get_by_role("button", name="Save").click()
    expect(page.get_by_text("A second factor is now required for everybody")).to_be_visible()

    ada = other()
    choose_password(ada, hub, "ada", password)
    expect(ada.get_by_role("heading", name="Set up a second factor")).to_be_visible()
    expect(ada.get_by_role("navigation", name="Main", exact=True)).to_have_count(0)
    ada.reload()
    expect(ada.get_by_role("heading", name="Set up a second factor")).to_be_visible()
    app = Authenticator(ada.get_by_role("group", name="Key").inner_text())
    ada.get_by_label("6-digit code from the app").fill(app.code())
    expect(ada.get_by_role("list", name="Recovery codes").get_by_role("listitem")).to_have_count(10)
    keep(ada, "Continue")
    expect(ada.get_by_text("No nodes yet")).to_be_visible()


@pytest.mark.holds("J-13")
def test_a_session_ended_elsewhere_shows_the_log_in_and_a_changed_password_replaces_the_old_one(
    page: Page, hub: HubProcess, other: Callable[[], Page]
) -> None:
    sign_in(page, hub)
    elsewhere = other()
    sign_in(elsewhere, hub)
    settings(page)
    sessions = page.get_by_role("list", name="Sessions").get_by_role("listitem")
    expect(sessions).to_have_count(2)
    expect(sessions.filter(has_text="this one")).to_have_count(1)
    page.get_by_role("button", name=re.compile("^End the session")).click()
    expect(sessions).to_have_count(1)
    expect(elsewhere.get_by_role("heading", name="Sign in to Stardust")).to_be_visible()
    expect(elsewhere.get_by_text("Your session ended")).to_be_visible()
    third, fourth = other(), other()
    for one in (third, fourth):
        sign_in(one, hub)
    page.reload()
    page.get_by_role("button", name="End all others").click()
    for one in (third, fourth):
        expect(one.get_by_role("heading", name="Sign in to Stardust")).to_be_visible()
    expect(sessions).to_have_count(1)

    page.get_by_role("button", name="Change password…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Current password", exact=True).fill("not the password")
    dialog.get_by_label("New password", exact=True).fill(NEXT_PASSWORD)
    dialog.get_by_label("Repeat password", exact=True).fill(NEXT_PASSWORD)
    dialog.get_by_role("button", name="Change password").click()
    expect(dialog.get_by_role("alert")).to_have_text("The current password is wrong.")
    dialog.get_by_label("Current password", exact=True).fill(PASSWORD)
    dialog.get_by_role("button", name="Change password").click()
    expect(dialog).to_have_count(0)
    forgotten(page, NEXT_PASSWORD)
    again = other()
    password_step(again, hub, "admin", PASSWORD)
    expect(again.get_by_role("alert")).to_contain_text("User name or password is wrong")
    sign_in(other(), hub, password=NEXT_PASSWORD)


def add_user(page: Page, name: str, role: str) -> str:
    """From the tab of users; returns the one-time password."""
    page.get_by_role("button", name="Add user").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("User name").fill(name)
    dialog.get_by_role("radio", name=role).check()
    dialog.get_by_role("button", name="Add user").click()
    password = dialog.get_by_role("group", name="One-time password").inner_text()
    keep(dialog, "Done")
    forgotten(page, password)
    expect(page.get_by_role("table", name="Users").get_by_role("row").filter(has_text=name)).to_contain_text(role)
    return password


@pytest.mark.holds("J-13")
def test_a_viewer_is_offered_no_action_and_the_hub_refuses_it(page: Page, hub: HubProcess, other: Callable[[], Page]) -> None:
    (node,) = hub.enrol("moon", simulated=True)
    sign_in(page, hub, at="/settings/users")
    password = add_user(page, "grace", "Viewer")
    grace = other()
    choose_password(grace, hub, "grace", password)
    expect(grace.get_by_text("moon").first).to_be_visible()
    grace.goto(f"{hub.url}/n/{node.node_id}/settings")
    expect(grace.get_by_role("heading", name="About this node")).to_be_visible()
    for name in ("Add node", "Upgrade", "Remove node…", "Save"):
        expect(grace.get_by_role("button", name=name)).to_have_count(0)
    desk = grace.viewport_size
    grace.set_viewport_size({"width": 390, "height": 844})
    grace.goto(hub.url)
    pickers = [grace.get_by_label("Sort by", exact=True), grace.get_by_label("Groups", exact=True)]
    assert all((box := picker.bounding_box()) and box["width"] > 120 for picker in pickers), "beside each other, below the filter"
    assert desk
    grace.set_viewport_size(desk)
    settings(grace)
    expect(grace.get_by_role("tab")).to_have_text(["Account", "API tokens", "Appearance"])
    grace.goto(f"{hub.url}/settings/users")
    expect(grace.get_by_text("Your role does not allow this")).to_be_visible()
    grace.goto(f"{hub.url}/settings/audit")
    expect(grace.get_by_text("Your role does not allow this")).to_be_visible()
    tries = [
        ("POST", f"nodes/{node.node_id}/jobs", {"action": "check"}),
        ("PATCH", f"nodes/{node.node_id}", {"name": "mine"}),
        ("DELETE", f"nodes/{node.node_id}", {}),
        ("POST", "users", {"username": "mallory", "role": "admin"}),
        ("PATCH", "users/grace", {"role": "admin"}),
        ("PATCH", "settings", {"require_totp": "none"}),
    ]
    for method, path, body in tries:
        assert grace.evaluate(FROM_THE_PAGE, [method, path, body]) == [FORBIDDEN, "auth.forbidden"], path


@pytest.mark.holds("J-13")
def test_a_changed_role_reaches_the_open_page_and_a_revoked_one_disappears_from_it(
    page: Page, hub: HubProcess, other: Callable[[], Page]
) -> None:
    hub.enrol("moon", "sun", simulated=True)
    sign_in(page, hub, at="/settings/users")
    password = add_user(page, "linus", "Operator")
    linus = other()
    # the first change happens between the log-in's response and the live socket that reports changes
    held: list[tuple[Route, APIResponse]] = []
    linus.route("**/auth/password", lambda route: held.append((route, route.fetch())))
    choose_password(linus, hub, "linus", password)
    until(linus, lambda: len(held))
    for role, buttons in (("Viewer", 0), ("Operator", 1)):
        page.get_by_role("button", name="Actions for linus").click()
        page.get_by_role("menuitem", name="Role and nodes…").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("radio", name=role).check()
        dialog.get_by_role("button", name="Save").click()
        expect(page.get_by_role("row").filter(has_text="linus")).to_contain_text(role)
        for route, answer in held:
            route.fulfill(response=answer)
        held.clear()
        expect(linus.get_by_role("banner")).to_be_visible()
        expect(linus.get_by_role("banner").get_by_role("button", name="Add node")).to_have_count(buttons)
    linus.unroute_all()
    expect(linus.get_by_role("button", name="Add node").first).to_be_visible()
    actions = page.get_by_role("button", name="Actions for linus")
    actions.click()
    page.get_by_role("menuitem", name="Role and nodes…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("radio", name="Viewer").check()
    dialog.get_by_role("radiogroup", name="Nodes").get_by_role("radio", name="Only some").click()
    expect(dialog.get_by_role("button", name="Save")).to_be_disabled()
    dialog.get_by_label("Nodes by name").select_option(label="sun")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row").filter(has_text="linus")).to_contain_text("1 node")
    expect(linus.get_by_role("button", name="Add node")).to_have_count(0)
    expect(linus.get_by_role("row").filter(has_text="moon")).to_have_count(0)
    expect(linus.get_by_role("row").filter(has_text="sun")).to_have_count(1)

    actions.click()
    page.get_by_role("menuitem", name="Disable…").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(linus.get_by_role("heading", name="Sign in to Stardust")).to_be_visible()
    actions.click()
    page.get_by_role("menuitem", name="Enable").click()
    sign_in(linus, hub, "linus", NEXT_PASSWORD)

    actions.click()
    page.get_by_role("menuitem", name="Reset password…").click()
    button = dialog.get_by_role("button", name="Reset password")
    dialog.get_by_label("Type linus to confirm").fill("linu")
    expect(button).to_be_disabled()
    dialog.get_by_label("Type linus to confirm").fill("linus")
    button.click()
    expect(dialog.get_by_role("group", name="One-time password")).to_be_visible()
    keep(dialog, "Done")
    expect(linus.get_by_role("heading", name="Sign in to Stardust")).to_be_visible()


@pytest.mark.holds("J-13")
def test_a_token_is_shown_once_works_and_can_be_revoked(page: Page, hub: HubProcess) -> None:
    sign_in(page, hub, at="/settings/tokens")
    expect(page.get_by_text("No API tokens")).to_be_visible()
    page.get_by_role("button", name="New token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("a script")
    dialog.get_by_role("radio", name="Viewer").check()
    dialog.get_by_label("Expires in").select_option(label="30 days")
    dialog.get_by_role("button", name="Create token").click()
    token = dialog.get_by_role("group", name="Token").inner_text()
    keep(dialog, "Done")
    forgotten(page, token)
    page.reload()
    row = page.get_by_role("table", name="API tokens").get_by_role("row").filter(has_text="a script")
    expect(row).to_contain_text("Viewer")
    expect(row).to_contain_text("never")
    forgotten(page, token)
    assert hub.request("GET", "/api/v1/nodes", token=token).status == OK
    assert hub.request("PATCH", "/api/v1/nodes/00000000000000000000000000", {"name": "x"}, token=token).status == FORBIDDEN
    row.get_by_role("button", name="Revoke a script").click()
    button = dialog.get_by_role("button", name="Revoke token")
    expect(button).to_be_disabled()
    dialog.get_by_label("Type a script to confirm").fill("a script")
    button.click()
    expect(page.get_by_text("No API tokens")).to_be_visible()
    assert hub.request("GET", "/api/v1/nodes", token=token).status == UNAUTHORIZED


@pytest.mark.holds("J-13")
def test_the_audit_log_has_whole_ids_and_actors_and_is_searched_exported_and_verified(page: Page, hub: HubProcess) -> None:
    # a job tells of its node by an id; a user may be called what looks like one
    [node] = hub.enrol("lab-07", simulated=True)
    job = hub.local("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "check"})
    assert job.status == ACCEPTED
    assert hub.local("POST", f"/api/v1/jobs/{job.json['id']}/cancel").status == OK
    actor = "d" * len(node.node_id)
    sign_in(page, hub, at="/settings/users")
    assert hub.login(actor, add_user(page, actor, "Viewer")).token
    add_user(page, "w" * LONGEST_NAME, "Viewer")
    settings(page, "Audit")
    rows = page.get_by_role("table", name="Audit log").get_by_role("row")
    expect(rows.filter(has_text="Job created")).to_have_count(0)
    rows.filter(has_text="Job cancelled").get_by_role("button", name=re.compile("before$")).click()
    details = rows.filter(has_text="Job created").locator("small")
    expect(details).to_contain_text("node: lab-07")
    expect(details).to_have_attribute("title", re.compile(rf"node: {node.node_id}\b"))
    expect(rows.filter(has_text="Job created").get_by_role("img", name="done")).to_be_visible()
    expect(rows.filter(has_text="Job cancelled").get_by_role("img", name="Cancelled")).to_be_visible()
    expect(rows.filter(has_text="Signed in").filter(has_text=actor).get_by_role("cell").nth(ACTOR)).to_have_text(actor)
    made = rows.filter(has_text="User added").first
    expect(made.get_by_role("img", name="done")).to_be_visible()
    expect(made).to_contain_text("grants: every node")
    expect(made.get_by_text("w" * LONGEST_NAME, exact=True)).to_have_attribute("title", re.compile(r"^[0-9a-z]{26}$"))
    expect(page.get_by_role("table", name="Audit log")).not_to_contain_text("null")
    for width in (390, 800, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(OUTSIDE) == [], f"at {width}"
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_text("no row was changed, moved or removed.").last).to_contain_text("Checked at")
    expect(page.get_by_role("button", name="Copy the head")).to_be_visible()
    page.get_by_label("Action").fill("user.create")
    expect(rows.filter(has_text="Signed in")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"\?action=user\.create$"))
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export CSV").click()
    lines = saved.value.path().read_text().splitlines()
    assert lines[0] == "n,at,actor,by,address,action,target,result,detail"
    assert lines[1:]
    assert all(",user.create," in line for line in lines[1:])
    page.get_by_label("Action").fill("User added")
    expect(made).to_be_visible()
    page.get_by_label("Action").fill("no such thing")
    expect(page.get_by_text("No entry matches")).to_be_visible()
    page.get_by_label("Action").fill("")
    page.get_by_label("To date").fill("2020-01-01")
    expect(page).to_have_url(re.compile("to=2020-01-01"))
    expect(page.get_by_text("No entry matches")).to_be_visible()
    page.get_by_label("To date").fill("")
    page.get_by_label("From date").fill("2020-01-01")
    expect(made).to_be_visible()


@pytest.mark.refusals("ERR_FAILED")
def test_a_refused_setting_is_shown_in_its_open_dialog(page: Page, hub: HubProcess) -> None:
    sign_in(page, hub, at="/settings/history")
    held: list[Route] = []
    page.route("**/api/v1/settings", lambda route: held.append(route) if route.request.method == "PATCH" else route.continue_())
    page.get_by_label("Per second").fill("12 h")
    page.get_by_role("button", name="Save and delete older samples…").click()
    asked = page.get_by_role("dialog", name="Delete older samples")
    asked.get_by_label("Type Per second to confirm").fill("Per second")
    with page.expect_request(lambda request: request.method == "PATCH"):
        asked.get_by_role("button", name="Save and delete older samples").click()
    asked.get_by_role("button", name="Cancel").click()
    held[0].abort()
    expect(asked.get_by_role("alert")).to_contain_text("could not be reached")


def test_the_settings_are_usable_by_keyboard(page: Page, hub: HubProcess) -> None:
    sign_in(page, hub)
    page.get_by_role("heading", level=1).first.focus()
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.get_by_role("heading", level=1, name="Settings")).to_be_focused()
    page.get_by_role("tab", name="Account").focus()
    for _ in range(page.get_by_role("tab").count() - 1):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Appearance")).to_be_focused()
    page.get_by_role("radio", name="Same as the system").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.get_by_role("tab", name="Appearance").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Change password…").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Current password", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Change password…")).to_be_focused()
