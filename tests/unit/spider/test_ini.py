"""INI files, as Python reads them, without what reads them staying."""

from __future__ import annotations

import subprocess
import sys

import pytest

from spider.ini import read_ini


def test_sections_of_keys_and_values() -> None:
    text = "# a comment\n[hub]\nURL = wss://h:1/a=b\n\n[node]\nname=a b # c\nrate = 5%\n[DEFAULT]\nx = 1\n"
    assert read_ini(text) == {"hub": {"url": "wss://h:1/a=b"}, "node": {"name": "a b # c", "rate": "5%"}, "DEFAULT": {"x": "1"}}


@pytest.mark.parametrize("text", ["x = 1", "[a]\n[a]", "[a]\nx = 1\nX = 2", "[a]\nx", "[a", "[a]\n= 1"])
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="not an INI file") as told:
        read_ini(text)
    assert "\n" not in str(told.value)


def test_the_parser_does_not_stay() -> None:
    program = "import sys; from spider.ini import read_ini; read_ini('[a]'); read_ini('[b]'); print('configparser' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
