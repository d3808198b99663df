"""The version, which hub, Major Tom and Spider share."""

import os

RELEASE = "0.1.0"


def version_in(folder: str) -> str:
    """The version of the sources in a folder. `hatch_build.py` writes it there, because each commit has its own version."""
    try:
        with open(os.path.join(folder, "VERSION"), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return RELEASE + ".dev0+unbuilt"


VERSION = version_in(os.path.dirname(os.path.abspath(__file__)))
