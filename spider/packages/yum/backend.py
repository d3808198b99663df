"""The backend for yum 3: EL7 and Amazon Linux 2. It is untested on such a host: commands and texts follow yum's documentation and dnf 4."""

import glob
import os
from typing import List, Mapping, Optional, Sequence, Tuple

from spider.packages.backend import Action, Command, Failure, OutputReader, Reboot
from spider.packages.dnf import parsers as dnf_parsers
from spider.packages.dnf.backend import DnfFamily, lines_of, plugin_setting
from spider.packages.dnf.parsers import Advisory
from spider.packages.dnf.run_reader import DnfReader
from spider.packages.interfaces import ENVIRONMENT, PackagesUnreadable, run_query
from spider.packages.plan import NO, UNKNOWN, YES, Plan
from spider.packages.rpm import repositories
from spider.packages.rpm.backend import REFRESH_LIMITS_S
from spider.packages.rpm.parsers import RpmPackage
from spider.packages.rpm.repositories import Repository
from spider.root.terminal import TerminalEnded
from spider.wire.sentences import sentence

LOCKS_SETTINGS = "/etc/yum/pluginconf.d/versionlock.conf"
LOCKS = "/etc/yum/pluginconf.d/versionlock.list"
PLUGIN = "/usr/lib/yum-plugins/versionlock.py"


class Yum(DnfFamily):
    """The backend for yum 3."""

    name = "yum"
    program = "yum"
    settings = "/etc/yum.conf"
    repo_folders = ("/etc/yum.repos.d", "/etc/yum/repos.d")
    cache_dir = "/var/cache/yum"
    neutral = ("--color=never",)
    verbose = ("-d", "2", "-e", "2")
    pid_files: Tuple[str, ...] = ("/var/run/yum.pid",)
    ignore_holds = ("--disableexcludes=all", "--disableplugin=versionlock")
    keep_metadata = ("--setopt=metadata_expire=never",)
    can_include = False
    """yum has a command line option for such a list, but it is untested."""
    environment: Mapping[str, str] = {**ENVIRONMENT, "LC_ALL": "en_US.UTF-8", "LANG": "en_US.UTF-8"}
    """EL7 has no C.UTF-8. With plain C, yum's Python 2 fails on non-ASCII names."""
    upgrading = ("update", "--skip-broken")
    erasing = ()
    """yum's upgrade never removes packages, so full-upgrade equals upgrade."""

    def cached(self, name: str) -> Repository:
        """Reads `/var/cache/yum/<architecture>/<release>/<name>`."""
        pattern = os.path.join(glob.escape(self.cache_dir), "*", "*", glob.escape(name))
        return repositories.repository(name, [*glob.glob(pattern), os.path.join(self.cache_dir, name)])

    def locked_patterns(self) -> List[str]:
        """The list of the versionlock plugin."""
        return lines_of(plugin_setting(LOCKS_SETTINGS, "locklist", LOCKS))

    def can_lock(self) -> str:
        """Checks that the file of the versionlock plugin exists."""
        if os.path.exists(PLUGIN):
            return ""
        return "yum can hold packages with its versionlock plugin only: install yum-plugin-versionlock"

    def advisories(self, options: Sequence[str] = ()) -> List[Advisory]:
        """Uses updateinfo, which is part of yum on EL7."""
        return dnf_parsers.parse_advisories(self.query_output(*options, "updateinfo", "list", "security"))

    def upgrades(self, options: Sequence[str] = ()) -> List[RpmPackage]:
        """Uses check-update: status 100 = updates exist, 0 = none."""
        answer = self.run_query("-q", *options, "check-update")
        if answer.rc not in (0, 100):
            raise PackagesUnreadable(self._failure_text(answer))
        return self._listed(answer.out)

    def available(self, names: Sequence[str]) -> List[RpmPackage]:
        """Uses list, which returns 1 if no such package exists."""
        answer = self.run_query("-q", "list", "available", *names)
        return self._listed(answer.out)

    def _listed(self, text: str) -> List[RpmPackage]:
        try:
            return dnf_parsers.parse_check_update(text)
        except ValueError as exc:
            raise PackagesUnreadable(f"yum: {exc}") from exc

    def work(self, verb: str, packages: Sequence[str], plan: Plan) -> Sequence[Action]:
        """yum has no --refresh, so its cache is expired first."""
        if verb == "refresh":
            return [
                Command((self.program, *self.neutral, "-q", "clean", "expire-cache"), "refresh", REFRESH_LIMITS_S),
                Command(self.command("makecache", "fast", online=True), "refresh", REFRESH_LIMITS_S),
            ]
        return super().work(verb, packages, plan)

    def check_words(self) -> Tuple[str, ...]:
        return ("check",)

    def failure(self, verb: str, ended: TerminalEnded, reader: OutputReader) -> Optional[Failure]:
        """In some releases a download-only run returns an error with a known message."""
        if ended.rc == 1 and isinstance(reader, DnfReader) and reader.downloads and not reader.troubles:
            return None
        return super().failure(verb, ended, reader)

    def reboot_required(self) -> Reboot:
        """Uses needs-restarting of yum-utils."""
        try:
            answer = run_query(["needs-restarting", "-r"], self.environment)
        except PackagesUnreadable:
            return Reboot(UNKNOWN, sentence("due.unknown_no_check", program="needs-restarting (yum-utils)"))
        if "Reboot is required" in answer.out:
            return Reboot(YES, sentence("due.core_updated"))
        if "not necessary" in answer.out:
            return Reboot(NO, sentence("due.not_core"))
        return Reboot(UNKNOWN, sentence("due.unknown_answer", program="needs-restarting"))
