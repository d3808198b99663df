"""Tables, and package lists in parts, while sessions of the node replace each other."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from groundcontrol.agents.node_tables import NodeTables
from groundcontrol.agents.session import AgentSession
from groundcontrol.nodes.store import NodeTableStore
from spider.reports.package_sync import digest_of, messages
from spider.wire.report_messages import Table
from spider.wire.tables import BY_NAME

PACKAGES = {f"package-{number:04}": f"1.{number}" for number in range(3000)}


class Session:
    """A session that only notes which data it was asked to save."""

    def __init__(self, epoch: int) -> None:
        self.node = SimpleNamespace(id="node")
        self.session = SimpleNamespace(epoch=epoch)
        self.saved: list[str] = []
        self.over = False
        self.store_answers = asyncio.Event()
        self.store_answers.set()

    async def save(self, kind: str, _work: Any) -> None:
        self.saved.append(kind)
        await self.store_answers.wait()


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


def table_at(taken_at_ms: int) -> Table:
    return Table("units", taken_at_ms, 0, list(BY_NAME["units"].key), [])


async def test_the_table_of_a_newer_session_stays_though_the_old_one_is_slow_to_save_and_to_end() -> None:
    nothing = cast("Any", None)
    tables = NodeTables(
        cast("Any", {NodeTableStore: SimpleNamespace(save_table=id)}), cast("Any", SimpleNamespace(publish=str)), nothing, nothing
    )
    old, new = Session(1), Session(2)
    for session in (old, new):
        session.store_answers.clear()
    saving = [asyncio.create_task(tables.table(cast("AgentSession", one), table_at(at))) for one, at in ((old, 1000), (new, 2000))]
    await asyncio.sleep(0)
    old.over = True
    tables.left(cast("AgentSession", old))  # while the new one is saving
    new.store_answers.set()
    await saving[1]
    old.store_answers.set()
    await saving[0]
    assert {subject: one.taken_at for subject, one in tables.tables(cast("Any", "node")).items()} == {"units": 2.0}
