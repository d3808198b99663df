"""`/api/v1/nodes/{id}/export`."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import pytest

from groundcontrol.core.ids import BootId, HubId
from groundcontrol.nodes.model import Node
from groundcontrol.samples.backfill import LostRows
from groundcontrol.samples.model import SeriesSchema, StoredRow
from tests.support.inprocess_hub import ADMIN, TestHub
from tests.support.measured_node import START, measured
from tests.support.some import some


async def test_an_export_has_a_line_per_row(hub: TestHub) -> None:
    viewer, node = await hub.logged_in("viewer"), await measured(hub)

    answer = await viewer.get(f"nodes/{node.id}/export")

    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert (answer.status, answer.content_type, len(lines)) == (200, "application/x-ndjson", 50)
    assert lines[0] == {"at": float(START), "family": "pulse", "values": {"cpu.total": 0.0, "disk.read{device=sda}": None}}
    assert lines[-1] == {"at": START + 59.0, "family": "pulse", "values": {"cpu.total": 59.0, "disk.read{device=sda}": 7.0}}


@pytest.mark.parametrize("tier", ["1s", "1m", "1h"])
async def test_an_export_includes_rows_of_a_node_whose_clock_is_ahead(hub: TestHub, tier: str) -> None:
    """Everything stored, unless an end is given."""
    hub.clock.wrong = -20 * 3600.0
    admin, node = await hub.logged_in(), await measured(hub)
    path = f"nodes/{node.id}/export?tier={tier}"
    kept = await admin.get(f"{path}&to={START + 60}")

    answer = await admin.get(path)

    assert (answer.status, answer.body) == (200, kept.body)
    assert answer.body
    assert (await admin.get(f"{path}&to={hub.clock.now()}")).body == b""


async def test_compacted_rows_are_exported_once(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await measured(hub)
    before = (await admin.get(f"nodes/{node.id}/export")).body
    for hour in await hub.store.metrics.hot_hours():
        await hub.store.metrics.compact(hour.no, hour.hour)

    after = (await admin.get(f"nodes/{node.id}/export")).body

    assert sorted(after.splitlines()) == sorted(before.splitlines())


@pytest.mark.parametrize("compacted", [False, True])
async def test_a_coarser_tier_is_exported_with_its_aggregates(hub: TestHub, compacted: bool) -> None:
    admin, node = await hub.logged_in(), await measured(hub)
    for hour in await hub.store.metrics.hot_hours() if compacted else ():
        await hub.store.metrics.compact(hour.no, hour.hour)

    answer = await admin.get(f"nodes/{node.id}/export?tier=1m")

    (line,) = [json.loads(line) for line in answer.body.splitlines()]
    assert (line["at"], line["family"], line["step"]) == (float(START), "pulse", 60)
    assert line["values"]["cpu.total"] == {"avg": 30.5, "min": 0.0, "max": 59.0, "count": 50}
    assert line["values"]["disk.read{device=sda}"] == {"avg": 7.0, "min": 7.0, "max": 7.0, "count": 40}


async def test_csv_has_a_line_for_each_value(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await measured(hub)

    answer = await admin.get(f"nodes/{node.id}/export?from={START}&to={START + 2}", headers={"Accept": "text/csv"})
    hourly = await admin.get(f"nodes/{node.id}/export?tier=1h", headers={"Accept": "text/csv"})

    rows = list(csv.reader(io.StringIO(answer.body.decode())))
    assert rows[:3] == [
        ["time", "series", "value"],
        [str(float(START)), "cpu.total", "0.0"],
        [str(float(START)), "disk.read{device=sda}", ""],
    ]
    assert len(rows) == 5
    rows = list(csv.reader(io.StringIO(hourly.body.decode())))
    assert rows[0] == ["time", "series", "avg", "min", "max", "count"]
    assert rows[1] == [str(float(START // 3600 * 3600)), "cpu.total", "30.5", "0.0", "59.0", "50"]


INVALID = ["tier=1d", "from=x", "from=5&to=5", "metric=cpu.total", "to=1e300"]


async def test_an_invalid_export_request_is_refused(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await hub.node()
    for query in INVALID:
        answer = await admin.get(f"nodes/{node.id}/export?{query}")
        assert (query, answer.status, answer.code) == (query, 400, "request.invalid")


@pytest.mark.parametrize("tier", ["1s", "1m", "1h"])
async def test_an_export_up_to_a_far_day_ends_and_holds_that_node_alone(hub: TestHub, tier: str) -> None:
    admin, node = await hub.logged_in(), await measured(hub)
    await measured(hub, "web-2")
    for hour in await hub.store.metrics.hot_hours():
        await hub.store.metrics.compact(hour.no, hour.hour)
    asked = f"nodes/{node.id}/export?tier={tier}&from=0"

    near = await admin.get(f"{asked}&to={START + 3600}")
    far = await admin.get(f"{asked}&to=253402300800")

    assert near.body
    assert far.body == near.body


async def damage_a_chunk(hub: TestHub, table: str) -> None:
    for hour in await hub.store.metrics.hot_hours():
        await hub.store.metrics.compact(hour.no, hour.hour)
    await hub.database._samples.writer.run(lambda tx: tx.execute(f"UPDATE {table} SET body = substr(body, 2)"))


@pytest.mark.parametrize(("tier", "span_s"), [("1s", 3600), ("1m", 86_400)])
async def test_damaged_spans_are_marked_in_the_export_and_reported_once_as_an_event(hub: TestHub, tier: str, span_s: int) -> None:
    admin, node = await hub.logged_in(), await measured(hub)
    await damage_a_chunk(hub, f"chunk_{tier}")
    start = START // span_s * span_s

    lines = [json.loads(line) for line in (await admin.get(f"nodes/{node.id}/export?tier={tier}")).body.splitlines()]
    text = (await admin.get(f"nodes/{node.id}/export?tier={tier}", headers={"Accept": "text/csv"})).body.decode()

    assert lines == [{"damaged": {"tier": tier, "from": float(start), "to": float(start + span_s)}}]
    head, *rows = list(csv.reader(io.StringIO(text)))
    assert rows == [[str(float(start)), f"#damaged {tier} until {float(start + span_s)}", *[""] * (len(head) - 2)]]
    events = [one for one in (await admin.get("events")).json["events"] if one["type"] == "history_damaged"]
    assert [(one["node_id"], one["details"]["tier"]) for one in events] == [(node.id, tier)]


async def test_a_damaged_pack_costs_an_export_only_its_rows(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await measured(hub)
    await hub.database._samples.writer.run(lambda tx: tx.execute("UPDATE arrived SET body = x'00' WHERE seq = 5"))

    lines = [json.loads(line) for line in (await admin.get(f"nodes/{node.id}/export")).body.splitlines()]

    hour = float((START + 5) // 3600 * 3600)
    assert [line for line in lines if "damaged" in line] == [{"damaged": {"tier": "1s", "from": hour, "to": hour + 3600}}]
    assert len(lines) == 50


async def lose(hub: TestHub, node: Node, *lost: tuple[str, int, int, int]) -> None:
    """Have a node tell of rows that it gave up: family, the first and the last second behind `START`, how many."""
    session = await hub.store.sessions.claim(node.id, BootId("0" * 32), HubId(hub.services.hub_id))
    await hub.store.metrics.begin_session(session)
    rows = [
        LostRows(session, number, b"j" * 16, number, None, family, (START + first) * 1000, (START + last) * 1000, count)
        for number, (family, first, last, count) in enumerate(lost)
    ]
    await hub.store.metrics.append(rows)


@pytest.mark.holds("SAFETY-75")
@pytest.mark.parametrize("tier", ["1s", "1m", "1h"])
async def test_reported_losses_within_the_range_come_first_in_the_export(hub: TestHub, tier: str) -> None:
    admin, node = await hub.logged_in(), await measured(hub)
    await lose(hub, node, ("pulse", 20, 29, 10), ("breathe", -60, 0, 0), ("pulse", 60, 70, 11), ("pulse", -9, -1, 9))
    await lose(hub, await measured(hub, "web-2"), ("pulse", 1, 2, 2))
    asked = f"nodes/{node.id}/export?tier={tier}&from={START}&to={START + 60}"

    lines = [json.loads(line) for line in (await admin.get(asked)).body.splitlines()]
    text = (await admin.get(asked, headers={"Accept": "text/csv"})).body.decode()

    assert lines[:2] == [
        {"lost": {"family": "breathe", "from": START - 60.0, "to": float(START), "rows": None}},
        {"lost": {"family": "pulse", "from": START + 20.0, "to": START + 29.0, "rows": 10}},
    ]
    assert not [line for line in lines[2:] if "lost" in line]
    head, *rows = list(csv.reader(io.StringIO(text)))
    blank = [""] * (len(head) - 2)
    assert rows[:2] == [
        [str(START - 60.0), f"#lost ? rows of breathe until {float(START)}", *blank],
        [str(START + 20.0), f"#lost 10 rows of pulse until {START + 29.0}", *blank],
    ]
    assert not [row for row in rows[2:] if row[1].startswith("#lost")]


@pytest.mark.parametrize("tier", ["1s", "1m"])
async def test_unknown_series_are_exported_unscaled_and_named(hub: TestHub, tier: str) -> None:
    admin, node = await hub.logged_in(), await measured(hub)
    await hub.database._samples.writer.run(lambda tx: tx.execute("UPDATE layout SET series = replace(series, 'cpu.total', 'cpu.later')"))

    lines = [json.loads(line) for line in (await admin.get(f"nodes/{node.id}/export?tier={tier}")).body.splitlines()]
    text = (await admin.get(f"nodes/{node.id}/export?tier={tier}", headers={"Accept": "text/csv"})).body.decode()

    assert lines[0] == {"unknown": {"series": ["cpu.later"]}}
    assert sum("unknown" in line for line in lines) == 1
    assert {"cpu.later", "disk.read{device=sda}"} == set(lines[-1]["values"])
    head, first, *rows = list(csv.reader(io.StringIO(text)))
    assert first == [first[0], "#unknown cpu.later", *[""] * (len(head) - 2)]
    assert {len(row) for row in rows} == {len(head)}
    assert {row[1] for row in rows} == {"cpu.later", "disk.read{device=sda}"}


@pytest.mark.parametrize(("tier", "reads"), [("1s", "read"), ("1m", "read_rollups")])
async def test_an_export_whose_node_is_removed_is_cut_off_visibly(
    hub: TestHub, tier: str, reads: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    admin, node = await hub.logged_in(), await measured(hub)
    real = getattr(hub.store.metrics, reads)

    async def removed(*asked: Any) -> AsyncGenerator[Any]:
        async with contextlib.aclosing(real(*asked)) as found:
            async for one in found:
                await hub.store.nodes.delete_node(ADMIN, node.id)
                yield one

    monkeypatch.setattr(hub.store.metrics, reads, removed)
    with pytest.raises(aiohttp.ClientError):
        await admin.get(f"nodes/{node.id}/export?tier={tier}")
    assert "export_cut" in [record.getMessage() for record in caplog.records]


async def test_a_handler_that_crashes_in_the_middle_of_its_answer_is_in_the_log(
    hub: TestHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The response is cut off, so that it is not taken as complete."""
    admin, node = await hub.logged_in(), await measured(hub)

    async def crash(*_: object) -> AsyncGenerator[tuple[SeriesSchema, list[StoredRow]]]:
        yield SeriesSchema(b"", "pulse", 1, ("cpu.total",)), [StoredRow(1000, [5])]
        raise ZeroDivisionError

    monkeypatch.setattr(hub.store.metrics, "read", crash)
    with pytest.raises(aiohttp.ClientError):
        await admin.get(f"nodes/{node.id}/export")

    (record,) = [record for record in caplog.records if record.getMessage() == "request_failed"]
    assert some(record.exc_info)[0] is ZeroDivisionError
    assert record.__dict__["facts"]["route"].endswith("/export")
