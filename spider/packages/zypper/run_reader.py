"""Parses the output of a zypper run."""

import re
from typing import List, Sequence

from spider.packages.interfaces import Console
from spider.packages.plan import Planned
from spider.packages.rpm.backend import RpmReader
from spider.packages.zypper import parsers as zypper_parsers


class ZypperReader(RpmReader):
    """Parses the output of zypper."""

    TROUBLE = re.compile(
        r"^(?:Error|error|warning|Warning|Problem|Installation of|Removal of|Subprocess failed|System management)\b.*\S|^\s*nothing provides"
    )

    def __init__(self, console: Console, steps: Sequence[Planned] = ()) -> None:
        super().__init__(console, steps)
        self.downloads = False
        self.unmet = False
        """Whether dependencies of installed packages are not met."""
        self.stale: List[str] = []

    def line(self, text: str) -> None:
        super().line(text)
        lock = zypper_parsers.parse_lock(text)
        if lock is not None:
            self.waits(lock)
        if zypper_parsers.is_stale(text):
            self.trouble(text.strip())
            self.stale.append(text.strip())
        if "dependencies of installed packages are broken" in text:
            self.trouble(text.strip())
            self.unmet = True
        if "Download only" in text:
            self.downloads = True
            self.console.progress("download", 0)
        fetched = zypper_parsers.parse_fetched(text) if self.downloads else None
        if fetched is not None:
            self.console.progress("download", 100 * fetched.done // fetched.total, self.package(fetched.what))
        step = zypper_parsers.parse_step(text)
        if step is not None:
            self.console.progress("commit", 100 * step.done // step.total, self.package(step.what), step.act)
