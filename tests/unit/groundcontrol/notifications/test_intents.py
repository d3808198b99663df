"""Which channel is notified of what, the content of messages, and suppression by explanations: on a real store."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundcontrol.alerts.model import RuleId, Threshold
from groundcontrol.core.scope import SYSTEM
from groundcontrol.events.making import new_event
from groundcontrol.events.model import EventFilter
from groundcontrol.notifications.channels.kind import Permanent, Sent, Transient
from groundcontrol.notifications.model import Caps
from groundcontrol.notifications.service import ChannelEdit
from groundcontrol.notifications.views import notifications_view
from tests.support.alert_trial import STARTED_S, AlertTrial, alert_trial, fires
from tests.support.factories import SCOPE
from tests.support.race_cases_alerts import a_rule
from tests.support.some import some

HOUR_S = 3600.0


async def test_explain_states_the_decision_during_a_snooze_and_a_failing_receiver(trial: AlertTrial) -> None:
    [node] = trial.nodes
    trial.receivers.outcome = Transient("http:500")
    alert = await fires(trial, node, 1.0, told_after_s=45)
    [failing] = await trial.explained(alert)
    assert (failing.decision, failing.reason) == ("send", "http:500")
    assert "not notified yet: try 2 failed (http:500), try 3 at " in failing.sentence
    assert trial.clock.now() < some(failing.next_at) <= trial.clock.now() + 15

    until = trial.clock.now() + HOUR_S
    await trial.service.snooze(SCOPE, alert.id, until)
    [snoozed] = await trial.explained(alert)
    assert (snoozed.decision, snoozed.reason, snoozed.next_at) == ("defer", "snoozed", until)
    await trial.service.snooze(SCOPE, alert.id, until + HOUR_S)
    assert [one.next_at for one in await trial.explained(alert)] == [until + HOUR_S]
    tried = trial.receivers.attempts
    await trial.pass_s(60)
    assert trial.receivers.attempts == tried
    await trial.service.acknowledge(SCOPE, alert.id)
    [acknowledged] = await trial.explained(alert)
    assert (acknowledged.decision, acknowledged.reason) == ("skip", "acknowledged")


async def test_a_refused_message_about_a_firing_alert_is_sent_when_its_channel_works_again(tmp_path: Path) -> None:
    async with alert_trial(tmp_path, 2) as trial:
        lasting, later = trial.nodes
        trial.receivers.outcome = Permanent("http:404")
        alert = await fires(trial, lasting, 2.0, told_after_s=45)
        assert trial.receivers.attempts == 1
        [refused] = await trial.explained(alert)
        assert (refused.decision, refused.reason) == ("skip", "http:404")
        assert refused.sentence == "ops: not notified: the receiver refused the message (http:404); it is tried again later, while it fires"
        trial.receivers.outcome = Sent()
        await fires(trial, later, 2.0, told_after_s=45)
        assert trial.titles()[0] == "Critical: web-1: Expected event is missing (backup)", "the next alert is a new try"
        await trial.pass_s(130)
        assert trial.titles()[1:] == ["Critical: web-0: Expected event is missing (backup)"]
        [notified] = await trial.explained(alert)
        assert "notified at" in notified.sentence
        assert "(2nd try)" in notified.sentence


async def test_with_one_channel_and_one_alert_a_refused_message_is_tried_again_without_anybody(tmp_path: Path) -> None:
    async with alert_trial(tmp_path) as trial:
        trial.receivers.outcome = Permanent("http:404")
        await fires(trial, trial.nodes[0], 2.0, told_after_s=45)
        trial.receivers.outcome = Sent()
        await trial.pass_s(400)
        assert trial.told() == ["firing"]


@pytest.mark.holds("SAFETY-100")
async def test_a_noisy_node_is_digested_and_the_first_critical_alert_of_another_is_sent_at_once(tmp_path: Path) -> None:
    """Explain, the log and what was sent agree at each step."""
    async with alert_trial(tmp_path, 3) as trial:
        noisy, quiet, other = trial.nodes
        [channel] = await trial.backend.store.channels.all(SYSTEM)
        await trial.receivers.edit(SYSTEM, channel.id, None, ChannelEdit(caps=Caps(4, 4)))
        for number in range(12):  # each is an incident of its own
            trial.fleet.levels[noisy] = {f"job {number}": 2.0}
            await trial.pass_s(30)
            trial.fleet.levels[noisy] = {}
            await trial.pass_s(30)
        sent = len(trial.told())
        assert sent <= 4
        held = [one for one in await trial.deliveries() if one.reason == "cap"]
        assert held
        assert {one.state for one in held} == {"deferred"}
        alert = await fires(trial, quiet, 2.0, told_after_s=25)
        assert trial.titles()[sent:] == ["Critical: web-1: Expected event is missing (backup)"]
        assert await trial.reasons(alert) == ["ready"]
        trial.fleet.levels[noisy] = {"the last job": 2.0}
        await trial.pass_s(20)
        [last] = [one for one in await trial.firing() if one.node_id == noisy]
        [waits] = await trial.explained(last)
        assert (waits.decision, waits.reason) == ("defer", "cap")
        told_before = len(trial.told())
        await trial.pass_s(some(waits.next_at) - trial.clock.now() - 20)
        assert not [one for one in trial.receivers.told[told_before:] if "web-0" in one.message.title]
        await trial.pass_s(60)
        digest = trial.receivers.told[-1].message
        assert digest.kind == "digest"
        assert [line for line in digest.lines if "the last job" in line]
        assert len([line for line in digest.lines if line.startswith("over: web-0")]) >= 1
        assert other not in {one.node_id for one in await trial.firing()}


async def test_a_disabled_channel_has_one_delivery_row_per_incident(trial: AlertTrial) -> None:
    [node] = trial.nodes
    [channel] = await trial.backend.store.channels.all(SYSTEM)
    await trial.receivers.edit(SYSTEM, channel.id, None, ChannelEdit(enabled=False))
    await fires(trial, node, 1.0)
    trial.fleet.levels[node] = {"backup": 2.0, "dump": 2.0}
    await trial.pass_s(60)
    assert [(one.kind, one.state, one.reason) for one in await trial.deliveries()] == [("firing", "skipped", "channel_disabled")]
    [explained] = await trial.explained((await trial.firing())[0])
    assert explained.reason == "channel_disabled"


async def test_a_new_channel_is_notified_of_firing_alerts_after_a_restart_too(trial: AlertTrial) -> None:
    await fires(trial, trial.nodes[0], 2.0)
    await trial.channel("late")
    await trial.restart(1.0, back=trial.nodes)
    trial.fleet.connected |= trial.fleet.awaited
    await trial.pass_s(STARTED_S + 60)
    assert (trial.told("late"), trial.told()) == (["firing"], ["firing"])


async def test_a_node_that_returns_unchanged_is_not_notified_again(tmp_path: Path) -> None:
    async with alert_trial(tmp_path, 10) as trial:
        full, *_ = trial.nodes
        alert = await fires(trial, full, 1.0)
        await trial.pass_s(600, step_s=10)
        trial.fleet.connected.clear()  # all of them: their silence is one incident of its own
        await trial.pass_s(180)
        trial.fleet.connected |= set(trial.nodes)
        await trial.pass_s(120)
        assert [kind for kind, title in zip(trial.told(), trial.titles(), strict=True) if "web-0: Expected" in title] == ["firing"]
        assert await trial.reasons(alert) == ["already_told"]
        trial.fleet.failed[full] = ("backup.service",)
        await trial.pass_s(600)
        assert trial.told()[-1] == "changed"


async def test_a_message_about_a_new_alert_also_lists_alerts_that_ended(trial: AlertTrial) -> None:
    [node] = trial.nodes
    await fires(trial, node, 2.0, 60.0)
    trial.fleet.failed[node] = ("backup.service",)
    await trial.pass_s(200)
    del trial.fleet.levels[node]
    await trial.pass_s(300)
    assert trial.told() == ["firing", "changed"]
    lines = trial.receivers.told[-1].message.lines
    assert [line.partition(", since ")[0] for line in lines] == [
        "web-0: Service failed (backup.service)",
        "web-0: Expected event is missing (backup)",
    ]
    assert [line.endswith(", over") for line in lines] == [False, True]
    assert [one.reason for one in await trial.deliveries()] == ["ready", "ready"]


async def test_an_alert_that_ends_without_recovery_states_the_reason(tmp_path: Path) -> None:
    async with alert_trial(tmp_path, 2) as trial:
        off, removed = trial.nodes
        alert = await fires(trial, off, 2.0)
        rule = trial.rules.find(alert.rule_id)
        await trial.service.save_rules(SCOPE, [rule._replace(enabled=False)])
        await trial.pass_s(60)
        [sentence] = [one.sentence for one in await trial.explained((await trial.ended())[0])]
        assert "notified that its rule was switched off at" in sentence

        trial.fleet.failed[removed] = ("backup.service",)
        await trial.pass_s(300)
        own = a_rule(trial.clock.now(), "Loud")._replace(expr="state(unit_failed)", warn=Threshold(0, 0))
        await trial.service.save_rules(SCOPE, [own])
        trial.fleet.failed[off] = ("loud.service",)
        await trial.pass_s(60)
        await trial.service.delete_rule(SCOPE, own.id)
        await trial.backend.store.nodes.delete_node(SCOPE, removed)
        await trial.facts.reload(removed)
        for gone in trial.facts.pop_removed():
            trial.engine.remove_node(gone)
        await trial.pass_s(60)
        ends = [title.partition(":")[0] for kind, title in zip(trial.told(), trial.titles(), strict=True) if kind == "resolved"]
        assert sorted(set(ends)) == ["Rule deleted", "Rule switched off", "Server removed"]


async def test_explain_agrees_with_the_messages_that_were_sent(trial: AlertTrial) -> None:
    [node] = trial.nodes
    first = await fires(trial, node, 2.0)
    own = a_rule(trial.clock.now(), "Brief")._replace(expr="state(unit_failed)", warn=Threshold(0, 0), kind="rule")
    await trial.service.save_rules(SCOPE, [own])
    trial.fleet.failed[node] = ("brief.service",)
    await trial.pass_s(20)
    [brief] = [alert for alert in await trial.firing() if alert.rule_id == own.id]
    [waits] = await trial.explained(brief)
    assert (waits.reason, "notified at" in waits.sentence) == ("update_interval", False)
    trial.fleet.failed[node] = ()
    await trial.pass_s(20)
    [over] = await trial.explained(brief)
    assert (over.decision, over.reason) == ("skip", "resolved_before_delivery")
    [told] = await trial.explained(first)
    assert "notified at" in told.sentence
    trial.fleet.failed[node] = ("later.service",)
    await trial.pass_s(400)
    [later] = [alert for alert in await trial.firing() if alert.rule_id == own.id]
    assert "notified at" in (await trial.explained(later))[0].sentence
    assert "notified at" not in (await trial.explained(brief))[0].sentence
    assert trial.told() == ["firing", "changed"]


async def test_a_notice_is_not_notified_and_explain_says_so(trial: AlertTrial) -> None:
    [node] = trial.nodes
    notice = a_rule(trial.clock.now(), "Shown only")._replace(expr="state(unit_failed)", warn=Threshold(0, 0), notice=True)
    await trial.service.save_rules(SCOPE, [notice, trial.rules.find(RuleId("unit.failed"))._replace(enabled=False)])
    trial.fleet.failed[node] = ("odd.service",)
    await fires(trial, node, 2.0)
    shown, told = sorted(await trial.firing(), key=lambda alert: alert.rule_id != notice.id)
    assert [(one.decision, one.reason) for one in await trial.explained(shown)] == [("skip", "rule_info_only")]
    assert (await trial.explained(told))[0].decision == "send"
    trial.fleet.levels.clear()
    await trial.pass_s(60)
    assert trial.titles() == [f"{word}: web-0: Expected event is missing (backup)" for word in ("Critical", "Resolved")]
    assert await trial.firing() == [shown]


async def test_a_removed_expectation_is_not_reported_as_recovered(trial: AlertTrial) -> None:
    [node] = trial.nodes
    trial.fleet.expectations = {"backup"}
    alert = await fires(trial, node, 2.0)
    assert alert.since_at == (trial.fleet.unmet(node) or {})["backup"].by_at
    trial.fleet.levels, trial.fleet.expectations = {}, ()
    await trial.pass_s(60)
    [ended] = await trial.ended()
    assert (ended.id, ended.reason) == (alert.id, "object_gone")
    assert trial.titles()[-1].startswith("No longer there: web-0: ")
    trial.fleet.expectations = {"backup"}
    await fires(trial, node, 2.0)
    trial.fleet.levels = {}
    await trial.pass_s(60)
    assert trial.titles()[-1].startswith("Resolved: web-0: ")


async def test_the_message_of_an_end_counts_all_that_was_part_of_it(tmp_path: Path) -> None:
    async with alert_trial(tmp_path, 12) as trial:
        trial.fleet.connected.clear()
        await trial.pass_s(180)
        for nodes in (trial.nodes[1:], trial.nodes):
            trial.fleet.connected |= set(nodes)
            await trial.pass_s(30)
        assert trial.titles()[0].startswith("Critical: 12 servers are offline")
        assert trial.titles()[-1] == "Resolved: 12 servers were offline"


async def test_the_last_acknowledgement_with_a_note_counts(trial: AlertTrial) -> None:
    alert = await fires(trial, trial.nodes[0], 2.0)
    await trial.service.acknowledge(SCOPE, alert.id, "a look")
    trial.clock.advance(60)
    other = SCOPE._replace(actor=SCOPE.actor._replace(name="other"))
    assert (await trial.service.acknowledge(other, alert.id)).acknowledged_by == SCOPE.actor.name
    handled = await trial.service.acknowledge(other, alert.id, "mine now")
    assert (handled.acknowledged_by, handled.note, handled.acknowledged_at) == ("other", "mine now", trial.clock.now())


async def test_a_program_error_without_a_node_is_notified(trial: AlertTrial) -> None:
    said = new_event("backup_failed", trial.clock.now(), source="api", message="no room on /backup", org=1)
    await trial.backend.store.log.add_event(said)
    trial.engine.add_event(None, "backup_failed", "", trial.clock.now(), "error")
    await trial.pass_s(30)
    assert trial.receivers.told[-1].message.lines[0].startswith("Backup failed, no room on /backup, since ")
    trial.engine.add_event(None, "backup_failed", "", trial.clock.now(), "error")
    await trial.pass_s(3700)
    assert trial.titles() == ["Critical: Backup failed", "Not reported again: Backup failed"]
    events = (await trial.backend.store.log.events(SCOPE, 50, only=EventFilter(types=("alert_firing",)))).items
    assert [one.message for one in events] == ["Backup failed on an unnamed server"]


async def test_a_stopped_roll_out_is_notified_by_its_name_and_cause_unless_a_person_stopped_it(trial: AlertTrial) -> None:
    by_gate = new_event("rollout_stopped", trial.clock.now(), {"name": "kernels", "why": "web-1: shop.service failed"}, org=1)
    by_person = new_event("rollout_stopped", trial.clock.now(), {"name": "by hand", "why": "ada"}, org=1, severity="info")
    for said in (by_gate, by_person):
        await trial.backend.store.log.add_event(said)
        trial.engine.add_event(None, said.type, said.object, trial.clock.now(), said.severity)
    await trial.pass_s(30)
    assert trial.titles() == ["Critical: Roll-out was stopped (kernels)"]
    assert "the roll-out kernels stopped: web-1: shop.service failed" in trial.receivers.told[-1].message.lines[0]
    events = (await trial.backend.store.log.events(SCOPE, 50, only=EventFilter(types=("alert_firing",)))).items
    assert [one.message for one in events] == ["Roll-out was stopped (kernels) on Ground Control"]


async def test_events_about_an_alert_name_its_rule_and_its_object(trial: AlertTrial) -> None:
    [node] = trial.nodes
    alert = await fires(trial, node, 2.0)
    await trial.service.acknowledge(SCOPE, alert.id)
    await trial.service.snooze(SCOPE, alert.id, trial.clock.now() + HOUR_S)
    rule = trial.rules.find(alert.rule_id)
    await trial.service.save_rules(SCOPE, [rule._replace(enabled=False)])
    await trial.pass_s(20)
    events = (await trial.backend.store.log.events(SCOPE, 50)).items
    assert [event.severity for event in events if event.type.startswith("alert_")] == ["info", "info", "info", "error"]
    assert [event.message for event in reversed(events) if event.type.startswith("alert_")] == [
        "Expected event is missing (backup) on web-0",
        f"Expected event is missing (backup) on web-0 was acknowledged by {SCOPE.actor.name}",
        f"Expected event is missing (backup) on web-0 was snoozed by {SCOPE.actor.name}",
        "Expected event is missing (backup) on web-0 has ended: its rule was switched off",
    ]


async def test_the_summary_says_when_something_fires_and_nobody_is_told(tmp_path: Path) -> None:
    """A channel counts when it passed a test or got a message."""
    async with alert_trial(tmp_path) as trial:
        [channel] = await trial.backend.store.channels.all(SYSTEM)

        async def nobody_told() -> bool:
            now, store = trial.clock.now(), trial.backend.store
            found = await store.deliveries.summary(SCOPE, now - 86_400, now)
            return notifications_view(found, now, await store.channels.all(SYSTEM), fires=trial.service.would_notify).nobody_told

        assert not await nobody_told(), "nothing fires"
        trial.receivers.outcome = Transient("connect")
        await fires(trial, trial.nodes[0], 2.0)
        assert await nobody_told()
        trial.receivers.outcome = Sent()
        await trial.receivers.test(SCOPE, channel.id)
        await trial.send()
        assert not await nobody_told()
