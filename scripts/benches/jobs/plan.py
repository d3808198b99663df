"""job.plan: time of the exact plan of an upgrade of 75 packages on lab hosts, compared with each manager's own simulation.

The lists are made up (`package_lists.py`), so that every manager has the same work: 75 upgrades, a third of them for security, among
20,000 other packages.
"""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path

from majortom.build.bundle import build_bundle
from scripts.benches.measure import Results
from tests.support import lab as labs

ROUNDS = 9
UPGRADES = 75
OTHERS = 20_000
FLAVOURS = {"apt": "debian", "dnf": "fedora_like", "dnf5": "dnf5_like", "zypper": "suse_like", "pacman": "arch_like"}
BUNDLE = "/tmp/bench-spider.pyz"
_TIMED = """
import json, resource, subprocess, sys, time
sys.path.insert(0, sys.argv[1])
from spider.packages import detect
from spider.packages.interfaces import ENVIRONMENT
OWN = {
    "apt": ["apt-get", "-s", "dist-upgrade"],
    "dnf": ["dnf", "-C", "--assumeno", "upgrade"],
    "dnf5": ["dnf5", "-C", "--assumeno", "upgrade"],
    "zypper": ["zypper", "--non-interactive", "--no-refresh", "update", "--dry-run"],
    "pacman": ["pacman", "-Su", "--print"],
}
backend = detect.load_backend(sys.argv[2])
def processor():
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
rounds = []
for _ in range(int(sys.argv[3])):
    began, used = time.monotonic(), processor()
    subprocess.run(OWN[sys.argv[2]], env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True)  # --assumeno ends with 1
    between, used_between = time.monotonic(), processor()
    plan = backend.simulate("full-upgrade", ())
    rounds.append((time.monotonic() - between, between - began, processor() - used_between, used_between - used))
known = [step for step in plan.steps if step.package.startswith("bench-")]
print(json.dumps({"rounds": rounds, "steps": len(known), "security": sum(step.security == "yes" for step in known)}))
"""


def plan() -> Results:
    """The exact plan of an upgrade beside the simulation of each package manager. Medians of ROUNDS rounds for each manager (STARDUST_PLAN_MANAGERS="apt dnf" measures fewer)."""
    wanted = os.environ.get("STARDUST_PLAN_MANAGERS", "").split() or list(FLAVOURS)
    lists = Path(__file__).with_name("package_lists.py").read_text()
    results: Results = []
    hosts = dict(zip(wanted, labs.up(**{FLAVOURS[manager]: 1 for manager in wanted}), strict=True))
    try:
        for manager, host in hosts.items():
            host.reset()
            host.run("python3", "-", manager, str(UPGRADES), str(OTHERS), stdin=lists)
            host.run("/bin/sh", "-c", f"cat > {BUNDLE}", stdin=build_bundle())
            timed = json.loads(host.run("python3", "-c", _TIMED, BUNDLE, manager, str(ROUNDS), timeout_s=600).stdout)
            assert timed["steps"] == UPGRADES, timed
            for name, first in ((f"job.plan.{manager}", 0), (f"job.plan.{manager}.processor", 2)):
                pairs = [figures[first : first + 2] for figures in timed["rounds"]]
                own, theirs = (round(statistics.median(times), 2) for times in zip(*pairs, strict=True))
                ratio = round(statistics.median(mine / simulated for mine, simulated in pairs), 2)
                results.append({"name": name, "value": own, "unit": "s", "versus": theirs, "ratio": ratio})
    finally:
        labs.down()
    return results
