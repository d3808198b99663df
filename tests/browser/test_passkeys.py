"""Passkeys with Chromium's virtual authenticator: added, used at a sign-in and for a confirmation, and removed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.hub import PASSWORD, HubProcess
from tests.support.page.accounts import switch_on
from tests.support.page.gate import axe_on

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def virtual_authenticator(page: Page) -> None:
    """A passkey in this device, whose user always agrees."""
    tools = page.context.new_cdp_session(page)
    tools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }  # fmt: skip
    tools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def password_step(page: Page, origin: str) -> None:
    page.goto(origin)
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


@pytest.mark.refusals("401", "403")  # the page asks who is signed in; the password alone; a wrong code
def test_a_passkey_takes_the_place_of_a_code(hub: HubProcess, page: Page) -> None:
    origin = hub.local("GET", "/api/v1/local/page").json["address"]
    virtual_authenticator(page)
    password_step(page, origin)
    expect(page.get_by_role("button", name=re.compile("Sign out")).first).to_be_visible()
    page.goto(f"{origin}/settings")
    expect(page.get_by_role("region", name="Two-factor authentication")).to_be_visible()
    expect(page.get_by_role("region", name="Passkeys")).to_have_count(0)  # beside the codes of an app, never alone
    switch_on(page)
    card = page.get_by_role("region", name="Passkeys")
    expect(card).to_contain_text("It works under localhost only")
    card.get_by_label("Name of the passkey").fill("my laptop")
    card.get_by_role("button", name="Add passkey").click()
    expect(card.get_by_role("list", name="Passkeys")).to_contain_text("my laptop")
    expect(card).to_contain_text("never used")
    assert axe_on(page) == []

    page.get_by_role("button", name=re.compile("Sign out")).first.click()
    expect(page.get_by_label("User name")).to_be_visible()
    password_step(page, origin)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("button", name=re.compile("Sign out")).first).to_be_visible()
    page.goto(f"{origin}/settings")
    expect(card).to_contain_text(re.compile("used .* ago"))

    steps = """async ([password]) => {
        const me = await (await fetch('/api/v1/auth/me')).json();
        const post = (path, body) => fetch('/api/v1/' + path, {method: 'POST', body: JSON.stringify(body),
            headers: {'content-type': 'application/json', 'x-csrf-token': me.csrf_token}});
        const bytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (one) => one.charCodeAt(0));
        const text = (raw) => btoa(String.fromCharCode(...new Uint8Array(raw))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
        const request = await (await post('auth/passkeys/challenge', {})).json();
        const allowCredentials = request.credentials.map((one) => ({type: 'public-key', id: bytes(one)}));
        const got = await navigator.credentials.get({publicKey: {challenge: bytes(request.challenge), rpId: request.host, allowCredentials}});
        const passkey = {credential: text(got.rawId), client_data: text(got.response.clientDataJSON),
            authenticator_data: text(got.response.authenticatorData), signature: text(got.response.signature)};
        const broken = {...passkey, signature: text(new Uint8Array(64))};
        const found = [];
        for (const body of [{password}, {password, passkey: broken}, {password, passkey}]) found.push((await post('auth/step-up', body)).status);
        const second = await (await post('auth/passkeys/challenge', {})).json();
        const again = await navigator.credentials.get({publicKey: {challenge: bytes(second.challenge), rpId: second.host, allowCredentials}});
        const good = {credential: text(again.rawId), client_data: text(again.response.clientDataJSON),
            authenticator_data: text(again.response.authenticatorData), signature: text(again.response.signature)};
        for (let n = 0; n < 2; n += 1) found.push((await post('auth/step-up', {password, passkey: good})).status);
        return found;
    }"""
    # no code; a broken signature; its challenge is used up; a good one; the same again
    assert page.evaluate(steps, [PASSWORD]) == [401, 401, 401, 204, 401]

    card.get_by_role("button", name="Remove the passkey my laptop").click()
    expect(card.get_by_role("list", name="Passkeys")).to_have_count(0)
