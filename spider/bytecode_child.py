"""Compiles Spider's modules in a child process.

The agent's modules are compiled once, from the sources in its bundle. If the agent compiled them itself, heap fragments would stay in its memory
for months: 0.6 of 28 MB (Python 3.11). So the agent forks a child before it loads most modules. The child compiles each module on request and
returns the content of a .pyc file. The agent ends the child when all modules are loaded. Nothing is written to disk. Without a child, Python
compiles as usual.
"""

import contextlib
import os
import select
import signal
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from typing import Any, Mapping, Optional, Tuple
from zipimport import zipimporter

_PACKAGES = ("spider", "msgpack")
ANSWER_LIMIT_S = 30.0
"""Longest wait for the next bytes of an answer, which usually takes some milliseconds."""
_HEAD = 5
"""Size of an answer's header: a byte that is 1 for a package, then the length of the code that follows (0: not available)."""


class _Module(SourceFileLoader):
    """A module with its source in the bundle and its code in memory, in the form of a .pyc file."""

    def __init__(self, fullname: str, path: str, archive: zipimporter, code: bytes = b"") -> None:
        super().__init__(fullname, path)
        self._archive = archive
        self.code = code

    def path_stats(self, path: str) -> Mapping[str, Any]:  # noqa: ARG002 - there is one source with one time
        return {"mtime": 0, "size": None}

    def get_data(self, path: str) -> bytes:
        """The code for the path of the .pyc file, which importlib reads first; else the source."""
        if not path.endswith(".pyc"):
            return self._archive.get_data(path)
        code, self.code = self.code, b""
        if not code:
            raise FileNotFoundError(path)
        return code

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:  # noqa: ARG002 - the code is only kept in memory
        self.code = bytes(data)


class Compiler:
    """The agent's side of the child. `start_compiler` puts it into `sys.meta_path`, where imports find it, and `close` removes it."""

    def __init__(self, archive: zipimporter, pid: int, asking: int, answers: int) -> None:
        self._archive = archive
        self._pid = pid
        self._asking = asking
        self._answers = answers

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> Optional[ModuleSpec]:  # noqa: ARG002 - importlib's names
        """Request the code of one module from the child. None: the child has no code for this name, so Python looks elsewhere."""
        if fullname.partition(".")[0] not in _PACKAGES:
            return None
        try:
            os.write(self._asking, fullname.encode() + b"\n")
            head = self._read(_HEAD)
            code = self._read(int.from_bytes(head[1:], "big"))
        except (OSError, EOFError):
            self.close()
            return None
        if not code:
            return None
        source_path = _source_paths(self._archive, fullname)[0 if head[0] else 1]
        return spec_from_file_location(fullname, source_path, loader=_Module(fullname, source_path, self._archive, code))

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            ready, _, _ = select.select([self._answers], [], [], ANSWER_LIMIT_S)
            more = os.read(self._answers, size - len(data)) if ready else b""
            if not more:
                raise EOFError
            data += more
        return data

    def close(self) -> None:
        """End the child, because all modules are loaded or it failed. Later modules are compiled in this process."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            os.close(self._asking)
            os.close(self._answers)
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)


def start_compiler(archive: object) -> Optional[Compiler]:
    """Fork the child.

    Args:    archive: the loader of a module of this program.
    Returns: None: the program does not run from a bundle, or no process can be started.
    Raises:  OSError: no pipe can be made.
    """
    if not isinstance(archive, zipimporter):
        return None
    questions_fd, asking = os.pipe()
    answers, answering = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        for end in (questions_fd, asking, answers, answering):
            os.close(end)
        return None
    if pid == 0:
        try:
            os.close(asking)
            os.close(answers)
            _serve(archive, questions_fd, answering)
        finally:
            os._exit(0)
    os.close(questions_fd)
    os.close(answering)
    compiler = Compiler(archive, pid, asking, answers)
    sys.meta_path.insert(0, compiler)
    return compiler


def _serve(archive: zipimporter, questions_fd: int, answering: int) -> None:
    sys.dont_write_bytecode = False  # needed so that importlib calls `set_data`, which keeps the code in memory
    with os.fdopen(questions_fd, "rb") as questions, os.fdopen(answering, "wb") as answers:
        for line in iter(questions.readline, b""):
            package, code = _compiled(archive, line.decode().strip())
            answers.write(bytes([package]) + len(code).to_bytes(_HEAD - 1, "big") + code)
            answers.flush()


def _source_paths(archive: zipimporter, fullname: str) -> Tuple[str, str]:
    """Paths of a module's source: as a package, and as a file."""
    stem = os.path.join(archive.archive, *fullname.split("."))
    return os.path.join(stem, "__init__.py"), stem + ".py"


def _compiled(archive: zipimporter, fullname: str) -> Tuple[bool, bytes]:
    for path in _source_paths(archive, fullname):
        loader = _Module(fullname, path, archive)
        with contextlib.suppress(OSError, SyntaxError):
            loader.get_code(fullname)
            return path.endswith("__init__.py"), loader.code
    return False, b""
