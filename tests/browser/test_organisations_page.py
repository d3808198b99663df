"""A second organisation in a real browser: made, joined through a certified provider and by an offer, left, suspended and deleted.

Pictures of each step, in both themes and on a phone, go into the folder that STARDUST_PICTURES names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.agent import SpiderProcess
from tests.support.certified_provider import CLIENT, SECRET, CertifiedProvider, running_provider
from tests.support.eventually import wait_until
from tests.support.hub import Enrolled, HubProcess
from tests.support.page.accounts import choose_password, keep, settings, sign_in
from tests.support.page.gate import DESKTOP, PATIENCE_MS, PHONE, axe_on
from tests.support.page.phone import not_wider
from tests.support.traces import files_with, number_of, owned_tables, sample_tables

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LAPTOP = {"width": 1280, "height": 800}
BLUE = {"Stardust-Organisation": "blue-team"}
KEYS = ("session_key", "launch_key")
Fits = Callable[[Page, str], None]
CANARIES = ("canary-server", "canary-tag", "canary-invite", "canary-channel", "canary-receiver", "canary-mail")
"""Words that the organisation brings into the hub."""
ASK = """async () => {
    const answer = await fetch('/api/v1/nodes', {headers: {'stardust-organisation': 'blue-team'}});
    return [answer.status, (await answer.json()).code];
}"""


@pytest.fixture
def provider(hub: HubProcess, tmp_path: Path) -> Iterator[CertifiedProvider]:
    with running_provider(hub, tmp_path) as made:
        yield made


@pytest.fixture
def fits(*, every: bool) -> Fits:
    """A check of each step, with --slow or for pictures: nothing is wider than the screen, and axe finds nothing.

    axe does not look at colours here, so one theme and size is enough for it.
    """
    folder = os.environ.get("STARDUST_PICTURES")

    def look(page: Page, step: str) -> None:
        for theme, size in (("light", PHONE), ("light", LAPTOP), ("dark", DESKTOP)):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # a literal
            page.set_viewport_size(size)  # type: ignore[arg-type]  # a TypedDict in disguise
            not_wider(page)
            if size is PHONE:
                assert axe_on(page) == [], f"{step}, {theme}"
            if folder:
                page.screenshot(path=f"{folder}/{step}-{theme}-{size['width']}.png", full_page=True)

    return look if every or folder else lambda _page, _step: None


def act(page: Page, of: str, item: str) -> None:
    page.get_by_role("button", name=f"Actions for {of}").click()
    page.get_by_role("menuitem", name=item).click()


def through_the_provider(page: Page, origin: str) -> None:
    """From the hub's sign-in form to the provider and back."""
    page.goto(origin)
    page.get_by_role("button", name="Sign in with Company").click()
    page.get_by_label("Account").fill("ada-1")
    page.get_by_role("button", name="Go on").click()


def sign_out(page: Page) -> None:
    """Out here and at the provider."""
    page.get_by_role("navigation", name="Main", exact=True).get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()


def row_of_groups(dialog: Locator, number: int, value: str, organisation: str, role: str) -> None:
    dialog.get_by_role("button", name="Add row").click()
    dialog.get_by_label("Value").nth(number).fill(value)
    dialog.get_by_label("Organisation").nth(number).fill(organisation)
    dialog.get_by_label("Role").nth(number).select_option(role)


@pytest.mark.slow
@pytest.mark.holds("SAFETY-108", "SAFETY-109")
@pytest.mark.refusals("401", "403", "404", "409")  # among them: the last admin of the hub stays
def test_t33_t34_a_second_organisation_from_its_creation_to_its_deletion(
    page: Page, hub: HubProcess, browser: Browser, provider: CertifiedProvider, tmp_path: Path, fits: Fits
) -> None:
    origin = hub.local("GET", "/api/v1/local/page").json["address"]
    sign_in(page, hub, at="/settings/account")
    expect(page.get_by_role("tab", name="Members")).to_have_count(0)
    expect(page.get_by_role("combobox", name="Organisation")).to_have_count(0)
    settings(page, "Organisations")
    expect(page.get_by_role("list", name="Organisations").get_by_role("listitem")).to_have_count(1)

    # the second organisation
    page.get_by_role("button", name="Add organisation").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("Blue Team")
    expect(dialog.get_by_label("Short name")).to_have_value("blue-team")
    dialog.get_by_label("Most servers").fill("5")
    fits(page, "1-add")
    dialog.get_by_role("button", name="Add organisation").click()
    rows = page.get_by_role("list", name="Organisations").get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("0 of at most 5 servers · 1 member")
    switch = page.get_by_role("combobox", name="Organisation")
    expect(switch).to_be_visible()
    fits(page, "2-organisations")

    # another admin of the hub changes it while the form is open
    act(page, "Blue Team", "Name and quota…")
    (blue,) = (one for one in hub.local("GET", "/api/v1/organisations").json["organisations"] if one["slug"] == "blue-team")
    assert hub.local("PATCH", "/api/v1/organisations/blue-team", {"version": blue["version"], "node_quota": 6}).status == 200
    dialog.get_by_label("Name", exact=True).fill("Blue Crew")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Most servers: 5 → 6")
    expect(dialog.get_by_role("alert")).to_contain_text("Name: Blue Team → Blue Crew")
    fits(page, "2-met")
    dialog.get_by_role("button", name="Take theirs").click()
    expect(dialog.get_by_role("alert")).to_have_count(0)
    expect(dialog.get_by_label("Name", exact=True)).to_have_value("Blue Team")
    dialog.get_by_role("button", name="Save").click()
    expect(rows.nth(1)).to_contain_text("0 of at most 6 servers")

    # the admins of the hub, and what they did
    admins = page.get_by_role("region", name="Admins of the hub")
    expect(admins.get_by_role("listitem")).to_have_count(1)
    admins.get_by_role("button", name="Remove admin from the admins of the hub").click()
    dialog.get_by_role("textbox").fill("admin")
    dialog.get_by_role("button", name="Remove admin of the hub").click()
    expect(dialog.get_by_role("alert")).to_be_visible()  # the last one stays
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("region", name="Audit of the hub")).to_contain_text("admin")

    # its provider, with a group in each organisation
    settings(page, "Single sign-on")
    page.get_by_role("button", name="Add provider").click()
    for label, text in (
        ("Name", "company"), ("Title", "Company"), ("Issuer", provider.issuer), ("Client id", CLIENT), ("Client secret", SECRET),
        ("Scopes", "openid profile email groups"),
    ):  # fmt: skip
        dialog.get_by_label(label, exact=True).fill(text)
    row_of_groups(dialog, 0, "blue", "blue-team", "operator")
    dialog.get_by_label("Nodes").nth(0).select_option("some")
    dialog.get_by_label("Tags", exact=True).fill("canary-tag")
    row_of_groups(dialog, 1, "red", "default", "viewer")
    dialog.get_by_text("Create an account for an unknown user").click()
    fits(page, "3-provider")
    dialog.get_by_role("button", name="Add provider").click()
    groups = page.get_by_role("list", name="Groups").get_by_role("listitem")
    expect(groups.nth(0)).to_contain_text("Operator in blue-team · tag canary-tag")
    page.get_by_role("button", name="Edit…").click()
    (read,) = hub.local("GET", "/api/v1/auth/oidc/providers").json["providers"]
    theirs = {"version": read["version"], "scopes": ["openid"], "title": "Company Ltd"}
    assert hub.local("PATCH", "/api/v1/auth/oidc/providers/company", theirs).status == 200
    dialog.get_by_label("Title", exact=True).fill("Company")
    dialog.get_by_label("Scopes", exact=True).fill("openid profile email groups offline")
    dialog.get_by_label("Client secret", exact=True).fill(SECRET)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Title: Company → Company Ltd")
    expect(dialog.get_by_role("alert")).to_contain_text("Scopes: openid → openid profile email groups offline")
    expect(dialog.get_by_role("alert")).not_to_contain_text(SECRET)
    fits(page, "3-met")
    dialog.get_by_label("Title", exact=True).fill("Company")
    dialog.get_by_label("Scopes", exact=True).fill("openid profile email groups")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)

    # its channels never tell of the hub; those of the first organisation do if they are marked
    told = {"name": "ops", "kind": "webhook", "target": {"url": "https://ops.example/"}, "instance": False}
    assert hub.local("POST", "/api/v1/channels", told, {"Stardust-Organisation": "default"}).status == 201
    page.goto(f"{hub.url}/alerts/channels")
    page.get_by_role("button", name="Actions for ops").click()
    page.get_by_role("menuitem", name="Edit…").click()
    of_the_hub = dialog.get_by_role("checkbox", name="Also what is wrong with the hub itself")
    expect(of_the_hub).not_to_be_checked()
    dialog.get_by_text("Also what is wrong with the hub itself").click()
    fits(page, "4-channel")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    channels = hub.local("GET", "/api/v1/channels", None, {"Stardust-Organisation": "default"}).json["channels"]
    assert [one["instance"] for one in channels] == [True]

    # what it has of its own
    switch.select_option("blue-team")
    expect(page.get_by_text("No nodes yet")).to_be_visible()
    expect(page.get_by_role("combobox", name="Organisation")).to_have_value("blue-team")
    made = hub.local("POST", "/api/v1/local/enrol", {"names": ["canary-server"]}, BLUE)
    assert made.status == 201, made.body
    node = made.json["nodes"][0]
    node_id = node["node_id"]
    enrolled = Enrolled(node_id, node["name"], node["generation"], node["fleet_id"], *(bytes.fromhex(node[key]) for key in KEYS))
    for method, path, body, status in (
        ("PATCH", f"nodes/{node_id}", {"tags": ["canary-tag"]}, 200),
        ("POST", "invites", {"kind": "organisation", "name": "canary-invite"}, 201),
        ("POST", "hub-key", None, 201),
        ("POST", "channels", {"name": "canary-channel", "kind": "webhook", "target": {"url": "https://canary-receiver.example/"}}, 201),
    ):
        answer = hub.local(method, f"/api/v1/{path}", body, BLUE)
        assert answer.status == status, (path, answer.body)
    spider = SpiderProcess(tmp_path / "spider", hub, enrolled)
    spider.launch()

    # its members: one by an offer, one by a group
    settings(page, "Members")
    expect(page.get_by_role("heading", name="Members of Blue Team")).to_be_visible()
    page.get_by_role("button", name="Offer membership").click()
    dialog.get_by_label("Known by").select_option("company")
    dialog.get_by_label("E-mail address").fill("ada@canary-mail.example")
    fits(page, "5-offer-by-address")
    dialog.get_by_role("button", name="Offer", exact=True).click()
    expect(page.get_by_role("list", name="Open offers")).to_contain_text(provider.issuer)
    page.get_by_role("button", name="Offer membership").click()
    dialog.get_by_label("User name").fill("eve")
    dialog.get_by_role("button", name="Offer", exact=True).click()
    expect(page.get_by_role("list", name="Open offers")).to_contain_text("eve")
    fits(page, "6-members")
    page.get_by_role("combobox", name="Organisation").select_option("default")
    settings(page, "Users")
    page.get_by_role("button", name="Add user").click()
    dialog.get_by_label("User name").fill("eve")
    dialog.get_by_role("button", name="Add user").click()
    password = dialog.get_by_role("group", name="One-time password").inner_text()
    keep(dialog, "Done")
    contexts = [browser.new_context(viewport=DESKTOP, reduced_motion="reduce") for _ in range(2)]  # type: ignore[arg-type]  # a TypedDict in disguise
    eve, ada = (context.new_page() for context in contexts)
    for one in (eve, ada):
        one.set_default_timeout(PATIENCE_MS)
    try:
        choose_password(eve, hub, "eve", password)
        expect(eve.get_by_text("No nodes yet")).to_be_visible()
        settings(eve, "Account")
        offers = eve.get_by_role("region", name="Offered memberships")
        expect(offers).to_contain_text("Blue Team")
        fits(eve, "7-offer")
        offers.get_by_role("button", name="Accept").click()
        expect(eve.get_by_role("combobox", name="Organisation")).to_be_visible()
        eve.get_by_role("combobox", name="Organisation").select_option("blue-team")
        expect(eve.get_by_role("link", name="canary-server")).to_be_visible()
        eve.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a TypedDict in disguise
        expect(eve.get_by_role("banner")).to_contain_text("Blue Team")
        fits(eve, "8-fleet")

        provider.set_user("ada-1", "canary-ada", ["blue"])
        through_the_provider(ada, origin)
        expect(ada.get_by_role("link", name="canary-server")).to_be_visible()
        expect(ada.get_by_role("combobox", name="Organisation")).to_have_count(0)

        # suspended: its user gets 403, and the page says so
        page.reload()
        settings(page, "Organisations")
        act(page, "Blue Team", "Suspend")
        expect(page.get_by_role("list", name="Organisations")).to_contain_text("suspended")
        expect(page.get_by_role("region", name="Audit of the hub")).to_contain_text("state: suspended")
        fits(page, "9-suspended")
        expect(ada.get_by_role("heading", name="Blue Team is suspended")).to_be_visible()
        assert ada.evaluate(ASK) == [403, "organisation.suspended"]
        fits(ada, "10-outside")
        act(page, "Blue Team", "Resume")
        expect(page.get_by_role("list", name="Organisations")).not_to_contain_text("suspended")
        ada.reload()
        expect(ada.get_by_role("link", name="canary-server")).to_be_visible()

        # moved to another group: the first is lost at the next log-in
        sign_out(ada)
        provider.set_user("ada-1", "canary-ada", ["red"])
        ada.get_by_role("button", name="Sign in again").click()
        through_the_provider(ada, origin)
        expect(ada.get_by_text("No nodes yet")).to_be_visible()
        assert ada.evaluate(ASK) == [403, "organisation.unknown"]
        sign_out(ada)
        provider.set_user("ada-1", "canary-ada", ["green"])
        through_the_provider(ada, origin)
        expect(ada.get_by_role("heading", name="Not signed in")).to_be_visible()
        fits(ada, "11-refused")
        settings(page, "Single sign-on")
        attempts = page.get_by_role("list", name="Last sign-ins").get_by_role("listitem")
        expect(attempts.nth(0)).to_contain_text("none of your groups gives a membership")
        expect(attempts.nth(0)).to_contain_text("groups: green")
        fits(page, "12-sign-ins")

        # let in by the offer to an address that the provider confirms
        provider.set_user("ada-1", "canary-ada", ["green"], "Ada@canary-mail.example")
        ada.goto(origin)
        ada.get_by_role("button", name="Sign in with Company").click()  # the provider knows her still, and does not ask
        expect(ada.get_by_role("heading", name="You belong to no organisation")).to_be_visible()
        fits(ada, "13-let-in")
        ada.get_by_role("region", name="Offered memberships").get_by_role("button", name="Accept").click()
        expect(ada.get_by_role("link", name="canary-server")).to_be_visible()

        # deleted: nothing of it is left
        number = number_of(hub.folder, node_id)
        wait_until(lambda: sample_tables(hub.folder, number), what="no sample was stored")
        assert {"node", "secret", "invite", "channel", "membership", "audit"} <= set(owned_tables(hub.folder, 2))
        assert files_with(hub.folder, CANARIES)
        settings(page, "Organisations")
        act(page, "Blue Team", "Delete…")
        expect(dialog).to_contain_text("Backups keep them until they age out")
        button = dialog.get_by_role("button", name="Delete organisation")
        expect(button).to_be_disabled()
        dialog.get_by_role("textbox").fill("blue-team")
        expect(button).to_be_disabled()
        dialog.get_by_text("Leave the agents on its").click()
        fits(page, "14-delete")
        button.click()
        expect(rows).to_have_count(1)
        expect(page.get_by_role("combobox", name="Organisation")).to_have_count(0)
        eve.set_viewport_size(DESKTOP)  # type: ignore[arg-type]  # a TypedDict in disguise
        eve.reload()
        expect(eve.get_by_text("No nodes yet")).to_be_visible()
        expect(eve.get_by_role("combobox", name="Organisation")).to_have_count(0)
    finally:
        spider.close()
        for context in contexts:
            context.close()
    hub.end()
    assert owned_tables(hub.folder, 2) == []
    assert sample_tables(hub.folder, number) == []
    assert files_with(hub.folder, CANARIES) == []
