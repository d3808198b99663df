"""Orders for the launcher's decision, and a systemd that lists the units it starts."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from spider.root.launcher import JobUnit, LauncherPaths, decide
from spider.wire.ids import new_random_id, new_time_id
from spider.wire.orders import SignedOrder, seal_order

KEY = bytes(range(32))
NODE = new_random_id()
BOOT = "c" * 32
YEARS = 4 * 365 * 86_400
NOW = 1_795_000_000


class Systemd:
    """Stands in for systemd, and lists the units that it started."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.down = False
        self.answer: bool | None = True

    def start(self, name: str) -> bool:
        self.started.append(name)
        if self.answer is None:
            raise TimeoutError(name)
        return self.answer

    @property
    def unit(self) -> JobUnit:
        return JobUnit(self.start, lambda: self.down)


def launcher_paths(tmp_path: Path) -> LauncherPaths:
    """The files of a node, with a policy that allows every order."""

    def put(name: str, content: bytes, mode: int) -> str:
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(mode)
        return str(path)

    (tmp_path / "jobs").mkdir()
    (tmp_path / "started").mkdir()
    return LauncherPaths(
        put("launch.key", KEY, 0o600),
        put("spider.conf", f"[hub]\nurl = x\n[node]\nid = {NODE}\ngeneration = 3\nname = web % 1\n".encode(), 0o644),
        put("policy.conf", b"[policy]\nversion = 1\nmode = managed\n", 0o644),
        str(tmp_path / "jobs"),
        str(tmp_path / "started"),
        os.geteuid(),
        (str(tmp_path),),
    )


def order(**over: Any) -> SignedOrder:
    now = int(time.time())
    return SignedOrder(NODE, 3, new_time_id(), "check", {}, now, now + 300)._replace(**over)


def submit(paths: LauncherPaths, what: SignedOrder | bytes, systemd: Systemd) -> tuple[str, str]:
    frame = what if isinstance(what, bytes) else seal_order(KEY, what)
    answer, _ = decide(frame, paths, time.time(), BOOT, systemd.unit)
    return answer.answer, answer.why


def issued(at: int, *, node_clock: int | None = None, said: bool = True, verb: str = "check", job: str = "") -> SignedOrder:
    """An order that the hub issues at this time of its own clock, for a node whose clock it knows."""
    iat = at if node_clock is None else node_clock
    return order(job=job or new_time_id(at), iat=iat, exp=iat + 600, at=at if said else None, verb=verb)


def submit_at(paths: LauncherPaths, now: int, what: SignedOrder) -> tuple[str, str]:
    answer, _ = decide(seal_order(KEY, what), paths, now, BOOT, Systemd().unit)
    return answer.answer, answer.why
