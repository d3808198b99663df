"""Decisions about messages: each reason once, and random sequences against a second implementation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.alerts.incidents import ABOUT_THE_HUB
from groundcontrol.alerts.model import COOL_DOWN_S, Alert, AlertId, Incident, IncidentId, RuleId
from groundcontrol.core.ids import NodeId
from groundcontrol.notifications.deciding import (
    SETTLE_S,
    UPDATE_EVERY_S,
    Defer,
    DeferReason,
    Question,
    Send,
    Skip,
    SkipReason,
    Usage,
    decide,
    quiet_until,
    repeats_at,
)
from groundcontrol.notifications.explaining import explain
from groundcontrol.notifications.model import Caps, Channel, ChannelId, Delivery, DeliveryId, QuietHours

NOW = 1_800_000_000.0
STARTED = NOW - 3600
NIGHT = QuietHours("22:00", "07:00", "Europe/Budapest")


def channel(**fields: Any) -> Channel:
    return Channel(ChannelId("c"), 1, "ntfy", "phone", True, "warning", None, Caps(), "ntfy.sh/…")._replace(**fields)


def alert(**fields: Any) -> Alert:
    made = Alert(
        AlertId("a"), 1, RuleId("cpu"), NodeId("n"), "", "warning", "firing", NOW - 60, NOW - 60, None, None, 96.0, 95.0, IncidentId("i")
    )
    return made._replace(**fields)


def incident(**fields: Any) -> Incident:
    return Incident(IncidentId("i"), 1, "warning", "open", "web-3: CPU", NOW - 60, None, "node:n", 1)._replace(**fields)


def delivery(**fields: Any) -> Delivery:
    made = Delivery(
        DeliveryId("d"), 1, ChannelId("c"), "firing", IncidentId("i"), None, 1, "sent", "ready", NOW - 600, None, 1, None, NOW - 600
    )
    return made._replace(**fields)


def question(**fields: Any) -> Question:
    return Question("firing", incident(), (alert(),), channel(), (), NOW, STARTED)._replace(**fields)


SKIPS = {
    "channel_disabled": question(channel=channel(enabled=False)),
    "resolved_before_delivery": question(incident=incident(state="resolved", resolved_at=NOW), firing=(), held=delivery(state="due")),
    "already_told": question(kind="changed", history=(delivery(shown="same"),), shown="same"),
    "below_severity": question(channel=channel(min_severity="critical")),
    "never_told_firing": question(kind="resolved", incident=incident(state="resolved"), firing=()),
    "suppressed_by_parent": question(firing=(alert(suppressed_by="node.offline"),)),
    "flapping": question(firing=(alert(flapping=True),)),
    "acknowledged": question(firing=(alert(acknowledged_at=NOW - 5),)),
    "retroactive": question(firing=(alert(retro=True),)),
    "nothing_left": question(firing=()),
    "about_the_hub": question(incident=incident(group=ABOUT_THE_HUB)),
}
DEFERS = {
    "settling": (question(started_at=NOW - 10), NOW - 10 + SETTLE_S),
    "maintenance": (question(maintenance_until=NOW + 500), NOW + 500),
    "snoozed": (question(firing=(alert(snoozed_until=NOW + 50),)), NOW + 50),
    "cool_down": (question(notified_at=NOW - 100), NOW - 100 + COOL_DOWN_S),
    "channel_retry": (question(channel=channel(state="broken", state_reason="http:404", probe_at=NOW + 300)), NOW + 300),
    "cap": (question(usage=Usage(sent=40, first_at=NOW - 3000)), NOW + 600),
}


def test_each_reason_of_the_function_that_decides_is_shown_here() -> None:
    assert {*SKIPS, "rule_info_only"} == {*get_args(SkipReason)}, "of a notice nothing is decided: no message is made"
    assert {*DEFERS, "quiet_hours", "grouping", "update_interval"} == {*get_args(DeferReason)}, "these three have tests of their own"


@pytest.mark.parametrize("reason", SKIPS)
def test_each_reason_not_to_send_skips_the_delivery(reason: str) -> None:
    assert decide(SKIPS[reason]) == Skip(reason)  # type: ignore[arg-type]


def test_only_a_channel_that_is_marked_tells_of_the_hub_itself_to_its_end() -> None:
    of_hub = incident(group=ABOUT_THE_HUB)
    over = of_hub._replace(state="resolved", resolved_at=NOW)
    told = delivery(sent_at=NOW - 600)  # before its mark was taken away
    for asked in (question(incident=of_hub), question(kind="resolved", incident=over, firing=(), history=(told,))):
        assert decide(asked) == Skip("about_the_hub")
        assert isinstance(decide(asked._replace(channel=channel(instance=True))), Send)


@pytest.mark.parametrize("reason", DEFERS)
def test_each_reason_to_wait_has_a_time(reason: str) -> None:
    asked, until = DEFERS[reason]
    assert decide(asked) == Defer(until, reason)  # type: ignore[arg-type]


def test_the_first_message_waits_for_others_of_its_incident() -> None:
    assert decide(question(firing=(alert(fired_at=NOW),))) == Send(NOW + 30, "grouping")
    critical = question(incident=incident(level="critical"), firing=(alert(fired_at=NOW, level="critical"),))
    assert decide(critical) == Send(NOW + 10, "grouping")


def test_an_update_waits_five_minutes_unless_the_incident_became_critical() -> None:
    past = (delivery(sent_at=NOW - 100),)
    assert decide(question(kind="changed", history=past)) == Send(NOW - 100 + UPDATE_EVERY_S, "update_interval")
    risen = question(kind="changed", history=past, incident=incident(level="critical"), firing=(alert(level="critical"),))
    assert decide(risen) == Send(NOW)


def test_a_recovery_is_sent_only_to_channels_that_got_the_alert() -> None:
    over = incident(state="resolved")
    assert decide(question(kind="resolved", incident=over, firing=(), history=(delivery(),))) == Send(NOW)
    assert decide(question(kind="resolved", incident=over, firing=(), history=(delivery(state="failed"),))) == Skip("never_told_firing")


def test_an_alert_that_ended_undelivered_is_sent_only_if_long_and_critical() -> None:
    for lasted_s, critical, expected in (
        (1200, True, Send(NOW, "late")), (500, True, Skip("resolved_before_delivery")), (1200, False, Skip("resolved_before_delivery")),
    ):  # fmt: skip
        over = incident(state="resolved", level="critical", since_at=NOW - lasted_s, resolved_at=NOW)
        assert decide(question(incident=over, firing=(), held=delivery(state="due", sent_at=None, critical=critical))) == expected
    told_late = question(kind="resolved", incident=over, firing=(), history=(delivery(reason="late"),))
    assert decide(told_late) == Skip("resolved_before_delivery")


@pytest.mark.holds("SAFETY-100")
def test_a_node_takes_half_of_the_limit_and_its_first_critical_message_of_the_hour_is_always_sent() -> None:
    caps = Caps(per_hour=4, critical_per_hour=6)
    critical = {"incident": incident(level="critical"), "firing": (alert(level="critical"),)}
    noisy, full = Usage(2, 2, 0, NOW - 1800, NOW - 600), Usage(6, 0, 0, NOW - 1800)

    def reason(usage: Usage, **more: Any) -> str:
        return decide(question(channel=channel(caps=caps), usage=usage, **more)).reason

    assert reason(noisy) == "cap", "one noisy node leaves half of the limit to the others"
    assert reason(Usage(2, 1, 0, NOW - 1800, NOW - 600)) == "ready"
    assert [reason(full._replace(sent=sent)) for sent in (4, 7, 8)] == ["ready", "ready", "cap"], "a quiet node may exceed the limit"
    assert reason(Usage(1000, 500, 0, NOW - 9, NOW - 9), **critical) == "ready", "the first critical one"
    assert reason(Usage(1000, 500, 1, NOW - 9, NOW - 9), **critical) == "cap"
    assert decide(question(channel=channel(caps=caps), usage=noisy)) == Defer(NOW - 600 + 3600, "cap")


def test_a_cool_down_does_not_delay_a_critical_alert() -> None:
    critical = question(incident=incident(level="critical"), firing=(alert(level="critical"),), notified_at=NOW - 100)
    assert isinstance(decide(critical), Send)


@pytest.mark.parametrize("zone", ["Europe/Budapest", "America/New_York", "Australia/Lord_Howe"])
def test_quiet_hours_end_at_the_named_local_time_on_every_night_of_a_year(zone: str) -> None:
    hours, local = QuietHours("22:00", "07:00", zone), ZoneInfo(zone)
    for day in range(365):
        at = NOW + day * 86_400
        for hour in range(0, 24, 3):
            moment = at + hour * 3600
            until, clock = quiet_until(hours, moment), datetime.fromtimestamp(moment, local)
            assert (until is not None) == (clock.hour >= 22 or clock.hour < 7)
            if until is not None:
                end = datetime.fromtimestamp(until, local)
                assert (end.hour, end.minute) == (7, 0)
                assert 0 < until - moment <= 10 * 3600


@pytest.mark.parametrize(
    ("zone", "start", "end", "begins", "ends"),
    [
        ("Europe/Budapest", "22:00", "02:30", "2026-03-28 21:00", "2026-03-29 01:00"),
        ("Europe/Budapest", "22:00", "02:30", "2026-10-24 20:00", "2026-10-25 01:30"),
        ("Europe/Budapest", "02:30", "07:00", "2026-10-25 00:30", "2026-10-25 06:00"),
        ("America/New_York", "22:00", "02:30", "2026-03-08 03:00", "2026-03-08 07:00"),
        ("America/New_York", "22:00", "01:30", "2026-11-01 02:00", "2026-11-01 06:30"),
        ("Australia/Lord_Howe", "22:00", "02:15", "2026-10-03 11:30", "2026-10-03 15:30"),
        ("Australia/Lord_Howe", "22:00", "01:45", "2026-04-04 11:00", "2026-04-04 15:15"),
    ],
)
def test_quiet_hours_that_begin_or_end_while_clocks_change(zone: str, start: str, end: str, begins: str, ends: str) -> None:
    begins_at, ends_at = (datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() for at in (begins, ends))
    hours = QuietHours(start, end, zone)
    assert [quiet_until(hours, begins_at - 1), quiet_until(hours, ends_at)] == [None, None]
    assert {quiet_until(hours, begins_at + minute * 60) for minute in range(round(ends_at - begins_at) // 60)} == {ends_at}


def test_quiet_hours_defer_warnings_and_let_critical_alerts_pass() -> None:
    night = datetime(2026, 11, 3, 2, 0, tzinfo=ZoneInfo("Europe/Budapest")).timestamp()
    asked = question(now=night, started_at=night - 3600, channel=channel(quiet_hours=NIGHT), firing=(alert(fired_at=night - 60),))
    decision = decide(asked)
    assert isinstance(decision, Defer)
    assert decision.reason == "quiet_hours"
    critical = asked._replace(incident=incident(level="critical"), firing=(alert(level="critical", fired_at=night - 60),))
    assert decide(critical) == Send(night)
    both = critical._replace(channel=channel(quiet_hours=NIGHT._replace(critical_too=True)))
    assert isinstance(decide(both), Defer)


def test_an_acknowledged_critical_alert_lends_its_level_to_no_warning_of_the_same_incident() -> None:
    night = datetime(2026, 11, 3, 2, 0, tzinfo=ZoneInfo("Europe/Budapest")).timestamp()
    seen, new = alert(level="critical", fired_at=night - 600, acknowledged_at=night - 300), alert(id=AlertId("b"), fired_at=night - 60)
    asked = question(now=night, started_at=night - 3600, incident=incident(level="critical"), firing=(seen, new))
    decision = decide(asked._replace(channel=channel(quiet_hours=NIGHT)))
    assert isinstance(decision, Defer)
    assert decision.reason == "quiet_hours"
    assert decide(asked._replace(channel=channel(min_severity="critical"))) == Skip("below_severity")


def test_repeats_stop_after_an_acknowledgement() -> None:
    past = (delivery(sent_at=NOW),)
    assert repeats_at(incident(), (alert(),), past) == NOW + 86_400
    assert repeats_at(incident(level="critical"), (alert(level="critical"),), past) == NOW + 4 * 3600
    assert repeats_at(incident(), (alert(acknowledged_at=NOW),), past) is None
    assert repeats_at(incident(), (alert(),), ()) is None
    assert repeats_at(incident(), (alert(rule_id=RuleId("reboot.overdue")),), past) is None, "it is told once"


alerts = st.builds(
    alert,
    level=st.sampled_from(["warning", "critical"]),
    fired_at=st.sampled_from([NOW - 5, NOW - 15, NOW - 60]),
    acknowledged_at=st.sampled_from([None, NOW - 1]),
    snoozed_until=st.sampled_from([None, NOW - 1, NOW + 60]),
    suppressed_by=st.sampled_from(["", "node.offline"]),
    flapping=st.booleans(),
    retro=st.booleans(),
)


def test_quiet_hours_in_a_zone_that_the_machine_no_longer_has_hold_nothing_back() -> None:
    asked = question(channel=channel(quiet_hours=NIGHT._replace(zone="Europe/Nowhere")))
    assert isinstance(decide(asked), Send)
    said = explain(asked, None)
    assert "UTC" in said.sentence
    assert [part.at for part in said.parts if "UTC" in part.text] == [said.next_at]


questions = st.builds(
    question,
    kind=st.sampled_from(["firing", "changed", "repeat", "resolved"]),
    incident=st.builds(incident, level=st.sampled_from(["warning", "critical"])),
    firing=st.lists(alerts, max_size=3).map(tuple),
    channel=st.builds(
        channel,
        enabled=st.booleans(),
        min_severity=st.sampled_from(["info", "warning", "critical"]),
        quiet_hours=st.sampled_from([None, NIGHT]),
    ),
    history=st.lists(st.builds(delivery, state=st.sampled_from(["sent", "failed", "skipped"]), sent_at=st.just(NOW - 400)), max_size=2).map(
        tuple
    ),
    started_at=st.sampled_from([STARTED, NOW - 10]),
    maintenance_until=st.sampled_from([None, NOW + 100]),
    notified_at=st.sampled_from([None, NOW - 100]),
)


@given(questions)
def test_decisions_satisfy_their_invariants(asked: Question) -> None:
    decision = decide(asked)
    told = any(one.state == "sent" for one in asked.history)
    if isinstance(decision, Send):
        assert asked.channel.enabled
        assert asked.kind != "resolved" or told
        if asked.kind != "resolved":
            assert any(not (one.acknowledged_at or one.suppressed_by or one.flapping or one.retro) for one in asked.firing)
            assert asked.maintenance_until is None
            assert asked.started_at + SETTLE_S <= asked.now
    if isinstance(decision, Send | Defer):
        assert (decision.at if isinstance(decision, Send) else decision.until) >= asked.now
    said = explain(asked, None)
    assert said.sentence.startswith("phone: ")
    if not asked.history:
        assert said.decision == type(decision).__name__.lower()
