"""Job output on a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.cli.terminal import AnsiFilter


def cleaned(data: bytes, cuts: tuple[int, ...] = ()) -> str:
    cleaner, text, before = AnsiFilter(), "", 0
    for cut in (*sorted(cuts), len(data)):
        text += cleaner.feed(data[before:cut])
        before = max(before, cut)
    return text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b[1;32mok\x1b[0m\r\n", "\x1b[1;32mok\x1b[0m\r\n"),
        (b"12%\r34%\b", "12%\r34%\b"),
        (b"\x1b]0;title\x07after", "after"),
        (b"\x1b]52;c;aGk=\x1b\\after", "after"),
        (b"\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1b[2J\x1b[H\x1b[?25lx", "x"),
        (b"\x1bPq secret\x1b\\x", "x"),
        (b"\x1b(Bx\x1bcx", "xx"),
        (b"\x00\x07\x9bx", "\ufffdx"),
        ("ä€🚀".encode(), "ä€🚀"),
    ],
)
def test_colours_and_lines_are_preserved_and_control_sequences_removed(raw: bytes, shown: str) -> None:
    assert cleaned(raw) == shown


@pytest.mark.holds("SAFETY-30", "S-17")
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_control_sequences_are_removed_over_any_split(data: bytes, cuts: list[int]) -> None:
    text = cleaned(data, tuple(cut for cut in cuts if cut <= len(data)))
    left = text
    while "\x1b" in left:
        _, _, left = left.partition("\x1b")
        assert left.startswith("[")
        assert "m" in left
    assert not any((ord(char) < 32 and char not in "\t\n\r\b\x1b") or 127 <= ord(char) < 160 for char in text)


@pytest.mark.parametrize("start", [b"\x1b[", b"\x1b ", b"\x1b]"])
def test_a_sequence_without_an_end_holds_nothing_back(start: bytes) -> None:
    shown = AnsiFilter()
    shown.feed(start)
    for _ in range(3):
        shown.feed(b" " * 4096)
    assert shown.feed(b"still shown") == "still shown"
