"""axe on every screen and every state, in both themes and both widths: no violation of WCAG 2.2 AA."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect

from tests.support.hub import PASSWORD, HubProcess
from tests.support.page.accounts import NEXT_PASSWORD, choose_password, password_step, settings, switch_on
from tests.support.page.answers import OLDER
from tests.support.page.deployments import asked_for_its_key, trusted
from tests.support.page.gate import HUB_AWAY, LOOKS, Gate, Screen, at, by_button, gate
from tests.support.ssh_server import SshServerThread
from tests.support.stage import Stage, staged

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

NODE_TABS = ("", "/measures", "/processes", "/hardware", "/services", "/packages", "/jobs", "/logs", "/events", "/settings")
SETTINGS_TABS = ("account", "users", "tokens", "joining", "history", "audit", "hub", "appearance")
Staged = tuple[HubProcess, Stage, dict[str, str]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    yield from staged(tmp_path_factory.mktemp("axe") / "hub")


def sweep(seen: Gate, screens: list[Screen], *, every: bool) -> list[str]:
    """Visit all screens, each in the next of the four looks, or in every one with `--slow`; returns what axe found, with where."""
    found = []
    for number, (name, go) in enumerate(screens):
        seen.look(LOOKS[0])
        try:
            go(seen)
        except (Error, AssertionError) as error:
            found.append(f"{name}: cannot be reached: {str(error)[:400]}")
            continue
        for look in LOOKS if every else [LOOKS[number % len(LOOKS)]]:
            seen.look(look)
            found += [f"{name} ({look}): {violation}" for violation in seen.axe()]
        found += [f"{name}: refused {refusal}" for refusal in seen.refused()]
    return found


def select_some(seen: Gate) -> None:
    seen.open("/")
    for name in ("web-01", "web-02"):
        seen.page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()


def order_for_some(seen: Gate) -> None:
    select_some(seen)
    seen.page.get_by_role("region", name="Selection").get_by_role("button", name="Run…").click()
    expect(seen.page.get_by_role("dialog")).to_be_visible()


def on_some(button: str) -> Callable[[Gate], None]:
    def go(seen: Gate) -> None:
        select_some(seen)
        seen.page.get_by_role("region", name="Selection").get_by_role("button", name=button).click()
        expect(seen.page.get_by_role("dialog")).to_be_visible()

    return go


def plan_an_upgrade(node: str) -> Screen:
    def go(seen: Gate) -> None:
        seen.open(f"/n/{node}")
        seen.page.get_by_role("button", name="Upgrade").first.click()
        seen.page.get_by_role("menuitem", name="Upgrade packages…").click()
        expect(seen.page.get_by_role("table", name="Planned changes")).to_be_visible()

    return "plan of an upgrade", go


def as_table(node: str) -> Callable[[Gate], None]:
    def go(seen: Gate) -> None:
        seen.open(f"/n/{node}")
        seen.page.get_by_role("figure", name="CPU").first.hover()
        seen.page.keyboard.press("v")
        expect(seen.page.get_by_role("region", name="CPU as table")).to_be_visible()

    return go


def menu_of_upgrades(node: str) -> Screen:
    def go(seen: Gate) -> None:
        seen.open(f"/n/{node}")
        seen.page.get_by_role("button", name="Upgrade").first.click()
        expect(seen.page.get_by_role("menu")).to_be_visible()

    return "menu of upgrades", go


def by_keys(path: str, *keys: str) -> Screen:
    def go(seen: Gate) -> None:
        seen.open(path)
        for key in keys:
            seen.page.keyboard.press(key)
        expect(seen.page.get_by_role("dialog")).to_be_visible()

    return " ".join(keys), go


def unreachable_server(seen: Gate) -> None:
    """A deployment that fails at its first step."""
    seen.open("/")
    seen.page.get_by_role("button", name="Add node").first.click()
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_label("Host name or IP").fill("127.0.0.1")
    dialog.get_by_label("Port").fill("9")
    dialog.get_by_label("SSH user").fill("root")
    dialog.get_by_role("button", name="Paste key").click()
    dialog.get_by_label("Private key text").fill("-----BEGIN OPENSSH PRIVATE KEY-----\nnone\n-----END OPENSSH PRIVATE KEY-----")


def one_line(seen: Gate) -> None:
    """A server that joins by itself."""
    seen.open("/")
    seen.page.get_by_role("button", name="Add node").first.click()
    seen.page.get_by_role("radio", name="One-line command").click()


def of_the_node(stage: Stage) -> list[Screen]:
    busy, gone, quiet, new, watched = (stage.ids[name] for name in ("db-01", "backup-hel", "build-02", "lab-07", "edge-hel"))
    return [
        *((f"node{tab}", at(f"/n/{busy}{tab}")) for tab in NODE_TABS),
        ("node, 24 h", at(f"/n/{busy}?range=24h")),
        ("node, as a table", as_table(busy)),
        ("offline node", at(f"/n/{gone}")),
        ("stale node", at(f"/n/{quiet}")),
        ("node that never came", at(f"/n/{new}")),
        ("node that is only watched", at(f"/n/{watched}")),
        ("no such node", at("/n/00000000000000000000000000")),
        menu_of_upgrades(busy),
        plan_an_upgrade(busy),
        ("removal", by_button(f"/n/{gone}/settings", "Remove")),
    ]


def wrong_filter(seen: Gate) -> None:
    seen.open("/?q=cpu>x")
    expect(seen.page.locator("#search-says")).not_to_have_text("cpu>x")  # which stands there until the words come


def of_the_fleet(stage: Stage) -> list[Screen]:
    return [
        ("fleet", at("/")),
        ("comparison", at(f"/compare?nodes={','.join(stage.ids[name] for name in ('web-01', 'web-02'))}")),
        ("cards", at("/?view=cards")),
        ("no match", at("/?q=nothing-fits")),
        ("a filter that is wrong", wrong_filter),
        ("filtered and sorted", at("/?q=tag%3Aprod&sort=-cpu")),
        ("groups", at("/?group=tag&closed=prod")),
        ("groups by state", at("/?group=state")),
        ("groups of cards", at("/?group=tag&view=cards")),
        ("selection", select_some),
        ("order for some", order_for_some),
        ("tags of some", on_some("Tag…")),
        ("removal of some", on_some("Remove…")),
        ("saved views", by_button("/?group=tag", "Save view…")),
        by_keys("/", "Control+k"),
        by_keys("/", "?"),
        ("add node", by_button("/", "Add node")),
        ("add node, filled", unreachable_server),
        ("add node by a command", one_line),
    ]


def first_update(seen: Gate) -> None:
    seen.open("/updates")
    seen.page.get_by_role("table", name="Packages").locator("[role=row][aria-rowindex='2']").click()
    expect(seen.page.get_by_role("button", name="Upgrade it on")).to_be_visible()


def of_the_rest(jobs: dict[str, str]) -> list[Screen]:
    return [
        ("jobs", at("/jobs")),
        ("deployments", at("/jobs?of=deployments")),
        ("updates", at("/updates")),
        *((f"job that {state}", at(f"/jobs/{jobs[state]}")) for state in ("succeeded", "failed", "running")),
        ("order for many", at(f"/batches/{jobs['batch']}")),
        ("jobs, none that match", at("/jobs?state=open&action=hold&by=me")),
        ("updates", first_update),
        ("updates by node", at("/updates?by=node")),
        ("updates, none that match", at("/updates?q=nothing-fits")),
        ("events", at("/events")),
        ("events, none that match", at("/events?q=nothing-fits&severity=error")),
        *((f"settings, {tab}", at(f"/settings/{tab}")) for tab in SETTINGS_TABS),
        ("change of the password", by_button("/settings/account", "Change password…")),
        ("second factor", by_button("/settings/account", "Set up…")),
        ("new user", by_button("/settings/users", "Add user")),
        ("new token", by_button("/settings/tokens", "New token")),
        ("no such page", at("/nowhere")),
    ]


@pytest.mark.holds("J-15")
@pytest.mark.parametrize("part", ["fleet", "node", "rest"])
def test_no_screen_of_a_full_fleet_breaks_a_rule(browser: Browser, world: Staged, part: str, request: pytest.FixtureRequest) -> None:
    hub, stage, jobs = world
    screens = {"fleet": of_the_fleet(stage), "node": of_the_node(stage), "rest": of_the_rest(jobs)}[part]
    with gate(browser, hub, expected=("404 (Not Found)",)) as seen:
        seen.sign_in()
        found = sweep(seen, screens, every=bool(request.config.getoption("--slow")))
    assert not found, "\n".join(found)


def wrong_password(seen: Gate) -> None:
    seen.page.goto(seen.hub.url)
    seen.page.get_by_label("User name").fill("admin")
    seen.page.get_by_label("Password", exact=True).fill("not this one")
    seen.page.get_by_role("button", name="Sign in").click()
    expect(seen.page.get_by_role("alert")).to_be_visible()


def first_password(seen: Gate) -> None:
    seen.page.goto(seen.hub.url)
    seen.page.get_by_label("User name").fill("admin")
    seen.page.get_by_label("Password", exact=True).fill("admin")
    seen.page.get_by_role("button", name="Sign in").click()
    expect(seen.page.get_by_label("Repeat password", exact=True)).to_be_visible()


def no_nodes_yet(seen: Gate) -> None:
    seen.page.get_by_label("New password", exact=True).fill(PASSWORD)
    seen.page.get_by_label("Repeat password", exact=True).fill(PASSWORD)
    seen.page.keyboard.press("Enter")
    expect(seen.page.get_by_text("No nodes yet")).to_be_visible()


WAY_IN: list[Screen] = [
    ("log-in", lambda seen: expect_sign_in(seen.page, seen.hub)),
    ("log-in, wrong", wrong_password),
    ("first password", first_password),
    ("no nodes yet", no_nodes_yet),
    ("no jobs yet", at("/jobs")),
    ("no deployments yet", at("/jobs?of=deployments")),
    ("events of an empty hub", at("/events")),
]


@pytest.mark.holds("J-15")
def test_the_way_in_and_an_empty_hub_break_no_rule(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with HubProcess(tmp_path / "hub", default_admin=True) as hub, gate(browser, hub, expected=HUB_AWAY) as seen:
        found = sweep(seen, WAY_IN, every=bool(request.config.getoption("--slow")))
        hub.slay()
        expect(seen.page.get_by_text("No connection to Ground Control")).to_be_visible()
        found += [f"hub lost: {violation}" for violation in seen.axe()]
    assert not found, "\n".join(found)


def expect_sign_in(page: Page, hub: HubProcess) -> None:
    page.goto(hub.url)
    expect(page.get_by_role("heading", name=re.compile("Sign in"))).to_be_visible()


def refused_at_the_door(seen: Gate) -> None:
    trusted(seen)
    expect(seen.page.locator(".failure").get_by_role("textbox", name="SSH password")).to_be_visible()


def another_key(end: SshServerThread) -> Callable[[Gate], None]:
    def go(seen: Gate) -> None:
        end.another_key()
        seen.page.locator(".failure").get_by_role("textbox", name="SSH password").fill("another")
        seen.page.locator(".failure").get_by_role("button", name="Retry").click()
        expect(seen.page.locator(".failure")).to_contain_text("somebody is in between")

    return go


@pytest.mark.holds("J-15")
def test_what_is_asked_on_the_way_to_a_server_breaks_no_rule(browser: Browser, world: Staged, request: pytest.FixtureRequest) -> None:
    hub, _, _ = world
    with SshServerThread() as end, gate(browser, hub) as seen:
        seen.sign_in()
        screens: list[Screen] = [
            ("host key question", asked_for_its_key(end, "wrong")),
            ("sign-in refused", refused_at_the_door),
            ("changed host key", another_key(end)),
            ("host key question again", asked_for_its_key(end, "right")),
            ("deployment steps", trusted),
        ]
        found = sweep(seen, screens, every=bool(request.config.getoption("--slow")))
    assert not found, "\n".join(found)


def second_factor_asked(seen: Gate) -> None:
    password_step(seen.page, seen.hub, "grace", NEXT_PASSWORD)
    expect(seen.page.get_by_label("6-digit code")).to_be_focused()


def recovery_code_asked(seen: Gate) -> None:
    seen.page.get_by_role("button", name="Use a recovery code").click()
    expect(seen.page.get_by_label("Recovery code")).to_be_visible()


def newer_build(seen: Gate) -> None:
    seen.page.add_init_script(OLDER)
    seen.open("/")
    expect(seen.page.get_by_text("A new version of this page is ready")).to_be_visible()


@pytest.mark.holds("J-15")
def test_a_viewer_with_a_second_factor_meets_no_broken_rule(browser: Browser, world: Staged, request: pytest.FixtureRequest) -> None:
    hub, _, _ = world
    every = bool(request.config.getoption("--slow"))
    made = hub.local("POST", "/api/v1/users", {"username": "grace", "role": "viewer"}).json
    with gate(browser, hub) as seen:
        choose_password(seen.page, hub, "grace", made["password"])
        expect(seen.page.get_by_role("table", name="Nodes")).to_be_visible()
        settings(seen.page)
        switch_on(seen.page)
        no_leave: list[Screen] = [
            ("no permission", at("/settings/users")),
            ("fleet of a viewer", at("/")),
            ("node of a viewer", at(f"/n/{world[1].ids['db-01']}/settings")),
            ("a newer build", newer_build),
        ]
        found = sweep(seen, no_leave, every=every)
    with gate(browser, hub) as seen:
        found += sweep(seen, [("second factor asked", second_factor_asked), ("recovery code asked", recovery_code_asked)], every=True)
    assert not found, "\n".join(found)
