"""The program of `scripts/shots terminal`: records `stardust top` and a run on four real hosts from a terminal of tmux, as text and as SVG."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from tests.support import lab
from tests.support.deployed_host import DeployedHost
from tests.support.hub import HubProcess

ROOT: Final = Path(__file__).resolve().parents[2]
IMAGES: Final = ROOT / "docs/images"
NAMES: Final = ("web-1", "web-2", "web-3", "db-1")
COLUMNS, LINES = 104, 26
LIMIT_S = 900.0
HISTORY_S = 25.0
"""The list of the fleet has sparklines after this time."""
MIGRATES: Final = """#!/bin/sh
for what in pages images; do for part in 1 2 3 4 5 6; do echo "shop: migrating $what, part $part of 6"; sleep 1.5; done; done
"""


class Terminal:
    """A terminal of tmux with one command of `stardust`."""

    def __init__(self, folder: Path, hub: HubProcess, *words: str) -> None:
        self._socket = folder / "tmux"
        self.command = " ".join(["stardust", *words])
        program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from groundcontrol.cli.main import main; sys.exit(main())"
        argv = [sys.executable, "-IBc", program, words[0], "--data-dir", str(hub.folder), *(word.strip('"') for word in words[1:])]
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), *argv, ";", "set", "remain-on-exit", "on")

    def _tmux(self, *words: str) -> str:
        return subprocess.run(["tmux", "-S", str(self._socket), *words], capture_output=True, text=True, timeout=60, check=True).stdout

    def until(self, shown: Callable[[str], bool]) -> str:
        """Wait until the screen shows something. Returns: the screen with its colours. Raises: TimeoutError."""
        until = time.monotonic() + LIMIT_S
        while not shown(self._tmux("capture-pane", "-p")):
            if time.monotonic() > until:
                raise TimeoutError(self._tmux("capture-pane", "-p"))
            time.sleep(0.2)
        return self._tmux("capture-pane", "-e", "-p").rstrip("\n")

    def close(self) -> None:
        self._tmux("kill-server")


def prepare(one: DeployedHost, name: str) -> None:
    """Offer an upgrade, deploy Spider, and give the node its name."""
    one.offer("shop", MIGRATES)
    one.deploy()
    one.call("PATCH", f"nodes/{one.node}", {"name": name})
    one.wait_online()
    one.wait_row(one.submit("check"), LIMIT_S)


def record(folder: Path, hub: HubProcess) -> list[str]:
    """The lines of both recordings, with their colours."""
    top = Terminal(folder, hub, "top")
    top.until(lambda screen: f"{len(NAMES)} ● 0 ○" in screen)
    time.sleep(HISTORY_S)
    lines = [f"$ {top.command}", *_without_gaps(top.until(lambda screen: f"{len(NAMES)} ● 0 ○" in screen)), ""]
    top.close()
    run = Terminal(folder, hub, "run", "upgrade", '"web-*,db-1"', "--yes")
    lines += [
        f"$ {run.command}",
        *_without_gaps(run.until(lambda screen: screen.count("commit") >= len(NAMES) and "part 3 of 6" in screen)),
        "…",
    ]
    ended = run.until(lambda screen: "0 refused" in screen).splitlines()
    run.close()
    [at] = [number for number, line in enumerate(ended) if "STATE" in line and "PHASE" in line][-1:]
    return lines + [line for line in ended[at:] if line.strip() and "Pane is dead" not in line]


def _without_gaps(screen: str) -> list[str]:
    return [line for line in screen.splitlines() if Text.from_ansi(line).plain.strip()]


def write(lines: list[str]) -> None:
    """Write the text and the SVG."""
    texts = [Text.from_ansi(line) for line in lines]
    (IMAGES / "terminal.txt").write_text("".join(text.plain.rstrip() + "\n" for text in texts))
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        for text in texts:
            console.print(text, no_wrap=True, crop=True)
        (IMAGES / "terminal.svg").write_text(console.export_svg(title="stardust"))


def main() -> int:
    """Boot four hosts, and record. Returns: the exit status."""
    why = lab.unavailable()
    if why:
        print(f"scripts/shots: {why}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder) / "hub") as hub:
        try:
            hosts = [DeployedHost(host, hub) for host in lab.up(debian=len(NAMES))]
            with ThreadPoolExecutor(len(NAMES)) as workers:
                list(workers.map(prepare, hosts, NAMES))
            write(record(Path(folder), hub))
        finally:
            lab.down()
    print("docs/images/terminal.txt\ndocs/images/terminal.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
