"""What a release is made of: the installer of the hub, the control files of its package, the SBOM and the compose file."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.packaging import debian, finish, sbom
from tests.support.hub import ROOT

LIMIT_S = 60
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def script_of(folder: Path, *, damaged: bool = False) -> Path:
    """An installer beside the package of this machine, which is no real package."""
    architecture = debian.run("dpkg", "--print-architecture")
    package = folder / f"stardust-hub_1.0_py{PYTHON}_{architecture}.deb"
    package.write_bytes(b"a package")
    text = finish.installer((ROOT / "scripts/packaging/install-hub.sh").read_text(), "1.0", finish.sums(folder))
    script = folder / "install-hub.sh"
    script.write_text(text)
    if damaged:
        package.write_bytes(b"another package")
    return script


def run(script: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run it with an apt-get that only writes down its words."""
    tools = script.parent / "bin"
    if not tools.exists():
        tools.mkdir()
        (tools / "apt-get").write_text(f'#!/bin/sh\necho "$@" >>{script.parent}/ordered\n')
        (tools / "apt-get").chmod(0o755)
        (tools / "python3").symlink_to(sys.executable)
        (tools / "id").write_text("#!/bin/sh\necho 0\n")
        (tools / "id").chmod(0o755)
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "TMPDIR": str(script.parent)}
    return subprocess.run(["sh", str(script), *words], env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def ordered(script: Path) -> str:
    file = script.parent / "ordered"
    return file.read_text() if file.exists() else ""


def test_the_hub_is_installed_from_the_package_of_this_machine_alone(tmp_path: Path) -> None:
    script = script_of(tmp_path)
    assert (run(script, "--dry-run").returncode, ordered(script)) == (0, "")
    done = run(script)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(rf"^install -y /\S+/stardust-hub_1.0_py{PYTHON}_\w+\.deb$", ordered(script))
    assert not list(tmp_path.glob("tmp.*")), "the work folder is removed"


def test_a_package_that_was_changed_is_not_installed(tmp_path: Path) -> None:
    script = script_of(tmp_path, damaged=True)
    done = run(script)
    assert (done.returncode, ordered(script)) == (1, "")
    assert "nothing was installed" in done.stderr


@pytest.mark.parametrize("words", [["--from", "http://hub.example"], ["--from"], ["--frm", "x"]])
def test_wrong_words_install_nothing(words: list[str], tmp_path: Path) -> None:
    script = script_of(tmp_path)
    assert (run(script, *words).returncode, ordered(script)) == (1, "")


def test_a_download_that_was_cut_does_nothing(tmp_path: Path) -> None:
    script = script_of(tmp_path)
    whole = script.read_bytes()
    last = whole.rindex(b'main "$@"')
    for end in [*range(0, last, 256), last - 1, last]:
        script.write_bytes(whole[:end])
        run(script)
        assert ordered(script) == "", f"cut after {end} of {len(whole)} bytes"


def test_the_package_is_for_one_python_and_refuses_to_go_back(tmp_path: Path) -> None:
    files = debian.control(ROOT, tmp_path, "1.2~dev3", "3.11", "amd64")
    assert "Depends: python3 (>= 3.11), python3 (<< 3.12)" in files["control"]
    preinst = tmp_path / "preinst"
    preinst.write_text(files["preinst"])
    for before, status in (("1.3", 1), ("1.2", 1), ("1.2~dev3", 0), ("1.1", 0)):
        done = subprocess.run(["sh", str(preinst), "upgrade", before], capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert (done.returncode, "cannot read its data" in done.stderr) == (status, bool(status)), before
    for name in debian.SCRIPTS:
        assert subprocess.run(["sh", "-n"], input=files[name], text=True, timeout=LIMIT_S, check=False).returncode == 0


def test_the_sbom_has_each_locked_package_with_its_hashes_and_is_the_same_each_time() -> None:
    lock = (ROOT / "requirements-top.lock").read_text()
    parts = sbom.python_parts(lock)
    assert {"aiohttp", "msgspec", "textual"} <= {part["name"] for part in parts}
    assert all(part["hashes"] for part in parts)
    assert len(parts) == len(re.findall(r"^[A-Za-z0-9._-]+==", lock, re.MULTILINE))
    page = sbom.npm_parts(json.loads((ROOT / "capsule/package-lock.json").read_text()))
    assert "preact" in {part["name"] for part in page}
    document = sbom.document(parts + page, "1.0", 1_700_000_000)
    assert json.dumps(document) == json.dumps(sbom.document(page + parts, "1.0", 1_700_000_000))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")


def test_checksums_are_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    assert finish.sums(tmp_path) == [("a", hashlib.sha256(b"x").hexdigest())]


def test_the_compose_file_mounts_the_secret_for_the_account_of_the_image() -> None:
    compose, image = (ROOT / "compose.yaml").read_text(), (ROOT / "Containerfile").read_text()
    [uid] = re.findall(r"--uid (\d+)", image)
    assert f'uid: "{uid}"' in compose
    assert "stardust-data:/var/lib/stardust-hub" in compose
    assert "VOLUME /var/lib/stardust-hub" in image
    assert '"127.0.0.1:8933:8933"' in compose, "the proxy is in front of it"
