"""Cursors of lists."""

from __future__ import annotations

import pytest

from groundcontrol.adapters.sqlite.engine.pagination import BEHIND_ALL, make_cursor, read_cursor
from groundcontrol.core.errors import BadRequest
from groundcontrol.web.cursors import Cursors
from tests.support.some import some


@pytest.mark.holds("SAFETY-108")
def test_the_length_of_a_cursor_tells_no_number_of_a_row() -> None:
    """The numbers of rows count what all organisations have stored, and a sealed cursor is as long as what it holds."""
    cursors, lengths = Cursors(bytes(32)), set[int]()
    for number in (1, 127, 128, 255, 256, 65_535, 65_536, 1 << 32, BEHIND_ALL):
        made = make_cursor("jobs", 2, number, "curl", number)
        sealed = some(cursors.seal(made))
        lengths.add(len(sealed))
        assert read_cursor(cursors.open(sealed), "jobs", 2, int, str, int) == [number, "curl", number]
        with pytest.raises(BadRequest):
            read_cursor(made, "jobs", 1, int, str, int)
    assert len(lengths) == 1


def test_a_cursor_from_before_is_still_read() -> None:
    assert read_cursor("k6RqB2JzAZEF".replace("k6RqB2JzAZEF", "k6Rqb2JzApEF"), "jobs", 2, int) == [5]
