"""The backend for dnf 4: RHEL, Rocky and Alma 8 to 10, Amazon Linux 2023, Fedora up to 40."""

import glob
import os
import tempfile
from typing import List, Mapping, Sequence, Tuple

from spider.packages.dnf import parsers as dnf_parsers
from spider.packages.dnf.backend import PLAN_LIMIT_S, QUERY, DnfFamily, ExtraResults, lines_of, plugin_setting
from spider.packages.dnf.parsers import Advisory
from spider.packages.interfaces import ENVIRONMENT, PackagesUnreadable, run_query
from spider.packages.rpm.parsers import RpmPackage

PROGRAMS = ("dnf", "dnf-3", "yum")
"""Possible names of the program. `detect.py` has checked that the program is dnf 4."""
LOCKS_SETTINGS = "/etc/dnf/plugins/versionlock.conf"
LOCKS = "/etc/dnf/plugins/versionlock.list"
_ADVISORIES = ("updateinfo", "list", "--updates", "--security")
_UPGRADES = ("repoquery", "--upgrades", "--latest-limit=1", "--qf")
_NEEDED = (*_UPGRADES[:-1], "--requires", "--resolve", "--qf")
_READ = (".solv", ".solvx")
"""Suffixes of the cache files of libsolv."""


class Dnf4(DnfFamily):
    """The backend for dnf 4."""

    name = "dnf"
    environment: Mapping[str, str] = {**ENVIRONMENT, "DNF_DISABLE_ALIASES": "1"}
    """The variable disables aliases: an alias may change any command."""
    cache_dir = "/var/cache/dnf"
    neutral = (*DnfFamily.neutral, "--setopt=strict=1", "--setopt=destdir=")
    pid_files: Tuple[str, ...] = (
        "/var/lib/dnf/rpmdb_lock.pid",
        "/run/dnf/rpmdb_lock.pid",
        "/var/cache/dnf/download_lock.pid",
        "/var/cache/dnf/metadata_lock.pid",
    )
    ignore_holds = ("--disableexcludes=all", "--disableplugin=versionlock")
    upgrading = ("upgrade", "--nobest")

    def __init__(self, program: str = "", machine: str = "") -> None:
        super().__init__(machine)
        self.program = program or next((name for name in PROGRAMS if os.path.exists("/usr/bin/" + name)), PROGRAMS[0])

    def locked_patterns(self) -> List[str]:
        """The list of the versionlock plugin."""
        return lines_of(plugin_setting(LOCKS_SETTINGS, "locklist", LOCKS))

    def can_lock(self) -> str:
        """Checks that the file of the versionlock plugin exists."""
        if glob.glob("/usr/lib*/python3*/*-packages/dnf-plugins/versionlock.py"):
            return ""
        return "dnf can hold packages with its versionlock plugin only: install python3-dnf-plugin-versionlock (python3-dnf-plugins-core)"

    @property
    def tells_sizes(self) -> bool:  # type: ignore[override]  # a constant in the other backends
        """False for root: dnf's shell, which only root uses, also returns sizes."""
        return not self.side_by_side

    def query(self) -> str:
        """The query format with the installed size."""
        return QUERY + "|%{installsize}"

    @property
    def side_by_side(self) -> bool:  # type: ignore[override]  # a constant in the other backends
        """True for root: a query of root may use a second cache folder with a lock of its own. Other users have one cache with one lock."""
        return os.geteuid() == 0

    def query_extras(self, *, advisories: bool, newer: bool) -> ExtraResults:
        """Runs the queries in one dnf shell, since the start of dnf is slow. If the shell fails, the queries run one by one.

        The results include held packages.
        """
        if not self.side_by_side or not (advisories or newer):
            return super().query_extras(advisories=advisories, newer=newer)
        lines = [" ".join(_ADVISORIES)] * advisories
        if newer:  # one bar marks newer versions, and two bars mark their dependencies, whose sizes are needed
            lines += [f'{" ".join(_UPGRADES)} "|{self.query()}"', f'{" ".join(_NEEDED)} "||{self.query()}"']
        try:
            with tempfile.TemporaryDirectory(prefix="stardust-dnf-") as folder:
                self._share_cache(folder)
                options = ("-C", "-q", *self.ignore_holds, f"--setopt=cachedir={folder}")
                answer_text = "\n".join([*lines, "exit\n"])
                answer = run_query([self.program, *self.neutral, *options, "shell"], self.environment, PLAN_LIMIT_S, answer_text)
            if answer.rc or answer.err.strip():
                raise PackagesUnreadable(self._failure_text(answer))
            listed, found = dnf_parsers.parse_shell(answer.out)
            sizes = dnf_parsers.parse_sizes("\n".join(line.lstrip("|") for line in found.split("\n")))
            newest = "\n".join(line for line in found.split("\n") if not line.startswith("|"))
            return ExtraResults(
                dnf_parsers.parse_advisories(listed) if advisories else None, self._packages(newest) if newer else (), sizes
            )
        except (PackagesUnreadable, OSError):
            return super().query_extras(advisories=advisories, newer=newer)

    def _share_cache(self, folder: str) -> None:
        """Link the cached files, without the lock, into another folder, to which dnf then writes new files. Raises: OSError."""
        for entry in os.scandir(self.cache_dir):
            if entry.name.endswith(_READ) or entry.is_dir():
                os.symlink(entry.path, os.path.join(folder, entry.name))

    def advisories(self, options: Sequence[str] = ()) -> List[Advisory]:
        return dnf_parsers.parse_advisories(self.query_output(*options, *_ADVISORIES))

    def upgrades(self, options: Sequence[str] = ()) -> List[RpmPackage]:
        return self._packages(self.query_output(*options, *_UPGRADES, self.query()))
