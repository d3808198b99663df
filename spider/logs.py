"""Structured logging for machines and people: each line has an event name and fields."""

import contextvars
import json
import logging
import sys
import time
from typing import Any, Dict, TextIO, Tuple

_bound: "contextvars.ContextVar[Tuple[Tuple[str, Any], ...]]" = contextvars.ContextVar("bound", default=())
_CONTROL = {code: f"\\x{code:02x}" for code in [*range(32), *range(127, 160)]}
_CONTROL_IN_TRACEBACK = {code: text for code, text in _CONTROL.items() if code != ord("\n")}


def bind(**fields: Any) -> None:
    """Add these fields to every later line of this task."""
    merged = dict(_bound.get())
    merged.update(fields)
    _bound.set(tuple(merged.items()))


def event(log: logging.Logger, name: str, level: int = logging.INFO, exc_info: bool = False, **fields: Any) -> None:
    """Log the event `name` (stable, snake_case) with these fields."""
    if log.isEnabledFor(level):
        merged: Dict[str, Any] = dict(_bound.get())
        merged.update(fields)
        log.log(level, name, extra={"facts": merged}, exc_info=exc_info)


class JsonFormatter(logging.Formatter):
    """One JSON object a line. A field with a name of the line itself, such as `at`, gets the prefix `fact_`."""

    def format(self, record: logging.LogRecord) -> str:
        line: Dict[str, Any] = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
        }
        line.update({f"fact_{name}" if name in line else name: value for name, value in getattr(record, "facts", {}).items()})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=True)


class TextFormatter(logging.Formatter):
    """For a terminal: time, event, fields. Control characters are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = "".join(f" {key}={value}" for key, value in getattr(record, "facts", {}).items())
        line = f"{at} {record.levelname.lower():7} {record.getMessage()}{fields}".translate(_CONTROL)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info).translate(_CONTROL_IN_TRACEBACK)
        return line


def set_up(stream: "TextIO | None" = None, style: str = "auto", level: int = logging.INFO) -> None:
    """Send this program's log to `stream` (default: standard output).

    Args: style: json, text or auto (text on a terminal).
    """
    target = sys.stdout if stream is None else stream
    handler = logging.StreamHandler(target)
    as_text = style == "text" or (style == "auto" and target.isatty())
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
