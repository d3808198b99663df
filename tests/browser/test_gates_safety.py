"""Security of the page: no script from a string, no secret after its dialog, nothing stored after log-out."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.support.hub import PASSWORD, HubProcess
from tests.support.page.deployments import said
from tests.support.page.gate import gate, log_in
from tests.support.page.hubs import hub_of_the_file, stage_of_the_file
from tests.support.page.waits import forgotten, kept_by_browser, until
from tests.support.stage import Stage, order

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

NODES = ("web-01", "mail-01")
SECRET = "canary-0f5c77d1"
KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----"
TRIES = {
    "markup from a string": "document.body.insertAdjacentHTML('beforeend', '<b id=evil>x</b>')",
    "inner markup": "document.body.innerHTML += '<b id=evil>x</b>'",
    "eval": "window.eval('window.__evil = 1')",
    "a function from a string": "new Function('window.__evil = 1')()",
    "a timer with a string": "setTimeout('window.__evil = 1', 0)",
    "a script by address": "Object.assign(document.createElement('script'), {src: 'data:text/javascript,window.__evil=1'})",
    "another policy": "trustedTypes.createPolicy('mine', {createHTML: (text) => text})",
    "a policy of any name": "trustedTypes.createPolicy('stardust', {createHTML: (text) => text})",
    "a document written": "document.write('<b id=evil>x</b>')",
    "a frame with markup": "document.createElement('iframe').srcdoc = '<b id=evil>x</b>'",
}
"""Each must throw under the page's own policy."""
INJECTED = """() => {
    const script = document.createElement('script');
    script.append('window.__evil = 1');
    try { document.body.append(script); } catch { return 'thrown'; }
    const style = document.createElement('style');
    style.append('body { --evil: 1 }');
    document.head.append(style);
    const button = document.createElement('b');
    button.setAttribute('style', '--evil: 1');
    document.body.append(button);
    return [window.__evil, getComputedStyle(document.body).getPropertyValue('--evil'), getComputedStyle(button).getPropertyValue('--evil')].join();
}"""
LEFT = """async () => JSON.stringify({
    local: Object.keys(localStorage), session: Object.keys(sessionStorage), caches: await caches.keys(),
    databases: (await indexedDB.databases()).map((one) => one.name), workers: (await navigator.serviceWorker?.getRegistrations() ?? []).length,
    cookies: document.cookie.split('; ').filter(Boolean).map((one) => one.split('=')[0]).sort(), name: window.name, history: history.state,
})"""


hub = hub_of_the_file()
stage = stage_of_the_file(*NODES)


def test_no_string_becomes_code_or_markup_on_any_page(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    job = order(hub, stage, "web-01", "upgrade", "succeeded")
    expected = ("Content Security Policy", "Content Security policy", "TrustedHTML", "TrustedScript", "Trusted Type")
    with gate(browser, hub, expected=expected) as seen:
        log_in(seen.page, seen.hub)
        for path in ("/", f"/jobs/{job}", f"/n/{stage.ids['web-01']}"):
            seen.open(path)
            assert seen.refused() == []
            for name, script in TRIES.items():
                outcome = seen.run(f"(() => {{ try {{ {script}; return 'passed'; }} catch {{ return 'thrown'; }} }})()", held=True)
                assert outcome == "thrown", name
            assert seen.page.evaluate(INJECTED) in {"thrown", ",,"}
            assert seen.page.evaluate("() => [window.__evil ?? 0, document.querySelectorAll('#evil').length].join()") == "0,0"
            until(seen.page, seen.refused)  # violations were reported, so that an empty list above means something
            seen.page.evaluate("() => { window.__violations = []; }")


@pytest.mark.holds("J-8")
def test_a_secret_is_removed_when_its_dialog_is_closed(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    assert stage.ids
    with gate(browser, hub) as seen:
        page = seen.page
        sent = said(page)
        seen.sign_in()
        forgotten(page, PASSWORD)
        assert [line for line in sent if PASSWORD in line] == [line for line in sent if "/auth/login" in line]
        sent.clear()
        page.get_by_role("button", name="Add node").first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Host name or IP").fill("192.0.2.1")
        dialog.get_by_label("SSH user").fill("ada")
        dialog.get_by_role("button", name="Paste key").click()
        dialog.get_by_label("Private key text").fill(KEY)
        dialog.get_by_label("sudo password", exact=True).fill(SECRET)
        assert SECRET in kept_by_browser(page), "as long as it is typed, it stands in its field"
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        forgotten(page, SECRET)
        page.get_by_role("button", name="Add node").first.click()
        forgotten(page, SECRET)
        page.keyboard.press("Escape")
        page.reload()
        expect(page.get_by_role("table", name="Nodes")).to_be_visible()
        page.get_by_role("button", name="Add node").first.click()
        forgotten(page, SECRET)
        assert not [line for line in sent if SECRET in line]


def test_after_log_out_the_history_shows_nothing(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    with gate(browser, hub) as seen:
        page = seen.page
        log_in(seen.page, seen.hub)
        for path in (f"/n/{stage.ids['web-01']}", f"/n/{stage.ids['mail-01']}/packages", "/settings/account", "/"):
            seen.open(path)
        expect(page.get_by_role("table", name="Nodes")).to_contain_text("mail-01")
        page.get_by_role("button", name="Sign out").first.click()
        expect(page.get_by_role("heading", name="Sign in to Stardust")).to_be_visible()
        forgotten(page, *NODES)
        nothing = '{"local":[],"session":[],"caches":[],"databases":[],"workers":0,"cookies":[],"name":"","history":null}'
        until(page, lambda: page.evaluate(LEFT), lambda left: left == nothing)
        kept = [cookie for cookie in page.context.cookies() if cookie["name"] != "stardust-theme"]
        assert all(cookie["name"].endswith("-device") and cookie["httpOnly"] for cookie in kept), (
            "that it was here before, which opens nothing"
        )
        for _ in range(3):
            page.go_back()
            expect(page.get_by_role("heading", name="Sign in to Stardust")).to_be_visible()
            forgotten(page, *NODES, "openssl")


def test_a_restored_page_of_an_ended_session_shows_nothing(browser: Browser, hub: HubProcess, stage: Stage) -> None:
    assert stage.ids
    with gate(browser, hub, expected=("404 (Not Found)",)) as seen:
        page = seen.page
        log_in(seen.page, seen.hub)
        seen.open("/")
        expect(page.get_by_role("table", name="Nodes")).to_contain_text("mail-01")
        page.goto(f"{hub.url}/licences.txt")
        cookies = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies())
        me = hub.request("GET", "/api/v1/auth/me", headers={"Cookie": cookies}).json
        ended = hub.request(
            "POST", "/api/v1/auth/logout", {}, headers={"Cookie": cookies, "X-CSRF-Token": me["csrf_token"], "Origin": hub.url, "Sec-Fetch-Site": "same-origin"}
        )  # fmt: skip
        assert ended.status < 300, ended.body
        page.go_back()
        expect(page.get_by_role("heading", name="Sign in to Stardust")).to_be_visible()
        forgotten(page, "mail-01")
