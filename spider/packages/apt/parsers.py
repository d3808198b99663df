"""Parsers of the output of apt and dpkg, as pure functions."""

import re
import shlex
from email.utils import mktime_tz, parsedate_tz
from typing import Dict, List, NamedTuple, Optional, Tuple

from spider.packages.backend import Lock
from spider.packages.plan import NO, YES, InstalledPackage, Inventory, Planned

_INST = re.compile(
    r"^Inst (?P<name>\S+)(?: \[(?P<old>[^\]]+)\])? \((?P<new>\S+) (?P<origins>.+) \[(?P<arch>[^\]]+)\]\)(?: \[.*\])?(?: \[\])?\s*$"
)
_REMV = re.compile(r"^(?:Remv|Purg) (?P<name>\S+) \[(?P<old>[^\]]+)\]")
_LOCK = re.compile(r"Could not get lock (?P<file>\S+?)\.?(?: It is held by process (?P<pid>\d+) \((?P<name>[^)]*)\))?(?:\.\.\.)?$")
_FETCH_FAILED = re.compile(
    r"^[WE]: (?:Failed to fetch \S|The repository '|Some index files failed|Release file for |An error occurred during the signature "
    r"|GPG error: |Signature verification failed|Skipping acquire of configured file|Repository '.*changed its)"
)
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?\Z")
"""A package name with an optional architecture. Source: Debian Policy 5.6.1."""
_LISTED = re.compile(r"^ [0-9a-f]{32,} +(?P<size>\d+) (?P<name>\S+)$", re.MULTILINE)
_NO_SUPPORT_FOR_ALL = re.compile(r"^No-Support-for-Architecture-all: Packages$", re.MULTILINE)
_PACKED = (".gz", ".xz", ".bz2", ".lzma", ".lz4", ".zst")
_KEPT_BACK = "The following packages have been kept back"
_VALID_UNTIL = re.compile(r"^Valid-Until: *(?P<moment>\S.{0,60})$", re.MULTILINE)
_ARCHITECTURES = re.compile(r"^Architectures:(?P<names>.*)$", re.MULTILINE)
_ARCHITECTURE = re.compile(r"^[a-z0-9-]+$")
"""Matches a real architecture. For a flat repository apt prints the text `$(ARCHITECTURE)`."""
_PHASED_VERSION = re.compile(r" (?:\*\*\*|   ) (?P<version>\S+) -?\d+ +\(phased +(?P<percent>\d+)%\)")
_PHASED = "The following upgrades have been deferred due to phasing"
_URI = re.compile(r"^'(?P<uri>[^']+)' \S+ (?P<size>\d+)(?: |$)")
_AFTER = re.compile(
    r"^After this operation, (?P<number>[\d.,]+) (?P<unit>[kMGT]?B) (?:of additional )?disk space will be (?P<way>used|freed)\.$"
)
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_CANDIDATE = re.compile(r"^  Candidate: (?P<version>\S+)")
_VERSION = re.compile(r"^(?P<here> \*\*\*|    ) (?P<version>\S+) -?\d+")
_SECURITY_POCKET = re.compile(r"^\s+-?\d+ \S+ \S*-security(?:/| )")
_TRIGGER = re.compile(r"^(?:Running|Installed) post-installation trigger |^Processing triggers for ")


class Status(NamedTuple):
    """One line of APT::Status-Fd."""

    phase: str
    """download, commit or triggers."""
    percent: int
    package: str
    text: str
    error: bool


class AptTarget(NamedTuple):
    """One package list that apt expects."""

    repository: str
    file: str
    """The path of the uncompressed list."""
    key: str
    """The list's name in the repository's Release file."""
    architecture: str


TARGET_FORMAT = "$(SITE) $(RELEASE)\t$(FILENAME)\t$(METAKEY)\t$(ARCHITECTURE)"


def parse_targets(text: str) -> List[AptTarget]:
    """Read `apt-get indextargets --no-release-info --format TARGET_FORMAT`."""
    return [AptTarget(*fields) for fields in (line.split("\t") for line in text.split("\n")) if len(fields) == 4]


def parse_folder(text: str) -> str:
    """Read `apt-config shell NAME KEY/d`; empty = there is none."""
    try:
        words = shlex.split(text)
    except ValueError:
        return ""
    return words[0].partition("=")[2].rstrip("/") if words else ""


def has_list(release: str, target: AptTarget) -> bool:
    """Whether the Release file names a list with content, so that apt fetches it.

    apt fetches no list of an architecture that the field `Architectures` does not name. In Debian's security archive this field lacks
    `all`, although the file names `binary-all` lists.
    """
    named = _ARCHITECTURES.search(release)
    if named is not None and _ARCHITECTURE.search(target.architecture) and target.architecture not in named["names"].split():
        return False
    if target.architecture == "all" and _NO_SUPPORT_FOR_ALL.search(release):
        return False
    return any(
        match["size"].strip("0") and match["name"].partition(target.key)[::2] in (("", ""), *(("", end) for end in _PACKED))
        for match in _LISTED.finditer(release)
    )


def valid_until(release: str) -> float:
    """When a Release file expires, Unix seconds; infinity = never, or its date is invalid."""
    match = _VALID_UNTIL.search(release)
    moment = parsedate_tz(match["moment"]) if match is not None else None
    try:
        return float("inf") if moment is None else float(mktime_tz(moment))
    except (ValueError, OverflowError):  # a year after 9999
        return float("inf")


def parse_inventory(text: str) -> Inventory:
    r"""Read `dpkg-query -W -f='${db:Status-Abbrev}\t${binary:Package}\t${Version}\t${Architecture}…\n'`.

    Packages that are not installed are omitted. dpkg prints `libc6:amd64` where apt prints `libc6`, so the host's own architecture is
    removed from names. The host's architecture is that of the package dpkg.
    """
    rows = [fields for fields in (line.split("\t") for line in text.split("\n")) if len(fields) >= 4]
    own = ":" + next((fields[3] for fields in rows if fields[1] == "dpkg"), "")
    found: Inventory = {}
    for status, name, version, *_ in rows:
        if status[1:2] in ("n", "c"):
            continue  # at most the package's configuration files are left
        broken = status[1:2] in ("H", "U", "F") or status[2:3] == "R"  # awaited and pending triggers: the next run processes them
        found[name[: -len(own)] if len(own) > 1 and name.endswith(own) else name] = InstalledPackage(version, broken, status[:1] == "h")
    return found


def is_security(origins: str) -> bool:
    """Whether a new version comes from a security pocket: `Debian-Security:12/oldstable-security`, `Ubuntu:24.04/noble-security`."""
    for origin in origins.split(", "):
        label, _, rest = origin.rpartition(":")
        archive = rest.rpartition("/")[2]
        if label == "Debian-Security" or archive.endswith("-security") or label.startswith("UbuntuESM"):
            return True
    return False


def parse_plan(text: str) -> Tuple[Planned, ...]:
    """Read the steps that `apt-get -s` prints.

    Raises: ValueError: a line of the plan has an unknown format.
    """
    steps: Dict[str, Planned] = {}
    for line in text.split("\n"):
        if line.startswith("Inst "):
            match = _INST.match(line)
            if match is None:
                raise ValueError("not understood: " + line[:200])
            origins = match["origins"]
            security = YES if is_security(origins) else NO
            steps[match["name"]] = Planned(match["name"], match["old"] or "", match["new"], security, repository_of(origins))
        elif line.startswith(("Remv ", "Purg ")):
            match = _REMV.match(line)
            if match is None:
                raise ValueError("not understood: " + line[:200])
            steps.setdefault(match["name"], Planned(match["name"], match["old"], "", NO))
    return tuple(steps.values())


def repository_of(origins: str) -> str:
    """The readable origin of a new version: the suites of `Debian:12.15/oldstable, Debian-Security:12/oldstable-security`."""
    suites = []
    for origin in origins.split(", "):
        label, _, rest = origin.rpartition(":")
        suite = rest.rpartition("/")[2] or rest
        name = f"{label} {suite}".strip()
        if name not in suites:
            suites.append(name)
    return ", ".join(suites)[:200]


class AptReport(NamedTuple):
    """Packages that apt-get names before its plan."""

    kept_back: Tuple[str, ...]
    phased: Tuple[str, ...]
    """Packages that this host gets later, since their update is offered to a part of all hosts at a time."""


def parse_report(text: str) -> AptReport:
    """Read the lists of packages that are kept back or deferred by phasing. Other text is ignored."""
    blocks: Dict[str, List[str]] = {}
    heading = ""
    for line in text.split("\n"):
        if line.startswith("  ") and heading:
            blocks[heading] += [word for word in line.split() if _NAME.match(word)]
            continue
        heading = next((known for known in (_KEPT_BACK, _PHASED) if line.startswith(known)), "")
        if heading:
            blocks.setdefault(heading, [])
    return AptReport(tuple(blocks.get(_KEPT_BACK, ())), tuple(blocks.get(_PHASED, ())))


class Sizes(NamedTuple):
    """Sizes of a plan by `apt-get --print-uris -y`."""

    download_bytes: int
    """-1 = not known."""
    installed_bytes: Optional[int]
    """Change of the used disk space; None = not known."""


def parse_sizes(text: str) -> Sizes:
    """Read the sizes of the files that apt-get would fetch, and its sentence about the disk space."""
    wanted = -1
    installed: Optional[int] = None
    for line in text.split("\n"):
        if line.startswith("Need to get "):
            wanted = max(0, wanted)
        match = _URI.match(line)
        if match is not None and not match["uri"].startswith(("file:", "copy:", "cdrom:")):
            wanted = max(0, wanted) + int(match["size"])
        match = _AFTER.match(line)
        if match is not None:
            size = int(float(match["number"].replace(",", "")) * _UNITS[match["unit"]])
            installed = -size if match["way"] == "freed" else size
    return Sizes(wanted, installed)


class Versions(NamedTuple):
    """One package of `apt-cache policy`."""

    candidate: str
    newest: str
    """The newest version: the first of the version table."""
    security_above: bool
    """Whether a newer version is in a security pocket."""


def parse_phased(text: str) -> List[str]:
    """The packages whose newest version `apt-cache policy` calls phased, such as `0.99.22.2 500 (phased 10%)`. apt-get before 2.7 says of them
    only that they were kept back."""
    found: List[str] = []
    name, candidate = "", ""
    for line in text.split("\n"):
        if line and not line[0].isspace() and line.endswith(":"):
            name, candidate = line[:-1], ""
        elif line.startswith("  Candidate: "):
            candidate = line[len("  Candidate: ") :].strip()
        else:
            match = _PHASED_VERSION.match(line)
            if match and name and match["version"] == candidate and int(match["percent"]) < 100:
                found.append(name)
    return found


def parse_policy(text: str) -> Dict[str, Versions]:
    """Read `apt-cache policy NAME…`."""
    found: Dict[str, Versions] = {}
    name, candidate, newest, security, above = "", "", "", False, True

    def close() -> None:
        if name:
            found[name] = Versions(candidate, newest, security)

    for line in text.split("\n"):
        if line and not line.startswith(" ") and line.endswith(":"):
            close()
            name, candidate, newest, security, above = line[:-1], "", "", False, True
            continue
        match = _CANDIDATE.match(line)
        if match is not None:
            candidate = "" if match["version"] == "(none)" else match["version"]
            continue
        match = _VERSION.match(line)
        if match is not None:
            newest = newest or match["version"]
            above = above and not match["here"].strip()
            continue
        if above and newest and _SECURITY_POCKET.search(line):
            security = True
    close()
    return found


def parse_pinned(text: str) -> Tuple[str, ...]:
    """Read the names under `Pinned packages:` of `apt-cache policy` without names."""
    _, _, below = text.partition("\nPinned packages:")
    return tuple(dict.fromkeys(line.split(" -> ", 1)[0].strip() for line in below.split("\n") if " -> " in line))


def parse_status(line: str) -> Optional[Status]:
    """Read one line of APT::Status-Fd; None: the line has no progress."""
    kind, _, rest = line.partition(":")
    if kind not in ("dlstatus", "pmstatus", "pmerror"):
        return None
    # a package may contain a colon (`libc6:i386`), so the number is found by its form
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
    """The lock that another process holds, if this line reports it; else None."""
    match = _LOCK.search(line.rstrip())
    return Lock(match["file"], match["pid"] or "", match["name"] or "") if match else None


def is_stale_repository(line: str) -> bool:
    """Whether a line reports that a repository could not be refreshed."""
    return line.startswith("Err:") or bool(_FETCH_FAILED.match(line))
