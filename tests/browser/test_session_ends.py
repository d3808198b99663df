"""The end of a session: only when the hub ends it, and nothing from it is shown afterwards."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect
from playwright.sync_api import TimeoutError as WaitedTooLong

from groundcontrol.access.sessions import ABSOLUTE_S
from tests.support.hub import PASSWORD, HubProcess
from tests.support.page.accounts import choose_password
from tests.support.page.answers import Held
from tests.support.page.answers import Wire as Line
from tests.support.page.deployments import opened, signed
from tests.support.page.gate import HUB_AWAY, Gate, gate
from tests.support.page.hubs import hub_of_the_file
from tests.support.page.waits import until
from tests.support.ssh_server import SshServerThread
from tests.support.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

OPEN = "() => fetch('/api/v1/auth/me').then((answer) => answer.status)"
"""200: the browser still has a session."""
HOURS_6 = 6 * 3600
LONG_MS = 8_200
"""After so long the page says that something takes longer than usual."""
IMPATIENT = "{ const real = AbortSignal.timeout; AbortSignal.timeout = (ms) => real.call(AbortSignal, ms === 15_000 ? 3_000 : ms); }"
"""How long the page waits for an answer is shortened: this timer is the browser's, and heeds no clock of a test."""

ACCESS_COOKIE = re.compile(r"stardust-plain-[0-9a-z]+$")


class Wire(Line):
    """A link that also can be cut alone, or say hello and nothing more."""

    mute = False

    def _socket(self, opened: WebSocketRoute) -> None:
        if self.cut:
            opened.close()
            return
        server = opened.connect_to_server()
        opened.on_message(lambda message: None if self.mute else server.send(message))
        self._held.append(opened)

    def drop(self) -> None:
        for one in self._held:
            one.close()
        self._held.clear()


hub = hub_of_the_file()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").first.click()


def sign_out_elsewhere(page: Page) -> None:
    """In another tab of the same browser."""
    another = page.context.new_page()
    another.goto(page.url)
    sign_out(another)
    at_the_door(page)
    another.close()


def sign_in_here(page: Page) -> None:
    """Without reloading the page."""
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation", name="Main", exact=True)).to_be_attached()


def sign_in_here_to_nothing(page: Page) -> None:
    """As a user who sees no deployment."""
    page.route("**/api/v1/deployments?*", lambda route: route.fulfill(json={"deployments": [], "next": None}))
    sign_in_here(page)
    page.get_by_role("link", name="Jobs").first.click()
    page.get_by_role("radio", name="Deployments").click()
    expect(page.get_by_role("heading", name="No deployments yet")).to_be_visible()


def at_the_door(page: Page) -> None:
    expect(page.get_by_role("heading", name="Sign in to Stardust")).to_be_visible()


def not_yet(seen: Gate) -> None:
    """The page says that the session may still be open, and shows none of its data."""
    expect(seen.page.get_by_role("heading", name="Not signed out yet")).to_be_visible()
    expect(seen.page.get_by_role("alert")).to_contain_text("Ground Control did not answer: your session may still be open.")
    expect(seen.page.get_by_role("navigation")).to_have_count(0)
    expect(seen.page.get_by_label("User name")).to_have_count(0)


def test_a_sign_out_without_a_hub_says_so_and_completes_later(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub, expected=("502 (Bad Gateway)",)) as seen:
        page = seen.page
        wire = Wire(page)
        seen.sign_in()
        wire.lose()
        sign_out(page)
        not_yet(seen)
        assert seen.axe() == []
        page.reload()
        not_yet(seen)
        another = page.context.new_page()
        another.route("**/auth/logout", lambda route: route.fulfill(status=503, json={}))
        another.goto(hub.url)
        expect(another.get_by_role("heading", name="Not signed out yet")).to_be_visible()
        assert another.evaluate(OPEN) == 200, "nobody has ended it so far"
        another.close()
        wire.mend()
        with contextlib.suppress(WaitedTooLong):  # it may have tried by itself meanwhile
            page.get_by_role("button", name="Try now").click(timeout=3000)
        at_the_door(page)
        assert page.evaluate(OPEN) == 401
        page.reload()
        at_the_door(page)
        seen.sign_in()


def test_a_failed_sign_out_is_retried_until_it_succeeds(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub, expected=(*HUB_AWAY, "ERR_FAILED")) as seen:
        page = seen.page
        seen.sign_in()
        page.route("**/auth/logout", lambda route: route.abort())
        sign_out(page)
        not_yet(seen)
        page.unroute("**/auth/logout")
        at_the_door(page)
        assert page.evaluate(OPEN) == 401


@pytest.mark.slow
def test_a_silent_hub_does_not_delay_hiding_the_page_at_sign_out(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        page.route("**/auth/logout", lambda _: None)
        sign_out(page)
        not_yet(seen)


def test_a_session_with_an_expired_token_can_be_signed_out(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        page.context.clear_cookies(name=ACCESS_COOKIE)  # as the browser does after ten minutes
        sign_out(page)
        at_the_door(page)
        page.reload()
        at_the_door(page)
        assert not [cookie for cookie in page.context.cookies() if "refresh" in cookie["name"]]


def test_a_renewal_that_fails_for_a_while_does_not_end_the_connection_permanently(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub, expected=("401 (Unauthorized)", "503 (Service Unavailable)")) as seen:
        page = seen.page
        wire = Wire(page)
        seen.sign_in()
        live = page.get_by_text("Live · 1 s")
        expect(live).to_be_visible()
        page.route("**/auth/me", lambda route: route.fulfill(status=401, json={"code": "auth.required"}))
        page.route("**/auth/refresh", lambda route: route.fulfill(status=503, json={}))
        wire.cut = True  # as the hub does without a token
        with page.expect_response("**/auth/refresh"):
            wire.drop()
        expect(live).to_have_count(0)
        wire.cut = False
        page.unroute("**/auth/me")
        page.unroute("**/auth/refresh")
        expect(live).to_be_visible()


@pytest.mark.parametrize("wrong_s", [HOURS_6, pytest.param(-HOURS_6, marks=pytest.mark.slow)], ids=["ahead", "behind"])
def test_a_session_is_renewed_in_time_with_any_browser_clock(browser: Browser, hub: HubProcess, wrong_s: int) -> None:
    with gate(browser, hub, expected=HUB_AWAY) as seen:
        page = seen.page
        page.clock.install(time=time.time() + wrong_s)
        renewals: list[str] = []
        page.on("request", lambda request: renewals.append(request.url) if request.url.endswith("auth/refresh") else None)
        seen.sign_in()
        renewals.clear()
        page.clock.run_for(4_000)  # less than the silence after which the connection would be reopened
        page.wait_for_timeout(500)
        assert renewals == [], "a log-in is good for ten minutes"
        page.clock.fast_forward(566_000)  # in one go: an answer in between would tell the page that the hub's clock has not gone on
        until(page, lambda: renewals)


def nearly_over(hub: HubProcess, left_s: float) -> None:
    """Every session has reached its longest life but for this."""
    with contextlib.closing(sqlite3.connect(hub.folder / "stardust.db", timeout=10)) as database, database:
        now = time.time()
        database.execute("UPDATE login SET created_at = ?, expires_at = ?", (now - ABSOLUTE_S + left_s, now + left_s))
    hub.login()  # something that the hub writes itself: until then it knows what it read


def left_s(page: Page) -> float:
    ends_at: float = page.evaluate("() => fetch('/api/v1/auth/me').then((answer) => answer.json()).then((me) => me.expires_at)")
    return ends_at - time.time()


def test_an_expiring_session_is_announced_and_can_be_continued_in_place(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub, expected=("401 (Unauthorized)",)) as seen:
        page = seen.page
        page.clock.install()
        seen.sign_in()
        warning = page.get_by_role("status").filter(has_text="You will be signed out at")
        page.get_by_role("link", name="Events").first.click()
        page.get_by_label("Search events").fill("half a thought")
        nearly_over(hub, 100)
        page.clock.fast_forward(31_000)
        expect(warning).to_be_visible()
        assert seen.axe() == []
        warning.get_by_role("button", name="Sign in again").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Your password", exact=True).fill("not this one")
        dialog.get_by_role("button", name="Confirm").click()
        expect(dialog.get_by_text("The password is wrong.")).to_be_visible()
        assert left_s(page) < 101
        dialog.get_by_label("Your password", exact=True).fill(PASSWORD)
        dialog.get_by_role("button", name="Confirm").click()
        expect(dialog).to_have_count(0)
        expect(warning).to_have_count(0)
        assert left_s(page) > HOURS_6
        expect(page.get_by_label("Search events")).to_have_value("half a thought")
        with page.expect_response("**/auth/me"):
            page.clock.fast_forward(31_000)
        page.wait_for_timeout(300)
        expect(warning).to_have_count(0)


def test_a_sign_out_forgets_the_address_and_an_expired_session_returns_to_it(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub, expected=(*HUB_AWAY, "401 (Unauthorized)")) as seen:
        page = seen.page
        seen.sign_in(at="/?q=tag%3Aprivate")
        sign_out(page)
        at_the_door(page)
        assert page.url == hub.url + "/"
        sign_in_here(page)
        page.goto(hub.url + "/events")
        nearly_over(hub, -1)
        page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")  # as by coming back to it
        at_the_door(page)
        assert page.url == hub.url + "/events"


def takes_long(page: Page) -> None:
    """Let the time pass after which the page says so."""
    expect(page.locator(".skeleton").first).to_be_visible()
    page.clock.run_for(LONG_MS)


def test_retrying_reopens_a_socket_that_sends_nothing(browser: Browser, hub: HubProcess) -> None:
    """By a socket that stands and says hello, and nothing more."""
    with gate(browser, hub) as seen:
        page = seen.page
        wire = Wire(page)
        wire.mute = True
        page.clock.install()
        seen.sign_in()
        takes_long(page)
        again = page.get_by_role("button", name="Try again")
        expect(again).to_be_visible()
        [node] = hub.enrol("slow")
        seen.page.evaluate(
            "path => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')); }", f"/n/{node.node_id}"
        )
        takes_long(page)
        expect(page.get_by_text("Loading the node takes longer than usual.")).to_be_visible()
        wire.mute = False
        again.dispatch_event("click")  # immediately: a silent connection is soon reopened by itself
        expect(page.get_by_role("heading", level=1, name="slow")).to_be_visible()
        wire.mute = True
        page.goto(hub.url)
        takes_long(page)
        expect(page.get_by_text("Loading the fleet takes longer than usual.")).to_be_visible()
        wire.mute = False
        again.dispatch_event("click")  # immediately: a silent connection is soon reopened by itself
        expect(page.get_by_role("table", name="Nodes")).to_contain_text("slow")


def test_a_fleet_without_connected_nodes_is_not_shown_as_silent(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        page.clock.install()
        seen.sign_in()
        live = page.get_by_text("Live · 1 s")
        expect(live).to_be_visible()
        page.clock.run_for(9_000)  # the link asks after ten
        expect(live).to_be_visible()
        expect(page.get_by_text("Silent")).to_have_count(0)


@pytest.mark.slow
def test_an_ended_session_closes_the_password_dialog(browser: Browser, hub: HubProcess) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in(at="/settings/account")
        page.route("**/auth/password", lambda route: route.fulfill(status=403, json={"code": "auth.step_up_required"}))
        page.get_by_role("button", name="Change password…").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Current password", exact=True).fill(PASSWORD)
        for label in ("New password", "Repeat password"):
            dialog.get_by_label(label, exact=True).fill("far beyond the pale blue dot")
        dialog.get_by_role("button", name="Change password").click()
        expect(page.get_by_role("dialog", name="Confirm your identity")).to_be_visible()
        sign_out_elsewhere(page)
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_an_ended_session_closes_open_dialogs_and_keeps_the_shortcuts(browser: Browser, hub: HubProcess, *, every: bool) -> None:
    with Stage(hub, only=("web-01",)) as stage, gate(browser, hub) as seen:
        page = seen.page
        dialog = page.get_by_role("dialog")
        seen.sign_in()

        def goes_on() -> None:
            sign_in_here(page)
            expect(page.get_by_role("heading", level=1, name="web-01")).to_be_visible()
            expect(dialog).to_have_count(0)
            page.get_by_role("link", name="Updates").first.press("Enter")
            expect(page.get_by_role("heading", level=1, name="Updates")).to_be_attached()
            page.keyboard.press("Control+k")
            expect(dialog).to_be_visible()

        for act in ("Remove node…", "Add node") if every else ("Remove node…",):
            seen.open(f"/n/{stage.ids['web-01']}/settings")
            page.get_by_role("button", name=act).first.click()
            expect(dialog).to_be_visible()
            sign_out_elsewhere(page)
            goes_on()


def test_drawings_of_the_fleet_end_with_the_session(browser: Browser, hub: HubProcess) -> None:
    """The next user may see fewer nodes."""
    with Stage(hub, only=("web-02",)) as stage, gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in()
        vitals = page.get_by_role("region", name="Fleet vitals")
        drawn = vitals.locator(".spark")
        expect(drawn.first).to_be_visible()
        stage.hush("web-02")  # there is a line again once there are points enough
        sign_out(page)
        at_the_door(page)
        sign_in_here(page)
        expect(vitals).to_be_visible()
        assert drawn.count() == 0


def test_a_page_whose_user_changed_in_the_browser_is_reloaded(browser: Browser, hub: HubProcess) -> None:
    """The tab was not notified: the user who is signed in now sees nothing of the previous content."""
    made = hub.local("POST", "/api/v1/users", {"username": "ada", "role": "operator"}).json
    # The reopened socket may reach the hub before the page has requested the current user: 403, Ada has to change her password.
    with gate(browser, hub, expected=("502 (Bad Gateway)", "Unexpected response code: 403")) as seen:
        page = seen.page
        wire = Wire(page)
        seen.sign_in()
        page.get_by_role("button", name="Add node").first.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        wire.lose()
        another = page.context.new_page()
        another.goto(page.url)
        sign_out(another)
        at_the_door(another)
        status = another.evaluate(
            """(body) => fetch('/api/v1/auth/login', {method: 'POST', body: JSON.stringify(body),
            headers: {'Content-Type': 'application/json', Origin: location.origin}}).then((answer) => answer.status)""",
            {"username": "ada", "password": made["password"]},
        )
        assert status == 200
        another.close()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.evaluate("() => { window.stale = true; }")
        wire.mend()
        expect(page.get_by_role("heading", name="Choose a new password")).to_be_visible()
        assert page.evaluate("() => window.stale") is None
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_answers_that_arrive_after_sign_out_are_dropped(browser: Browser, hub: HubProcess) -> None:
    """The next user may have nothing to do with the request."""
    with SshServerThread() as end, gate(browser, hub) as seen:
        page = seen.page
        seen.sign_in(at="/jobs?of=deployments")
        dialog = opened(page)
        order = Held(page, "POST", "**/api/v1/deployments")
        names = Held(page, "GET", "**/api/v1/deployments?*", only=lambda answer: answer.json()["deployments"])
        signed(dialog, end.port)
        dialog.get_by_role("button", name="Connect").click()
        assert order.wait().status == 202
        names.wait()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        sign_out(page)
        at_the_door(page)
        order.let_go()
        sign_in_here_to_nothing(page)
        names.let_go()
        expect(page.get_by_text("Live · 1 s")).to_be_visible()
        assert page.locator(".toast").all_inner_texts() == []
        assert page.get_by_role("button", name="Adding").count() == 0


@pytest.mark.parametrize("silent", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["503", "no answer"])
def test_a_hub_that_cannot_renew_a_session_does_not_show_the_log_in(browser: Browser, hub: HubProcess, *, silent: bool) -> None:
    with gate(browser, hub, expected=("503 (Service Unavailable)",)) as seen:
        page = seen.page
        seen.sign_in()
        page.route("**/auth/refresh", lambda route: None if silent else route.fulfill(status=503, json={}))
        page.context.clear_cookies(name=ACCESS_COOKIE)  # as the browser does after ten minutes
        page.clock.install()
        page.add_init_script(IMPATIENT)
        page.goto(hub.url)
        away = page.get_by_role("heading", name="No connection to Ground Control")
        expect(away).to_be_visible()
        expect(page.get_by_text(re.compile(r"Trying again in \d+\ss"))).to_be_visible()
        expect(away).to_be_visible()
        expect(page.get_by_label("User name")).to_have_count(0)
        page.unroute("**/auth/refresh")
        there = page.get_by_role("navigation", name="Main", exact=True)

        def half_a_second_later() -> int:
            """Not immediately: a pending response is awaited, but no longer than a clock that runs ahead allows."""
            page.clock.run_for(500)
            return there.count()

        until(page, half_a_second_later)


def test_a_demoted_user_loses_dialogs_of_actions_and_keeps_others(browser: Browser, hub: HubProcess) -> None:
    """But content visible to all users stays open."""
    made = hub.local("POST", "/api/v1/users", {"username": "grace", "role": "operator"}).json
    with gate(browser, hub) as seen:
        page = seen.page
        choose_password(page, hub, "grace", made["password"])
        page.get_by_role("button", name="Add node").first.click()
        expect(page.get_by_role("dialog", name="Add node")).to_be_visible()
        assert hub.local("PATCH", "/api/v1/users/grace", {"role": "viewer"}).status == 200
        expect(page.get_by_text("Your role does not allow this any more")).to_be_visible()
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert hub.local("PATCH", "/api/v1/users/grace", {"role": "operator"}).status == 200
        expect(page.get_by_role("button", name="Add node").first).to_be_visible()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
        assert hub.local("PATCH", "/api/v1/users/grace", {"role": "viewer"}).status == 200
        expect(page.get_by_role("button", name="Add node")).to_have_count(0)
        expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
