"""The catalogue of verbs: their properties for the check of an order, for the owner's policy and for the execution.

A new verb needs one row here, one in `groundcontrol/core/verbs.py` (who may order it, and its texts), and its implementation.
"""

from typing import Dict, NamedTuple, Tuple

READONLY, MANAGED, OWN_LINE = "readonly", "managed", "own line"
NONE, OPTIONAL, NEEDED = "none", "optional", "needed"
DIGEST, GENERATION, KEYS = "digest", "generation", "keys"
"""Patterns of arguments: a SHA-256, the generation of keys after the first, and two masked keys (`proof.rekey_mask`)."""
PLAN, REBOOT, UPDATE, REKEY, UNINSTALL = "plan", "reboot", "update", "rekey", "uninstall"
CONTAINER_RESTART = "container-restart"
"""Verbs that code refers to by name."""
STOP = "stop"
"""Ends a job. It has no row: a job that the policy allowed may be stopped by every user who may see it."""
MAX_PACKAGES = 512
PACKAGE_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9@._+-]{0,126}[A-Za-z0-9@._+])?(?::[a-z0-9-]{1,30})?"
"""Pattern of a package name, which may end with a colon and an architecture. It excludes options, paths, globs, versions, suites, and a
trailing `-`: to apt that means removal."""


class Verb(NamedTuple):
    """One verb."""

    name: str
    """As in orders, in `policy.conf` and in the REST interface."""
    policy: str
    """The lowest mode of `policy.conf` that allows it. Verbs that READONLY allows change no installed package. OWN_LINE: only a line with
    the verb's own name allows it."""
    packages: str = NONE
    """Whether its arguments include package names."""
    planned: bool = False
    """It changes packages by a plan, which can be computed and shown first."""
    upgrades: bool = False
    """It replaces installed packages by newer ones."""
    fills: bool = False
    """It writes much. The launcher refuses it on a node whose file systems are nearly full."""
    units: bool = False
    """Its arguments name units of systemd, which the policy's line `units` must name."""
    container: bool = False
    """Its argument names a container of Docker or Podman, which the policy's line `containers` must name."""
    selfcare: bool = False
    """It maintains the agent itself and changes no package."""
    args: Tuple[Tuple[str, str], ...] = ()
    """For selfcare verbs: names and patterns of the arguments. All are required."""

    @property
    def beside(self) -> bool:
        """Whether such a job runs beside one that changes packages, and needs no room on the disk."""
        return self.units or self.container


CATALOGUE: Tuple[Verb, ...] = (
    Verb("refresh", READONLY, fills=True),
    Verb("check", READONLY),
    Verb(PLAN, READONLY),
    Verb("upgrade", MANAGED, OPTIONAL, planned=True, upgrades=True, fills=True),
    Verb("full-upgrade", MANAGED, planned=True, upgrades=True, fills=True),
    Verb("security-upgrade", MANAGED, planned=True, upgrades=True, fills=True),
    Verb("install", MANAGED, NEEDED, planned=True, fills=True),
    Verb("remove", MANAGED, NEEDED, planned=True),
    Verb("autoremove", MANAGED, planned=True),
    Verb("hold", MANAGED, NEEDED),
    Verb("unhold", MANAGED, NEEDED),
    Verb("clean", MANAGED),
    Verb("repair", MANAGED, fills=True),
    Verb("unit-start", MANAGED, units=True),
    Verb("unit-stop", MANAGED, units=True),
    Verb("unit-restart", MANAGED, units=True),
    Verb("unit-reload", MANAGED, units=True),
    Verb(CONTAINER_RESTART, MANAGED, container=True),
    Verb(REBOOT, MANAGED),
    Verb(UPDATE, MANAGED, selfcare=True, args=(("plan", DIGEST),)),
    Verb(REKEY, OWN_LINE, selfcare=True, args=(("generation", GENERATION), ("keys", KEYS), ("digest", DIGEST))),
    Verb(UNINSTALL, MANAGED, selfcare=True),
)
VERBS: Dict[str, Verb] = {verb.name: verb for verb in CATALOGUE}
