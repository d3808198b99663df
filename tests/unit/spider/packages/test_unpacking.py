"""What is packed comes out whole, whatever its size, or not at all."""

from __future__ import annotations

import gzip
import random

import pytest

from spider.packages.gzip_files import unpacked

TEXTS = [b"", b"a", b"list\n" * 300_000, random.Random(1).randbytes(100_000)]  # bytes that do not pack


@pytest.mark.parametrize("text", TEXTS, ids=["empty", "short", "long", "not to be packed"])
def test_what_is_packed_comes_out_whole_and_what_is_not_stays_as_it_is(text: bytes) -> None:
    assert unpacked(gzip.compress(text)) == text
    assert unpacked(text) == text


@pytest.mark.parametrize(
    "content",
    [gzip.compress(TEXTS[3])[:-1], gzip.compress(TEXTS[3])[:20], gzip.compress(b"a") + b"b", gzip.compress(b"a") + gzip.compress(TEXTS[3]),
     gzip.compress(TEXTS[3])[:-8] + bytes(8), b"\x1f\x8bno list"],
    ids=["cut in its trailer", "cut in its head", "more behind it", "two parts", "another sum", "no gzip"],
)  # fmt: skip
def test_what_is_damaged_cut_or_in_parts_is_not_taken(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"damaged|its middle"):
        unpacked(content)


def test_what_becomes_too_large_is_left_before_it_fills_the_memory() -> None:
    assert len(unpacked(gzip.compress(bytes(999_999)), max_bytes=1_000_000)) == 999_999
    with pytest.raises(ValueError, match="too large"):
        unpacked(gzip.compress(bytes(2_000_000)), max_bytes=1_000_000)
