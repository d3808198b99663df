"""Races of commands about samples, log lines and process readings (`race_cases.py`)."""

from __future__ import annotations

from groundcontrol.core.errors import Conflict, Fenced
from groundcontrol.nodes.model import LogBatch, LogLine
from groundcontrol.nodes.processes import ProcessReading, ProcessUse
from groundcontrol.samples.model import Bounds, Retention, RetentionChange, SeriesSchema
from tests.support.factories import (
    BOOT,
    HUB,
    SCOPE,
    layout_row,
    pack,
)
from tests.support.race_cases import AT_MS, CALLERS, Cases, Ground, Race, Rivals

CASES = Cases()

HOUR_S = 3600.0


@CASES.of("metrics.begin_session")
async def _marks(ground: Ground) -> Race:
    """Of many sessions of a node the newest may write, whenever the older ones ask."""
    store, node = ground.store, await ground.node()
    sessions = [await store.sessions.claim(node.id, BOOT, HUB) for _ in range(CALLERS)]
    order = [*sessions[::2], *sessions[::-2]]  # the newest in the middle

    async def held() -> object:
        found: dict[bool, set[int]] = {True: set(), False: set()}
        for session in sessions:
            answer = await store.metrics.append([pack(session, 0, layout_row(), AT_MS)._replace(body=b"")])
            found[answer[node.id] is not None].add(session.epoch)
        return found[True]

    newest = sessions[-1].epoch
    order.remove(sessions[-1])
    rivals = Rivals("most", lambda at: store.metrics.begin_session([*order, sessions[-1]][at]), lambda _: {newest}, Fenced)
    return Race(lambda: store.metrics.begin_session(sessions[-1]), held, {newest}, rivals=rivals)


@CASES.of("metrics.save_schema")
async def _save_layout(ground: Ground) -> Race:
    store, session = ground.store, await ground.session()
    layout = layout_row("breathe", ("temperature{sensor=cpu}",), 60)

    async def held() -> object:
        await store.metrics.append([pack(session, 0, layout, AT_MS, rows=1)])
        return [found async for found, _ in store.metrics.read(session.no, 0, AT_MS / 500, ["breathe"])]

    def other(at: int) -> SeriesSchema:
        return layout._replace(series=(f"temperature{{sensor=c{at}}}",))

    rivals = Rivals("one", lambda at: store.metrics.save_schema(session, other(at)), lambda at: [other(at)], Conflict)
    return Race(lambda: store.metrics.save_schema(session, layout), held, [layout], rivals=rivals)


@CASES.of("metrics.expire")
async def _expire_samples(ground: Ground) -> Race:
    store, session = ground.store, await ground.session()
    await store.metrics.append([pack(session, 0, layout_row(), AT_MS), pack(session, 1, layout_row(), AT_MS + 10 * 3_600_000)])
    limit = AT_MS / 1000 + 2 * HOUR_S
    bounds = Bounds(limit, limit, limit, 2 * limit)
    return Race(lambda: store.metrics.expire(bounds), lambda: ground.stored_rows(session.no), 10, alone=(1, 0))


@CASES.of("metrics.drop_node")
async def _drop_node(ground: Ground) -> Race:
    store, session = ground.store, await ground.session()
    await store.metrics.append([pack(session, 0, layout_row(), AT_MS)])
    await store.node_logs.add_lines(session, LogBatch("", "c1", [LogLine(AT_MS, 4, "sshd", "hello")]))

    async def held() -> object:
        answer = await store.metrics.append([pack(session, 1, layout_row(), AT_MS + 10_000)])
        return (await ground.stored_rows(session.no), answer[session.node], (await store.node_logs.lines(session.no, 9)).items)

    return Race(lambda: store.metrics.drop_node(session.no), held, (0, None, []))


@CASES.of("node_logs.add_lines")
async def _add_lines(ground: Ground) -> Race:
    """Twenty batches continue the same line: one is stored, whole. Every caller learns the last stored line."""
    store, session = ground.store, await ground.session()

    def batch(name: str) -> LogBatch:
        return LogBatch("", name, [LogLine(AT_MS + at, 4, "sshd", f"{name}/{at}") for at in range(2)])

    async def held() -> object:
        return [line.text for line in (await store.node_logs.lines(session.no, 100)).items]

    rivals = Rivals("same", lambda at: store.node_logs.add_lines(session, batch(f"c{at}")), lambda at: [f"c{at}/1", f"c{at}/0"])
    return Race(lambda: store.node_logs.add_lines(session, batch("c")), held, ["c/1", "c/0"], rivals=rivals)


@CASES.of("process_history.save_reading")
async def _save_reading(ground: Ground) -> Race:
    """Of twenty readings of a minute the last is kept, whenever it arrives."""
    store, session = ground.store, await ground.session()
    minute_ms = AT_MS - AT_MS % 60_000

    def reading(at: int) -> ProcessReading:
        return ProcessReading(minute_ms + at, [ProcessUse("sh", "root", at, 4096)])

    async def held() -> object:
        return await store.process_history.reading(session.no, minute_ms / 1000 + 60)

    order = [*range(1, CALLERS, 2), *range(0, CALLERS, 2)]
    last = reading(CALLERS - 1)
    rivals = Rivals("most", lambda at: store.process_history.save_reading(session, reading(order[at])), lambda _: last)
    return Race(lambda: store.process_history.save_reading(session, reading(0)), held, reading(0), rivals=rivals)


@CASES.of("process_history.expire_readings")
async def _expire_readings(ground: Ground) -> Race:
    store, session = ground.store, await ground.session()
    use = [ProcessUse("sh", "root", 1, 4096)]
    for at_ms in (AT_MS, AT_MS + 3_600_000):
        await store.process_history.save_reading(session, ProcessReading(at_ms, use))

    async def held() -> object:
        return [await store.process_history.reading(session.no, AT_MS / 1000 + ahead_s) for ahead_s in (1800, 3600)]

    kept = ProcessReading(AT_MS + 3_600_000, use)
    return Race(lambda: store.process_history.expire_readings(AT_MS / 1000 + 1800), held, [None, kept], alone=(1, 0))


@CASES.of("retention.save_retention")
async def _save_retention(ground: Ground) -> Race:
    store, wanted = ground.store, Retention(7200, 86_400, 864_000)
    rivals = Rivals(
        "last",
        lambda at: store.retention.save_retention(SCOPE, RetentionChange(minutes_s=100_000 + at, hours_s=900_000 + at), wanted),
        lambda at: wanted._replace(minutes_s=100_000 + at, hours_s=900_000 + at),
    )
    return Race(
        lambda: store.retention.save_retention(SCOPE, RetentionChange(*wanted), Retention()),
        store.retention.retention,
        wanted,
        ("settings.edit",),
        rivals=rivals,
    )
