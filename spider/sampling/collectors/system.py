"""Uptime, entropy, and open files with their limit."""

from typing import Dict, List, Optional, Tuple

from spider.sampling.collectors.base import LARGEST, Collector, MaybeFile, numbers


def parse_file_nr(data: bytes) -> Tuple[int, int]:
    """Parse /proc/sys/fs/file-nr.

    Returns: open file handles, and their limit.
    Raises:  ValueError: not three numbers.
    Source:  proc_sys_fs(5): the second number is always 0; newer kernels set the limit to their largest number.
    """
    fields = data.split()
    if len(fields) != 3:
        raise ValueError("/proc/sys/fs/file-nr has not three fields")
    used, _, limit = (int(field) for field in fields)
    if used < 0 or limit < 0 or used > LARGEST:
        raise ValueError("a number of files is out of range")
    return used, min(limit, LARGEST)


def parse_uptime_s(data: bytes) -> int:
    """Parse /proc/uptime: whole seconds since boot.

    Raises: ValueError: not a number of seconds.
    """
    seconds = float(data.split(None, 1)[0]) if data.strip() else -1.0
    if not 0 <= seconds < 2**40:
        raise ValueError("/proc/uptime is out of range")
    return int(seconds)


class System(Collector):
    """system.uptime: seconds; system.entropy: bits; files.open, files.limit: files of the whole system."""

    family = "breathe"

    def __init__(self, proc: str = "/proc") -> None:
        super().__init__()
        self._uptime = self._keep_open(MaybeFile(proc + "/uptime"))
        self._entropy = self._keep_open(MaybeFile(proc + "/sys/kernel/random/entropy_avail"))
        self._files = self._keep_open(MaybeFile(proc + "/sys/fs/file-nr"))

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        found: Dict[str, Optional[int]] = {}
        uptime, entropy, files = (file.read_if_present() for file in (self._uptime, self._entropy, self._files))
        if uptime is not None:
            found["system.uptime"] = parse_uptime_s(uptime)
        if entropy is not None:
            found["system.entropy"] = numbers([entropy.strip()])[0]
        if files is not None:
            found["files.open"], found["files.limit"] = parse_file_nr(files)
        return self._report(found.items())
