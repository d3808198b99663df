"""Periodic work of the hub."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

from groundcontrol.core.errors import StoreError
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)


async def every(seconds: float, work: Callable[[], Awaitable[None]], clock: Clock, name: str) -> NoReturn:
    """Do `work` with this pause after each round, until cancelled. The next round follows an error too.

    Args: name: of the work, in the log.
    """
    while True:
        try:
            await work()
        except StoreError as exc:
            event(log, f"{name}_store_failed", logging.WARNING, error=exc.code)
        except Exception:  # the boundary: a bug that one object hits must not end the hub
            event(log, f"{name}_failed", logging.ERROR, exc_info=True)
        await clock.sleep(seconds)
