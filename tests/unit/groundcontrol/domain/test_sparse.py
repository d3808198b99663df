"""Once a minute, with a count, however often it happens and by how many."""

from __future__ import annotations

from groundcontrol.domain.sparse import EVERY_S, MOST_KEPT, Sparse


def test_the_first_is_written_and_the_rest_of_a_minute_counted() -> None:
    sparse = Sparse()
    assert [sparse.left_out("refused", "192.0.2.1", 0.001 * number) for number in range(740)] == [0] + [None] * 739
    assert sparse.left_out("refused", "192.0.2.2", 1.0) == 0
    assert sparse.left_out("other", "192.0.2.1", 1.0) == 0
    assert sparse.left_out("refused", "192.0.2.1", EVERY_S) == 739
    assert sparse.left_out("refused", "192.0.2.1", EVERY_S + 1) is None


def test_many_causes_are_neither_remembered_nor_written_each() -> None:
    sparse = Sparse()
    written = [sparse.left_out("refused", str(number), 1.0) for number in range(10 * MOST_KEPT)]
    assert len(written) - written.count(None) == MOST_KEPT + 1
    assert len(sparse._since) <= MOST_KEPT + 1
    assert sparse.left_out("refused", "late", 1.0 + EVERY_S) == 0
    assert len(sparse._since) == 1
