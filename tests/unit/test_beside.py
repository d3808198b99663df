"""What several processes of tests take up first."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.beside import HOSTS, LONGEST, next_file
from tests.support.hub import ROOT

OF_HOSTS = [file for file in LONGEST if file.startswith(HOSTS)]
OTHERS = [file for file in LONGEST if not file.startswith(HOSTS)]


def test_half_of_the_processes_begin_with_hosts_and_each_with_its_longest() -> None:
    waiting = ["tests/unit/test_quick.py", "tests/system/test_quick.py", *reversed(LONGEST)]
    assert next_file(waiting, 0) == next_file(waiting, 2) == OF_HOSTS[0]
    assert next_file(waiting, 1) == next_file(waiting, 3) == OTHERS[0]


def test_what_is_not_long_comes_after_it_as_it_was_collected() -> None:
    waiting = ["tests/unit/test_b.py", "tests/unit/test_a.py", "tests/system/test_d.py", "tests/system/test_c.py"]
    assert [next_file(waiting, process) for process in (0, 1)] == ["tests/system/test_d.py", "tests/unit/test_b.py"]
    assert next_file([*waiting, OF_HOSTS[-1]], 0) == OF_HOSTS[-1]


def test_who_is_done_with_its_own_kind_helps_with_the_other() -> None:
    assert next_file([OTHERS[-1], OTHERS[0]], 0) == OTHERS[0]
    assert next_file([OF_HOSTS[-1], OF_HOSTS[0]], 1) == OF_HOSTS[0]


def test_the_long_files_are_there() -> None:
    assert [file for file in LONGEST if not (ROOT / file).is_file()] == []
    assert len(set(LONGEST)) == len(LONGEST)


def test_a_run_of_several_processes_keeps_to_it(tmp_path: Path) -> None:
    for name in ("tests/unit/test_quick.py", "tests/system/test_brief.py", OF_HOSTS[0], OTHERS[0]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("import pytest\n\n@pytest.mark.parametrize('turn', range(4))\ndef test_it(turn):\n    pass\n")
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    argv = ["-v", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "-p", "no:cacheprovider", "-p", "tests.conftest"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *argv, "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), str(tmp_path / "tests")],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    taken = re.findall(r"^\[gw(\d)\].* PASSED \S*/(tests/\S+?)::", done.stdout, re.MULTILINE)
    assert len(taken) == 16, done.stdout + done.stderr
    first = {process: next(file for who, file in taken if who == process) for process in ("0", "1")}
    assert first == {"0": OF_HOSTS[0], "1": OTHERS[0]}
