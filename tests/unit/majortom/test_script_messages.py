"""Error messages of the scripts for servers where Spider cannot run, with output recorded on Debian 12."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from majortom.probe import parse_probe
from majortom.ssh.shell import script
from tests.support.some import some

STARTING = "Starting stardust-spider.service - Stardust agent...\n"
ENDED = """stardust-spider.service: Main process exited, code=exited, status={}
stardust-spider.service: Failed with result 'exit-code'.
Failed to start stardust-spider.service - Stardust agent.
"""
NO_PROGRAM = """stardust-spider.service: Failed to execute /usr/bin/python3: Permission denied
stardust-spider.service: Failed at step EXEC spawning /usr/bin/python3: Permission denied
"""
NO_WAY_IN = "stardust-spider.service: Failed to connect stdout to the journal socket, ignoring: Permission denied\n"
NO_LIBRARY = """  sys.path = [
    '/usr/lib/python311.zip',
    '/usr/lib/python3.11',
  ]
Fatal Python error: init_fs_encoding: failed to get the Python codec of the filesystem encoding
Python runtime state: core initialized
ModuleNotFoundError: No module named 'encodings'

Current thread 0x00007f154fd412c0 (most recent call first):
  <no Python frame>
"""
WRITTEN = "Spider cannot read its settings:\n/etc/stardust/spider.conf is missing\n"


def run(source: str, *words: str) -> str:
    return subprocess.run(["/bin/sh", "-c", source, "sh", *words], check=True, capture_output=True, text=True, timeout=30).stdout


def functions(name: str) -> str:
    return script(name).partition("main() {")[0]


@pytest.mark.parametrize(
    ("printed", "says"),
    [
        (STARTING + NO_PROGRAM + ENDED.format("203/EXEC"), "Failed at step EXEC spawning /usr/bin/python3: Permission denied"),
        (STARTING + NO_WAY_IN + ENDED.format("200/CHDIR"), "Main process exited, code=exited, status=200/CHDIR"),
        (STARTING + NO_LIBRARY + ENDED.format("1/FAILURE"), "ModuleNotFoundError: No module named 'encodings'"),
        (STARTING + WRITTEN + ENDED.format("1/FAILURE"), "Spider cannot read its settings: /etc/stardust/spider.conf is missing"),
        (STARTING, "as its state says"),
    ],
)
def test_the_failure_reason_is_the_line_that_names_the_error(printed: str, says: str) -> None:
    told = run(
        functions("lifecycle.sh")
        + '\nagent_log() { printf "%s" "$text"; }\nstate() { printf "as its state says"; }\nsleep() { :; }\ntext=$1\nfailure_text',
        printed,
    )
    assert told.strip().removeprefix("stardust-spider.service: ") == says


def test_the_probe_names_the_mount_point_of_a_folder(tmp_path: Path) -> None:
    said = run(functions("probe.sh") + '\nfree_space "$1"', str(tmp_path)).splitlines()
    facts = [f"{name}=1" for name in ("uid", "clock")] + [f"{name}=x" for name in ("kernel", "arch", "hostname")]
    [folder] = parse_probe([*facts, *said]).folders
    assert (folder.path, folder.writable) == (str(tmp_path), True)
    assert folder.device
    assert os.path.ismount(folder.mount)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root to see what another account may do")
def test_a_closed_folder_above_the_interpreter_is_found_without_running_programs(tmp_path: Path) -> None:
    interpreter = Path(sys.executable).resolve()
    (tmp_path / "closed").mkdir(mode=0o700)
    link = tmp_path / "closed/python3"
    link.symlink_to(interpreter)
    said = run(functions("probe.sh") + "\npython=$1\nlook_for_closed", str(link)).splitlines()
    facts = [f"{name}=1" for name in ("uid", "clock")] + [f"{name}=x" for name in ("kernel", "arch", "hostname")]
    closed = some(parse_probe([*facts, *said]).closed)
    assert Path(closed.path) in (*link.parents, *interpreter.parents)  # the outermost of them, which differs between machines
    assert (int(closed.mode, 8) & 0o001, closed.needed) == (0, "x")
