"""Root's programs use only the bytecode that a job has stored, and none that another user could have written."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

KEEP = "import sys; sys.path.insert(0, sys.argv[1]); import spider.root.runner; from spider.root.bytecode import write_bytecode; write_bytecode()"
LOAD = "import sys; sys.path.insert(0, sys.argv[1]); import spider.root.runner, spider.root.launcher"


def python(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/usr/bin/python3", "-I", "-S", "-B", *map(str, words)], capture_output=True, text=True, check=False, timeout=60)


def kept_beside(bundle: Path) -> Path:
    tag = python("-c", "import sys; print(sys.implementation.cache_tag)").stdout.strip()
    return bundle.with_name(f"{bundle.name}.{tag}")


@pytest.fixture
def kept(bundle: Path) -> Path:
    done = python("-c", KEEP, bundle)
    assert (done.returncode, done.stderr) == (0, "")
    return kept_beside(bundle)


def starts_from_copy(bundle: Path, kept: Path, *words: str) -> bool:
    """Whether a program of the bundle loads bytecode from the copy: it contains code that exits."""
    facts = kept.stat()
    with zipfile.ZipFile(kept, "w") as archive:
        archive.writestr("spider/__init__.py", "raise SystemExit('from the copy')")
    os.utime(kept, ns=(facts.st_mtime_ns, facts.st_mtime_ns))
    return python(bundle, *words).stderr == "from the copy\n"


def test_the_copy_holds_the_bytecode_of_launcher_and_runner(kept: Path, tmp_path: Path) -> None:
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["spider.pyz", kept.name]
    assert (kept.stat().st_uid, kept.stat().st_mode & 0o777) == (os.geteuid(), 0o644)
    bare = tmp_path / "bare.pyz"
    with zipfile.ZipFile(kept) as archive, zipfile.ZipFile(bare, "w") as other:
        names = archive.namelist()
        for name in names:
            other.writestr(name, b"no source" if f"{name}c" in names else archive.read(name))
    assert python("-c", LOAD, bare).stderr == ""
    assert python("-c", KEEP, kept).returncode == 0
    assert not list(tmp_path.glob("*.new"))


def test_only_root_s_programs_for_jobs_start_from_it(bundle: Path, kept: Path) -> None:
    for words, copy in {("launch",): True, ("run", "1"): True, ("--version",): False, ("uninstall",): False}.items():
        assert starts_from_copy(bundle, kept, *words) == copy, words


def test_a_copy_of_another_bundle_is_left_alone_until_the_next_job_replaces_it(bundle: Path, kept: Path) -> None:
    os.utime(bundle, (1, 1))
    assert not starts_from_copy(bundle, kept, "launch")
    assert python("-c", KEEP, bundle).returncode == 0
    assert kept.stat().st_mtime == 1
    assert starts_from_copy(bundle, kept, "launch")


def test_a_damaged_copy_is_passed_by(bundle: Path, kept: Path) -> None:
    facts = kept.stat()
    kept.write_bytes(kept.read_bytes()[:1000])
    os.utime(kept, ns=(facts.st_mtime_ns, facts.st_mtime_ns))
    assert "started by stardust-launcher.socket" in python(bundle, "launch").stderr


SPOILED: dict[str, Callable[[Path], None]] = {
    "others may write in the folder": lambda folder: folder.chmod(0o777),
    "a group may": lambda folder: folder.chmod(0o775),
    "the folder is another user's": lambda folder: os.chown(folder, 12345, 12345),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder away")
def test_bytecode_is_not_stored_where_another_user_can_write(bundle: Path, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(tmp_path)
    assert python("-c", KEEP, bundle).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["spider.pyz"]


def test_without_room_a_job_continues(bundle: Path, tmp_path: Path) -> None:
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    done = python("-c", f"{limited}{KEEP}; print('on')", bundle)
    assert (done.stdout, done.returncode) == ("on\n", 0)
    assert "bytecode_not_kept" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["spider.pyz"]
