"""Late samples, which a node sends from its disk, and samples that a node has lost."""

from __future__ import annotations

from typing import NamedTuple

from groundcontrol.nodes.model import Session


class PreviousSend(NamedTuple):
    """The number of a pack in an earlier session. That session ended before the hub acknowledged the pack."""

    epoch: int
    stream: int
    seq: int


class LatePack(NamedTuple):
    """A validated pack (rows of one family) from the node's disk. The store keeps it once by (node, journal, number)."""

    session: Session
    order: int
    """The number of the late pack in this session. The hub acknowledges it by this number."""
    journal: bytes
    """The id of the agent's process that wrote it to the disk."""
    number: int
    """The number of the pack among those of that process."""
    sent: PreviousSend | None
    """How it was sent before; None: it was not."""
    schema_id: bytes
    first_ms: int
    last_ms: int
    coding: int
    body: bytes
    """The encoded rows. Empty: they are dated too far ahead. Then the pack counts as stored, but is not."""


class LostRows(NamedTuple):
    """Rows that the node measured and then had to drop. The first fields are as in `LatePack`."""

    session: Session
    order: int
    journal: bytes
    number: int
    sent: PreviousSend | None
    family: str
    first_ms: int
    last_ms: int
    rows: int
    """The number of rows; 0: the node does not know it."""


class GapRow(NamedTuple):
    """A gap in the history whose rows the node has lost."""

    family: str
    first_ms: int
    """The time of the first missing row by the node's clock, in Unix milliseconds."""
    last_ms: int
    rows: int
    """The number of missing rows; 0: it is not known."""
