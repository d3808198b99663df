"""The collectors of a Linux host, in the order of their series, and the readers of its tables."""

import os
from typing import List, Optional

from spider.clock import Clock, SystemClock
from spider.collectors.arrays import Arrays, ArrayTable
from spider.collectors.base import Collector
from spider.collectors.blocks import DiskFacts
from spider.collectors.cgroup import ROOT
from spider.collectors.cpu import CoresAndScheduler, Cpu
from spider.collectors.devices import DiskTable
from spider.collectors.disk import Disks, Volumes
from spider.collectors.engines import Containers, Names
from spider.collectors.filesystems import Filesystems
from spider.collectors.frequency import Frequencies
from spider.collectors.gpu import Gpus
from spider.collectors.interfaces import Interfaces
from spider.collectors.listening import Listening
from spider.collectors.load import Load
from spider.collectors.memory import MemoryAndSwap, MemoryDetails, Paging
from spider.collectors.network import LinkSpeeds, NetworkFaults, Networks
from spider.collectors.power import Batteries, BatteryTable, Energy
from spider.collectors.pressure import Pressure
from spider.collectors.processes import Processes
from spider.collectors.protocols import Protocols, Sockets
from spider.collectors.sensors import Chips, Temperatures
from spider.collectors.services import ServicesAndContainers
from spider.collectors.smart import Smart
from spider.collectors.states import ProcessStates
from spider.collectors.system import System
from spider.collectors.tabular import TableReader
from spider.collectors.tcp import Tcp
from spider.collectors.timekeeping import Clocks, HubTime
from spider.collectors.units import FailedCount, FailedUnits, Timers
from spider.collectors.users import LoggedIn, LoggedInCount, UserNames


def linux_collectors(
    proc: str = "/proc", sys: str = "/sys", clock: Optional[Clock] = None, hub_time: HubTime = lambda: None
) -> List[Collector]:
    """All that this host can be asked; each is used by one sampler only."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    return [
        *(
            Cpu(proc),
            Load(proc),
            Pressure(proc),
            MemoryAndSwap(proc),
            Paging(proc, page_bytes),
            Disks(proc),
            Networks(proc, sys),
            Tcp(proc),
        ),
        *(
            CoresAndScheduler(proc),
            Frequencies(proc, sys),
            MemoryDetails(proc, sys),
            Volumes(proc, sys),
            Filesystems(proc),
            NetworkFaults(proc, sys),
        ),
        *(Protocols(proc), Sockets(proc, page_bytes), System(proc), ProcessStates(proc), Clocks(clock or SystemClock(), hub_time)),
        *(Temperatures(sys), Chips(sys), Energy(sys), Batteries(sys), Gpus(proc, sys), Arrays(proc, sys)),
        *(ServicesAndContainers(sys + "/fs/cgroup", proc, sys), LoggedInCount()),
        *(DiskFacts(sys), LinkSpeeds(sys), Smart(sys), FailedCount()),
    ]


def linux_tables(proc: str = "/proc", sys: str = "/sys") -> List[TableReader]:
    """All that this host can be asked; each is used by one `Tables` only."""
    users, names = UserNames(), Names()
    return [
        FailedUnits(),
        LoggedIn(),
        Interfaces(sys),
        DiskTable(proc, sys),
        ArrayTable(proc, sys),
        Containers(ROOT, proc, names),
        BatteryTable(sys),
        Timers(),
        Listening(proc, ROOT, users),
        Processes(proc, users),
    ]
