"""A wheel, built and installed as in docs/install.md: its contents, and upgrading to a newer one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from groundcontrol.cli.example import ABOUT
from tests.support.hub import ROOT

LIMIT_S = 240
BUILT = ("groundcontrol/web/static",)
"""What npm has made here: it is not made again."""


def run(*argv: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def git(tree: Path, *words: str) -> str:
    return run("git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false", "-C", tree, *words)


def wheel(tree: Path, folder: Path) -> Path:
    """As `pip wheel` does it, which asks the build system three times, each time in a process of its own."""
    folder.mkdir()
    run(sys.executable, "-c", "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])", folder, cwd=tree)
    [made] = folder.iterdir()
    return made


@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.slow)], ids=["one", "and a newer one"])
def test_a_wheel_contains_an_installation_and_a_newer_one_replaces_it(tmp_path: Path, count: int) -> None:
    tree = tmp_path / "checkout"
    for name in git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if name and not name.startswith("tests/") and (ROOT / name).exists():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    for name in BUILT:
        shutil.copytree(ROOT / name, tree / name)
    git(tree, "init", "-q")
    git(tree, "add", ".")
    wheels = []
    for number in range(1, count + 1):
        (tree / "README.md").write_text(f"{number}\n")
        git(tree, "commit", "-qam", str(number))
        wheels.append(wheel(tree, tmp_path / str(number)))
        assert f".dev{number}+g" in wheels[-1].name

    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": sysconfig.get_path("purelib")}  # the packages of the lock file
    for made in wheels:
        run(sys.executable, "-m", "pip", "--python", venv / "bin/python", "install", "-q", "--no-deps", "--no-index", "--no-compile", made)
        version = made.name.split("-")[1]
        assert run(venv / "bin/stardust", "--version", cwd=tmp_path, env=env) == f"stardust {version}\n"
        bundle = next(venv.glob("lib/*/site-packages/majortom/spider.pyz"))
        assert run(sys.executable, "-I", "-S", bundle, "--version") == f"spider {version}\n"
    [installed] = venv.glob("lib/*/site-packages/groundcontrol/examples")
    for name in ABOUT:
        assert (installed / name).read_text() == (ROOT / "groundcontrol/examples" / name).read_text()
    assert run(venv / "bin/stardust", "example", name, cwd=tmp_path, env=env) == (installed / name).read_text()


def test_every_example_is_listed() -> None:
    assert {path.name for path in (ROOT / "groundcontrol/examples").iterdir()} == set(ABOUT)
