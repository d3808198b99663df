"""Reads the settings of the hub's installed service from its systemd unit, so that users need not repeat them for other verbs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SERVICE: Final = "stardust-hub"
ROOT: Final = Path("/")
"""The folder to which all paths of the unit are relative."""
UNIT_FOLDERS: Final = tuple(Path(f"{path}/systemd/system") for path in ("etc", "run", "usr/local/lib", "usr/lib", "lib"))
"""Folders of unit files; the first folder with the unit counts."""


class InstalledService:
    """The unit of the installed service, and the environment of its hub. The environment may contain a secret, so `repr` does not show it."""

    def __init__(self, unit: Path, data_dir: Path | None, environ: Mapping[str, str], faults: tuple[str, ...]) -> None:
        self.unit = unit
        self.data_dir = data_dir
        """None: unknown, since a file that may name it cannot be read (`faults`)."""
        self.environ = environ
        """Variable -> value of every setting, including flags and credentials of the unit. A credential is given as its file."""
        self.faults = faults
        """One text for each part of the settings that is unreadable or invalid: a file, or a line of the unit."""

    def __repr__(self) -> str:
        return f"InstalledService({self.unit})"


def find_installed(root: Path = ROOT) -> InstalledService | None:
    """The service on this machine; None: there is no unit of this name, or it does not run `stardust serve`."""
    unit = next((path for folder in UNIT_FOLDERS if os.path.exists(path := root / folder / f"{SERVICE}.service")), None)
    if unit is None:
        return None
    from groundcontrol.cli.unit_file import UnitFile  # noqa: PLC0415  # without a unit, a verb needs neither the settings nor their parser

    return UnitFile(root, unit).read()
