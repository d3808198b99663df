"""The preview of alert rules over stored samples."""

from __future__ import annotations

import random
from itertools import groupby

import pytest

from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.model import Rule, RuleId, Threshold
from groundcontrol.alerts.preview import episodes, replay, replay_events
from groundcontrol.alerts.replay import Replay
from groundcontrol.alerts.states import NodeFacts
from groundcontrol.core.ids import NodeId
from groundcontrol.samples.model import StoredPack
from groundcontrol.schedules.model import Selector
from spider.wire.sample_messages import Row
from tests.support.alert_samples import BEGAN, Sample, play, samples_of
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, connect, new_event, new_node, pack_body
from tests.support.store_backend import Backend

START = BEGAN - BEGAN % 3600
SECONDS = 3 * 3600
RULES = tuple(
    Rule(RuleId(name), name, expr, Selector(all=True), warn=Threshold(*warn), for_s=for_s, clear_s=30.0)
    for name, expr, warn, for_s in (
        ("busy", "avg(cpu.total, 5m)", (80, 60), 60.0),
        ("full", "last(filesystem.used_percent)", (90, 85), 120.0),
        ("counted", "detector(memory_oom)", (0, 0), 0.0),
        ("mixed", "detector(network_errors)", (1, 0.2), 0.0),
    )
)


def made() -> list[Sample]:
    chance = random.Random(3)
    levels = [chance.choice([5, 50, 95, 99]) for _ in range(SECONDS // 300 + 1)]
    eth = "{interface=eth0}"
    return samples_of(
        {
            "cpu.total": lambda at: levels[at // 300] + at % 3 / 10,
            f"network.packets_received{eth}": 400,
            f"network.packets_sent{eth}": 400,
            "filesystem.used{mount=/}": lambda at: levels[at // 300] * 1e9,
            "filesystem.free{mount=/}": lambda at: (100 - levels[at // 300]) * 1e9,
            "memory.oom_kills": lambda at: at // 3000,
            f"network.errors_received{eth}": lambda at: 40 * (levels[at // 300] > 90),
            **{f"network.{kind}{eth}": 0 for kind in ("errors_sent", "drops_received", "drops_sent")},
        },
        SECONDS,
        pulse_s=2,
        began=START,
    )


@pytest.mark.parametrize("compacted", [False, True])
async def test_a_preview_of_stored_samples_equals_the_live_evaluation(store: Store, compacted: bool) -> None:
    session = await connect(store, (await store.nodes.create_node(SCOPE, new_node())).id)
    facts, samples = NodeFacts(session.node, cores=4), made()
    live = Engine()
    live.set_rules(RULES)
    live.set_node(facts)
    expected = episodes(play(live, session.node, samples))
    seq = 0
    for schema in {one.layout for one in samples}:
        await store.metrics.save_schema(session, schema)
    for _, group in groupby(samples, key=lambda one: one.row.taken_at_ms // 60_000):
        minute = sorted(group, key=lambda one: one.layout.family)
        for schema, some in groupby(minute, key=lambda one: one.layout):
            rows = [one.row for one in some]
            body = pack_body(rows)
            await store.metrics.append([StoredPack(session, 0, seq, schema.schema_id, rows[0].taken_at_ms, rows[-1].taken_at_ms, 1, body)])
            seq += 1
    if compacted:
        for hour in await store.metrics.hot_hours():
            await store.metrics.compact(hour.no, hour.hour)
    found, first_at = await replay(store.metrics, session.no, facts, RULES, START, START + SECONDS, START)
    assert first_at is not None
    assert START <= first_at <= START + 60
    assert found == expected
    assert {one.key.rule for one in found} == {rule.id for rule in RULES}
    middle = [one for one in expected if one.fired_at < START + 7200 and (one.ended_at is None or one.ended_at >= START + 5400)]
    seen, _ = await replay(store.metrics, session.no, facts, RULES, START + 5400, START + 7200, START)
    assert [one[:4] for one in seen] == [one[:4] for one in middle]
    if compacted:
        coarse, _ = await replay(store.metrics, session.no, facts, RULES[:2], START, START + SECONDS, START + SECONDS)
        exact = [one for one in expected if one.key.rule in ("busy", "full")]
        assert len(coarse) == len(exact)
        assert all(abs(one.fired_at - other.fired_at) <= 120 for one, other in zip(coarse, exact, strict=True))


@pytest.mark.parametrize("skew_s", [0, 7200])
async def test_rows_that_the_replay_after_a_start_has_read_do_not_count_as_late(store: Store, skew_s: int) -> None:
    session = await connect(store, (await store.nodes.create_node(SCOPE, new_node())).id)
    samples = samples_of({"cpu.total": 5}, 60)
    schema, rows = samples[0].layout, [Row(one.row.taken_at_ms, list(one.row.values)) for one in samples]
    await store.metrics.save_schema(session, schema)
    times = rows[0].taken_at_ms, rows[-1].taken_at_ms
    await store.metrics.append([StoredPack(session, 0, 0, schema.schema_id, *times, 1, pack_body(rows))])
    engine, replayed = Engine(), Replay(store.metrics, lambda _: session.no, ManualClock(BEGAN + 60 - skew_s))
    engine.set_node(NodeFacts(session.node, clock_skew_s=float(skew_s)))
    assert replayed.hold(session.node, schema, rows[30:50])
    await replayed._replay(engine, session.node)
    assert engine.take_late() == {}
    engine.add_rows(session.node, schema, rows[-1:])
    assert list(engine.take_late()) == [session.node], "the replay has read it"


def test_a_preview_of_events_equals_the_live_evaluation() -> None:
    chance = random.Random(5)
    rule = Rule(
        RuleId("failed"),
        "failed",
        "event(backup_failed)",
        Selector(all=True),
        warn=Threshold(0, 0),
        crit=Threshold(0.5, 0.5),
        clear_s=600.0,
    )
    facts = NodeFacts(NodeId("0" * 26))
    events = [
        new_event(float(START + second), facts.id)._replace(
            type="backup_failed",
            object=chance.choice(["", "db"]),
            severity=chance.choice(["warning", "error"]),
            last_at=START + second + chance.choice([0, 300]),
        )
        for second in sorted(chance.sample(range(20_000), 40))
    ]
    live = Engine()
    live.set_rules([rule])
    live.set_node(facts)
    seen = []
    moments = sorted((at, event) for event in events for at in {event.at, event.last_at})
    for second in range(SECONDS * 2):
        while moments and moments[0][0] <= START + second:
            at, event = moments.pop(0)
            live.add_event(facts.id, event.type, event.object, at, event.severity)
        seen += live.tick(float(START + second))
    found = replay_events(rule, facts.id, (), events, START + SECONDS * 2)
    assert len(found) > 5
    assert {one.level for one in found} == {"warning", "critical"}
    assert [one._replace(value=None) for one in found] == [one._replace(value=None) for one in episodes(seen)]


@pytest.mark.parametrize("body", [b"", b"junk", b"\x93\x01\x90\x81\xa1\xff\x80"], ids=["empty", "junk", "not UTF-8"])
async def test_a_damaged_snapshot_of_the_engine_counts_as_none(backend: Backend, body: bytes) -> None:
    await backend.database._control.writer.run(lambda tx: tx.execute("INSERT INTO alert_engine VALUES (1, 1.0, ?)", body))
    assert await backend.store.alerts.engine(1) is None
