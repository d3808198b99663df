"""Writes the SBOM (CycloneDX 1.6) from the lock files: what the hub and the page are made of, with the hashes of each file."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
import time
import uuid
from pathlib import Path
from typing import Any


def python_parts(lock: str) -> list[dict[str, Any]]:
    """The packages of a lock file of Python."""
    parts = []
    for block in re.split(r"\n(?=\S)", lock):
        found = re.match(r"([A-Za-z0-9._-]+)==(\S+)", block)
        if found is None:
            continue
        name, version = found[1].lower(), found[2]
        hashes = [{"alg": "SHA-256", "content": one} for one in re.findall(r"sha256:([0-9a-f]{64})", block)]
        parts.append(_part("pypi", name, version, hashes))
    return parts


def npm_parts(lock: Any) -> list[dict[str, Any]]:
    """The packages of package-lock.json that reach the browser."""
    parts = []
    for path, package in lock["packages"].items():
        if not path or package.get("dev") or package.get("devOptional") or package.get("optional"):
            continue
        kind, _, encoded = package["integrity"].partition("-")
        content = base64.b64decode(encoded).hex()
        parts.append(
            _part(
                "npm",
                path.rpartition("node_modules/")[2],
                package["version"],
                [{"alg": f"SHA-{kind.removeprefix('sha')}", "content": content}],
            )
        )
    return parts


def _part(kind: str, name: str, version: str, hashes: list[dict[str, str]]) -> dict[str, Any]:
    purl = f"pkg:{kind}/{name.replace('@', '%40')}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "hashes": hashes}


def document(parts: list[dict[str, Any]], version: str, made_at: int) -> dict[str, Any]:
    """The document. The same input gives the same bytes."""
    parts = sorted(parts, key=lambda part: str(part["purl"]))
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(parts) + version)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(made_at)),
            "component": {"type": "application", "bom-ref": "stardust", "name": "stardust", "version": version},
        },
        "components": parts,
        "dependencies": [{"ref": "stardust", "dependsOn": [part["bom-ref"] for part in parts]}],
    }


def main(root: Path, out: Path) -> None:
    """Write `sbom.cdx.json`."""
    [wheel] = out.glob("stardust-*.whl")
    parts = python_parts((root / "requirements-top.lock").read_text()) + npm_parts(
        json.loads((root / "capsule/package-lock.json").read_text())
    )
    text = json.dumps(document(parts, wheel.name.split("-")[1], int(os.environ["SOURCE_DATE_EPOCH"])), indent=1)
    (out / "sbom.cdx.json").write_text(text + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
