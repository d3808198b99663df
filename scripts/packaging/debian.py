"""Makes the Debian package `stardust-hub`: the program with its dependencies as a virtual environment below /usr/lib/stardust-hub."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

LIMIT_S: Final = 3600
PLACE: Final = "usr/lib/stardust-hub"
SCRIPTS: Final = ("preinst", "postinst", "prerm", "postrm")
_OF_COMPILERS: Final = (".c", ".h", ".pyx", ".pxd", ".pxi", ".pyi")
"""Files of dependencies that only a compiler or a type checker reads."""
_NOT_COMPILED: Final = "/pygments/lexers/|/tests/"
"""Files that the hub never imports, and `stardust top` but for one or two."""
_OF_ONE_BUILD: Final = ("direct_url.json", "REQUESTED", "INSTALLER", "RECORD")
"""Files of pip that differ between two builds, or name this machine."""


def run(*argv: str) -> str:
    """Run a program, and return its output.

    Raises: CalledProcessError.
    """
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, check=True).stdout.strip()


def debian_version(version: str) -> str:
    """The version of the package: a development version sorts before its release."""
    return version.replace(".dev", "~dev")


def build(root: Path, out: Path) -> Path:
    """Build the package from the wheel in `out`. Returns: its path."""
    [wheel] = out.glob("stardust-*.whl")
    version, python = debian_version(wheel.name.split("-")[1]), f"{sys.version_info[0]}.{sys.version_info[1]}"
    architecture = run("dpkg", "--print-architecture")
    tree = out / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    home = tree / PLACE
    site = home / "lib" / f"python{python}" / "site-packages"
    site.mkdir(parents=True)
    install = (sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(site))
    run(*install, "--require-hashes", "--only-binary", ":all:", "--requirement", str(root / "requirements-top.lock"))
    run(*install, "--no-deps", "--no-index", str(wheel))
    shutil.rmtree(site / "bin", ignore_errors=True)
    for library in site.rglob("*.so"):
        run("strip", "--strip-unneeded", str(library))  # debug symbols are a quarter of the package
    for source in (path for path in site.rglob("*") if path.suffix in _OF_COMPILERS):
        source.unlink()
    for info in site.glob("*.dist-info"):
        for name in _OF_ONE_BUILD:
            (info / name).unlink(missing_ok=True)
    compiling = (sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-x", _NOT_COMPILED)
    run(*compiling, "-s", str(tree), "-p", "/", str(site))
    (home / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {python}\n")
    (home / "bin").mkdir()
    (home / "bin" / "python3").symlink_to(f"/usr/bin/python{python}")
    command = tree / "usr" / "bin" / "stardust"
    command.parent.mkdir(parents=True)
    command.write_text(f"#!/{PLACE}/bin/python3 -IB\nimport sys\nfrom groundcontrol.cli.main import main\nsys.exit(main())\n")
    unit = (root / "groundcontrol/examples/stardust-hub.service").read_text().replace("/opt/stardust-hub/bin/stardust", "/usr/bin/stardust")
    _write(tree / "usr/lib/systemd/system/stardust-hub.service", unit)
    _write(tree / "etc/stardust-hub/stardust.toml", (root / "scripts/packaging/stardust.toml").read_text())
    _write(tree / "usr/share/doc/stardust-hub/copyright", (root / "LICENSE").read_text())
    for name, text in control(root, tree, version, python, architecture).items():
        _write(tree / "DEBIAN" / name, text)
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            is_program = path == command or path.name in SCRIPTS
            path.chmod(0o755 if path.is_dir() or is_program else 0o644)
        os.utime(path, (int(os.environ["SOURCE_DATE_EPOCH"]),) * 2, follow_symlinks=False)
    package = out / f"stardust-hub_{version}_py{python}_{architecture}.deb"
    run("dpkg-deb", "--root-owner-group", "-Zxz", "-z9", "--build", str(tree), str(package))
    shutil.rmtree(tree)
    return package


def control(root: Path, tree: Path, version: str, python: str, architecture: str) -> dict[str, str]:
    """The control files of the package."""
    major, minor = python.split(".")
    size = sum(path.lstat().st_size for path in tree.rglob("*") if path.is_file()) // 1024
    fields = (
        f"Package: stardust-hub\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: Stardust <stardust@localhost>\n"
        f"Installed-Size: {size}\nDepends: python3 (>= {python}), python3 (<< {major}.{int(minor) + 1}), passwd, libc6\nRecommends: systemd\n"
        "Section: admin\nPriority: optional\nDescription: one place to watch, patch and grow a fleet of Linux servers\n"
        " The hub of Stardust with its page and its command. Agents are added from the page.\n"
    )
    folder = root / "scripts" / "packaging"
    scripts = {name: (folder / name).read_text().replace("@VERSION@", version) for name in SCRIPTS}
    return {"control": fields, "conffiles": "/etc/stardust-hub/stardust.toml\n", **scripts}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), Path(sys.argv[2])))
