"""The owner's actions: only files that nobody but root can have written run, by their name, without arguments."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from groundcontrol.jobs.messages import refusal_error
from spider.jobs.files import PROGRESS, AcceptedOrder, read_progress, read_result
from spider.jobs.files import STOP as STOP_FILE
from spider.packages.interfaces import Outcome
from spider.root import runner
from spider.root.job_console import JobConsole, StopRequest
from spider.root.launcher import LauncherPaths, paths_of_user
from spider.root.named_actions import ActionRefused, NamedActions, check_action
from spider.root.runner import RunnerPaths, run_job
from spider.root.terminal import Log, OutputReporter, Terminal
from tests.support.launcher import Systemd, order, submit
from tests.support.some import some

POLICY = "[policy]\nversion = 3\nmode = managed\nactions = drain, backup\n"


@pytest.fixture
def actions(tmp_path: Path) -> Path:
    folder = tmp_path / "etc" / "actions.d"
    folder.mkdir(parents=True)
    (tmp_path / "etc").chmod(0o755)
    folder.chmod(0o755)
    write(folder, 'echo "args: $#"')
    return folder


def write(folder: Path, script: str, name: str = "drain") -> Path:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def link_file(folder: Path) -> None:
    (folder / "drain").rename(folder / "real")
    (folder / "drain").symlink_to("real")


def link_folder(folder: Path) -> None:
    folder.rename(folder.parent / "real.d")
    folder.symlink_to("real.d")


def a_folder(folder: Path) -> None:
    (folder / "drain").unlink()
    (folder / "drain").mkdir()


def a_pipe(folder: Path) -> None:
    (folder / "drain").unlink()
    os.mkfifo(folder / "drain", 0o755)


ATTACKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (lambda folder: (folder / "drain").unlink(), "action-missing"),
    "a link": (link_file, "action-kind"),
    "a folder": (a_folder, "action-kind"),
    "a pipe": (a_pipe, "action-kind"),
    "writable by the group": (lambda folder: (folder / "drain").chmod(0o775), "action-writable"),
    "writable by others": (lambda folder: (folder / "drain").chmod(0o757), "action-writable"),
    "not executable": (lambda folder: (folder / "drain").chmod(0o644), "action-mode"),
    "folder writable by the group": (lambda folder: folder.chmod(0o775), "action-folder-writable"),
    "folder writable by others": (lambda folder: folder.chmod(0o757), "action-folder-writable"),
    "folder above writable by others": (lambda folder: folder.parent.chmod(0o777), "action-folder-writable"),
    "folder a link": (link_folder, "action-folder-kind"),
}


@pytest.mark.holds("SAFETY-107")
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_action_that_others_could_have_written_is_refused_by_launcher_and_runner(
    paths: LauncherPaths, actions: Path, tmp_path: Path, attack: str
) -> None:
    Path(paths.policy).write_text(POLICY)
    act, why = ATTACKS[attack]
    act(actions)
    systemd = Systemd()
    wish = order(verb="action-run", args={"named_action": "drain"})
    assert submit(paths._replace(actions=str(actions)), wish, systemd) == ("refused", why)
    assert refusal_error("refused", why).code == f"job.{why.replace('-', '_')}", "the hub has a sentence for each reason"
    assert (systemd.started, os.listdir(paths.started)) == ([], [])
    with JobOf(tmp_path) as job:
        outcome = NamedActions(job.console, str(actions), os.geteuid()).run("drain")
    assert (outcome.state, outcome.error_code) == ("failed", "job.action_refused")
    assert b"args:" not in (tmp_path / "job" / "log").read_bytes()


@pytest.mark.holds("SAFETY-107")
def test_a_launcher_of_one_user_starts_nothing_but_actions(paths: LauncherPaths, actions: Path, tmp_path: Path) -> None:
    etc, state = tmp_path / "mine", tmp_path / "state"
    etc.mkdir()
    for name, path in (("launch.key", paths.launch_key), ("spider.conf", paths.spider_conf)):
        Path(path).rename(etc / name)
    Path(paths.policy).write_text(POLICY)
    mine = paths_of_user(str(etc), str(state), paths.policy, str(actions))
    systemd = Systemd()
    allowed = order(verb="action-run", args={"named_action": "drain"})
    assert submit(mine, allowed, systemd) == ("accepted", "")
    assert systemd.started == [f"stardust-job@{allowed.job}.service"]
    for verb in ("check", "reboot", "uninstall"):
        assert submit(mine, order(verb=verb), systemd) == ("refused", "policy-verb")
    assert len(systemd.started) == 1
    assert run_job(allowed.job, None, "", RunnerPaths(mine.jobs, str(actions), os.geteuid(), only_actions=True)) is not None
    result = some(read_result(os.path.join(mine.jobs, allowed.job)))
    assert (result.state, "args: 0" in (Path(mine.jobs) / allowed.job / "log").read_text()) == ("succeeded", True)


@pytest.mark.holds("SAFETY-107")
def test_a_file_of_another_owner_is_refused(paths: LauncherPaths, actions: Path) -> None:
    Path(paths.policy).write_text(POLICY)
    with JobOf(actions.parent) as job:
        assert NamedActions(job.console, str(actions), os.geteuid() + 1).run("drain").error_code == "job.action_refused"
    with pytest.raises(ActionRefused) as refused:
        check_action("drain", str(actions), os.geteuid() + 1)
    assert "does not belong to root" in refusal_error("refused", refused.value.cause).message


@pytest.mark.holds("SAFETY-107", "SAFETY-56")
@pytest.mark.parametrize(
    ("lines", "args", "answer"),
    [
        ("version = 3\nmode = managed\nactions = drain, backup", {"named_action": "drain"}, ("accepted", "")),
        ("version = 3\nmode = managed\nactions = drain, backup", {"named_action": "drain", "timeout_s": 600}, ("accepted", "")),
        ("version = 3\nmode = managed\nactions = backup", {"named_action": "drain"}, ("refused", "policy-action")),
        ("version = 3\nmode = managed", {"named_action": "drain"}, ("refused", "policy-action")),
        ("version = 2\nmode = managed\nunits = *", {"named_action": "drain"}, ("refused", "policy-action")),
        ("version = 2\nmode = managed\nactions = drain", {"named_action": "drain"}, ("refused", "policy-invalid")),
        ("version = 3\nmode = managed\nactions = *", {"named_action": "drain"}, ("refused", "policy-invalid")),
        ("version = 3\nmode = managed\nactions = ../drain", {"named_action": "drain"}, ("refused", "policy-invalid")),
        ("version = 3\nmode = readonly\nactions = drain", {"named_action": "drain"}, ("refused", "policy-readonly")),
        ("version = 3\nmode = managed\nactions = drain\nverbs = check", {"named_action": "drain"}, ("refused", "policy-verb")),
        *(
            ("version = 3\nmode = managed\nactions = drain", args, ("refused", "bad-args"))
            for args in (
                {}, {"named_action": "../drain"}, {"named_action": "/bin/sh"}, {"named_action": "a/b"}, {"named_action": "drain\n"}, {"named_action": ""},
                {"named_action": "-c"}, {"named_action": ["drain"]}, {"named_action": "drain", "args": ["x"]}, {"named_action": "drain", "packages": []},
                *({"named_action": "drain", "timeout_s": wrong} for wrong in (0, -1, 3601, "600", True, 1.5, None)), {"timeout_s": 600},
            )
        ),
    ],
)  # fmt: skip
def test_only_actions_that_the_policy_names_are_accepted(
    paths: LauncherPaths, actions: Path, lines: str, args: dict[str, object], answer: tuple[str, str]
) -> None:
    Path(paths.policy).write_text(f"[policy]\n{lines}\n")
    assert submit(paths._replace(actions=str(actions)), order(verb="action-run", args=args), Systemd()) == answer


class JobOf:
    """A job on a real terminal."""

    def __init__(self, place: Path) -> None:
        self.folder = place / "job"
        self.folder.mkdir()
        self._reporter = OutputReporter(str(self.folder / PROGRESS))
        stop = StopRequest(str(self.folder), self._reporter)
        self._terminal = Terminal(Log(str(self.folder / "log")), self._reporter, stop)
        self.console = JobConsole(str(self.folder), self._terminal, self._reporter, stop)

    def __enter__(self) -> JobOf:
        return self

    def __exit__(self, *_: object) -> None:
        self._terminal.close()
        self._reporter.close()


@pytest.fixture
def run(tmp_path: Path, actions: Path) -> Callable[..., tuple[Outcome, str]]:
    def perform(script: str, *, limit_s: int = 60, stop: bool = False) -> tuple[Outcome, str]:
        write(actions, script)
        with JobOf(tmp_path) as job:
            if stop:
                script = f"touch {job.folder / STOP_FILE}\n{script}"
                write(actions, script)
            outcome = NamedActions(job.console, str(actions), os.geteuid(), limit_s).run("drain")
        return outcome, (job.folder / "log").read_text()

    return perform


def test_an_action_runs_without_arguments_and_its_status_and_output_are_the_job_s(run: Callable[..., tuple[Outcome, str]]) -> None:
    outcome, log = run('echo "args: $# input: $(cat | wc -c) path: $0"')
    assert (outcome.state, outcome.exit_code) == ("succeeded", 0)
    assert "args: 0 input: 0" in log


def test_an_action_that_fails_fails_its_job(run: Callable[..., tuple[Outcome, str]]) -> None:
    outcome, log = run("echo half done; exit 3")
    assert (outcome.state, outcome.error_code, outcome.exit_code) == ("failed", "job.action_failed", 3)
    assert "half done" in log


@pytest.mark.parametrize(
    ("line", "percent", "text"),
    [
        ("[3/7] build", 42, "build 3 of 7"), ("[ 40 %] copy", 40, "copy"), ("[100%] done", 100, "done"), ("[?] activate", -1, "activate"),
        ("[900%] much", 100, "much"), ("[1/0] none", 100, "none 1 of 0"), ("[x] no", -1, "drain"), ("3/7 no", -1, "drain"),
    ],
)  # fmt: skip
def test_a_line_of_an_action_tells_how_far_it_is(
    run: Callable[..., tuple[Outcome, str]], tmp_path: Path, line: str, percent: int, text: str
) -> None:
    run(f"echo '{line}'")
    seen = some(read_progress(str(tmp_path / "job")))
    assert seen is not None
    assert (seen.percent, seen.text) == (percent, text)


def test_the_time_limit_of_an_order_reaches_the_action(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[int] = []

    class Noted(NamedActions):
        def run(self, name: str) -> Outcome:
            given.append(self._work_limit_s)
            return Outcome("succeeded", 0, 0, (), "", name)

    monkeypatch.setattr(runner, "NamedActions", Noted)
    with JobOf(tmp_path) as job:
        for args in ({"named_action": "drain"}, {"named_action": "drain", "timeout_s": 90}):
            accepted = AcceptedOrder("0" * 26, "action-run", args)
            runner._carry_out(accepted, None, job.console, runner.RunnerPaths())
    assert given == [3600, 90]


def test_an_action_that_does_not_end_is_ended(run: Callable[..., tuple[Outcome, str]]) -> None:
    outcome, _ = run("exec sleep 600", limit_s=1)
    assert (outcome.state, outcome.error_code) == ("failed", "job.timed_out")


def test_a_stop_ends_an_action(run: Callable[..., tuple[Outcome, str]]) -> None:
    began = time.monotonic()
    outcome, _ = run("exec sleep 600", stop=True)
    assert (outcome.state, outcome.error_code) == ("cancelled", "job.stopped")
    assert time.monotonic() - began < 60
