"""Writes a value with its unit for people."""

from __future__ import annotations

from typing import Final

_BYTES: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_SPANS: Final = ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def value_text(value: float, unit: str) -> str:
    """Such as `93 %`, `1.2 GB`, `12 minutes` or `71 °C`. Other units follow the number unchanged."""
    match unit:
        case "percent":
            return f"{_short(value)} %"
        case "bytes" | "bytes/s":
            return _bytes(value) + ("/s" if unit == "bytes/s" else "")
        case "seconds":
            return _span(value)
        case "celsius":
            return f"{_short(value)} °C"
        case "flag" | "":
            return _short(value)
        case _:
            return f"{_short(value)} {unit}"


def _short(value: float) -> str:
    """A number of 100 or more, or a whole one, without decimals; any other with one."""
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.1f}"


def _bytes(value: float) -> str:
    size, step = value, 0
    while abs(size) >= 1000 and step < len(_BYTES) - 1:
        size, step = size / 1000, step + 1
    return f"{_short(size)} {_BYTES[step]}"


def _span(seconds: float) -> str:
    """A time in the largest unit of which it has two or more, by whole seconds: 10,799.6 s are 3 hours."""
    for length, unit in _SPANS:
        if round(seconds) >= 2 * length:
            return f"{int(round(seconds) // length)} {unit}"
    return f"{_short(max(0.0, seconds))} seconds"
