"""The kinds of channels. Each has its own folder, which only this file names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from groundcontrol.notifications.channels.discord import DISCORD
from groundcontrol.notifications.channels.email import EMAIL
from groundcontrol.notifications.channels.gotify import GOTIFY
from groundcontrol.notifications.channels.kind import Kind
from groundcontrol.notifications.channels.ntfy import NTFY
from groundcontrol.notifications.channels.pagerduty import PAGERDUTY
from groundcontrol.notifications.channels.slack import SLACK
from groundcontrol.notifications.channels.teams import TEAMS
from groundcontrol.notifications.channels.telegram import TELEGRAM
from groundcontrol.notifications.channels.webhook import WEBHOOK

KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in (EMAIL, WEBHOOK, NTFY, TELEGRAM, SLACK, DISCORD, TEAMS, GOTIFY, PAGERDUTY)}

if TYPE_CHECKING:
    ChannelKind = str
else:
    ChannelKind = Literal[tuple(KINDS)]
    """The name of a kind, in bodies and views."""
