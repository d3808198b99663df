"""Requests that a test delays, and a connection to the hub that a test cuts."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import APIResponse, Page, Response, Route, WebSocketRoute

from tests.support.page.waits import settle, until


class Kept:
    """All requests with this method and URL pattern. Each is kept from the hub until the test continues its route."""

    def __init__(self, page: Page, method: str, pattern: str) -> None:
        self._page, self._method = page, method
        self._routes: list[Route] = []
        page.route(pattern, self._meet)

    def _meet(self, route: Route) -> None:
        if route.request.method == self._method:
            self._routes.append(route)
        else:
            route.fallback()

    def wait(self, count: int = 1) -> list[Route]:
        """Wait for the next `count` requests. Returns: their routes, in order."""
        taken = until(self._page, lambda: self._routes[:count], lambda found: len(found) == count)
        del self._routes[:count]
        return taken

    def none(self) -> bool:
        """Whether no further request has come."""
        return not self._routes


class Held:
    """The first response to a request: made by the hub immediately, and held back from the page until released."""

    def __init__(self, page: Page, method: str, pattern: str, only: Callable[[APIResponse], object] = lambda _answer: True) -> None:
        """Args: only: tells the response from those of other requests with this method and pattern. They are not held back."""
        self._page, self._method, self._only = page, method, only
        self._kept: list[tuple[Route, APIResponse]] = []
        page.route(pattern, self._meet)

    def _meet(self, route: Route) -> None:
        if self._kept or route.request.method != self._method:
            route.fallback()
            return
        answer = route.fetch()
        if self._kept or not self._only(answer):
            route.fulfill(response=answer)
        else:
            self._kept.append((route, answer))

    def wait(self) -> APIResponse:
        """Wait for the hub's answer, and return it."""
        until(self._page, lambda: len(self._kept))
        return self._kept[0][1]

    def let_go(self) -> None:
        """Give the answer to the page, and wait until the page has drawn it."""
        [(route, answer)] = self._kept
        with self._page.expect_response(lambda answer: answer.request == route.request) as late:
            route.fulfill(response=answer)
        late.value.finished()
        settle(self._page)


def saves_preferences(answer: Response) -> bool:
    """Whether it answers a change of the preferences. The page also reads them, some time after it was loaded."""
    return answer.url.endswith("/auth/preferences") and answer.request.method == "PATCH"


OLDER = """
new MutationObserver(() => {
    const built = document.querySelector('meta[name="stardust-build"]');
    if (built && built.content !== "older") built.content = "older";
}).observe(document, {childList: true, subtree: true});
"""
"""A script that lets the page believe that its build is older than the hub's."""


class Wire:
    """The connection of a page to the hub, which a test can cut. Cut, it is like a running proxy in front of a stopped hub."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.cut = False
        self._held: list[WebSocketRoute] = []
        page.route_web_socket("**/api/v1/live", self._socket)

    def _socket(self, opened: WebSocketRoute) -> None:
        if self.cut:
            opened.close()
            return
        opened.connect_to_server()
        self._held.append(opened)

    def lose(self) -> None:
        """Close the live sockets, and answer every API request with 502, until `mend`."""
        self.cut = True
        self.page.route("**/api/v1/**", lambda route: route.fulfill(status=502, body="Bad Gateway"))
        for one in self._held:
            one.close()
        self._held.clear()

    def mend(self) -> None:
        """Let the hub answer again."""
        self.cut = False
        self.page.unroute("**/api/v1/**")
