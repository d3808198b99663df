"""Stores bytecode of root's programs, so that each job starts faster.

The launcher and the runner start for each job. Compiling their modules from the bundle's sources takes half of such a start. So the first
job of a version, other than jobs of units and containers, writes a copy of the bundle that also has bytecode. The bundle's `__main__.py`
starts both programs from the copy. Root can trust the copy as much as the bundle: both are in the same folder, and only root can write there.
"""

import io
import logging
import os
import sys

from spider.files import create_once
from spider.logs import event
from spider.selfcare.bundle_receiver import own_path

_log = logging.getLogger("spider.root.bytecode")


def write_bytecode() -> None:
    """Write the copy, unless this program runs from it. A failure is only logged: later starts are slower then.

    The caller holds the lock `LOCK` of this node's jobs, so no other process writes the copy.
    """
    bundle, ending = own_path(), f".{sys.implementation.cache_tag}"
    if bundle.endswith(ending) or not os.path.isfile(bundle):
        return
    try:
        _write(bundle, bundle + ending)
    except Exception as exc:
        event(_log, "bytecode_not_kept", logging.WARNING, why=f"{type(exc).__name__}: {exc}")


def _write(bundle: str, copy: str) -> None:
    folder, info, new = os.stat(os.path.dirname(bundle)), os.stat(bundle), copy + ".new"
    if folder.st_uid != os.geteuid() or folder.st_mode & 0o022 or not os.access(os.path.dirname(bundle), os.W_OK):
        return
    if os.path.lexists(new):
        os.unlink(new)  # a killed job left this file
    try:
        create_once(new, _with_bytecode(bundle), 0o644)
        os.chmod(new, 0o644)
        os.utime(new, ns=(info.st_mtime_ns, info.st_mtime_ns))  # the copy is valid for this exact bundle only
        os.replace(new, copy)
    except OSError:
        if os.path.lexists(new):
            os.unlink(new)
        raise


def _with_bytecode(bundle: str) -> bytes:
    """The bundle, plus the bytecode of the modules that the launcher and the runner load on this host."""
    import py_compile  # noqa: PLC0415 - needed once in the life of an installation
    import tempfile  # noqa: PLC0415
    import zipfile  # noqa: PLC0415

    from spider.root import launcher  # noqa: F401, PLC0415 - loaded here so that the loop below finds its modules

    loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    with open(bundle, "rb") as file:
        copy = io.BytesIO(file.read())
    with zipfile.ZipFile(copy, "a") as archive, tempfile.TemporaryDirectory() as folder:
        for name in [name for name in archive.namelist() if os.path.join(bundle, name) in loaded]:
            code = os.path.join(folder, "code")
            py_compile.compile(
                archive.extract(name, folder),
                code,
                os.path.join(bundle, name),
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
            archive.write(code, name + "c")
    return copy.getvalue()
