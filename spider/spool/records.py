"""The record format of the spool, and the losses that damage causes. Pure.

    segment = head ‖ record …
    head    = "SDSPOOL2" ‖ node 16 ‖ u32 CRC-32 of both
    record  = mark 4 ‖ u32 length ‖ u32 CRC-32 of node, length and payload ‖ payload
    payload = kind 1 ‖ journal 16 ‖ u64 number of the segment's first record ‖ u64 number of this one ‖ u16 length ‖ chain ‖ body

A journal is the sequence of all records that one process writes. The hub takes each number of a journal once.

Disks damage data. So every record has its number, and its CRC covers the node's id. A record with a wrong CRC is skipped: reading continues
at the next mark. The chain of a record describes the last few records before it: family, times and rows. So the record after a damaged one
says exactly which rows are lost. If more than `CHAIN` records in a row are damaged, a loss of unknown size is reported.
"""

import struct
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple, Union, cast
from zlib import crc32

from spider.hub.batches import Coverage, Lost, SealedBatch, SentBatch
from spider.wire.codec import pack, unpack
from spider.wire.errors import ProtocolError
from spider.wire.frames import MAX_FRAME_BYTES
from spider.wire.sample_messages import Layout

MAGIC = b"SDSPOOL2"
MARK = b"\xd5SR\x02"
CHAIN = 4
"""Number of earlier records that a record describes in its chain."""
LOST_BYTES = 64
"""Approximate size of a loss on the wire."""
UNKNOWN_FAMILY = "pulse"
"""A loss of unknown content is reported for this family: every node measures it, and most rows are of it."""
_HEAD = struct.Struct(">8s16s")
_CRC = struct.Struct(">I")
_RECORD = struct.Struct(">4sII")
_PREFIX = struct.Struct(">B16sQQH")
_PACK = struct.Struct(">QBqqqIB8sB")
HEAD_BYTES = _HEAD.size + _CRC.size
MAX_RECORD = 2 * MAX_FRAME_BYTES
_LAYOUT, _PACKED, _GAP = 1, 2, 3
_LOST_FIELDS = 7
_TORN = (ValueError, TypeError, IndexError, struct.error, ProtocolError)


class Pending(NamedTuple):
    """One numbered record: a sealed batch, or lost rows."""

    number: int
    what: "Union[SealedBatch, Lost]"
    size: int
    """Bytes that the record counts for in the rate limit of sending; 0: the record is not sent."""


class Loss(NamedTuple):
    """Lost rows, by family."""

    instead_of: str
    """Name of the segment that contained the rows. The spool deletes it once this record is on disk. Empty = the rows were never on
    disk."""
    lost: Sequence[Lost]


class RecordContent(NamedTuple):
    """The content of a segment."""

    journal: bytes
    first: int
    end: int
    """The number of the segment's last readable record, plus one."""
    items: List[Pending]
    """Its records in order, with losses in place of damaged ones."""
    replaced: Set[str]
    """Names of segments whose loss is recorded in this one. A crash may have left their files; `SpoolFolder.open` deletes them."""
    whole: bool
    """False: the segment's end is not a complete record."""
    holes: List[Tuple[int, int]]
    """Number ranges (end exclusive) of damaged records before readable ones, and of batches whose layout is damaged."""
    lead: Dict[int, Lost]
    """Losses that the first record's chain describes, by number: of the records before this segment."""
    covered_s: int
    """Seconds of measured time that the segment's batches cover."""


class _Found(NamedTuple):
    """A record with a valid CRC; its body is not decoded yet."""

    number: int
    chain: bytes
    kind: int
    body: bytes
    size: int


def head_of(node: bytes) -> bytes:
    """The head of a segment."""
    head = _HEAD.pack(MAGIC, node)
    return head + _CRC.pack(crc32(head))


def is_foreign(data: bytes, node: bytes) -> bool:
    """Whether the head is undamaged and names another node."""
    if len(data) < HEAD_BYTES or _CRC.unpack_from(data, _HEAD.size)[0] != crc32(data[: _HEAD.size]):
        return False
    magic, owner = _HEAD.unpack_from(data)
    return bool(magic == MAGIC and owner != node)


class RecordWriter:
    """Encodes the records of one journal, each with the chain of the earlier ones."""

    def __init__(self, node: bytes, journal: bytes) -> None:
        self._node = node
        self.journal = journal
        self.chain: List[Tuple[int, Lost]] = []

    def layout(self, first: int, number: int, layout: Layout) -> bytes:
        return self._record(_LAYOUT, first, number, b"", pack(layout))

    def packed(self, first: int, number: int, closed: SealedBatch) -> bytes:
        family = closed.layout.family.encode()
        sent = closed.sent or SentBatch(0, 0, 0)
        fields = (*sent, closed.first_ms, closed.last_ms, closed.rows, closed.coding, closed.layout.layout, len(family))
        record = self._record(_PACKED, first, number, self._before(), _PACK.pack(*fields) + family + closed.body)
        self._note(number, [Lost(closed.layout.family, closed.first_ms, closed.last_ms, closed.rows, closed.sent)])
        return record

    def loss(self, first: int, number: int, loss: Loss) -> bytes:
        """Encode all losses of a segment as one record. A crash leaves either the whole record or the segment."""
        fields = [field for lost in loss.lost for field in _flat(lost)]
        record = self._record(_GAP, first, number, self._before(), pack([loss.instead_of, *fields]))
        self._note(number, loss.lost)
        return record

    def _before(self) -> bytes:
        return pack([field for number, lost in self.chain for field in (number, *_flat(lost))])

    def _note(self, number: int, lost: Sequence[Lost]) -> None:
        self.chain = [*self.chain, *((number + index, one) for index, one in enumerate(lost))][-CHAIN:]

    def _record(self, kind: int, first: int, number: int, chain: bytes, body: bytes) -> bytes:
        payload = _PREFIX.pack(kind, self.journal, first, number, len(chain)) + chain + body
        return MARK + _CRC.pack(len(payload)) + _CRC.pack(_check(self._node, payload)) + payload


def _flat(lost: Lost) -> List[object]:
    return [*lost[:4], *(lost.sent or (0, 0, 0))]


def _lost(fields: Sequence[object]) -> Lost:
    family, first_ms, last_ms, rows, epoch, stream, seq = cast("Tuple[str, int, int, int, int, int, int]", tuple(fields))
    return Lost(family, first_ms, last_ms, rows, SentBatch(epoch, stream, seq) if epoch else None)


def _check(node: bytes, payload: bytes) -> int:
    return crc32(payload, crc32(_CRC.pack(len(payload)), crc32(node)))


def parse_segment(data: bytes, node: bytes) -> Optional[RecordContent]:
    """Parse a whole segment, skipping damaged parts. None: it has no valid record of this node."""
    found: List[_Found] = []
    layouts: Dict[bytes, Layout] = {}
    journal, first, at, whole = b"", 0, HEAD_BYTES if data[: len(MAGIC)] == MAGIC else 0, True
    while at < len(data):
        payload = _payload(data, at, node)
        if payload is None:
            at = data.find(MARK, at + 1)
            if at < 0:
                whole = False
                break
            continue
        at += _RECORD.size + len(payload)
        try:
            kind, owner, begin, number, length = cast("Tuple[int, bytes, int, int, int]", _PREFIX.unpack_from(payload))
            if not journal:
                journal, first = owner, begin
            start = _PREFIX.size + length
            if kind == _LAYOUT:
                layout = Layout(*unpack(payload[start:]))
                layouts[layout.layout] = layout
            elif (owner, begin) == (journal, first):
                found.append(_Found(number, payload[_PREFIX.size : start], kind, payload[start:], len(payload)))
        except _TORN:  # its CRC is valid, so another version of Spider wrote it like this
            continue
    return _content(journal, first, found, layouts, whole=whole) if journal else None


def _payload(data: bytes, at: int, node: bytes) -> Optional[bytes]:
    if at + _RECORD.size > len(data):
        return None
    mark, length, check = _RECORD.unpack_from(data, at)
    start = at + _RECORD.size
    if mark != MARK or not _PREFIX.size <= length <= MAX_RECORD or start + length > len(data):
        return None
    payload = data[start : start + length]
    return payload if check == _check(node, payload) else None


def _content(journal: bytes, first: int, found: Sequence[_Found], layouts: Dict[bytes, Layout], *, whole: bool) -> RecordContent:
    items: List[Pending] = []
    replaced: Set[str] = set()
    covered = Coverage()
    expected = first
    holes: List[Tuple[int, int]] = []
    lead: Dict[int, Lost] = {}
    for record in found:
        try:
            taken, instead_of = _take(record, layouts)
            known = _chain(record.chain) if record.number != expected or not items else {}
        except _TORN:
            continue
        if record.number < expected or not taken:
            continue
        if instead_of:
            replaced.add(instead_of)
        if not items:
            lead = {number: lost for number, lost in known.items() if number < first}
        if record.number > expected:
            holes.append((expected, record.number))
        items += fill(items[-1] if items else None, expected, record.number, known, taken[0])
        for item in taken:
            items.append(item)
            if isinstance(item.what, SealedBatch):
                covered.add(item.what.layout, item.what.rows)
        if record.kind == _PACKED and isinstance(taken[0].what, Lost):
            holes.append((record.number, record.number + 1))
        expected = record.number + len(taken)
    return RecordContent(journal, first, expected, items, replaced, whole, holes, lead, covered.seconds)


def fill(before: Optional[Pending], start: int, end: int, known: Dict[int, Lost], after: Optional[Pending]) -> List[Pending]:
    """The losses that replace the records `start` to `end` (exclusive): one for each record in `known`, and one for all others.

    Args: before, after: the readable records next to these; None: there is none on this side, but never on both. known: losses by record number.
    """
    filled = [Pending(number, known[number], LOST_BYTES) for number in sorted(known) if start <= number < end]
    unknown = next((number for number in range(start, end) if number not in known), None)
    if unknown is not None:
        later = next((item for item in filled if item.number > unknown), after)
        times = sorted([*((before.what.last_ms,) if before else ()), *((later.what.first_ms,) if later else ())])
        filled.append(Pending(unknown, Lost(UNKNOWN_FAMILY, times[0], times[-1], 0), LOST_BYTES))
    return sorted(filled, key=lambda item: item.number)


def _chain(chain: bytes) -> Dict[int, Lost]:
    fields = unpack(chain)
    return {fields[at]: _lost(fields[at + 1 : at + 1 + _LOST_FIELDS]) for at in range(0, len(fields), _LOST_FIELDS + 1)}


def _take(record: _Found, layouts: Dict[bytes, Layout]) -> Tuple[List[Pending], str]:
    """Decode a record. Returns: its batch or losses, and the name of the segment whose loss it records (empty = none)."""
    if record.kind == _PACKED:
        epoch, stream, seq, first_ms, last_ms, rows, coding, name, length = _PACK.unpack_from(record.body)
        sent = SentBatch(epoch, stream, seq) if epoch else None
        start = _PACK.size + length
        layout = layouts.get(name)
        if layout is None:  # every copy of the layout is damaged, so the rows cannot be decoded
            lost = Lost(record.body[_PACK.size : start].decode(), first_ms, last_ms, rows, sent)
            return [Pending(record.number, lost, LOST_BYTES)], ""
        closed = SealedBatch(layout, sent, first_ms, last_ms, rows, coding, record.body[start:])
        return [Pending(record.number, closed, record.size)], ""
    if record.kind != _GAP:
        raise ValueError("a record of no kind")
    instead_of, *fields = unpack(record.body)
    found = [
        Pending(record.number + index // _LOST_FIELDS, _lost(fields[index : index + _LOST_FIELDS]), LOST_BYTES)
        for index in range(0, len(fields), _LOST_FIELDS)
    ]
    return found, instead_of
