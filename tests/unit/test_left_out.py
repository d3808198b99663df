"""What a run in CI may leave out, tried by a run of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.hub import ROOT
from tests.support.left_out import SLOW, may_be_left_out

ASKED = f"""
import pytest

def test_good():
    pass

@pytest.mark.slow
def test_long():
    pass

def test_claims_to_be_long():
    pytest.skip({SLOW!r})

@pytest.mark.skipif(True, reason="slow: not today")
def test_begins_like_it():
    pass

@pytest.mark.skipif(True, reason="root may not")
def test_lacks_something():
    pass

@pytest.mark.slow
def test_long_and_lacking():
    pytest.skip("no time")
"""
LEAVES_ITSELF_OUT = "import pytest\npytest.skip('not here', allow_module_level=True)\n"


def outcomes(folder: Path, *words: str, ci: bool) -> dict[str, str]:
    """Test to its outcome; a file that leaves itself out stands for its tests."""
    env = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST_")}
    argv = ["-v", "-p", "no:cacheprovider", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), *words]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *argv, str(folder / "tests")],
        cwd=ROOT, env=env | ({"CI": "true"} if ci else {}), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    found = dict(re.findall(r"::test_(\w+) ([A-Z]+)", done.stdout))
    assert found or "left out in CI" in done.stdout, done.stdout + done.stderr
    return found


@pytest.mark.parametrize(
    ("ci", "words", "left_out"),
    [
        (True, [], {"long", "long_and_lacking"}),
        (True, ["--slow"], set()),
        (False, [], {"long", "long_and_lacking", "claims_to_be_long", "begins_like_it", "lacks_something"}),
    ],
)
def test_ci_leaves_out_long_tests_that_nobody_asked_for_and_no_other(
    tmp_path: Path, ci: bool, words: list[str], left_out: set[str]
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_asked.py").write_text(ASKED)
    found = outcomes(tmp_path, *words, ci=ci)
    assert len(found) == 6
    assert {name for name, outcome in found.items() if outcome == "SKIPPED"} == left_out
    assert {name for name, outcome in found.items() if outcome == "PASSED"} == ({"good"} if "--slow" not in words else {"good", "long"})


def test_in_ci_no_file_leaves_itself_out(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_asked.py").write_text(LEAVES_ITSELF_OUT)
    assert outcomes(tmp_path, ci=True) == {}


def test_a_reason_is_believed_word_for_word() -> None:
    assert may_be_left_out(SLOW, unasked=True)
    assert not may_be_left_out(SLOW, unasked=False)
    assert not may_be_left_out(SLOW + " one day", unasked=True)
