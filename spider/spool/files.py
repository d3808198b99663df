"""The spool's files: append-only segments in the format of `spool/records.py`. All calls block, so they run in a thread.

Each process writes its segments under its own journal id, and reads a segment once it is complete. Record numbers ascend from the first
number of the segment.
"""

import errno
import fcntl
import os
import re
import stat
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple, Union, cast

from spider.files import sync_folder, write_all
from spider.hub.batches import Coverage, Losses, Lost, SealedBatch
from spider.spool.records import (
    HEAD_BYTES,
    MAX_RECORD,
    UNKNOWN_FAMILY,
    Loss,
    Pending,
    RecordContent,
    RecordWriter,
    fill,
    head_of,
    is_foreign,
    parse_segment,
)

SEGMENT_BYTES = 512 * 1024
SEGMENT_S = 3600
"""A segment is full at `SEGMENT_BYTES`, or when it covers `SEGMENT_S` of measured time. The spool drops whole segments when it is too
large."""
NAMINGS = 2
"""How often a segment contains each layout: before its first batch, and again before its second. No batch can be read without its layout,
and one copy may be damaged."""
_NAME = re.compile(r"[0-9]{10}\.(seg|out)\Z")
LOCK = "lock"


class SpoolRefused(OSError):
    """The folder is not suitable for samples."""


class Segment:
    """A file of the spool."""

    def __init__(self, name: str, journal: bytes, first: int) -> None:
        self.name = name
        self.out = name.endswith(".out")
        """Whether records of the segment may have been sent. Only the hub knows which of them it stored, so the file stays until the hub has
        answered."""
        self.journal = journal
        self.first = first
        """Number of the segment's first record."""
        self.count = 0
        self.size = HEAD_BYTES
        self.covered_s = 0
        """Seconds of measured time that the segment covers."""
        self.lost = 0
        """Number of damaged records that were already reported."""
        self.known: Dict[int, Lost] = {}
        """Losses of damaged records at the end, by record number. The next segment describes them."""


class SpoolDamage(NamedTuple):
    """Damage that the disk has done to a segment."""

    name: str
    records: int
    """Damaged records; -1 = unknown."""
    rows: int
    exact: bool
    """False: more rows are lost, in unknown number."""


def losses_of(items: Sequence[Pending]) -> List[Lost]:
    """The losses that dropping these records causes."""
    losses = Losses()
    for item in items:
        losses.add(loss_of(item))
    return losses.all()


def loss_of(item: Pending) -> Lost:
    """The loss that dropping this record causes."""
    what = item.what
    return what if isinstance(what, Lost) else Lost(what.layout.family, what.first_ms, what.last_ms, what.rows, what.sent)


def damage_of(name: str, holes: Sequence[Tuple[int, int]], items: Sequence[Pending]) -> SpoolDamage:
    """The damage of a segment.

    Args: holes: number ranges of the damaged records. items: all records, with losses in place of damaged ones.
    """
    lost = [item.what for item in items if isinstance(item.what, Lost) and any(start <= item.number < end for start, end in holes)]
    return SpoolDamage(name, records_in(holes), sum(one.rows for one in lost), exact=all(one.rows for one in lost))


def records_in(holes: Sequence[Tuple[int, int]]) -> int:
    """How many record numbers these ranges contain."""
    return sum(end - start for start, end in holes)


class SpoolFolder:
    """The spool's folder, locked by one process at a time."""

    def __init__(self, state_dir: str, node: bytes) -> None:
        self.path = os.path.join(state_dir, "spool")
        self._state = state_dir
        self._node = node
        self._lock = -1
        self._next_name = 1
        self._file = -1
        self._current: Optional[Segment] = None
        self._announced: Dict[bytes, int] = {}
        self._covered = Coverage()
        self.cut: List[str] = []
        """Names of the segments that end with an incomplete record, for instance after a power failure."""
        self.damaged: List[SpoolDamage] = []
        self.unreadable: List[Tuple[str, str]] = []
        """Files that are named like a segment but cannot be read, each with the reason. `retry_unreadable` retries them."""
        self._replaced: Set[str] = set()
        """Names of segments that were dropped: another segment records their loss."""
        self.ruined: List[Lost] = []
        """The losses of segments without a single readable record."""
        self._writer = RecordWriter(node, os.urandom(16))

    @property
    def journal(self) -> bytes:
        """Journal id of this process. Each start gets a new id: a power failure may undo writes, and a journal uses no number twice."""
        return self._writer.journal

    def open(self) -> List[Segment]:
        """Create the folder if it is missing, lock it, and read the segments of earlier runs, oldest first.

        Raises: OSError: the state folder is missing, or one of the two folders is owned by another user, writable for others, in use by
        another Spider, or not readable.
        """
        _check_owner(self._state)
        try:
            os.mkdir(self.path, 0o700)
        except FileExistsError:
            _check_owner(self.path)
        if self._lock < 0:
            lock = os.open(os.path.join(self.path, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(lock)
                raise SpoolRefused(error.errno, "another Spider uses this folder") from error
            self._lock = lock
        self.cut, self.damaged, self.unreadable, self.ruined = [], [], [], []
        names = sorted(name for name in os.listdir(self.path) if _NAME.match(name))
        found: List[Tuple[Segment, RecordContent]] = []
        replaced: Set[str] = set()
        for name in names:
            try:
                one = self._load(name)
            except OSError as error:  # an unreadable file does not block the others
                self.unreadable.append((name, str(error)))
                continue
            if one is not None:
                found.append(one)
                replaced |= one[1].replaced
        self._replaced = replaced
        self._next_name = 1 + max((int(name[:10]) for name in [*names, *replaced]), default=0)
        segments: List[Segment] = []
        for index, (segment, content) in enumerate(found):
            if segment.name in replaced:
                self._unlink(segment.name)
                continue
            self._note_damage(segment, content, [after for _, after in found[index + 1 :]])
            segments.append(segment)
        return segments

    def retry_unreadable(self) -> List[Segment]:
        """Retry the files that could not be read. Returns: the segments that are readable now."""
        missing, self.unreadable = self.unreadable, []
        segments: List[Segment] = []
        for name, _ in missing:
            one = None
            try:
                if name in self._replaced:
                    self._unlink(name)
                else:
                    one = self._load(name)
            except FileNotFoundError:
                continue  # the file was removed meanwhile
            except OSError as error:
                self.unreadable.append((name, str(error)))
                continue
            if one is not None:
                self._note_damage(*one, [])
                segments.append(one[0])
        return segments

    def _load(self, name: str) -> Optional[Tuple[Segment, RecordContent]]:
        """Read a segment of an earlier run. None: the file was deleted, because it has no readable record of this node."""
        data = self._read(name)
        content = parse_segment(data, self._node)
        if content is None and len(data) > HEAD_BYTES and not is_foreign(data, self._node):
            self.ruined.append(self._unknown(name))
            self.damaged.append(SpoolDamage(name, -1, 0, exact=False))
        if content is None or not content.items:
            self._unlink(name)  # it is empty, belongs to another node, or has no readable record
            return None
        segment = Segment(name, content.journal, content.first)
        segment.count, segment.covered_s = content.end - content.first, content.covered_s
        segment.size = len(data)
        if not content.whole:
            self.cut.append(name)
        pending = [Pending(item.number, loss_of(item), 0) for item in content.items] if content.holes or not content.whole else []
        return segment, content._replace(items=pending)  # drop the content, because all files together may exceed the memory

    def _note_damage(self, segment: Segment, content: RecordContent, later: Sequence[RecordContent]) -> None:
        """Record the damage of a segment. Its later records and the next segment of the same journal say what is missing."""
        follows = next((after for after in later if after.journal == segment.journal), None)
        holes = content.holes
        if follows is not None and not content.whole and follows.first > content.end:
            holes = [*holes, (content.end, follows.first)]
            segment.count = follows.first - segment.first
            segment.known = {number: lost for number, lost in follows.lead.items() if number >= content.end}
        if holes:
            segment.lost = records_in(holes)
            self.damaged.append(damage_of(segment.name, holes, self._items(segment, content)))

    def append(self, first: int, losses: Sequence[Loss], packs: Sequence[SealedBatch]) -> List[Segment]:
        """Write records with numbers from `first`, losses before packs. On return all of them are on disk (fsync).

        Args:    first: number of the first record. A `Loss` takes one number for each `Lost` in it.
        Returns: the new segments; the last one may get more records.
        Raises:  OSError: the disk failed. The records were removed again, as far as the disk still allowed it.
        """
        begun: List[Segment] = []
        before = self._current
        totals = (before.size, before.count, before.covered_s) if before is not None else (0, 0, 0)
        chain = self._writer.chain
        try:
            number = first
            for loss in losses:
                self._write(number, len(loss.lost), loss, begun)
                number += len(loss.lost)
            for closed in packs:
                self._write(number, 1, closed, begun)
                number += 1
            if self._file >= 0:
                os.fsync(self._file)
            if begun:
                sync_folder(self.path)
        except OSError:
            self._writer.chain = chain
            self._undo(before, totals, begun)
            raise
        return begun

    def append_as(self, journal: bytes, first: int, losses: Sequence[Lost]) -> None:
        """Write losses to a new segment of another journal, under numbers from `first`.

        They keep the journal and the numbers under which the hub may have received them.

        Raises: OSError: as in `append`.
        """
        self.seal()
        writer, self._writer = self._writer, RecordWriter(self._node, journal)
        try:
            self.append(first, [Loss("", losses)], [])
        finally:
            self.seal()
            self._writer = writer

    def _write(self, number: int, count: int, what: "Union[SealedBatch, Loss]", begun: List[Segment]) -> None:
        current = self._current
        if current is not None and current.covered_s >= SEGMENT_S:
            self._full()
            current = None
        chain = self._writer.chain
        records = self._records(current.first if current is not None else number, number, what)
        if current is not None and current.size + len(records) > SEGMENT_BYTES:
            self._full()
            current = None
            self._writer.chain = chain
            records = self._records(number, number, what)
        if current is None:
            begun.append(self._begin(number))
        current = cast("Segment", self._current)
        write_all(self._file, records)
        current.size += len(records)
        current.count += count
        if isinstance(what, SealedBatch):
            self._announced[what.layout.layout] = self._announced.get(what.layout.layout, 0) + 1
            self._covered.add(what.layout, what.rows)
            current.covered_s = self._covered.seconds

    def _full(self) -> None:
        os.fsync(self._file)
        self.seal()

    def _records(self, first: int, number: int, what: "Union[SealedBatch, Loss]") -> bytes:
        if isinstance(what, Loss):
            return self._writer.loss(first, number, what)
        named = b""
        if self._announced.get(what.layout.layout, 0) < NAMINGS:
            named = self._writer.layout(first, number, what.layout)
        return named + self._writer.packed(first, number, what)

    def _begin(self, number: int) -> Segment:
        name = f"{self._next_name:010d}.seg"
        path = os.path.join(self.path, name)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._next_name += 1
        self._covered = Coverage()
        self._current = Segment(name, self.journal, number)
        try:
            write_all(self._file, head_of(self._node))
        except OSError:
            self._unlink(name)  # it is no segment yet, so nothing else removes it
            raise
        return self._current

    def _undo(self, before: Optional[Segment], totals: Tuple[int, int, int], begun: Sequence[Segment]) -> None:
        """Undo a failed write. If that fails as well, the next records get another journal id: records with these numbers may be on disk."""
        self.seal()
        try:
            for segment in begun:
                self._unlink(segment.name)
            if before is not None:
                before.size, before.count, before.covered_s = totals
                path = os.path.join(self.path, before.name)
                if os.stat(path).st_size != before.size:
                    os.truncate(path, before.size)
        except OSError:
            self._writer = RecordWriter(self._node, os.urandom(16))

    def seal(self) -> None:
        """Close the segment that is being written, if any. The next record begins a new one."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._current = -1, None
        self._announced.clear()

    @property
    def writing(self) -> Optional[Segment]:
        """The segment that may get more records; None: there is none."""
        return self._current

    def take_out(self, segment: Segment) -> List[Pending]:
        """Read a complete segment that is about to be sent, and rename its file to `.out`. On a read-only or full disk the file keeps its name.

        Raises: OSError: the file cannot be renamed for another reason, or not be read.
        """
        segment.out = True
        name = segment.name[:10] + ".out"
        if segment.name != name:
            try:
                os.rename(os.path.join(self.path, segment.name), os.path.join(self.path, name))
                segment.name = name
                sync_folder(self.path)
            except OSError as error:
                if error.errno not in (errno.EROFS, errno.ENOSPC, errno.EDQUOT):
                    raise
        return self.read(segment)

    def read(self, segment: Segment) -> List[Pending]:
        """All records of a complete segment, with losses in place of damaged records. New damage is added to `damaged`.

        Raises: OSError: the file cannot be read.
        """
        content = parse_segment(self._read(segment.name), self._node)
        if content is None or (content.journal, content.first) != (segment.journal, segment.first):
            content = RecordContent(segment.journal, segment.first, segment.first, [], set(), whole=False, holes=[], lead={}, covered_s=0)
        end = segment.first + segment.count
        holes = [hole for hole in content.holes if hole[1] <= end]
        if content.end < end:
            holes.append((content.end, end))
        items = self._items(segment, content)
        if records_in(holes) > segment.lost:
            self.damaged.append(damage_of(segment.name, holes, items))
            segment.lost = records_in(holes)
        return items

    def _items(self, segment: Segment, content: RecordContent) -> List[Pending]:
        end = segment.first + segment.count
        items = [item for item in content.items if item.number < end]
        if content.end >= end:
            return items
        before = items[-1] if items else Pending(-1, self._unknown(segment.name), 0)
        return items + fill(before, content.end, end, segment.known, None)

    def _unknown(self, name: str) -> Lost:
        """A loss of unknown content: it spans `SEGMENT_S` before the last write to this segment."""
        until_ms = max(0, int(os.stat(os.path.join(self.path, name)).st_mtime * 1000))
        return Lost(UNKNOWN_FAMILY, max(0, until_ms - SEGMENT_S * 1000), until_ms, 0)

    def remove(self, names: Sequence[str]) -> None:
        """Delete segments. A segment that is already missing is no error.

        Raises: OSError.
        """
        for name in names:
            self._unlink(name)

    def close(self) -> None:
        """Unlock the folder and close the files."""
        self.seal()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _read(self, name: str) -> bytes:
        file = os.open(os.path.join(self.path, name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            data = b""
            while len(data) < SEGMENT_BYTES + 2 * MAX_RECORD:
                chunk = os.read(file, 1 << 20)
                if not chunk:
                    break
                data += chunk
            return data
        finally:
            os.close(file)

    def _unlink(self, name: str) -> None:
        try:
            os.unlink(os.path.join(self.path, name))
        except FileNotFoundError:
            return


def _check_owner(path: str) -> None:
    info = os.stat(path)
    if not stat.S_ISDIR(info.st_mode):
        raise SpoolRefused(errno.ENOTDIR, f"{path} is no folder")
    if info.st_uid != os.geteuid():
        raise SpoolRefused(errno.EPERM, f"{path} is owned by uid {info.st_uid}, not {os.geteuid()}")
    if info.st_mode & 0o022:
        raise SpoolRefused(errno.EPERM, f"{path}: mode {stat.S_IMODE(info.st_mode):04o} lets others in")
