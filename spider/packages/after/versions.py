"""Compares versions by the rules of dpkg, rpm and pacman. None of them is a text comparison."""

import itertools
import re
from typing import Tuple

_PARTS = re.compile(r"[0-9]+|[a-zA-Z]+|~|\^")
_SEGMENT = re.compile(r"[0-9]+|[a-zA-Z]+")
_WORD = re.compile(r"[a-zA-Z]")
_SEPARATORS = re.compile(r"\A[^0-9a-zA-Z]+")


def _sign(difference: int) -> int:
    return (difference > 0) - (difference < 0)


def _deb_order(character: str) -> int:
    if character == "~":
        return -1
    if character.isalpha():
        return ord(character)
    return ord(character) + 256


def _compare_deb_part(first: str, second: str) -> int:
    """Compare text and numbers in turn. `~` sorts before everything, even before the end of the text."""
    while first or second:
        text_1, text_2 = (re.match(r"[^0-9]*", part) for part in (first, second))
        assert text_1 is not None
        assert text_2 is not None
        for one, two in itertools.zip_longest(text_1.group(), text_2.group()):
            order = _sign((_deb_order(one) if one else 0) - (_deb_order(two) if two else 0))
            if order:
                return order
        first, second = first[text_1.end() :], second[text_2.end() :]
        number_1, number_2 = (re.match(r"[0-9]*", part) for part in (first, second))
        assert number_1 is not None
        assert number_2 is not None
        order = _compare_numbers(number_1.group(), number_2.group())
        if order:
            return order
        first, second = first[number_1.end() :], second[number_2.end() :]
    return 0


def _compare_numbers(first: str, second: str) -> int:
    """Compare numbers as text: a foreign version may have a million digits, and converting them would take minutes."""
    first, second = first.lstrip("0"), second.lstrip("0")
    return _sign(len(first) - len(second)) or (first > second) - (first < second)


def _split_epoch(version: str) -> Tuple[str, str]:
    epoch, colon, rest = version.partition(":")
    return (epoch, rest) if colon and epoch.isdigit() else ("0", version)


def compare_deb(first: str, second: str) -> int:
    """Compare two versions as dpkg does.

    Returns: -1, 0 or 1: the first is older, equal or newer.
    Source:  deb-version(7).
    """
    epoch_1, rest_1 = _split_epoch(first)
    epoch_2, rest_2 = _split_epoch(second)
    upstream_1, _, revision_1 = rest_1.rpartition("-") if "-" in rest_1 else (rest_1, "", "0")
    upstream_2, _, revision_2 = rest_2.rpartition("-") if "-" in rest_2 else (rest_2, "", "0")
    return _compare_numbers(epoch_1, epoch_2) or _compare_deb_part(upstream_1, upstream_2) or _compare_deb_part(revision_1, revision_2)


def compare_rpm_part(first: str, second: str) -> int:
    """Compare two versions or two releases as rpm does. `~` is older than the end of the text. `^` is newer than the end, but older than
    any other text.

    Returns: -1, 0 or 1.
    Source:  rpm-version(7).
    """
    parts_1, parts_2 = _PARTS.findall(first), _PARTS.findall(second)
    for one, two in itertools.zip_longest(parts_1, parts_2, fillvalue=""):
        if one == two:
            continue
        if "~" in (one, two):
            return -1 if one == "~" else 1
        if "^" in (one, two):
            return _caret(one, two)
        order = _compare_segments(one, two)
        if order:
            return order
    return 0


def _caret(one: str, two: str) -> int:
    if one == "^":
        return 1 if not two else -1
    return -1 if not one else 1


def _compare_segments(one: str, two: str) -> int:
    """Compare two parts. Any part is newer than an empty part, and a number is newer than text."""
    if not one or not two:
        return 1 if one else -1
    if one.isdigit() != two.isdigit():
        return 1 if one.isdigit() else -1
    return _compare_numbers(one, two) if one.isdigit() else (one > two) - (one < two)


def _split_evr(version: str) -> Tuple[str, str, str]:
    epoch, rest = _split_epoch(version)
    version, dash, release = rest.rpartition("-")
    return (epoch, version, release) if dash else (epoch, rest, "")


def compare_rpm(first: str, second: str) -> int:
    """Compare two `[epoch:]version[-release]` as rpm does. A missing release is older than any release.

    Returns: -1, 0 or 1.
    """
    epoch_1, version_1, release_1 = _split_evr(first)
    epoch_2, version_2, release_2 = _split_evr(second)
    return (
        _compare_numbers(epoch_1, epoch_2)
        or compare_rpm_part(version_1, version_2)
        or ("-" in first) - ("-" in second)
        or compare_rpm_part(release_1, release_2)
    )


def _compare_alpm_part(first: str, second: str) -> int:
    """Compare as pacman does, by the rules of an older rpm. `~` and `^` are separators, and additional text is older (1.0rc < 1.0)."""
    if first == second:
        return 0
    while first and second:
        one, two = _SEPARATORS.sub("", first, 1), _SEPARATORS.sub("", second, 1)
        gap_1, gap_2 = len(first) - len(one), len(second) - len(two)
        first, second = one, two
        if not one or not two:
            break
        if gap_1 != gap_2:
            return -1 if gap_1 < gap_2 else 1
        segment_1, segment_2 = _segment(one), _segment(two)
        order = _compare_segments(segment_1, segment_2)
        if order:
            return order
        first, second = one[len(segment_1) :], two[len(segment_2) :]
    if not first and not second:
        return 0
    return -1 if (not first and not _WORD.match(second)) or _WORD.match(first) else 1


def _segment(text: str) -> str:
    """The leading number or word of a text."""
    found = _SEGMENT.match(text)
    return found.group() if found else ""


def compare_alpm(first: str, second: str) -> int:
    """Compare two `[epoch:]version[-release]` as pacman's vercmp does. Releases count only if both have one.

    Returns: -1, 0 or 1.
    Source:  vercmp(8).
    """
    epoch_1, version_1, release_1 = _split_evr(first)
    epoch_2, version_2, release_2 = _split_evr(second)
    order = _compare_numbers(epoch_1, epoch_2) or _compare_alpm_part(version_1, version_2)
    if order or not ("-" in first and "-" in second):
        return order
    return _compare_alpm_part(release_1, release_2)
