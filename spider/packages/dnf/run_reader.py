"""Follows a running dnf 4 or yum: phases, progress, locks and errors. `parsers.py` parses its plans and lists."""

import re
from typing import Iterable, List

from spider.packages.dnf import parsers as dnf_parsers
from spider.packages.interfaces import Console
from spider.packages.plan import Planned
from spider.packages.rpm.backend import RpmReader

CODES = (
    ("already locked by", "job.lock_busy"),
    ("transaction lock on", "job.lock_busy"),
    ("currently holding the yum lock", "job.lock_busy"),
    ("following protected packages", "job.protected"),
    ("more space needed on the", "job.no_space"),
    ("No space left on device", "job.no_space"),
    ("Error downloading packages", "job.fetch_failed"),
    ("Cannot download", "job.fetch_failed"),
    ("No more mirrors to try", "job.fetch_failed"),
    ("Failed to download", "job.fetch_failed"),
    ("cacheonly option is activated", "job.fetch_failed"),
    ("caching enabled but no", "job.fetch_failed"),
    ("matches only excluded packages", "job.package_held"),
    ("nothing provides", "job.unmet_dependencies"),
    ("Problem: ", "job.unmet_dependencies"),
    ("conflicting requests", "job.unmet_dependencies"),
)


class DnfReader(RpmReader):
    """Follows the output of a running dnf 4 or yum."""

    TROUBLE = re.compile(
        r"^(?:Error|error|warning|Warning|Failed|\s*Problem|\s+- (?:nothing|package|cannot|conflict|problem)|RPMDB|No match for|"
        r"Public key|Ignoring repositories|Existing lock|There are unfinished|At least .* more space|\s+At least)\b.*\S"
    )
    DOWNLOADS = ("DNF will only download packages", "Background downloading packages", "The operation will only download packages")

    def __init__(self, console: Console, steps: Iterable[Planned] = ()) -> None:
        super().__init__(console, steps)
        self.downloads = False
        """Whether this run only downloads."""
        self.commits = False
        """Whether rpm has started the transaction."""
        self.stale: List[str] = []
        """Lines about repositories that could not be refreshed."""

    def line(self, text: str) -> None:
        super().line(text)
        if dnf_parsers.is_stale(text):
            self.trouble(text.strip())
            self.stale.append(text.strip())
        if text.startswith(self.DOWNLOADS):
            self.downloads = True
            self.console.progress("download", 0)
        elif text.strip() in ("Running transaction", "Running Transaction"):
            self.commits = True
            self.console.progress("commit", 0)
        self.follow(text)

    def follow(self, text: str) -> None:
        """Parse a line about progress or locks."""
        lock = dnf_parsers.parse_lock(text)
        if lock is not None:
            self.waits(lock)
        if self.downloads:
            step = dnf_parsers.parse_download(text)
            if step is not None:
                self.console.progress("download", 100 * step.done // step.total, "", step.what)
        elif self.commits:
            step = dnf_parsers.parse_step(text)
            if step is not None:
                self.console.progress("commit", 100 * step.done // step.total, self.package(step.what), text.strip().partition(" ")[0])
