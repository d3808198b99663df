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

Version 3 adds one line, `actions`: files in `/etc/stardust/actions.d/` that the verb `action-run` may run, each by its whole name.

A Spider that does not support the file's version refuses the whole file. Any unknown word makes the whole file invalid: a misspelt restriction must
never be read as no restriction.
"""

from typing import Any, Collection, Mapping, NamedTuple, Optional, Pattern, Tuple

from spider.ini_reader import read_ini
from spider.root.trusted_files import Untrusted, read_trusted
from spider.wire.arg_kinds import ArgKind
from spider.wire.policy_names import MAX_NAMES, USER
from spider.wire.verbs import CATALOGUE, POLICY_LINES, REKEY, VERBS, Verb

POLICY_PATH = "/etc/stardust/policy.conf"
MODES = ("monitor", "readonly", "managed")
LISTED: Tuple[str, ...] = tuple(verb.name for verb in CATALOGUE if verb.policy in MODES and verb.version == 1)
"""Verbs that the line `verbs` may name; `rekey` has a line of its own."""
LATER: Tuple[str, ...] = tuple(verb.name for verb in CATALOGUE if verb.version > 1)
"""Verbs that the line `verbs` may name from the version of their row on."""
JOURNAL = ("off", "warning", "all")
VERSIONS = ("1", "2", "3")
_KEYS = {"version": 1, "mode": 1, "verbs": 1, "rekey": 1, "events": 2, "journal": 2}
_KEYS.update((line, since) for line, (_, since) in POLICY_LINES.items())
"""The keys that the file may have, each from this version on."""


class PolicyRefused(Exception):
    """The policy file is missing, not trustworthy or invalid. Nothing is allowed then."""


class Policy(NamedTuple):
    """A parsed policy."""

    mode: str
    verbs: Tuple[str, ...]
    """The allowed verbs: first in the order of `LISTED`, then `rekey`, then those of `LATER`."""
    events: Tuple[str, ...] = ()
    """Users who may report events, in addition to root."""
    journal: str = "off"
    """The lines of the journal that the hub may request: off, warning or all."""
    lines: Tuple[Tuple[str, Tuple[str, ...]], ...] = ()
    """Each line of `POLICY_LINES` that the file has, with its names and patterns (`*`)."""

    def named(self, kind: ArgKind) -> Tuple[str, ...]:
        """The names and patterns that verbs of this kind may touch."""
        return dict(self.lines).get(kind.line, ())

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
        kind = VERBS[verb].kind if verb in VERBS else None
        return f"policy-{kind.noun}" if kind is not None and kind.line and not self.named(kind) else "policy-verb"

    def name_refusal(self, verb: Verb, args: Mapping[str, Any]) -> Optional[str]:
        """Why an allowed verb may not touch what these arguments name, as a word of `LauncherAnswer.why`. None: it may.

        Args: args: validated arguments.
        """
        kind = verb.kind
        if kind is None or not kind.line:
            return None
        names = kind.from_order(args[kind.name])
        if any(kind.is_protected(name) for name in names):
            return f"{kind.noun}-protected"
        return None if all(kind.names(self.named(kind), name) for name in names) else f"policy-{kind.noun}"


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
    if section.get("version", "") not in VERSIONS:
        raise PolicyRefused(f"version = {' or version = '.join(VERSIONS)} is expected")
    version = int(section["version"])
    unknown = sorted(key for key in section if key not in _KEYS or _KEYS[key] > version)
    if unknown:
        raise PolicyRefused(f"unknown key {unknown[0]!r}")
    mode = section.get("mode", "")
    if mode not in MODES:
        raise PolicyRefused(f"unknown mode {mode!r}")
    known = [*LISTED, *(verb for verb in LATER if VERBS[verb].version <= version)]
    allowed = {verb for verb in known if MODES.index(VERBS[verb].policy) <= MODES.index(mode)}
    if "verbs" in section:
        listed = [word.strip() for word in section["verbs"].split(",")]
        strange = sorted(set(listed) - set(known))
        if strange:
            raise PolicyRefused(f"unknown verb {strange[0]!r}")
        allowed &= set(listed)
    rekey = section.get("rekey", "yes" if mode == "managed" else "no")
    if rekey not in ("yes", "no"):
        raise PolicyRefused("rekey is yes or no")
    journal = section.get("journal", "off")
    if journal not in JOURNAL:
        raise PolicyRefused("journal is off, warning or all")
    lines = {line: _names(section, line, kind.line_form) for line, (kind, _) in POLICY_LINES.items() if line in section}
    verbs = [verb for verb in LISTED if verb in allowed]
    verbs += [REKEY] if rekey == "yes" else []
    verbs += [verb for verb in LATER if verb in allowed and _has_line(VERBS[verb].kind, lines)]
    return Policy(mode, tuple(verbs), _names(section, "events", USER), journal, tuple(lines.items()))


def _has_line(kind: Optional[ArgKind], lines: Collection[str]) -> bool:
    """Whether the file has the line that verbs of this kind need; True: they need none."""
    return kind is None or not kind.line or kind.line in lines


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
