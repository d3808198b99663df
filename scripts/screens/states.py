"""Pictures of temporary states: a locked log-in, a node that loads, history that could not be read, saved views."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, Route, WebSocketRoute

from tests.support.hub import HubProcess
from tests.support.stage import Stage

LOOK = Callable[[str], None]
"""Takes pictures of the current view under a name, in both themes and widths."""
Take = Callable[[str, str, Callable[[Page], None]], None]
"""Takes a screen by its name, its path and the actions before the picture."""
LOCKED = "log-in-locked"
WAITS, WAITS_LONG, FAILED, VIEWS = "node-loading", "node-loading-long", "panel-error", "saved-views"
NAMES = (WAITS, WAITS_LONG, FAILED, VIEWS)
MOST_GUESSES = 20
LONG_MS = 15_000
SAVED = {"By tag": "/?group=tag", "Production, busiest first": "/?q=tag%3Aprod&sort=-cpu"}
PROBLEM = {
    "type": "", "title": "", "status": 500, "code": "internal", "instance": "req-7f31c",
    "detail": "The database is locked by another program.",
}  # fmt: skip


def of_a_locked_door(page: Page, folder: Path, look: LOOK) -> None:
    """A log-in that is locked after too many guesses."""
    with HubProcess(folder) as hub:
        for number in range(MOST_GUESSES):
            guess = {"username": "ada", "password": f"wrong guess {number}"}
            if hub.request("POST", "/api/v1/auth/login", guess).status == 429:  # Too Many Requests
                break
        page.goto(hub.url)
        page.get_by_label("User name").fill("ada")
        page.get_by_label("Password", exact=True).fill("another guess")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("alert").filter(has_text=re.compile(r"\d+\s(s|min)")).wait_for()
        look(LOCKED)


def of_waits_and_failures(context: BrowserContext, stage: Stage, camera: Callable[[Page], Take]) -> None:
    """A hub that answers slowly about a node, and a hub that cannot read history. `camera` returns the Take of a page."""
    node = f"/n/{stage.ids['db-01']}"
    page = context.new_page()
    page.route_web_socket("**/api/v1/live", _keep_nodes_back)
    take = camera(page)
    take(WAITS, node, lambda page: page.locator(".skeleton").first.wait_for())
    take(WAITS_LONG, node, lambda page: page.get_by_text("takes longer than usual").wait_for(timeout=LONG_MS))
    page.close()
    page = context.new_page()
    page.route(re.compile(r"/history\?"), _fail)
    camera(page)(FAILED, f"{node}?range=24h", lambda page: page.get_by_text("History could not be read.").first.wait_for())
    page.close()


def _keep_nodes_back(browser: WebSocketRoute) -> None:
    hub = browser.connect_to_server()
    browser.on_message(lambda frame: None if b"node:" in (frame.encode() if isinstance(frame, str) else frame) else hub.send(frame))


def _fail(route: Route) -> None:
    route.fulfill(status=500, content_type="application/problem+json", json=PROBLEM)


def of_saved_views(context: BrowserContext, url: str, camera: Callable[[Page], Take]) -> None:
    """Two saved views, in the side bar and in their dialog. They are removed at the end."""
    page = context.new_page()
    page.set_viewport_size({"width": 1440, "height": 900})
    for name, path in SAVED.items():
        page.goto(url + path)
        page.get_by_role("button", name="Save view…").click()
        page.get_by_role("dialog").get_by_label("Name").fill(name)
        page.keyboard.press("Enter")
        page.get_by_role("link", name=name).wait_for()
    camera(page)(VIEWS, SAVED["By tag"], _manage)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(url)
    page.get_by_role("link", name="By tag").wait_for()  # from then on the page handles keys
    _manage(page)
    for name in SAVED:
        button = page.get_by_role("button", name=f"Remove {name}")
        button.click()
        button.wait_for(state="detached")
    page.close()


def _manage(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Search or run a command").fill("Saved views")
    page.keyboard.press("Enter")
    page.get_by_role("dialog", name="Saved views").wait_for()
