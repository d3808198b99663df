"""Samples that come from a node's disk, and those that never will."""

from __future__ import annotations

from typing import NamedTuple

from groundcontrol.nodes.model import Session


class PreviousSend(NamedTuple):
    """The number under which a pack went out in an earlier session, without an answer."""

    epoch: int
    stream: int
    seq: int


class LatePack(NamedTuple):
    """A pack from the node's disk, already checked. Held once by (node, journal, number)."""

    session: Session
    order: int
    """Its place among what comes late in this session: what is acknowledged."""
    journal: bytes
    number: int
    sent: PreviousSend | None
    layout: bytes
    first_ms: int
    last_ms: int
    coding: int
    body: bytes
    """Empty: refused by a rule; it is counted as held and not stored."""


class LostRows(NamedTuple):
    """Rows that the node measured and had to give up."""

    session: Session
    order: int
    journal: bytes
    number: int
    sent: PreviousSend | None
    family: str
    first_ms: int
    last_ms: int
    rows: int
    """0 = the node cannot say how many."""


class GapRow(NamedTuple):
    """What is known of a hole in the history."""

    family: str
    first_ms: int
    """The node's time of the first and of the last row that is missing."""
    last_ms: int
    rows: int
    """0 = nobody can say how many."""
