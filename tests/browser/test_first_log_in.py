"""The first log-in: a wrong password reveals nothing, and the initial password only allows choosing a new one."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.support.hub import PASSWORD, HubProcess
from tests.support.page.accounts import FORBIDDEN, FROM_THE_PAGE, password_step

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

CHOOSE = "Choose a new password"
WITHIN = ("/", "/settings/users", "/jobs", "/n/00000000000000000000000000")


@pytest.mark.holds("J-1")
def test_the_default_password_only_allows_choosing_another(page: Page, fresh_hub: HubProcess) -> None:
    hub = fresh_hub
    asked: list[str] = []
    opened: list[WebSocket] = []
    page.on("request", lambda request: asked.append(request.url.partition("/api/v1/")[2]))
    page.on("websocket", lambda socket: opened.append(socket))  # noqa: PLW0108  # the driver wants a function of Python
    for name, word in (("admin", "not this one"), ("nobody", "not this one")):
        password_step(page, hub, name, word)
        expect(page.get_by_role("alert")).to_have_text("User name or password is wrong.")
    password_step(page, hub, "admin", "admin")
    expect(page.get_by_role("heading", name=CHOOSE)).to_be_visible()
    expect(page.get_by_label("New password", exact=True)).to_be_focused()
    for path in WITHIN:
        page.goto(hub.url + path)
        expect(page.get_by_role("heading", name=CHOOSE)).to_be_visible()
        expect(page.get_by_role("navigation")).to_have_count(0)
    assert {one for one in asked if one} <= {"auth/me", "auth/login", "auth/oidc", "auth/refresh"}, "no data was asked for"
    assert opened == [], "and nothing listens"
    for method, path, body in (
        ("POST", "users", {"username": "mallory", "role": "admin"}),
        ("PATCH", "settings", {"require_totp": "none"}),
    ):
        assert page.evaluate(FROM_THE_PAGE, [method, path, body])[0] == FORBIDDEN, path
    assert page.evaluate("async () => (await fetch('/api/v1/nodes')).status") == FORBIDDEN

    # errors of the new password are shown before it is sent
    page.get_by_label("Current password", exact=True).fill("admin")
    new, again = page.get_by_label("New password", exact=True), page.get_by_label("Repeat password", exact=True)
    go_on = page.get_by_role("button", name="Set password and continue")
    for first, second in (("short", "short"), ("stardust stardust", "stardust stardust"), (PASSWORD, PASSWORD + "x")):
        new.fill(first)
        again.fill(second)
        go_on.click()
        expect(page.get_by_role("alert")).to_be_visible()
        expect(page.get_by_role("heading", name=CHOOSE)).to_be_visible()
    again.fill(PASSWORD)
    go_on.click()
    expect(page.get_by_role("navigation", name="Main", exact=True)).to_be_visible()
    page.get_by_role("button", name="Sign out").first.click()
    password_step(page, hub, "admin", "admin")
    expect(page.get_by_role("alert")).to_have_text("User name or password is wrong.")
    password_step(page, hub, "admin", PASSWORD)
    expect(page.get_by_role("navigation", name="Main", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()


@pytest.mark.refusals("429 (Too Many Requests)")
def test_repeated_wrong_log_ins_warn_before_the_rate_limit(page: Page, fresh_hub: HubProcess) -> None:
    page.goto(fresh_hub.url)
    page.get_by_label("User name").fill("ada")
    told = page.get_by_role("alert")
    for tried in range(1, 6):
        page.get_by_label("Password", exact=True).fill(f"not this one {tried}")
        with page.expect_response("**/auth/login"):
            page.get_by_role("button", name="Sign in").click()
        wait = " After 5 wrong tries in a minute you have to wait." if tried > 2 else ""
        expect(told).to_have_text("User name or password is wrong." + wait)
    page.get_by_label("Password", exact=True).fill("not this one either")
    page.get_by_role("button", name="Sign in").click()
    expect(told).to_contain_text("Too many attempts. Try again in")
    expect(page.get_by_role("button", name="Sign in")).to_be_disabled()
