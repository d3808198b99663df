"""Shared by the page's gate tests: one log-in, one page for many screens, axe, and a record of forbidden behaviour."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Request, expect

from tests.support.hub import PASSWORD, ROOT, HubProcess
from tests.support.page.waits import until

DESKTOP = {"width": 1440, "height": 900}
FIRST_REFUSAL = "401 (Unauthorized)"
"""The console's error when the page asks who is logged in, and nobody is."""
STEP_UP = "403 (Forbidden)"
"""The console's error for a change for which the hub first requires the password again."""
HUB_AWAY = (
    *("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_CONNECTION_CLOSED", "ERR_EMPTY_RESPONSE", "ERR_SOCKET_NOT_CONNECTED"),
    "WebSocket connection to",
)
"""The console's errors for a hub that does not run, or that ends during a request."""

PATIENCE_MS = 60_000
"""How long something may take to appear on the page, on a busy machine."""
PHONE = {"width": 390, "height": 844}
AXE = ROOT / "capsule/node_modules/axe-core/axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LISTEN = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
    window.__violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`));
"""
"""Runs before the page's own code. A refusal by CSP or Trusted Types is an event as well as a line of the console."""
RUN_AXE = """(async (contrast) => {
    const dialogs = document.querySelectorAll("dialog:modal");
    const bar = document.querySelector(".selection")?.getBoundingClientRect();
    const hidden = [...document.querySelectorAll("input[type=checkbox]")].map((one) => one.getBoundingClientRect())
        .find((box) => bar && box.top - 8 < bar.top && box.bottom + 8 > bar.top);
    const card = [...document.querySelectorAll(".cards li")].map((one) => one.getBoundingClientRect())
        .find((box) => bar && box.top < bar.top && box.bottom > bar.top);
    if (card) scrollBy(0, card.bottom + 9 - bar.top);
    else if (hidden) scrollBy(0, hidden.bottom + 16 - bar.top);
    const found = await axe.run(dialogs.length ? dialogs[dialogs.length - 1] : document, {runOnly: {type: "tag", values: %s}, resultTypes: ["violations"], preload: false, rules: {"color-contrast": {enabled: contrast}}});
    return found.violations.map(({id, help, nodes}) => `${id}: ${help}: ` + nodes.slice(0, 3).map((node) =>
        `${node.target.join(" ")} ${node.html.slice(0, 160)} ${node.any.concat(node.all, node.none).map((check) => check.message).join("; ").slice(0, 240)}`).join(" | "));
})""" % json.dumps(TAGS)  # noqa: UP031  # braces of JavaScript
"""Checks an open dialog alone: the page beneath it is inert, and is checked as a screen of its own. A checkbox or card that the bar of a selection
half covers is scrolled into the open first, as a user would. The next card, 10 px below it, is then behind the bar."""


FOLLOW = """async (path) => {
    const link = document.createElement("a");
    link.href = path;
    document.body.append(link);
    link.click();
    link.remove();
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    return location.pathname + location.search;
}"""
"""Follows a link of the page. Returns the address once the page has drawn the next two frames."""
LEAVE = """() => { for (const one of document.querySelectorAll("dialog")) one.dispatchEvent(new Event("cancel")); }"""
"""Closes all dialogs, as the page does when the user goes back."""
NOWHERE = "/nowhere"
"""A path without a page. On the way over it, the page that is left is forgotten."""


def closed(context: BrowserContext) -> None:
    """Close the context. First remove the routes of its pages, because a response of a test that is pending then would be an error."""
    for page in context.pages:
        page.unroute_all(behavior="ignoreErrors")
    context.close()


WINDOW: dict[str, Any] = {"viewport": DESKTOP, "color_scheme": "dark", "reduced_motion": "reduce"}
"""The options of a context, unless a test asks for others."""


@contextmanager
def tab(browser: Browser, **more: Any) -> Iterator[Page]:
    """A page in a new context, closed at the end."""
    context = browser.new_context(**WINDOW | more)
    try:
        yield context.new_page()
    finally:
        closed(context)


class Look(NamedTuple):
    """A theme and a size of the window."""

    scheme: str
    size: dict[str, int]

    def __str__(self) -> str:
        return f"{self.scheme} {self.size['width']}"


LOOKS = tuple(Look(scheme, size) for scheme in ("dark", "light") for size in (DESKTOP, PHONE))


def axe_source() -> str:
    """The script of axe-core, which is installed first if it is missing."""
    if not AXE.exists():
        done = subprocess.run(
            [sys.executable, "scripts/capsule.py", "tools"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )
        assert AXE.exists(), done.stdout + done.stderr
    return AXE.read_text()


def log_in(page: Page, hub: HubProcess, username: str = "admin", password: str = PASSWORD) -> None:
    """Give the page's context the cookies of a new session, without the form: tests of the form fill it."""
    reply = page.context.request.post(f"{hub.url}/api/v1/auth/login", data={"username": username, "password": password})
    assert reply.status == 200, reply.text()


def axe_on(page: Page) -> list[str]:
    """The violations that axe finds on the present screen of any page."""
    return _axe(page.context.new_cdp_session(page))


def _axe(tools: CDPSession, *, contrast: bool = False) -> list[str]:
    if _evaluated(tools, "typeof axe") == "undefined":
        _evaluated(tools, axe_source())
    violations: list[str] = _evaluated(tools, f"{RUN_AXE}({json.dumps(contrast)})")
    return violations


def _evaluated(tools: CDPSession, script: str, *, held: bool = False) -> Any:
    asked = {"expression": script, "awaitPromise": True, "returnByValue": True, "allowUnsafeEvalBlockedByCSP": not held}
    found = tools.send("Runtime.evaluate", asked)
    assert "exceptionDetails" not in found, found
    return found["result"].get("value")


class Gate:
    """A page whose errors are recorded: `faults` has those of the console and of scripts, from all screens. `refused` has those of the CSP."""

    def __init__(self, page: Page, hub: HubProcess, *, expected: tuple[str, ...] = ()) -> None:
        self.hub = hub
        self.faults: list[str] = []
        self.page = page
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.add_init_script(LISTEN)
        words = (FIRST_REFUSAL, STEP_UP, *expected)
        self.page.on("console", lambda said: self._heard(said.type, said.text, words))
        self.page.on("pageerror", lambda error: self.faults.append(f"page: {error}"))
        self._cdp = page.context.new_cdp_session(page)
        self._has_axe = False
        self.looked_at: Look | None = None
        """The last argument of `look`."""
        self._open_requests: set[Request] = set()
        self._counts_requests = False
        self.walks = False
        """Whether `open` loads only its first path, and goes to all others as a link of the page does: a load costs three times as much."""
        self._is_on_its_way = False

    def _heard(self, kind: str, text: str, expected: tuple[str, ...]) -> None:
        if kind == "error" and not any(word in text for word in expected):
            self.faults.append(f"console: {text}")

    def _count_requests(self) -> None:
        """Count open requests from now on. Each load of the page sends some 17, whose events cost the driver 20 ms of a processor."""
        self._counts_requests = True
        self.page.on("request", self._asked)
        self.page.on("requestfinished", self._has_answer)
        self.page.on("requestfailed", self._has_answer)

    def _asked(self, request: Request) -> None:
        if "/api/" in request.url:
            self._open_requests.add(request)

    def _has_answer(self, request: Request) -> None:
        self._open_requests.discard(request)

    def look(self, look: Look) -> None:
        """Change theme and width, and let the page settle."""
        self.looked_at = look
        self.page.emulate_media(color_scheme=look.scheme, reduced_motion="reduce")  # type: ignore[arg-type]  # a literal
        self.page.set_viewport_size(look.size)  # type: ignore[arg-type]  # a TypedDict in disguise
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def open(self, path: str) -> None:
        """Load the page at a path, or walk there if it `walks`. Wait until it has a title and no placeholder."""
        if self.walks and self._is_on_its_way:
            self.page.evaluate(LEAVE)
            self.page.evaluate(FOLLOW, NOWHERE)
            self.turn_to(path)
        else:
            self.load(path)
            self._stands()
            self._is_on_its_way = True

    def load(self, path: str) -> None:
        """Load the page at a path, for a state from which no page walks on: the next `open` loads it again."""
        self._is_on_its_way = False
        self.page.goto(self.hub.url + path)

    def turn_to(self, path: str) -> None:
        """Go to a path as a link of the page does, without another load. Wait as `open` does, and until no API request is open."""
        if not self._counts_requests:
            self._count_requests()
        turned: str = self.page.evaluate(FOLLOW, path)
        assert turned == path, turned
        self._stands()
        until(self.page, lambda: {request.url for request in self._open_requests}, lambda urls: not urls)
        self._stands()

    def _stands(self) -> None:
        expect(self.page.get_by_role("heading", level=1).first).to_be_attached()
        expect(self.page.locator(".skeleton")).to_have_count(0)

    def run(self, script: str, *, held: bool = False) -> Any:
        """Evaluate a script, which the CSP does not restrict. Returns: its value.

        Args: held: whether the CSP restricts what the script itself evaluates.
        """
        return _evaluated(self._cdp, script, held=held)

    def load_axe(self) -> None:
        """Load axe with every page from now on. Its long text is then sent to the browser only once."""
        if not self._has_axe:
            self._has_axe = True
            self.page.add_init_script(axe_source())

    def axe(self, *, contrast: bool = False) -> list[str]:
        """The violations that axe finds on the present screen. `contrast`: also of its colours."""
        return _axe(self._cdp, contrast=contrast)

    def refused(self) -> list[str]:
        """What the CSP has refused since the page was loaded."""
        found: list[str] = self.page.evaluate("() => window.__violations")
        return found

    def sign_in(self, username: str = "admin", password: str = PASSWORD, *, at: str = "") -> None:
        """Log in and load the page at the path `at`, or at its root."""
        log_in(self.page, self.hub, username, password)
        if at:
            self.open(at)
        else:
            self.page.goto(self.hub.url)
        expect(self.page.get_by_role("navigation", name="Main", exact=True)).to_be_attached()


@contextmanager
def gate(browser: Browser, hub: HubProcess, *, expected: tuple[str, ...] = (), **more: Any) -> Iterator[Gate]:
    """A page, closed at the end; see `tab`. Raises: AssertionError: the page had an error, or the CSP refused something."""
    with tab(browser, **more) as page:
        made = Gate(page, hub, expected=expected)
        yield made
        refused = made.refused()
        assert not refused, refused
    assert not made.faults, made.faults


Screen = tuple[str, Callable[[Gate], None]]
"""The name of a screen or state, and the steps that lead to it."""


@dataclass(frozen=True)
class At:
    """The steps to a screen that has a path: open it."""

    path: str

    def __call__(self, gate: Gate) -> None:
        gate.open(self.path)


def at(path: str) -> At:
    """The steps to a screen that has a path."""
    return At(path)


def by_button(path: str, *names: str | re.Pattern[str]) -> Callable[[Gate], None]:
    """The steps to a screen behind a path and buttons, pressed in order."""

    def go(gate: Gate) -> None:
        gate.open(path)
        for name in names:
            gate.page.get_by_role("button", name=name).first.click()

    return go
