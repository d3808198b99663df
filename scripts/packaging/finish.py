"""Writes install-hub.sh of one version, which has the checksums of its packages, and SHA256SUMS of all files."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path


def sums(folder: Path) -> list[tuple[str, str]]:
    """Name and SHA-256 of each file."""
    return [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in sorted(folder.iterdir()) if path.is_file()]


def installer(template: str, version: str, files: list[tuple[str, str]]) -> str:
    """The script of one version."""
    lines = "\n".join(f"{name} {digest}" for name, digest in files if name.endswith(".deb"))
    return template.replace("@VERSION@", version).replace("@FILES@", lines)


def main(root: Path, out: Path) -> None:
    """Write both files."""
    [wheel] = out.glob("stardust-*.whl")
    script = out / "install-hub.sh"
    script.write_text(installer((root / "scripts/packaging/install-hub.sh").read_text(), wheel.name.split("-")[1], sums(out)))
    script.chmod(0o755)
    (out / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums(out)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
