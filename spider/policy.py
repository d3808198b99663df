"""What the owner of this node allows: `/etc/stardust/policy.conf`, root's file, which no hub can change.

```ini
[policy]
version = 1
mode = managed
verbs = refresh, check, upgrade
```

`monitor`: no verb at all. `readonly`: verbs that change nothing that is installed. `managed`: every verb, or those in `verbs`.
Whatever is not understood completely is refused as a whole: a misspelt restriction must never be read as none.
"""

from typing import FrozenSet, NamedTuple, Optional, Tuple

from spider.ini import read_ini
from spider.trusted import Untrusted, read_trusted

POLICY_PATH = "/etc/stardust/policy.conf"
MODES = ("monitor", "readonly", "managed")
PLANNED_VERBS: Tuple[str, ...] = ("upgrade", "full-upgrade", "security-upgrade", "install", "remove", "autoremove")
"""Those that change packages by a plan, which can be shown before."""
NAMING_VERBS: FrozenSet[str] = frozenset({"install", "remove", "hold", "unhold"})
"""Those that need names of packages; `upgrade` may have some."""
VERBS: Tuple[str, ...] = ("refresh", "check", "plan", *PLANNED_VERBS, "hold", "unhold", "clean", "repair", "reboot", "update", "uninstall")
"""Every verb there is, named as the actions of the REST interface. `update` brings a new version of
Spider, `uninstall` takes it off this server. To stop a job is none: what may run may be stopped; nor is `rekey`, which changes Spider's own keys and gives nobody more."""
READONLY_VERBS: FrozenSet[str] = frozenset({"refresh", "check", "plan"})
_KEYS = frozenset({"version", "mode", "verbs"})


class PolicyRefused(Exception):
    """The policy file is not there, not trustworthy or not understood: nothing is allowed."""


class Policy(NamedTuple):
    """A policy that was understood."""

    mode: str
    verbs: Tuple[str, ...]
    """The verbs that may run, in the order of `VERBS`."""

    def refusal(self, verb: str) -> Optional[str]:
        """Why `verb` may not run, as a word of the launcher's answer; None: it may."""
        if verb in self.verbs:
            return None
        return "policy-verb" if self.mode == "managed" else "policy-" + self.mode


def parse_policy(text: str) -> Policy:
    """Read the text of a policy file.

    Raises: PolicyRefused: unknown section, key, mode, verb or version; a key twice; no mode.
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
    allowed = {"monitor": frozenset(), "readonly": READONLY_VERBS, "managed": frozenset(VERBS)}[mode]
    if "verbs" in section:
        listed = [word.strip() for word in section["verbs"].split(",")]
        if set(listed) - set(VERBS):
            raise PolicyRefused(f"unknown verb {sorted(set(listed) - set(VERBS))[0]!r}")
        allowed = allowed & frozenset(listed)
    return Policy(mode, tuple(verb for verb in VERBS if verb in allowed))


def read_policy(path: str = POLICY_PATH, owner: int = 0) -> Policy:
    """Read this node's policy.

    Args:   owner: the uid that must own the file: root, but for a Spider that serves its own user alone.
    Raises: PolicyRefused.
    """
    try:
        return parse_policy(read_trusted(path, owner).decode("utf-8"))
    except (Untrusted, UnicodeDecodeError) as exc:
        raise PolicyRefused(str(exc)) from exc
