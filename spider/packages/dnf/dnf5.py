"""The backend for dnf 5: Fedora 41 and newer."""

import json
import os
import re
import tempfile
from typing import List, Sequence, Tuple

from spider.files import read_file
from spider.packages.backend import Reboot
from spider.packages.dnf import parsers as dnf_parsers
from spider.packages.dnf.backend import PLAN_LIMIT_S, QUERY, DnfFamily
from spider.packages.dnf.parsers import Advisory
from spider.packages.dnf.run_reader import DnfReader
from spider.packages.interfaces import Console, Output, PackagesUnreadable, run_query
from spider.packages.plan import NO, UNKNOWN, YES, Planned
from spider.packages.rpm.parsers import RpmPackage
from spider.wire.sentences import name_list, sentence

LOCKS = "/etc/dnf/versionlock.toml"
_LOCKED = re.compile(r'^\s*name\s*=\s*"([^"\\]+)"\s*$')


class Dnf5Reader(DnfReader):
    """Parses the output of dnf 5. Lines of downloads and of the transaction have the same form; script output follows `>>>`."""

    TROUBLE = re.compile(
        r"^(?:Error|Failed|Transaction failed|Problem|No match for|Argument '|Cannot|Warning: (?!skipped OpenPGP)|\s+- (?:nothing|package|cannot|conflict)"
        r"|>>> \[RPM\]|>>> (?:Non-critical )?[Ee]rror in|>>> Curl error|>>> No more mirrors|>>> Usable URL)\b.*\S"
    )

    def __init__(self, console: Console, steps: Sequence[Planned] = ()) -> None:
        super().__init__(console, steps)
        self._waits = False

    def follow(self, text: str) -> None:
        lock = dnf_parsers.parse_lock_5(text, waits=self._waits)
        if lock is not None:
            self._waits = True
            self.waits(lock)
        step = dnf_parsers.parse_step_5(text)
        if step is None:
            return
        self._waits = False
        percent = min(100, 100 * step.done // step.total)
        if self.downloads:
            self.console.progress("download", percent, "", step.what)
        elif self.commits:
            verb, _, what = step.what.partition(" ")
            self.console.progress("commit", percent, self.package(what or verb), step.what)


class Dnf5(DnfFamily):
    """The backend for dnf 5."""

    name = "dnf5"
    reader_type = Dnf5Reader
    cache_dir = "/var/cache/libdnf5"
    cache_option = "system_cachedir"
    neutral = (*DnfFamily.neutral, "--setopt=skip_broken=0", "--setopt=skip_unavailable=0")
    online = ("--setopt=cacheonly=none", "--setopt=optional_metadata_types=comps,updateinfo")
    """A refresh also loads the security advisories."""
    repo_folders = ("/etc/yum.repos.d", "/etc/distro.repos.d", "/usr/share/dnf5/repos.d")
    repo_overrides = ("/usr/share/dnf5/repos.override.d", "/etc/dnf/repos.override.d")
    lock_files = ("/run/dnf/rpmtransaction.lock", "/var/lib/dnf/system-repo.lock")
    side_by_side = True
    ignore_holds = ("--setopt=disable_excludes=*",)
    upgrading = ("upgrade", "--no-best")

    def __init__(self, program: str = "dnf5", machine: str = "") -> None:
        super().__init__(machine)
        self.program = program

    def run_query(self, *words: str, limit_s: float = PLAN_LIMIT_S) -> Output:
        """Run a query. dnf writes its log to the home folder, so a user other than root gets a temporary home folder."""
        if os.geteuid() == 0:
            return super().run_query(*words, limit_s=limit_s)
        with tempfile.TemporaryDirectory(prefix="stardust-dnf5-") as home:
            return run_query([self.program, *self.neutral, "-C", *words], {**self.environment, "HOME": home}, limit_s)

    def query(self) -> str:
        """The query format. dnf 5 adds no newline itself."""
        return QUERY.replace("%{size}", "%{downloadsize}") + "\\n"

    def locked_patterns(self) -> List[str]:
        """The names in the file of versionlock, which is part of dnf 5."""
        return [match[1] for match in map(_LOCKED.match, read_file(LOCKS).split("\n")) if match]

    def can_lock(self) -> str:
        """versionlock is built in."""
        return ""

    def advisories(self, options: Sequence[str] = ()) -> List[Advisory]:
        answer_text = self.query_output(*options, "advisory", "list", "--updates", "--security", "--json")
        try:
            return dnf_parsers.parse_advisories_json(answer_text)
        except ValueError as exc:
            raise PackagesUnreadable(f"{self.name}: {exc}") from exc

    def upgrades(self, options: Sequence[str] = ()) -> List[RpmPackage]:
        """Uses repoquery, which prints one line per package. check-upgrade may print one per repository."""
        return self._packages(self.query_output(*options, "repoquery", "--upgrades", "--latest-limit=1", "--qf", self.query()))

    def refresh_words(self) -> Tuple[str, ...]:
        """Without --refresh dnf may use its cache."""
        return ("makecache", "--refresh")

    def reboot_required(self) -> Reboot:
        """Reads the JSON of needs-restarting."""
        answer = self.run_query("needs-restarting", "--json", limit_s=120.0)
        try:
            answer_text = next(item for item in json.loads(answer.out) if item["type"] == "reboot")
            required, packages = bool(answer_text["reboot_required"]), [str(name) for name in answer_text["packages"]]
        except (ValueError, KeyError, TypeError, StopIteration):
            return Reboot(UNKNOWN, sentence("due.unknown_answer", program="dnf5 needs-restarting"))
        if required:
            return Reboot(YES, sentence("due.updated", names=name_list(packages, 20)) if packages else sentence("due.core_updated"))
        return Reboot(NO, sentence("due.not_core"))
