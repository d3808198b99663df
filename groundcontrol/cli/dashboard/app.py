"""The dashboard on a terminal: Textual's line interface draws each line of the pure frames. A table widget would cost five times the CPU."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.strip import Strip
from textual.widget import Widget

from groundcontrol.cli.client import shown
from groundcontrol.cli.dashboard import frames
from groundcontrol.cli.dashboard.state import ORDERS, Fleet

Ask = Callable[..., Coroutine[Any, Any, None]]
Follow = Callable[[], Coroutine[Any, Any, None]]
_STYLES = {
    "": Style(), "bold": Style(bold=True), "dim": Style(dim=True),
    "warning": Style(color="yellow"), "critical": Style(color="red", bold=True), "notice": Style(color="cyan"),
}  # fmt: skip


class Lines(Widget):
    """Draws the lines of the present view."""

    DEFAULT_CSS = "Lines { width: 1fr; height: 1fr; background: ansi_default; }"

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[frames.Line] = []

    def show(self, lines: list[frames.Line]) -> None:
        """Draw the lines that have changed."""
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    def render_line(self, y: int) -> Strip:
        line = self._lines[y] if y < len(self._lines) else []
        return Strip([Segment(text, _STYLES.get(style, _STYLES[""])) for text, style in line]).adjust_cell_length(self.size.width)


class Dashboard(App[None]):
    """`stardust top`."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c", "quit", priority=False),
        Binding("up,k", "move(-1)"), Binding("down,j", "move(1)"), Binding("pageup", "move(-10)"), Binding("pagedown", "move(10)"),
        Binding("enter", "view('node')"), Binding("escape", "home"), Binding("slash", "filter"), Binding("s", "sort"),
        Binding("l", "view('jobs')"), Binding("e", "view('events')"), Binding("question_mark", "view('help')"), Binding("u", "upgrade"),
    ]  # fmt: skip

    def __init__(
        self, fleet: Fleet, ask: Ask, order: Callable[[str], Coroutine[Any, Any, str]], interval_s: float, follow: Follow | None = None
    ) -> None:
        """Args:
        ask: asks the hub and fills the fleet, unless it is live.
        order: orders an upgrade of a node, and returns a sentence.
        follow: fills the fleet from the hub's live socket, without an end.
        """
        super().__init__(ansi_color=True)
        self.fleet = fleet
        self.view_name = "fleet"
        self.words = ""
        self.asks = ""
        """The question, or the filter that is being typed, in the last line."""
        self._ask = ask
        self._order = order
        self._interval_s = interval_s
        self._follow = follow
        self._selected_id = ""
        self._typing = False
        self._confirms: Any | None = None
        self._lines = Lines()

    def compose(self) -> ComposeResult:
        yield self._lines

    def on_mount(self) -> None:
        """Draw the first frame before the hub has answered."""
        self.draw()
        self.run_worker(self._poll(), exclusive=True, group="frames")
        if self._follow is not None:
            self.run_worker(self._follow(), group="live")

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.draw()

    async def _poll(self) -> None:
        while True:
            node = self.selected() if self.view_name == "node" else None
            await self._ask(tiles=self.view_name == "jobs", node=None if node is None else node["id"])
            self.draw()
            await asyncio.sleep(self._interval_s)

    def selected(self) -> Any | None:
        """The selected node: it stays selected by its id when rows change their places."""
        nodes = self.fleet.rows(self.words)
        return next((node for node in nodes if node["id"] == self._selected_id), nodes[0] if nodes else None)

    def draw(self) -> None:
        """Draw the present view."""
        width, height = self.size
        nodes, node = self.fleet.rows(self.words), self.selected()
        at = nodes.index(node) if node is not None else -1
        match self.view_name:
            case "node" if node is not None:
                body = frames.node_lines(self.fleet, node, width, height)
            case "events":
                body = frames.event_lines(self.fleet, width, height)
            case "jobs":
                body = frames.job_lines(self.fleet, width, height)
            case "help":
                body = [[(f" {line}", "")] for line in frames.HELP]
            case _:
                body = frames.fleet_lines(self.fleet, nodes, at, width, height)
        body = body[: height - 2]
        lines = [
            frames.head(self.fleet, self.words, width),
            *body,
            *[[] for _ in range(height - 2 - len(body))],
            frames.foot(self.asks, width),
        ]
        self._lines.show(lines)

    def action_move(self, by: int) -> None:
        """Select another row."""
        nodes, node = self.fleet.rows(self.words), self.selected()
        if node is not None:
            self._selected_id = nodes[max(0, min(len(nodes) - 1, nodes.index(node) + by))]["id"]
        self.draw()

    def action_view(self, name: str) -> None:
        """Open a view."""
        node = self.selected()
        self._selected_id = node["id"] if node is not None else ""
        self.view_name = name
        self.run_worker(self._poll(), exclusive=True, group="frames")
        self.draw()

    def action_home(self) -> None:
        """Go back to the fleet, without a filter."""
        self.view_name, self.words, self.asks, self._typing, self._confirms = "fleet", "", "", False, None
        self.draw()

    def action_sort(self) -> None:
        """Take the next order."""
        self.fleet.order = ORDERS[(ORDERS.index(self.fleet.order) + 1) % len(ORDERS)]
        self.asks = f" sorted by {self.fleet.order}"
        self.draw()

    def action_filter(self) -> None:
        """Read a filter from the keys that follow."""
        self._typing, self.asks = True, f" / {self.words}"
        self.draw()

    def action_upgrade(self) -> None:
        """Ask before an upgrade is ordered."""
        self._confirms = self.selected()
        if self._confirms is not None:
            self.asks = f" upgrade {shown(self._confirms['name'])}? y: yes, any other key: no"
        self.draw()

    async def on_event(self, event: Any) -> None:
        """Keys of a question or a filter come before the bindings."""
        if isinstance(event, Key) and (self._typing or self._confirms is not None):
            event.stop()
            await self._answer(event)
            return
        await super().on_event(event)

    async def _answer(self, key: Key) -> None:
        if self._confirms is not None:
            node, self._confirms = self._confirms, None
            self.asks = f" {await self._order(node['id'])}" if key.key == "y" else ""
        elif key.key in ("enter", "escape"):
            self._typing, self.asks = False, ""
            self.words = self.words if key.key == "enter" else ""
        elif key.key == "backspace":
            self.words = self.words[:-1]
        elif key.character and key.character.isprintable():
            self.words += key.character
        if self._typing:
            self.asks = f" / {self.words}"
        self.draw()
