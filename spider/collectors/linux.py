"""The collectors of a Linux host, in the order of their series."""

from typing import List

from spider.collectors.base import Collector
from spider.collectors.cpu import Cpu
from spider.collectors.disk import Disks
from spider.collectors.filesystems import Filesystems
from spider.collectors.load import Load
from spider.collectors.memory import MemoryAndSwap
from spider.collectors.network import Networks
from spider.collectors.sensors import Temperatures
from spider.collectors.tcp import Tcp


def linux_collectors(proc: str = "/proc", sys: str = "/sys") -> List[Collector]:
    """All that this host can be asked; each is used by one sampler only."""
    return [Cpu(proc), Load(proc), MemoryAndSwap(proc), Disks(proc), Networks(proc, sys), Tcp(proc), Filesystems(proc), Temperatures(sys)]
