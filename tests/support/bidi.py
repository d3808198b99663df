"""Controls Firefox by WebDriver BiDi, as far as a smoke test needs it. https://www.w3.org/TR/webdriver-bidi/"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

START_LIMIT_S = 60.0
CALL_LIMIT_S = 60.0
WAIT_LIMIT_S = 60.0
LOOK_EVERY_S = 0.1
PREFERENCES = {
    "app.update.disabledForTesting": True,
    "browser.aboutwelcome.enabled": False,
    "browser.newtabpage.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.tabs.warnOnClose": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.no_proxies_on": "127.0.0.1, localhost",
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.type": 1,
    "services.settings.server": "data:,",
    "signon.rememberSignons": False,
    "toolkit.telemetry.enabled": False,
}
"""Firefox reaches only loopback: everything else goes to a proxy that does not exist."""


class Firefox:
    """One tab. `complaints` has the errors of the pages' consoles."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._last = 0
        self.complaints: list[str] = []
        self.call("session.new", {"capabilities": {}})
        self.call("session.subscribe", {"events": ["log.entryAdded"]})
        self._tab = self.call("browsingContext.getTree", {})["contexts"][0]["context"]

    def call(self, method: str, params: dict[str, Any]) -> Any:
        """Send one command. Returns: its result. Notes events that come before the answer. Raises: AssertionError: it failed."""
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while True:
            said = json.loads(self._socket.recv(timeout=CALL_LIMIT_S))
            if said.get("type") == "event":
                self._note(said)
            elif said.get("id") == self._last:
                assert said["type"] == "success", said
                return said["result"]

    def _note(self, event: dict[str, Any]) -> None:
        entry = event["params"]
        if event["method"] == "log.entryAdded" and entry["level"] == "error":
            self.complaints.append(str(entry["text"]))

    def resize(self, width: int, height: int) -> None:
        self.call("browsingContext.setViewport", {"context": self._tab, "viewport": {"width": width, "height": height}})

    def before_each_page(self, script: str) -> None:
        """Run this before the page's own scripts."""
        self.call("script.addPreloadScript", {"functionDeclaration": f"() => {{ {script} }}"})

    def open(self, url: str) -> None:
        self.call("browsingContext.navigate", {"context": self._tab, "url": url, "wait": "complete"})

    def run(self, expression: str) -> Any:
        """The value of an expression: a text, a number or a boolean; None for any other value."""
        params = {"expression": expression, "target": {"context": self._tab}, "awaitPromise": True}
        found = self.call("script.evaluate", params)
        assert found["type"] == "success", found
        return found["result"].get("value")

    def wait(self, expression: str) -> Any:
        """Evaluate an expression until it is true. Returns: its value. Raises: AssertionError: not within WAIT_LIMIT_S."""
        deadline = time.monotonic() + WAIT_LIMIT_S
        pause = threading.Event()
        while not (value := self.run(expression)):
            assert time.monotonic() < deadline, f"never came: {expression}\n{self.run('document.body.innerText')}"
            pause.wait(LOOK_EVERY_S)
        return value

    def focus(self, selector: str) -> None:
        """Wait for an element, and move the focus to it."""
        self.wait(f"(() => {{ const found = document.querySelector({json.dumps(selector)}); found?.focus(); return found !== null; }})()")

    def press(self, text: str) -> None:
        """Type, key by key; \\ue007 is Enter."""
        keys = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self.call("input.performActions", {"context": self._tab, "actions": [{"type": "key", "id": "keys", "actions": keys}]})


@contextmanager
def firefox(program: str, folder: Path) -> Iterator[Firefox]:
    """A Firefox with a new profile in `folder`. It ends with the block."""
    profile = folder / "profile"
    profile.mkdir(parents=True)
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    argv = [program, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port=0", "about:blank"]
    settings = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "TZ": "UTC"}
    log = folder / "firefox.log"
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=settings, cwd=folder)
    try:
        with connect(_address(process, log) + "/session", max_size=1 << 24, open_timeout=CALL_LIMIT_S) as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address on which Firefox listens, from its log. Raises: AssertionError: none within START_LIMIT_S."""
    deadline = time.monotonic() + START_LIMIT_S
    pause = threading.Event()
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"listening on (ws://127\.0\.0\.1:\d+)", log.read_text(errors="replace")):
            return found.group(1)
        pause.wait(LOOK_EVERY_S)
    raise AssertionError(f"Firefox does not listen:\n{log.read_text(errors='replace')[-2000:]}")
