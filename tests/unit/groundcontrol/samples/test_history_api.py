"""`/api/v1/nodes/{id}/history`."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.agents.registry import Registry
from groundcontrol.core.errors import NotAcceptable
from groundcontrol.core.ids import HubId
from groundcontrol.samples.api import _FORMS, _WILD, choose_form
from groundcontrol.samples.model import Bounds
from spider.wire.ids import new_random_id
from tests.support.inprocess_hub import TestHub
from tests.support.measured_node import START, asked, measured


async def test_history_keeps_gaps(hub: TestHub) -> None:
    viewer, node = await hub.logged_in("viewer"), await measured(hub)

    answer = await viewer.get(**asked(node, "cpu.total", "disk.read{device=sda}", **{"from": START, "to": START + 60, "points": 60}))

    window = answer.json
    assert (answer.status, window["step"], window["tier"], len(window["times"])) == (200, 1, "1s", 60)
    assert window["times"][0] == START
    cpu = window["series"]["cpu.total"]
    assert cpu["avg"][:3] == [0.0, 1.0, 2.0]
    assert cpu["avg"][19:31] == [19.0, *[None] * 10, 30.0]
    assert window["series"]["disk.read{device=sda}"]["min"][9:11] == [None, 7.0]


async def test_fewer_points_give_lows_and_highs(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await measured(hub)

    window = (await admin.get(**asked(node, "cpu.total", **{"from": START, "to": START + 60, "points": 6}))).json

    assert window["step"] == 10
    cpu = window["series"]["cpu.total"]
    assert (cpu["min"][0], cpu["avg"][0], cpu["max"][0]) == (0.0, 4.5, 9.0)
    assert cpu["avg"][2] is None


async def test_history_is_available_as_messagepack(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await measured(hub)
    question = asked(node, "cpu.total", **{"from": START, "to": START + 60})

    as_json = await admin.get(**question)
    as_msgpack = await admin.get(**question, headers={"Accept": "application/msgpack"})

    assert as_msgpack.content_type == "application/msgpack"
    assert msgspec.msgpack.decode(as_msgpack.body) == as_json.json


async def test_history_is_available_as_csv(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await measured(hub)

    answer = await admin.get(**asked(node, "cpu.total", **{"from": START, "to": START + 60, "points": 60}), headers={"Accept": "text/csv"})

    rows = list(csv.reader(io.StringIO(answer.body.decode())))
    assert rows[0] == ["time", "cpu.total avg", "cpu.total min", "cpu.total max"]
    assert rows[2] == [str(float(START + 1)), "1.0", "1.0", "1.0"]
    assert rows[21][1:] == ["", "", ""]


async def test_without_times_the_last_hour_is_shown(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await hub.node()

    window = (await admin.get(**asked(node, "cpu.total"))).json

    assert 3590 <= window["times"][-1] - window["times"][0] <= 3610
    assert len(window["times"]) <= 600
    assert set(window["series"]["cpu.total"]["avg"]) == {None}


INVALID = [
    "", "metric=nonsense", "metric=disk.read", "metric=cpu.total{core=1}", "metric=cpu.total&points=0", "metric=cpu.total&points=4001", "metric=cpu.total&from=x",
    "metric=cpu.total&from=nan", "metric=cpu.total&from=inf", "metric=cpu.total&from=1_0", "metric=cpu.total&from=%D9%A1", "metric=cpu.total&from=+1", "metric=cpu.total&from=", "metric=cpu.total&from=10&to=5", "metric=cpu.total&from=-1e300", "metric=cpu.total&to=1e300",
    "metric=cpu.total&step=5", "metric=cpu.total&to=5&to=6", "&".join(f"metric=disk.read{{device=d{number}}}" for number in range(51))
]  # fmt: skip


async def test_an_invalid_history_request_is_refused(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await hub.node()

    for query in INVALID:
        answer = await admin.get(f"nodes/{node.id}/history?{query}")
        assert (query, answer.status, answer.code) == (query, 400, "request.invalid")


async def test_history_of_no_node_is_not_found(hub: TestHub) -> None:
    assert (await (await hub.logged_in()).get(f"nodes/{new_random_id()}/history?metric=cpu.total")).status == 404


async def test_an_unknown_format_is_refused(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await hub.node()

    answer = await admin.get(f"nodes/{node.id}/history?metric=cpu.total", headers={"Accept": "image/png"})

    assert (answer.status, answer.code) == (406, "request.not_acceptable")


@pytest.mark.parametrize(
    ("accept", "form"),
    [("", "application/json"), ("*/*", "application/json"), ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"), ("text/csv, */*;q=0.1", "text/csv"),
     ("application/json;q=0.5, application/x-msgpack", "application/msgpack"), ("text/*", "text/csv"), ("application/json;q=x, text/csv;q=0.1", "text/csv")],
)  # fmt: skip
def test_the_preferred_format_is_chosen(accept: str, form: str) -> None:
    assert choose_form(accept, _FORMS, _WILD) == form


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "nonsense"])
def test_unacceptable_formats_are_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        choose_form(accept, _FORMS, _WILD)


async def test_a_history_request_may_name_several_nodes(hub: TestHub) -> None:
    viewer, one, two = await hub.logged_in("viewer"), await measured(hub, "one"), await hub.node("two")
    params = [("node", one.id), ("node", two.id), ("metric", "cpu.total"), ("from", START), ("to", START + 60), ("points", 6)]

    answer = await viewer.get("history", params=params)

    window = answer.json
    assert (answer.status, window["step"], window["tier"], list(window["nodes"])) == (200, 10, "1s", [one.id, two.id])
    assert window["nodes"][one.id]["cpu.total"]["max"] == [9.0, 19.0, None, 39.0, 49.0, 59.0]
    assert window["nodes"][two.id]["cpu.total"]["max"] == [None] * 6
    as_csv = await viewer.get("history", params=params, headers={"Accept": "text/csv"})
    rows = list(csv.reader(io.StringIO(as_csv.body.decode())))
    assert rows[0][1:4] == [f"{one.id} cpu.total {what}" for what in ("avg", "min", "max")]
    assert rows[1] == [str(float(START)), "4.5", "0.0", "9.0", "", "", ""]


async def test_no_nodes_and_too_many_are_refused(hub: TestHub) -> None:
    for ids in [0, 51]:
        admin = await hub.logged_in()
        params = [("metric", "cpu.total"), *(("node", new_random_id()) for _ in range(ids))]
        assert (await admin.get("history", params=params)).code == "request.invalid", ids


async def test_a_foreign_node_among_several_is_not_found(hub: TestHub) -> None:
    admin, mine = await hub.logged_in(), await hub.node()
    for other in (new_random_id(), "nonsense"):
        answer = await admin.get("history", params=[("metric", "cpu.total"), ("node", mine.id), ("node", other)])
        assert (answer.status, answer.code) == (404, "not_found")


async def test_history_older_than_the_seconds_tier_is_shown_by_minute(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await measured(hub)
    start = START - 3 * 86_400

    window = (await admin.get(**asked(node, "cpu.total", **{"from": start, "to": start + 600, "points": 600}))).json

    assert (window["tier"], window["step"]) == ("1m", 60)


async def test_minutes_are_shown_where_seconds_had_expired(hub: TestHub) -> None:
    """The retention of seconds was extended a moment ago: older data exists by the minute only, though the new limit covers it."""
    admin, old = await hub.logged_in(), await measured(hub)
    times = {"from": START, "to": START + 600, "points": 600}
    for hour in await hub.store.metrics.hot_hours():
        await hub.store.metrics.compact(hour.no, hour.hour)
    assert (await admin.get(**asked(old, "cpu.total", **times))).json["tier"] == "1s"
    await hub.store.metrics.expire(Bounds(START + 7200, 0, 0, START + 86_400))
    young = await measured(hub, "web-2")

    one = (await admin.get(**asked(old, "cpu.total", **times))).json
    other = (await admin.get(**asked(young, "cpu.total", **times))).json
    both = (await admin.get("history", params=[("node", old.id), ("node", young.id), ("metric", "cpu.total"), *times.items()])).json

    assert (one["tier"], one["step"], other["tier"], other["step"]) == ("1m", 60, "1s", 1)
    assert one["series"]["cpu.total"]["max"] == [59.0, *[None] * 9]
    assert (both["tier"], both["step"], len(both["times"])) == ("1m", 60, 10)
    assert [both["nodes"][node.id]["cpu.total"]["max"] for node in (old, young)] == [[59.0, *[None] * 9]] * 2


async def test_damaged_history_is_a_gap_in_the_answer_and_one_event(hub: TestHub) -> None:
    admin, node, other = await hub.logged_in(), await measured(hub), await measured(hub, "web-2")
    hours = range(START // 3600, (START + 59) // 3600 + 1)
    for one in (node, other):
        for hour in hours:
            await hub.store.metrics.compact(one.no, hour)
    await hub.database._samples.writer.run(
        lambda tx: tx.execute("UPDATE chunk_1s SET body = substr(body, 2) WHERE place >> 40 = ?", node.no)
    )
    question = {"from": START, "to": START + 60, "points": 60}
    told = [{"start": hour * 3600.0, "end": (hour + 1) * 3600.0} for hour in hours]

    for _ in range(2):
        answer = await admin.get(**asked(node, "cpu.total", **question))
        assert (answer.status, answer.json["damaged"]) == (200, told)
        assert set(answer.json["series"]["cpu.total"]["avg"]) == {None}
    both = (await admin.get("history", params=[("node", node.id), ("node", other.id), ("metric", "cpu.total"), *question.items()])).json
    assert both["damaged"] == {node.id: told}
    assert both["nodes"][other.id]["cpu.total"]["avg"][0] == 0.0
    notes = [[str(hour * 3600.0), f"#damaged 1s until {(hour + 1) * 3600.0}", "", ""] for hour in hours]
    as_csv = await admin.get(**asked(node, "cpu.total", **question), headers={"Accept": "text/csv"})
    assert list(csv.reader(io.StringIO(as_csv.body.decode())))[1 : len(hours) + 2] == [*notes, [str(float(START)), "", "", ""]]
    of_both = [("node", other.id), ("node", node.id), ("metric", "cpu.total"), *question.items()]
    rows = list(csv.reader(io.StringIO((await admin.get("history", params=of_both, headers={"Accept": "text/csv"})).body.decode())))
    assert rows[1 : len(hours) + 1] == [[at, "", "", "", *note] for at, *note in notes], "in the columns of the node that it is of"
    events = [one for one in (await admin.get("events")).json["events"] if one["type"] == "history_damaged"]
    assert [(one["node_id"], one["severity"]) for one in events] == [(node.id, "error")] * len(hours)
    assert {one["details"]["start"] for one in events} == {one["start"] for one in told}
    minutes = (await admin.get(**asked(node, "cpu.total", **{"from": START, "to": START + 60, "points": 1}))).json
    assert (minutes["tier"], minutes["damaged"]) == ("1m", []), "another tier holds its own"
    assert await hub.store.metrics.latest(node.no) == {}
    assert await hub.store.metrics.latest(other.no)


@pytest.mark.parametrize("table", ["arrived", "hot"])
async def test_a_damaged_pack_costs_only_its_values(hub: TestHub, table: str) -> None:
    admin, node = await hub.logged_in(), await measured(hub)
    if table == "hot":
        await hub.store.metrics.hot_hours()
    harmed = await hub.database._samples.writer.run(lambda tx: tx.execute(f"UPDATE {table} SET body = x'00' WHERE seq = 5"))
    assert harmed == 1

    window = (await admin.get(**asked(node, "cpu.total", **{"from": START, "to": START + 60, "points": 60}))).json

    hour = (START + 5) // 3600 * 3600.0
    assert window["damaged"] == [{"start": hour, "end": hour + 3600}]
    assert window["series"]["cpu.total"]["avg"][4:7] == [4.0, None, 6.0]


async def test_damaged_data_of_one_node_is_reported_once_and_hides_no_other_node(hub: TestHub, caplog: pytest.LogCaptureFixture) -> None:
    nodes = [await measured(hub, name) for name in ("a", "b", "c")]
    harmed, unlaid, _ = nodes
    await hub.database._control.writer.run(
        lambda tx: tx.execute("UPDATE node SET identity = 'z' || substr(identity, 2) WHERE no = ?", harmed.no)
    )
    await hub.database._samples.writer.run(
        lambda tx: tx.execute("UPDATE layout SET series = 'Z' || substr(series, 2) WHERE node = ?", unlaid.no)
    )
    registry = Registry(hub.store, LocalBus(), hub.clock, HubId("next"))

    await registry.values.run()

    assert [bool(registry.values.latest(node.id)) for node in nodes] == [True, False, True]
    told = [(record.getMessage(), record.__dict__["facts"]) for record in caplog.records if record.getMessage().endswith("_damaged")]
    assert [(name, facts["node"], facts.get("what", facts.get("families"))) for name, facts in told] == [
        ("node_damaged", harmed.id, ("identity",)),
        ("layouts_damaged", unlaid.id, ["pulse"]),
    ]
    admin = await hub.logged_in()
    assert {node["name"] for node in (await admin.get("nodes")).json["nodes"]} == {"a", "b", "c"}
    window = (await admin.get(**asked(unlaid, "cpu.total", **{"from": START, "to": START + 60, "points": 60}))).json
    assert window["damaged"]
    assert set(window["series"]["cpu.total"]["avg"]) == {None}


async def test_unreadable_latest_values_hide_no_other_node(hub: TestHub) -> None:
    harmed, newer, sound = await measured(hub, "a"), await measured(hub, "b"), await measured(hub, "c")

    def harm(tx: Tx) -> None:
        for table in ("arrived", "hot"):
            tx.execute(f"UPDATE {table} SET body = x'00' WHERE node = ?", harmed.no)
        tx.execute("UPDATE layout SET series = replace(series, 'cpu.total', 'cpu.later') WHERE node = ?", newer.no)

    await hub.database._samples.writer.run(harm)
    registry = Registry(hub.store, LocalBus(), hub.clock, HubId("next"))

    await registry.values.run()

    assert [bool(registry.values.latest(node.id)) for node in (harmed, newer, sound)] == [False, False, True]
