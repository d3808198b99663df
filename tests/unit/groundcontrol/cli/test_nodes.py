"""`stardust nodes approve` and `stardust update --outdated`: which of many nodes are taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Self, cast

import pytest

from groundcontrol.cli import nodes
from groundcontrol.cli.client import CliError, Hub
from groundcontrol.cli.options import parse
from groundcontrol.cli.update import _outdated
from groundcontrol.cli.verbs import find, parser_of


class FleetHub:
    """Has these nodes, and notes what is asked of it."""

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


def node(name: str, *, waiting: bool = False, state: str = "online", agent: str = "outdated", policy: object = None) -> dict[str, Any]:
    return {
        "id": name, "name": name, "waiting": waiting, "state": state, "agent": agent,
        "policy": policy or {"mode": "managed", "verbs": []},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "asked"), [(["a", "b"], ["/nodes/a/approve", "/nodes/b/approve"]), (["a", "in"], []), (["a", "none"], [])]
)
async def test_all_that_are_named_are_approved_or_none(monkeypatch: pytest.MonkeyPatch, names: list[str], asked: list[str]) -> None:
    class Waiting(FleetHub):
        fleet = (node("a", waiting=True), node("b", waiting=True), node("in"))

    posted: list[str] = []
    monkeypatch.setattr(nodes, "Hub", lambda _args: Waiting(posted))
    verb = find("nodes")
    assert verb is not None
    args = parse(parser_of(verb), ["approve", *names])
    if asked:
        assert await nodes.run(args) == 0
    else:
        with pytest.raises(CliError, match="nothing was done"):
            await nodes.run(args)
    assert posted == asked


async def test_outdated_nodes_that_can_be_updated_now_are_chosen_and_the_others_named() -> None:
    class Mixed(FleetHub):
        fleet = (
            node("old"), node("new", agent="current"), node("away", state="offline"),
            node("watched", policy={"mode": "monitor", "verbs": []}), node("narrow", policy={"mode": "managed", "verbs": ["check"]}),
            node("wide", policy={"mode": "managed", "verbs": ["check", "update"]}),
        )  # fmt: skip

    refuses = "its policy refuses updates"
    assert await _outdated(cast("Hub", Mixed([]))) == (
        ["old", "wide"], ["away (not connected)", f"watched ({refuses})", f"narrow ({refuses})"],
    )  # fmt: skip
