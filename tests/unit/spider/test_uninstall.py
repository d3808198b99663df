"""The verb `uninstall` on the node: the job only hands over, and the program that replaces it waits for its end."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from spider.packages.interfaces import Outcome
from spider.selfcare import uninstall
from spider.selfcare.uninstall import ScriptResult, retry_farewell, run_script, uninstall_now
from spider.selfcare.uninstall_job import argv_of, is_command_new, start_uninstall
from spider.wire.ids import new_time_id
from tests.support.bundles import shipped_bundle
from tests.support.null_console import NullConsole
from tests.support.some import some

JOB, BOOT = new_time_id(), "b" * 32
ROOT = Path(__file__).parents[3]


class Stopped(NullConsole):
    def stop_wanted(self) -> bool:
        return True


def test_the_root_command_is_replaced_where_it_lacks_a_verb(tmp_path: Path) -> None:
    command, script = tmp_path / "stardust-spider", (ROOT / "majortom/remote/lifecycle.sh").read_text()
    assert not is_command_new(str(command))
    command.write_text("#!/bin/sh\ncase ${1-} in\nuninstall | status | --version) exec python3 ;;\n")
    assert not is_command_new(str(command))
    command.write_text(script.partition("install_command() {")[2].partition("\n}\n")[0])  # as this version writes it
    assert is_command_new(str(command))
    assert " ! grep -Fqs '[a-z]* | --version)' \"$COMMAND\"" in script


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("mode = managed", "managed"),
        ("mode = readonly\nrekey = yes", "readonly"),
        ("mode = managed\nrekey = maybe", "not valid, so no job runs here: rekey is yes or no"),
        ("mode = managed\nverbs = upgrade, rekey", "not valid, so no job runs here: unknown verb 'rekey'"),
        ("mode = managed\nmode = managed", "not valid, so no job runs here: "),
        (None, "not valid, so no job runs here: "),
    ],
)
def test_status_prints_the_policy_as_the_launcher_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lines: str | None, told: str
) -> None:
    path = tmp_path / "policy.conf"
    if lines is not None:
        path.write_text(f"[policy]\nversion = 1\n{lines}\n")
    read = partial(uninstall._policy, str(path), os.geteuid())
    monkeypatch.setattr(uninstall, "_policy", read)
    script = (ROOT / "majortom/remote/lifecycle.sh").read_bytes().replace(b"ETC=/etc/stardust", f"ETC={tmp_path}".encode())
    monkeypatch.setattr(uninstall, "bundled_script", lambda: script)
    (tmp_path / "spider.conf").write_text("[hub]\nurl = wss://h/ws\n")
    assert uninstall.status() == 0
    printed = [line.split(None, 1) for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in printed] == ["version", "hub", "policy", "state"]
    assert printed[1][1] == "wss://h/ws"
    assert printed[2][1].startswith(told) if told.endswith(" ") else printed[2][1] == told


def test_the_job_ends_well_once_systemd_has_the_unit() -> None:
    asked: list[Sequence[str]] = []

    def run(argv: Sequence[str]) -> str:
        asked.append(argv)
        return ""

    assert start_uninstall(JOB, BOOT, NullConsole(), run) == Outcome("succeeded", 0, 0, ())
    assert asked == [argv_of(JOB, BOOT)]
    assert argv_of(JOB, BOOT)[-3:] == ["uninstall", "--ordered", JOB]


def test_a_refusal_by_systemd_removes_nothing_and_is_reported() -> None:
    outcome = start_uninstall(JOB, BOOT, NullConsole(), lambda _argv: "Unit stardust-uninstall.service was already loaded")
    assert (outcome.state, outcome.error_code) == ("failed", "job.uninstall_failed")
    assert "already loaded" in outcome.error_text


def test_an_uninstall_stopped_before_its_start_removes_nothing() -> None:
    assert start_uninstall(JOB, BOOT, Stopped(), lambda _argv: pytest.fail("nothing is run")).state == "cancelled"


def test_the_end_of_the_job_is_waited_for() -> None:
    said = [
        ScriptResult(False, "job_running", [], []),
        ScriptResult(False, "job_running", [], []),
        ScriptResult(True, "", ["one"], []),
        ScriptResult(True, "", [], []),
    ]
    asked: list[str] = []

    def run(action: str) -> ScriptResult:
        asked.append(action)
        return said.pop(0) if said else ScriptResult(True, "", [], ["/opt/stardust"])

    assert uninstall_now(run, 30.0) == ScriptResult(True, "", ["one"], ["/opt/stardust"])
    assert asked == ["stop", "stop", "stop", "remove", "search"]


def test_an_uninstall_by_hand_does_not_wait_for_a_running_job() -> None:
    assert uninstall_now(lambda _action: ScriptResult(False, "job_running", [], []), 0.0).error == "job_running"


def test_the_farewell_is_retried_until_the_hub_answers() -> None:
    answers = ["refused", "refused", ""]
    assert retry_farewell(lambda: answers.pop(0), 30.0, 0.0) == ""
    assert answers == []
    assert retry_farewell(lambda: "refused", 0.0, 0.0) == "refused"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "spider.pyz"
    path.write_bytes(shipped_bundle())
    return path


@pytest.mark.parametrize("words", [["now"], ["--ordered"], ["--ordered", "../x"], ["--ordered", JOB, "more"]])
def test_unknown_arguments_of_uninstall_are_refused(bundle: Path, words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-I", "-B", str(bundle), "uninstall", *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (64, "uninstall takes no arguments\n")


def test_a_script_that_does_not_end_is_an_error_like_any_other() -> None:
    assert run_script(b"exec sleep 60", "remove", limit_s=0.05) == ScriptResult(False, "remove took too long", [], [])


@pytest.mark.parametrize(("failed", "told"), [("remove", "remove took too long"), ("search", "search took too long"), ("stop", None)])
def test_an_ordered_uninstall_reports_to_the_hub_where_it_failed(monkeypatch: pytest.MonkeyPatch, failed: str, told: str | None) -> None:
    heard: list[tuple[str, str]] = []
    held: set[bool] = set()

    def run(_script: bytes, action: str, *, holds_lock: bool) -> ScriptResult:
        held.add(holds_lock)
        if action != failed:
            return ScriptResult(True, "", [], [])
        return ScriptResult(False, "job_running" if told is None else f"{action} took too long", [], [])

    def tell(_config: object, _sent: object, why: str, left: str = "") -> str:
        heard.append((why, left))
        return ""

    monkeypatch.setattr(uninstall, "run_script", run)
    monkeypatch.setattr(uninstall, "_say_farewell", tell)
    assert uninstall._leave(b"", None, ordered=True, wait_s=0.0) == (uninstall.EXIT_BUSY if told is None else uninstall.EXIT_LEFT)
    assert heard == ([] if told is None else [(uninstall.BY_ORDER, told)])
    assert held == {True}, "where there is no systemd the script tells a job by the lock, which is ours here"
    heard.clear()
    uninstall._leave(b"", None, ordered=False)
    assert heard == []


@pytest.mark.parametrize("cut_off", [False, True])
def test_uninstall_uses_the_same_key_as_spider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, cut_off: bool) -> None:
    conf, key = tmp_path / "spider.conf", tmp_path / "session.key"
    conf.write_text(f"[hub]\nurl = wss://hub.example/ws\nfleet = {JOB}\n[node]\nid = {JOB}\ngeneration = 2\n")
    conf.chmod(0o644)
    files = [(key, b"1" * 32), (tmp_path / "session.key.2", b"2" * 32)] if cut_off else [(key, b"2" * 32)]
    for path, content in files:
        path.write_bytes(content)
        path.chmod(0o600)
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: pwd.getpwuid(os.geteuid()))
    config = some(uninstall._config(str(conf), str(key)))
    assert (config.generation, config.key) == (2, b"2" * 32)
