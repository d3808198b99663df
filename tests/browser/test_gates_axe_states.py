"""axe on what comes and goes: questions, menus, notes, waits, failures, a lost hub; and on a server that joins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser.test_gates_axe import by_keys, expect_sign_in, sweep
from tests.support.hub import PASSWORD, HubProcess
from tests.support.page.accounts import password_step
from tests.support.page.answers import Wire
from tests.support.page.deployments import Server
from tests.support.page.gate import LOOKS, Gate, Screen, at, gate
from tests.support.stage import Stage, staged

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

Staged = tuple[HubProcess, Stage, dict[str, str]]
Go = Callable[[Gate], None]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    yield from staged(tmp_path_factory.mktemp("states") / "hub")


def dialog_by(path: str, *names: str | re.Pattern[str]) -> Go:
    """Behind buttons and entries of menus; a dialog stands at the end."""

    def go(seen: Gate) -> None:
        seen.open(path)
        for name in names:
            button = seen.page.get_by_role("button", name=name).or_(seen.page.get_by_role("menuitem", name=name))
            button.locator("visible=true").first.click()
        expect(seen.page.get_by_role("dialog")).to_be_visible()

    return go


def menu_by(path: str, name: str) -> Go:
    def go(seen: Gate) -> None:
        seen.open(path)
        seen.page.get_by_role("button", name=name).locator("visible=true").first.click()
        expect(seen.page.get_by_role("menu")).to_be_visible()

    return go


def answered(pattern: str, path: str, status: int, code: str, seen_as: str) -> Go:
    """The hub refuses what the screen asks for."""

    def refuse(route: Route) -> None:
        problem = {"type": "", "title": "", "status": status, "detail": "The database is locked.", "code": code, "instance": "req-7f31c"}
        route.fulfill(status=status, content_type="application/problem+json", json=problem)

    def go(seen: Gate) -> None:
        seen.page.route(re.compile(pattern), refuse)
        seen.page.goto(seen.hub.url + path)
        expect(seen.page.get_by_text(seen_as).first).to_be_visible()

    return go


def waits(pattern: str, path: str) -> Go:
    """The hub takes its time: after a moment there is the form of what will come."""

    def go(seen: Gate) -> None:
        seen.page.route(re.compile(pattern), lambda _: None)
        seen.page.goto(seen.hub.url + path)
        expect(seen.page.locator(".skeleton").first).to_be_visible()

    return go


def into_palette(page: Page, text: str) -> None:
    """Typed once the palette takes it: it is fetched when it is first asked for."""
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Search or run a command")).to_be_focused()
    page.keyboard.type(text)


def palette(text: str) -> Go:
    def go(seen: Gate) -> None:
        seen.open("/")
        into_palette(seen.page, text)
        expect(seen.page.get_by_role("option").or_(seen.page.get_by_text("Nothing found")).first).to_be_visible()

    return go


def told(seen: Gate) -> None:
    """A note with a way back, after a view was removed."""
    seen.open("/?group=tag")
    seen.page.get_by_role("button", name="Save view…").click()
    seen.page.get_by_role("dialog").get_by_label("Name").fill("By tag")
    seen.page.keyboard.press("Enter")
    expect(seen.page.get_by_role("link", name="By tag")).to_be_attached()
    into_palette(seen.page, "Saved views")
    seen.page.keyboard.press("Enter")
    seen.page.get_by_role("button", name="Remove By tag").click()
    expect(seen.page.get_by_role("button", name="Undo")).to_be_visible()


def hovered(node: str) -> Go:
    def go(seen: Gate) -> None:
        seen.open(f"/n/{node}")
        seen.page.get_by_role("figure", name="CPU chart").locator(".u-over").hover()

    return go


def plain_text(job: str) -> Go:
    def go(seen: Gate) -> None:
        seen.open(f"/jobs/{job}")
        expect(seen.page.locator(".xterm-rows")).to_contain_text("exim4")
        seen.page.get_by_label("Search in output").fill("setting")
        seen.page.get_by_role("button", name="View as plain text").click()
        expect(seen.page.get_by_role("log", name=re.compile("plain text"))).to_contain_text("exim4")
        for folded in seen.page.locator("summary").all():
            folded.click()

    return go


def limited_user(seen: Gate) -> None:
    dialog_by("/settings/users", "Actions for grace", "Role and nodes…")(seen)
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_role("radiogroup", name="Nodes").get_by_role("radio", name="Only some").click()
    expect(dialog.get_by_label("Nodes by name")).to_be_visible()


def token_made(seen: Gate) -> None:
    dialog_by("/settings/tokens", "New token")(seen)
    seen.page.get_by_role("dialog").get_by_label("Name").fill("a script")
    seen.page.get_by_role("button", name="Create token").click()
    expect(seen.page.get_by_role("group", name="Token")).to_be_visible()


def wrong_retention(seen: Gate) -> None:
    seen.open("/settings/history")
    form = seen.page.get_by_role("region", name="History")
    form.get_by_label("Per second").fill("40 d")
    expect(form.get_by_text("At least as long as for the finer samples above.")).to_be_visible()


def shorter_retention(seen: Gate) -> None:
    seen.open("/settings/history")
    form = seen.page.get_by_role("region", name="History")
    form.get_by_label("Per second").fill("12 h")
    expect(form.get_by_text("Older samples are deleted.")).to_be_visible()


def retention_asked_about(seen: Gate) -> None:
    shorter_retention(seen)
    seen.page.get_by_label("Per second").press("Enter")
    expect(seen.page.get_by_role("dialog", name="Delete older samples")).to_be_visible()


def empty_form(seen: Gate) -> None:
    dialog_by("/", "Add node")(seen)
    seen.page.get_by_role("button", name="Connect").click()
    expect(seen.page.locator("[aria-invalid=true]").first).to_be_visible()


def change_refused(status: int, code: str, seen_as: Callable[[Page], Locator]) -> Go:
    def go(seen: Gate) -> None:
        answered(r"/auth/password$", "/settings/account", status, code, "Change password…")(seen)
        seen.page.get_by_role("button", name="Change password…").click()
        dialog = seen.page.get_by_role("dialog")
        dialog.get_by_label("Current password", exact=True).fill(PASSWORD)
        for label in ("New password", "Repeat password"):
            dialog.get_by_label(label, exact=True).fill("far beyond the pale blue dot")
        dialog.get_by_role("button", name="Change password").click()
        expect(seen_as(seen.page)).to_be_visible()

    return go


def refusal(page: Page) -> Locator:
    return page.get_by_role("dialog").get_by_role("alert").first


def question(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Confirm your identity")


def alone(screens: list[Screen]) -> list[Screen]:
    """Each begins with a hub that answers again."""

    def after(go: Go) -> Go:
        def begin(seen: Gate) -> None:
            seen.page.unroute_all()
            go(seen)

        return begin

    return [(name, after(go)) for name, go in screens]


def of_the_page(stage: Stage, jobs: dict[str, str]) -> list[Screen]:
    node, offline = f"/n/{stage.ids['db-01']}", f"/n/{stage.ids['backup-hel']}"
    return [
        ("palette with what it found", palette("web")),
        ("palette with nothing", palette("zzzz")),
        ("a note with a way back", told),
        ("menu of groups", menu_by("/", "Group: none")),
        ("menu of a chart", menu_by(node, "CPU, more")),
        ("chart under the pointer", hovered(stage.ids["db-01"])),
        ("window of time", dialog_by(node, "Choose a time range")),
        ("packages to remove", dialog_by(node, "Upgrade", "Remove…")),
        ("deploy again", dialog_by(f"{offline}/settings", "Deploy again…")),
        ("output as text", plain_text(jobs["failed"])),
        ("form with faults", empty_form),
        ("menu of a user", menu_by("/settings/users", "Actions for grace")),
        ("role and nodes of a user", limited_user),
        ("password of a user", dialog_by("/settings/users", "Actions for grace", "Reset password…")),
        ("user disabled", dialog_by("/settings/users", "Actions for grace", "Disable…")),
        ("token, shown once", token_made),
        ("organisation secret", dialog_by("/settings/joining", "New organisation secret")),
        ("retention that cannot be", wrong_retention),
        ("retention that deletes", shorter_retention),
        ("retention that deletes, asked about", retention_asked_about),
        ("a refusal in a dialog", change_refused(500, "internal", refusal)),
        ("the password once more", change_refused(403, "auth.step_up_required", question)),
        ("jobs that cannot be read", answered(r"/api/v1/jobs\?", "/jobs", 500, "internal", "The jobs could not be read")),
        ("history that cannot be read", answered(r"/history\?", f"{node}?range=24h", 500, "internal", "History could not be read.")),
        ("jobs that are waited for", waits(r"/api/v1/jobs\?", "/jobs")),
        ("users that are waited for", waits(r"/api/v1/users", "/settings/users")),
    ]


@pytest.mark.holds("J-15")
def test_what_comes_and_goes_breaks_no_rule(browser: Browser, world: Staged, request: pytest.FixtureRequest) -> None:
    hub, stage, jobs = world
    assert hub.local("POST", "/api/v1/users", {"username": "grace", "role": "viewer"}).status == 201
    with gate(browser, hub, expected=("500 (Internal", "403 (Forbidden)")) as seen:
        seen.sign_in()
        found = sweep(seen, alone(of_the_page(stage, jobs)), every=bool(request.config.getoption("--slow")))
    assert not found, "\n".join(found)


def account_on_a_phone(seen: Gate) -> None:
    seen.open("/")
    seen.look(LOOKS[1])
    seen.page.get_by_role("button", name="Account").click()
    expect(seen.page.get_by_role("menu")).to_be_visible()


def locked(seen: Gate) -> None:
    def shut(route: Route) -> None:
        problem = {"type": "", "title": "", "status": 429, "detail": "Too many attempts.", "code": "auth.locked", "instance": ""}
        route.fulfill(status=429, headers={"retry-after": "90"}, content_type="application/problem+json", json=problem)

    seen.page.route("**/auth/login", shut)
    password_step(seen.page, seen.hub, "admin", "guess")
    expect(seen.page.get_by_role("alert")).to_contain_text(re.compile(r"\d+\s(s|min)"))


def lost(page: Page, path: str) -> Go:
    wire = Wire(page)

    def go(seen: Gate) -> None:
        wire.mend()
        seen.open(path)
        expect(page.get_by_text("Live · 1 s")).to_be_attached()
        wire.lose()
        expect(page.get_by_text("No connection to Ground Control")).to_be_visible()

    return go


@pytest.mark.holds("J-15")
def test_a_phones_menu_a_locked_door_and_a_lost_hub_break_no_rule(browser: Browser, world: Staged) -> None:
    hub, stage, _ = world
    found = []
    with gate(browser, hub, expected=("502 (Bad Gateway)", "429 (Too Many")) as seen:
        seen.sign_in()
        account_on_a_phone(seen)
        for scheme in (1, 3):
            seen.page.emulate_media(color_scheme=LOOKS[scheme].scheme)  # type: ignore[arg-type]  # a literal
            found += [f"account on a phone ({scheme}): {one}" for one in seen.axe()]
        seen.look(LOOKS[0])
        found += sweep(seen, [("fleet without a hub", lost(seen.page, "/"))], every=True)
    with gate(browser, hub, expected=("502 (Bad Gateway)",)) as seen:
        seen.sign_in()
        found += sweep(seen, [("node without a hub", lost(seen.page, f"/n/{stage.ids['db-01']}"))], every=True)
    with gate(browser, hub, expected=("429 (Too Many",)) as seen:
        found += sweep(seen, [("log-in", lambda here: expect_sign_in(here.page, here.hub)), ("locked", locked)], every=True)
    assert not found, "\n".join(found)


@pytest.mark.holds("J-15")
def test_a_server_that_joins_breaks_no_rule(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    every = bool(request.config.getoption("--slow"))
    with HubProcess(tmp_path / "hub") as hub, gate(browser, hub) as seen:
        seen.sign_in()
        dialog = seen.page.get_by_role("dialog")

        def made(here: Gate) -> None:
            here.open("/")
            here.page.get_by_role("button", name="One-line command").click()
            dialog.get_by_role("button", name="Create command").click()
            dialog.get_by_text("Using zsh or fish?").click()
            expect(dialog.get_by_label("Line that asks for the invite")).to_be_visible()

        def comes(_: Gate) -> None:
            expect(dialog.get_by_role("heading", name="The server is joining")).to_be_visible()

        def is_there(_: Gate) -> None:
            expect(dialog.get_by_role("button", name="Open node")).to_be_visible()

        found = sweep(seen, [("command made", made)], every=every)
        with Server(hub, dialog.get_by_label("Invite", exact=True).inner_text()) as server:
            found += sweep(seen, [("first", comes), ("server that joins", comes)], every=every)
            server.go_on.set()
            found += sweep(seen, [("server that is there", is_there)], every=True)
        found += sweep(seen, [("one node", at("/")), by_keys("/", "n")], every=every)
    assert not found, "\n".join(found)
