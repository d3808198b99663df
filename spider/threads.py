"""Blocking work beside the event loop, in a daemon thread: a disk or program that hangs keeps nobody from leaving."""

import asyncio
import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, TypeVar

T = TypeVar("T")


class ThreadUnavailable(OSError):
    """The system starts no more threads for this user now; what should have run was not begun."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "no thread can be started")


class Threads(ThreadPoolExecutor):
    """A few threads for short work. Where none can be started now, those that there are do it; without one, `submit` raises NoThread."""

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except RuntimeError as error:
            if not self._threads:
                raise ThreadUnavailable from error


async def run_in_thread(work: Callable[[], T], name: str) -> T:
    """Run `work` in a thread of its own and wait for what it returns or raises.

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
        except Exception as error:  # it belongs to whoever waits
            failure = error
            outcome: Callable[[], None] = lambda: done.set_exception(failure)  # noqa: E731
        else:
            outcome = lambda: done.set_result(value)  # noqa: E731
        try:
            loop.call_soon_threadsafe(settle, outcome)
        except RuntimeError:  # the loop was closed meanwhile: nobody waits any more
            return

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as error:
        raise ThreadUnavailable from error
    return await done
