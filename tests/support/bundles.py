"""Bundles of Spider: as it is shipped, or under another version, with a fault in it where a test wants one."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

from groundcontrol.deployments.files import bundle_version
from majortom.bundle import build_bundle, read_bundle
from tests.support.hub import ROOT


@functools.cache
def shipped_bundle() -> bytes:
    """The bundle of the sources as they are, built once for all tests of a process: it takes a second of processor time."""
    return build_bundle()


@functools.cache
def shipped_version() -> str:
    """The version of Spider that a hub ships which was given no other bundle."""
    return bundle_version(read_bundle())


def bundle_of(folder: Path, version: str, *, fault: str = "") -> Path:
    """Build the sources as they are under another version; returns where the bundle is.

    Args: fault: a line that the agent, but neither `--version` nor root's side, stumbles over.
    """
    sources = folder / f"spider-{version}"
    shutil.copytree(ROOT / "spider", sources, ignore=shutil.ignore_patterns("__pycache__"))
    (sources / "VERSION").write_text(version)
    if fault:
        agent = sources / "agent.py"
        agent.write_text(f"{agent.read_text()}\n{fault}\n")
    made = folder / f"spider-{version}.pyz"
    made.write_bytes(build_bundle(sources))
    return made
