"""`/api/v1/settings`: what admins decide for everybody."""

from __future__ import annotations

from groundcontrol.auth.people import Rule
from groundcontrol.web import schema
from groundcontrol.web.call import Call


async def get_settings(call: Call) -> schema.SettingsView:
    """The settings as they hold."""
    return _view(await call.services.auth.people.rule())


async def edit_settings(call: Call, body: schema.SettingsPatch) -> schema.SettingsView:
    """Say who must have a second factor; whoever lacks one can do nothing else before."""
    return _view(await call.services.auth.people.set_rule(call.scope, body.require_totp))


def _view(rule: Rule) -> schema.SettingsView:
    return schema.SettingsView(require_totp=rule.holds, require_totp_least=rule.least)
