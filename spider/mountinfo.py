"""Reads /proc/PID/mountinfo. Pure."""

from typing import List, NamedTuple


class Mount(NamedTuple):
    """One line of mountinfo."""

    device: str
    """major:minor of the file system: the same for all its bind mounts and subvolumes."""
    root: str
    """The path within the file system that is mounted."""
    point: str
    kind: str
    readonly: bool = False
    """Whether this mount or the whole file system is read-only (ext4 becomes read-only after an error)."""
    readonly_whole: bool = False
    """Whether the whole file system is read-only. The mount options of a sandbox do not affect it."""
    source: str = ""
    """What is mounted: the path of a device, or another name."""
    options: str = ""
    """The options of this mount alone."""


def unescape(text: str) -> str:
    """Decode the kernel's octal escapes in a path. Source: proc_pid_mountinfo(5), proc_swaps(5)."""
    if "\\" not in text:
        return text
    head, *rest = text.split("\\")
    parts = [head]
    for part in rest:
        digits = part[:3]
        if len(digits) == 3 and all(digit in "01234567" for digit in digits) and int(digits, 8) < 128:
            parts.append(chr(int(digits, 8)) + part[3:])
        else:
            parts.append("\\" + part)
    return "".join(parts)


def parse_mounts(text: str) -> List[Mount]:
    """Parse /proc/PID/mountinfo.

    Returns: its mounts in the order of mounting. A damaged line, such as the last one of a read that was cut, is left out.
    Source:  proc_pid_mountinfo(5); space, tab, newline and backslash are octal escapes.
    """
    mounts: List[Mount] = []
    for line in text.split("\n"):
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if not dash or len(fields) < 6:
            continue
        kind, _, rest = after.partition(" ")
        source, _, of_all = rest.rpartition(" ")  # the source holds no spaces, because they are escaped
        whole = "ro" in of_all.split(",")
        mounts.append(
            Mount(
                fields[2],
                unescape(fields[3]),
                unescape(fields[4]),
                kind,
                whole or "ro" in fields[5].split(","),
                whole,
                unescape(source),
                fields[5],
            )
        )
    return mounts
