"""How this program was installed, and the command that updates it, brings the dashboard and removes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from groundcontrol.cli.main import main
from groundcontrol.cli.updating import Way, how_installed
from tests.support.hub import ROOT


def ways(root: Path) -> list[Way]:
    """Each way in which the program can be on a machine."""
    site = Path("lib/python3.11/site-packages/groundcontrol/cli/updating.py")
    (root / "made/run").mkdir(parents=True)
    (root / "made/run/.containerenv").touch()
    return [
        how_installed(Path("/usr/lib/stardust-hub") / site, root),
        how_installed(ROOT / "groundcontrol/cli/updating.py", root),
        how_installed(Path("/opt/stardust-hub") / site, root / "made"),
        how_installed(Path("/opt/my hub") / site, root, "/opt/my hub", "/usr"),
        how_installed(Path("/usr") / site, root, "/usr", "/usr"),
    ]


def test_no_command_takes_a_program_from_a_registry_by_the_name_of_this_project(tmp_path: Path) -> None:
    """The name there may be a stranger's: the wheel is a file, and everything else is compared with its hash."""
    found = ways(tmp_path)
    assert [way.name for way in found] == ["Debian package", "checkout", "container", "virtual environment", "pip"]
    for way in found:
        for command in (part.strip() for text in (way.update, way.add_top) for part in text.split("&&") if "pip install" in part):
            assert "--require-hashes" in command or "--no-index" in command
    assert found[3].update.startswith("'/opt/my hub'/bin/pip install --require-hashes --requirement requirements.lock &&")
    assert found[3].add_top == "'/opt/my hub'/bin/pip install --require-hashes --requirement requirements-top.lock"
    assert found[4].remove == "python3 -m pip uninstall stardust"


def test_the_hubs_own_update_is_printed_and_nothing_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["update", "--hub"]) == 0
    assert f"git -C {ROOT} pull --ff-only" in capsys.readouterr().out
    assert main(["update", "--hub", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "checkout"
