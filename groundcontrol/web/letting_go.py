"""Errors that ended a connection, emptied: what they remember leads back to it, and the search for cycles is rare here (`lifecycle.collect_seldom`)."""

from __future__ import annotations

from aiohttp import web


def forget(error: BaseException | None) -> None:
    """Take the tracebacks from an error that was dealt with, from those that it holds and from those that led to it.

    A group that a `TaskGroup` raises is held by the very frame that its traceback leads to.
    """
    waiting = [error]
    while waiting:
        error = waiting.pop()
        if error is None:
            continue
        waiting += [error.__cause__, error.__context__]
        if isinstance(error, BaseExceptionGroup):
            waiting += error.exceptions
        error.__traceback__ = error.__cause__ = error.__context__ = None


def let_go(socket: web.WebSocketResponse) -> None:
    """Take from a closed socket what the error that ended it remembers, and the next ping.

    aiohttp keeps that error, and its traceback leads back to the socket. Who never answers a close would leave some 30 kB each time, its
    buffers and all that was known of its connection. And who does answer it would be pinged once more, by timers that hold the socket for
    half a minute and then each other.
    """
    socket._cancel_heartbeat()  # noqa: SLF001  # there is no public way to it
    forget(socket.exception())
