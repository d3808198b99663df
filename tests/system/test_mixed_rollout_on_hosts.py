"""One roll-out over apt, dnf, zypper and pacman on real hosts, and one that a failed script of an rpm stops although rpm went on."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import lab as labs
from tests.support.gate_trials import Run, Trial
from tests.support.hub import HubProcess
from tests.support.packages import FLAVOURS

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(2400)]

MIXED = ("debian", "dnf5-like", "suse-like", "arch-like")


def versions(trials: list[Trial], package: str) -> dict[str, str]:
    """Flavour -> the installed version, by the package manager itself."""
    commands = [FLAVOURS[flavour].version.format(package=package) for flavour in MIXED]
    return {flavour: one.host.sh(command).strip() for flavour, one, command in zip(MIXED, trials, commands, strict=True)}


def test_apt_dnf_zypper_and_pacman_are_upgraded_by_one_roll_out_and_a_failed_script_stops_the_next(tmp_path: Path) -> None:
    assert (reason := labs.unavailable()) is None, f"this test needs lab hosts, and {reason}"
    with ExitStack() as ends:
        hub = ends.enter_context(HubProcess(tmp_path / "hub", faults=("quick-watch=0.05",)))
        ends.callback(labs.down)
        trials = [Trial(labs.up(**{flavour: 1})[0], hub) for flavour in MIXED]
        for flavour, one in zip(MIXED, trials, strict=True):
            one.host.reset()  # another test may have had it
            one.name = flavour
            one.deploy()
            one.wait_row(one.submit("check"))
        assert all(text.startswith("1.0") for text in versions(trials, "lab-hello").values()), versions(trials, "lab-hello")

        run = Run(trials, "everywhere", packages=[])
        run.start()
        row = run.end()
        assert row["state"] == "succeeded", (row["words"], run.targets())
        assert {one["state"] for one in run.targets().values()} == {"passed"}
        assert all(text.startswith("2.0") for text in versions(trials, "lab-hello").values()), versions(trials, "lab-hello")
        for one in trials:
            jobs = [job for job in one.call("GET", f"jobs?node={one.node}")["jobs"] if job["action"] == "upgrade"]
            assert [job["state"] for job in jobs] == ["succeeded"], "R1: one job that changes packages"

        suse = trials[MIXED.index("suse-like")]
        suse.host.sh(FLAVOURS["suse-like"].unhold.format(package="lab-post"))
        suse.wait_row(suse.submit("check"))
        run = Run([suse], "a script fails", packages=["lab-post"])
        run.start()
        row = run.end()
        assert (row["state"], row["stopped_by"]) == ("stopped", "gate"), row["words"]
        assert "lab-post" in row["words"], row["words"]
        assert run.target(suse)["remedy"], run.target(suse)
