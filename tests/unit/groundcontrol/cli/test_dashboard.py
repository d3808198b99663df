"""`stardust top`: its frames as text, and its keys on a screen without a terminal."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from groundcontrol.cli.dashboard import frames
from groundcontrol.cli.dashboard.app import Dashboard
from groundcontrol.cli.dashboard.state import Fleet


def node(
    name: str, *, cpu: float | None = 5.0, state: str = "online", level: str = "ok", security: int | None = 0, tags: tuple[str, ...] = ()
) -> Any:
    latest = {"cpu.total": {"value": cpu, "at": 0.0}, "load.1": {"value": 0.5, "at": 0.0}, "memory.used": {"value": 4e9, "at": 0.0}}
    findings = [] if level in ("ok", "unknown") else [{"kind": "cpu", "object": "", "level": level, "cause": f"{level} here"}]
    return {
        "id": name, "name": name, "state": state, "reconnecting": False, "waiting": False, "tags": list(tags), "agent_version": "1.0",
        "last_seen_at": time.time() - 200, "latest": latest | {"memory.total": {"value": 8e9, "at": 0.0}},
        "updates": {"total": 3, "security": security}, "health": {"level": level, "findings": findings},
        "identity": {"os_name": "Debian 12", "kernel": "6.1", "cpu_cores": 4},
    }  # fmt: skip


def some_nodes() -> list[Any]:
    """Made anew for each test: when a node was last seen is told from now."""
    return [
        node("web-1", cpu=96.0),
        node("web-2", cpu=None, security=2, tags=("prod",)),
        node("edge\x1b[2J", state="offline"),
        node("db", level="critical"),
    ]


JOB = {
    "id": "j1",
    "node_id": "web-1",
    "action": "upgrade",
    "state": "running",
    "phase": "commit",
    "progress_percent": 42,
    "output_bytes": 3,
}


def fleet(*nodes: Any) -> Fleet:
    made = Fleet()
    made.take(list(nodes or some_nodes()), [], [JOB], [], 1.0)
    return made


def text_of(lines: list[frames.Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_each_line_fits_the_width_and_shows_what_a_node_says_without_control_characters(width: int) -> None:
    state = fleet()
    state.outputs = {"j1": b"50%\r\x1b[31m75%\r\n\x1b]0;title\x07last"}
    nodes = state.rows("")
    for lines in (
        frames.fleet_lines(state, nodes, 0, width, 24), frames.node_lines(state, nodes[0], width, 24),
        frames.job_lines(state, width, 24), frames.event_lines(state, width, 24), [frames.head(state, "", width), frames.foot("", width)],
    ):  # fmt: skip
        for line in text_of(lines)[1:]:
            assert len(line) <= width
            assert "\x1b" not in line
            assert "title" not in line


def test_each_core_has_its_block_and_lines_wrap() -> None:
    loads = {0: 0.0, 1: 49.0, 2: None, 10: 100.0}
    one = node("web-1")
    one["latest"] |= {f"cpu.core{{core={core}}}": {"value": load, "at": 0.0} for core, load in loads.items()}
    one["latest"]["cpu.core{core=x}"] = {"value": 1.0, "at": 0.0}
    assert text_of(frames.core_lines(one, 80)) == [" cores  0 ▁ 1 ▄ 2 - 10 █"]
    assert text_of(frames.core_lines(one, 16)) == [" cores  0 ▁ 1 ▄", "        2 - 10 █"]
    assert frames.core_lines(node("web-2"), 80) == []
    assert not [line for line in text_of(frames.node_lines(fleet(one), one, 80, 40)) if "cpu.core{core=1}" in line]


def test_offline_and_failed_nodes_come_first_and_what_is_not_measured_is_never_zero() -> None:
    state = fleet()
    listed = text_of(frames.fleet_lines(state, state.rows(""), 0, 120, 24))
    assert [line.split()[1].strip("●○") for line in listed[1:]][:2] == ["db", "edge\\x1b[2J"]
    assert re.search(r"offline, seen \d+ min ago", listed[2])
    [unmeasured] = [line for line in listed if "web-2" in line]
    assert unmeasured.split()[2:4] == ["-", "██████"[:4]] or " - " in unmeasured
    assert "+2 sec" in unmeasured
    assert "upgrade 42 %" in next(line for line in listed if "web-1" in line)
    assert text_of([frames.head(Fleet(), "", 80)]) == [" Stardust  connecting …"]


def test_rows_are_filtered_and_an_order_lasts_some_seconds() -> None:
    state = fleet(node("a", cpu=10.0), node("b", cpu=20.0, tags=("prod",)))
    state.order = "cpu"
    assert [one["name"] for one in state.rows("")] == ["b", "a"]
    state.take([node("a", cpu=90.0), node("b", cpu=20.0, tags=("prod",))], [], [], [], 1.0)
    assert [one["name"] for one in state.rows("")] == ["b", "a"], "rows do not jump at each answer"
    state.order = "memory"
    assert [one["name"] for one in state.rows("tag:prod")] == ["b"]
    assert state.rows("tag:none") == []


@pytest.mark.parametrize(
    ("counts", "shown"), [((2, 1), "3 security"), ((2, None), "2+ security"), ((None, None), "- security"), ((0,), "0 security")]
)
def test_unknown_security_updates_are_not_counted_as_none(counts: tuple[int | None, ...], shown: str) -> None:
    state = fleet(*(node(f"n{number}", security=count) for number, count in enumerate(counts)))
    assert shown in text_of([frames.head(state, "", 120)])[0]


def test_changes_of_the_live_socket_are_taken() -> None:
    state = Fleet()
    disk = {"filesystem.size{mount=/}": {"value": 1.0, "at": 1.0}}
    state.change("fleet", {"nodes": [node("a"), node("b")]}, whole=True)
    state.nodes["a"]["latest"] |= disk
    latest = {"a": {"cpu.total": {"value": 50.0, "at": 2.0}, "filesystem.size{mount=/var}": {"value": 2.0, "at": 2.0}}, "gone": {}}
    state.change("fleet", {"nodes": [node("c")], "latest": latest, "removed": ["b", "not there"]}, whole=False)
    assert sorted(state.nodes) == ["a", "c"]
    assert state.nodes["a"]["latest"]["cpu.total"]["value"] == 50.0
    assert [name for name in state.nodes["a"]["latest"] if name.startswith("filesystem")] == ["filesystem.size{mount=/var}"]
    more = {"swap.used": {"value": 3.0, "at": 3.0}}
    state.change("node:a", {"latest": more, "node": None, "table": None}, whole=False)
    state.change("fleet", {"nodes": [node("a", tags=("prod",))], "latest": {}, "removed": []}, whole=False)
    assert (state.nodes["a"]["tags"], "swap.used" in state.nodes["a"]["latest"]) == (["prod"], True), "an open node keeps its values"
    state.change("node:none", {"latest": more, "node": None, "table": None}, whole=False)
    state.change("jobs", {"jobs": [JOB, JOB | {"id": "j2"}]}, whole=True)
    state.change("jobs", {"jobs": [JOB | {"id": "j3"}, JOB | {"state": "succeeded"}], "gone": ["j2"]}, whole=False)
    assert [job["id"] for job in state.jobs] == ["j3"]
    state.change("alerts", {"alerts": [{"id": "x", "state": "firing"}]}, whole=True)
    state.change("alerts", {"id": "y", "state": "firing"}, whole=False)
    state.change("alerts", {"id": "x", "state": "resolved"}, whole=False)
    assert [alert["id"] for alert in state.alerts] == ["y"]
    state.change("events", {"events": [{"id": 1}]}, whole=True)
    state.change("events", {"id": 2}, whole=False)
    assert [event["id"] for event in state.events] == [2, 1]
    state.tick()
    assert list(state.cpu["a"]) == [5.0]


async def test_keys_move_filter_open_views_and_ask_before_an_upgrade() -> None:
    state = fleet(*[node(f"web-{number:03}") for number in range(100)])
    ordered: list[str] = []

    async def ask(**_what: Any) -> None:
        return

    async def order(ident: str) -> str:
        ordered.append(ident)
        return "ordered"

    app = Dashboard(state, ask, order, 60)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("down", "down")
        assert app.selected() == state.nodes["web-002"]
        await pilot.press("slash", *"web-05", "enter")
        assert len(state.rows(app.words)) == 10
        await pilot.press("u", "n", "u", "y")
        assert ordered == ["web-050"]
        await pilot.press("enter")
        assert app.view_name == "node"
        await pilot.press("l")
        assert app.view_name == "jobs"
        await pilot.press("escape", "s")
        assert (app.view_name, app.words, state.order) == ("fleet", "", "cpu")
        assert "web-" in app.export_screenshot()
        await pilot.press("q")
    assert app.return_code == 0
