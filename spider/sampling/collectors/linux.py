"""The collectors of a Linux host, in the order of their series, and the readers of its tables."""

import os
from typing import List, Optional, Sequence

from spider.clock import Clock, SystemClock
from spider.sampling.collectors.arrays import Arrays, ArrayTable
from spider.sampling.collectors.base import Collector
from spider.sampling.collectors.block_devices import DiskTable
from spider.sampling.collectors.blocks import DiskDetails
from spider.sampling.collectors.cgroup import ROOT
from spider.sampling.collectors.clock import Clocks, HubTime
from spider.sampling.collectors.container_engines import Containers, Names
from spider.sampling.collectors.cpu import CoresAndScheduler, Cpu
from spider.sampling.collectors.disk import Disks, Volumes
from spider.sampling.collectors.filesystems import Filesystems
from spider.sampling.collectors.frequency import Frequencies
from spider.sampling.collectors.gpu import Gpus
from spider.sampling.collectors.interfaces import Interfaces
from spider.sampling.collectors.listeners import Listening
from spider.sampling.collectors.load import Load
from spider.sampling.collectors.logins import LoggedIn, LoggedInCount, UserNames
from spider.sampling.collectors.memory import MemoryAndSwap, MemoryDetails, Paging
from spider.sampling.collectors.network import LinkSpeeds, NetworkFaults, Networks
from spider.sampling.collectors.power import Batteries, BatteryTable, Energy
from spider.sampling.collectors.pressure import Pressure
from spider.sampling.collectors.process_states import ProcessStates
from spider.sampling.collectors.processes import Processes
from spider.sampling.collectors.protocols import Protocols, Sockets
from spider.sampling.collectors.sensors import Chips, Temperatures
from spider.sampling.collectors.services import ServicesAndContainers
from spider.sampling.collectors.smart import Smart
from spider.sampling.collectors.system import System
from spider.sampling.collectors.systemd_units import AllUnits, FailedCount, FailedUnits, Timers
from spider.sampling.collectors.table_reader import TableReader
from spider.sampling.collectors.tcp import Tcp


def linux_collectors(
    proc: str = "/proc",
    sys: str = "/sys",
    clock: Optional[Clock] = None,
    hub_time: HubTime = lambda: None,
    names: Optional[Names] = None,
    sensors_refused: Sequence[str] = (),
) -> List[Collector]:
    """All collectors of a Linux host; each is used by one sampler only. Args: sensors_refused: as `host_collectors`."""
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
        *(Temperatures(sys, sensors_refused), Chips(sys, sensors_refused), Energy(sys), Batteries(sys), Gpus(proc, sys), Arrays(proc, sys)),
        *(ServicesAndContainers(sys + "/fs/cgroup", proc, sys, names), LoggedInCount()),
        *(DiskDetails(sys), LinkSpeeds(sys), Smart(sys), FailedCount()),
    ]


def linux_tables(proc: str = "/proc", sys: str = "/sys", names: Optional[Names] = None) -> List[TableReader]:
    """All table readers of a Linux host; each is used by one `Tables` only."""
    users = UserNames()
    return [
        FailedUnits(),
        AllUnits(),
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
