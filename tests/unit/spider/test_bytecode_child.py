"""The agent's modules are compiled by a short-lived child process, from the bundle only, or by the agent itself where that fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from spider.bytecode_child import start_compiler
from tests.support.bundles import shipped_bundle
from tests.support.scripted_hub import ScriptedHub
from tests.support.spider_process import agent

OTHERS = [str(path) for minor in (8, 9, 12, 13, 14) for path in sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3"))]
PYTHONS = ["/usr/bin/python3", *OTHERS[:1], *(pytest.param(path, marks=pytest.mark.slow) for path in OTHERS[1:-1]), *OTHERS[1:][-1:]]
"""This machine's own, the oldest and the newest that are here; those between are a long test."""
PROGRAM = """
import json, os, sys, traceback
sys.path.insert(0, sys.argv[1])
import spider.__main__
from spider import bytecode_child as compiling
%s
compiler = compiling.start_compiler(spider.__main__.__loader__)
%s
import spider.agent, spider.sampling.measurement, spider.wire, msgpack.fallback
import spider.packages.hook_install as gating
modules = [spider.agent, spider.wire, msgpack.fallback, gating]
try:
    spider.agent.spool_of(None, None)
except AttributeError:
    lines = traceback.format_exc()
if compiler:
    compiler.close()
    compiler.close()
import spider.selfcare.uninstall
try:
    os.waitpid(-1, 0)
    alone = False
except ChildProcessError:
    alone = True
print(json.dumps({
    "loaders": sorted({type(module.__loader__).__name__ for module in modules}), "later": type(spider.selfcare.uninstall.__loader__).__name__,
    "files": [module.__file__ for module in modules], "path": list(spider.wire.__path__), "first": spider.agent.run_agent.__code__.co_firstlineno,
    "gate": len(gating._SOURCE), "lines": lines, "alone": alone, "finders": [type(finder).__name__ for finder in sys.meta_path],
}))
"""


def run(python: str, path: Path, before: str = "", after: str = "") -> dict[str, Any]:
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-c", PROGRAM % (before, after), str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert [each.name for each in path.parent.iterdir()] == [path.name]  # nothing was written
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    folder = tmp_path / "alone"
    folder.mkdir()
    path = folder / "spider.pyz"
    path.write_bytes(shipped_bundle())
    return path


@pytest.mark.parametrize("python", PYTHONS)
def test_modules_compiled_by_the_child_equal_those_of_python(python: str, alone: Path) -> None:
    by_child, by_itself = run(python, alone), run(python, alone, "os.fork = lambda: (_ for _ in ()).throw(BlockingIOError(11, 'no more'))")
    assert by_child["loaders"] == ["_Module"]
    assert by_itself["loaders"] == [by_child["later"]] == ["zipimporter"]
    for name in ("files", "path", "first", "gate", "lines", "alone"):
        assert by_child[name] == by_itself[name], name
    assert by_child["alone"]
    assert "spool_of" in by_child["lines"]
    assert "config.spool_hours and config.spool_mebibytes" in by_child["lines"]
    assert by_child["gate"] > 500
    assert "Compiler" not in by_child["finders"]


def test_a_dead_compiler_child_causes_no_failure(alone: Path) -> None:
    found = run("/usr/bin/python3", alone, after="import signal; os.kill(compiler._pid, signal.SIGKILL)")
    assert found["loaders"] == ["zipimporter"]
    assert found["alone"]


def test_a_stopped_compiler_child_is_given_up_after_one_timeout(alone: Path) -> None:
    found = run("/usr/bin/python3", alone, "compiling.ANSWER_LIMIT_S = 0.2", "import signal; os.kill(compiler._pid, signal.SIGSTOP)")
    assert found["loaders"] == ["zipimporter"]
    assert found["alone"]
    assert "Compiler" not in found["finders"]


def test_a_module_that_cannot_be_compiled_says_where(alone: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import spider.__main__; from spider import bytecode_child as compiling\n"
        "compiling.start_compiler(spider.__main__.__loader__)\nimport spider.nothing"
    )
    done = subprocess.run([sys.executable, "-I", "-B", "-c", program, str(alone)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "No module named 'spider.nothing'" in done.stderr


def test_sources_in_a_folder_need_no_compiler_child() -> None:
    assert start_compiler(getattr(__spec__, "loader", None)) is None


async def test_a_connected_agent_has_no_compiler_child(bundle_without_manager: Path) -> None:
    async with ScriptedHub().running() as hub, agent(hub, bundle_without_manager) as process:
        await hub.until(lambda: bool(hub.rows), limit_s=60.0)  # it measures: all is loaded
        own = psutil.Process(process.pid).cmdline()
        assert not [child for child in psutil.Process(process.pid).children() if child.cmdline() == own]
