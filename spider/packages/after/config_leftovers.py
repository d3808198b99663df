"""Finds leftovers: configuration files that a package manager saved beside the file in use, instead of overwriting local changes.

They are searched below /etc, and beside the files outside /etc that the manager lists as configuration files. Leftovers that existed
before the job do not count.

The report shows the difference between a leftover and the file in use only if both fulfil these conditions. Otherwise it has the path only.

- They are regular files, not links.
- *Every user of the host may read them*, by their mode and by that of every folder above.
- They are UTF-8 text of at most 256 KiB, without a private key.
- Their names are not usual for secrets (`shadow`, `sudoers`, `*.key`, `*.pem`, `ssl/private` …).

If either file has more than 20,000 lines, the report says so in place of the difference. In a difference, text after a word such as
`password` or `token` is replaced by `***`: more people read reports than files of the host.
"""

import difflib
import os
import re
import stat
import time
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from spider.files import listed, read_file
from spider.packages.interfaces import ENVIRONMENT, PackagesUnreadable, run_query
from spider.packages.report import MAX_DIFF_BYTES, MAX_DIFFS_BYTES, MAX_LEFTOVERS, Leftover

SUFFIXES = (".dpkg-dist", ".dpkg-new", ".ucf-dist", ".rpmnew", ".rpmsave", ".rpmorig", ".pacnew", ".pacsave", ".apk-new")
WALK_LIMIT_S = 5.0
WALK_LIMIT = 200_000
"""Maximum number of files and folders below /etc that are searched. A note in the report says if there are more."""
MAX_TEXT_BYTES = 256 * 1024
MAX_LINES = 20_000
"""Most lines of a file in a difference. The time to compare two files grows with the square of their lines."""
MAX_LINE = 2000
DIFFERENCES_LIMIT_S = 15.0
TOO_LONG = f"[no difference is shown: a file has more than {MAX_LINES:,} lines]\n"
CUT = "[the rest of the difference is not shown]\n"

_SECRET_NAME = re.compile(
    r"(?i)(?:\A|/)(?:g?shadow|sudoers|opasswd|krb5\.keytab|htpasswd|\.htpasswd|\.netrc|\.pgpass|auth\.conf)"
    r"(?:[-.][^/]*)?\Z|/(?:sudoers|auth\.conf|keyrings|private|secrets?|credstore[^/]*)(?:\.d)?/|\.(?:key|pem|p12|pfx|jks|keytab|gpg|age|kdbx|pass)"
    r"(?:\.[^/]*)?\Z|(?:\A|/)(?:id_[a-z0-9]+|ssh_host_[^/]*_key)(?:\.[^/]*)?\Z|secret|credential|token"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
_SECRET_VALUE = re.compile(
    r"(?i)((?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|private[_-]?key|community|credential|psk)[\w.-]*"
    r"[\"']?\s*(?:[:=]|\s)\s*)(?!(?:yes|no|true|false|on|off|none|\d{1,4})\s*\Z)(\S.*)"
)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^@\s]+@")


class FileStamp(NamedTuple):
    """Identifies one version of a file, by values of its `stat`."""

    inode: int
    changed_ns: int
    size: int


class ConfigLeftovers(NamedTuple):
    """The leftover files that exist now."""

    files: Dict[str, FileStamp]
    complete: bool = True
    """False: there were too many files, or the time was over."""


def in_use(path: str) -> str:
    """The path of the file in use to which a leftover belongs."""
    return next((path[: -len(suffix)] for suffix in SUFFIXES if path.endswith(suffix)), path)


def _below(top: str) -> Iterator[os.DirEntry]:  # type: ignore[type-arg]  # it cannot be subscripted in Python 3.8
    folders = [top]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    yield entry
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:  # noqa: PERF203  # the folder was removed, or cannot be read
            continue


def find_left(root: str = "", listed: Iterable[str] = (), limit_s: float = WALK_LIMIT_S, limit: int = WALK_LIMIT) -> ConfigLeftovers:
    """Find the leftovers.

    Args: root: a folder that stands for `/`; empty = `/`. listed: configuration files by the manager's list. For those outside /etc,
          leftovers are searched beside each file.
    """
    files: Dict[str, FileStamp] = {}
    ends_at = time.monotonic() + limit_s
    complete = True
    for count, entry in enumerate(_below(root + "/etc")):
        if count >= limit or time.monotonic() > ends_at:
            complete = False
            break
        if entry.name.endswith(SUFFIXES):
            _note(files, entry.path, root)
    for path in listed:
        if path.startswith("/etc/"):
            continue
        if time.monotonic() > ends_at:
            complete = False
            break
        for suffix in SUFFIXES:
            _note(files, root + path + suffix, root)
    return ConfigLeftovers(files, complete)


def _note(files: Dict[str, FileStamp], path: str, root: str) -> None:
    try:
        info = os.lstat(path)
    except OSError:
        return
    if stat.S_ISREG(info.st_mode):
        files[path[len(root) :]] = FileStamp(info.st_ino, info.st_ctime_ns, info.st_size)


def appeared(before: ConfigLeftovers, after: ConfigLeftovers) -> List[str]:
    """The paths of new and changed leftovers, sorted."""
    return sorted(path for path, stamp in after.files.items() if before.files.get(path) != stamp)


def _open_public(path: str, root: str) -> int:
    """Open a regular file that every user may read. Each folder is opened in turn, so that no link in the path is followed.

    Raises: OSError: the file is not regular, or not readable for everyone.
    """
    *folders, name = [part for part in path.split("/") if part]
    fd = os.open(root or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = below
            if not os.fstat(fd).st_mode & stat.S_IXOTH:
                raise PermissionError(path)
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
    finally:
        os.close(fd)
    info = os.fstat(file)
    if not stat.S_ISREG(info.st_mode) or not info.st_mode & stat.S_IROTH:
        os.close(file)
        raise PermissionError(path)
    return file


def _public_text(path: str, root: str) -> Optional[str]:
    """The text of a file; None: the text must not be shown."""
    if _SECRET_NAME.search(path):
        return None
    try:
        with open(_open_public(path, root), "rb") as file:
            data = file.read(MAX_TEXT_BYTES + 1)
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return None if len(data) > MAX_TEXT_BYTES or "\0" in text or _PRIVATE_KEY.search(text) else text


def hide_secrets(line: str) -> str:
    """Mask a possible secret in one line of a difference."""
    return _URL_PASSWORD.sub(r"\1***@", _SECRET_VALUE.sub(r"\1***", line))


def difference(path: str, root: str = "", limit: int = MAX_DIFF_BYTES) -> str:
    """The unified difference from the file in use to the leftover; empty = there is none, or it must not be shown."""
    used = in_use(path)
    texts = (_public_text(used, root), _public_text(path, root))
    if texts[0] is None or texts[1] is None:
        return ""
    before, after = texts[0].splitlines(), texts[1].splitlines()
    if max(len(before), len(after)) > MAX_LINES:
        return TOO_LONG
    lines = difflib.unified_diff(before, after, used, path, lineterm="")
    shown: List[str] = []
    room = limit - len(CUT)
    for line in lines:
        shown_line = hide_secrets(line[:MAX_LINE]) + "\n"
        room -= len(shown_line.encode())
        if room < 0:
            shown.append(CUT)
            break
        shown.append(shown_line)
    return "".join(shown)


def describe(paths: Iterable[str], differ: Callable[[str], str] = difference) -> Tuple[Tuple[Leftover, ...], int]:
    """Add the differences, up to the limits of a report.

    Returns: the leftovers, and the number of leftovers that were omitted.
    """
    chosen = list(paths)
    room = MAX_DIFFS_BYTES
    ends_at = time.monotonic() + DIFFERENCES_LIMIT_S
    leftovers = []
    for path in chosen[:MAX_LEFTOVERS]:
        diff = differ(path) if time.monotonic() < ends_at else ""
        room -= len(diff.encode())
        leftovers.append(Leftover(path, diff if room >= 0 else ""))
    return tuple(leftovers), len(chosen) - len(leftovers)


def listed_by(manager: str, root: str = "") -> List[str]:
    """Configuration files outside /etc, by the database of the package manager. Empty if the manager lists none."""
    if manager == "apt":
        return _of_dpkg(root + "/var/lib/dpkg/status")
    if manager == "pacman":
        return _of_pacman(root + "/var/lib/pacman/local")
    return _of_rpm() if manager in ("dnf", "dnf5", "yum", "zypper") and not root else []


def _of_rpm() -> List[str]:
    try:
        answer = run_query(["rpm", "-qac"], ENVIRONMENT, limit_s=WALK_LIMIT_S)
    except PackagesUnreadable:
        return []
    return [line for line in answer.out.splitlines() if line.startswith("/") and not line.startswith("/etc/")]


def _of_dpkg(path: str) -> List[str]:
    found = []
    inside = False
    for line in read_file(path).split("\n"):
        if inside and line.startswith(" /") and not line.startswith(" /etc/"):
            found.append(line.split()[0])
        elif not line.startswith(" "):
            inside = line.startswith("Conffiles:")
    return found


def _of_pacman(folder: str) -> List[str]:
    found = []
    for package in listed(folder):
        backup = read_file(f"{folder}/{package}/files").partition("%BACKUP%\n")[2]
        names = [line.partition("\t")[0] for line in backup.split("\n\n", 1)[0].splitlines()]
        found += ["/" + name for name in names if name and not name.startswith("etc/")]
    return found
