"""Reading files that only their owner may have written."""

import os
import re
import stat

MAX_BYTES = 64 * 1024


_DESCRIPTOR = re.compile(r"fd:(\d{1,4})\Z")


def place(path: str) -> str:
    """Where a file named on the command line is: itself, or, for `fd:N`, what this program was started with as descriptor N."""
    match = _DESCRIPTOR.match(path)
    return f"/proc/self/fd/{match.group(1)}" if match else path


class Untrusted(Exception):
    """The file is missing, is not a plain file, or somebody else could have written or read it."""


def read_trusted(path: str, owner: int, *, private: bool = False) -> bytes:
    """Read a file that the decision of a privileged program rests on.

    Args:    path: a file, or `fd:N`. owner: the uid that must own it. private: nobody but the owner may even read it.
    Raises:  Untrusted: missing, a link, not a plain file, another owner, writable by others, or too big.
    """
    follow = 0 if _DESCRIPTOR.match(path) else os.O_NOFOLLOW  # a descriptor was chosen by whoever started this program
    try:
        fd = os.open(place(path), os.O_RDONLY | follow | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as exc:
        raise Untrusted(f"{path}: {exc.strerror}") from exc
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise Untrusted(f"{path}: not a plain file")
        if facts.st_uid != owner:
            raise Untrusted(f"{path}: owned by uid {facts.st_uid}, not {owner}")
        if facts.st_mode & (0o077 if private else 0o022):
            raise Untrusted(f"{path}: mode {stat.S_IMODE(facts.st_mode):04o} lets others in")
        if facts.st_size > MAX_BYTES:
            raise Untrusted(f"{path}: larger than {MAX_BYTES} bytes")
        content = b""
        while len(content) <= MAX_BYTES:
            chunk = os.read(fd, MAX_BYTES)
            if not chunk:
                return content
            content += chunk
        raise Untrusted(f"{path}: larger than {MAX_BYTES} bytes")
    finally:
        os.close(fd)
