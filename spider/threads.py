"""Runs blocking work in daemon threads. A disk or program that hangs then does not block the end of Spider."""

import asyncio
import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, TypeVar

T = TypeVar("T")


class ThreadUnavailable(OSError):
    """The system starts no more threads for this user at present; the work was not begun."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "no thread can be started")


class Threads(ThreadPoolExecutor):
    """A few threads for short work. If no new one can be started, the existing ones do the work. If there is none, `submit` raises
    ThreadUnavailable."""

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except RuntimeError as error:
            if not self._threads:
                raise ThreadUnavailable from error


async def run_in_thread(work: Callable[[], T], name: str) -> T:
    """Run `work` in a thread of its own and wait for its result or error.

    Raises: ThreadUnavailable: it was not begun.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: Callable[[], None]) -> None:
        if not done.done():
            result()

    def run() -> None:
        try:
            value = work()
        except Exception as error:  # the error belongs to the awaiting task
            failure = error
            outcome: Callable[[], None] = lambda: done.set_exception(failure)  # noqa: E731
        else:
            outcome = lambda: done.set_result(value)  # noqa: E731
        try:
            loop.call_soon_threadsafe(settle, outcome)
        except RuntimeError:  # the loop was closed meanwhile, so nothing awaits the result
            return

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as error:
        raise ThreadUnavailable from error
    return await done
