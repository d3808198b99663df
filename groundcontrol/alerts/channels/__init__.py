"""The kinds of channels. Each has its own folder, which only this file names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from groundcontrol.alerts.channels.discord import DISCORD
from groundcontrol.alerts.channels.email import EMAIL
from groundcontrol.alerts.channels.gotify import GOTIFY
from groundcontrol.alerts.channels.kind import Kind
from groundcontrol.alerts.channels.ntfy import NTFY
from groundcontrol.alerts.channels.pagerduty import PAGERDUTY
from groundcontrol.alerts.channels.slack import SLACK
from groundcontrol.alerts.channels.teams import TEAMS
from groundcontrol.alerts.channels.telegram import TELEGRAM
from groundcontrol.alerts.channels.webhook import WEBHOOK

KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in (EMAIL, WEBHOOK, NTFY, TELEGRAM, SLACK, DISCORD, TEAMS, GOTIFY, PAGERDUTY)}

if TYPE_CHECKING:
    ChannelKind = str
else:
    ChannelKind = Literal[tuple(KINDS)]
    """The name of a kind, in bodies and views."""
