"""What apt and dpkg print, read: pure functions over their texts."""

import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from spider.packages.base import Plan, Planned

_INST = re.compile(
    r"^Inst (?P<name>\S+)(?: \[(?P<old>[^\]]+)\])? \((?P<new>\S+) (?P<origins>.+) \[(?P<arch>[^\]]+)\]\)(?: \[.*\])?(?: \[\])?\s*$"
)
_REMV = re.compile(r"^(?:Remv|Purg) (?P<name>\S+) \[(?P<old>[^\]]+)\]")
_LOCK = re.compile(r"Could not get lock (?P<file>\S+?)\.?(?: It is held by process (?P<pid>\d+) \((?P<name>[^)]*)\))?(?:\.\.\.)?$")
_TROUBLE = re.compile(r"^(?:E|W|Err)(?::\d+|:) ?\S")
_FETCH_FAILED = re.compile(
    r"^[WE]: (?:Failed to fetch \S|The repository '|Some index files failed|Release file for |An error occurred during the signature "
    r"|GPG error: |Signature verification failed|Skipping acquire of configured file|Repository '.*changed its)"
)
_TRIGGER = re.compile(r"^(?:Running|Installed) post-installation trigger |^Processing triggers for ")


class Installed(NamedTuple):
    """One package as dpkg has it."""

    version: str
    status: str
    """Three letters: wanted, state, error (`ii `, `hi `, `iF `)."""

    @property
    def present(self) -> bool:
        """There in some state, not only its configuration files."""
        return self.status[1:2] not in ("n", "c")

    @property
    def broken(self) -> bool:
        """dpkg did not get to the end with it. Awaited and pending triggers are no damage: the next run does them."""
        return self.status[1:2] in ("H", "U", "F") or self.status[2:3] == "R"

    @property
    def held(self) -> bool:
        return self.status[:1] == "h"


class Lock(NamedTuple):
    """A lock that somebody else has."""

    file: str
    pid: str
    """Empty = apt does not say."""
    name: str

    def __str__(self) -> str:
        return f"waiting for {self.name} (process {self.pid})" if self.pid else f"waiting for the lock {self.file}"


class Status(NamedTuple):
    """One line of APT::Status-Fd."""

    phase: str
    """download, commit or triggers."""
    percent: int
    package: str
    text: str
    error: bool


Inventory = Dict[str, Installed]
"""Package, with `:arch` where dpkg needs it, to what is installed."""


def parse_inventory(text: str) -> Inventory:
    r"""Read `dpkg-query -W -f='${db:Status-Abbrev}\t${binary:Package}\t${Version}\t${Architecture}…\n'`.

    What is not present is left out. dpkg writes `libc6:amd64` where apt writes `libc6`: the host's own architecture, which is
    that of dpkg itself, is taken off the names.
    """
    rows = [fields for fields in (line.split("\t") for line in text.split("\n")) if len(fields) >= 4]
    own = ":" + next((fields[3] for fields in rows if fields[1] == "dpkg"), "")
    found: Inventory = {}
    for status, name, version, *_ in rows:
        package = Installed(version, status)
        if package.present:
            found[name[: -len(own)] if len(own) > 1 and name.endswith(own) else name] = package
    return found


def compare_inventories(before: Inventory, after: Inventory) -> Tuple[Tuple[str, str, str], ...]:
    """Packages whose version differs, as (package, before, after); empty = not installed."""
    changes = []
    for name in sorted(set(before) | set(after)):
        old = before[name].version if name in before else ""
        new = after[name].version if name in after else ""
        if old != new:
            changes.append((name, old, new))
    return tuple(changes)


def is_security(origins: str) -> bool:
    """Whether a new version comes from a security pocket: `Debian-Security:12/oldstable-security`, `Ubuntu:24.04/noble-security`."""
    for origin in origins.split(", "):
        label, _, rest = origin.rpartition(":")
        archive = rest.rpartition("/")[2]
        if label == "Debian-Security" or archive.endswith("-security") or label.startswith("UbuntuESM"):
            return True
    return False


def parse_plan(text: str) -> Plan:
    """Read what `apt-get -s` would do.

    Raises: ValueError: a line of the plan is not understood, so that the plan is not known.
    """
    steps = []
    for line in text.split("\n"):
        if line.startswith("Inst "):
            match = _INST.match(line)
            if match is None:
                raise ValueError("not understood: " + line[:200])
            steps.append(Planned(match["name"], match["old"] or "", match["new"], is_security(match["origins"])))
        elif line.startswith(("Remv ", "Purg ")):
            match = _REMV.match(line)
            if match is None:
                raise ValueError("not understood: " + line[:200])
            steps.append(Planned(match["name"], match["old"], "", security=False))
    return Plan(tuple(steps))


def parse_status(line: str) -> Optional[Status]:
    """Read one line of APT::Status-Fd; None: it says nothing about progress."""
    kind, _, rest = line.partition(":")
    if kind not in ("dlstatus", "pmstatus", "pmerror"):
        return None
    # A package may be `libc6:i386`, so the number is looked for, not counted to.
    match = re.match(r"(?P<name>.*?):(?P<percent>\d+(?:\.\d+)?):(?P<text>.*)$", rest)
    if match is None:
        return None
    percent = min(100, int(float(match["percent"])))
    if kind == "dlstatus":
        return Status("download", percent, "", match["text"], error=False)
    package = "" if match["name"] == "dpkg-exec" else match["name"]
    phase = "triggers" if _TRIGGER.match(match["text"]) else "commit"
    return Status(phase, percent, package, match["text"], error=kind == "pmerror")


def parse_lock(line: str) -> Optional[Lock]:
    """Whether a line says that somebody else has a lock."""
    match = _LOCK.search(line.rstrip())
    return Lock(match["file"], match["pid"] or "", match["name"] or "") if match else None


def is_trouble(line: str) -> bool:
    """Whether apt speaks of an error or a warning: `E: …`, `W: …`, `Err:3 …`."""
    return bool(_TROUBLE.match(line))


def is_stale_repository(line: str) -> bool:
    """Whether a line says that a repository could not be refreshed, so that what apt knows of it is old."""
    return line.startswith("Err:") or bool(_FETCH_FAILED.match(line))


def first_errors(lines: Iterable[str], most: int = 3) -> str:
    """The first error lines in one text; warnings only when there is no error."""
    seen: List[str] = []
    for line in lines:
        if line not in seen:
            seen.append(line)
    chosen = [line for line in seen if line.startswith("E:")] or [line for line in seen if line.startswith("W:")] or seen
    return " · ".join(line[:400] for line in chosen[:most])
