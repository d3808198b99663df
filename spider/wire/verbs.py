"""The catalogue of verbs: their properties for the check of an order, for the owner's policy and for the execution.

A new verb needs one row here, one in `groundcontrol/core/verbs.py` (who may order it, and its texts), and its implementation.
"""

from typing import Dict, NamedTuple, Optional, Tuple

from spider.wire.arg_kinds import ACTION, CONTAINER, MAIN_LANE, PACKAGES, UNITS, ArgKind

READONLY, MANAGED, OWN_LINE = "readonly", "managed", "own line"
DIGEST, GENERATION, KEYS = "digest", "generation", "keys"
"""Patterns of arguments: a SHA-256, the generation of keys after the first, and two masked keys (`proof.rekey_mask`)."""
PLAN, REBOOT, UPDATE, REKEY, UNINSTALL = "plan", "reboot", "update", "rekey", "uninstall"
CONTAINER_RESTART = "container-restart"
"""Verbs that code refers to by name."""
STOP = "stop"
"""Ends a job. It has no row: a job that the policy allowed may be stopped by every user who may see it."""


class Verb(NamedTuple):
    """One verb."""

    name: str
    """As in orders, in `policy.conf` and in the REST interface."""
    policy: str
    """The lowest mode of `policy.conf` that allows it. Verbs that READONLY allows change no installed package. OWN_LINE: only a line with
    the verb's own name allows it."""
    kind: Optional[ArgKind] = None
    """What its arguments name. None: it takes no names."""
    optional: bool = False
    """Whether the names may be left out."""
    planned: bool = False
    """It changes packages by a plan, which can be computed and shown first."""
    upgrades: bool = False
    """It replaces installed packages by newer ones."""
    fills: bool = False
    """It writes much. The launcher refuses it on a node whose file systems are nearly full."""
    version: int = 1
    """The first version of `policy.conf` that may allow it. A file of an older version never does, so an update adds no permission."""
    selfcare: bool = False
    """It maintains the agent itself and changes no package."""
    args: Tuple[Tuple[str, str], ...] = ()
    """For selfcare verbs: names and patterns of the arguments. All are required."""

    @property
    def lane(self) -> str:
        """The lane of its jobs: a node runs one job of each lane at a time."""
        return MAIN_LANE if self.kind is None else self.kind.lane


CATALOGUE: Tuple[Verb, ...] = (
    Verb("refresh", READONLY, fills=True),
    Verb("check", READONLY),
    Verb(PLAN, READONLY),
    Verb("upgrade", MANAGED, PACKAGES, optional=True, planned=True, upgrades=True, fills=True),
    Verb("full-upgrade", MANAGED, planned=True, upgrades=True, fills=True),
    Verb("security-upgrade", MANAGED, planned=True, upgrades=True, fills=True),
    Verb("install", MANAGED, PACKAGES, planned=True, fills=True),
    Verb("remove", MANAGED, PACKAGES, planned=True),
    Verb("autoremove", MANAGED, planned=True),
    Verb("hold", MANAGED, PACKAGES),
    Verb("unhold", MANAGED, PACKAGES),
    Verb("clean", MANAGED),
    Verb("repair", MANAGED, fills=True),
    Verb("unit-start", MANAGED, UNITS, version=2),
    Verb("unit-stop", MANAGED, UNITS, version=2),
    Verb("unit-restart", MANAGED, UNITS, version=2),
    Verb("unit-reload", MANAGED, UNITS, version=2),
    Verb(CONTAINER_RESTART, MANAGED, CONTAINER, version=2),
    Verb("action-run", MANAGED, ACTION, version=3),
    Verb(REBOOT, MANAGED),
    Verb(UPDATE, MANAGED, selfcare=True, args=(("plan", DIGEST),)),
    Verb(REKEY, OWN_LINE, selfcare=True, args=(("generation", GENERATION), ("keys", KEYS), ("digest", DIGEST))),
    Verb(UNINSTALL, MANAGED, selfcare=True),
)
VERBS: Dict[str, Verb] = {verb.name: verb for verb in CATALOGUE}
POLICY_LINES: Dict[str, Tuple[ArgKind, int]] = {
    verb.kind.line: (verb.kind, verb.version) for verb in CATALOGUE if verb.kind is not None and verb.kind.line
}
"""The lines of `policy.conf` that name what verbs may touch: each with its kind, and the first version of the file that may have it."""


def lane_of(verb: str) -> str:
    """The lane of a verb's jobs. The main lane for a verb that this version does not know."""
    return VERBS[verb].lane if verb in VERBS else MAIN_LANE
