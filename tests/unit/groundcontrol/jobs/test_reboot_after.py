"""A reboot that was requested with an upgrade: by need, and never where the server might not start."""

from __future__ import annotations

import pytest

from groundcontrol.jobs.model import Change, JobError, JobState
from groundcontrol.jobs.plans import Plan, PlanHead, PlanStep, Report
from groundcontrol.jobs.reboot_after import RebootDecision, decide_reboot
from groundcontrol.nodes.model import Tri


def plan_of(*packages: str, complete: bool = True) -> Plan:
    return Plan(PlanHead("0" * 64, 1, 1, "yes", ""), complete, tuple(PlanStep(name, "1", "2", "no", "") for name in packages), ())


def decided(state: JobState, *changed: str, plan: Plan | None = None, reboot: Tri = "yes", code: str = "job.incomplete") -> RebootDecision:
    report = Report(reboot, "", (), (), (), ())
    error = None if state == "succeeded" else JobError(code, "it failed")
    return decide_reboot(state, error, [Change(name, "1", "2") for name in changed], plan, report)


@pytest.mark.parametrize(("reboot", "follows"), [("yes", True), ("unknown", True), ("no", False)])
def test_after_a_success_the_node_says_whether_it_is_needed(reboot: Tri, follows: bool) -> None:
    assert decided("succeeded", reboot=reboot) == RebootDecision(follows)
    assert decide_reboot("succeeded", None, (), None, None).follows


def test_twelve_of_thirteen_packages_and_a_reboot_that_is_due_reboot() -> None:
    names = [f"lib{number}" for number in range(12)]
    assert decided("failed", *names, plan=plan_of(*names, "vim")) == RebootDecision(follows=True)
    for reboot in ("no", "unknown"):
        assert decided("failed", *names, plan=plan_of(*names, "vim"), reboot=reboot) == RebootDecision(follows=False)


@pytest.mark.parametrize(
    "name",
    [
        "linux-image-6.1.0-40-amd64", "linux-modules-6.8.0-60-generic", "linux", "linux-lts", "kernel", "kernel-core", "kernel-default",
        "proxmox-kernel-6.8", "raspberrypi-kernel", "initramfs-tools", "initramfs-tools-core", "dracut", "mkinitcpio", "mkinitfs", "kmod",
        "grub2-efi-x64", "grub-pc", "shim-signed", "systemd-boot", "u-boot-tools", "syslinux", "cryptsetup-initramfs",
    ],
)  # fmt: skip
def test_a_reboot_is_held_while_what_starts_the_server_failed(name: str) -> None:
    decision = decided("failed", "libc6", plan=plan_of("libc6", name))
    assert (decision.follows, name in decision.held) == (False, True)


@pytest.mark.parametrize("name", ["linux-libc-dev", "linux-firmware", "kernelshark", "libkmod2"])
def test_other_packages_do_not_hold_it(name: str) -> None:
    assert decided("failed", "libc6", plan=plan_of("libc6", name)).follows


@pytest.mark.parametrize(
    ("code", "words"), [("job.packages_broken", "packages are broken"), ("job.script_failed", "a script"), ("job.stopped", "was stopped")]
)
def test_it_is_held_with_the_reason(code: str, words: str) -> None:
    decision = decided("failed", "libc6", plan=plan_of("libc6", "vim"), code=code)
    assert not decision.follows
    assert words in decision.held


@pytest.mark.parametrize("state", ["interrupted", "unknown", "cancelled", "expired"])
def test_an_outcome_that_is_not_known_holds_it(state: JobState) -> None:
    assert not decided(state, plan=plan_of("vim")).follows
    assert decided(state, plan=plan_of("vim")).held


def test_without_its_plan_it_is_held() -> None:
    for plan in (None, plan_of("vim", complete=False)):
        assert "not known" in decided("failed", "libc6", plan=plan).held
