"""`/api/v1/settings`: the retention of samples, and the space it needs."""

from __future__ import annotations

import asyncio

import pytest

from groundcontrol.samples.api import TYPICAL_BYTES
from groundcontrol.samples.model import Retention, TierSize
from spider.version import VERSION
from tests.support.inprocess_hub import TestHub
from tests.support.measured_node import measured

DAY_S = 86_400


async def test_retention_is_read_and_changed_tier_by_tier(hub: TestHub) -> None:
    admin = await hub.logged_in()
    before = (await admin.get("settings")).json["retention"]
    assert [(tier["tier"], tier["kept_s"]) for tier in before] == [("1s", DAY_S), ("1m", 30 * DAY_S), ("1h", 400 * DAY_S)]
    assert {tier["measured"] for tier in before} == {False}

    after = (await admin.request("PATCH", "settings", {"retention": {"seconds_s": 3 * DAY_S}})).json

    assert [tier["kept_s"] for tier in after["retention"]] == [3 * DAY_S, 30 * DAY_S, 400 * DAY_S]
    assert await hub.store.retention.retention() == Retention(3 * DAY_S, 30 * DAY_S, 400 * DAY_S)
    assert "settings.edit" in [row["action"] for row in (await admin.get("audit")).json["audit"]]


async def test_concurrent_changes_of_different_tiers_both_take_effect(hub: TestHub) -> None:
    one, other = await hub.logged_in(), await hub.logged_in("admin", cookie=False)
    for days in range(1, 6):
        changes = [(one, {"seconds_s": days * DAY_S}), (other, {"minutes_s": (30 + days) * DAY_S})]
        answers = await asyncio.gather(*(who.request("PATCH", "settings", {"retention": change}) for who, change in changes))
        assert [answer.status for answer in answers] == [200, 200]
        assert await hub.store.retention.retention() == Retention(days * DAY_S, (30 + days) * DAY_S, 400 * DAY_S)


async def test_the_cost_of_a_tier_is_a_typical_value_until_it_is_measured(hub: TestHub) -> None:
    admin = await hub.logged_in()
    await measured(hub)
    for hour in await hub.store.metrics.hot_hours():
        await hub.store.metrics.compact(hour.no, hour.hour)

    seconds, minutes, hours = (await admin.get("settings")).json["retention"]

    assert [(tier["measured"], tier["bytes_per_value"]) for tier in (seconds, minutes, hours)] == [
        (False, TYPICAL_BYTES[name]) for name in ("1s", "1m", "1h")
    ]
    assert [tier["values_per_day"] for tier in (seconds, minutes, hours)] == [2 * DAY_S, 2 * 1440, 2 * 24]
    for tier in (seconds, minutes, hours):
        assert tier["bytes"] == pytest.approx(tier["bytes_per_value"] * tier["values_per_day"] * tier["kept_s"] / DAY_S, rel=0.01)


async def test_the_cost_of_a_tier_follows_from_its_stored_size(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = await hub.logged_in()

    async def sizes(_since: float) -> list[TierSize]:
        return [TierSize("1s", 600, 1000, 100.0), TierSize("1m", 0, 0, 10.0), TierSize("1h", 0, 0, 1.0)]

    monkeypatch.setattr(hub.store.metrics, "sizes", sizes)
    seconds, minutes, _hours = (await admin.get("settings")).json["retention"]
    assert (seconds["measured"], seconds["bytes_per_value"], seconds["bytes"]) == (True, 0.6, 60)
    assert (minutes["measured"], minutes["bytes_per_value"]) == (False, TYPICAL_BYTES["1m"])


async def test_an_invalid_retention_is_refused(hub: TestHub) -> None:
    for retention in [
        {"seconds_s": 60},
        {"seconds_s": 40 * DAY_S},
        {"minutes_s": 500 * DAY_S},
        {"hours_s": 4000 * DAY_S},
        {"hours_s": "5"},
        {"days": 1},
        {},
        None,
    ]:
        admin = await hub.logged_in()
        assert (await admin.request("PATCH", "settings", {"retention": retention})).code == "request.invalid", retention
        assert await hub.store.retention.retention() is None, retention


async def test_the_settings_show_addresses_version_and_disk_space(hub: TestHub) -> None:
    admin = await hub.logged_in()
    config = hub.config
    for name, size in (("", 700), ("-samples", 5000), ("-samples.db-wal", 40)):
        config.control_db.with_name(config.control_db.stem + name + ("" if "." in name else config.control_db.suffix)).write_bytes(
            bytes(size)
        )
    config.control_db.with_name("else.db").write_bytes(bytes(90))

    told = (await admin.get("settings")).json["hub"]

    assert told["version"] == VERSION
    assert told["origins"] == sorted(config.origins)
    assert told["node_url"] == config.node_url
    assert (told["secure"], told["tls_pin"], told["data_dir"]) == (config.secure, config.tls_pin, str(config.data_dir))
    assert told["database_bytes"] == 5740
    assert told["free_bytes"] > 0
    operator = await hub.logged_in("operator")
    assert (await operator.get("settings")).status == 403


async def test_only_admins_change_retention(hub: TestHub) -> None:
    operator = await hub.logged_in("operator")
    assert (await operator.request("PATCH", "settings", {"retention": {"seconds_s": DAY_S}})).status == 403


async def test_a_database_file_that_vanishes_while_the_size_is_read_counts_as_empty(hub: TestHub) -> None:
    """A link to nothing fails as such a file does: it is in the list, and cannot be measured."""
    admin = await hub.logged_in()
    control = hub.config.control_db
    control.write_bytes(bytes(100))
    control.with_name(f"{control.name}-gone").symlink_to(control.with_name("nothing"))

    answer = await admin.get("settings")

    assert answer.status == 200
    assert answer.json["hub"]["database_bytes"] == 100
