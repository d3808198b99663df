"""Single sign-on in a real browser against a certified provider: in, moved to another group, out, and out from there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.certified_provider import CertifiedProvider, certified_provider
from tests.support.hub import PASSWORD, HubProcess
from tests.support.page.gate import axe_on

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ROWS = [
    {"claim": "groups", "value": "ops", "organisation": "default", "role": "operator"},
    {"claim": "groups", "value": "dev", "organisation": "default", "role": "viewer"},
]
WAIT_MS = 60_000


@pytest.fixture
def provider(hub: HubProcess, tmp_path: Path) -> Iterator[CertifiedProvider]:
    with certified_provider(hub, tmp_path, create_accounts=True, groups=ROWS) as made:
        yield made


def go_through(page: Page, name: str = "ada-1") -> None:
    """From the sign-in page to the provider and back."""
    page.get_by_role("button", name="Sign in with Company").click()
    field = page.get_by_label("Account")
    expect(field).to_be_visible(timeout=WAIT_MS)
    field.fill(name)
    page.get_by_role("button", name="Go on").click()


def role(page: Page) -> str:
    return str(page.evaluate("async () => (await (await fetch('/api/v1/auth/me')).json()).user.role"))


@pytest.mark.holds("SAFETY-109")
@pytest.mark.refusals(
    "401", "403", "404"
)  # before each sign-in the page asks who is signed in; the refusal at the end; the provider has no icon
def test_t33_t35_sign_in_through_a_provider_and_lose_the_first_group_at_the_next(
    hub: HubProcess, page: Page, provider: CertifiedProvider
) -> None:
    """The cookies are SameSite=Strict, and survive the return from another site."""
    origin = hub.local("GET", "/api/v1/local/page").json["address"]
    provider.set_user("ada-1", "ada", ["ops"])
    page.goto(f"{origin}/events")
    go_through(page)
    expect(page.get_by_role("heading", name="Events", exact=True)).to_be_visible(timeout=WAIT_MS)
    assert page.url == f"{origin}/events"  # where the user wanted to go, without code and state
    assert role(page) == "operator"

    provider.set_user("ada-1", "ada", ["dev"])
    page.get_by_role("button", name=re.compile("Sign out")).first.click()
    page.get_by_role("button", name="Sign out", exact=True).click()  # the provider asks
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible(timeout=WAIT_MS)
    page.reload()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible(timeout=WAIT_MS)
    assert axe_on(page) == []
    page.get_by_role("button", name="Sign in again").click()
    go_through(page)
    expect(page.get_by_role("button", name=re.compile("Sign out")).first).to_be_visible(timeout=WAIT_MS)
    page.goto(f"{origin}/settings")
    expect(page.get_by_role("heading", name="Linked accounts")).to_be_visible(timeout=WAIT_MS)
    assert role(page) == "viewer"
    expect(page.get_by_text("Change password…")).to_have_count(0)

    accounts = page.get_by_role("region", name="Linked accounts")
    expect(accounts.get_by_role("list", name="Linked accounts")).to_contain_text("ada")
    assert axe_on(page) == []

    page.goto(f"{provider.issuer}/session/end")  # out at the provider: its back-channel ends the session here
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Signed out at the provider")).to_be_visible(timeout=WAIT_MS)
    hub.wait_event("sso_logged_out", limit_s=60.0, sessions=1)
    page.goto(origin)
    provider.set_user("ada-1", "ada", [])
    go_through(page)
    expect(page.get_by_role("heading", name="Not signed in")).to_be_visible(timeout=WAIT_MS)
    expect(
        page.get_by_text("you belong to no organisation", exact=False).or_(page.get_by_text("You belong to no organisation"))
    ).to_be_visible()

    # an account that a user links, who finds it and may remove it
    page.get_by_role("button", name="Back to the sign-in").click()
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("button", name=re.compile("Sign out")).first).to_be_visible(timeout=WAIT_MS)
    page.goto(f"{origin}/settings")
    page.get_by_role("button", name="Link Company…").click()
    page.get_by_role("textbox", name="Account").fill("boss-1", timeout=WAIT_MS)  # asked again, although ada is signed in there
    provider.set_user("boss-1", "boss", [])
    page.get_by_role("button", name="Go on").click()
    expect(accounts.get_by_role("list", name="Linked accounts")).to_contain_text("boss", timeout=WAIT_MS)
    page.get_by_role("button", name="Remove the link to boss").click()
    expect(accounts.get_by_role("list", name="Linked accounts")).to_have_count(0, timeout=WAIT_MS)
