"""Named actions: the owner's executable files in `/etc/stardust/actions.d/`, which a job runs by name alone and without arguments.

The hub can invent no command: the file is root's, nobody else may write it or its folder, and the policy's line `actions` names it.
"""

import os
import re
import signal
import stat
import time
from typing import Optional

from spider.packages.interfaces import ENVIRONMENT, Console, Outcome
from spider.root.terminal import StopRule
from spider.root.trusted_files import Untrusted
from spider.wire.arg_kinds import MAX_ACTION_S

ACTIONS_DIR = "/etc/stardust/actions.d"
WORK_LIMIT_S = MAX_ACTION_S
"""Time limit of an action whose order names none."""
END_LIMIT_S = 10
"""Time from the request to end (SIGTERM) to the end by force (SIGKILL), after the time limit or a stop request."""
MAX_PROGRESS_TEXT = 80
_PROGRESS = re.compile(r"\[ *(?:(?P<done>[0-9]{1,9})/(?P<all>[0-9]{1,9})|(?P<percent>[0-9]{1,3}) ?%|\?) *\] (?P<text>.+)")
_NOW = StopRule("now", "", (signal.SIGTERM,))


class ActionRefused(Untrusted):
    """An action may not run."""

    def __init__(self, text: str, cause: str) -> None:
        super().__init__(text)
        self.cause = cause
        """The cause as a word of `LauncherAnswer.why`."""


def check_action(name: str, folder: str = ACTIONS_DIR, owner: int = 0) -> str:
    """The path of the file of an action that only its owner can have written.

    Args:   name: a valid name (`ACTION`). owner: uid that must own the file, its folder and the folder above.
    Raises: ActionRefused: something is missing, a link, of another owner, or may be written by others; or the file cannot be executed.
    """
    path = os.path.join(folder, name)
    for place, is_kind, what in (
        (os.path.dirname(folder), stat.S_ISDIR, "a folder"), (folder, stat.S_ISDIR, "a folder"), (path, stat.S_ISREG, "a plain file"),
    ):  # fmt: skip
        word = "action" if place == path else "action-folder"
        try:
            info = os.lstat(place)
        except OSError as exc:
            raise ActionRefused(f"{place}: {exc.strerror}", f"{word}-missing") from exc
        if not is_kind(info.st_mode):
            raise ActionRefused(f"{place}: not {what}", f"{word}-kind")
        if info.st_uid != owner:
            raise ActionRefused(f"{place}: owned by uid {info.st_uid}, not {owner}", f"{word}-owner")
        if info.st_mode & 0o022:
            raise ActionRefused(f"{place}: mode {stat.S_IMODE(info.st_mode):04o} lets others write it", f"{word}-writable")
    if not info.st_mode & stat.S_IXUSR:
        raise ActionRefused(f"{path}: it is not executable", "action-mode")
    return path


class NamedActions:
    """Runs an action for one job."""

    def __init__(self, console: Console, folder: str = ACTIONS_DIR, owner: int = 0, work_limit_s: int = WORK_LIMIT_S) -> None:
        self._console = console
        self._folder = folder
        self._owner = owner
        self._work_limit_s = work_limit_s

    def run(self, name: str) -> Outcome:
        """Run the file of this name. Its exit status decides: 0 is success."""
        try:
            path = check_action(name, self._folder, self._owner)
        except ActionRefused as exc:
            return self._failed("job.action_refused", str(exc))
        if self._console.stop_wanted():
            return Outcome("cancelled", None, 0, (), "job.stopped", "it was stopped before anything was changed")
        self._console.progress("commit", text=name)
        self._console.print_line(f"$ {path}")
        # `timeout` also ends what ignores SIGTERM; the console alone never kills, since it also runs package managers
        argv = ["timeout", "-k", str(END_LIMIT_S), str(self._work_limit_s), path]
        begun_at = time.monotonic()
        ended = self._console.run(argv, ENVIRONMENT, self._progress, stop_rule=lambda _phase: _NOW)
        if ended.stopped == "now":
            return Outcome("cancelled", ended.rc, ended.signal, (), "job.stopped", f"{name} was stopped; what it had done stays")
        if ended.rc == 0:
            return Outcome("succeeded", 0, 0, ())
        if time.monotonic() - begun_at >= self._work_limit_s:
            return self._failed(
                "job.timed_out", f"{name} had not ended after {self._work_limit_s / 60:.0f} minutes, and was ended", ended.rc
            )
        return self._failed("job.action_failed", f"{name} ended with status {ended.rc}; its output says why", ended.rc, ended.signal)

    def _progress(self, line: str) -> None:
        """A line such as `[3/7] build`, `[40 %] copy` or `[?] activate` tells how far the action is."""
        match = _PROGRESS.match(line)
        if match is None:
            return
        if match["all"]:
            percent = 100 * int(match["done"]) // max(1, int(match["all"]))
            text = f"{match['text']} {match['done']} of {match['all']}"
        else:
            percent, text = int(match["percent"] or -1), match["text"]
        self._console.progress("commit", min(percent, 100), text=text[:MAX_PROGRESS_TEXT])

    def _failed(self, code: str, text: str, rc: Optional[int] = None, number: int = 0) -> Outcome:
        self._console.print_line(text)
        return Outcome("failed", rc, number, (), code, text)
