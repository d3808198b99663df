"""Decompression returns the whole content, whatever its size, or fails."""

from __future__ import annotations

import gzip
import random

import pytest

from spider.packages.gzip_files import unpacked

TEXTS = [b"", b"a", b"list\n" * 300_000, random.Random(1).randbytes(100_000)]  # bytes that do not pack


@pytest.mark.parametrize("text", TEXTS, ids=["empty", "short", "long", "not to be packed"])
def test_packed_content_is_unpacked_and_plain_content_is_unchanged(text: bytes) -> None:
    assert unpacked(gzip.compress(text)) == text
    assert unpacked(text) == text


@pytest.mark.parametrize(
    "content",
    [gzip.compress(TEXTS[3])[:-1], gzip.compress(TEXTS[3])[:20], gzip.compress(b"a") + b"b", gzip.compress(b"a") + gzip.compress(TEXTS[3]),
     gzip.compress(TEXTS[3])[:-8] + bytes(8), b"\x1f\x8bno list"],
    ids=["cut in its trailer", "cut in its head", "more behind it", "two parts", "another sum", "no gzip"],
)  # fmt: skip
def test_damaged_truncated_or_split_archives_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"damaged|truncated"):
        unpacked(content)


def test_an_archive_that_unpacks_too_large_is_refused() -> None:
    assert len(unpacked(gzip.compress(bytes(999_999)), max_bytes=1_000_000)) == 999_999
    with pytest.raises(ValueError, match="too large"):
        unpacked(gzip.compress(bytes(2_000_000)), max_bytes=1_000_000)
