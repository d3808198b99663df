"""`/api/v1/alerts`, `incidents` and `rules`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from groundcontrol.alerts.hub_facts import may_change_rules_of_the_hub
from groundcontrol.alerts.incident_reader import IncidentReader
from groundcontrol.alerts.incident_views import incident_views
from groundcontrol.alerts.incidents import is_about_the_hub
from groundcontrol.alerts.model import Alert, AlertId, Rule, RuleId
from groundcontrol.alerts.reading import seen_place, seen_rule
from groundcontrol.alerts.rule_file import Planned, planned
from groundcontrol.alerts.rule_preview import RulePreviews
from groundcontrol.alerts.rules import Rules, checked_rule
from groundcontrol.alerts.service import AlertService
from groundcontrol.alerts.store import AlertFilter, AlertStore, Handling
from groundcontrol.alerts.views import (
    AcknowledgeBody,
    AcknowledgeManyBody,
    AlertsView,
    AlertView,
    AppliedRule,
    AppliedRulesView,
    EffectiveRulesView,
    EffectiveRuleView,
    IncidentsView,
    PreviewBody,
    PreviewEpisode,
    PreviewView,
    RuleBody,
    RulePatch,
    RulesBody,
    RulesView,
    RuleView,
    SnoozeBody,
    alert_view,
    changes_of,
    patched,
    rule_of,
    rule_view,
)
from groundcontrol.core.errors import BadRequest, Forbidden, NotFound
from groundcontrol.core.ids import NodeId
from groundcontrol.nodes.checks import checked_note
from groundcontrol.nodes.store import NodeStore
from groundcontrol.samples.api import current_retention
from groundcontrol.schedules.selecting import VisibleNodes
from groundcontrol.web.costs import BudgetLimiter
from groundcontrol.web.request import ApiRequest
from groundcontrol.web.routes import CURSOR, LIMIT, NODE, Parameter, Route
from spider.wire.ids import is_id, new_time_id

MAX_SNOOZE_S: Final = 30 * 86_400.0
MAX_TOKEN_SNOOZE_S: Final = 86_400.0
"""The limit for API tokens, as for links and maintenance windows. So a stolen token delays messages by at most a day."""
MAX_PREVIEWS: Final = 4
MAX_PREVIEWS_OF_A_USER: Final = 2
"""The most previews at the same time. One may read a month of 50 servers. That takes a processor for seconds."""
PREVIEW_PATIENCE_S: Final = 10.0
"""How long a preview waits for others. The page asks for one after each change of a rule."""


class Previews(BudgetLimiter):
    """The places for previews in progress."""

    def __init__(self) -> None:
        super().__init__(
            "too many previews of rules run at the same time: try again in a moment",
            MAX_PREVIEWS,
            MAX_PREVIEWS_OF_A_USER,
            PREVIEW_PATIENCE_S,
        )


async def list_alerts(call: ApiRequest) -> AlertsView:
    """A page of alerts, newest first. `?state=firing`, `?node=` and `?rule=` filter them."""
    limit, cursor = call.page("state", "node", "rule")
    query = call.request.query
    node = query.get("node", "")
    if node and not is_id(node):
        raise BadRequest("the parameter node is not an id")
    only = AlertFilter(_one_of(query.get("state", ""), "firing", "resolved"), NodeId(node) if node else None, query.get("rule", ""))
    page = await call.services[AlertStore].alerts(call.scope, limit, cursor, only)
    return AlertsView(alerts=[_view(call, alert) for alert in page.items], next=page.next)


def _one_of(text: str, *known: str) -> str:
    if text and text not in known:
        raise BadRequest(f"the parameter state is one of {', '.join(known)}")
    return text


def _view(call: ApiRequest, alert: Alert) -> AlertView:
    return alert_view(alert, call.services[Rules], call.services[IncidentReader])


async def get_alert(call: ApiRequest) -> AlertView:
    """One alert."""
    call.query()
    return _view(call, await _alert(call))


async def _alert(call: ApiRequest) -> Alert:
    return await call.services[AlertStore].alert(call.scope, _alert_id(call))


def _alert_id(call: ApiRequest) -> AlertId:
    return AlertId(call.id_of("alert"))


async def acknowledge(call: ApiRequest, body: AcknowledgeBody | None) -> AlertView:
    """Acknowledge an alert: no message about it is repeated. It still ends by itself, and a rise to critical is sent as a new message."""
    note = "" if body is None else checked_note(body.note)
    return _view(call, await call.services[AlertService].acknowledge(call.scope, _alert_id(call), note))


async def acknowledge_many(call: ApiRequest, body: AcknowledgeManyBody) -> AlertsView:
    """Acknowledge several alerts: all of them or none."""
    if not all(is_id(one) for one in body.ids):
        raise BadRequest("ids are the ids of alerts", field="ids")
    handling = Handling(acknowledge=True, note=checked_note(body.note))
    handled = await call.services[AlertService].handle(call.scope, [AlertId(one) for one in body.ids], handling)
    return AlertsView(alerts=[_view(call, alert) for alert in handled], next=None)


async def snooze(call: ApiRequest, body: SnoozeBody) -> AlertView:
    """Delay the messages about an alert until a time. If the alert still fires then, a message says so."""
    now = call.services.clock.now()
    most_s = MAX_TOKEN_SNOOZE_S if call.scope.actor.kind == "token" else MAX_SNOOZE_S
    if not now < body.until_at <= now + most_s:
        most = "24 hours for an API token" if most_s == MAX_TOKEN_SNOOZE_S else "30 days"
        raise BadRequest(f"until_at must lie ahead, by at most {most}", field="until_at")
    return _view(call, await call.services[AlertService].snooze(call.scope, _alert_id(call), body.until_at))


async def unsnooze(call: ApiRequest) -> AlertView:
    """End the snooze of an alert."""
    return _view(call, await call.services[AlertService].snooze(call.scope, _alert_id(call), 0.0))


# -- incidents ---------------------------------------------------------------------------------------


async def list_incidents(call: ApiRequest) -> IncidentsView:
    """A page of incidents, newest first. `?state=open` lists only open ones."""
    limit, cursor = call.page("state")
    state = _one_of(call.request.query.get("state", ""), "open", "resolved")
    page = await call.services[AlertStore].incidents(call.scope, limit, cursor, state)
    return IncidentsView(incidents=await incident_views(call.services, call.scope, page.items), next=page.next)


async def _rule_views(call: ApiRequest, rules: Iterable[Rule]) -> list[RuleView]:
    """Views of rules, with the nodes and tags that the caller may see. Rules that select none of these nodes are left out."""
    visible = await VisibleNodes.of(call.services[NodeStore], call.scope)
    seen = (seen_rule(rule, visible) for rule in rules)
    return [_rule_view(call, rule) for rule in seen if rule is not None]


def _rule_view(call: ApiRequest, rule: Rule) -> RuleView:
    return rule_view(rule, call.services[Rules].unit(rule), editable=_may_change(call, rule))


def _may_change(call: ApiRequest, rule: Rule) -> bool:
    """Whether it is not about the hub itself, or the caller may change such rules."""
    return may_change_rules_of_the_hub(call.scope) or not is_about_the_hub(rule)


# -- rules -------------------------------------------------------------------------------------------


async def list_rules(call: ApiRequest) -> RulesView:
    """All rules: the default ones and those of users."""
    call.query()
    return RulesView(rules=await _rule_views(call, call.services[Rules].all()))


async def get_rule(call: ApiRequest) -> RuleView:
    """One rule."""
    call.query()
    views = await _rule_views(call, [call.services[Rules].find(_rule_id(call))])
    if not views:
        raise NotFound("there is no such rule")
    return views[0]


def _rule_id(call: ApiRequest) -> RuleId:
    return RuleId(call.request.match_info["id"])


async def create_rule(call: ApiRequest, body: RuleBody) -> RuleView:
    """Create a rule. It also applies to selected servers that join later."""
    return await _save(call, rule_of(body, _new_rule_id(call)))


def _new_rule_id(call: ApiRequest) -> RuleId:
    return RuleId(new_time_id(call.services.clock.now()))


async def edit_rule(call: ApiRequest, patch: RulePatch) -> RuleView:
    """Change a rule. A default rule keeps its id, and `DELETE` restores its values."""
    return await _save(call, patched(call.services[Rules].find(_rule_id(call)), patch))


async def _save(call: ApiRequest, rule: Rule) -> RuleView:
    checked = checked_rule(rule)
    _check_not_of_the_hub(call, [checked])
    await _check_servers(call, [checked])
    [saved] = await call.services[AlertService].save_rules(call.scope, [checked])
    return _rule_view(call, saved)


def _check_not_of_the_hub(call: ApiRequest, after: Sequence[Rule]) -> None:
    """Nobody else changes when the hub's own alerts fire.

    Args: after: rules as they would be; those before them count as well. Raises: Forbidden.
    """
    before = (call.services[Rules].get(rule.id) for rule in after)
    if not all(_may_change(call, rule) for rule in (*after, *before) if rule is not None):
        raise Forbidden("a rule about the hub itself: only an admin of this hub may change it")


async def _check_servers(call: ApiRequest, after: Sequence[Rule]) -> None:
    """Check the servers that these rules name, and did not name before.

    Raises: BadRequest: there is no such server.
    """
    rules = call.services[Rules]
    named = {node for rule in after for node in _named(rule)}
    kept = {node for rule in after if (before := rules.get(rule.id)) is not None for node in _named(before)}
    for node in named - kept:
        try:
            await call.services[NodeStore].node(call.scope, node)
        except NotFound:
            raise BadRequest(f"select.nodes: there is no server {node}", field="select") from None


def _named(rule: Rule) -> Iterator[NodeId]:
    """The servers that a rule or one of its overrides names."""
    for select in (rule.select, *(one.select for one in rule.overrides)):
        yield from select.nodes


async def apply_rules(call: ApiRequest, body: RulesBody) -> AppliedRulesView:
    """Apply a file of rules: all of them, or none if one is invalid. Rules that are not in the file stay."""
    rules = call.services[Rules]
    plan = await asyncio.to_thread(planned, rules.all(), body.rules, lambda: _new_rule_id(call))  # 0.3 ms a rule
    rules.check_room(sum(one.act == "add" for one in plan))
    named = {one.after.id for one in plan}
    left = [rule.id for rule in rules.all() if rule.id not in named]
    changed = [one.after for one in plan if one.act != "keep"]
    rules.check_names(changed)
    _check_not_of_the_hub(call, changed)
    await _check_servers(call, changed)
    if changed and not body.dry_run:
        call.services.auth.require_step_up(call.caller)
        await call.services[AlertService].save_rules(call.scope, changed)
    return AppliedRulesView(body.dry_run, [_applied(one, dry_run=body.dry_run) for one in plan], [str(rule) for rule in left])


def _applied(one: Planned, *, dry_run: bool) -> AppliedRule:
    unsaved = dry_run and one.before is None
    changes = [] if one.before is None else changes_of(one.before, one.after)
    return AppliedRule(one.act, None if unsaved else one.after.id, one.after.name, changes)


async def delete_rule(call: ApiRequest) -> None:
    """Delete a rule of a user, or restore the values of a default rule. Alerts of a deleted rule end as `rule_deleted`."""
    call.query()
    rule = call.services[Rules].find(_rule_id(call))
    _check_not_of_the_hub(call, [rule])
    await call.services[AlertService].delete_rule(call.scope, rule.id)


async def rules_of_node(call: ApiRequest) -> EffectiveRulesView:
    """The rules that select a server, with the values that apply to it and the override that they come from."""
    call.query()
    node = await call.services[NodeStore].node(call.scope, call.node_id)
    visible = await VisibleNodes.of(call.services[NodeStore], call.scope)
    effective = call.services[AlertService].effective(node.id)
    found = [(seen_rule(one.rule, visible), seen_place(one.rule, visible, one.override)) for one in effective]
    return EffectiveRulesView(rules=[EffectiveRuleView(_rule_view(call, rule), at) for rule, at in found if rule is not None])


async def preview_rule(call: ApiRequest, body: PreviewBody) -> PreviewView:
    """When a rule would have fired between two times, by the stored samples or events. The rule is not saved."""
    rule = checked_rule(rule_of(body.rule, RuleId("preview")))
    seconds_from = call.services.clock.now() - (await current_retention(call.services)).seconds_s
    async with call.services[Previews].take(call.user_id, 1):
        found = await call.services[RulePreviews].run(call.scope, rule, body.from_, body.to, seconds_from)
    episodes = [
        PreviewEpisode(one.key.node, one.key.object, one.level, one.since_at, one.ended_at, notified) for one, notified in found.episodes
    ]
    per_day = len(episodes) * 86_400 / max(86_400.0, found.covered_s)
    return PreviewView(episodes, sum(episode.told for episode in episodes), round(per_day, 2), found.complete)


ALERT_ROUTES: Final = (
    Route(
        "GET", "/alerts", "alert.read", list_alerts, cost="scan",
        query=(LIMIT, CURSOR, NODE, Parameter("state", "firing or resolved"), Parameter("rule", "only alerts of this rule")),
    ),
    Route("POST", "/alerts/acknowledge", "alert.handle", acknowledge_many, cost="many"),
    Route("GET", "/alerts/{id}", "alert.read", get_alert),
    Route(
        "POST", "/alerts/{id}/acknowledge", "alert.handle", acknowledge,
    ),
    Route("POST", "/alerts/{id}/snooze", "alert.handle", snooze),
    Route("POST", "/alerts/{id}/unsnooze", "alert.handle", unsnooze),
    Route(
        "GET", "/incidents", "alert.read", list_incidents, cost="scan",
        query=(LIMIT, CURSOR, Parameter("state", "open or resolved")),
    ),
    Route("GET", "/rules", "alert.read", list_rules, cost="page", whose="hub"),
    Route("POST", "/rules", "alert.manage", create_rule, status=201, step_up=True, whose="hub"),
    Route("POST", "/rules/apply", "alert.manage", apply_rules, cost="page", whose="hub"),
    Route("POST", "/rules/preview", "alert.manage", preview_rule, cost="history", whose="hub"),
    Route("GET", "/rules/{id}", "alert.read", get_rule, whose="hub"),
    Route("PATCH", "/rules/{id}", "alert.manage", edit_rule, step_up=True, whose="hub"),
    Route("DELETE", "/rules/{id}", "alert.manage", delete_rule, status=204, step_up=True, whose="hub"),
    Route("GET", "/nodes/{id}/rules", "alert.read", rules_of_node, cost="page"),
)  # fmt: skip
