"""A host on which Spider updates itself: a folder as its disk, and a service manager that records its orders."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spider.packages.interfaces import Console
from spider.selfcare.self_update import UpdatePaths, update
from tests.support.null_console import NullConsole


def bundle_of(version: str, *, starts: bool = True) -> bytes:
    """The least that `--version` works with."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("__main__.py", f"print('spider {version}')" if starts else "raise SystemExit(3)")
        archive.writestr("spider/version.py", f'VERSION = "{version}"\n')
    return packed.getvalue()


class Host:
    """Folders of a node, and systemd as far as an update asks for it: a restart runs what `current` leads to."""

    def __init__(self, folder: Path) -> None:
        self.places = UpdatePaths(
            str(folder / "opt"),
            str(folder / "state"),
            str(folder / "var" / "update"),
            str(folder / "units"),
            str(folder / "var"),
            sys.executable,
            prove_limit_s=1.0,
        )
        for name in ("opt/0.1.0", "state", "var", "units"):
            (folder / name).mkdir(parents=True)
        self.folder = folder
        (folder / "opt/0.1.0/spider.pyz").write_bytes(bundle_of("0.1.0"))
        os.symlink("0.1.0", folder / "opt/current")
        self.joins = True
        self.announces: Callable[[], None] | None = None
        """What the started version does about its session, in the place of saying that it has one."""
        self.crashes = 0
        self.timer = "active"
        self.asked: list[str] = []

    def systemd(self, *words: str) -> str:
        self.asked.append(" ".join(words))
        if words[0] == "restart" and self.announces is not None:
            self.announces()
        elif words[0] == "restart" and (self.joins or self.current == "0.1.0"):
            (self.folder / "state/joined").write_text(f"{self.folder}/opt/{self.current}/spider.pyz\n")
        return {"show": f"{self.crashes}\n", "is-active": f"{self.timer}\n"}.get(words[0], "")

    @property
    def current(self) -> str:
        return os.readlink(self.folder / "opt/current")

    @property
    def versions(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "opt").iterdir() if not path.is_symlink())

    def order(self, bundle: bytes, *, came: bytes | None = None) -> str:
        """Hand over a bundle and order it; the outcome as a word."""
        (self.folder / "state/bundle").write_bytes(bundle if came is None else came)
        return self.carry_out({"plan": hashlib.sha256(bundle).hexdigest()})

    def carry_out(self, args: Mapping[str, Any]) -> str:
        """Carry out an order with the bundle that is there; the outcome as a word."""
        console: Console = NullConsole()
        outcome = update(args, console, self.places, self.systemd)
        return outcome.error_code or outcome.state

    def is_quiet(self) -> bool:
        """No trace of a running update is left."""
        return not list((self.folder / "units").iterdir()) and not os.path.lexists(self.places.note)
