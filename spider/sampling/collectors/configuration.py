"""What a declarative configuration (NixOS, nix-darwin, Home Manager) says about this host: its revision, generation and location."""

import os
import re
from typing import NamedTuple

from spider.files import read_file
from spider.ini_reader import read_ini

ABOUT = "about.conf"
"""Name of the owner's file beside spider.conf: `[about]` with `revision`, `location` and `profile`."""
MAX_ABOUT_CHARS = 4096
SYSTEM = "/nix/var/nix/profiles/system"
_RUNNING = "/run/current-system"
_LINK = re.compile(r"(?:^|/)[a-z-]+-([1-9][0-9]{0,8})-link\Z")
_REVISION = re.compile(r"[0-9a-f]{7,64}(?:-dirty)?\Z")
_LOCATION = re.compile(r"[^\x00-\x1f\x7f]{1,40}\Z")


class Configuration(NamedTuple):
    """Empty text or 0 = unknown."""

    revision: str = ""
    """The revision of git from which the configuration that runs was built, perhaps with `-dirty`."""
    generation: int = 0
    location: str = ""


def read_configuration(folder: str, root: str = "") -> Configuration:
    """Read it from a small file and two links. Args: folder: where spider.conf is; empty: not known."""
    try:
        about = {} if not folder else read_ini(read_file(os.path.join(folder, ABOUT), MAX_ABOUT_CHARS)).get("about", {})
    except ValueError:
        about = {}
    revision, location = about.get("revision", ""), about.get("location", "").strip()
    return Configuration(
        revision if _REVISION.match(revision) else "",
        _generation(about.get("profile", SYSTEM), root),
        location if _LOCATION.match(location) else "",
    )


def _generation(profile: str, root: str) -> int:
    """The number of the profile's generation; 0: there is none, or another configuration than the profile's runs (`nixos-rebuild test`)."""
    try:
        match = _LINK.search(os.readlink(root + profile))
        runs = profile != SYSTEM or os.path.realpath(root + _RUNNING) == os.path.realpath(root + profile)
    except OSError:
        return 0
    return int(match.group(1)) if match and runs else 0
