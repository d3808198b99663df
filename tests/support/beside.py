"""Which of the processes that test side by side runs which file.

Tests on hosts wait for much of their time, the others compute. So half of the processes begin with the first kind and half with the
second, each with its longest; who is done with its own kind helps with the other. What is left for the end is short.
"""

from __future__ import annotations

from collections.abc import Iterable

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

HOSTS = "tests/system/"
LONGEST = (
    "tests/system/test_packages_apt.py",
    "tests/system/test_deploy.py",
    "tests/system/test_packages_rpm.py",
    "tests/browser/test_lift_off.py",
    "tests/system/test_jobs_on_a_host.py",
    "tests/system/test_survival.py",
    "tests/system/test_reboot_and_durability.py",
    "tests/system/test_redeploy.py",
    "tests/system/test_openrc.py",
    "tests/system/test_deployer.py",
    "tests/system/test_launcher.py",
    "tests/test_checks.py",
    "tests/e2e/test_attacks_log_in.py",
    "tests/system/test_updates.py",
    "tests/system/test_packages_pacman.py",
    "tests/e2e/test_backup.py",
    "tests/system/test_ways_in.py",
    "tests/system/test_joining.py",
    "tests/system/test_flavours.py",
    "tests/system/test_spool_on_a_host.py",
    "tests/system/test_rollback.py",
)
"""Files that take a minute or about it when a calm machine runs them alone, the longest first (five minutes)."""


def next_file(waiting: Iterable[str], process: int) -> str:
    """What a process takes up next of the files that wait, which stand in the order in which they were collected."""
    place = {file: at for at, file in enumerate(LONGEST)}
    hosts_first = process % 2 == 0
    return min(waiting, key=lambda file: (file.startswith(HOSTS) != hosts_first, place.get(file, len(place))))


class LongestFirst(LoadFileScheduling):
    """As `--dist loadfile`, in the order of `next_file`."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        process = int(node.gateway.id.removeprefix("gw"))
        self.workqueue.move_to_end(next_file(self.workqueue, process), last=False)
        super()._assign_work_unit(node)
