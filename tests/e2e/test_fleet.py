"""scripts/fleet: simulated servers with Spider's own code, some of which come and go, and a hostile one."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scripts.simfleet.main import enrol, parsed
from spider.sampling.sampler import EARLY_S, phase_ms_of
from spider.wire.ids import from_text
from tests.support.eventually import wait_until
from tests.support.hub import ROOT, HubProcess


@pytest.mark.timeout(400)
def test_simulated_servers_report_and_take_jobs_among_others_that_come_go_and_misbehave(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        (hub.folder / "agent").mkdir(exist_ok=True)
        (hub.folder / "agent/spider.conf").write_text(f"[hub]\nurl = {hub.ws_url}\n")
        (hub.folder / "policy.conf").write_text("[policy]\nversion = 1\nmode = managed\n")
        words = [str(hub.folder), "5", "--churn", "60", "--offline", "0.2", "--hostile", "1", "--stamps", str(tmp_path / "stamps")]
        started = time.time()
        fleet = subprocess.Popen([sys.executable, "-m", "scripts.simfleet.main", *words], cwd=ROOT, stdout=subprocess.DEVNULL)

        def nodes() -> list[dict[str, Any]]:
            return [node for node in hub.local("GET", "/api/v1/nodes").json["nodes"] if node["state"] == "online"]

        try:
            wait_until(lambda: len(nodes()) >= 3, what="the servers did not come")
            wait_until(lambda: sum("cpu.total" in node["latest"] for node in nodes()) >= 3, what="nothing was measured")
            for node in nodes():
                for sample in node["latest"].values():
                    assert round(sample["at"] * 1000) % 1000 == phase_ms_of(from_text(node["id"])), "each at its own moment of the second"
            second = subprocess.run(
                [sys.executable, "-m", "scripts.simfleet.main", str(hub.folder), "8"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert second.returncode == 1
            assert f"is running already in this checkout (process {fleet.pid}); end it with" in second.stderr
            assert (hub.folder / "fleet.pid").read_text().strip() == str(fleet.pid), "scripts/stop still finds the first"
            assert stat.S_IMODE((hub.folder / "fleet.pid").stat().st_mode) == 0o600, "as everything there, or the doctor complains"
            chosen = [node["id"] for node in nodes()][:2]
            token = hub.login().token
            batch = hub.request("POST", "/api/v1/jobs", {"nodes": chosen, "action": "upgrade"}, token=token)
            assert batch.status == 202, batch.body
            ended = ("succeeded", "failed", "expired")
            wait_until(
                lambda: all(job["state"] in ended for job in hub.local("GET", "/api/v1/jobs").json["jobs"]),
                what="the jobs did not end",
                limit_s=120,
            )
            jobs = hub.local("GET", "/api/v1/jobs").json["jobs"]
            assert any(job["state"] == "succeeded" and job["output_bytes"] > 1000 and job["changes"] for job in jobs), jobs
            wait_until(lambda: hub.local("GET", f"/api/v1/nodes/{chosen[0]}/packages").json["total"] > 100, what="no packages were told")
            removed = nodes()[0]["id"]
            removal = hub.local("DELETE", f"/api/v1/nodes/{removed}")
            assert removal.status == 202, removal.body
            wait_until(
                lambda: hub.local("GET", f"/api/v1/deployments/{removal.json['id']}").json["state"] == "succeeded",
                what="the removal through the session did not end",
                limit_s=150,
            )
            assert removed not in {node["id"] for node in hub.local("GET", "/api/v1/nodes").json["nodes"]}
            wait_until(lambda: len(nodes()) >= 2, what="the others did not stay")
            assert [event for event in hub.events if event["level"] in ("error", "critical")] == []
        finally:
            fleet.terminate()
            assert fleet.wait(30) == 0
        assert not (hub.folder / "fleet.pid").exists()
        assert (hub.folder / "fleet").stat().st_mode & 0o777 == 0o700, "what is in the data folder is private"
        stamps = msgspec.msgpack.decode((tmp_path / "stamps").read_bytes())
        assert {node for node, _taken_at_ms, _sent_at in stamps} >= set(chosen), "when each pulse went out is written down"
        for node, taken_at_ms, sent_at in stamps:
            assert taken_at_ms % 1000 == phase_ms_of(from_text(node))
            assert started - 1 <= taken_at_ms / 1000 <= sent_at + EARLY_S
            assert sent_at <= time.time()


@pytest.mark.parametrize(("words", "said"), [(["0"], "from 1 to 2000"), (["5", "--hostile", "6"], "at most N"), (["many"], "invalid int")])
def test_an_invalid_option_of_the_fleet_is_one_sentence(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(["state", *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow  # an interpreter for one sentence
def test_without_a_hub_the_fleet_reports_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.simfleet.main", str(tmp_path), "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "scripts/run" in done.stderr


def test_servers_removed_in_the_page_are_recreated_by_the_fleet(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        (hub.folder / "agent").mkdir(exist_ok=True)
        (hub.folder / "agent/spider.conf").write_text(f"[hub]\nurl = {hub.ws_url}\n")

        def fleet(count: int) -> dict[str, str]:
            return {str(node["node_id"]): str(node["name"]) for node in asyncio.run(enrol(hub.folder, count))[0]}

        first = fleet(5)
        gone = list(first)[2]
        # just after its start, the hub still looks after deployments of before, and asks to try again
        wait_until(lambda: hub.local("DELETE", f"/api/v1/nodes/{gone}?force=true").status == 202, what="the removal begins")
        wait_until(lambda: gone not in {node["id"] for node in hub.local("GET", "/api/v1/nodes").json["nodes"]}, what="it stays")
        second = fleet(5)
        assert sorted(second.values()) == sorted(first.values())
        assert set(first) - set(second) == {gone}
        assert set(second) == {node["id"] for node in hub.local("GET", "/api/v1/nodes").json["nodes"]}
        assert fleet(5) == second
        assert set(fleet(3)) < set(second)


def test_a_name_that_another_node_has_is_passed_over_and_leaves_no_node_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        (hub.folder / "agent").mkdir(exist_ok=True)
        (hub.folder / "agent/spider.conf").write_text(f"[hub]\nurl = {hub.ws_url}\n")
        first = asyncio.run(enrol(hub.folder, 3))[0]
        [other] = hub.enrol(str(first[1]["name"]).replace("-01", "-02").upper())
        before = {node["id"] for node in hub.local("GET", "/api/v1/nodes").json["nodes"]}
        refused = hub.local("POST", "/api/v1/local/enrol", {"names": ["free", other.name], "simulated": True})
        assert refused.status == 409
        assert {node["id"] for node in hub.local("GET", "/api/v1/nodes").json["nodes"]} == before, "all of them or none"
        nodes = asyncio.run(enrol(hub.folder, 30))[0]
        assert {str(node["node_id"]) for node in nodes} | {other.node_id} == {
            node["id"] for node in hub.local("GET", "/api/v1/nodes").json["nodes"]
        }
        assert other.name.lower() in capsys.readouterr().err
