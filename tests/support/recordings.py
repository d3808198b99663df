"""The recorded files in `tests/unit/spider/collectors/data`, and hosts built from them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from spider.sampling.collectors.base import Collector
from spider.sampling.collectors.netlink import parse_messages

DATA = Path(__file__).resolve().parents[1] / "unit/spider/collectors/data"


def captured(origin: str, name: str) -> bytes:
    """One captured file; data/README.md says how it was captured."""
    return (DATA / origin / name).read_bytes()


def dumped(name: str) -> Iterator[tuple[bytes, int, int]]:
    """The messages of a captured netlink dump, as `Netlink.dump` gives them."""
    raw, at = captured("netlink", name), 0
    while at < len(raw):
        (size,) = struct.unpack_from("<I", raw, at)
        datagram = raw[at + 4 : at + 4 + size]
        for kind, start, end in parse_messages(datagram):
            if kind == 3:
                return
            yield datagram, start, end
        at += 4 + size


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Make files below a folder that stands for a host's root."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def read(collector: Collector, now: float) -> dict[str, int | None]:
    """One reading, by series."""
    values = collector.read(now)
    return dict(zip(collector.series(), values, strict=True))
