"""The agent as a real process sends its tables: quickly while watched, and completely in each session."""

from __future__ import annotations

from pathlib import Path

from spider.wire.report_messages import Table
from spider.wire.sample_messages import Watch
from spider.wire.table_rows import check, fill, rows_of
from tests.support.scripted_hub import ScriptedHub
from tests.support.spider_process import agent


def told(hub: ScriptedHub, subject: str) -> list[Table]:
    return [table for table in hub.of(Table) if table.subject == subject]


async def test_tables_are_sent_unasked_and_more_often_while_watched(bundle_without_manager: Path) -> None:
    async with ScriptedHub().running() as hub, agent(hub, bundle_without_manager):
        await hub.until(lambda: bool(hub.sessions))
        await hub.tell(Watch(["pulse", "processes"], 1, 60))
        await hub.until(lambda: len(told(hub, "processes")) >= 2, limit_s=60)
        first, second = told(hub, "processes")[:2]
        assert second.taken_at_ms - first.taken_at_ms < 45_000  # not each minute
        assert check(first) is not None
        known = {row[:2] for row in rows_of(first)}
        repeated = [row for row in rows_of(second) if row[:2] in known]
        assert sum(row[-1] is None for row in repeated) > len(repeated) / 2  # but for those that became another program
        commands = {row[:2]: row[-1] for row in rows_of(first)}
        filled = {row[:2]: row[-1] for row in rows_of(fill(second, first))}
        assert all(filled[row[:2]] == commands[row[:2]] for row in repeated if row[-1] is None)
        assert any("python" in str(command) for command in filled.values())
        assert told(hub, "interfaces")
