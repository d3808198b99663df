"""Which layouts a session may name in its packs: the newest ones that it told, as long as the store surely knows them too."""

from __future__ import annotations

from typing import Final

from groundcontrol.agents.validation import KnownLayout

MAX_LAYOUTS: Final = 32
"""Layouts that one session may have in use; a new one beyond them replaces the one that was named longest ago."""


class SchemaCache:
    """The layouts of one session, by name."""

    __slots__ = ("_known", "_saved", "_saves")

    def __init__(self) -> None:
        self._known: dict[bytes, KnownLayout] = {}
        """In the order in which they were last named."""
        self._saves = 0
        """How often the store was told of a layout."""
        self._saved: dict[bytes, int] = {}
        """At which of these times it was last told of each of them."""

    def __len__(self) -> int:
        return len(self._known)

    def get(self, name: bytes) -> KnownLayout | None:
        return self._known.get(name)

    def renew(self, name: bytes, known: KnownLayout) -> bool:
        """Count a layout as named now.

        Returns: whether it is in use just so. What is named again after many others is new to the store as well,
                 which forgets what it was told of long ago.
        """
        if self._known.get(name) != known or self._saves - self._saved[name] >= MAX_LAYOUTS:
            return False
        self._known[name] = self._known.pop(name)
        return True

    def keep(self, name: bytes, known: KnownLayout) -> None:
        """Take one that the store was told of just now."""
        self._known.pop(name, None)
        if len(self._known) >= MAX_LAYOUTS:
            oldest = next(iter(self._known))
            del self._known[oldest], self._saved[oldest]
        self._known[name] = known
        self._saves += 1
        self._saved[name] = self._saves
