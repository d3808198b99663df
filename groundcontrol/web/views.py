"""The answer of `/healthz`."""

from __future__ import annotations

from typing import Literal

from groundcontrol.web.answer import Answer


class HealthView(Answer):
    status: Literal["ok", "draining", "failing"]
    version: str
    database: bool
