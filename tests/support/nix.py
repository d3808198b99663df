"""Nix modules, evaluated by Debian's Nix against `nixos_stub.nix`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.support.hub import ROOT

LIMIT_S = 60
STUB = ROOT / "tests/support/nixos_stub.nix"


def evaluated(settings: str, folder: Path, module: str = "nixos", *, darwin: bool = False) -> tuple[int, Any, str]:
    """Evaluate a module of majortom/nix. The store, with what it writes, is below `folder`.

    Returns: the exit status, which alone says whether it is valid, and the configuration.
    """
    path, system = ROOT / f"majortom/nix/{module}.nix", str(darwin).lower()
    return expression(f"import {STUB} {{ module = {path}; darwin = {system}; settings = {{ {settings} }}; }}", folder)


def expression(text: str, folder: Path) -> tuple[int, Any, str]:
    """Evaluate an expression of Nix. Returns: the exit status, the value, and what Nix says."""
    env = {**os.environ, "HOME": str(folder), **{f"NIX_{name}_DIR": str(folder / name.lower()) for name in ("STATE", "LOG", "CONF")}}
    argv = [
        "nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode", "--option", "build-users-group", "",
        "--store", f"local?root={folder}", "-E", text,
    ]  # fmt: skip
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    return done.returncode, json.loads(done.stdout) if done.returncode == 0 else None, done.stderr
