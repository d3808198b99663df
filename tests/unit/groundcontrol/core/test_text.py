"""Text from untrusted sources: control characters are escaped or removed."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.core.text import clean, first_invisible, is_visible, visible
from spider.sampling.collectors.base import label
from spider.wire.text import UNSEEN_CHAR, plain

BLANK = "\u3164\u115f\u1160\uffa0\u2800\u034f\ufe00\ufe0f\u00ad\u180e\u200b\u200c\u200d\u2060\u2064\u17b4\u3164\U0001d173\U000e0100\U000e01ef\U0001d159"


@given(st.text(max_size=3000) | st.text(st.sampled_from("a\n\t\x1b\u202e\U000e0001\ud800 "), max_size=3000))
def test_log_lines_show_control_characters_escaped(text: str) -> None:
    shown = visible(text, 2000)
    assert len(shown) <= 2000
    assert clean(shown, 2000) == shown.strip()
    assert visible(shown, 2000) == shown.strip()
    shown.encode()


def test_rows_of_one_line_of_a_log_stay_apart() -> None:
    trace = 'Traceback (most recent call last):\n  File "x.py", line 3, in <module>\r\nValueError: bad\n'
    assert visible(trace, 2000) == 'Traceback (most recent call last):⏎  File "x.py", line 3, in <module>⏎ValueError: bad'
    assert visible("\x1b[31m\nsecond\trow", 2000) == "\\x1b[31m⏎second⇥row"


@given(st.text(max_size=2000))
def test_a_cleaned_text_is_short_and_without_control_characters(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) <= 256
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 or 0xD800 <= ord(char) < 0xE000 for char in cleaned)
    assert UNSEEN_CHAR.search(cleaned) is None
    assert clean(cleaned) == cleaned
    cleaned.encode()


def test_ordinary_text_is_unchanged() -> None:
    for text in ("web-1", "Debian GNU/Linux 12 (bookworm)", "Übung 日本語 🚀", "Intel(R) Xeon(R) @ 2.20GHz"):
        assert clean(text) == text


@pytest.mark.holds("SAFETY-29", "S-16")
@pytest.mark.parametrize("char", sorted(set(BLANK)), ids=lambda char: f"U+{ord(char):04X}")
def test_invisible_characters_are_removed_from_names(char: str) -> None:
    """Two nodes would look alike."""
    assert clean(f"web{char}-1{char}") == "web-1"
    assert not is_visible(f"web{char}-1")
    assert re.fullmatch(rf"web\\[xuU]0*{ord(char):x}-1", visible(f"web{char}-1", 100))
    assert plain(f"web{char}-1") == visible(f"web{char}-1", 100)
    assert label(f"web{char}-1")[:-7] == "web_-1"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("\u26a0\ufe0f \U0001f469\u200d\U0001f4bb \U0001f469\U0001f3fd\u200d\u2764\ufe0f\u200d\U0001f468", ""),
        ("web\u200d1", "U+200D"),
        ("\U0001f469\u200d1", "U+200D"),
        ("\U0001f469\u200d\u200d\U0001f4bb", "U+200D"),
        ("web\ufe0f", "U+FE0F"),
        ("\u26a0\ufe0f\ufe0f", "U+FE0F"),
        ("\u26a0\u200b", "U+200B"),
    ],
)
def test_a_joiner_is_invisible_except_inside_an_emoji(text: str, code: str) -> None:
    assert first_invisible(text) == code


def test_every_invisible_formatting_character_is_known() -> None:
    """Those of category Cf that show something, as the signs of Arabic numbers do, stay."""
    shown = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001343f]")
    formats = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert [f"{ord(char):04x}" for char in formats if not UNSEEN_CHAR.match(char) and not shown.match(char)] == []


def test_other_unicode_spaces_become_ascii_spaces() -> None:
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) == "Zs":
            assert clean(f"web{chr(code)}1") == "web 1"
