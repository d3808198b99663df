"""Bundles of Spider: as shipped, with another version, or with an injected fault."""

from __future__ import annotations

import functools
import io
import zipfile
from pathlib import Path

from groundcontrol.deployments.node_files import bundle_version
from majortom.build.bundle import build_bundle, read_bundle
from tests.support.hub import ROOT

WITHOUT_MANAGER = "from spider.packages.query_process import SeparateQuery; SeparateQuery.available_updates = lambda _: None"
"""The `fault` of an agent that finds no package manager: to ask the one of a machine takes seconds of a processor at each start."""


@functools.cache
def shipped_bundle() -> bytes:
    """The bundle of the sources as they are: what the last build left, unless a source is newer. To build it takes two seconds."""
    built = ROOT / "majortom/spider.pyz"
    files = [path for folder in ("spider", "majortom") for path in (ROOT / folder).rglob("*")]
    if built.is_file() and built.stat().st_mtime > max(
        path.stat().st_mtime for path in files if path.suffix in (".py", ".sh") or path.name == "VERSION"
    ):
        return built.read_bytes()
    return build_bundle()


@functools.cache
def shipped_version() -> str:
    """The version of Spider that a hub ships which was given no other bundle."""
    return bundle_version(read_bundle())


def bundle_of(folder: Path, version: str, *, fault: str = "") -> Path:
    """The bundle of the sources as they are, under another version; returns where it is.

    Args: fault: a line that the agent, but neither `--version` nor root's side, stumbles over.
    """
    made = folder / f"spider-{version}.pyz"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(shipped_bundle())) as shipped, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in shipped.namelist():
            content = f'VERSION = "{version}"\n'.encode() if name == "spider/version.py" else shipped.read(name)
            archive.writestr(name, content + f"\n{fault}\n".encode() if name == "spider/agent.py" else content)
    return made
