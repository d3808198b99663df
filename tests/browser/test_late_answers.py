"""An answer of REST that comes after newer things were told live takes nothing back on the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Browser, Route, expect

from tests.browser.gates import LOOKS, gate
from tests.browser.test_gates_axe import asked_for_its_key, trusted
from tests.support.hub import HubProcess
from tests.support.ssh_end import SshEnd

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def test_a_late_answer_does_not_take_a_deployment_back(browser: Browser, tmp_path: Path) -> None:
    held: list[tuple[Route, APIResponse]] = []
    with HubProcess(tmp_path / "hub") as hub, SshEnd() as end, gate(browser, hub) as seen:
        seen.sign_in()
        asked_for_its_key(end, "right")(seen)
        seen.page.route("**/host-key", lambda route: held.append((route, route.fetch())))
        trusted(seen)
        expect(seen.page.locator("[data-step=authenticate][data-state=running]")).to_be_visible()
        [(route, answer)] = held
        assert [step["state"] for step in answer.json()["steps"]][:2] == ["done", "running"], "older than what is shown"
        with seen.page.expect_response("**/host-key") as late:
            route.fulfill(response=answer)
        late.value.finished()
        seen.look(LOOKS[0])  # two frames
        assert seen.page.locator("[data-step=host_key]").get_attribute("data-state") == "done"
