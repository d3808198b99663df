"""Waits for what the page computes, sends or draws some time after an action."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from playwright.sync_api import Error, Page

LIMIT_S = 60.0
BETWEEN_MS = 50

T = TypeVar("T")


def until(page: Page, read: Callable[[], T], good: Callable[[T], object] = bool, *, limit_s: float = LIMIT_S) -> T:
    """Call `read` until `good` accepts its value. Returns: that value. Events of the page are handled between the calls.

    Raises: AssertionError: no accepted value in time; it has the last value.
    """
    ends_at = time.monotonic() + limit_s
    while True:
        found = read()
        if good(found):
            return found
        assert time.monotonic() < ends_at, f"after {limit_s:g} s still: {found!r}"
        page.wait_for_timeout(BETWEEN_MS)


def settle(page: Page) -> None:
    """Wait until the page has probably drawn what it received, by a timer of the page, which is as late as the page itself.

    Not for pages with a clock that the test controls.
    """
    page.evaluate("() => new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 100))")


def try_now(page: Page) -> None:
    """Let the page reconnect immediately, unless it has reconnected already."""
    page.get_by_role("button", name="Try now").evaluate_all("(found) => found[0]?.click()")


KEPT = """() => JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage), document.cookie, location.href,
    document.documentElement.outerHTML, [...document.querySelectorAll('input, textarea')].map(input => input.value)])"""


def kept_by_browser(page: Page) -> str:
    """Everything that outlives a dialog, as one text: document, fields, local and session storage, cookies and address."""
    held: str = page.evaluate(KEPT)
    return held


def forgotten(page: Page, *secrets: str) -> None:
    """Wait until the page has none of these secrets. Raises: AssertionError: it still has one after LIMIT_S."""

    def left() -> int:
        held = kept_by_browser(page)
        return sum(secret in held for secret in secrets)  # a number, so that no failure tells a secret

    until(page, left, lambda count: count == 0)


def stop_clock(page: Page) -> None:
    """Stop the page's installed clock a moment from now. If that moment is already over on a busy machine, try a later one.

    Raises: AssertionError: it could not be stopped.
    """
    for ahead_ms in range(200, 2_200, 200):
        try:
            page.clock.pause_at(page.evaluate("(ahead) => Date.now() + ahead", ahead_ms) / 1000)
        except Error as error:
            if "to the past" not in error.message:
                raise
        else:
            return
    raise AssertionError("the page's clock could not be stopped")
