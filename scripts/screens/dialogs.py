"""Pictures of dialogs and refusals: many servers, a command, a host key, deployment steps, a second factor, a missing right, a newer build."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Browser, Page

from tests.support.hub import HubProcess
from tests.support.page.accounts import NEXT_PASSWORD, choose_password, password_step, settings, switch_on
from tests.support.page.answers import OLDER
from tests.support.page.deployments import OPENS, Server, Servers
from tests.support.ssh_server import SshServerThread
from tests.support.stage import Stage

LOOK = Callable[[str], None]
"""Takes pictures of the current view under a name, in both themes and widths."""
NAMES = (
    "host-key", "deploy-refused", "host-key-changed", "deploy-steps", "deployments", "no-permission", "fleet-viewer", "newer-build", "second-factor", "log-in-code", "log-in-recovery",
)  # fmt: skip
FIRST = ("add-node-many", "add-node-many-keys", "add-node-many-ended", "add-node-command-made", "add-node-joining", "add-node-joined")
"""Pictures of a new user's first steps on an empty hub."""


def of_many(page: Page, url: str, look: LOOK) -> None:
    """Add many servers: the list as it is typed, the question about all host keys, and the result of each server."""
    with Servers() as servers:
        page.goto(url)
        page.get_by_role("button", name="Add node").locator("visible=true").first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("radio", name="Many servers").click()
        one, two, three = servers.ports
        listed = dialog.get_by_label("Servers", exact=True)
        listed.fill(f"# ours\n127.0.0.1:{one} web-1\nops@127.0.0.1:{two} web-2\n127.0.0.1:x web-3\n127.0.0.1:{one}")
        dialog.get_by_text("2 of 4 servers can be added").wait_for()
        look("add-node-many")
        listed.fill(f"127.0.0.1:{one} web-1\n127.0.0.1:{two} web-2\n127.0.0.1:{three} web-3")
        dialog.get_by_label("SSH user").fill("root")
        dialog.get_by_role("button", name="Paste key").click()
        dialog.get_by_label("Private key text").fill(OPENS)
        dialog.get_by_role("button", name="Add ", exact=False).last.click()
        keys = page.get_by_role("region", name="Host keys")
        keys.get_by_text("All 3 fingerprints match").wait_for()
        look("add-node-many-keys")
        keys.get_by_text("All 3 fingerprints match").click()
        keys.get_by_role("button", name="Trust these 3 and continue").click()
        page.locator("[data-state='failed']").nth(2).wait_for()
        look("add-node-many-ended")


def of_a_command(page: Page, hub: HubProcess, look: LOOK) -> None:
    """The one-line command, and the server that joins with it."""
    page.goto(hub.url)
    page.get_by_role("button", name="One-line command").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name in Stardust").fill("web-7")
    dialog.get_by_role("button", name="Create command").click()
    dialog.get_by_label("Checksum").wait_for()
    look("add-node-command-made")
    with Server(hub, dialog.get_by_label("Invite", exact=True).inner_text()) as server:
        dialog.get_by_text("The server was recognised").wait_for()
        look("add-node-joining")
        server.go_on.set()
        dialog.get_by_role("button", name="Open node").wait_for()
        look("add-node-joined")


def of_a_server(page: Page, url: str, look: LOOK) -> None:
    """Add a server: an unknown host key, a refused log-in, a changed key, and running steps."""
    with SshServerThread() as end:
        _ask(page, url, end, "wrong")
        look("host-key")
        dialog = page.get_by_role("dialog")
        _trust(page)
        box = dialog.locator(".failure")
        box.get_by_role("textbox", name="SSH password").wait_for()
        look("deploy-refused")
        end.another_key()
        box.get_by_role("textbox", name="SSH password").fill("another")
        box.get_by_role("button", name="Retry").click()
        box.get_by_text("somebody intercepts the connection").wait_for()
        look("host-key-changed")
        _ask(page, url, end, "right")
        _trust(page)
        dialog.locator("[data-step=host_key][data-state=done]").wait_for()
        look("deploy-steps")
        page.get_by_role("dialog").get_by_role("button", name="Cancel").first.click()
        page.goto(f"{url}/jobs?of=deployments")
        page.locator("[role=row][data-state=cancelled]").wait_for()
        look("deployments")


def _ask(page: Page, url: str, end: SshServerThread, password: str) -> None:
    page.goto(url)
    page.get_by_role("button", name="Add node").locator("visible=true").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Host name or IP").fill("127.0.0.1")
    dialog.get_by_label("Port").fill(str(end.port))
    dialog.get_by_label("SSH user").fill("ada")
    dialog.get_by_role("radio", name="Password", exact=True).click()
    dialog.get_by_label("SSH password", exact=True).fill(password)
    dialog.get_by_role("button", name="Connect").click()
    dialog.get_by_text("Is this the right server?").wait_for()


def _trust(page: Page) -> None:
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("The fingerprints match").click()
    dialog.get_by_role("button", name="Trust and deploy").click()


def of_a_viewer(chromium: Browser, hub: HubProcess, stage: Stage, camera: Callable[[Page], LOOK]) -> None:
    """The views of a viewer, who then sets up a second factor. `camera` returns the LOOK of a page."""
    made = hub.local("POST", "/api/v1/users", {"username": "grace", "role": "viewer"}).json
    page = chromium.new_context(viewport={"width": 1440, "height": 900}).new_page()
    look = camera(page)
    choose_password(page, hub, "grace", made["password"])
    page.get_by_role("table", name="Nodes").wait_for()
    look("fleet-viewer")
    page.goto(f"{hub.url}/settings/users")
    page.get_by_text("Only admins can see this part").wait_for()
    look("no-permission")
    page.set_viewport_size({"width": 1440, "height": 900})
    settings(page)
    switch_on(page)
    look("second-factor")
    page.add_init_script(OLDER)
    page.goto(f"{hub.url}/n/{stage.ids['db-01']}/settings")
    page.get_by_text("A new version of this page is ready").wait_for()
    look("newer-build")
    page.context.close()
    page = chromium.new_context(viewport={"width": 1440, "height": 900}).new_page()
    look = camera(page)
    password_step(page, hub, "grace", NEXT_PASSWORD)
    page.get_by_label("6-digit code").wait_for()
    look("log-in-code")
    page.get_by_role("button", name="Use a recovery code").click()
    page.get_by_label("Recovery code").wait_for()
    look("log-in-recovery")
    page.context.close()
