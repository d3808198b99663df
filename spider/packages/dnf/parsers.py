"""Parsers of the output of dnf 4, dnf 5 and yum, as pure functions.

All three print the plan as a table: package, architecture, version, repository, size. The table is valid only if the number of its rows
equals the count of the summary.
"""

import json
import re
from typing import Dict, FrozenSet, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from spider.packages.backend import Lock
from spider.packages.rpm.parsers import RpmPackage, parse_size, split_nevra, without_zero_epoch

_INSTALL, _UPGRADE, _DOWNGRADE, _REINSTALL, _REMOVE, _SKIP = "install", "upgrade", "downgrade", "reinstall", "remove", "skip"
_SECTIONS: Dict[str, str] = {
    "Installing": _INSTALL,
    "Installing dependencies": _INSTALL,
    "Installing weak dependencies": _INSTALL,
    "Installing for dependencies": _INSTALL,
    "Installing group/module packages": _INSTALL,
    "Upgrading": _UPGRADE,
    "Updating": _UPGRADE,
    "Updating for dependencies": _UPGRADE,
    "Upgrading dependencies": _UPGRADE,
    "Downgrading": _DOWNGRADE,
    "Reinstalling": _REINSTALL,
    "Removing": _REMOVE,
    "Removing dependent packages": _REMOVE,
    "Removing for dependencies": _REMOVE,
    "Removing unused dependencies": _REMOVE,
    "Skipping packages with conflicts": _SKIP,
    "Skipping packages with broken dependencies": _SKIP,
    "Skipped (dependency problems)": _SKIP,
}
_COUNTED: Dict[str, str] = {
    "Install": _INSTALL,
    "Installing": _INSTALL,
    "Upgrade": _UPGRADE,
    "Upgrading": _UPGRADE,
    "Downgrade": _DOWNGRADE,
    "Downgrading": _DOWNGRADE,
    "Reinstall": _REINSTALL,
    "Reinstalling": _REINSTALL,
    "Remove": _REMOVE,
    "Removing": _REMOVE,
    "Skip": _SKIP,
    "Skipping": _SKIP,
}
_COUNT = re.compile(r" ?(?P<what>[A-Z][a-z]+):? +(?P<number>\d+) [Pp]ackages?(?: *\(\+(?P<more>\d+) Dependent packages?\))?$")
_COUNT_DEPENDENT = re.compile(r"(?P<what>[A-Z][a-z]+) +\( *(?P<more>\d+) Dependent packages?\)$")
_REPLACING_4 = re.compile(r"\s{3,}replacing\s+(?P<name>\S+)\.(?P<arch>[^.\s]+)\s+(?P<version>\S+)\s*$")
_REPLACING_5 = re.compile(r"\s{2,}replacing\s+(?P<name>\S+)\s+(?P<arch>\S+)\s+(?P<version>\S+)\s+\S+\s+\S.*$")
_DOWNLOAD = re.compile(r"^(?:Total download size|Total size): (?P<size>.+)$")
_DOWNLOAD_5 = re.compile(r"^Total size of inbound packages is .+\. Need to download (?P<size>[^.]*(?:\.\d+)?[^.]*)\.$")
_SPACE_5 = re.compile(r"\(install (?P<more>[^,]+), remove (?P<less>[^)]+)\)\.$")
_FREED = re.compile(r"^(?P<what>Installed size|Freed space): (?P<size>.*)$")


class DnfRow(NamedTuple):
    """One package in the table."""

    act: str
    """install, upgrade, downgrade, reinstall, remove or skip."""
    package: RpmPackage
    repository: str
    replaces: Tuple[RpmPackage, ...] = ()
    """Other packages that this package replaces."""


class DnfTable(NamedTuple):
    """The printed plan."""

    rows: Tuple[DnfRow, ...] = ()
    download_bytes: int = -1
    """-1 = not printed."""
    installed_bytes: Optional[int] = None
    """Change of the used disk space; None = not printed."""


def parse_table(out: str, err: str = "") -> DnfTable:
    """Read the plan of `dnf … --assumeno`. Output without a table is an empty plan only if dnf prints that nothing is to do.

    Args:   out, err: standard output and standard error. dnf 5 prints the table to standard output, and the sizes to standard error.
    Raises: ValueError: a row has an unknown format, the number of rows differs from the summary, or there is neither a table nor
            "nothing to do".
    """
    rows = _rows(out)
    counted = _counts(out)
    found: Dict[str, int] = {}
    for row in rows:
        found[row.act] = found.get(row.act, 0) + 1
    if found != counted:
        raise ValueError(f"the table has {_counts_text(found)}, its summary says {_counts_text(counted)}")
    lines = (out + "\n" + err).split("\n")
    if not rows and not any(line.startswith(("Nothing to do", "No packages marked for update")) for line in lines):
        raise ValueError("neither a table nor 'nothing to do'")
    return DnfTable(tuple(rows), _download(lines), _space(lines))


def _counts_text(counts: Dict[str, int]) -> str:
    return ", ".join(f"{act} {number}" for act, number in sorted(counts.items())) or "nothing"


def _rows(out: str) -> List[DnfRow]:
    rows: List[DnfRow] = []
    act = ""
    words: List[str] = []

    def close() -> None:
        if words:
            rows.append(_row(act, words))
            del words[:]

    for line in out.split("\n"):
        if line.startswith("Transaction Summary"):
            break
        if line.rstrip().endswith(":") and not line.startswith(" "):
            close()
            act = _SECTIONS.get(line.rstrip()[:-1], "")  # other sections have no packages, or the summary counts them
        elif not act:
            continue
        elif not line.strip() or set(line.strip()) == {"="}:
            close()
            act = act if line.strip() else ""
        elif "replacing" in line.split()[:1] and line.startswith("  "):
            close()
            _replaces(rows, line)
        elif line.startswith(" ") and not line.startswith("  "):
            close()
            words.extend(line.split())
        elif line.startswith("  ") and words:  # a column was too narrow, so the row continues in this line
            words.extend(line.split())
        else:
            raise ValueError("not understood: " + line[:200])
    close()
    return rows


def _row(act: str, words: Sequence[str]) -> DnfRow:
    if len(words) < 5 or parse_size(" ".join(words[4:])) is None:
        raise ValueError("not understood: " + " ".join(words)[:200])
    return DnfRow(act, RpmPackage(words[0], without_zero_epoch(words[2]), words[1]), words[3])


def _replaces(rows: List[DnfRow], line: str) -> None:
    match = _REPLACING_4.match(line) or _REPLACING_5.match(line)
    if match is None or not rows:
        raise ValueError("not understood: " + line[:200])
    row = rows[-1]
    gone = RpmPackage(match["name"], without_zero_epoch(match["version"]), match["arch"])
    if gone.name == row.package.name and row.act != _INSTALL:
        return  # dnf 5 prints the older version of the same package
    rows[-1] = row._replace(replaces=(*row.replaces, gone))


def _counts(out: str) -> Dict[str, int]:
    counted: Dict[str, int] = {}
    _, found, summary = out.partition("Transaction Summary")
    if not found:
        return counted
    for line in summary.split("\n"):
        match = _COUNT.match(line.rstrip()) or _COUNT_DEPENDENT.match(line.rstrip())
        if match is None or match["what"] not in _COUNTED:
            continue
        groups = match.groupdict()
        act = _COUNTED[match["what"]]
        counted[act] = counted.get(act, 0) + int(groups.get("number") or 0) + int(groups["more"] or 0)
    return counted


def _download(lines: Iterable[str]) -> int:
    for line in lines:
        match = _DOWNLOAD.match(line) or _DOWNLOAD_5.match(line)
        size = parse_size(match["size"]) if match else None
        if size is not None:
            return size
    return -1


def _space(lines: Iterable[str]) -> Optional[int]:
    for line in lines:
        five = _SPACE_5.search(line)
        if five:
            more, less = parse_size(five["more"]), parse_size(five["less"])
            return None if more is None or less is None else more - less
        four = _FREED.match(line)
        if four:
            size = parse_size(four["size"])
            return None if size is None else size if four["what"] == "Installed size" else -size
    return None


def parse_repoquery(text: str) -> Dict[Tuple[str, str], RpmPackage]:
    """Read lines of `name|arch|epoch:version-release|…`. Returns: packages by name and architecture.

    Lines without a bar are messages of plugins (subscription-manager).
    Raises: ValueError.
    """
    from_lines: Dict[Tuple[str, str], RpmPackage] = {}
    for line in text.split("\n"):
        if "|" not in line:
            continue
        fields = line.split("|")
        if len(fields) < 3:
            raise ValueError("not understood: " + line[:200])
        package = RpmPackage(fields[0], without_zero_epoch(fields[2]), fields[1])
        from_lines[package.name, package.arch] = package
    return from_lines


def parse_origins(text: str) -> Dict[Tuple[str, str], str]:
    """Read the repositories from the fourth field of lines of repoquery, by name and architecture."""
    lines = [line.split("|") for line in text.split("\n")]
    return {(fields[0], fields[1]): fields[3] for fields in lines if len(fields) > 3}


def parse_sizes(text: str) -> Dict[RpmPackage, int]:
    """Read installed sizes from lines of `name|arch|epoch:version-release|…|bytes` of repoquery or rpm."""
    sizes: Dict[RpmPackage, int] = {}
    for line in text.split("\n"):
        fields = line.split("|")
        if len(fields) > 3 and fields[-1].isdecimal():
            sizes[RpmPackage(fields[0], without_zero_epoch(fields[2]), fields[1])] = int(fields[-1])
    return sizes


def growth(rows: Iterable[DnfRow], now: Iterable[RpmPackage], sizes: Mapping[RpmPackage, int]) -> Optional[int]:
    """The change of the installed size by a plan, in bytes; None: the size of a package is unknown.

    Args: now: the installed packages.
    """
    there: Dict[Tuple[str, str], List[RpmPackage]] = {}
    for package in now:
        there.setdefault((package.name, package.arch), []).append(package)
    comes: List[RpmPackage] = []
    goes: List[RpmPackage] = []
    for row in rows:
        if row.act in ("skip", "reinstall"):
            continue
        if row.act == "remove":
            goes.append(row.package)
            continue
        comes.append(row.package)
        goes += row.replaces
        if row.act != "install":
            older = there.get((row.package.name, row.package.arch))
            if older is None:
                return None  # the new package has another architecture
            goes += older
    if any(package not in sizes for package in (*comes, *goes)):
        return None
    return sum(sizes[package] for package in comes) - sum(sizes[package] for package in goes)


def parse_check_update(text: str) -> List[RpmPackage]:
    """Read `check-update` or `list` of yum and dnf 4, which wrap long lines. Obsoleted packages are omitted.

    Raises: ValueError: an entry has an unknown format, or is not complete.
    """
    found: List[RpmPackage] = []
    words: List[str] = []
    for line in text.split("\n"):
        if line.startswith("Obsoleting Packages"):
            break
        if line.rstrip().endswith("Packages") or line.startswith("Security: ") or not line.strip():
            continue
        words += line.split()
        if len(words) < 3:
            continue
        name, dot, arch = words[0].rpartition(".")
        if not dot or len(words) > 3:
            raise ValueError("not understood: " + " ".join(words)[:200])
        found.append(RpmPackage(name, without_zero_epoch(words[1]), arch))
        words = []
    if words:
        raise ValueError("not understood: " + " ".join(words)[:200])
    return found


_NO_MATCH = re.compile(
    r"^(?:No match for argument|No package|No Match for argument): ?(?P<name>\S+)|^Argument '(?P<other>[^']+)' matches only excluded"
)


def parse_unmatched(text: str) -> List[str]:
    """The requested packages that do not exist or are excluded, from the messages about them."""
    return [match["name"] or match["other"] for match in map(_NO_MATCH.match, text.split("\n")) if match]


class Advisory(NamedTuple):
    """One line of the list of advisories."""

    name: str
    security: bool
    package: RpmPackage


_ADVISORY = re.compile(r"^(?P<name>\S+)\s+(?P<kind>\S+)\s+(?P<nevra>\S+)\s*$")


def parse_advisories(text: str) -> List[Advisory]:
    """Read `updateinfo list` of dnf or yum. Security is decided by the kind (`Important/Sec.`, `security`), not by a vendor's names."""
    found = []
    for line in text.split("\n"):
        match = _ADVISORY.match(line)
        package = split_nevra(match["nevra"]) if match else None
        if match is None or package is None:
            continue
        kind = match["kind"].lower()
        found.append(Advisory(match["name"], kind == "security" or kind.endswith("/sec."), package))
    return found


def parse_shell(text: str) -> Tuple[str, str]:
    """Split the output of dnf's shell into lines of updateinfo and lines of repoquery, which begin with a bar.

    The prompt before the first line of each answer is removed.
    """
    lines = [re.sub(r"^(?:> )+", "", line) for line in text.split("\n")]
    return "\n".join(line for line in lines if not line.startswith("|")), "\n".join(line[1:] for line in lines if line.startswith("|"))


def parse_advisories_json(text: str) -> List[Advisory]:
    """Read `dnf5 advisory list --json`.

    Raises: ValueError: another format.
    """
    found = []
    try:
        for item in json.loads(text or "[]"):
            package = split_nevra(str(item["nevra"]))
            if package is not None:
                found.append(Advisory(str(item["name"]), item["type"] == "security", package))
    except (KeyError, TypeError) as exc:
        raise ValueError("not a list of advisories") from exc
    return found


def secured(advisories: Iterable[Advisory]) -> FrozenSet[Tuple[str, str]]:
    """Name and architecture of the packages of security advisories."""
    return frozenset((item.package.name, item.package.arch) for item in advisories if item.security)


class DnfStep(NamedTuple):
    """The progress of a transaction."""

    done: int
    total: int
    what: str
    """Name and version as printed; often truncated, so not a valid package name."""


_STEP_4 = re.compile(
    r"^\s+(?:Upgrading|Updating|Installing|Running scriptlet|Cleanup|Obsoleting|Erasing|Removing|Downgrading|Reinstalling)"
    r"\s+: (?P<what>\S*)(?:\s.*?)?\s(?P<done>\d+)/(?P<total>\d+)\s*$"
)
_STEP_5 = re.compile(r"^\[ *(?P<done>\d+)/(?P<total>\d+)\] (?P<verb>[A-Z]\w+ )?(?P<what>.+?) +(?P<percent>\d+)% [|\[]")
_DOWNLOADED_4 = re.compile(r"^\((?P<done>\d+)/(?P<total>\d+)\): (?P<what>\S+)")


def parse_step(line: str) -> Optional[DnfStep]:
    """Read a transaction line of dnf 4 or yum. Lines of the verification that follows are ignored: they count from one again."""
    match = _STEP_4.match(line)
    return DnfStep(int(match["done"]), int(match["total"]), match["what"]) if match and int(match["total"]) else None


def parse_download(line: str) -> Optional[DnfStep]:
    """Read a download line of dnf 4 or yum."""
    match = _DOWNLOADED_4.match(line)
    return DnfStep(int(match["done"]), int(match["total"]), match["what"]) if match and int(match["total"]) else None


def parse_step_5(line: str) -> Optional[DnfStep]:
    """Read a line of dnf 5. Download and transaction lines have the same format."""
    match = _STEP_5.match(line)
    if match is None or not int(match["total"]):
        return None
    done = int(match["done"]) if int(match["percent"]) >= 100 else max(0, int(match["done"]) - 1)
    return DnfStep(done, int(match["total"]), match["what"].strip())


_WAITS_4 = re.compile(r"^Waiting for process with pid (?P<pid>\d+) to finish")
_LOCKED_4 = re.compile(r"^(?:RPMDB|Metadata cache|\w[\w ]*) already locked by (?P<pid>\d+)")
_HOLDER_3 = re.compile(
    r"^(?:Existing lock (?P<file>\S+): another copy is running as pid (?P<pid>\d+)|Another app is currently holding the yum lock)"
)
_HOLDER_5 = re.compile(r"^(?P<pid>\d+)\t(?P<name>\S+)")


def parse_lock(line: str) -> Optional[Lock]:
    """The lock for which dnf 4 or yum waits, if this line reports it; else None."""
    match = _WAITS_4.match(line) or _LOCKED_4.match(line)
    if match:
        return Lock("the package database", match["pid"])
    match = _HOLDER_3.match(line)
    return Lock(match["file"] or "yum's lock", match["pid"] or "") if match else None


def parse_lock_5(line: str, *, waits: bool) -> Optional[Lock]:
    """The lock for which dnf 5 waits, if this line reports it; else None. Args: waits: whether the line before announced the wait."""
    if line.startswith("Waiting for a lock on the system repository"):
        return Lock("the package database")
    match = _HOLDER_5.match(line) if waits else None
    return Lock("the package database", match["pid"], match["name"].rpartition("/")[2]) if match else None


_STALE = re.compile(
    r"(?:Failed to download metadata|Cannot prepare internal mirrorlist|Cannot download repomd\.xml|Ignoring repositories: \S|"
    r"Failed to synchronize cache for repo|repomd\.xml: \[Errno|Errors during downloading metadata for repository|"
    r"Failure: repodata/repomd\.xml from|repomd\.xml GPG signature verification error|Metadata file does not match checksum|"
    r"Usable URL not found|Cannot retrieve repository metadata|"
    r"One of the configured repositories failed|Bad .*GPG signature)"
)


def is_stale(line: str) -> bool:
    """Whether a line reports that a repository could not be refreshed."""
    return bool(_STALE.search(line))
