"""Waits for what the page computes, sends or draws asynchronously after an action; tests never read it immediately."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from playwright.sync_api import Error, Page

LIMIT_S = 30.0
BETWEEN_MS = 50

T = TypeVar("T")


def until(page: Page, read: Callable[[], T], good: Callable[[T], object] = bool, *, limit_s: float = LIMIT_S) -> T:
    """Read again and again until it is good; returns what was read. The page's own events are heard meanwhile.

    Raises: AssertionError: it was not good in time; says what was read last.
    """
    ends_at = time.monotonic() + limit_s
    while True:
        found = read()
        if good(found):
            return found
        assert time.monotonic() < ends_at, f"after {limit_s:g} s still: {found!r}"
        page.wait_for_timeout(BETWEEN_MS)


def settle(page: Page) -> None:
    """Let the page draw what it makes of what it was given, by its own timers: they are as late as the page is. Not where its clock is a test's."""
    page.evaluate("() => new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 100))")


def try_now(page: Page) -> None:
    """Let the page reconnect immediately, unless it already has by itself."""
    page.get_by_role("button", name="Try now").evaluate_all("(found) => found[0]?.click()")


KEPT = """() => JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage), document.cookie, location.href,
    document.documentElement.outerHTML, [...document.querySelectorAll('input, textarea')].map(input => input.value)])"""


def kept_by_browser(page: Page) -> str:
    """Everything that outlives a dialog: the document, every store that scripts reach, the address."""
    held: str = page.evaluate(KEPT)
    return held


def forgotten(page: Page, *secrets: str) -> None:
    """The page holds none of these any more, after its next render."""

    def left() -> int:
        held = kept_by_browser(page)
        return sum(secret in held for secret in secrets)  # a number, so that no failure tells a secret

    until(page, left, lambda count: count == 0)


def stop_clock(page: Page) -> None:
    """Let the page's installed clock stand a moment from now. On a late machine that moment is over before it is set: then a later one is."""
    for ahead_ms in range(200, 2_200, 200):
        try:
            page.clock.pause_at(page.evaluate("(ahead) => Date.now() + ahead", ahead_ms) / 1000)
        except Error as error:
            if "to the past" not in error.message:
                raise
        else:
            return
    raise AssertionError("the page's clock could not be stopped")
