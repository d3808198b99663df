"""axe on every screen and state, in both themes and both widths: no violation of WCAG 2.2 AA.

With --slow the same visit checks the translations: in a language that marks each message, all unmarked text comes from the hub. The usual run
leaves that to the words of the sources (`scripts/capsule.py check`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.hub import ROOT, HubProcess
from tests.support.page.accounts import choose_password, settings, switch_on
from tests.support.page.deployments import Server, asked_for_its_key, trusted
from tests.support.page.gate import DESKTOP, HUB_AWAY, LOOKS, Gate, Screen, at, gate, log_in
from tests.support.page.screens import (
    WAY_IN,
    account_on_a_phone,
    another_key,
    by_keys,
    expect_sign_in,
    given,
    locked,
    lost,
    newer_build,
    of_the_fleet,
    of_the_node,
    of_the_organisations,
    of_the_page,
    of_the_rest,
    reads,
    recovery_code_asked,
    refused_at_the_door,
    second_factor_asked,
    sweep,
)
from tests.support.page.words import Reader, marked_language
from tests.support.ssh_server import SshServerThread
from tests.support.stage import Stage, staged

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

NO_PASSKEYS = {
    "passkeys": [{"id": "0" * 26, "name": "my laptop", "host": "hub.example", "created_at": 1.0, "used_at": None, "usable": False}],
    "unavailable": "browsers allow passkeys only under a host name, and this hub's address is 192.0.2.7: give it one with --server-url",
    "host": "192.0.2.7",
}
"""What a hub says whose address has become one without a name."""
STYLES = ROOT / "capsule/src/styles"
INKS = ("text", "text-2", "text-3", "accent-t", "ok", "warn", "crit")
SURFACES = ("bg", "side-bg", "surface", "inset", "hover", "accent-bg", "ok-bg", "warn-bg", "crit-bg")
ON_THEIRS = {
    "accent": ("on-accent",),
    "accent-h": ("on-accent",),
    "term-bg": ("term-fg", "t-green", "t-yellow", "t-red", "t-blue", "t-mag", "t-dim"),
}
"""Surface -> the inks that stand on it alone."""
AA = 4.5
"""What text must have, WCAG 1.4.3."""
Staged = tuple[HubProcess, Stage, dict[str, str]]
Part = Callable[[Staged], list[Screen]]
PARTS: dict[str, Part] = {
    "fleet": lambda world: of_the_fleet(world[1]),
    "node": lambda world: of_the_node(world[1]),
    "rest": lambda world: of_the_rest(world[2]),
    "states": lambda world: of_the_page(world[1], world[2]),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    yield from staged(tmp_path_factory.mktemp("axe") / "hub")


@pytest.fixture(scope="module")
def marked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of the marked language with --slow, else none: it takes another build of the page."""
    return marked_language(tmp_path_factory.mktemp("words")) if request.config.getoption("--slow") else ""


def reader_of(seen: Gate, marked: str) -> Reader | None:
    return Reader(seen, marked) if marked else None


def unsaid(reader: Reader | None, *, least: int = 0) -> list[str]:
    """The texts without a mark. Raises: AssertionError: fewer than `least` texts have one."""
    if reader is None:
        return []
    assert reader.said > least
    return reader.unsaid()


def light_of(colour: str) -> float:
    """Its relative luminance, WCAG 2.2."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return sum(
        share * (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)
        for share, part in ((0.2126, red), (0.7152, green), (0.0722, blue))
    )


@pytest.mark.holds("J-15")
def test_every_ink_can_be_read_on_every_surface_of_both_themes() -> None:
    """What axe looks for in the drawn page with --slow alone: here in what the page draws with."""
    tokens = (STYLES / "tokens.css").read_text()
    light, dark = (
        dict(re.findall(r"--([\w-]+):(#[0-9a-f]{6})\b", tokens[tokens.index(theme) :].partition("}")[0]))
        for theme in (":root{", "[data-theme=dark]{")
    )
    pairs = [(ink, surface) for surface in SURFACES for ink in INKS] + [
        (ink, surface) for surface, inks in ON_THEIRS.items() for ink in inks
    ]
    for theme in (light, light | dark):
        for ink, surface in pairs:
            low, high = sorted(light_of(theme[name]) for name in (ink, surface))
            assert (high + 0.05) / (low + 0.05) >= AA, (ink, surface, theme[ink], theme[surface])
    written = {ink for file in STYLES.glob("*.css") for ink in re.findall(r"(?<![-\w])color:\s*([^;}!]+?)\s*[;}!]", file.read_text())}
    named = {f"var(--{ink})" for ink in (*INKS, *(ink for inks in ON_THEIRS.values() for ink in inks))}
    assert written - named <= {"inherit", "transparent", "#fff", "#000"}, "text has one of these inks"


@pytest.mark.holds("J-15")
@pytest.mark.parametrize("part", PARTS)
def test_a_full_fleet_passes_axe(browser: Browser, world: Staged, marked: str, part: str, *, every: bool) -> None:
    hub = world[0]
    if part == "states":
        assert hub.local("POST", "/api/v1/users", {"username": "grace", "role": "viewer"}).status == 201
    with gate(browser, hub, expected=("404 (Not Found)", "500 (Internal", "403 (Forbidden)")) as seen:
        reader = reader_of(seen, marked)
        log_in(seen.page, seen.hub)
        found = sweep(seen, PARTS[part](world), every=every, reader=reader, in_any_order=True)
    found += unsaid(reader, least=1000)
    assert not found, "\n".join(found)


@pytest.mark.holds("J-15")
def test_the_log_in_and_an_empty_hub_pass_axe(browser: Browser, tmp_path: Path, marked: str, *, every: bool) -> None:
    with HubProcess(tmp_path / "hub", default_admin=True) as hub, gate(browser, hub, expected=HUB_AWAY) as seen:
        reader = reader_of(seen, marked)
        found = sweep(seen, WAY_IN, every=every, reader=reader)
        seen.page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]  # a TypedDict in disguise
        hub.slay()
        expect(seen.page.get_by_text("No connection to Ground Control")).to_be_visible()
        if reader is not None:
            reader.read("hub lost")
        found += [f"hub lost: {violation}" for violation in seen.axe()]
    found += unsaid(reader, least=100)
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.holds("J-15")
def test_the_dialogs_of_a_deployment_pass_axe(browser: Browser, world: Staged, marked: str, *, every: bool) -> None:
    with SshServerThread() as end, gate(browser, world[0]) as seen:
        reader = reader_of(seen, marked)
        log_in(seen.page, seen.hub)
        screens: list[Screen] = [
            ("host key question", asked_for_its_key(end, "wrong")),
            ("sign-in refused", refused_at_the_door),
            ("changed host key", another_key(end)),
            ("host key question again", asked_for_its_key(end, "right")),
            ("deployment steps", trusted),
        ]
        found = sweep(seen, screens, every=every, reader=reader)
    found += unsaid(reader)
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.holds("J-15")
def test_the_pages_of_a_viewer_with_a_second_factor_pass_axe(browser: Browser, world: Staged, marked: str, *, every: bool) -> None:
    hub, stage, _ = world
    made = hub.local("POST", "/api/v1/users", {"username": "alan", "role": "viewer"}).json
    with gate(browser, hub) as seen:
        reader = reader_of(seen, marked)
        choose_password(seen.page, hub, "alan", made["password"])
        expect(seen.page.get_by_role("table", name="Nodes")).to_be_visible()
        settings(seen.page)
        switch_on(seen.page)
        seen.walks = True
        no_leave: list[Screen] = [
            ("a second factor", at("/settings/account")),
            ("passkeys under an address", given(r"/auth/passkeys$", "/settings/account", NO_PASSKEYS, "Browsers allow passkeys only")),
            ("no permission", at("/settings/users")),
            ("fleet of a viewer", at("/")),
            ("node of a viewer", at(f"/n/{stage.ids['db-01']}/settings")),
            ("a newer build", newer_build),
        ]
        found = sweep(seen, no_leave, every=every, reader=reader)
    with gate(browser, hub) as seen:
        again = reader_of(seen, marked)
        asked: list[Screen] = [("second factor asked", second_factor_asked), ("recovery code asked", recovery_code_asked)]
        found += sweep(seen, asked, every=every, reader=again)
    found += unsaid(reader) + unsaid(again)
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_a_text_without_a_mark_is_found(browser: Browser, tmp_path: Path, marked: str) -> None:
    with HubProcess(tmp_path / "hub", default_admin=True) as hub, gate(browser, hub) as seen:
        reader = Reader(seen, marked)
        expect_sign_in(seen.page, hub)
        seen.page.evaluate(
            "() => { const one = document.createElement('p'); one.textContent = 'Nobody said this'; document.body.append(one); }"
        )
        seen.page.get_by_role("button", name="Sign in").evaluate("one => one.setAttribute('aria-label', one.textContent + ' at once')")
        reader.read("log-in")
    assert reader.unsaid() == ["log-in: text: 'Nobody said this'", "log-in: aria-label: 'at once'"]


@pytest.mark.slow
@pytest.mark.holds("J-15")
def test_a_phones_menu_a_locked_log_in_and_a_lost_hub_pass_axe(browser: Browser, world: Staged, *, every: bool) -> None:
    hub, stage, _ = world
    found = []
    with gate(browser, hub, expected=("502 (Bad Gateway)", "429 (Too Many")) as seen:
        log_in(seen.page, seen.hub)
        account_on_a_phone(seen)
        found += [f"account on a phone: {one}" for one in seen.axe(contrast=every)]
        seen.look(LOOKS[0])
        found += sweep(seen, [("fleet without a hub", lost("/"))], every=every)
    with gate(browser, hub, expected=("502 (Bad Gateway)",)) as seen:
        log_in(seen.page, seen.hub)
        found += sweep(seen, [("node without a hub", lost(f"/n/{stage.ids['db-01']}"))], every=every)
    with gate(browser, hub, expected=("429 (Too Many",)) as seen:
        found += sweep(seen, [("log-in", lambda here: expect_sign_in(here.page, here.hub)), ("locked", locked)], every=every)
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.holds("J-15")
def test_a_joining_server_passes_axe(browser: Browser, tmp_path: Path, *, every: bool) -> None:
    with HubProcess(tmp_path / "hub") as hub, gate(browser, hub) as seen:
        log_in(seen.page, seen.hub)
        dialog = seen.page.get_by_role("dialog")

        def made(here: Gate) -> None:
            here.open("/")
            here.page.get_by_role("button", name="One-line command").click()
            dialog.get_by_role("button", name="Create command").click()
            dialog.get_by_text("Compare the script").click()
            expect(dialog.get_by_label("Line that asks for the invite")).to_be_visible()

        def comes(_: Gate) -> None:
            expect(dialog.get_by_role("heading", name="The server is joining")).to_be_visible()

        def is_there(_: Gate) -> None:
            expect(dialog.get_by_role("button", name="Open node")).to_be_visible()

        found = sweep(seen, [("command made", made)], every=every)
        with Server(hub, dialog.get_by_label("Invite", exact=True).inner_text()) as server:
            found += sweep(seen, [("first", comes), ("server that joins", comes)], every=every)
            server.go_on.set()
            found += sweep(seen, [("server that is there", is_there)], every=every)
        found += sweep(seen, [("one node", at("/")), by_keys("/", "n")], every=every)
    assert not found, "\n".join(found)


@pytest.mark.holds("J-15")
def test_the_pages_of_organisations_and_of_single_sign_on_pass_axe(browser: Browser, tmp_path: Path, marked: str, *, every: bool) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        provider = {"name": "company", "title": "Company", "issuer": "http://127.0.0.1:9", "client_id": "stardust", "create_accounts": True}
        row = {"claim": "groups", "value": "ops", "organisation": "blue", "role": "viewer", "grants": {"tags": ["web"]}}
        for path, body, slug, status in (
            ("organisations", {"slug": "blue", "name": "Blue Team", "node_quota": 5, "first_admin": "eve"}, "default", 201),
            ("auth/oidc/providers", {**provider, "groups": [row]}, "default", 201),
            ("auth/oidc/providers/company/check", None, "default", 503),
            ("members", {"username": "admin", "role": "operator"}, "blue", 204),
            ("members", {"username": "ada@example.com", "provider": "company"}, "default", 204),
        ):
            assert hub.local("POST", f"/api/v1/{path}", body, {"Stardust-Organisation": slug}).status == status, path
        with gate(browser, hub, expected=("404 (Not Found)", "500 (Internal", "403 (Forbidden)")) as seen:
            reader = reader_of(seen, marked)
            asks: list[Screen] = [("a provider at the log-in", reads("/", "Company (did not answer just now)"))]
            found = sweep(seen, asks, every=every, reader=reader)
            log_in(seen.page, seen.hub)
            found += sweep(seen, of_the_organisations(), every=every, reader=reader, in_any_order=True)
        with gate(browser, hub, expected=("502 (Bad Gateway)",)) as seen:
            log_in(seen.page, seen.hub)
            found += sweep(seen, [("organisations without a hub", lost("/settings/organisations"))], every=every)
    found += unsaid(reader)
    assert not found, "\n".join(found)
