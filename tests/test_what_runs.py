"""In CI every test runs: a skipped test fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = """
import pytest

def test_a(): pass

def test_b():
    pytest.skip("no such program here")

@pytest.mark.skip(reason="later")
def test_c(): pass

@pytest.mark.slow
def test_d(): pass

@pytest.mark.slow
@pytest.mark.skip(reason="later")
def test_e(): pass
"""
SKIPPED_FILE = "import pytest\npytest.skip('not here', allow_module_level=True)\n"


def test_only_a_slow_test_may_be_skipped_in_ci(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "unit"
    folder.mkdir(parents=True)
    (folder / "test_some.py").write_text(TESTS)
    (folder / "test_whole_file.py").write_text(SKIPPED_FILE)
    argv = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--rootdir", str(tmp_path), "-c", os.devnull, "-q", "-rA"]
    told = subprocess.run(
        [*argv, "--continue-on-collection-errors", str(folder)], cwd=tmp_path, env={**os.environ, "CI": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    outcomes = {line.split("::")[-1].split(" ")[0]: line.split(" ")[0] for line in told.splitlines() if "::" in line and line[0].isupper()}
    assert outcomes == {"test_a": "PASSED", "test_b": "FAILED", "test_c": "ERROR", "test_e": "ERROR"}, told
    assert "1 skipped" in told
    assert "test_whole_file.py is skipped in CI" in told
