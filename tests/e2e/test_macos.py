"""A Mac in the fleet: Spider runs here without what only Linux has, and every gap is «not measured»."""

from __future__ import annotations

from pathlib import Path

from tests.support.agent import SpiderProcess
from tests.support.eventually import eventually
from tests.support.hub import HubProcess


async def test_a_mac_is_measured_and_its_gaps_are_not_measured(hub: HubProcess, tmp_path: Path) -> None:
    [node] = hub.enrol("this-mac")
    spider = SpiderProcess(tmp_path / "spider", hub, node, policy="monitor", boot="", program="spider_as_on_macos")
    try:
        spider.launch()
        await eventually(
            lambda: hub.node(node.node_id)["latest"].get("cpu.total", {}).get("value") is not None, 60, "no second reading of the processor"
        )
        found = hub.node(node.node_id)
        latest = hub.local("GET", f"/api/v1/nodes/{node.node_id}").json["latest"]
        tables = {one["subject"]: one for one in hub.local("GET", f"/api/v1/nodes/{node.node_id}/tables").json["tables"]}
    finally:
        spider.close()
    assert (found["state"], found["identity"]["os_id"], found["identity"]["cpu_model"]) == ("online", "macos", "Apple M2 Pro")
    assert (found["reboot_required"], found["updates"]["total"]) == ("unknown", None)
    assert latest["load.1"]["value"] is not None
    assert latest["memory.total"]["value"] > 0
    assert not {"cpu.iowait", "cpu.steal", "tcp.established"} & {name for name, one in latest.items() if one["value"] is not None}
    assert "processes" not in tables
    assert "Traceback" not in spider.log
