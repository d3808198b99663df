"""Parsers of the output of pacman, tested on recordings of 6.0 and 7.1."""

import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from spider.packages.after.versions import compare_alpm

_UPGRADE = re.compile(r"(\S+) (\S+) -> (\S+)( \[ignored\])?\Z")
_STEP = re.compile(r"\((\d+)/(\d+)\) (installing|upgrading|reinstalling|downgrading|removing) (\S+)")
_PLAIN_STEP = re.compile(r"(installing|upgrading|reinstalling|downgrading|removing) (\S+?)\.\.\.\Z")
_HOOK = re.compile(r"\((\d+)/(\d+)\) (.+)")
_TOTAL = re.compile(r"Total \((\d+)/(\d+)\)")
_FETCHED = re.compile(r" ?(\S+) downloading\.\.\.\Z")
_DEPENDENCY = re.compile(r"([^<>=\s]+)(?:([<>=]+)(\S+))?\Z")
_SIZE = re.compile(r"([0-9.,]+) (B|KiB|MiB|GiB|TiB)\Z")
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


class PacmanSettings(NamedTuple):
    """The settings that `pacman-conf` prints."""

    options: Dict[str, List[str]]
    repositories: Tuple[str, ...]
    """Repositories in their order."""

    def all_of(self, name: str) -> List[str]:
        """The values of an option; empty = not set."""
        return self.options.get(name, [])

    def first(self, name: str) -> str:
        """The first value of an option; empty = not set."""
        return next(iter(self.all_of(name)), "")


class Upgrade(NamedTuple):
    """One line of `pacman -Qu`."""

    package: str
    before: str
    after: str
    ignored: bool


class PacmanTarget(NamedTuple):
    """One line of `--print --print-format PRINT_FORMAT`."""

    package: str
    version: str
    repository: str
    download_bytes: int


PRINT_FORMAT = "%n|%v|%r|%s"


class PackageDetails(NamedTuple):
    """The details of a package in a repository."""

    package: str
    replaces: Tuple[str, ...]
    """Names with version conditions: `old<2`."""
    installed_bytes: int
    repository: str = ""
    version: str = ""


class PacmanProgress(NamedTuple):
    """The progress that a line reports."""

    phase: str
    percent: int = -1
    package: str = ""
    text: str = ""


def parse_settings(text: str) -> PacmanSettings:
    """Read `pacman-conf`. It prints a section of options, then a section for each repository, and a line for each value."""
    options: Dict[str, List[str]] = {}
    repositories: List[str] = []
    for line in text.splitlines():
        if line.startswith("[") and line.endswith("]"):
            repositories.append(line[1:-1])
            continue
        name, _, value = line.partition(" = ")
        if repositories == ["options"] and value:
            options.setdefault(name, []).append(value)
    return PacmanSettings(options, tuple(repositories[1:]))


def parse_installed(text: str) -> Dict[str, str]:
    """Read `pacman -Q`: package to version.

    Raises: ValueError: a line has another format.
    """
    found: Dict[str, str] = {}
    for line in text.splitlines():
        name, _, version = line.partition(" ")
        if not name or not version or " " in version:
            raise ValueError(f"not understood: {line[:200]!r}")
        found[name] = version
    return found


def parse_upgrades(text: str) -> List[Upgrade]:
    """Read `pacman -Qu`, which includes ignored packages.

    Raises: ValueError.
    """
    found = []
    for line in text.splitlines():
        match = _UPGRADE.match(line)
        if match is None:
            raise ValueError(f"not understood: {line[:200]!r}")
        found.append(Upgrade(match.group(1), match.group(2), match.group(3), match.group(4) is not None))
    return found


def parse_targets(text: str) -> List[PacmanTarget]:
    """Read the steps that `--print` lists, in their order. Removals have the repository `local`.

    Raises: ValueError.
    """
    found = []
    for line in text.splitlines():
        if line.startswith((":: ", " there is nothing to do")) or not line.strip():
            continue
        fields = line.split("|")
        if len(fields) != 4 or not fields[3].lstrip("-").isdecimal():
            raise ValueError(f"not understood: {line[:200]!r}")
        found.append(PacmanTarget(fields[0], fields[1], fields[2], int(fields[3])))
    return found


def parse_details(text: str) -> List[PackageDetails]:
    """Read `pacman -Si`: paragraphs of `Field : value`. A value may continue on lines that begin with blanks."""
    found = []
    for paragraph in text.split("\n\n"):
        fields: Dict[str, str] = {}
        last = ""
        for line in paragraph.split("\n"):
            key, colon, value = line.partition(" : ")
            if colon and not line.startswith(" "):
                last = key.strip()
                fields[last] = value.strip()
            elif last and line.startswith(" "):
                fields[last] += "  " + line.strip()
        if "Name" in fields:
            replaces = fields.get("Replaces", "None")
            names = tuple(replaces.split()) if replaces != "None" else ()
            size = parse_size(fields.get("Installed Size", ""))
            found.append(PackageDetails(fields["Name"], names, size, fields.get("Repository", ""), fields.get("Version", "")))
    return found


def parse_size(text: str) -> int:
    """Read a size such as `4.00 KiB`, in bytes, as exactly as it is printed; 0 = not a size."""
    match = _SIZE.match(text)
    return int(float(match.group(1).replace(",", "")) * _UNITS[match.group(2)]) if match else 0


def satisfies(package: str, version: str, wanted: str) -> bool:
    """Whether an installed package satisfies a condition such as `name`, `name=1` or `name<2`.

    If the condition has no release, releases are not compared. Source: PKGBUILD(5), `depends`.
    """
    match = _DEPENDENCY.match(wanted)
    if match is None or match.group(1) != package:
        return False
    if not match.group(2):
        return True
    order = compare_alpm(version, match.group(3))
    return {"=": order == 0, "<": order < 0, ">": order > 0, "<=": order <= 0, ">=": order >= 0}.get(match.group(2), False)


def replaced(details: Iterable[PackageDetails], installed: Dict[str, str]) -> Dict[str, str]:
    """The installed packages that are replaced, each with the package that replaces it."""
    found: Dict[str, str] = {}
    for one in details:
        for wanted in one.replaces:
            for name, version in installed.items():
                if name != one.package and satisfies(name, version, wanted):
                    found[name] = one.package
    return found


_BEGINNINGS = (
    (":: Synchronizing package databases", "refresh"),
    (":: Starting full system upgrade", "plan"),
    ("resolving dependencies", "plan"),
    ("looking for conflicting packages", "plan"),
    ("checking dependencies", "plan"),
    (":: Retrieving packages", "download"),
    ("checking keyring", "download"),
    (":: Running pre-transaction hooks", "commit"),
    (":: Processing package changes", "commit"),
    (":: Running post-transaction hooks", "triggers"),
)


def parse_progress(line: str, phase: str) -> Optional[PacmanProgress]:  # noqa: PLR0911  # one return for each kind of line
    """The progress that a line reports; None: it reports none. Args: phase: the phase before this line."""
    for beginning, begun in _BEGINNINGS:
        if line.startswith(beginning):
            return PacmanProgress(begun, text=line.lstrip(": "))
    step = _STEP.match(line)
    if step and phase != "triggers":  # the bar is complete before the package's script runs
        done, of = int(step.group(1)), max(1, int(step.group(2)))
        return PacmanProgress("commit", min(99, int(100 * (done - 0.5) / of)), step.group(4), f"{step.group(3)} {step.group(4)}")
    plain = _PLAIN_STEP.match(line)
    if plain and phase == "commit":
        return PacmanProgress("commit", -1, plain.group(2), line.rstrip("."))
    if phase == "download":
        total = _TOTAL.search(line)
        if total:
            return PacmanProgress("download", int(100 * int(total.group(1)) / max(1, int(total.group(2)))))
        fetched = _FETCHED.match(line)
        return PacmanProgress("download", -1, "", line.strip()) if fetched else None
    if phase == "triggers":
        hook = _HOOK.match(line)
        if hook:
            return PacmanProgress("triggers", int(100 * int(hook.group(1)) / max(1, int(hook.group(2)))), "", hook.group(3)[:200])
    return None
