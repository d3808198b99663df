"""Users at the page: log-in, passwords, second factor and the settings."""

from __future__ import annotations

import base64
import hmac
import struct
import time

from playwright.sync_api import Locator, Page, expect

from tests.support.hub import PASSWORD, HubProcess
from tests.support.page.gate import log_in
from tests.support.page.waits import forgotten

STEP_S = 30


NEXT_PASSWORD = "far beyond the pale blue dot"


FORBIDDEN = 403


class Authenticator:
    """What an authenticator app does with the key that the page shows (RFC 6238); never the same code twice."""

    def __init__(self, key: str) -> None:
        self._seed = base64.b32decode(key.replace(" ", ""))
        self._last = 0

    def code(self) -> str:
        """The code of the moment; waits for the next one where this was given already."""
        step = int(time.time()) // STEP_S
        if step <= self._last:
            step = self._last + 1  # the hub takes the step after the present one too
            time.sleep(max(0.0, (step - 1) * STEP_S - time.time()))
        self._last = step
        digest = hmac.digest(self._seed, struct.pack(">Q", step), "sha1")
        (number,) = struct.unpack_from(">I", digest, digest[-1] & 15)
        return f"{(number & 0x7FFFFFFF) % 1_000_000:06d}"


def password_step(page: Page, hub: HubProcess, username: str, password: str) -> None:
    page.goto(hub.url)
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def sign_in(page: Page, hub: HubProcess, username: str = "admin", password: str = PASSWORD, *, at: str = "") -> None:
    """Load the page as this user, at an address of it."""
    log_in(page, hub, username, password)
    page.goto(hub.url + at)
    expect(page.get_by_role("navigation", name="Main", exact=True)).to_be_visible()


def settings(page: Page, tab: str = "Account") -> None:
    page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Settings").click()
    page.get_by_role("tab", name=tab).click()
    expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")


def keep(dialog: Page | Locator, button: str) -> None:
    """Confirm that the secret shown once has been saved."""
    expect(dialog.get_by_role("button", name=button)).to_be_disabled()
    dialog.get_by_text("I have saved").click()
    dialog.get_by_role("button", name=button).click()


def switch_on(page: Page) -> tuple[Authenticator, list[str]]:
    """Set a second factor up from the account page; a wrong code first."""
    page.get_by_role("region", name="Two-factor authentication").get_by_role("button", name="Set up…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("img", name="QR code of the key")).to_be_visible()
    key = dialog.get_by_role("group", name="Key").inner_text()
    app = Authenticator(key)
    right = app.code()
    field = dialog.get_by_label("6-digit code from the app")
    field.fill(f"{(int(right) + 1) % 1_000_000:06d}")
    expect(dialog.get_by_role("alert")).to_contain_text("The code is wrong")
    expect(field).to_have_value("")
    field.press_sequentially(right)  # the sixth digit sends it
    expect(dialog.get_by_role("heading", name="Save your recovery codes")).to_be_visible()
    forgotten(page, key)
    codes = dialog.get_by_role("list", name="Recovery codes").get_by_role("listitem").all_inner_texts()
    keep(dialog, "Done")
    expect(dialog).to_have_count(0)
    forgotten(page, *codes, key, key.replace(" ", ""))
    return app, codes


def choose_password(page: Page, hub: HubProcess, username: str, given: str, chosen: str = NEXT_PASSWORD) -> None:
    """The first log-in with a one-time password."""
    password_step(page, hub, username, given)
    page.get_by_label("New password", exact=True).fill(chosen)
    page.get_by_label("Repeat password", exact=True).fill(chosen)
    page.get_by_role("button", name="Set password and continue").click()


FROM_THE_PAGE = """async ([method, path, body]) => {
    const me = await (await fetch('/api/v1/auth/me')).json();
    const headers = {'content-type': 'application/json', 'x-csrf-token': me.csrf_token};
    const answer = await fetch('/api/v1/' + path, {method, headers, body: JSON.stringify(body)});
    return [answer.status, (await answer.json()).code];
}"""
