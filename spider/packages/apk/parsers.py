"""Parsers of apk's output and files, tested on recordings of apk-tools 3.0.6. apk-tools 2.14 prints the same lines by its documentation."""

import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

_STEP = re.compile(
    r"\((\d+)/(\d+)\) (Installing|Upgrading|Downgrading|Reinstalling|Replacing|Purging) (\S+)"
    r"(?: \((\S+?)(?: -> (\S+?))?\))?(?: |\Z)"
)
_BAR = re.compile(r"\A(?: {0,2}\d{1,3}% [\u2588 ]*)+")
_UPGRADABLE = re.compile(r"(\S+) \S+ \{[^}]*\} \(.*\) \[upgradable from: (\S+)\]\Z")
_VERSION_AT = re.compile(r"-(?=[0-9][^-]*-r[0-9]+\Z)")
_UNREACHED = re.compile(r"(?<!\d)(\d+) unavailable, (\d+) stale")
_UNOPENED = re.compile(r"^WARNING: (?:updating and )?opening (?:from cache )?(\S+): ", re.MULTILINE)
_WORLD = re.compile(r"([^=<>~@!\s]+)(?:([=<>~]+)\S+)?(?:@\S+)?\Z")


class ApkPackage(NamedTuple):
    """One record of the database of installed packages."""

    version: str
    installed_bytes: int
    broken: bool
    """Whether its script failed or files are missing."""


class ApkStep(NamedTuple):
    """One line of a transaction, real or simulated."""

    number: int
    """1 to `of`."""
    of: int
    verb: str
    package: str
    before: str
    """The installed version; empty = not installed."""
    after: str
    """The version afterwards; empty = removed."""


_NEUTRALISED = frozenset(
    {
        *("interactive", "no-interactive", "quiet", "verbose", "progress", "no-progress", "progress-fd", "legacy-info", "no-legacy-info"),
        *("simulate", "update-cache", "cache-max-age", "force", "force-broken-world", "purge", "wait", "no-network", "print-arch", "help"),
        *("version", "root", "no-scripts"),
    }
)
"""Options that change output, questions or actions."""


def own_options(config: str) -> List[str]:
    """The options of `/etc/apk/config` that apply to Spider's calls: repositories, trusted keys, cache.

    Source: apk(8): one long option per line, followed by its value.
    """
    options: List[str] = []
    for line in config.splitlines():
        name, _, value = line.strip().partition(" ")
        if name and not name.startswith("#") and name not in _NEUTRALISED:
            options += ["--" + name, *([value.strip()] if value.strip() else [])]
    return options


def parse_repositories(text: str) -> List[str]:
    """Read the repositories in a file such as `/etc/apk/repositories`.

    Source: apk-repositories(5): `#` begins a comment, and `set` a variable of apk 3.
    """
    lines = [line.split() for line in text.splitlines()]
    return [words[-1] for words in lines if words and not words[0].startswith("#") and words[0] != "set"]


def parse_database(text: str) -> Dict[str, ApkPackage]:
    """Read `lib/apk/db/installed`.

    Raises: ValueError: the database has no packages.
    Source: a line for each field, and an empty line between packages. P: package, V: version, I: installed size, f: what is broken
            (files, script, xattrs).
    """
    found: Dict[str, ApkPackage] = {}
    for paragraph in text.split("\n\n"):
        fields: Dict[str, str] = {}
        for line in paragraph.split("\n"):
            if line[1:2] == ":":
                fields.setdefault(line[0], line[2:])
        if "P" in fields and "V" in fields:
            size = fields.get("I", "")
            found[fields["P"]] = ApkPackage(fields["V"], int(size) if size.isdecimal() else 0, "f" in fields)
    if not found:
        raise ValueError("no packages in it")
    return found


def parse_steps(text: str) -> List[ApkStep]:
    """Read the steps that apk prints with `--simulate`.

    Raises: ValueError: the number of steps differs from apk's count.
    """
    found = [step for step in map(parse_step, text.splitlines()) if step is not None]
    if found and [step.number for step in found] != list(range(1, found[-1].of + 1)):
        raise ValueError(f"{len(found)} steps of {found[-1].of}")
    return found


def parse_step(line: str) -> Optional[ApkStep]:
    """Read one line. None: not a step."""
    match = _STEP.match(line)
    if match is None:
        return None
    verb, package, first, second = match.group(3), match.group(4), match.group(5) or "", match.group(6) or ""
    if verb == "Installing":
        before, after = "", first
    elif verb == "Purging":
        before, after = first, ""
    else:
        before, after = first, second or first
    return ApkStep(int(match.group(1)), int(match.group(2)), verb, package, before, after)


def not_removed(steps: Iterable[ApkStep], packages: Iterable[str]) -> List[str]:
    """The names in `packages` that a simulated `apk del` would not remove, since other packages need them."""
    removed = {step.package for step in steps if not step.after}
    return sorted(set(packages) - removed)


def without_bar(line: str) -> str:
    """A line without the progress bar that a terminal shows before it."""
    return _BAR.sub("", line)


def split_name(text: str) -> Tuple[str, str]:
    """The name and version of `name-1.0-r0`; the version may be empty."""
    parts = _VERSION_AT.split(text, maxsplit=1)
    return (parts[0], parts[1]) if len(parts) == 2 else (text, "")


def parse_upgradable(text: str) -> Dict[str, str]:
    """Read `apk list --upgradable`: package to available version. It includes pinned and unresolvable packages."""
    matches = [_UPGRADABLE.match(line) for line in text.splitlines()]
    return dict(split_name(match.group(1)) for match in matches if match is not None)


def parse_world(text: str) -> Tuple[List[str], Dict[str, str]]:
    """Read /etc/apk/world.

    Returns: the requested names; and, for names with a version, the operator: `=` holds a package, `>=` and `~` allow upgrades.
    """
    matches = [match for match in map(_WORLD.match, text.split()) if match is not None]
    return [match.group(1) for match in matches], {match.group(1): match.group(2) for match in matches if match.group(2)}


def unreached(text: str) -> int:
    """The number of repositories that `apk update` could not refresh; 0 = none, or apk did not print it."""
    match = _UNREACHED.search(text)
    return int(match.group(1)) + int(match.group(2)) if match else 0


def parse_unopened(text: str) -> List[str]:
    """Read the repositories without an index from apk's warnings."""
    return list(dict.fromkeys(_UNOPENED.findall(text)))


def parse_progress(line: str) -> Optional[int]:
    """Read a line of `--progress-fd`: `done/total` and the action. Returns percent; None: unknown."""
    done, slash, rest = line.partition("/")
    total = rest.split(" ")[0]
    if not slash or not done.isdecimal() or not total.isdecimal() or int(total) == 0:
        return None
    return min(100, int(100 * int(done) / int(total)))


def major_version(text: str) -> int:
    """Read the major version from `apk-tools 3.0.6, compiled for x86_64.`; 0 = unknown format."""
    match = re.match(r"apk-tools (\d+)", text)
    return int(match.group(1)) if match else 0
