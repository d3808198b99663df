"""Checks of the whole tree: style, types, imports, generated files, the page's types."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TYPED = ("spider", "groundcontrol", "majortom", "scripts")


def run(*argv: str, cwd: Path = ROOT) -> None:
    """Fail with the tool's own output."""
    env = dict(os.environ, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(argv)}\n{done.stdout[-6000:]}{done.stderr[-2000:]}", pytrace=False)


def test_the_code_is_formatted() -> None:
    run("ruff", "format", "--check", "--quiet", ".")


@pytest.mark.holds("SAFETY-39")
def test_the_linter_finds_nothing() -> None:
    run("ruff", "check", "--quiet", ".")


@pytest.mark.timeout(600)
def test_the_types_are_correct(pytestconfig: pytest.Config) -> None:
    """Those of the product and of the scripts, with what they use of tests/support. The tests, with all else, are half of the work."""
    packages = [] if pytestconfig.getoption("--slow") else [word for name in TYPED for word in ("-p", name)]
    # A fresh checkout finds what an earlier one has worked out: mypy goes by the content of each file.
    run("mypy", *packages, "--cache-dir", str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stardust/mypy"))


def test_each_package_imports_only_what_its_contract_allows() -> None:
    run("lint-imports", "--no-cache")


def test_generated_files_are_current() -> None:
    run(sys.executable, "scripts/gen/ts.py", "--check")


def test_the_agent_uses_nothing_that_python_3_8_lacks() -> None:
    run("vermin", "--target=3.8-", "--violations", "--no-tips", "--eval-annotations", "--no-parse-comments", "--quiet", "spider")


@pytest.mark.holds("J-18")
@pytest.mark.timeout(400)
def test_the_page_is_typed_and_its_own_tests_pass() -> None:
    run(sys.executable, "scripts/capsule.py", "check")
