"""Parsers of zypper's XML and lines, as pure functions."""

import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Set, Tuple
from xml.etree import ElementTree

from spider.packages.after.versions import compare_rpm
from spider.packages.backend import Lock
from spider.packages.rpm.parsers import RpmPackage

UPGRADE, INSTALL, REMOVE = "upgrade", "install", "remove"
_ACTS: Dict[str, str] = {
    "to-upgrade": UPGRADE,
    "to-upgrade-change-arch": UPGRADE,
    "to-upgrade-change-vendor": UPGRADE,
    "to-downgrade": UPGRADE,
    "to-downgrade-change-arch": UPGRADE,
    "to-downgrade-change-vendor": UPGRADE,
    "to-change-arch": UPGRADE,
    "to-change-vendor": UPGRADE,
    "to-reinstall": UPGRADE,
    "to-install": INSTALL,
    "to-remove": REMOVE,
}
_ARCHES = frozenset(
    ["noarch", "x86_64", "i386", "i486", "i586", "i686", "aarch64", "armv6hl", "armv7hl", "ppc64", "ppc64le", "s390", "s390x", "riscv64"]
)
_CONFLICT = re.compile(r"^(?:Conflicts +:)?\s*(?P<name>[A-Za-z0-9_][A-Za-z0-9._+-]*) < (?P<version>\S+)$")
_LOCKED = re.compile(r"System management is locked by the application with pid (?P<pid>\d+)(?: \((?P<name>[^)]*)\))?")
_STEP = re.compile(
    r"^\((?P<done>\d+)/(?P<total>\d+)\) (?P<act>Installing|Removing|Cleaning up|Executing \S+ script for|Executing \S+ script): ?"
    r"(?P<what>\S+) (?P<end>.*)$"
)
_FETCHED = re.compile(r"^(?:Retrieving|In cache)(?: package)?:? (?P<what>\S+) .*?\((?P<done>\d+)/(?P<total>\d+)\)")
_STALE = re.compile(
    r"(?:^Repository '[^']*' is invalid|Skipping repository '|repositories have not been refreshed|Failed to retrieve new repository metadata|"
    r"Valid metadata not found|^Could not refresh the repositories|Signature verification failed for file|"
    r"Repository '[^']*' is out-of-date|Error building the cache|File '[^']*repomd\.xml' from repository .* is (?:unsigned|signed with an unknown))"
)


class ZypperRow(NamedTuple):
    """One package that would change."""

    act: str
    package: RpmPackage
    before: str
    """The installed version; empty = not installed."""
    repository: str


class ZypperSummary(NamedTuple):
    """The summary of zypper's plan."""

    rows: Tuple[ZypperRow, ...] = ()
    download_bytes: int = -1
    installed_bytes: Optional[int] = None
    reboot: Optional[bool] = None
    """Whether a reboot is due by zypper's own list; None = this release does not print it."""
    problem: str = ""
    """The decision for which zypper asks; empty = none."""
    errors: Tuple[str, ...] = ()
    missing: Tuple[str, ...] = ()
    """Requested packages that do not exist."""


def _tree(text: str) -> ElementTree.Element:
    start = text.find("<?xml")
    try:
        if start < 0:
            raise ValueError("no XML: " + text.strip()[:200])
        return ElementTree.fromstring(text[start:])  # noqa: S314  # zypper of this host wrote it, and escapes text of repositories
    except ElementTree.ParseError as exc:
        raise ValueError(f"broken XML: {exc}") from exc


def _without_epoch(evr: str) -> str:
    return evr[2:] if evr.startswith("0:") else evr


def _int(text: Optional[str]) -> Optional[int]:
    return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else None


_NO_PROVIDER = re.compile(r"(?:No provider of '(?P<one>[^']+)' found|Package '(?P<two>[^']+)' not found)")


def messages(text: str, kind: str = "error") -> List[str]:
    """The messages of one kind in XML output.

    Raises: ValueError.
    """
    return [" ".join((item.text or "").split()) for item in _tree(text).iter("message") if item.get("type") == kind]


def parse_summary(text: str) -> ZypperSummary:
    """Read `zypper --xmlout … --dry-run`.

    Raises: ValueError: no summary and no reason, or the number of packages differs from zypper's count.
    """
    tree = _tree(text)
    errors = tuple(messages(text))
    message_texts = [" ".join((item.text or "").split()) for item in tree.iter("message")]
    missing = tuple(match["one"] or match["two"] for match in map(_NO_PROVIDER.search, message_texts) if match)
    problems = [" ".join((item.text or "").split()) for prompt in tree.iter("prompt") for item in prompt.findall("description")]
    summary = tree.find("install-summary")
    if summary is None:
        if not problems and not errors and not any("Nothing to do" in line for line in message_texts):
            raise ValueError("neither a summary nor 'nothing to do'")
        return ZypperSummary(problem=" · ".join(problems)[:800], errors=errors, missing=missing)
    rows = []
    for section in summary:
        act = _ACTS.get(section.tag)
        for item in section.findall("solvable"):
            if item.get("type") != "package":
                continue
            if act is None:
                raise ValueError(f"not understood: <{section.tag}>")
            name, version = item.get("name", ""), _without_epoch(item.get("edition", ""))
            if not name or not version:
                raise ValueError("not understood: a package without name or version")
            old = _without_epoch(item.get("edition-old", "")) if act == UPGRADE else version if act == REMOVE else ""
            rows.append(
                ZypperRow(act, RpmPackage(name, version, item.get("arch", "")), old, item.get("repository", "") if act != REMOVE else "")
            )
    counted = _int(summary.get("packages-to-change"))
    if counted is not None and counted != len(rows):
        raise ValueError(f"the summary has {len(rows)} packages and says {counted}")
    download = _int(summary.get("download-size"))
    reboot = summary.get("need-reboot")
    return ZypperSummary(
        tuple(rows),
        -1 if download is None else download,
        _int(summary.get("space-usage-diff")),
        None if reboot is None else reboot == "1",
        " · ".join(problems)[:800],
        errors,
        missing,
    )


def _listed(text: str, kind: str) -> List[ElementTree.Element]:
    """The items of one kind in a list of updates or patches.

    Raises: ValueError: the list is missing.
    """
    tree = _tree(text)
    if tree.find(".//update-list") is None:
        raise ValueError(" · ".join(messages(text))[:800] or "zypper printed no list")
    return [item for item in tree.iter("update") if item.get("kind") == kind]


class Update(NamedTuple):
    """One package with a newer version."""

    package: RpmPackage
    """The package in its newer version."""
    before: str
    """The installed version."""
    repository: str


def parse_updates(text: str) -> List[Update]:
    """Read `zypper --xmlout list-updates`.

    Raises: ValueError: the list is missing.
    """
    found = []
    for item in _listed(text, "package"):
        source = item.find("source")
        package = RpmPackage(item.get("name", ""), _without_epoch(item.get("edition", "")), item.get("arch", ""))
        found.append(Update(package, _without_epoch(item.get("edition-old", "")), "" if source is None else source.get("alias", "")))
    return found


class Patch(NamedTuple):
    """One needed patch."""

    name: str
    security: bool
    restart: bool
    """Whether it needs a reboot."""


def parse_patches(text: str) -> List[Patch]:
    """Read the needed patches of `zypper --xmlout list-patches`.

    Raises: ValueError: the list is missing.
    """
    return [
        Patch(item.get("name", ""), item.get("category") == "security", item.get("restart") == "true")
        for item in _listed(text, "patch")
        if item.get("status", "needed") == "needed"
    ]


def parse_patched(text: str) -> List[RpmPackage]:
    """Read `zypper patch-info`: the packages that a patch fixes, in the fixed version. An empty architecture stands for any."""
    found = []
    for line in text.split("\n"):
        match = _CONFLICT.match(line.rstrip())
        if match is None:
            continue
        name, dot, arch = match["name"].rpartition(".")
        known = dot and arch in _ARCHES
        found.append(RpmPackage(name if known else match["name"], _without_epoch(match["version"]), arch if known else ""))
    return found


def mended(patched: Iterable[RpmPackage], name: str, arch: str, before: str) -> bool:
    """Whether a patch fixes the installed version of this package."""
    return any(cure.name == name and cure.arch in ("", arch) and bool(before) and compare_rpm(before, cure.version) < 0 for cure in patched)


def parse_found(text: str) -> Set[str]:
    """Read the names of `zypper --xmlout search --match-exact --type package`.

    Raises: ValueError.
    """
    return {item.get("name", "") for item in _tree(text).iter("solvable") if item.get("kind") == "package"}


def parse_locks(text: str) -> List[str]:
    """Read the locked package names and patterns of `/etc/zypp/locks`. Locks of one version or one repository count, too."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        entries = dict(pair for pair in (line.partition(":")[::2] for line in block.split("\n")) if pair[1])
        kind = entries.get("type", "package").strip()
        name = entries.get("solvable_name", "").strip()
        if name and kind == "package":
            found.append(name.split()[0])
    return found


def parse_lock(line: str) -> Optional[Lock]:
    """zypper's lock, if this line reports that another process holds it; else None."""
    match = _LOCKED.search(line)
    return Lock("/run/zypp.pid", match["pid"], match["name"] or "") if match else None


class ZypperStep(NamedTuple):
    """The progress of zypper."""

    done: int
    total: int
    what: str
    """The package: name, version, release, architecture."""
    act: str


def parse_step(line: str) -> Optional[ZypperStep]:
    """Read `(2/5) Installing: lab-extra-2.0-1.lab.noarch [done]`."""
    match = _STEP.match(line)
    if match is None or not int(match["total"]):
        return None
    return ZypperStep(int(match["done"]), int(match["total"]), match["what"], match["act"])


def parse_fetched(line: str) -> Optional[ZypperStep]:
    """Read `Retrieving package lab-conf-2.0-1.lab.noarch (1/5), …`, or the corresponding line of newer releases."""
    match = _FETCHED.match(line)
    if match is None or not int(match["total"]):
        return None
    return ZypperStep(int(match["done"]), int(match["total"]), match["what"], "Retrieving")


def is_stale(line: str) -> bool:
    """Whether a line reports that a repository could not be refreshed."""
    return bool(_STALE.search(line))
