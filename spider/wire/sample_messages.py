"""The messages of a session about samples. The rules for changes are in `frames.py`."""

from typing import List, NamedTuple, Optional

STREAM_LIVE = 0
STREAM_BACKFILL = 1
STREAM_LATE = 2
"""Number of the stream in an `Ack`. LIVE: packs of samples since the welcome. BACKFILL: packs of older ones. LATE: `Late` and `Gap`, whose
`seq` counts from 0 in each session."""
CODING_PLAIN = 0
CODING_ZLIB = 1


class Layout(NamedTuple):
    """Node to hub: the series of one family, in the order of the values in its rows."""

    layout: bytes
    """The first 8 bytes of SHA-256 over family and series: equal content, equal id."""
    family: str
    rhythm_s: int
    series: List[str]
    """`cpu.total`, `disk.read{device=sda}` … Series that this host cannot have are left out."""


class Row(NamedTuple):
    """The values of one family at one moment. Sent inside `Pack.body` only."""

    taken_at_ms: int
    values: List[Optional[int]]
    """Scaled integers (`metrics.py` has the scales); null = the measurement failed."""


class Pack(NamedTuple):
    """Node to hub: rows of one layout, oldest first. Acknowledged by (stream, seq)."""

    stream: int
    seq: int
    layout: bytes
    coding: int
    body: bytes
    """MessagePack list of `bin`, each one encoded `Row`; compressed when `coding` is CODING_ZLIB."""


class Late(NamedTuple):
    """Node to hub: a pack from the node's spool. Stored once by (journal, number), acknowledged by `Ack(STREAM_LATE, seq)`."""

    seq: int
    """Counts the `Late` and `Gap` of this session from 0."""
    journal: bytes
    """16 bytes that identify the writer. The numbers of one journal only rise."""
    number: int
    sent_epoch: int
    """The session (`Welcome.epoch`) in which it was sent as a `Pack` without an answer; 0 = never sent. The hub holds the pack already if
    it had stored the stream `sent_stream` of that session up to `sent_seq`."""
    sent_stream: int
    sent_seq: int
    layout: bytes
    coding: int
    body: bytes


class Gap(NamedTuple):
    """Node to hub: rows of a family that were measured and are lost for ever. Counted, stored and acknowledged like `Late`."""

    seq: int
    journal: bytes
    number: int
    sent_epoch: int
    sent_stream: int
    sent_seq: int
    family: str
    first_ms: int
    """The node's time of the first and of the last lost row."""
    last_ms: int
    rows: int
    """0 = the number is unknown, because the disk damaged the records that name it. The rows may then be of other families, too."""


class Ack(NamedTuple):
    """Hub to node: every pack of this stream up to `seq` is stored durably."""

    stream: int
    seq: int


class Watch(NamedTuple):
    """Hub to node: a user watches. Send each sample of these families immediately until the lease ends; 0 ends it."""

    families: List[str]
    rhythm_s: int
    lease_s: int
