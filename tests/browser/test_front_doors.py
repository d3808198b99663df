"""The page through Caddy and nginx: HTTP/2, the live socket, and the largest request body."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from groundcontrol.web.request import MAX_BODY_BYTES
from tests.support.agent import SpiderProcess
from tests.support.front_door import DOORS, Door, behind
from tests.support.hub import PASSWORD, HubProcess
from tests.support.page.gate import PATIENCE_MS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

SEND = """async size => {
    const body = JSON.stringify({nodes: [], action: "check"});
    const me = await (await fetch("/api/v1/auth/me")).json();
    const answer = await fetch("/api/v1/jobs", {
        method: "POST", body: body + " ".repeat(size - body.length),
        headers: {"Content-Type": "application/json", "X-CSRF-Token": me.csrf_token, "Idempotency-Key": "upload"},
    });
    return [answer.status, (await answer.json()).code];
}"""


@pytest.fixture(params=[DOORS[0], *(pytest.param(door, marks=pytest.mark.slow) for door in DOORS[1:])])
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[HubProcess, Door]]:
    with behind(request.param, tmp_path) as both:
        yield both


def test_the_page_works_over_http2(front: tuple[HubProcess, Door], browser: Browser, tmp_path: Path) -> None:
    hub, door = front
    [node] = hub.enrol("behind-the-door")
    spider = SpiderProcess(tmp_path / "spider", hub, node, url=door.ws_url, tls_pin=door.pin)
    context = browser.new_context(ignore_https_errors=True)
    try:
        spider.launch()
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(door.url)
        assert page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("behind-the-door").first.click()
        expect(page.get_by_role("heading", level=1, name="behind-the-door")).to_be_visible()
        expect(page.get_by_text("Online").first).to_be_visible()
        assert {cookie["secure"] for cookie in context.cookies()} == {True}
        # Both reach the hub, which answers that one has no credentials and the other is too large.
        assert page.evaluate(SEND, MAX_BODY_BYTES) == [400, "request.invalid"]
        assert page.evaluate(SEND, MAX_BODY_BYTES + 1)[0] == 413
    finally:
        context.close()
        spider.close()
