"""Command lines of processes, with secrets masked."""

import os
import re
from typing import List, Optional

from spider.wire.text import plain

MOST = 512
"""Most characters of a command line."""
_READ_BYTES = 4096

_KEY = (
    r"(?:[\w.-]{0,64}(?:password|passwd|passphrase|passcode|secret|token|api[-_]?key|authorization|cookie)"
    r"|(?:[\w.-]{0,64}[-_.])?(?:pass|pwd|auth|credentials?|(?:access|private|account)[-_]?key))(?:[-_.][\w.-]{0,64})?"
)
_PAIR = re.compile(rf"(?i)(-{{0,2}}{_KEY}[=:])(?=.)")
"""`--db-password=x`, `PASSWORD=x`, `token:x`: the value is the rest of the word."""
_OPTION = re.compile(rf"(?i)(?:^|.*\s)--?{_KEY}\s*\Z", re.DOTALL)
"""`--password x`: the value is the next word."""
_INSIDE = re.compile(
    rf"(?i)(?<![^\s\"'`()\[{{;|&,?$@<>=\\])(-{{0,2}}{_KEY}[\"']?\s*[=:]\s*|--?{_KEY}\s+)"
    r"(?:(?:bearer|basic|digest)\s+)?(?:\"(?:[^\"\\]|\\.)*\"?|'[^']*'?)?\S*",
    re.DOTALL,
)
"""A key and its value inside a word, which may be a shell command or a process title. The value ends at a space or its closing quote."""
_IN_URL = re.compile(r"(\w://[^/@:\s]*:)[^@/\s]+(?=@)")
_HIDDEN = "***"


def mask(words: List[str]) -> List[str]:
    """Replace the values of keys that name a secret, and passwords in URLs, with asterisks. Args: words: those of a command line."""
    masked: List[str] = []
    hide_next = False
    for word in words:
        pair = _PAIR.match(word)
        if hide_next:  # also a word that begins with a dash, because a value may begin with one
            masked.append(_HIDDEN)
        else:
            masked.append(pair.group(1) + _HIDDEN if pair else _IN_URL.sub(r"\1" + _HIDDEN, _INSIDE.sub(_hide, word)))
        hide_next = _OPTION.match(word) is not None
    return masked


def _hide(match: "re.Match[str]") -> str:
    return match.group(1) + _HIDDEN if match.end() > match.end(1) else match.group()


def command_line(path: str) -> Optional[str]:
    """The command line or title of a process.

    Args:    path: /proc/PID/cmdline.
    Returns: one line; empty: a kernel thread or a zombie; None: the process has ended, or its command line is not readable.
    Source:  proc_pid_cmdline(5): words that end in a NUL; a process may write anything there.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        raw = os.read(fd, _READ_BYTES)
    except OSError:
        return None
    finally:
        os.close(fd)
    words = [word.decode("utf-8", "backslashreplace") for word in raw.rstrip(b"\0").split(b"\0")]
    return plain(" ".join(mask(words)), MOST)
