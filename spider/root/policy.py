"""Reads the policy of this node, `/etc/stardust/policy.conf`: the orders that its owner allows. No hub can change this file of root.

```ini
[policy]
version = 2
mode = managed
verbs = refresh, check, upgrade
events = backup, deploy
units = nginx.service, php*
containers = shop, mail-*
```

`mode` limits the verbs. `monitor`: no verb. `readonly`: verbs that change no installed package. `managed`: every verb.
`verbs` limits them further, to the listed verbs.
`rekey = yes` or `no` says whether the hub may replace this node's keys. Without this line, the hub may do so in the mode `managed`. `rekey`
cannot be listed in `verbs`. Stardust never writes this line itself, because an older Spider refuses a file with an unknown key.

Version 2 adds four lines. Without a line, its permission is not given.

- `events`: users of this host who may report events to the hub. Root always may.
- `units`: units of systemd that the verbs `unit-…` may name. These verbs need the mode `managed`; a line `verbs` must list them.
- `journal`: lines of the journal that the hub may request: off, warning or all.
- `containers`: containers that the verb `container-restart` may name, with the same conditions as `units`.

A Spider that does not support version 2 refuses the whole file. Any unknown word makes the whole file invalid: a misspelt restriction must
never be read as no restriction.
"""

from typing import Any, Mapping, NamedTuple, Optional, Pattern, Sequence, Tuple

from spider.ini_reader import read_ini
from spider.root.trusted_files import Untrusted, read_trusted
from spider.wire.containers import names_container
from spider.wire.policy_names import MAX_NAMES, PATTERN, USER
from spider.wire.units import is_protected, names_unit
from spider.wire.verbs import CATALOGUE, REKEY, VERBS, Verb

POLICY_PATH = "/etc/stardust/policy.conf"
MODES = ("monitor", "readonly", "managed")
LISTED: Tuple[str, ...] = tuple(verb.name for verb in CATALOGUE if verb.policy in MODES and not verb.beside)
"""Verbs that the line `verbs` may name; `rekey` has a line of its own."""
BESIDE: Tuple[str, ...] = tuple(verb.name for verb in CATALOGUE if verb.beside)
"""Verbs of units and containers. The line `verbs` may name them in version 2."""
JOURNAL = ("off", "warning", "all")
_KEYS = {"1": frozenset({"version", "mode", "verbs", "rekey"})}
_KEYS["2"] = _KEYS["1"] | {"events", "units", "containers", "journal"}
"""The keys that the file may have, by version."""


class PolicyRefused(Exception):
    """The policy file is missing, not trustworthy or invalid. Nothing is allowed then."""


class Policy(NamedTuple):
    """A parsed policy."""

    mode: str
    verbs: Tuple[str, ...]
    """The allowed verbs: first in the order of `LISTED`, then `rekey`, then the verbs of units and containers."""
    events: Tuple[str, ...] = ()
    """Users who may report events, in addition to root."""
    units: Tuple[str, ...] = ()
    """Names and patterns (`*`) of the units that the verbs `unit-…` may name."""
    journal: str = "off"
    """The lines of the journal that the hub may request: off, warning or all."""
    containers: Tuple[str, ...] = ()
    """Names and patterns (`*`) of the containers that the verb `container-restart` may name."""

    @property
    def allowed_verbs(self) -> Tuple[str, ...]:
        """The allowed verbs as the hub receives them. In the mode `managed`, `rekey` is left out, since this mode allows it by default.

        The hub may copy the list into a policy file for an older Spider, and that Spider would refuse the word `rekey`.
        """
        return tuple(verb for verb in self.verbs if verb != REKEY or self.mode != "managed")

    def refusal(self, verb: str) -> Optional[str]:
        """Why `verb` may not run, as a word of `LauncherAnswer.why`. None: it may run."""
        if verb in self.verbs:
            return None
        if self.mode != "managed":
            return "policy-" + self.mode
        if verb not in BESIDE:
            return "policy-verb"
        names, refusal = (self.containers, "policy-container") if VERBS[verb].container else (self.units, "policy-unit")
        return "policy-verb" if names else refusal

    def name_refusal(self, verb: Verb, args: Mapping[str, Any]) -> Optional[str]:
        """Why an allowed verb may not name these units or this container, as a word of `LauncherAnswer.why`. None: it may.

        Args: args: validated arguments.
        """
        if verb.container:
            return None if names_container(self.containers, args["container"]) else "policy-container"
        return self.unit_refusal(args["units"]) if verb.units else None

    def unit_refusal(self, names: Sequence[str]) -> Optional[str]:
        """Why an allowed verb may not name these units, as a word of `LauncherAnswer.why`. None: it may."""
        if any(is_protected(name) for name in names):
            return "unit-protected"
        return None if all(names_unit(self.units, name) for name in names) else "policy-unit"


def parse_policy(text: str) -> Policy:
    """Parse the text of a policy file.

    Raises: PolicyRefused: unknown section, key, mode, verb or version; a duplicate key; no mode; an invalid value or name.
    """
    try:
        sections = read_ini(text)
    except ValueError as exc:
        raise PolicyRefused(str(exc)) from exc
    if list(sections) != ["policy"]:
        raise PolicyRefused("one section [policy] is expected, and no other")
    section = sections["policy"]
    keys = _KEYS.get(section.get("version", ""))
    if keys is None:
        raise PolicyRefused("version = 1 or version = 2 is expected")
    unknown = sorted(set(section) - keys)
    if unknown:
        raise PolicyRefused(f"unknown key {unknown[0]!r}")
    mode = section.get("mode", "")
    if mode not in MODES:
        raise PolicyRefused(f"unknown mode {mode!r}")
    allowed = {verb for verb in (*LISTED, *BESIDE) if MODES.index(VERBS[verb].policy) <= MODES.index(mode)}
    if "verbs" in section:
        listed = [word.strip() for word in section["verbs"].split(",")]
        strange = sorted(set(listed) - set(LISTED) - (set(BESIDE) if section["version"] == "2" else set()))
        if strange:
            raise PolicyRefused(f"unknown verb {strange[0]!r}")
        allowed &= set(listed)
    rekey = section.get("rekey", "yes" if mode == "managed" else "no")
    if rekey not in ("yes", "no"):
        raise PolicyRefused("rekey is yes or no")
    journal = section.get("journal", "off")
    if journal not in JOURNAL:
        raise PolicyRefused("journal is off, warning or all")
    units, containers = _names(section, "units", PATTERN), _names(section, "containers", PATTERN)
    verbs = [verb for verb in LISTED if verb in allowed]
    verbs += [REKEY] if rekey == "yes" else []
    verbs += [verb for verb in BESIDE if (containers if VERBS[verb].container else units) and verb in allowed]
    return Policy(mode, tuple(verbs), _names(section, "events", USER), units, journal, containers)


def _names(section: Mapping[str, str], key: str, form: Pattern[str]) -> Tuple[str, ...]:
    """The names in a line of the file; empty: the line is absent. Raises: PolicyRefused."""
    if key not in section:
        return ()
    names = [word.strip() for word in section[key].split(",")]
    wrong = next((name for name in names if not form.match(name)), None)
    if wrong is not None:
        raise PolicyRefused(f"{key}: {wrong[:80]!r} is no valid name")
    if len(names) > MAX_NAMES:
        raise PolicyRefused(f"{key}: more than {MAX_NAMES} names")
    return tuple(names)


def read_policy(path: str = POLICY_PATH, owner: int = 0) -> Policy:
    """Read this node's policy.

    Args:   owner: uid that must own the file: root, except for a Spider that serves only its own user.
    Raises: PolicyRefused.
    """
    try:
        return parse_policy(read_trusted(path, owner).decode("utf-8"))
    except (Untrusted, UnicodeDecodeError) as exc:
        raise PolicyRefused(str(exc)) from exc
