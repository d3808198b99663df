"""Installs `transaction_hook.py` as a hook of apt-get and pacman, and reads its verdict."""

import json
import os
import pkgutil
import shutil
import sys
from typing import Any, Dict, Optional

from spider.jobs.files import JOBS_DIR
from spider.packages.backend import Failure
from spider.packages.plan import Plan
from spider.packages.transaction_hook import VERDICT, WANTED

HOOK_DIR = os.path.join(JOBS_DIR, ".gate")
"""The folder of the hook, for root only. All jobs that change packages share it, since they run one at a time."""
PLAN_CHANGED = "the plan has changed since it was shown, so nothing was done: look at the new plan"
_PROGRAM = "transaction_hook.py"
_SOURCE = pkgutil.get_data("spider.packages", _PROGRAM) or b""
"""Read at import, before an upgrade can replace Spider's files."""


class TransactionHook:
    """The hook of one backend."""

    def __init__(self, folder: str = HOOK_DIR) -> None:
        self._folder = folder

    def command(self, kind: str, *words: str) -> str:
        """The command line of the hook, for a shell or a hook file of pacman. No word needs quotes.

        Args: kind, words: see `transaction_hook.py`.
        """
        return " ".join(
            (sys.executable or "/usr/bin/python3", "-I", "-S", "-B", os.path.join(self._folder, _PROGRAM), kind, self._folder, *words)
        )

    def install(self, plan: Plan, more: Dict[str, Any]) -> None:
        """Install the hook for a plan.

        Args:   more: further values that the hook of this manager reads.
        Raises: OSError.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        os.mkdir(self._folder, 0o700)
        self.write(_PROGRAM, _SOURCE)
        wanted = {"steps": [(step.package, step.after) for step in plan.steps], **more}
        self.write(WANTED, json.dumps(wanted).encode())

    def write(self, name: str, content: bytes) -> None:
        """Write a file into the folder of the hook. Raises: OSError."""
        with open(os.path.join(self._folder, name), "wb") as file:
            file.write(content)

    @property
    def folder(self) -> str:
        return self._folder

    def refusal(self) -> Optional[Failure]:
        """The failure that the hook caused; None: it did not stop the manager, or has not run."""
        try:
            with open(os.path.join(self._folder, VERDICT), encoding="utf-8") as file:
                found = json.load(file)
        except (OSError, ValueError):
            return None
        return None if found["agrees"] else Failure("job.plan_changed", PLAN_CHANGED)
