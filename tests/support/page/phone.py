"""A page on the screen of a phone, and whether its parts fit."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

from tests.support.page.gate import PHONE, Gate, Look
from tests.support.page.waits import until

LIVING = ("web-01", "web-02", "db-01", "db-02")
OUTSIDE = """(one) => [...one.querySelectorAll("*")].filter((part) => part.getBoundingClientRect().right > one.getBoundingClientRect().right)
    .map((part) => part.textContent)"""
"""The descendants that overflow an element to the right."""


def inside(page: Page, part: Locator) -> None:
    """Wait until it is completely within the screen, from left to right."""
    width = page.viewport_size["width"] if page.viewport_size else 0
    until(page, part.bounding_box, lambda box: box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width)


def not_wider(page: Page) -> None:
    """Wait until the page is no wider than the screen: it reacts to another width, or to another content, some time later."""
    until(page, lambda: page.evaluate("() => document.documentElement.scrollWidth - innerWidth"), lambda beside: beside <= 0)


def on_phone(seen: Gate, width: int = PHONE["width"]) -> Page:
    seen.look(Look("dark", {"width": width, "height": PHONE["height"]}))
    return seen.page
