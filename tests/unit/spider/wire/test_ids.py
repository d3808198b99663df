"""Ids: 16 bytes, with exactly one text form each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.wire import ids


@given(st.binary(min_size=16, max_size=16))
def test_an_id_has_exactly_one_text(raw: bytes) -> None:
    text = ids.to_text(raw)
    assert len(text) == 26
    assert ids.is_id(text)
    assert ids.from_text(text) == raw


@pytest.mark.parametrize(
    "text", ["", "0" * 25, "0" * 27, "8" + "0" * 25, "0" * 25 + "U", "0" * 25 + "i", "0" * 26 + "\n", "../../" + "0" * 20]
)
def test_malformed_id_is_refused(text: str) -> None:
    assert not ids.is_id(text)
    with pytest.raises(ValueError, match="not an id"):
        ids.from_text(text)


def test_time_ids_sort_by_time_and_are_uuid_version_7() -> None:
    early, late = ids.new_time_id(1_000.0), ids.new_time_id(2_000.0)
    assert early < late
    raw = ids.from_text(late)
    assert raw[6] >> 4 == 7
    assert raw[8] >> 6 == 0b10
    assert int.from_bytes(raw[:6], "big") == 2_000_000
