"""Actions on a chart, and its texts."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import FloatRect, Locator, Page

from tests.support.page.waits import until


def window_of(page: Page) -> tuple[int, ...]:
    """What the address says: from, to; empty while it says nothing."""
    query = parse_qs(urlsplit(page.url).query)
    return (int(query["from"][0]), int(query["to"][0])) if "from" in query else ()


def drag(page: Page, plot: Locator, start: float, end: float) -> None:
    """Over a part of it, in shares of its width."""
    box = plot.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * start, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, y, steps=4)
    page.mouse.up()


def draw_across(page: Page, plot: Locator, start: float, end: float) -> None:
    """As drag, with a finger."""
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    cdp = page.context.new_cdp_session(page)
    cdp.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    steps = [start + (end - start) * step / 4 for step in range(5)]
    points = [{"x": box["x"] + box["width"] * share, "y": box["y"] + box["height"] / 2} for share in steps]
    cdp.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points[:1]})
    for point in points[1:]:
        cdp.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    cdp.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    cdp.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    cdp.detach()


def plot_box(page: Page, chart: Locator) -> FloatRect:
    """Where the chart draws. It has no box for a moment while the page redraws it."""
    box = until(page, chart.locator(".u-over").bounding_box)
    assert box is not None
    return box


def told_at(page: Page, chart: Locator, share: float) -> list[str]:
    """What the chart says of the moment at this share of its width."""
    box = plot_box(page, chart)
    for nudge in (0, 1):  # it is updated when the pointer moves
        page.mouse.move(box["x"] + box["width"] * share + nudge, box["y"] + box["height"] / 2)
    return chart.locator(".plot-tip").all_inner_texts()


def told_at_the_end(page: Page, chart: Locator) -> list[str]:
    """What the chart says of its last seconds, place by place."""
    box = plot_box(page, chart)
    found = []
    for left in range(4, 44, 4):
        page.mouse.move(box["x"] + box["width"] - left, box["y"] + box["height"] / 2)
        found += chart.locator(".plot-tip").all_inner_texts()
    return found
