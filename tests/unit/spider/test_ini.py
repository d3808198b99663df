"""INI files, parsed as Python's configparser does, without keeping it in memory."""

from __future__ import annotations

import pytest

from spider.ini_reader import read_ini


def test_sections_of_keys_and_values() -> None:
    text = "# a comment\n[hub]\nURL = wss://h:1/a=b\n\n[node]\nname=a b # c\nrate = 5%\n[DEFAULT]\nx = 1\n"
    assert read_ini(text) == {"hub": {"url": "wss://h:1/a=b"}, "node": {"name": "a b # c", "rate": "5%"}, "DEFAULT": {"x": "1"}}


@pytest.mark.parametrize("text", ["x = 1", "[a]\n[a]", "[a]\nx = 1\nX = 2", "[a]\nx", "[a", "[a]\n= 1"])
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="not an INI file") as told:
        read_ini(text)
    assert "\n" not in str(told.value)
