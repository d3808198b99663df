"""Puts `gate.py` where apt-get and pacman run it, and reads what it found."""

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

GATE_DIR = os.path.join(JOBS_DIR, ".gate")
"""One for all jobs, since they run one at a time. Root's alone."""
PLAN_CHANGED = "what would be done now is not what was shown, so nothing was done: look at the new plan"
_PROGRAM = "transaction_hook.py"
_SOURCE = pkgutil.get_data("spider.packages", _PROGRAM) or b""
"""Read while Spider's own files are certain to be there."""


class TransactionHook:
    """The gate of one backend."""

    def __init__(self, folder: str = GATE_DIR) -> None:
        self._folder = folder

    def command(self, kind: str, *words: str) -> str:
        """A line for a shell, or for a hook of pacman: no word of it needs quoting."""
        return " ".join(
            (sys.executable or "/usr/bin/python3", "-I", "-S", "-B", os.path.join(self._folder, _PROGRAM), kind, self._folder, *words)
        )

    def install(self, plan: Plan, more: Dict[str, Any]) -> None:
        """Make everything anew for a plan. Args: more: what else the gate of this manager wants to know. Raises: OSError."""
        shutil.rmtree(self._folder, ignore_errors=True)
        os.mkdir(self._folder, 0o700)
        self.write(_PROGRAM, _SOURCE)
        wanted = {"steps": [(step.package, step.after) for step in plan.steps], **more}
        self.write(WANTED, json.dumps(wanted).encode())

    def write(self, name: str, content: bytes) -> None:
        """Put a file beside the gate."""
        with open(os.path.join(self._folder, name), "wb") as file:
            file.write(content)

    @property
    def folder(self) -> str:
        return self._folder

    def refusal(self) -> Optional[Failure]:
        """Why the manager was not let through; None: it was, or has not come to its gate."""
        try:
            with open(os.path.join(self._folder, VERDICT), encoding="utf-8") as file:
                found = json.load(file)
        except (OSError, ValueError):
            return None
        return None if found["agrees"] else Failure("job.plan_changed", PLAN_CHANGED)
