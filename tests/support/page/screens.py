"""Every screen of a full fleet, and temporary states of the page, each with the steps that lead to it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

from playwright.sync_api import Error, Locator, Page, Route, expect

from tests.support.hub import PASSWORD, HubProcess
from tests.support.page.accounts import NEXT_PASSWORD, password_step
from tests.support.page.answers import OLDER, Wire
from tests.support.page.deployments import trusted
from tests.support.page.gate import DESKTOP, LOOKS, At, Gate, Look, Screen, at, by_button
from tests.support.page.words import Reader
from tests.support.ssh_server import SshServerThread
from tests.support.stage import Stage

NODE_TABS = (
    "",
    "/measures",
    "/processes",
    "/hardware",
    "/services",
    "/packages",
    "/jobs",
    "/logs",
    "/events",
    "/changes",
    "/rules",
    "/settings",
)
SETTINGS_TABS = ("account", "users", "tokens", "joining", "history", "policies", "audit", "hub", "sso", "appearance")
Go = Callable[[Gate], None]
KINDS = frozenset(
    [
        "cards",
        "comparison",
        "groups",
        "selection",
        "order for some",
        "Control+k",
        "add node, filled",
        "menu of package actions",
        "plan of an upgrade",
        "removal",
        "updates",
        "patch policy with its preview",
        "new user",
        "a note with a way back",
        "chart under the pointer",
        "role and nodes of a user",
        "form with faults",
        "token, shown once",
        "a refusal in a dialog",
        "jobs that cannot be read",
        "jobs that are waited for",
        "new organisation",
        "provider changed",
    ]
)
"""Screens without a path of their own, or with a query in it, that are checked without --slow, too: one or two of each kind of state."""


def looks(name: str, *, every: bool) -> tuple[Look, ...]:
    """The looks (themes and sizes) in which a screen is checked: all four, or the one that its name decides."""
    return LOOKS if every else (LOOKS[zlib.crc32(name.encode()) % len(LOOKS)],)


def sweep(seen: Gate, screens: list[Screen], *, every: bool, reader: Reader | None = None, in_any_order: bool = False) -> list[str]:
    """Visit all screens. Returns: what axe found and what the CSP refused, each with the name of its screen.

    A screen with a path is opened in the size in which it is checked, any other one in the wide size, which has all buttons.

    Args:
        every: whether each screen is checked in all looks, its colours, too.
        reader: notes the texts of each screen.
        in_any_order: no screen needs what an earlier one did, so those of one look are visited in a row, and the page walks from each to the
            next. Of those without a path or with a query, only KINDS are visited unless `every`.
    """
    found = []
    seen.load_axe()
    seen.walks = seen.walks or in_any_order
    if in_any_order and not every:
        screens = [(name, go) for name, go in screens if (isinstance(go, At) and "?" not in go.path) or name in KINDS]
    for name, go in sorted(screens, key=lambda screen: _place(screen, every=every)) if in_any_order else screens:
        chosen = looks(name, every=every)
        _look(seen, chosen[0] if isinstance(go, At) else Look(chosen[0].scheme, DESKTOP))
        seen.page.unroute_all()  # those of the screen before: the hub answers again
        try:
            go(seen)
        except (Error, AssertionError) as error:
            found.append(f"{name}: cannot be reached: {str(error)[:400]}")
            continue
        for look in chosen:
            _look(seen, look)
            if reader is not None:
                reader.read(f"{name} ({look})")
            found += [f"{name} ({look}): {violation}" for violation in seen.axe(contrast=every)]
        found += [f"{name}: refused {refusal}" for refusal in seen.refused()]
    return found


def _look(seen: Gate, look: Look) -> None:
    """Change the look, unless the page already has it: each change is a new layout of the whole page."""
    if seen.looked_at != look:
        seen.look(look)


def _place(screen: Screen, *, every: bool) -> tuple[int, bool]:
    name, go = screen
    return LOOKS.index(looks(name, every=every)[0]), not isinstance(go, At)


def select_some(seen: Gate) -> None:
    seen.load("/")  # a page that walks on would keep the selection
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
        seen.page.get_by_role("button", name="More package actions").click()
        expect(seen.page.get_by_role("menu")).to_be_visible()

    return "menu of package actions", go


def by_keys(path: str, *keys: str) -> Screen:
    def go(seen: Gate) -> None:
        seen.open(path)
        for key in keys:
            seen.page.keyboard.press(key)
        expect(seen.page.get_by_role("dialog")).to_be_visible()

    return " ".join(keys), go


def unreachable_server(seen: Gate) -> None:
    """The filled form for a deployment that would fail at its first step."""
    seen.open("/")
    seen.page.get_by_role("button", name="Add node").first.click()
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_label("Host name or IP").fill("127.0.0.1")
    dialog.get_by_label("Port").fill("9")
    dialog.get_by_label("SSH user").fill("root")
    dialog.get_by_role("button", name="Paste key").click()
    dialog.get_by_label("Private key text").fill("-----BEGIN OPENSSH PRIVATE KEY-----\nnone\n-----END OPENSSH PRIVATE KEY-----")


def one_line(seen: Gate) -> None:
    """The form for the one-line command, by which a server joins."""
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
    seen.open("/?q=cpu%3Ex")
    expect(seen.page.locator("#search-says")).not_to_have_text("cpu>x")  # a placeholder until the texts arrive


def of_the_fleet(stage: Stage) -> list[Screen]:
    return [
        ("fleet", at("/")),
        ("comparison", at(f"/compare?nodes={','.join(stage.ids[name] for name in ('web-01', 'web-02'))}")),
        ("cards", at("/?view=cards")),
        ("no match", at("/?q=nothing-fits")),
        ("a filter that is wrong", wrong_filter),
        ("filtered and sorted", at("/?q=tag%3Aprod&sort=-cpu")),
        ("groups", at("/?group=tag&closed=prod")),
        ("groups of cards", at("/?group=tag&view=cards")),
        ("selection", select_some),
        ("order for some", order_for_some),
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


def new_policy(seen: Gate) -> None:
    seen.open("/patch-policies/new")
    seen.page.get_by_label("Name").fill("Security")
    expect(seen.page.get_by_role("complementary", name="Preview")).to_contain_text("Next dates")


def of_the_rest(jobs: dict[str, str]) -> list[Screen]:
    return [
        ("jobs", at("/jobs")),
        ("deployments", at("/jobs?of=deployments")),
        *((f"job that {state}", at(f"/jobs/{jobs[state]}")) for state in ("succeeded", "failed", "running")),
        ("order for many", at(f"/batches/{jobs['batch']}")),
        ("jobs, none that match", at("/jobs?state=open&action=hold&by=me")),
        ("updates", first_update),
        ("updates by node", at("/updates?by=node")),
        ("updates, none that match", at("/updates?q=nothing-fits")),
        ("roll-outs", at("/rollouts")),
        ("patch policies", at("/rollouts/policies")),
        ("calendar of patching", at("/rollouts/calendar")),
        ("window", by_button("/rollouts/calendar", "Add window")),
        ("patch status", at("/rollouts/status")),
        ("patch policy with its preview", new_policy),
        ("events", at("/events")),
        ("events, none that match", at("/events?q=nothing-fits&severity=error")),
        *((f"settings, {tab}", at(f"/settings/{tab}")) for tab in SETTINGS_TABS),
        ("new user", by_button("/settings/users", "Add user")),
        ("new token", by_button("/settings/tokens", "New token")),
        ("no such page", at("/nowhere")),
    ]


def expect_sign_in(page: Page, hub: HubProcess) -> None:
    page.goto(hub.url)
    expect(page.get_by_role("heading", name=re.compile("Sign in"))).to_be_visible()


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


def refused_at_the_door(seen: Gate) -> None:
    trusted(seen)
    expect(seen.page.locator(".failure").get_by_role("textbox", name="SSH password")).to_be_visible()


def another_key(end: SshServerThread) -> Callable[[Gate], None]:
    def go(seen: Gate) -> None:
        end.another_key()
        seen.page.locator(".failure").get_by_role("textbox", name="SSH password").fill("another")
        seen.page.locator(".failure").get_by_role("button", name="Retry").click()
        expect(seen.page.locator(".failure")).to_contain_text("somebody intercepts the connection")

    return go


def second_factor_asked(seen: Gate) -> None:
    password_step(seen.page, seen.hub, "alan", NEXT_PASSWORD)
    expect(seen.page.get_by_label("6-digit code")).to_be_focused()


def recovery_code_asked(seen: Gate) -> None:
    seen.page.get_by_role("button", name="Use a recovery code").click()
    expect(seen.page.get_by_label("Recovery code")).to_be_visible()


def newer_build(seen: Gate) -> None:
    seen.page.add_init_script(OLDER)
    seen.load("/")
    expect(seen.page.get_by_text("A new version of this page is ready")).to_be_visible()


def dialog_by(path: str, *names: str | re.Pattern[str]) -> Go:
    """The steps to a dialog behind a path, buttons and entries of menus."""

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
    """The steps to a screen at which the hub refuses requests. `seen_as`: a text that the page then shows."""

    def refuse(route: Route) -> None:
        problem = {"type": "", "title": "", "status": status, "detail": "The database is locked.", "code": code, "instance": "req-7f31c"}
        route.fulfill(status=status, content_type="application/problem+json", json=problem)

    def go(seen: Gate) -> None:
        seen.page.route(re.compile(pattern), refuse)
        seen.open(path)
        expect(seen.page.get_by_text(seen_as).first).to_be_visible()

    return go


def given(pattern: str, path: str, answer: object, seen_as: str) -> Go:
    """The steps to a screen for which the hub gives this answer. `seen_as`: a text that the page then shows."""

    def go(seen: Gate) -> None:
        seen.page.route(re.compile(pattern), lambda route: route.fulfill(json=answer))
        reads(path, seen_as)(seen)

    return go


def reads(path: str, seen_as: str) -> Go:
    """The steps to a screen that shows a text in the end."""

    def go(seen: Gate) -> None:
        seen.load(path)
        expect(seen.page.get_by_text(seen_as).first).to_be_visible()

    return go


def waits(pattern: str, path: str) -> Go:
    """The steps to a screen at which the hub does not answer, so that the page shows a placeholder."""

    def go(seen: Gate) -> None:
        seen.page.route(re.compile(pattern), lambda _: None)
        seen.load(path)
        expect(seen.page.locator(".skeleton").first).to_be_visible()

    return go


def into_palette(page: Page, text: str) -> None:
    """Open the palette and type a text once its field has the focus. The page loads the palette when it is first opened."""
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
    """A toast with an undo button, after a saved view was removed."""
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
    form = seen.page.get_by_role("region", name="Retention")
    form.get_by_label("Per second").fill("40 d")
    expect(form.get_by_text("At least as long as for the finer samples above.")).to_be_visible()


def shorter_retention(seen: Gate) -> None:
    seen.open("/settings/history")
    form = seen.page.get_by_role("region", name="Retention")
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
        ("packages to remove", dialog_by(node, "More package actions", "Remove…")),
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
        ("retention that deletes, asked about", retention_asked_about),
        ("a refusal in a dialog", change_refused(500, "internal", refusal)),
        ("the password once more", change_refused(403, "auth.step_up_required", question)),
        ("jobs that cannot be read", answered(r"/api/v1/jobs\?", "/jobs", 500, "internal", "The jobs could not be read")),
        ("history that cannot be read", answered(r"/history\?", f"{node}?range=24h", 500, "internal", "History could not be read.")),
        ("jobs that are waited for", waits(r"/api/v1/jobs\?", "/jobs")),
    ]


def of_the_organisations() -> list[Screen]:
    """The pages of organisations, members and single sign-on, on a hub with a second organisation, Blue Team, and a provider, Company."""
    panel, members, sso = "/settings/organisations", "/settings/members", "/settings/sso"
    return [
        ("organisations", at(panel)),
        ("menu of an organisation", menu_by(panel, "Actions for Blue Team")),
        ("new organisation", dialog_by(panel, "Add organisation")),
        ("name and quota", dialog_by(panel, "Actions for Blue Team", "Name and quota…")),
        ("look inside", dialog_by(panel, "Actions for Blue Team", "Look inside…")),
        ("organisation deleted", dialog_by(panel, "Actions for Blue Team", "Delete…")),
        ("new admin of the hub", dialog_by(panel, "Add admin of the hub")),
        ("admin of the hub removed", dialog_by(panel, "Remove admin from the admins of the hub")),
        ("members with an open offer", at(members)),
        ("membership offered", dialog_by(members, "Offer membership")),
        ("role of a member", dialog_by(members, "Edit role and nodes of admin")),
        ("member removed", dialog_by(members, "Remove admin")),
        ("provider that does not answer", at(sso)),
        ("provider changed", dialog_by(sso, "Edit…")),
        ("provider removed", dialog_by(sso, "Remove…")),
        ("no provider", given(r"/oidc/providers$", sso, {"providers": []}, "No provider")),
        ("account with an offer and a provider", at("/settings/account")),
        ("signed out", at("/signed-out")),
        ("refused by a provider", reads("/oidc?error=access_denied&state=none", "Not signed in")),
        ("organisations that cannot be read", answered(r"/api/v1/organisations$", panel, 500, "internal", "The organisations could not be read")),
        ("members that the role may not see", answered(r"/api/v1/members\?", members, 403, "auth.forbidden", "Your role does not allow this")),
        ("providers that are waited for", waits(r"/oidc/providers$", sso)),
    ]  # fmt: skip


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


def lost(path: str) -> Go:
    def go(seen: Gate) -> None:
        wire = Wire(seen.page)
        seen.load(path)
        expect(seen.page.get_by_text("Live · 1 s")).to_be_attached()
        wire.lose()
        expect(seen.page.get_by_text("No connection to Ground Control")).to_be_visible()

    return go
