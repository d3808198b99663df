"""What the owner of this node allows: `/etc/stardust/policy.conf`, a file of root that no hub can change.

```ini
[policy]
version = 2
mode = managed
verbs = refresh, check, upgrade
events = backup, deploy
units = nginx.service, php*
containers = shop, mail-*
```

`monitor`: no verb at all. `readonly`: verbs that change no installed package. `managed`: every verb, or those in `verbs`.
`rekey = yes` or `no` says whether the hub may replace this node's keys. Without it, the hub may if the mode is `managed`. `rekey` is not
allowed in `verbs`. Only the owner writes this line, because an older Spider refuses a file with a word that it does not know.
Version 2 adds four lines; absent means no. `events`: users of this host who may report events to the hub (root always may). `units`:
units of systemd that the verbs `unit-…` may name; they need the mode `managed`, and `verbs` must list them if it is there. `journal`: lines
of the journal that the hub may request (off, warning or all). `containers`: containers that the verb `container-restart` may name, as
`units` does. A Spider that does not know version 2 refuses the whole file; version 1 keeps its meaning.
A file with anything unknown is refused as a whole: a misspelt restriction must never be read as no restriction.
"""

import re
from typing import Any, Mapping, NamedTuple, Optional, Sequence, Tuple

from spider.ini_reader import read_ini
from spider.root.trusted_files import Untrusted, read_trusted
from spider.wire.containers import names_container
from spider.wire.units import is_protected, names_unit
from spider.wire.verbs import CATALOGUE, REKEY, VERBS, Verb

POLICY_PATH = "/etc/stardust/policy.conf"
MODES = ("monitor", "readonly", "managed")
LISTED: Tuple[str, ...] = tuple(verb.name for verb in CATALOGUE if verb.policy in MODES and not verb.beside)
"""Verbs that the line `verbs` may name; `rekey` has a line of its own."""
BESIDE: Tuple[str, ...] = tuple(verb.name for verb in CATALOGUE if verb.beside)
"""Verbs of units and containers, which `verbs` may name, too, in version 2."""
JOURNAL = ("off", "warning", "all")
_KEYS = {"1": frozenset({"version", "mode", "verbs", "rekey"})}
_KEYS["2"] = _KEYS["1"] | {"events", "units", "containers", "journal"}
"""By version, the keys of the file."""
MAX_NAMES = 64
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\$?\Z")
_PATTERN = re.compile(r"[A-Za-z0-9:_.@\\*-]{1,255}\Z")


class PolicyRefused(Exception):
    """The policy file is missing, not trustworthy or not understood: nothing is allowed."""


class Policy(NamedTuple):
    """A parsed policy."""

    mode: str
    verbs: Tuple[str, ...]
    """The allowed verbs, in the order of `LISTED`; then `rekey`; then those of units and containers."""
    events: Tuple[str, ...] = ()
    """Users who may report events, beside root."""
    units: Tuple[str, ...] = ()
    """Names and patterns (`*`) of the units that the verbs `unit-…` may name."""
    journal: str = "off"
    """The lines of the journal that the hub may request: off, warning or all."""
    containers: Tuple[str, ...] = ()
    """Names and patterns (`*`) of the containers that the verb `container-restart` may name."""

    @property
    def allowed_verbs(self) -> Tuple[str, ...]:
        """The allowed verbs as the hub receives them. `rekey` is included only if the owner has written it and the mode alone would not
        allow it. The hub may copy the list into a policy file for a Spider that does not know `rekey`."""
        return tuple(verb for verb in self.verbs if verb != REKEY or self.mode != "managed")

    def refusal(self, verb: str) -> Optional[str]:
        """Why `verb` may not run, as a reason of the launcher's answer. None: it may."""
        if verb in self.verbs:
            return None
        if self.mode != "managed":
            return "policy-" + self.mode
        if verb not in BESIDE:
            return "policy-verb"
        names, refusal = (self.containers, "policy-container") if VERBS[verb].container else (self.units, "policy-unit")
        return "policy-verb" if names else refusal

    def name_refusal(self, verb: Verb, args: Mapping[str, Any]) -> Optional[str]:
        """Why a verb that the policy allows may not have these checked arguments. None: it may."""
        if verb.container:
            return None if names_container(self.containers, args["container"]) else "policy-container"
        return self.unit_refusal(args["units"]) if verb.units else None

    def unit_refusal(self, names: Sequence[str]) -> Optional[str]:
        """Why a verb that the policy allows may not name these units. None: it may."""
        if any(is_protected(name) for name in names):
            return "unit-protected"
        return None if all(names_unit(self.units, name) for name in names) else "policy-unit"


def parse_policy(text: str) -> Policy:
    """Parse the text of a policy file.

    Raises: PolicyRefused: unknown section, key, mode, verb or version; a duplicate key; no mode.
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
    units, containers = _names(section, "units", _PATTERN), _names(section, "containers", _PATTERN)
    verbs = [verb for verb in LISTED if verb in allowed]
    verbs += [REKEY] if rekey == "yes" else []
    verbs += [verb for verb in BESIDE if (containers if VERBS[verb].container else units) and verb in allowed]
    return Policy(mode, tuple(verbs), _names(section, "events", _USER), units, journal, containers)


def _names(section: Mapping[str, str], key: str, form: "re.Pattern[str]") -> Tuple[str, ...]:
    """The names of a list; empty: the line is absent. Raises: PolicyRefused."""
    if key not in section:
        return ()
    names = [word.strip() for word in section[key].split(",")]
    wrong = next((name for name in names if not form.match(name)), None)
    if wrong is not None:
        raise PolicyRefused(f"{key}: {wrong[:80]!r} is no name")
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
