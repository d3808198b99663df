"""The bundle in `install.sh`: complete, small, and strict about its input."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from groundcontrol.deployments.install_script import install_script
from majortom.build.bundle import build_joiner


@pytest.fixture(scope="module")
def joiner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("joiner") / "joiner.pyz"
    path.write_bytes(build_joiner())
    return path


@pytest.mark.parametrize("given", [b"", b"\n\n", b"stardust1.\n", b"token\n", b"\xff\xfe\n", b"stardust1." + b"A" * 9000])
def test_an_invalid_invite_is_reported_in_one_sentence(joiner: Path, given: bytes) -> None:
    """It starts without anything of this checkout, so it is complete."""
    words = [sys.executable, "-I", "-B", str(joiner), "/dev/null", "/dev/null"]
    done = subprocess.run(words, input=given, capture_output=True, timeout=30, check=False, cwd="/")
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.startswith(b"stardust: ")
    assert done.stderr.count(b"\n") == 1
    assert b"invite" in done.stderr


def test_ctrl_c_at_the_prompt_is_answered_in_one_sentence(joiner: Path) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-I", "-B", str(joiner), "/dev/null", "/dev/null"]
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, cwd="/") as child:
        shown = b""
        while not shown.endswith(b"invite: "):
            shown += os.read(ours, 100)
        error = None
        while error is None:  # one that comes just before the read begins is noticed after it: a person presses again
            child.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                _, error = child.communicate(timeout=10)
    os.close(ours)
    os.close(theirs)
    assert (child.returncode, error) == (130, b"stardust: stopped; the server is as it was before\n")


def test_install_sh_is_portable_and_reproducible(tmp_path: Path) -> None:
    script = install_script()
    assert script == install_script()
    assert len(script) < 130_000
    assert b"@PROBE@" not in script
    path = tmp_path / "install.sh"
    path.write_bytes(script)
    subprocess.run(["/bin/sh", "-n", str(path)], check=True, timeout=30)
