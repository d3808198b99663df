"""The shell scripts of scripts/."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from scripts.simfleet.main import main

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"


@pytest.mark.parametrize("name", ["audit", "auto", "check", "release", "reset", "stop"])
def test_an_unknown_argument_is_refused(name: str) -> None:
    done = subprocess.run([SCRIPTS / name, "nonsense"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "nonsense" in done.stderr) == (2, True)


def test_stop_ends_a_process_of_a_checkout_with_special_characters_in_its_path(tmp_path: Path) -> None:
    checkout = tmp_path / "c++ [1]"
    state = checkout / ".stardust"
    state.mkdir(parents=True)
    (checkout / "scripts").mkdir()
    shutil.copy(SCRIPTS / "stop", checkout / "scripts/stop")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", state]) as process:
        try:
            threading.Thread(target=process.wait).start()  # a zombie would still have its folder in /proc
            (state / "fleet.pid").write_text(f"{process.pid}\n")
            done = subprocess.run([checkout / "scripts/stop"], capture_output=True, text=True, timeout=60, check=False)
        finally:
            process.kill()
    assert done.stdout == "Stopped 1 process(es).\n", done.stderr


def test_a_fleet_without_a_hub_says_why_it_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "control.sock").touch()  # the hub was killed
    monkeypatch.setattr(sys, "argv", ["fleet", str(tmp_path), "1"])
    assert main() == 1
    assert capsys.readouterr().err.startswith("scripts/fleet: ")
