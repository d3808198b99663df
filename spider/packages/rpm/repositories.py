"""Reads the repository files of dnf, yum and zypper: enabled repositories, excludes, and the age of the metadata.

Spider does not query the managers for it: with an empty cache they print nothing and return 0, as if there were no updates.
"""

import configparser
import glob
import os
import re
from typing import Iterable, List, NamedTuple, Optional, Sequence, Tuple

from spider.packages.backend import PackageError, need_repositories

_FALSE = ("0", "false", "no", "off")
_UPDATEINFO = b'type="updateinfo"'
MAX_REPOMD_BYTES = 1024 * 1024


class Repository(NamedTuple):
    """One enabled repository."""

    name: str
    refreshed_at: float
    """When its metadata was last confirmed as current, Unix seconds; 0 = it has none."""
    advisories: bool
    """Whether the repository has security advisories."""


def _parser(paths: Iterable[str]) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#", ";"), default_section="")
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                parser.read_file(file)
        except (OSError, configparser.Error):  # noqa: PERF203  # the manager reports the error when it runs; here the file counts as empty
            continue
    return parser


def _repo_files(folders: Iterable[str]) -> List[str]:
    return [path for folder in folders for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*.repo")))]


def enabled(folders: Sequence[str], main: str = "", overrides: Sequence[str] = ()) -> List[str]:
    """Names of the enabled repositories.

    Args: folders: folders of `*.repo` files. main: a settings file that may contain repositories. overrides: folders of `*.repo`
          files that override options (dnf 5); a section may be a pattern.
    """
    parser = _parser([main, *_repo_files(folders)] if main else _repo_files(folders))
    over = _parser(_repo_files(overrides))
    found = []
    for name in parser.sections():
        if name == "main":
            continue
        value = parser[name].get("enabled", "1")
        for pattern in over.sections():
            if re.fullmatch(_as_regex(pattern), name):
                value = over[pattern].get("enabled", value)
        if value.strip().lower() not in _FALSE:
            found.append(name)
    return found


def _as_regex(pattern: str) -> str:
    return "".join(".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)


def option(main: str, key: str) -> str:
    """An option of section `main` of a settings file; empty = not set, or its value has variables."""
    parser = _parser([main])
    value = parser["main"].get(key, "").strip() if parser.has_section("main") else ""
    return "" if "$" in value else value


def excluded(main: str, folders: Sequence[str] = (), overrides: Sequence[str] = ()) -> List[str]:
    """Patterns of packages that the settings or an enabled repository exclude (`excludepkgs`, `exclude`). Args: as for `enabled`."""
    parser = _parser([main, *_repo_files(folders)])
    patterns: List[str] = []
    for name in ("main", *enabled(folders, main, overrides)):
        if name not in parser:
            continue
        for key in ("excludepkgs", "exclude"):
            patterns += [word for word in re.split(r"[\s,]+", parser[name].get(key, "")) if word and word not in patterns]
    return patterns


def repository(name: str, folders: Iterable[str]) -> Repository:
    """The cached metadata of a repository. Args: folders: possible folders; the most recently refreshed folder counts."""
    newest: Tuple[float, Optional[str]] = (0.0, None)
    for folder in folders:
        path = os.path.join(folder, "repomd.xml")
        try:
            if not os.path.isfile(path):
                continue
            # for an unchanged repository, dnf touches the package list, and zypper touches repomd.xml
            files = [entry.path for entry in os.scandir(folder) if entry.is_file()]
            at = max(os.stat(file).st_mtime for file in files)
        except OSError:
            continue
        newest = max(newest, (at, path))
    at, found = newest
    if found is None:
        return Repository(name, 0.0, advisories=False)
    try:
        with open(found, "rb") as file:
            advisories = _UPDATEINFO in file.read(MAX_REPOMD_BYTES)
    except OSError:
        advisories = False
    return Repository(name, at, advisories)


def dnf_repository(name: str, cache: str) -> Repository:
    """The cached metadata of a repository of dnf 4 or 5: `<cache>/<name>-<16 hex digits>/repodata`, a folder for each address it had."""
    pattern = os.path.join(glob.escape(cache), glob.escape(name) + "-" + "[0-9a-f]" * 16, "repodata")
    return repository(name, glob.glob(pattern))


def refreshed_at(repositories: Iterable[Repository]) -> float:
    """The oldest refresh of the repositories with metadata, Unix seconds; 0 = no repository has metadata."""
    return min((one.refreshed_at for one in repositories if one.refreshed_at), default=0.0)


def missing(repositories: Iterable[Repository]) -> List[str]:
    """Names of the repositories without metadata."""
    return [one.name for one in repositories if not one.refreshed_at]


def require_metadata(repositories: Sequence[Repository]) -> Sequence[Repository]:
    """Refuse a query if no repository has metadata: updates are unknown then. Returns: `repositories`.

    Raises: PackageError.
    """
    if not any(one.refreshed_at for one in need_repositories(repositories)):
        raise PackageError("job.lists_missing", "no repository was ever loaded on this node, so nothing is known of updates: refresh first")
    return repositories


def require_advisories(verb: str, repositories: Iterable[Repository]) -> None:
    """Refuse a security upgrade if no repository has advisories: an empty plan would be wrong.

    Raises: PackageError.
    """
    if verb == "security-upgrade" and not any(one.advisories for one in repositories):
        raise PackageError(
            "job.not_supported", "no repository of this server says which updates are for security: upgrade everything instead"
        )


def not_refreshed_since(repositories: Iterable[Repository], since: float) -> List[str]:
    """Names of the repositories that were not refreshed since `since`, less two seconds for coarse time stamps of file systems."""
    return [one.name for one in repositories if one.refreshed_at < since - 2.0]
