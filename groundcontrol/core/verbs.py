"""The hub's additions to each verb of `spider/wire/verbs.py`: the roles that may order it, and its texts on the page."""

from __future__ import annotations

from typing import Final, NamedTuple

from groundcontrol.core.scope import Role
from spider.wire.verbs import CATALOGUE

ACTING: Final = frozenset[Role]({"admin", "operator"})


class HubVerb(NamedTuple):
    """One verb, as the hub and its page know it. The texts are message ids of the page."""

    title: str
    menu: str = ""
    """Its entry in a node's menu; empty: the title."""
    hint: str = ""
    """The text beside its entry in the menu."""
    start: str = ""
    """The text on the button that starts it."""
    before: str = ""
    """Advice that the page shows before the verb starts."""
    also: str = ""
    """Another word for the page's search."""
    roles: frozenset[Role] = ACTING
    for_tokens: bool = True
    dangerous: bool = False
    """Requires the password once more, and a typed name or number."""


HUB_VERBS: Final[dict[str, HubVerb]] = {
    "check": HubVerb("Check for updates", menu="Check now"),
    "refresh": HubVerb("Refresh package lists", menu="Check now", hint="reads the repositories again"),
    "plan": HubVerb("Plan"),
    "upgrade": HubVerb("Upgrade packages", start="Start upgrade"),
    "security-upgrade": HubVerb("Security upgrade", start="Start security upgrade"),
    "full-upgrade": HubVerb("Full upgrade", hint="may also remove packages", start="Start full upgrade"),
    "install": HubVerb("Install packages", menu="Install", hint="packages by name", start="Install"),
    "remove": HubVerb("Remove packages", menu="Remove", hint="packages by name", start="Remove packages", dangerous=True),
    "autoremove": HubVerb("Remove unneeded packages", start="Remove packages", dangerous=True),
    "hold": HubVerb(
        "Hold packages", menu="Hold", hint="keep packages as they are", start="Hold",
        before="Held packages stay as they are in every upgrade, until the hold ends.",
    ),
    "unhold": HubVerb(
        "Unhold packages", menu="Unhold", hint="end a hold", start="Unhold",
        before="These packages are upgraded again with the others.",
    ),
    "clean": HubVerb(
        "Clear package cache", start="Clear cache",
        before="Downloaded package files are removed from the server’s cache. Installed packages do not change.",  # noqa: RUF001
    ),
    "repair": HubVerb(
        "Repair packages", menu="Repair", hint="interrupted package work", start="Repair",
        before="Finishes interrupted package work: half-configured packages, stale locks, unfinished transactions.",
    ),
    "unit-start": HubVerb("Start unit", start="Start"),
    "unit-stop": HubVerb("Stop unit", start="Stop", dangerous=True),
    "unit-restart": HubVerb("Restart unit", start="Restart"),
    "unit-reload": HubVerb("Reload unit", start="Reload"),
    "container-restart": HubVerb("Restart container", start="Restart"),
    "action-run": HubVerb("Run action", start="Run"),
    "reboot": HubVerb(
        "Reboot", start="Reboot server", also="restart", dangerous=True,
        before="The server reboots now. The job ends when it is back, and says which units, ports and mounts are missing then.",
    ),
    "update": HubVerb("Update agent"),
    "rekey": HubVerb("Replace keys", roles=frozenset({"admin"}), for_tokens=False),
    "uninstall": HubVerb("Remove agent"),
}  # fmt: skip
"""Verbs in the order of a node's menu."""

JOBS: Final = tuple(verb.name for verb in CATALOGUE if not verb.selfcare)
"""The verbs that are ordered as jobs. The agent's selfcare verbs have routes of their own."""
PLANNED: Final = tuple(verb.name for verb in CATALOGUE if verb.planned)
"""The verbs that the verb `plan` can plan."""
