"""Lines of a node's system log over REST."""

from __future__ import annotations

from groundcontrol.nodes.model import LogBatch, LogLine
from tests.support.factories import connect
from tests.support.inprocess_hub import TestHub


async def test_lines_are_listed_the_newest_first_and_by_pages(hub: TestHub) -> None:
    client = await hub.logged_in("viewer")
    session = await connect(hub.store, (await hub.node()).id)
    path = f"nodes/{session.node}/logs"
    assert (await client.get(path)).json == {"lines": [], "next": None}
    lines = [LogLine(1_790_000_000_500 + number, 4, "smartd.service", f"line {number}", 9 * number) for number in range(3)]
    await hub.store.node_logs.add_lines(session, LogBatch("", "c3", lines))
    first = await client.get(f"{path}?limit=2")
    assert first.json["lines"][0] == {"at": 1_790_000_000.502, "priority": 4, "source": "smartd.service", "text": "line 2", "left_out": 18}
    second = await client.get(f"{path}?limit=2&cursor={first.json['next']}")
    assert [line["text"] for line in second.json["lines"]] == ["line 0"]
    assert second.json["next"] is None
