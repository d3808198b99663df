"""Runs a program that builds with Nix: prints its log as lines, and how far it is as `[3/7] build`, `[2/5] fetch` and `[?] activate`.

`progress.py PROGRAM WORD ...` ends with the status of the program. The program was told `--log-format internal-json`.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

COPY_PATHS, BUILDS = 103, 104
BUILD_LOG, PROGRESS = 101, 105
MOST_LEVEL = 3
"""Messages above this level are about each file that Nix evaluates."""
EACH_S = 0.5
_ACTIVATES = ("activating the configuration", "Starting Home Manager activation")


class Progress:
    """Turns lines of Nix into lines for people."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._kinds: dict[int, int] = {}
        self._counts: dict[int, dict[int, list[int]]] = {COPY_PATHS: {}, BUILDS: {}}
        self._shown = ""
        self._of: tuple[str, int] | None = None
        self._shown_at = 0.0

    def feed(self, line: str) -> None:
        """One line of the program, without its end."""
        if not line.startswith("@nix "):
            if line.startswith(_ACTIVATES):
                self._say("[?] activate")
            self._say(line)
            return
        try:
            found = json.loads(line[5:])
            self._take(found["action"], found)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            self._say(line)  # of a later Nix

    def _take(self, action: str, found: dict[str, Any]) -> None:
        if action == "start":
            self._kinds[found["id"]] = found["type"]
        elif action == "msg" and found["level"] <= MOST_LEVEL:
            for text in found["msg"].splitlines():
                self._say(text)
        elif action == "result" and found["type"] == BUILD_LOG:
            self._say(found["fields"][0])
        elif action == "result" and found["type"] == PROGRESS:
            counts = self._counts.get(self._kinds.get(found["id"], 0))
            if counts is not None:
                counts[found["id"]] = found["fields"][:2]
                self._tell()

    def _tell(self) -> None:
        """Say what is fetched, and once that is done what is built."""
        for kind, text in ((COPY_PATHS, "fetch"), (BUILDS, "build")):
            done = sum(int(one[0]) for one in self._counts[kind].values())
            expected = sum(int(one[1]) for one in self._counts[kind].values())
            if not expected or (done >= expected and kind == COPY_PATHS and any(one[1] for one in self._counts[BUILDS].values())):
                continue
            line, of, now = f"[{min(done, expected)}/{expected}] {text}", (text, expected), time.monotonic()
            if line != self._shown and (done >= expected or of != self._of or now - self._shown_at >= EACH_S):
                self._shown, self._of, self._shown_at = line, of, now
                self._say(line)
            return


def say(line: str) -> None:
    """Write one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(argv: list[str]) -> int:
    """Run the program. Returns its exit status."""
    progress = Progress(say)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        for line in child.stdout or ():
            progress.feed(line.decode("utf-8", "replace").rstrip("\r\n"))
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
