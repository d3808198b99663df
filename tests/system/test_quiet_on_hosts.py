"""A service that fails while its server is quiet, on a real host: nobody is told until the quiet ends, and then once."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support import lab as labs
from tests.support.eventually import wait_until
from tests.support.gate_trials import PATIENCE_S, Trial, runs
from tests.support.hub import HubProcess
from tests.support.webhook_inbox import messages

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(1800)]

UNIT = "worker.service"
POLL_S = 1.0
LATER_S = 150.0
"""As long as a repetition would take: the rule waits for two minutes."""


def told(got: list[Any], state: str) -> list[Any]:
    """What the messages say of the unit."""
    return [alert for body in got for alert in body.get("alerts", ()) if alert["object"] == UNIT and alert["state"] == state]


def test_an_alert_that_is_raised_in_quiet_and_still_true_at_its_end_is_sent_once_with_its_real_start(tmp_path: Path) -> None:
    assert (reason := labs.unavailable()) is None, f"this test needs lab hosts, and {reason}"
    with ExitStack() as ends:
        receiver, got = ends.enter_context(messages())
        hub = ends.enter_context(HubProcess(tmp_path / "hub", env={"STARDUST_NOTIFY_ALLOW": receiver}))
        [host] = labs.up(debian=1)
        ends.callback(labs.down)
        host.reset()
        one = Trial(host, hub)
        one.prepare()
        one.call("POST", "channels", {"kind": "webhook", "name": "ops", "target": {"url": f"http://{receiver}/"}})
        body = {"select": {"nodes": [one.node]}, "until_at": time.time() + 3600.0, "reason": "a new version"}
        quiet = one.call("POST", "maintenance", body)["id"]
        begun_at = time.time()
        one.host.sh(runs("worker", "sleep 1; exit 1"))

        def raised() -> Any:
            return next((alert for alert in one.call("GET", "alerts?state=firing&limit=500")["alerts"] if alert["object"] == UNIT), None)

        alert = wait_until(raised, PATIENCE_S, what="the alert is raised", poll_s=POLL_S)
        assert alert["flags"]["maintenance"] == quiet, alert
        assert begun_at <= alert["since_at"] <= alert["fired_at"], alert
        assert told(got, "firing") == [], "nobody is told while it is quiet"
        closed_at = time.time()
        assert hub.request("DELETE", f"/api/v1/maintenance/{quiet}", token=hub.login().token).status == 204
        [sent] = wait_until(lambda: told(got, "firing"), PATIENCE_S, what="the message arrives", poll_s=POLL_S)
        assert sent["since_at"] == alert["since_at"] < closed_at, sent
        time.sleep(LATER_S)
        assert len(told(got, "firing")) == 1, got
