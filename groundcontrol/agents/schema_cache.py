"""Cache of the layouts (schemas) that a session may name in its packs. It only holds layouts that the store has too."""

from __future__ import annotations

from typing import Final

from groundcontrol.agents.validation import KnownLayout

MAX_LAYOUTS: Final = 32
"""Layouts of one session in use. A further one replaces the least recently used."""


class SchemaCache:
    """The layouts of one session, by name."""

    __slots__ = ("_known", "_saved", "_saves")

    def __init__(self) -> None:
        self._known: dict[bytes, KnownLayout] = {}
        """Name -> layout, least recently used first."""
        self._saves = 0
        """Number of layouts sent to the store so far."""
        self._saved: dict[bytes, int] = {}
        """Name -> the value of `_saves` when the layout was last sent to the store."""

    def __len__(self) -> int:
        return len(self._known)

    def get(self, name: bytes) -> KnownLayout | None:
        return self._known.get(name)

    def renew(self, name: bytes, known: KnownLayout) -> bool:
        """Mark a layout as just used.

        Returns: whether it is cached unchanged and surely in the store. After MAX_LAYOUTS other saves it must be saved again,
                 since the store keeps only recent layouts.
        """
        if self._known.get(name) != known or self._saves - self._saved[name] >= MAX_LAYOUTS:
            return False
        self._known[name] = self._known.pop(name)
        return True

    def keep(self, name: bytes, known: KnownLayout) -> None:
        """Add a layout that was just saved to the store."""
        self._known.pop(name, None)
        if len(self._known) >= MAX_LAYOUTS:
            oldest = next(iter(self._known))
            del self._known[oldest], self._saved[oldest]
        self._known[name] = known
        self._saves += 1
        self._saved[name] = self._saves
