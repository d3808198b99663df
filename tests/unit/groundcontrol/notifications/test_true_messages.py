"""What a message says is true when it is sent: names, numbers, values and times."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from groundcontrol.alerts.model import IncidentId
from groundcontrol.notifications.channels.kind import Sent, Transient
from groundcontrol.notifications.messages import Address, alert_line, build_message, time_text
from groundcontrol.notifications.model import ChannelId, Delivery, DeliveryId
from groundcontrol.notifications.values import value_text
from groundcontrol.schedules.maintenance import Window
from groundcontrol.schedules.model import MaintenanceId, Selector
from tests.support.alert_samples import samples_of
from tests.support.alert_trial import alert_trial, fires
from tests.support.factories import BOOT, HUB, STRANGER, new_node
from tests.support.receivers import told
from tests.support.some import some
from tests.support.tenants import forgets


async def test_a_mass_outage_names_each_server_and_leaves_out_those_that_are_back(tmp_path: Path) -> None:
    async with alert_trial(tmp_path, 30) as trial:
        lost = trial.nodes[:20]
        for node in lost:  # the last one is lost 19 s after the first; the trial fires them after a minute
            trial.fleet.connected.discard(node)
            await trial.pass_s(1)
        await trial.pass_s(46)
        back = lost[3]
        trial.fleet.connected.add(back)
        await trial.pass_s(60)
        [first, *_] = [one.message for one in trial.receivers.told]
        named = set(re.findall(r"web-\d+", " ".join(first.lines)))
        assert first.title.startswith(f"Critical: {len(named)} servers are offline")
        assert named == {f"web-{at}" for at in range(20)} - {"web-3"}


@pytest.mark.holds("SAFETY-104", "SAFETY-108")
@pytest.mark.parametrize(("forgotten", "count"), [(False, 6), (True, 12)])
async def test_t2_a_title_is_made_of_nodes_of_one_organisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: bool, count: int
) -> None:
    """The second case is the seeded fault: the facts of the alerts are read without their organisation."""
    async with alert_trial(tmp_path, 6) as trial:
        store, foreign = trial.backend.store, [new_node(f"foreign-{at}") for at in range(6)]
        await store.nodes.create_nodes(STRANGER, foreign)
        for node in foreign:
            await store.sessions.claim(node.id, BOOT, HUB)
        if forgotten:
            forgets(r"(?s)FROM node .*WHERE org = \? AND no > ")(monkeypatch)
        every = [*trial.nodes, *(node.id for node in foreign)]
        await trial.restart(5, back=every)
        trial.fleet.connected.update(every)
        trial.fleet.awaited.clear()
        await trial.pass_s(100)
        trial.fleet.connected.clear()
        await trial.pass_s(110)
        [first, *_] = trial.receivers.told
        assert first.message.title.startswith(f"Critical: {count} servers are offline")
        assert forgotten or "foreign" not in repr(first.message)


async def test_a_new_critical_alert_of_a_node_is_sent_within_a_minute_under_its_own_title(tmp_path: Path) -> None:
    async with alert_trial(tmp_path) as trial:
        [node] = trial.nodes
        trial.fleet.levels[node] = {"first": 2.0}
        await trial.pass_s(45)
        trial.fleet.levels[node]["second"] = 2.0
        await trial.pass_s(75)
        assert trial.titles() == [
            "Critical: web-0: Expected event is missing (first)",
            "Critical: web-0: Expected event is missing (second) and 1 more",
        ]


async def test_a_server_that_was_lost_while_the_hub_was_away_is_offline_since_its_last_word(tmp_path: Path) -> None:
    async with alert_trial(tmp_path, 2) as trial:
        lost, other = trial.nodes
        last_word_at = trial.clock.now()
        await trial.restart(720, back=[lost, other])
        trial.fleet.connected.add(other)
        trial.fleet.awaited.clear()
        await trial.pass_s(300)
        [message] = [one for one in trial.receivers.told if one.kind == "firing"]
        assert abs((message.message.content.alerts[0].alert.since_at) - last_word_at) < 60
        value = some(message.message.content.alerts[0].value)
        assert abs(value - (message.at - last_word_at)) < 60, "as long as it says"
        [repeated] = [line for line in message.message.lines if "web-0" in line]
        assert "14 minutes" in repeated or "15 minutes" in repeated or "16 minutes" in repeated, repeated


async def test_the_value_of_a_message_is_that_of_its_sending(tmp_path: Path) -> None:
    async with alert_trial(tmp_path) as trial:
        [node] = trial.nodes
        trial.fleet.connected.discard(node)
        await trial.pass_s(60)
        trial.receivers.outcome = Transient("connect")
        await trial.pass_s(200)
        trial.receivers.outcome = Sent()
        await trial.pass_s(200)
        [told] = trial.receivers.told
        value = some(told.message.content.alerts[0].value)
        assert abs(value - (told.at - told.message.content.alerts[0].alert.since_at)) < 2
        assert value > 260


async def test_a_message_follows_a_maintenance_window_that_was_closed_early(tmp_path: Path) -> None:
    async with alert_trial(tmp_path) as trial:
        [node] = trial.nodes
        now = trial.clock.now()
        window = Window(MaintenanceId("m"), 1, Selector(nodes=(node,)), now - 60, now + 8000, "upgrade", "job", "ada", now - 60)
        trial.windows.replace([window])
        alert = await fires(trial, node, 2.0)
        [held] = await trial.explained(alert)
        assert (held.reason, held.next_at) == ("maintenance", now + 8000)
        trial.windows.replace([])
        await trial.pass_s(100)
        assert trial.told() == ["firing"]
        [told] = await trial.explained(alert)
        assert "held until" not in told.sentence


def space_of(*mounts: str) -> dict[str, float]:
    """Series of file systems that are 98 % used, with 1 GB left."""
    return {
        f"filesystem.{kind}{{mount={mount}}}": value
        for mount in mounts
        for kind, value in (("used", 49e9), ("free", 1e9), ("readonly", 0.0))
    }


@pytest.mark.parametrize("restarts", [False, True], ids=["", "while the hub is restarted"])
async def test_a_mount_that_is_gone_ends_its_alert_and_is_told_once_as_no_longer_there(tmp_path: Path, restarts: bool) -> None:
    async with alert_trial(tmp_path) as trial:
        [node] = trial.nodes
        root = {"filesystem.used{mount=/}": 1e9, "filesystem.free{mount=/}": 99e9}

        async def measured(minutes: int, **signals: float) -> None:
            for layout, row in samples_of({**root, **signals}, minutes * 60, began=int(trial.clock.now())):
                await trial.pass_s(60, 5)
                trial.engine.add_rows(node, layout, [row])

        await measured(10, **space_of("/mnt"))
        [alert] = await trial.firing()
        assert (alert.rule_id, alert.object) == ("filesystem.space", "/mnt")
        if restarts:
            await trial.restart(60, back=[node])
            trial.fleet.connected.add(node)
            trial.fleet.awaited.clear()
        await measured(15)
        assert await trial.firing() == []
        await measured(15 if restarts else 250)  # longer than a repetition takes
        assert trial.titles() == [
            "Critical: web-0: File system almost full (/mnt)",
            "No longer there: web-0: File system almost full (/mnt)",
        ]


def test_the_value_of_an_alert_without_data_is_called_the_last_known_one() -> None:
    """Of a share that no longer answers, or a mount that is about to be found gone."""
    now = 1_790_000_000.0
    [one] = (one._replace(value=97.2, unit="percent") for one in told("1" * 26, now - 900).alerts)
    stale = one._replace(alert=one.alert._replace(stale=True))
    assert ", 97" in alert_line(one, now)
    assert ", last known 97" in alert_line(stale, now)
    over = stale._replace(alert=stale.alert._replace(state="resolved", resolved_at=now))
    assert "last known" not in alert_line(over, now)


def test_what_is_over_is_never_named_among_what_still_fires() -> None:
    """An incident of many episodes names those beyond the first lines together."""
    now = 1_790_000_000.0
    content = told("1" * 26, now - 900)
    [one] = content.alerts
    firing = [one._replace(rule_name=f"storm {number}", node_name="web-1") for number in range(12)]
    over = one._replace(
        rule_name="Server does not answer",
        node_name="web-1",
        value=0.0,
        unit="seconds",
        alert=one.alert._replace(state="resolved", resolved_at=now, object=""),
    )
    delivery = Delivery(DeliveryId("0" * 26), 1, ChannelId("0" * 26), "changed", IncidentId("1" * 26), None, 1, "due", "ready", now, None)
    built = build_message(delivery, content._replace(alerts=(*firing, over)), Address("https://hub.example", "ops"), now)
    assert built.lines[-2:] == ("also: storm 10 (/var), storm 11 (/var)", "also over: Server does not answer")
    alone = build_message(delivery, content._replace(alerts=(firing[0], over)), Address("https://hub.example", "ops"), now)
    assert alone.lines[-1] == f"web-1: Server does not answer, since {time_text(now - 900, now)}, over", "a time of 0 seconds says nothing"


def test_times_of_a_clock_that_was_ahead_and_nearly_whole_hours_are_told_right() -> None:
    now = 1_790_000_000.0
    assert time_text(now + 10_800, now) == time_text(now, now)
    assert [value_text(seconds, "seconds") for seconds in (10_799.6, 7200.0, 119.6, 119.4, 90.0, 1.4, 0.7)] == [
        "3 hours", "2 hours", "2 minutes", "119 seconds", "90 seconds", "1.4 seconds", "0.7 seconds",
    ]  # fmt: skip
