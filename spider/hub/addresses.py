"""The addresses at which this node dials its hub: that of spider.conf, and newer ones that the hub has named.

A hub that terminates TLS itself names its address in each session (the message `HubAddress`). The new address replaces only the host of the URL. The
pinned key proves that the same hub answers there, so a node without a pin ignores the message. If the new address does not answer, the node
also dials the address of its last session and that of spider.conf. So the nodes find a hub that moves back.
"""

import asyncio
import logging
import os
import random
from typing import Optional, Tuple

from spider.clock import Clock
from spider.config import ADDRESS_FILE, Config, Url
from spider.files import create_anew, sync_folder
from spider.hub.websocket import WebSocketError, connect
from spider.logs import event
from spider.threads import run_in_thread
from spider.wire.frames import SUBPROTOCOL, HubAddress
from spider.wire.rfc6455 import CODE_NORMAL

FIRST_TRY_S = (2.0, 20.0)
"""A node first tries a new address after a random time between these seconds. So the nodes of a fleet do not all move at the same time."""
TRY_EVERY_S = 600.0
"""Interval of the attempts at a new address that did not answer."""

log = logging.getLogger(__name__)
# lifecycle.sh reads from Spider's last event `hub_…` or `session_…` whether there is a session. So no event here has such a name.


class HubAddresses:
    """The addresses of the hub, and the order in which to dial them."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._path = os.path.join(config.state_dir, ADDRESS_FILE)
        self._urls = config.urls
        self._first = self._urls[0]
        """The address to dial first: the last one that answered, or a new one that was not tried yet."""
        self._left_for: Optional[Url] = None
        """The address for which this node left a session. None: it left none, or that address has led to a session."""
        self._named = config.url
        """The address that the hub named last; before that, the one of spider.conf."""
        self._is_named = asyncio.Event()
        """Set once the hub has named its address in this session."""

    @property
    def follows(self) -> bool:
        """Whether this node follows its hub to another address."""
        return self._config.tls_pin is not None and self._config.url.secure

    def in_order(self) -> Tuple[Url, ...]:
        """All addresses, in the order to dial them."""
        return tuple(sorted(self._urls, key=lambda url: url != self._first))

    def opened(self, url: Url) -> None:
        """A session has begun at this address."""
        self._first = url
        self._left_for = None if url == self._left_for else self._left_for
        self._is_named.clear()

    def receive(self, message: HubAddress) -> None:
        """The hub has named its address. Only the first valid address of a session counts."""
        try:
            url = self._config.url.at(message.address)
        except ValueError as error:
            event(log, "address_refused", logging.WARNING, why=str(error))
            return
        if self.follows and not self._is_named.is_set():
            self._named = url
            self._is_named.set()

    async def move(self, dialled: Url) -> None:
        """Wait until the hub names its address, and store it. If this session uses another address, return once the hub answers at the named
        one. Otherwise never return.

        Args: dialled: the address of this session.
        """
        await self._is_named.wait()
        named = self._named
        if named != self._urls[0]:
            await self._store(named, dialled)
        if named == dialled:
            await asyncio.Event().wait()
        await self._clock.sleep(TRY_EVERY_S if named == self._left_for else random.uniform(*FIRST_TRY_S))
        level = logging.WARNING
        while not await self._answers(named, level):
            self._first, level = dialled, logging.DEBUG
            await self._clock.sleep(TRY_EVERY_S)
        self._first = self._left_for = named
        event(log, "address_changes", host=dialled.authority, to=named.authority)

    async def _answers(self, url: Url, level: int) -> bool:
        config = self._config
        try:
            socket = await connect(url, SUBPROTOCOL, f"stardust-spider/{config.version}", config.tls_pin, config.proxy)
        except WebSocketError as error:
            event(log, "address_not_reached", level, host=url.authority, why=str(error))
            return False
        await socket.close(CODE_NORMAL, "")
        return True

    async def _store(self, named: Url, dialled: Url) -> None:
        """Dial the named address first from now on, also after a restart; then the address of this session and that of spider.conf."""
        self._urls = tuple(dict.fromkeys((named, dialled, self._config.url)))
        self._first = named
        event(log, "address_named", host=named.authority)
        try:
            await run_in_thread(self._write, "the hub's address")
        except OSError as error:
            event(log, "address_not_kept", logging.WARNING, why=str(error))

    def _write(self) -> None:
        lines = [self._config.url.text, *(url.host for url in self._urls if url != self._config.url)]
        create_anew(self._path + ".new", "\n".join([*lines, ""]).encode("ascii"), 0o600)
        os.replace(self._path + ".new", self._path)
        sync_folder(os.path.dirname(self._path))
