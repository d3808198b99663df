"""Methods of a store that are one command or one query: functions of the transaction, which their callers do not see."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer


class _Writes(Protocol):
    _writer: Writer


class _Reads(Protocol):
    _reader: Reader


W = TypeVar("W", bound=_Writes)
R = TypeVar("R", bound=_Reads)
P = ParamSpec("P")
T = TypeVar("T")


def command(method: Callable[Concatenate[W, Tx, P], T]) -> Callable[Concatenate[W, P], Coroutine[Any, Any, T]]:
    """Run the method as one transaction of the writer."""

    @functools.wraps(method)
    async def run(self: W, /, *args: P.args, **named: P.kwargs) -> T:
        return await self._writer.run(lambda tx: method(self, tx, *args, **named))

    return _without_transaction(run)


def query(method: Callable[Concatenate[R, Rows, P], T]) -> Callable[Concatenate[R, P], Coroutine[Any, Any, T]]:
    """Run the method as one transaction of a reader."""

    @functools.wraps(method)
    async def run(self: R, /, *args: P.args, **named: P.kwargs) -> T:
        return await self._reader.run(lambda rows: method(self, rows, *args, **named))

    return _without_transaction(run)


def _without_transaction(run: T) -> T:
    """Let `inspect.signature` show what callers pass (`organisation.act_for_owners` finds the scope by it)."""
    signature = inspect.signature(run)  # type: ignore[arg-type]  # each is a function
    store, _, *rest = signature.parameters.values()
    run.__signature__ = signature.replace(parameters=[store, *rest])  # type: ignore[attr-defined]
    return run
