"""Samples of a node over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from groundcontrol.domain.nodes import Session


class LayoutRow(NamedTuple):
    """Which series a pack's rows hold; see `spider.wire.frames.Layout`."""

    layout: bytes
    family: str
    rhythm_s: int
    series: tuple[str, ...]


class StoredPack(NamedTuple):
    """Rows of one node as they arrived, already checked: each row has as many values as its layout has series."""

    session: Session
    stream: int
    seq: int
    layout: bytes
    first_ms: int
    last_ms: int
    coding: int
    body: bytes


class StoredRow(NamedTuple):
    """One moment of one family, unpacked. `None` = measuring failed this time."""

    taken_at_ms: int
    values: Sequence[int | None]
    """Scaled integers, in the order of the layout's series."""


class Window(NamedTuple):
    """Down-sampled series: bucket i covers [times[i], times[i] + step). `None` = no sample."""

    step_s: int
    tier: str
    times: list[float]
    series: dict[str, Buckets]


class Buckets(NamedTuple):
    avg: list[float | None]
    min: list[float | None]
    max: list[float | None]
