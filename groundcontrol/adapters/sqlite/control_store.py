"""What the stores of the control database are made of, and how a class says which store it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.writer import Writer
from spider.clock import Clock

T = TypeVar("T")


class ControlStore:
    def __init__(self, writer: Writer, reader: Reader, chain: Chain, clock: Clock) -> None:
        self._writer = writer
        self._reader = reader
        self._chain = chain
        self._clock = clock


class Served(NamedTuple):
    """A store, by the class that implements it."""

    protocol: type
    made: type
    urgent: bool
    """Whether its queries must not wait."""


SERVED: Final[dict[str, Served]] = {}
"""Name of each store -> what it is. Complete once `stores` is imported."""


def serves(name: str, protocol: type[T], *, urgent: bool = False) -> Callable[[Callable[..., T]], Any]:
    """Declare the class of a store: `@serves("tables", NodeTableStore)`. mypy checks the class against the Protocol.

    A class with other arguments than `ControlStore` is made in `stores`.
    """

    def add(made: Any) -> Any:
        assert name not in SERVED, name
        SERVED[name] = Served(protocol, made, urgent)
        return made

    return add
