"""Stores the result of the last refresh of the package lists by a job. Root writes the files, and Spider reads them."""

import contextlib
import logging
import os
from typing import Optional

from spider.files import read_file
from spider.jobs.files import REFRESHED, REFUSED
from spider.logs import event
from spider.packages.interfaces import Outcome

MAX_REASON_CHARS = 1000

_log = logging.getLogger(__name__)


class RefreshMarks:
    """The marks in one folder of jobs."""

    def __init__(self, jobs_dir: str) -> None:
        self._refreshed = os.path.join(jobs_dir, REFRESHED)
        self._refused = os.path.join(jobs_dir, REFUSED)

    def refreshed_at(self) -> float:
        """When a job last refreshed the lists, Unix seconds; 0 = never."""
        try:
            return os.stat(self._refreshed).st_mtime
        except OSError:
            return 0.0

    def refusal(self) -> Optional[str]:
        """Why the last refresh of a job failed; None: it succeeded. The text is empty where Spider may not read it."""
        return read_file(self._refused, MAX_REASON_CHARS) if os.path.exists(self._refused) else None

    def save(self, outcome: Outcome) -> None:
        """Save the result of a refresh. A full disk, which may be why the refresh failed, does not change the outcome."""
        try:
            self._save(outcome)
        except OSError as exc:
            event(_log, "refresh_not_marked", logging.WARNING, why=str(exc))

    def _save(self, outcome: Outcome) -> None:
        """Save the result, unless the refresh was stopped or waited too long for the lock: it contacted no repository then."""
        if outcome.state == "succeeded":
            with open(self._refreshed, "ab"):
                os.utime(self._refreshed)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._refused)
        elif outcome.state == "failed" and outcome.error_code != "job.lock_busy":
            with open(self._refused, "w", encoding="utf-8", errors="replace") as file:
                file.write(outcome.error_text)
