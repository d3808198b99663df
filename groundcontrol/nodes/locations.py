"""Where a node is: as users set it, as the node reports it, or by the patterns of names in the hub's settings."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final, Literal, NamedTuple

from groundcontrol.nodes.model import Node

MAX_LOCATION_CHARS: Final = 40


class Located(NamedTuple):
    """A location, such as `cloud`, and who says so."""

    location: str
    by: Literal["user", "node", "name"]
    """user: set at the hub; node: the owner's file on the node; name: a pattern of the hub's settings."""


class Locations:
    """Finds the locations of nodes by the patterns of the settings."""

    def __init__(self, patterns: Sequence[tuple[str, str]]) -> None:
        """Args: patterns: pattern of names in lower case, as of a shell, and its location. The first that matches counts."""
        self._patterns = tuple(patterns)

    def of(self, node: Node) -> Located | None:
        """The location of a node; None: not known."""
        if node.location:
            return Located(node.location, "user")
        if node.identity.location:
            return Located(node.identity.location, "node")
        name = node.name.lower()
        return next((Located(location, "name") for pattern, location in self._patterns if fnmatchcase(name, pattern)), None)
