"""How this program was installed, and the one command that updates or removes it."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Final, NamedTuple

PACKAGE_FOLDER: Final = Path("/usr/lib/stardust-hub")
"""The folder of the program in the Debian package."""
_CONTAINER_MARKS: Final = ("/run/.containerenv", "/.dockerenv")


class Way(NamedTuple):
    name: str
    update: str
    remove: str
    """A command, or a sentence that says what to do."""
    add_top: str
    """The command that brings what `stardust top` needs; empty: it is there."""


def how_installed(program: Path = Path(__file__), root: Path = Path("/"), prefix: str = sys.prefix, base: str = sys.base_prefix) -> Way:
    """How the program of this file was installed."""
    if program.is_relative_to(PACKAGE_FOLDER):
        return Way("Debian package", "apt-get install ./stardust-hub_*.deb", "apt-get purge stardust-hub", "")
    checkout = next((folder for folder in program.resolve().parents if (folder / "hatch_build.py").exists()), None)
    if checkout is not None:
        place = shlex.quote(str(checkout))
        return Way("checkout", f"git -C {place} pull --ff-only && {place}/scripts/run", f"rm -r {place}", f"{place}/scripts/tui")
    if any(os.path.exists(root / mark.lstrip("/")) for mark in _CONTAINER_MARKS):
        return Way(
            "container", "pull or build the new image, and start a container of it with the same volume", "remove container and volume", ""
        )
    # Never by the project's name: a registry may have a stranger's program under it.
    place = shlex.quote(prefix)
    pip = f"{place}/bin/pip" if prefix != base else "python3 -m pip"
    install = f"{pip} install --require-hashes --requirement"
    update = f"{install} requirements.lock && {pip} install --no-deps --no-index stardust-*.whl"
    add_top = f"{install} requirements-top.lock"
    if prefix != base:
        remove = f"rm -r {place}; and rm /usr/local/bin/stardust if that is a link to it"
        return Way("virtual environment", f"{update} && systemctl restart stardust-hub", remove, add_top)
    return Way("pip", update, f"{pip} uninstall stardust", add_top)
