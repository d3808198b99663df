"""`stardust nodes approve` and `stardust update --outdated`: which nodes are selected."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar, Self, cast

import pytest

from groundcontrol.cli import alerts, nodes, removal
from groundcontrol.cli.client import UNREACHABLE, CliError, Hub
from groundcontrol.cli.commands import find, parser_of
from groundcontrol.cli.options import parse
from groundcontrol.cli.update import _outdated, _settled
from tests.support.some import some
from tests.support.waiting_clock import WaitingClock

AN_ID = "01kaz8q7b4e9c2m5t8v1x3y6z0"


class FleetHub:
    """Has these nodes, and records the requests."""

    fleet: tuple[dict[str, Any], ...] = ()

    def __init__(self, asked: list[str]) -> None:
        self.asked = asked

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        pass

    async def every(self, _path: str, _name: str) -> AsyncIterator[Any]:
        for node in self.fleet:
            yield node

    async def post(self, path: str, _body: object) -> None:
        self.asked.append(path)


def node(
    name: str, *, waiting: bool = False, state: str = "online", agent: str = "outdated", policy: object = None, last_seen_at: float = 0
) -> dict[str, Any]:
    return {
        "address": "", "credentials_kept": False,
        "id": name, "name": name, "waiting": waiting, "state": state, "agent": agent, "last_seen_at": last_seen_at,
        "policy": policy or {"mode": "managed", "verbs": []},
    }  # fmt: skip


async def test_the_mark_never_by_a_schedule_is_set_and_taken_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Marked(FleetHub):
        fleet = (node("web-1"), node("web-2"))

        async def patch(self, path: str, body: dict[str, str]) -> Any:
            self.asked.append(f"{path} {json.dumps(body)}")
            text = body["never_by_schedule"]
            return {
                **node("web-1"),
                "tags": [],
                "note": "",
                "location": None,
                "never_by_schedule": {"reason": text, "by": "ada"} if text else None,
            }

    patched: list[str] = []
    monkeypatch.setattr(nodes, "Hub", lambda _args: Marked(patched))
    verb = some(find("nodes"))
    for text in ("the boss's machine", ""):
        assert await nodes.run(parse(parser_of(verb), ["never", "web-1", "--text", text])) == 0
    assert patched == [f"/nodes/web-1 {json.dumps({'never_by_schedule': text})}" for text in ("the boss's machine", "")]
    told = capsys.readouterr().out
    assert told == "web-1: never by a schedule: the boss's machine (ada)\nweb-1: patch policies may touch it\n"


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (["a", "b"], ["/nodes/a/approve", "/nodes/b/approve"]), (["a", "in"], []), (["a", "none"], []),
        ([AN_ID], [f"/nodes/{AN_ID}/approve"]),
    ],
)  # fmt: skip
async def test_approval_of_several_nodes_is_all_or_nothing(monkeypatch: pytest.MonkeyPatch, names: list[str], asked: list[str]) -> None:
    class Waiting(FleetHub):
        fleet = (
            {**node(AN_ID, waiting=True), "id": "named-like-the-id-of-another"},
            *(node(name, waiting=True) for name in ("a", "b", AN_ID)), node("in"),
        )  # fmt: skip

    posted: list[str] = []
    monkeypatch.setattr(nodes, "Hub", lambda _args: Waiting(posted))
    verb = some(find("nodes"))
    args = parse(parser_of(verb), ["approve", *names])
    if asked:
        assert await nodes.run(args) == 0
    else:
        with pytest.raises(CliError, match="nothing was done"):
            await nodes.run(args)
    assert posted == asked


class Removing(FleetHub):
    """Refuses some of its nodes."""

    fleet: tuple[dict[str, Any], ...] = (node("a", state="offline"), node("b"), node("c"))
    refuses: ClassVar[dict[str, CliError]] = {"b": CliError("b is being deployed", "conflict")}

    def __init__(self) -> None:
        super().__init__([])
        self.rows: dict[str, Any] = {}

    async def every(self, path: str, _name: str) -> AsyncIterator[Any]:
        for row in self.fleet if path == "/nodes" else reversed(self.rows.values()):
            yield row

    async def get(self, path: str, _params: object = None) -> Any:
        ident = path.rpartition("/")[2]
        return self.rows[ident] | {"state": "succeeded", "ended_at": 1.0} if ident in self.rows else {"deployments": []}

    async def delete(self, path: str, _body: object, _params: object) -> Any:
        ident = path.rpartition("/")[2]
        self.asked.append(ident)
        if ident in self.refuses:
            raise self.refuses[ident]
        self.rows[ident] = {
            "id": ident, "kind": "remove", "node_id": ident, "state": "running", "ended_at": None, "error": None, "steps": [], "forced": True,
        }  # fmt: skip
        return self.rows[ident]

    async def post(self, path: str, _body: object) -> None:
        await self.delete(path.rpartition("/")[0], None, None)


def words_of(*words: str) -> argparse.Namespace:
    verb = some(find("nodes"))
    return parse(parser_of(verb), list(words))


@pytest.mark.parametrize("wait", [(), ("--no-wait",)])
async def test_a_refused_node_does_not_hide_removed_ones(
    wait: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for as_json in (True, False):
        hub = Removing()
        monkeypatch.setattr(removal, "Hub", lambda _args, hub=hub: hub)
        assert await nodes.run(words_of("remove", "a", "b", "c", "--yes", *wait, *["--json"] * as_json)) == 5
        assert hub.asked == ["a", "b", "c"]
        told = capsys.readouterr()
        if as_json:
            answer = json.loads(told.out)
            assert [(row["node_id"], row["state"]) for row in answer["deployments"]] == [
                ("a", "running" if wait else "succeeded"), ("c", "running" if wait else "succeeded"),
            ]  # fmt: skip
            assert answer["refused"] == [{"node_id": "b", "code": "conflict", "message": "b is being deployed"}]
        else:
            assert [line[:1] for line in told.out.splitlines()] == ["a", "c"]
            assert told.err == "b: refused: b is being deployed\n"


async def test_a_hub_that_disappears_is_reported_with_the_nodes_already_removed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Leaving(Removing):
        refuses: ClassVar[dict[str, CliError]] = {"b": CliError("no hub answers", UNREACHABLE)}

    monkeypatch.setattr(removal, "Hub", lambda _args: Leaving())
    WaitingClock(monkeypatch)
    with pytest.raises(CliError, match=r"^b: no hub answers.*; not asked for: c$") as caught:
        await nodes.run(words_of("remove", "a", "b", "c", "--yes", "--json"))
    assert caught.value.code == UNREACHABLE
    answer = json.loads(capsys.readouterr().out)
    assert [row["node_id"] for row in answer["deployments"]] == ["a"]


async def test_a_refused_node_does_not_hide_rejected_ones(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Waiting(Removing):
        fleet = tuple(node(name, waiting=True) for name in "abc")

    monkeypatch.setattr(nodes, "Hub", lambda _args: Waiting())
    assert await nodes.run(words_of("reject", "a", "b", "c", "--json")) == 5
    answer = json.loads(capsys.readouterr().out)
    assert (answer["nodes"], [one["node_id"] for one in answer["refused"]]) == (["a", "c"], ["b"])


async def test_outdated_nodes_that_can_be_updated_now_are_chosen_and_the_others_named() -> None:
    class Mixed(FleetHub):
        fleet = (
            node("old"), node("new", agent="current"), node("away", state="offline"), node("back", state="offline", last_seen_at=time.time() - 20),
            node("watched", policy={"mode": "monitor", "verbs": []}), node("narrow", policy={"mode": "managed", "verbs": ["check"]}),
            node("wide", policy={"mode": "managed", "verbs": ["check", "update"]}),
        )  # fmt: skip

    refuses = "its policy refuses updates"
    assert await _outdated(cast("Hub", Mixed([]))) == (
        ["old", "wide"], ["away (not connected)", f"watched ({refuses})", f"narrow ({refuses})"], ["back (not connected)"],
    )  # fmt: skip


async def test_nodes_that_return_after_a_restart_of_the_hub_are_waited_for() -> None:
    looks: list[str] = []

    class Returning(FleetHub):
        async def every(self, _path: str, _name: str) -> AsyncIterator[Any]:
            looks.append("a look")
            for one in (node("old"), node("back", state="offline" if len(looks) < 3 else "online", last_seen_at=time.time() - 20)):
                yield one

    assert await _settled(cast("Hub", Returning([])), look_every_s=0) == (["old", "back"], [])
    assert len(looks) == 3


def test_the_list_of_nodes_begins_with_the_worst() -> None:
    def found(level: str, **more: Any) -> dict[str, Any]:
        return {"state": "online", "health": {"level": level, "findings": []}, **more}

    alerted = {"level": "critical", "findings": [{"kind": "offline"}]}
    worst_first = [
        found("critical", state="offline", health=alerted), found("critical", state="offline"), found("critical"),
        found("unknown", state="offline"), found("warning", state="offline", reconnecting=True), found("warning"),
        found("notice"), found("ok"), found("unknown", state="pending"),
    ]  # fmt: skip
    shuffled = [*worst_first[6:], *worst_first[3::-1], *worst_first[4:6]]
    assert sorted(shuffled, key=nodes.severity) == worst_first


async def test_an_alert_whose_rule_makes_notices_is_listed_as_a_notice_below_warnings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = dict.fromkeys(("acknowledged", "stale", "flapping", "maintenance", "snoozed_until", "suppressed_by"))
    alike = {"level": "warning", "node_id": None, "object": "", "state": "firing", "flags": flags}

    class Firing(FleetHub):
        async def every(self, path: str, _name: str, _params: object = None) -> AsyncIterator[Any]:
            if path == "/alerts":
                yield {**alike, "id": "1", "rule_name": "Reboot is due", "notice": True, "since_at": 1.0}
                yield {**alike, "id": "2", "rule_name": "Disk is filling", "notice": False, "since_at": 2.0}

    monkeypatch.setattr(alerts, "Hub", lambda _args: Firing([]))
    verb = some(find("alerts"))
    assert await alerts.run(parse(parser_of(verb), ["list"])) == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]] == [["2", "warning"], ["1", "notice"]]
