"""The command line before, beside and after a hub: start, stop, uninstall, login at another machine, and completion in a real shell."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import command, said_by
from tests.support.fork_server import FORK_SERVER
from tests.support.hub import ROOT, HubProcess

LIMIT_S = 240


def stardust(folder: Path, *words: str, given: str = "", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, with a home of its own. A hub that it starts is a new process, as a user's."""
    usual = {"PATH": os.environ["PATH"], "HOME": str(folder), "STARDUST_ALLOW_VOLATILE": "yes", **(env or {})}
    return FORK_SERVER.run(words, cwd=folder, env=usual, given=given, limit_s=LIMIT_S)


def test_a_hub_is_started_stopped_and_taken_off_its_machine(tmp_path: Path) -> None:
    nobody = stardust(tmp_path)
    assert (nobody.returncode, nobody.stdout) == (4, "")
    assert "stardust start" in nobody.stderr
    assert "stardust login" in nobody.stderr
    assert list(tmp_path.iterdir()) == []
    try:
        started = stardust(tmp_path, "start", "--port", "0")
        assert (started.returncode, started.stderr) == (0, "")
        assert "page: http://localhost:" in started.stdout
        again = stardust(tmp_path, "start", "--json")
        assert json.loads(again.stdout)["started"] is False
        assert "page: http://localhost:" in stardust(tmp_path).stdout
        assert (tmp_path / ".stardust" / "secret").stat().st_mode & 0o077 == 0
        wrong = stardust(tmp_path, "uninstall", "--name", "another-machine")
        assert (wrong.returncode, "nothing was removed" in wrong.stderr) == (1, True)
        assert stardust(tmp_path, "uninstall").returncode == 2
        assert stardust(tmp_path, "status").returncode == 0
    finally:
        stopped = stardust(tmp_path, "stop")
    assert stopped.stdout == "the hub has stopped\n"
    assert stardust(tmp_path, "stop").stdout == "no hub runs here\n"
    assert stardust(tmp_path, "uninstall", "--name", socket.gethostname()).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_data_folder_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "letters").touch()
    refused = stardust(tmp_path, "uninstall", "--data-dir", str(tmp_path), "--name", socket.gethostname())
    assert (refused.returncode, "is no data folder" in refused.stderr) == (1, True)
    assert (tmp_path / "letters").exists()


def test_an_example_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """systemd calls an empty unit masked, and a redirection of the shell leaves one when the command fails."""
    unit, kept = tmp_path / "hub.service", tmp_path / "kept.service"
    assert command(tmp_path, "example", "stardust-hub.service", "--output", str(unit)).returncode == 0
    assert unit.read_text() == (ROOT / "groundcontrol/examples/stardust-hub.service").read_text()
    kept.write_text("[Service]\n")
    for name, target in (("no-such-example", kept), ("stardust-hub.service", tmp_path / "no folder" / "hub.service")):
        refused = command(tmp_path, "example", name, "--output", str(target))
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith("stardust: ")
    assert kept.read_text() == "[Service]\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hub.service", "kept.service"]


def test_a_start_that_fails_shows_why(tmp_path: Path) -> None:
    ended = stardust(tmp_path, "start", "--port", "seven")
    assert ended.returncode == 1
    assert "exit status 78" in ended.stderr
    assert "port" in ended.stderr


def test_a_login_is_remembered_for_other_verbs(shared_hub: HubProcess, tmp_path: Path) -> None:
    token = said_by(shared_hub, "token", "new", "cli-login").strip()
    shared_hub.enrol("login-web")
    url = f"http://127.0.0.1:{shared_hub.port}"
    refused = stardust(tmp_path, "login", "--url", url, given="stardust_wrong\n")
    assert (refused.returncode, list(tmp_path.iterdir())) == (1, [])
    done = stardust(tmp_path, "login", "--url", url, given=f"{token}\n")
    assert (done.returncode, done.stderr) == (0, "")
    file = tmp_path / ".config" / "stardust" / "login.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "login-web" in stardust(tmp_path, "nodes").stdout
    elsewhere = stardust(tmp_path, "nodes", "--data-dir", str(tmp_path))
    assert elsewhere.returncode == 4, "a flag comes before the login"
    file.chmod(0o644)
    wide = stardust(tmp_path, "nodes")
    assert (wide.returncode, "chmod 600" in wide.stderr, token in wide.stderr) == (1, True, False)
    file.chmod(0o600)
    assert stardust(tmp_path, "login", "--forget").returncode == 0
    assert stardust(tmp_path, "nodes").returncode == 4


def test_a_login_is_kept_for_each_organisation(hub: HubProcess, tmp_path: Path) -> None:
    hub.enrol("of-default")
    said_by(hub, "org", "create", "blue", "--admin", "eve")
    said_by(hub, "user", "reset", "eve", "--org", "blue")  # a password that need not be changed
    url = f"http://127.0.0.1:{hub.port}"
    for organisation, user in (("default", "admin"), ("blue", "eve")):
        token = said_by(hub, "token", "new", "cli", "--user", user, "--role", "operator", "--org", organisation).strip()
        done = stardust(tmp_path, "login", "--url", url, "--org", organisation, given=f"{token}\n")
        assert (done.returncode, done.stderr) == (0, "")
    assert "of-default" in stardust(tmp_path, "nodes", "--org", "default").stdout
    blue = stardust(tmp_path, "nodes", "--org", "blue")
    assert (blue.returncode, "of-default" in blue.stdout) == (0, False), blue.stderr
    assert stardust(tmp_path, "nodes").returncode == 4, "without an organisation none of both counts"
    assert stardust(tmp_path, "login", "--forget", "--org", "blue").returncode == 0
    assert sorted(path.name for path in (tmp_path / ".config/stardust").iterdir()) == ["login-default.json"]


TYPED: dict[str, set[str]] = {
    "stardust nodes sh": {"show"},
    "stardust nodes show tab-w": {"tab-web-1", "tab-web-2"},
    "stardust nodes show tag:ta": {"tab"},
    "stardust run upgrade tab-web-1,tab-d": {"tab-web-1,tab-db"},
    "stardust update --out": {"--outdated"},
    "stardust jobs --node tab-db ": set(),
}
"""Each is an interpreter of its own, so the verbs alone are left to the unit tests."""


@pytest.mark.slow  # test_completion_shells has a shell on a terminal
def test_bash_completes_verbs_flags_and_nodes(shared_hub: HubProcess, tmp_path: Path) -> None:
    shared_hub.enrol("tab-web-1", "tab-web-2", "tab-db", "tab space")
    command(shared_hub.folder, "nodes", "tag", "tab-web-1", "--add", "tab")
    (tmp_path / "stardust").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m groundcontrol "$@"\n')
    (tmp_path / "stardust").chmod(0o755)
    script = (
        "source <(stardust completion bash); for line; do"
        ' COMP_LINE=$line; COMP_POINT=${#line}; COMPREPLY=(); _stardust; printf "%s\n" "${COMPREPLY[@]}" =; done'
    )
    env = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path),
        "STARDUST_DATA_DIR": str(shared_hub.folder),
    }  # fmt: skip
    done = subprocess.run(["bash", "-c", script, "bash", *TYPED], env=env, cwd="/", capture_output=True, text=True, timeout=60, check=True)
    answers = done.stdout.split("=\n")[:-1]
    found = {line: {word for word in answer.split("\n") if word} for line, answer in zip(TYPED, answers, strict=True)}
    assert found == TYPED, done.stderr
