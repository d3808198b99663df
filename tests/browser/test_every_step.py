"""A server that fails each step of its deployment in turn: the step is named, its remedy is offered, and the retry goes past it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Locator, expect

from groundcontrol.deployments.model import INSTALL_STEPS
from tests.support.hub import HubProcess
from tests.support.lab import Host
from tests.support.page.deployments import said, trusted
from tests.support.page.gate import LOOKS, Gate, gate
from tests.support.page.waits import forgotten
from tests.support.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.system, pytest.mark.timeout(1_800)]

RIGHT = "lab-admin-pw"
WRONG = {"SSH password": "canary-ssh-1", "sudo password": "canary-sudo-2"}
DROP_IN = "/etc/systemd/system/stardust-spider.service.d"
STEP_LIMIT_MS = 240_000


class Obstacle(NamedTuple):
    """An obstacle for one step."""

    step: str
    says: str
    put: str
    """Script of root on the server, before anything."""
    mend: Callable[[Gate, Host, Locator], object]
    changed: str
    """What the page says of what was changed there."""


def by_script(script: str) -> Callable[[Gate, Host, Locator], object]:
    return lambda _, host, __: host.sh(script)


def by_field(label: str, value: str) -> Callable[[Gate, Host, Locator], object]:
    return lambda _, __, failure: failure.get_by_label(label).first.fill(value)


NOTHING, TAKEN_BACK = "This attempt changed nothing on the server.", "What this attempt started on the server has been undone."
OBSTACLES = (
    Obstacle("connect", "nothing listens on port", "", lambda _, host, failure: failure.get_by_label("Port").fill(str(host.port)), NOTHING),
    Obstacle("authenticate", "does not let admin in with this password", "", by_field("SSH password of admin", RIGHT), NOTHING),
    Obstacle("become_root", "sudo did not accept the password", "", by_field("sudo password of admin", RIGHT), NOTHING),
    Obstacle("probe", "Stardust is already on this server", "mkdir /opt/stardust; touch /opt/stardust/another", by_script("rm -r /opt/stardust"), NOTHING),
    Obstacle("upload", "The files could not be copied", "chmod 755 /tmp", by_script("chmod 1777 /tmp"), ""),
    Obstacle(
        "install", "Installing failed", "mv /usr/sbin/useradd /usr/sbin/useradd.away; ln -s /bin/false /usr/sbin/useradd",
        by_script("mv /usr/sbin/useradd.away /usr/sbin/useradd"), TAKEN_BACK,
    ),
    Obstacle(
        "start", "The agent did not start", f"mkdir -p {DROP_IN}; printf '[Service]\\nExecStart=\\nExecStart=/no/such\\n' >{DROP_IN}/x.conf",
        by_script(f"printf '[Service]\\nType=simple\\nExecStart=\\nExecStart=/bin/sleep 600\\n' >{DROP_IN}/x.conf"), TAKEN_BACK,
    ),
    Obstacle("verify", "did not come back to Ground Control", "", by_script(f"rm -r {DROP_IN}"), TAKEN_BACK),
)  # fmt: skip
"""All but the host key, whose own tests are beside the other ways to add a server."""


@pytest.mark.slow
@pytest.mark.holds("J-8", "J-15")
def test_every_failed_step_is_named_corrected_and_retried(browser: Browser, host: Host, tmp_path_factory: pytest.TempPathFactory) -> None:
    with HubProcess(tmp_path_factory.mktemp("steps") / "hub") as hub, gate(browser, hub) as seen:
        for obstacle in OBSTACLES:
            if obstacle.put:
                host.sh(obstacle.put)
        page = seen.page
        sent = said(page)
        seen.sign_in()
        page.get_by_role("button", name="Add node").first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Host name or IP").fill(host.address)
        dialog.get_by_label("Port").fill(str(free_port()))
        dialog.get_by_label("SSH user").fill("admin")
        dialog.get_by_label("Name in Stardust").fill("stubborn")
        dialog.get_by_role("radio", name="Password", exact=True).click()
        dialog.get_by_label("SSH password", exact=True).fill(WRONG["SSH password"])
        dialog.get_by_label("sudo password", exact=True).fill(WRONG["sudo password"])
        dialog.get_by_role("button", name="Connect").click()

        before = ""
        for number, obstacle in enumerate(OBSTACLES, 1):
            failure = dialog.locator(".failure")
            expect(dialog.locator(f"[data-step={obstacle.step}][data-state=failed]")).to_be_visible(timeout=STEP_LIMIT_MS)
            expect(failure).to_contain_text(obstacle.says)
            assert failure.get_by_role("heading").count() == 1, "the cause in one sentence"
            expect(dialog.locator("[data-state=failed]")).to_have_count(1)
            done = dialog.locator("[data-step][data-state=done]").evaluate_all("(all) => all.map((one) => one.dataset.step)")
            assert done == list(INSTALL_STEPS[: INSTALL_STEPS.index(obstacle.step)])
            if obstacle.changed:
                expect(failure.get_by_text(obstacle.changed)).to_be_visible()
            if before:
                expect(dialog.get_by_text(re.compile(f"^Attempt {number}. The previous one ended at “{before}”"))).to_be_visible()
            seen.look(LOOKS[number % len(LOOKS)])
            assert number > len(LOOKS) or not seen.axe()  # one view, in each look once
            before = dialog.locator(f"[data-step={obstacle.step}] > span").first.inner_text()
            obstacle.mend(seen, host, failure)
            failure.get_by_role("button", name="Retry").click()
            if obstacle.step == "connect":
                expect(dialog.get_by_text("Is this the right server?")).to_be_visible()
                assert dialog.get_by_label("Fingerprint", exact=True).inner_text() in {key["fingerprint"] for key in host.host_keys}
                trusted(seen)

        expect(page.get_by_role("dialog", name="stubborn is live")).to_be_visible(timeout=STEP_LIMIT_MS)
        expect(dialog.locator("[data-step][data-state=done]")).to_have_count(len(INSTALL_STEPS))
        seen.look(LOOKS[0])
        assert not seen.axe()
        sent.clear()
        dialog.get_by_role("button", name="Open node").click()
        expect(page.get_by_role("heading", level=1, name="stubborn")).to_be_visible()
        forgotten(page, RIGHT, *WRONG.values())
        assert not [line for line in sent if any(secret in line for secret in (RIGHT, *WRONG.values()))]
