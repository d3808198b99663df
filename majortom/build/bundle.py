"""Builds the agent as one file: a zipapp for any Python 3.8 or newer. The same sources give the same bytes."""

from __future__ import annotations

import ast
import functools
import io
import zipfile
from collections.abc import Sequence
from importlib import resources, util
from pathlib import Path

from majortom.build.minify import minify_script, minify_source
from spider.version import version_in

MAX_BUNDLE_BYTES = 400_000
_SHEBANG = b"#!/usr/bin/python3\n"
_MAIN = b"""import os
import sys

if not sys.path[0].startswith("/proc/"):
    sys.path[0] = os.path.realpath(sys.path[0])  # an update switches `current` below a program that still reads from its own file
    compiled = f"{sys.path[0]}.{sys.implementation.cache_tag}"  # spider/root/bytecode.py has written it
    if sys.argv[1:2] in (["launch"], ["run"]) and os.path.exists(compiled) and os.stat(compiled).st_mtime_ns == os.stat(sys.path[0]).st_mtime_ns:
        sys.path.insert(0, compiled)

from spider.__main__ import main

main()
"""
_MSGPACK = ("__init__.py", "exceptions.py", "ext.py", "fallback.py")
_JOINER_MAIN = b"from spider.selfcare.join import main\n\nmain()\n"
_JOINING = ("selfcare/join.py", "wire/joining.py", "wire/x25519.py")
"""Modules for joining only: the agent itself needs none of them."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


class BundleError(Exception):
    """The bundle cannot be built or read; the text gives the reason."""


def _package_folder(name: str) -> Path:
    spec = util.find_spec(name)
    if spec is None or spec.origin is None:
        raise BundleError(f"the Python package {name} is not installed, so the Spider bundle cannot be built")
    return Path(spec.origin).parent


def build_bundle(spider_folder: Path | None = None) -> bytes:
    """Pack Spider and msgpack's pure-Python part, without comments, docstrings, types, and the modules for joining only.

    Args:   spider_folder: the sources; the installed package when not given.
    Raises: BundleError: a part is missing, or the result is larger than MAX_BUNDLE_BYTES.
    """
    spider = _package_folder("spider") if spider_folder is None else spider_folder
    names = [path.relative_to(spider).as_posix() for path in sorted(spider.rglob("*.py"))]
    bundle = _SHEBANG + _pack(_MAIN, spider, [name for name in names if name not in _JOINING])
    if len(bundle) > MAX_BUNDLE_BYTES:
        raise BundleError(f"the Spider bundle has {len(bundle)} bytes, more than {MAX_BUNDLE_BYTES}")
    return bundle


def build_joiner() -> bytes:
    """Pack `spider/selfcare/join.py` with only those modules that it imports. A new server and the hub authenticate each other by it.

    Raises: BundleError: a part is missing.
    """
    spider = _package_folder("spider")
    needed = {"__init__.py"}
    left = ["selfcare/join.py"]
    while left:
        name = left.pop()
        if name in needed:
            continue
        needed.add(name)
        for module in _imports((spider / name).read_bytes()):
            path = Path(*module.split(".")[1:])
            left += [path.with_suffix(".py").as_posix()] if (spider / path).with_suffix(".py").is_file() else []
            needed |= {(parent / "__init__.py").as_posix() for parent in path.parents}
    return _pack(_JOINER_MAIN, spider, sorted(needed))


def _imports(source: bytes) -> list[str]:
    """The modules of Spider that this source imports, anywhere in it."""
    return [
        node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("spider.")
    ]


def read_joiner() -> bytes:
    """Read the result of `build_joiner` that is shipped with this program. A checkout ships none: build it.

    Raises: BundleError.
    """
    shipped = resources.files("majortom") / "joiner.pyz"
    return shipped.read_bytes() if shipped.is_file() else build_joiner()


def _pack(main: bytes, spider: Path, modules: Sequence[str]) -> bytes:
    msgpack = _package_folder("msgpack")
    files = {"__main__.py": main}
    for name in modules:
        files[f"spider/{name}"] = minify_source((spider / name).read_bytes())
    files["spider/version.py"] = f'VERSION = "{version_in(str(spider))}"\n'.encode()  # a node reads it in a bundle before the bundle runs
    files["spider/lifecycle.sh"] = minify_script((resources.files("majortom") / "remote" / "lifecycle.sh").read_bytes())
    for name in _MSGPACK:
        files[f"msgpack/{name}"] = minify_source((msgpack / name).read_bytes())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name], compresslevel=9)
    return buffer.getvalue()


@functools.cache
def _built_once() -> bytes:
    """The bundle of a checkout, which ships no built bundle. It is built once in a process, because a test run has many hubs."""
    return build_bundle()


def read_bundle(path: Path | None = None) -> bytes:
    """Read the bundle at `path`, or the one that is shipped with this program. A checkout ships none: build it.

    Raises: BundleError: the file is missing, or is not a Spider bundle.
    """
    if path is None:
        shipped = resources.files("majortom") / "spider.pyz"
        return shipped.read_bytes() if shipped.is_file() else _built_once()
    try:
        bundle = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            names = set(archive.namelist())
    except (OSError, zipfile.BadZipFile) as exc:
        raise BundleError(f"{path} is not a Spider bundle: {exc}") from exc
    if not {"__main__.py", "spider/version.py"} <= names:
        raise BundleError(f"{path} is a zip file, but not a Spider bundle")
    return bundle
