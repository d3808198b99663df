"""What a deployment does with the policy file of a server. The file is its owner's: a found one stays, and a change must be seen first. Pure."""

from __future__ import annotations

import configparser
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from groundcontrol.core.errors import BadRequest
from groundcontrol.core.text import clean
from groundcontrol.deployments.model import NO_LINES, DeploymentRequest, FoundPolicy, PolicyLines
from groundcontrol.nodes.model import NodePolicy
from spider.wire.policy_names import MAX_NAMES, PATTERN, USER
from spider.wire.verbs import REKEY, VERBS

_MODES: Final = ("monitor", "readonly", "managed")
_SECOND_VERSION: Final = ("events", "units", "containers", "journal")
_HEAD: Final = (
    "# What Ground Control may do on this server. Root's file: the hub cannot change it.\n"
    "# mode = monitor: watch only. readonly: refresh, check and plan, too. managed: everything, or the verbs listed in\n"
    "# verbs = refresh, check, upgrade, full-upgrade\n"
    "# units = nginx.service, php*   units of systemd that it may start, stop, restart and reload\n"
    "# containers = shop, mail-*     containers of Docker or Podman that it may restart, and whose names it sees\n"
    "# actions = drain, backup         (with version = 3) root's own files in /etc/stardust/actions.d that it may run, by name alone\n"
    "# journal = warning              or all: lines of the journal that people at the hub may see, one unit at a time\n"
    "# events = backup, deploy       users of this server who may report events, beside root (stardust-spider event)\n"
)


class PolicyPlan(NamedTuple):
    """The decision about the policy file of one server."""

    text: str
    """The file for a server that has none, or the file in place of `replaced`."""
    replaced: str = ""
    """SHA-256 of the file that is replaced; empty: a file that is there stays."""
    found: FoundPolicy | None = None
    """The difference between the file and the request; None: there is none."""


def policy_conf(mode: str, verbs: Sequence[str] = (), lines: PolicyLines = NO_LINES) -> str:
    """The text of the initial `policy.conf`. After the installation, only the server's owner changes it.

    Args: verbs: the allowed actions; empty: all that the mode allows. `rekey` is left out, since the file has its own key for it.
    """
    listed = [verb for verb in verbs if verb != REKEY]
    version = max((VERBS[verb].version for verb in listed if verb in VERBS), default=0)
    section = {"version": str(max(2, version)), "mode": mode, "verbs": ", ".join(listed), **_values(lines)}
    return _HEAD + _written(section)


def plan_policy(
    there: str | None, exists: bool, *, mode: str, wish: PolicyLines | None, last: NodePolicy | None, seen: str | None
) -> PolicyPlan:
    """Decide about the policy file of a server.

    Args:
        there: the text of the file on the server; None: there is none, or it cannot be read.
        exists: whether there is a file.
        mode: the mode of a new file.
        wish: the lines that the request wants in the file; None: it wants the file as it is.
        last: the policy that the node has reported; it is used for a server without a file.
        seen: the digest of the difference that the user has seen, and may write.
    """
    if not exists:
        remembered = last if wish is None or wish.mode is None else None
        if remembered is not None and remembered.mode not in _MODES:  # the node could not read its file
            remembered, mode = None, "monitor"
        return PolicyPlan(policy_conf(remembered.mode if remembered else mode, remembered.verbs if remembered else (), wish or NO_LINES))
    if there is None:  # the node refuses such a file, too
        return PolicyPlan(policy_conf("readonly"), "", wish and FoundPolicy("differs", "", policy_conf(mode, (), wish), ""))
    wanted = there if wish is None else edited(there, wish)
    if _essence(wanted) == _essence(there):
        return PolicyPlan(there)
    named = difference_digest(there, wanted)
    found = FoundPolicy("differs", _shown(there), _shown(wanted), named)
    if seen != named:
        return PolicyPlan(there, "", found)
    return PolicyPlan(wanted, hashlib.sha256(there.encode()).hexdigest(), found._replace(outcome="written"))


def wish_of(request: DeploymentRequest) -> PolicyLines | None:
    """The lines of the policy file that a request wants; None: it names none."""
    wish = request.lines._replace(mode=None if request.own_policy else request.policy)
    return None if wish == NO_LINES else wish


def difference_digest(there: str, wanted: str) -> str:
    """The name of the difference between two texts of the policy file."""
    return hashlib.sha256(b"".join(hashlib.sha256(text.encode()).digest() for text in (there, wanted))).hexdigest()


def edited(there: str, wish: PolicyLines) -> str:
    """The file with the lines of the wish. All other lines stay, with the owner's comments, if the file can be read."""
    section = _section(there)
    values = {key: value for key, value in (("mode", wish.mode), *_values(wish).items()) if value is not None}
    if section is None:
        return policy_conf(wish.mode or "monitor", (), wish)
    after = {**section, **values}
    if section.get("version", "1") == "1" and any(after.get(key) for key in _SECOND_VERSION):
        after["version"] = values["version"] = "2"
    after = {key: value for key, value in after.items() if value}
    text = there if there.endswith("\n") else there + "\n"
    for key, value in values.items():
        line = f"{key} = {value}\n" if value else ""
        text, count = re.subn(rf"(?im)^{key}[ \t]*=.*\n", lambda _found, line=line: line, text)  # type: ignore[misc]
        if not count:
            text += line
    return text if _section(text) == after else _HEAD + _written(after)


def check_lines(lines: PolicyLines) -> None:
    """Refuse names that a policy file cannot have. Raises: BadRequest."""
    for field, form in (("units", PATTERN), ("containers", PATTERN), ("events", USER)):
        names: tuple[str, ...] | None = getattr(lines, field)
        if names is not None and len(names) > MAX_NAMES:
            raise BadRequest(f"{field} has more than {MAX_NAMES} names", field=field)
        for name in names or ():
            if not form.match(name):
                what = "account" if field == "events" else "name or pattern (*)"
                raise BadRequest(f"{field} must have only names that the policy file can have: {clean(name, 80)} is no {what}", field=field)


def _values(lines: PolicyLines) -> dict[str, str]:
    """The lines of a wish but its mode, as the file has them; an empty value: no such line."""
    found: dict[str, str] = {}
    for key in _SECOND_VERSION:
        value = getattr(lines, key)
        if value is not None:
            found[key] = ("" if value == "off" else value) if isinstance(value, str) else ", ".join(value)
    return found


def _written(section: Mapping[str, str]) -> str:
    return "[policy]\n" + "".join(f"{key} = {value}\n" for key, value in section.items() if value)


def _section(text: str) -> dict[str, str] | None:
    """The keys of the file, as the node reads it; None: it cannot be read."""
    parser = configparser.ConfigParser(
        interpolation=None, strict=True, delimiters=("=",), comment_prefixes=("#",), default_section="", empty_lines_in_values=False
    )
    try:
        parser.read_string(text)
    except (configparser.Error, ValueError):
        return None
    return dict(parser["policy"]) if parser.sections() == ["policy"] else None


def _essence(text: str) -> object:
    return _section(text) or text


def _shown(text: str) -> str:
    """The server's text, for people: without characters that a terminal would act on."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text.replace("\t", " "))
