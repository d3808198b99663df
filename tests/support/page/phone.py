"""A page on the screen of a phone, and whether its parts fit."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

from tests.support.page.gate import PHONE, Gate, Look

LIVING = ("web-01", "web-02", "db-01", "db-02")
OUTSIDE = """(one) => [...one.querySelectorAll("*")].filter((part) => part.getBoundingClientRect().right > one.getBoundingClientRect().right)
    .map((part) => part.textContent)"""
"""The descendants that overflow an element to the right."""


def inside(page: Page, part: Locator) -> bool:
    """Whether it is completely within the screen."""
    box = part.bounding_box()
    width = page.viewport_size["width"] if page.viewport_size else 0
    return box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width


def beside(page: Page) -> int:
    """By how many pixels the page is wider than the screen."""
    wide: int = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    return wide


def on_phone(seen: Gate, width: int = PHONE["width"]) -> Page:
    seen.look(Look("dark", {"width": width, "height": PHONE["height"]}))
    return seen.page
