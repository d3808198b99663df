"""Reads INI files with Python's own parser."""

import configparser
from typing import Dict


def read_ini(text: str) -> Dict[str, Dict[str, str]]:
    """Read sections of `key = value` lines, without interpolation, default section or other delimiters.

    Raises: ValueError: not such a file, or a section or key occurs twice; the text says where, in one line.
    """
    parser = configparser.ConfigParser(
        interpolation=None, strict=True, delimiters=("=",), comment_prefixes=("#",), default_section="", empty_lines_in_values=False
    )
    try:
        parser.read_string(text)
    except (configparser.Error, ValueError) as error:
        raise ValueError("not an INI file: " + str(error).replace("\n", " ")) from error
    return {name: dict(parser[name]) for name in parser.sections()}
