"""Where systemd's programs are."""

import os

_FOLDERS = ("/usr/bin", "/run/current-system/sw/bin")
"""The second one is NixOS's."""


def systemd_program(name: str) -> str:
    """The path of a program of systemd."""
    return next((path for path in (os.path.join(folder, name) for folder in _FOLDERS) if os.path.exists(path)), f"/usr/bin/{name}")
