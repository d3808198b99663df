"""Input from a person or a file: secrets, which are never arguments, and answers to questions."""

from __future__ import annotations

import getpass
import sys
from typing import Final

from groundcontrol.cli.client import CliError
from groundcontrol.config import Secret
from groundcontrol.core.errors import ConfigError
from groundcontrol.vault import check_secret

_LIMIT_BYTES: Final = 4096


def given_secret(file: str | None, name: str, *, twice: bool = False) -> Secret:
    """Read a secret from a file, or from standard input if `file` is None; a terminal shows a prompt.

    Args:   name: the secret's name in texts, for instance `new secret`.
            twice: on a terminal, ask a second time and compare.
    Raises: CliError: the secret cannot be read, or a hub would refuse it.
    """
    text = _read(file, name, twice=twice)
    try:
        return Secret(check_secret(text.removesuffix("\n").removesuffix("\r")))
    except ConfigError as exc:
        raise CliError(
            str(exc).replace("STARDUST_SECRET is not set", f"no {name} was given").replace("STARDUST_SECRET", f"the {name}")
        ) from None


def _read(file: str | None, name: str, *, twice: bool) -> str:
    if file is None and sys.stdin.isatty():
        text = getpass.getpass(f"{name}: ")
        if twice and getpass.getpass("once more: ") != text:
            raise CliError("the two inputs differ; nothing was changed")
        return text
    try:
        with open(0 if file is None else file, "rb", closefd=file is not None) as source:
            raw = source.read(_LIMIT_BYTES + 1)
        if len(raw) > _LIMIT_BYTES:
            raise CliError(f"the {name} is longer than {_LIMIT_BYTES} bytes")
        return raw.decode()
    except UnicodeDecodeError:
        raise CliError(f"the {name} is not a UTF-8 text") from None
    except OSError as exc:
        raise CliError(f"the {name} cannot be read from {file or 'standard input'}: {exc.strerror}") from exc


def answered(question: str) -> str:
    """Ask a question on the terminal. Returns the answer without outer white space."""
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()
