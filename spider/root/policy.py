"""What the owner of this node allows: `/etc/stardust/policy.conf`, a file of root that no hub can change.

```ini
[policy]
version = 1
mode = managed
verbs = refresh, check, upgrade
```

`monitor`: no verb at all. `readonly`: verbs that change no installed package. `managed`: every verb, or those in `verbs`.
`rekey = yes` or `no` says whether the hub may replace this node's keys. Without it, the hub may if the mode is `managed`. `rekey` is not
allowed in `verbs`. Only the owner writes this line, because an older Spider refuses a file with a word that it does not know.
A file with anything unknown is refused as a whole: a misspelt restriction must never be read as no restriction.
"""

from typing import NamedTuple, Optional, Tuple

from spider.ini_reader import read_ini
from spider.root.trusted_files import Untrusted, read_trusted
from spider.wire.verbs import CATALOGUE, REKEY, VERBS

POLICY_PATH = "/etc/stardust/policy.conf"
MODES = ("monitor", "readonly", "managed")
LISTED: Tuple[str, ...] = tuple(verb.name for verb in CATALOGUE if verb.policy in MODES)
"""Verbs that the line `verbs` may name; `rekey` has a line of its own."""
_KEYS = frozenset({"version", "mode", "verbs", "rekey"})


class PolicyRefused(Exception):
    """The policy file is missing, not trustworthy or not understood: nothing is allowed."""


class Policy(NamedTuple):
    """A parsed policy."""

    mode: str
    verbs: Tuple[str, ...]
    """The allowed verbs, in the order of `LISTED`; then `rekey`."""

    @property
    def allowed_verbs(self) -> Tuple[str, ...]:
        """The allowed verbs as the hub receives them. `rekey` is included only if the owner has written it and the mode alone would not
        allow it. The hub may copy the list into a policy file for a Spider that does not know `rekey`."""
        return tuple(verb for verb in self.verbs if verb != REKEY or self.mode != "managed")

    def refusal(self, verb: str) -> Optional[str]:
        """Why `verb` may not run, as a reason of the launcher's answer. None: it may."""
        if verb in self.verbs:
            return None
        return "policy-verb" if self.mode == "managed" else "policy-" + self.mode


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
    unknown = sorted(set(section) - _KEYS)
    if unknown:
        raise PolicyRefused(f"unknown key {unknown[0]!r}")
    if section.get("version") != "1":
        raise PolicyRefused("version = 1 is expected")
    mode = section.get("mode", "")
    if mode not in MODES:
        raise PolicyRefused(f"unknown mode {mode!r}")
    allowed = {verb for verb in LISTED if MODES.index(VERBS[verb].policy) <= MODES.index(mode)}
    if "verbs" in section:
        listed = [word.strip() for word in section["verbs"].split(",")]
        if set(listed) - set(LISTED):
            raise PolicyRefused(f"unknown verb {sorted(set(listed) - set(LISTED))[0]!r}")
        allowed &= set(listed)
    rekey = section.get("rekey", "yes" if mode == "managed" else "no")
    if rekey not in ("yes", "no"):
        raise PolicyRefused("rekey is yes or no")
    return Policy(mode, tuple(verb for verb in LISTED if verb in allowed) + ((REKEY,) if rekey == "yes" else ()))


def read_policy(path: str = POLICY_PATH, owner: int = 0) -> Policy:
    """Read this node's policy.

    Args:   owner: uid that must own the file: root, except for a Spider that serves only its own user.
    Raises: PolicyRefused.
    """
    try:
        return parse_policy(read_trusted(path, owner).decode("utf-8"))
    except (Untrusted, UnicodeDecodeError) as exc:
        raise PolicyRefused(str(exc)) from exc
