"""Debian's libfaketime, unpacked but not installed: a process whose wall clock a test moves while it runs. Its monotonic clock stays right."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PACKAGE = "libfaketime"


class MovedClock:
    """The wall clock of the processes that get `env`."""

    def __init__(self, folder: Path) -> None:
        done = subprocess.run(["apt-get", "-q", "download", PACKAGE], cwd=folder, capture_output=True, text=True, check=False, timeout=100)
        if done.returncode:
            pytest.fail(f"no {PACKAGE} of Debian can be had here: {done.stderr[-200:]}")
        [package] = folder.glob(f"{PACKAGE}_*.deb")
        subprocess.run(["dpkg-deb", "-x", package, folder / PACKAGE], check=True, timeout=60)
        [self._library] = (folder / PACKAGE).glob("usr/lib/*/faketime/libfaketimeMT.so.1")
        self._stamp = folder / "clock"
        self.shift_s = 0
        self.move(0)

    def move(self, shift_s: int) -> None:
        """Move the clock to so many seconds ahead of the machine's. Running processes see it within a second or two."""
        fresh = self._stamp.with_suffix(".new")
        fresh.write_text(f"+{shift_s}s\n")
        fresh.replace(self._stamp)
        self.shift_s = shift_s

    @property
    def env(self) -> dict[str, str]:
        """The variables of a process with this clock."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._stamp),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
        }
