"""Spider in its own process, with a scripted hub."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from tests.support.scripted_hub import ScriptedHub

OLD_PYTHONS = sorted(str(path) for minor in (8, 9) for path in Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3"))
"""The oldest interpreters that Spider promises to run on, where this machine has them."""


@contextlib.asynccontextmanager
async def agent(hub: ScriptedHub, bundle: Path, python: str = "/usr/bin/python3") -> AsyncIterator[asyncio.subprocess.Process]:
    folder = bundle.parent
    conf, key, policy = folder / "spider.conf", folder / "session.key", folder / "policy.conf"
    conf.write_text(f"[hub]\nurl = ws://127.0.0.1:{hub.port}/ws\nfleet = {hub.fleet}\n[node]\nid = {hub.node}\ngeneration = 1\n")
    policy.write_text("[policy]\nversion = 1\nmode = monitor\n")
    key.write_bytes(hub.key)
    for path, mode in ((conf, 0o644), (policy, 0o644), (key, 0o600)):
        path.chmod(mode)
    flags: list[str | Path] = ["--config", conf, "--key", key, "--policy", policy, "--jobs", folder / "jobs", "--launcher", folder / "none"]
    process = await asyncio.create_subprocess_exec(
        python, "-I", "-S", "-B", bundle, *flags, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={"PATH": os.defpath}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
