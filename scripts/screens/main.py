"""The program of scripts/shots: takes pictures of every screen of the real page, with a real hub and a simulated fleet."""

from __future__ import annotations

import base64
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import BrowserContext, Page, sync_playwright

from scripts.screens import dialogs, states
from tests.support.hub import PASSWORD, HubProcess
from tests.support.stage import Stage, play_jobs

ROOT = Path(__file__).resolve().parents[2]
IMAGES, SCREENS = ROOT / "docs/images", ROOT / ".cache/shots"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
SIZES = {1440: (1440, 900), 390: (390, 844)}
QUALITY = 82
SETTLE_MS = 1_800
"""Charts, and data of a second request, are complete after this time."""
Act = Callable[[Page], None]


class Screen(NamedTuple):
    """One screen: its name, its path, and the actions before the picture."""

    name: str
    path: str
    act: Act | None = None


IN_DOCUMENTS = {
    ("fleet", "dark", 1440): "fleet", ("fleet", "light", 1440): "fleet-light", ("fleet", "light", 390): "fleet-phone", ("node", "dark", 1440): "node",
    ("node", "light", 1440): "node-light", ("node", "dark", 390): "node-phone", ("add-node", "dark", 1440): "add-node", ("job-running", "dark", 1440): "job",
}  # fmt: skip
"""Name, theme and width of the pictures that README shows -> the names of their files."""


def press(*names: str) -> Act:
    """Press visible buttons with these names, one after another."""

    def act(page: Page) -> None:
        for name in names:
            page.get_by_role("button", name=name).locator("visible=true").first.click()

    return act


def keys(*pressed: str) -> Act:
    def act(page: Page) -> None:
        for key in pressed:
            page.keyboard.press(key)

    return act


def select(page: Page) -> None:
    for name in ("web-01", "web-02", "db-02"):
        page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()


def order(page: Page) -> None:
    select(page)
    page.get_by_role("region", name="Selection").get_by_role("button", name="Run…").click()
    page.get_by_role("dialog").wait_for()


def plan(page: Page) -> None:
    page.get_by_role("button", name="Upgrade").first.click()
    page.get_by_role("table", name="Planned changes").wait_for()


def one_line(page: Page) -> None:
    page.keyboard.press("n")
    page.get_by_role("radio", name="One-line command").click()


def wrong(page: Page) -> None:
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password", exact=True).fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()


def screens(stage: Stage, jobs: dict[str, str]) -> list[Screen]:
    """All screens of a signed-in admin."""
    busy, hot = f"/n/{stage.ids['db-01']}", f"/n/{stage.ids['web-03']}"
    tabs = ("measures", "processes", "hardware", "services", "packages", "jobs", "logs", "events", "rules", "settings")
    settings = ("account", "users", "tokens", "joining", "history", "hub", "audit", "appearance")
    return [
        Screen("fleet", "/"),
        Screen("fleet-cards", "/?view=cards"),
        Screen("fleet-filtered", "/?q=tag%3Aprod&sort=-cpu"),
        Screen("fleet-groups", "/?group=tag"),
        Screen("fleet-no-match", "/?q=nothing-fits"),
        Screen("fleet-selection", "/", select),
        Screen("fleet-order", "/", order),
        Screen("palette", "/", keys("Control+k")),
        Screen("keys", "/", keys("?")),
        Screen("add-node", "/", keys("n")),
        Screen("add-node-command", "/", one_line),
        Screen("compare", f"/compare?nodes={stage.ids['web-01']},{stage.ids['web-02']},{stage.ids['web-03']}"),
        Screen("node", busy),
        Screen("node-hot", hot),
        Screen("node-offline", f"/n/{stage.ids['backup-hel']}"),
        Screen("node-stale", f"/n/{stage.ids['build-02']}"),
        Screen("node-new", f"/n/{stage.ids['lab-07']}"),
        *(Screen(f"node-{tab}", f"{busy}/{tab}") for tab in tabs),
        Screen("node-hour", f"{busy}?range=1h"),
        Screen("removal", f"{busy}/settings", press("Remove node…")),
        Screen("upgrade-plan", busy, plan),
        Screen("job-running", f"/jobs/{jobs['running']}"),
        Screen("job-failed", f"/jobs/{jobs['failed']}"),
        Screen("job-succeeded", f"/jobs/{jobs['succeeded']}"),
        Screen("order-for-many", f"/batches/{jobs['batch']}"),
        *(
            Screen(f"alerts-{tab}", f"/alerts/{tab}")
            for tab in ("firing", "history", "rules", "channels", "maintenance", "deadlines", "deliveries")
        ),
        Screen("updates", "/updates"),
        Screen("updates-by-node", "/updates?by=node"),
        Screen("jobs", "/jobs"),
        Screen("events", "/events"),
        *(Screen(f"settings-{tab}", f"/settings/{tab}") for tab in settings),
    ]


class Camera:
    """Takes each screen in both themes and both widths."""

    def __init__(self, context: BrowserContext, url: str, only: set[str], page: Page | None = None) -> None:
        self.page = page or context.new_page()
        self.page.set_default_timeout(10_000)
        self._cdp = context.new_cdp_session(self.page)
        self._url = url
        self._only = only

    def take(self, screen: Screen) -> None:
        """Writes the pictures of one screen."""
        if self._only and screen.name not in self._only:
            return
        for scheme in ("dark", "light"):
            for width, (_, height) in SIZES.items():
                self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                self.page.set_viewport_size({"width": width, "height": height})
                self.page.goto(self._url + screen.path)
                self.page.get_by_role("heading", level=1).first.wait_for(state="attached")
                try:
                    self.page.wait_for_timeout(SETTLE_MS / 2)
                    if screen.act:
                        screen.act(self.page)
                    self.page.wait_for_timeout(SETTLE_MS / 2)
                except Exception as error:  # the other pictures are still taken; this line names the missing one
                    print(f"{screen.name} {scheme} {width}: {str(error).splitlines()[0]}", file=sys.stderr, flush=True)
                    continue
                self.keep(screen.name, scheme, width)

    def looks(self, name: str) -> None:
        """Take pictures of the current view, which has no path, in all themes and widths."""
        if self._only and name not in self._only:
            return
        for scheme in ("dark", "light"):
            for width, (_, height) in SIZES.items():
                self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                self.page.set_viewport_size({"width": width, "height": height})
                self.page.wait_for_timeout(400)
                self.keep(name, scheme, width)

    def keep(self, name: str, scheme: str, width: int) -> None:
        """Write one picture of the current view."""
        taken = self._cdp.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})["data"]
        path = SCREENS / f"{name}-{scheme}-{width}.webp"
        path.write_bytes(base64.b64decode(taken))
        if image := IN_DOCUMENTS.get((name, scheme, width)):
            self.page.screenshot(path=IMAGES / f"{image}.png")
        print(path.relative_to(ROOT), flush=True)


def taking(context: BrowserContext, url: str, only: set[str], page: Page) -> Callable[[str, str, Act], None]:
    """Returns: a function that takes a screen, by name, path and actions, in another page of the same browser."""
    camera = Camera(context, url, only, page)
    return lambda name, path, act: camera.take(Screen(name, path, act))


def sign_in(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator("[data-node]").first.wait_for()


FIRST_START = ("log-in-first-password", "fleet-empty")


def first_start(camera: Camera, url: str) -> None:
    """The forced change of the first password, and the empty fleet after it."""
    page = camera.page
    page.goto(url)
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password", exact=True).fill("admin")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Repeat password", exact=True).wait_for()
    for name in FIRST_START:
        camera.looks(name)
        if name == "log-in-first-password":
            page.get_by_label("New password", exact=True).fill(PASSWORD)
            page.get_by_label("Repeat password", exact=True).fill(PASSWORD)
            page.keyboard.press("Enter")
            page.get_by_text("No nodes yet").wait_for()


def hub_lost(camera: Camera, hub: HubProcess) -> None:
    """The last picture: the hub no longer answers."""
    page = camera.page
    hub.slay()
    page.get_by_text("No connection to Ground Control").wait_for(timeout=20_000)
    camera.looks("hub-lost")


def main() -> int:
    """Entry point of scripts/shots."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("scripts/shots: chromium is not installed", file=sys.stderr)
        return 1
    only = set(sys.argv[1:])
    IMAGES.mkdir(parents=True, exist_ok=True)
    SCREENS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        if not only or states.LOCKED in only:
            page = browser.new_context().new_page()
            states.of_a_locked_door(page, Path(folder) / "locked", Camera(page.context, "", only, page).looks)
        if not only or only & {*FIRST_START, *dialogs.FIRST}:
            with HubProcess(Path(folder) / "first", default_admin=True) as hub:
                camera = Camera(browser.new_context(), hub.url, only)
                first_start(camera, hub.url)
                if not only or only & set(dialogs.FIRST):
                    camera.page.set_viewport_size({"width": 1440, "height": 900})
                    dialogs.of_a_command(camera.page, hub, camera.looks)
                    camera.page.set_viewport_size({"width": 1440, "height": 900})
                    dialogs.of_many(camera.page, hub.url, camera.looks)
        if only and only <= {*FIRST_START, *dialogs.FIRST, states.LOCKED}:
            browser.close()
            return 0
        with HubProcess(Path(folder) / "hub") as hub, Stage(hub) as stage:
            jobs = play_jobs(hub, stage)
            camera = Camera(browser.new_context(), hub.url, only)
            for screen in (Screen("log-in", "/"), Screen("log-in-wrong", "/", wrong)):
                camera.take(screen)
            sign_in(camera.page, hub.url)
            for screen in screens(stage, jobs):
                camera.take(screen)
            if not only or only & set(dialogs.NAMES):
                camera.page.set_viewport_size({"width": 1440, "height": 900})
                dialogs.of_a_server(camera.page, hub.url, camera.looks)
                dialogs.of_a_viewer(browser, hub, stage, lambda page: Camera(page.context, hub.url, only, page).looks)
            if not only or only & set(states.NAMES):
                takes = partial(taking, camera.page.context, hub.url, only)
                states.of_waits_and_failures(camera.page.context, stage, takes)
                states.of_saved_views(camera.page.context, hub.url, takes)
            if not only or "hub-lost" in only:
                camera.page.set_viewport_size({"width": 1440, "height": 900})  # rows have sparklines, cards have none
                camera.page.goto(hub.url)
                camera.page.locator("[data-node]").first.wait_for()
                camera.page.wait_for_timeout(2 * SETTLE_MS)  # a second request loads the sparklines
                hub_lost(camera, hub)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
