"""The readers of tables of a Linux host."""

from typing import List

from spider.collectors.arrays import ArrayTable
from spider.collectors.cgroup import ROOT
from spider.collectors.devices import DiskTable
from spider.collectors.engines import Containers, Names
from spider.collectors.interfaces import Interfaces
from spider.collectors.listening import Listening
from spider.collectors.power import BatteryTable
from spider.collectors.processes import Processes
from spider.collectors.tabular import TableReader
from spider.collectors.units import FailedUnits, Timers
from spider.collectors.users import LoggedIn, UserNames


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
