"""A host on which no thread can be started for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_more_threads() -> Iterator[None]:
    """Each attempt fails as it does at the limit of tasks: a stack would have more room than a process can have."""
    threading.stack_size(1 << 46)
    try:
        yield
    finally:
        threading.stack_size(0)
