"""Package lists that arrive in parts, while sessions of the node replace each other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from groundcontrol.agents.node_tables import NodeTables
from groundcontrol.agents.session import AgentSession
from spider.reports.package_sync import digest_of, messages

PACKAGES = {f"package-{number:04}": f"1.{number}" for number in range(3000)}


class Session:
    """A session that only notes which data it was asked to save."""

    def __init__(self, epoch: int) -> None:
        self.node = SimpleNamespace(id="node")
        self.session = SimpleNamespace(epoch=epoch)
        self.saved: list[str] = []

    async def save(self, kind: str, _work: Any) -> None:
        self.saved.append(kind)


async def test_an_old_session_that_ends_late_leaves_the_parts_of_the_new_one() -> None:
    nothing = cast("Any", None)
    tables = NodeTables(nothing, nothing, nothing, nothing)
    old, new = Session(1), Session(2)
    first, *others = messages("", digest_of(PACKAGES), sorted(PACKAGES.items()))
    await tables.packages(cast("AgentSession", new), first)
    tables.left(cast("AgentSession", old))
    for part in others:
        await tables.packages(cast("AgentSession", new), part)
    assert (len(others) > 0, new.saved) == (True, ["packages"])
