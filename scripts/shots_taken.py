"""The pictures that the documents show, taken from the real page with `scripts/run` and `scripts/fleet` behind it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs/images"
PASSWORD = "a fleet among the stars"
NODES = 24
SETTLE_S = 75
"""Long enough for a minute of live charts."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
DESKTOP, PHONE = (1440, 900), (390, 844)


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(words: list[str], env: dict[str, str], until: str) -> subprocess.Popen[str]:
    """Start a program and wait for a line of its output."""
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if until in line:
            return process
    raise RuntimeError(f"{words} ended")


def log_in(browser: Browser, url: str) -> Path:
    """Log in for the first time; returns the file of the browser's state."""
    state = Path(tempfile.mkdtemp()) / "state.json"
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password", exact=True).fill("admin")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("Repeat it", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("table", name="Nodes").wait_for()
    context.storage_state(path=state)
    context.close()
    return state


def picture(browser: Browser, state: Path, url: str, name: str, size: tuple[int, int], scheme: str) -> Page:
    """Open a page, let it come to rest, and keep a picture of it."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, storage_state=state)  # type: ignore[arg-type]  # a literal
    page = context.new_page()
    page.goto(url)
    page.get_by_role("heading", level=1).wait_for()
    time.sleep(4)
    page.screenshot(path=IMAGES / f"{name}.png")
    print(f"docs/images/{name}.png", flush=True)
    return page


def main() -> int:
    """Entry point of scripts/shots."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("scripts/shots: chromium is not installed", file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        state = Path(folder) / "stardust"
        port = free_port()
        env = dict(os.environ, STARDUST_PORT=str(port), PYTHONUNBUFFERED="1")
        processes = [start(["scripts/run.py", str(state)], env, "stop")]
        try:
            processes.append(start(["-m", "scripts.fleet_run", str(state), str(NODES)], env, "simulated"))
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            url = f"http://localhost:{port}"
            session = log_in(browser, url)
            fleet = picture(browser, session, url, "fleet-phone", PHONE, "light")
            time.sleep(SETTLE_S)
            picture(browser, session, url, "fleet", DESKTOP, "dark")
            picture(browser, session, url, "fleet-light", DESKTOP, "light")
            node = fleet.evaluate(
                "() => document.querySelector('[data-node]')?.dataset.node ?? document.querySelector('a[href^=\"/n/\"]').getAttribute('href').slice(3)"
            )
            picture(browser, session, f"{url}/n/{node}", "node", DESKTOP, "dark")
            picture(browser, session, f"{url}/n/{node}", "node-light", DESKTOP, "light")
            page = picture(browser, session, f"{url}/n/{node}", "node-phone", PHONE, "dark")
            page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
            page.get_by_role("button", name="Add node").first.click()
            page.get_by_role("dialog").wait_for()
            time.sleep(0.5)
            page.screenshot(path=IMAGES / "add-node.png")
            browser.close()
        finally:
            for process in reversed(processes):
                process.send_signal(signal.SIGINT)
                process.wait(30)
    return 0


if __name__ == "__main__":
    sys.exit(main())
