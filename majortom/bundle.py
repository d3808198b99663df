"""Spider as one file: a zipapp that any Python 3.8 or newer runs, the same bytes from the same sources."""

from __future__ import annotations

import io
import zipfile
from importlib import resources, util
from pathlib import Path

MAX_BUNDLE_BYTES = 300_000
_SHEBANG = b"#!/usr/bin/python3\n"
_MAIN = b"from spider.__main__ import main\n\nmain()\n"
_MSGPACK = ("__init__.py", "exceptions.py", "ext.py", "fallback.py")
_EPOCH = (1980, 1, 1, 0, 0, 0)


class BundleError(Exception):
    """The bundle cannot be built or read; the text says why."""


def _package_folder(name: str) -> Path:
    spec = util.find_spec(name)
    if spec is None or spec.origin is None:
        raise BundleError(f"the Python package {name} is not installed, so the Spider bundle cannot be built")
    return Path(spec.origin).parent


def build_bundle(spider_folder: Path | None = None) -> bytes:
    """Pack Spider and msgpack's pure-Python part.

    Args:   spider_folder: the sources; the installed package when not given.
    Raises: BundleError: a part is missing, or the result is larger than MAX_BUNDLE_BYTES.
    """
    spider = _package_folder("spider") if spider_folder is None else spider_folder
    msgpack = _package_folder("msgpack")
    files = {"__main__.py": _MAIN}
    for path in sorted(spider.rglob("*.py")):
        files[f"spider/{path.relative_to(spider).as_posix()}"] = path.read_bytes()
    for name in _MSGPACK:
        files[f"msgpack/{name}"] = (msgpack / name).read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name], compresslevel=9)
    bundle = _SHEBANG + buffer.getvalue()
    if len(bundle) > MAX_BUNDLE_BYTES:
        raise BundleError(f"the Spider bundle has {len(bundle)} bytes, more than {MAX_BUNDLE_BYTES}")
    return bundle


def read_bundle(path: Path | None = None) -> bytes:
    """Give the bundle that is shipped with this program, or the one at `path`.

    Raises: BundleError: there is none, or it is not a Spider bundle.
    """
    if path is None:
        shipped = resources.files("majortom") / "spider.pyz"
        return shipped.read_bytes() if shipped.is_file() else build_bundle()
    try:
        bundle = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            names = set(archive.namelist())
    except (OSError, zipfile.BadZipFile) as exc:
        raise BundleError(f"{path} is not a Spider bundle: {exc}") from exc
    if not {"__main__.py", "spider/version.py"} <= names:
        raise BundleError(f"{path} is a zip file, but not a Spider bundle")
    return bundle
