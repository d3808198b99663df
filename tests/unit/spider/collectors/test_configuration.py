"""Revision, generation and location of a declarative configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.sampling.collectors.configuration import Configuration, read_configuration


def machine(root: Path, *, profile: int, running: int) -> str:
    """NixOS's links. Returns: its root."""
    for number in {profile, running}:
        (root / f"nix/store/{number}").mkdir(parents=True)
    profiles = root / "nix/var/nix/profiles"
    profiles.mkdir(parents=True)
    (profiles / f"system-{profile}-link").symlink_to(root / f"nix/store/{profile}")
    (profiles / "system").symlink_to(f"system-{profile}-link")
    (root / "run").mkdir()
    (root / "run/current-system").symlink_to(root / f"nix/store/{running}")
    return str(root)


def test_the_generation_counts_only_while_it_runs(tmp_path: Path) -> None:
    assert read_configuration("/none", machine(tmp_path / "a", profile=42, running=42)).generation == 42
    assert read_configuration("/none", machine(tmp_path / "b", profile=43, running=42)).generation == 0, "nixos-rebuild test, or boot"


def test_revision_location_and_profile_are_the_owners(tmp_path: Path) -> None:
    (tmp_path / "hm").symlink_to("home-manager-7-link")
    (tmp_path / "about.conf").write_text(f"[about]\nrevision = 1a2b3c4d5e6f\nlocation = home\nprofile = {tmp_path}/hm\n")
    assert read_configuration(str(tmp_path)) == Configuration("1a2b3c4d5e6f", 7, "home")


@pytest.mark.parametrize(
    "text", ["", "[about]\n", "junk", "[about]\nrevision = main\nlocation = a\x07b\n", "[about]\nprofile = /etc/passwd\n", "\xff[about"]
)
def test_what_cannot_be_read_is_unknown(text: str, tmp_path: Path) -> None:
    (tmp_path / "about.conf").write_bytes(text.encode("latin-1"))
    assert read_configuration(str(tmp_path), str(tmp_path)) == Configuration()
