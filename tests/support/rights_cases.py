"""How the tests of rights make one object of each kind, and bodies for the calls that name one. `rights_cases_<subject>.py` register them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple


class Side(NamedTuple):
    """A node, and its tag: a limited user has the tag `own` granted."""

    node: str
    tag: str


class Making(NamedTuple):
    """The request that makes an object, and where its answer has the id."""

    path: str
    body: object
    id_of: Callable[[Any], str] = lambda answer: str(answer["id"])


Maker = Callable[[Side], Making]


class Makers(dict[str, Maker]):
    """Makers by the kind of their object: `invite`."""

    def of(self, kind: str) -> Callable[[Maker], Maker]:
        """Register a function as the maker of a kind."""

        def add(maker: Maker) -> Maker:
            assert kind not in self, kind
            self[kind] = maker
            return maker

        return add


MAKERS: Final = Makers()
BODIES: Final[dict[str, object]] = {}
"""Call with a path parameter -> a body that fits; none where it needs none."""
