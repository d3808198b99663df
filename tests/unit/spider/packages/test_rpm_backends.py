"""Commands and statuses of the managers over rpm. Texts of yum follow its documentation: none was recorded."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from spider.packages.backend import Backend, Command, PackageError, Replan
from spider.packages.dnf import parsers as dnf_parsers
from spider.packages.dnf.backend import DnfFamily
from spider.packages.dnf.dnf4 import Dnf4
from spider.packages.dnf.dnf5 import Dnf5
from spider.packages.dnf.parsers import DnfRow, DnfTable
from spider.packages.dnf.run_reader import DnfReader
from spider.packages.interfaces import Output, PackagesUnreadable
from spider.packages.plan import Plan, Planned
from spider.packages.rpm.backend import RpmBackend, RpmReader
from spider.packages.rpm.parsers import RpmPackage
from spider.packages.yum.backend import Yum
from spider.packages.zypper.backend import Zypper
from spider.packages.zypper.run_reader import ZypperReader
from spider.root.terminal import TerminalEnded
from tests.support.null_console import NullConsole
from tests.support.some import some

PLAN = Plan((Planned("lab-sec", "1.0-1.lab", "1.1-1.lab"),))
REMOVAL = Plan((Planned("lab-sec", "1.0-1.lab", ""),))
SCRIPT = "warning: %post(lab-post-2.0-1.lab.noarch) scriptlet failed, exit status 1"


def backends() -> list[RpmBackend]:
    return [Dnf4("dnf", "x86_64"), Dnf5("dnf5", "x86_64"), Yum("x86_64"), Zypper("x86_64", "opensuse-leap")]


def commands(backend: Backend, verb: str, packages: tuple[str, ...] = (), plan: Plan = PLAN) -> list[Command]:
    work = backend.work(verb, packages, plan)
    if verb in ("upgrade", "full-upgrade", "security-upgrade", "install", "remove"):  # what changes packages comes last, the look before it
        assert [isinstance(piece, Replan) for piece in work][-2:] == [True, False]
    found = [piece for piece in work if isinstance(piece, Command)]
    assert all(isinstance(piece, (Replan, Command)) for piece in work)
    return found


@pytest.mark.parametrize("backend", backends(), ids=lambda backend: backend.name)
@pytest.mark.parametrize("verb", ["upgrade", "full-upgrade", "security-upgrade", "install"])
def test_a_download_may_be_stopped_and_an_installation_may_not(backend: Backend, verb: str) -> None:
    packages = ("lab-sec",) if verb == "install" else ()
    fetch, install = commands(backend, verb, packages)
    assert any("download" in word for word in fetch.argv)
    assert not any("download" in word and word != "--download" for word in install.argv)  # zypper is called to install, too
    assert any(word in ("-C", "--no-refresh") for word in install.argv)
    assert (fetch.phase, install.phase) == ("download", "commit")
    assert backend.stop_rule("download").answer == "now"
    assert "commit" not in fetch.limits_s
    assert set(install.limits_s) == {"waiting_lock"}
    for phase in ("plan", "download", "commit", "triggers", "check", "waiting_lock"):
        rule = some(install.stop_rule)(phase)
        assert (rule.answer, rule.signals) == ("too_late", ()), phase
        assert "two versions" in rule.why


@pytest.mark.parametrize("backend", backends(), ids=lambda backend: backend.name)
def test_a_removal_downloads_nothing_and_package_names_come_last(backend: Backend) -> None:
    (remove,) = commands(backend, "remove", ("lab-sec",), REMOVAL)
    assert remove.argv[-1] == "lab-sec"
    assert remove.stop_rule is not None
    for verb in ("hold", "unhold"):
        assert commands(backend, verb, ("lab-sec",))[0].argv[-1] == "lab-sec"
    assert commands(backend, "clean")[0].argv[-1] in ("packages", "clean")
    assert all(command.phase == "refresh" and command.limits_s for command in commands(backend, "refresh"))


def test_dnf_is_limited_to_the_planned_packages() -> None:
    plan = Plan((Planned("lab-sec", "1-1", "2:1.1-1.lab"), Planned("libx.i686", "", "1-1"), Planned("gone", "1-1", "")))
    for backend in (Dnf4("dnf", "x86_64"), Dnf5("dnf5", "x86_64")):
        for command in commands(backend, "full-upgrade", (), plan):
            (option,) = (word for word in command.argv if "includepkgs" in word)
            assert option.startswith("--setopt=*.includepkgs=,")  # which empties the list that a .repo file has
            assert {"lab-sec-2:1.1-1.lab.noarch", "lab-sec-2:1.1-1.lab.x86_64", "libx-1-1.i686"} < set(option.split(","))
            assert "gone" not in option
        many = Plan(tuple(Planned(f"package-{number:05}-{'x' * 40}", "1.0-1", "2.0-1") for number in range(5000)))
        install = commands(backend, "upgrade", (), many)[-1]
        assert max(len(word) for word in install.argv) < 128 * 1024
        told = [name for word in install.argv if "includepkgs" in word for name in word.split("=", 2)[2].split(",") if name]
        assert len(told) == 3 * 5000
        assert len([word for word in install.argv if "includepkgs=," in word]) == 1
    assert not any("includepkgs" in word for command in commands(Yum("x86_64"), "upgrade") for word in command.argv)


def test_a_run_that_still_waits_for_another_may_be_stopped(tmp_path: Path) -> None:
    backend = Dnf4("dnf", "x86_64")
    pid_file = tmp_path / "rpmdb_lock.pid"
    backend.pid_files = (str(pid_file),)
    reader = backend.reader("upgrade", NullConsole())
    reader.line(f"Waiting for process with pid {os.getppid()} to finish.")
    assert isinstance(reader.console, NullConsole)
    assert reader.console.told[-1][0] == "waiting_lock"
    assert f"(process {os.getppid()})" in reader.console.told[-1][3]
    pid_file.write_text(f"{os.getppid()}\n")
    rule = backend.commit_rule("waiting_lock")
    assert (rule.answer, rule.signals) == ("now", (signal.SIGINT,))
    assert backend.commit_rule("commit").answer == "too_late"
    pid_file.write_text(f"{os.getpid()}\n")  # another one has it now: it may be that the one before has ended, and that ours is at work
    assert backend.commit_rule("waiting_lock").answer == "too_late"


def test_a_distribution_upgrade_is_for_rolling_distributions_alone() -> None:
    assert Zypper("x86_64", "opensuse-tumbleweed").words("upgrade", ())[0] == "dup"
    assert Zypper("x86_64", "opensuse-tumbleweed").words("upgrade", ("bash",)) == ("update", "--no-force-resolution", "bash")
    for distribution in ("opensuse-leap", "sles"):
        for verb in ("upgrade", "full-upgrade"):
            assert Zypper("x86_64", distribution).words(verb, ())[0] == "update"
    for backend in (Dnf4("dnf", "x86_64"), Dnf5("dnf5", "x86_64")):
        assert "--allowerasing" in backend.words("full-upgrade", ())
        assert "--allowerasing" not in backend.words("upgrade", ())
        assert "distro-sync" not in backend.words("full-upgrade", ())


def test_patches_that_want_a_reboot_are_not_left_out_in_silence() -> None:
    for command in commands(Zypper("x86_64", "opensuse-leap"), "security-upgrade"):
        assert "--non-interactive-include-reboot-patches" in command.argv


@pytest.mark.parametrize("rc", [0, 1])
def test_a_failed_script_is_a_failure_whatever_the_status(rc: int) -> None:
    for backend in backends():
        reader = backend.reader("upgrade", NullConsole())
        reader.line(SCRIPT)
        failure = some(backend.failure("upgrade", TerminalEnded(rc, 0, "", ""), reader))
        assert failure.code == "job.script_failed"
        assert "lab-post" in failure.text


@pytest.mark.parametrize(
    ("rc", "line", "code"),
    [
        (0, "", ""),
        (102, "", ""),
        (103, "", ""),
        (106, "", ""),
        (107, "", "job.script_failed"),
        (7, "System management is locked by the application with pid 1 (zypper).", "job.lock_busy"),
        (104, "", "job.unknown_package"),
        (4, "Problem: nothing provides 'x' needed by the to be installed y", "job.unmet_dependencies"),
        (8, "error: y: install failed", "job.package_manager"),
    ],
)
def test_the_statuses_of_zypper(rc: int, line: str, code: str) -> None:
    backend = Zypper("x86_64", "opensuse-leap")
    reader = backend.reader("upgrade", NullConsole())
    assert isinstance(reader, ZypperReader)
    reader.line(line)
    failure = backend.failure("upgrade", TerminalEnded(rc, 0, "", ""), reader)
    assert (failure.code if failure else "") == code
    assert bool(reader.notes) == (rc in (103, 106))
    if rc == 102:
        assert backend.reboot_required().required == "yes"


def test_zypper_refuses_autoremove() -> None:
    assert "zypper packages --unneeded" in Zypper("x86_64", "opensuse-leap").cannot("autoremove", ())
    assert Zypper("x86_64", "opensuse-leap").cannot("remove", ("a",)) == ""


def test_without_versionlock_hold_is_refused_and_names_the_missing_package() -> None:
    for backend, package in ((Dnf4("dnf", "x86_64"), "python3-dnf-plugin-versionlock"), (Yum("x86_64"), "yum-plugin-versionlock")):
        assert package in backend.cannot("hold", ("bash",))
    assert Dnf5("dnf5", "x86_64").cannot("hold", ("bash",)) == ""


def test_a_reboot_is_expected_after_the_kernel_and_the_core() -> None:
    backend = Dnf4("dnf", "x86_64")
    assert backend.reboot_expected([Planned("kernel-core", "", "6.9-1"), Planned("bash", "1-1", "2-1")]) == ("yes", "kernel-core")
    assert backend.reboot_expected([Planned("kernel-core", "6.1-1", "")]) == ("no", "")


def test_the_oldest_kernel_and_obsoleted_packages_are_replaced() -> None:
    backend = Dnf4("dnf", "x86_64")
    rows = [
        DnfRow("install", RpmPackage("kernel-core", "6.10-1", "x86_64"), "updates"),
        DnfRow("remove", RpmPackage("kernel-core", "6.1-1", "x86_64"), "@updates"),
        DnfRow("install", RpmPackage("new", "2-1", "noarch"), "updates", (RpmPackage("old", "1-1", "noarch"),)),
        DnfRow("remove", RpmPackage("gone", "1-1", "noarch"), "@updates"),
        DnfRow("skip", RpmPackage("stays", "2-1", "noarch"), "updates"),
    ]
    steps, replaced = backend.steps_of(rows, {}, frozenset(), [])
    assert [step[:3] for step in steps] == [
        ("kernel-core", "", "6.10-1"),
        ("kernel-core", "6.1-1", ""),
        ("new", "", "2-1"),
        ("old", "1-1", ""),
        ("gone", "1-1", ""),
    ]
    assert replaced == ["kernel-core", "old"]
    assert {step.security for step in steps if step.after} == {"unknown"}  # no repository here says anything of security


YUM_PLAN = """Loaded plugins: fastestmirror
Resolving Dependencies
--> Running transaction check
---> Package bash.x86_64 0:4.2.46-33.el7 will be updated
---> Package bash.x86_64 0:4.2.46-34.el7 will be an update
--> Finished Dependency Resolution

Dependencies Resolved

================================================================================
 Package                        Arch    Version                 Repository
                                                                           Size
================================================================================
Installing:
 kernel                         x86_64  3.10.0-1160.el7         updates    50 M
     replacing  kernel-old.x86_64 3.10.0-1.el7
Updating:
 bash                           x86_64  4.2.46-34.el7           updates   1.0 M
 python-a-very-long-name-of-a-package-that-does-not-fit
                                noarch  1:2.0-1.el7             updates    10 k
Installing for dependencies:
 linux-firmware                 noarch  20200421-79.el7         updates    80 M

Transaction Summary
================================================================================
Install  1 Package  (+1 Dependent package)
Upgrade  2 Packages

Total download size: 131 M
Exiting on user command
Your transaction was saved, rerun it with:
 yum load-transaction /tmp/yum_save_tx.2026-11-20.08-30.abcdef.yumtx
"""


def test_a_plan_of_yum() -> None:
    table = dnf_parsers.parse_table(YUM_PLAN)
    assert [(row.act, row.package.name, row.package.version) for row in table.rows] == [
        ("install", "kernel", "3.10.0-1160.el7"),
        ("upgrade", "bash", "4.2.46-34.el7"),
        ("upgrade", "python-a-very-long-name-of-a-package-that-does-not-fit", "1:2.0-1.el7"),
        ("install", "linux-firmware", "20200421-79.el7"),
    ]
    assert table.rows[0].replaces == (RpmPackage("kernel-old", "3.10.0-1.el7", "x86_64"),)
    assert table.download_bytes == 131 * 1024**2
    assert dnf_parsers.parse_table("Loaded plugins: fastestmirror\nNo packages marked for update\n").rows == ()


def test_broken_lines_of_a_yum_list_are_joined() -> None:
    text = (
        "\nbash.x86_64                        4.2.46-34.el7                 updates\n"
        "python-a-very-long-name-of-a-package-that-does-not-fit.noarch\n                                   1:2.0-1.el7                   updates\n"
        "Security: kernel-3.10.0-1.el7.x86_64 is an installed security update\n"
        "Obsoleting Packages\nnew.noarch  1-1  updates\n    old.noarch  1-1  @base\n"
    )
    assert dnf_parsers.parse_check_update(text) == [
        RpmPackage("bash", "4.2.46-34.el7", "x86_64"),
        RpmPackage("python-a-very-long-name-of-a-package-that-does-not-fit", "1:2.0-1.el7", "noarch"),
    ]
    with pytest.raises(ValueError, match="not understood"):
        dnf_parsers.parse_check_update("bash.x86_64\n")


def test_a_run_of_yum_is_followed() -> None:
    console = NullConsole()
    reader: RpmReader = Yum("x86_64").reader("upgrade", console)
    assert isinstance(reader, DnfReader)
    for line in (
        "Existing lock /var/run/yum.pid: another copy is running as pid 1234.",
        "Running transaction",
        "  Updating   : bash-4.2.46-34.el7.x86_64                                    1/4 ",
        "  Cleanup    : bash-4.2.46-33.el7.x86_64                                    3/4 ",
        "  Verifying  : bash-4.2.46-34.el7.x86_64                                    1/4 ",
    ):
        reader.line(line)
    assert some(reader.lock).pid == "1234"
    assert [(told[0], told[1]) for told in console.told] == [("waiting_lock", -1), ("commit", 0), ("commit", 25), ("commit", 75)]


def test_a_skipped_package_is_kept_back_even_if_a_full_upgrade_has_no_plan() -> None:
    class Protecting(Dnf4):
        def table(self, words: Sequence[str]) -> DnfTable:
            raise PackageError("job.protected", f"{words[0]} would remove systemd")

    table = DnfTable((DnfRow("skip", RpmPackage("app", "2-1", "x86_64"), "main"),))
    kept = Protecting("dnf", "x86_64")._kept_back("upgrade", (), table, {}, None, ())
    assert kept == [("app", "2-1", "unresolvable")]


def test_every_name_of_a_verb_is_known_to_every_manager() -> None:
    for backend in backends():
        if isinstance(backend, DnfFamily):
            for verb in ("upgrade", "full-upgrade", "security-upgrade", "install", "remove", "autoremove"):
                assert backend.words(verb, ())


class AnsweringZypper(Zypper):
    """A zypper with given answers, by a word of the query."""

    answers: dict[str, Output]

    def run_query(self, *words: str) -> Output:
        return next(answer for word, answer in self.answers.items() if word in words)


def test_a_failed_query_of_zypper_is_not_an_empty_answer() -> None:
    zypper = AnsweringZypper("x86_64", "sles")
    patches = '<update kind="patch" name="openSUSE-1" category="security" status="needed" restart="false"/>'
    listed = f'<?xml version="1.0"?><stream><update-status><update-list>{patches}</update-list></update-status></stream>'
    locked = Output(7, "", "System management is locked")
    zypper.answers = {"list-patches": Output(0, listed, ""), "patch-info": locked, "list-updates": locked}
    with pytest.raises(PackagesUnreadable, match="locked"):
        zypper.needed_by_zypper()
    with pytest.raises(PackagesUnreadable, match="locked"):
        zypper.updates()


def test_zypper_finds_packages_although_it_skips_a_repository() -> None:
    zypper = AnsweringZypper("x86_64", "sles")
    found = '<solvable-list><solvable kind="package" name="vim"/></solvable-list>'
    zypper.answers = {"search": Output(106, f'<?xml version="1.0"?><stream><search-result>{found}</search-result></stream>', "")}
    assert zypper.named_like(["vim"]) == {"vim"}
