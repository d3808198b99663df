"""Decides to which servers this hub may deploy."""

from __future__ import annotations

from typing import Final, Protocol

from groundcontrol.core.addresses import is_address, is_forbidden, is_loopback, is_own
from groundcontrol.deployments.errors import TargetNotAllowed
from majortom.errors import MESSAGES
from majortom.ssh.dns import addresses_of

RESOLVE_LIMIT_S: Final = 5.0
NO_SERVER: Final = "this kind of address names no server"
UNKNOWN_TO_SERVERS: Final = "it is another machine, and other servers cannot reach this hub yet: start the hub with --lan, or behind a TLS proxy with --server-url wss://…/ws"


class HubAddress(Protocol):
    """The addresses of this hub (`config.Config`). They decide which servers it may deploy to."""

    @property
    def node_url(self) -> str: ...
    def node_url_at(self, host: str) -> str: ...
    @property
    def server_url(self) -> str | None: ...
    @property
    def loopback_only(self) -> bool: ...
    @property
    def tls_pin(self) -> str | None: ...


def refusal(hub: HubAddress, address: str) -> str | None:
    """Why a deployment to this IP address is refused; None: it is allowed."""
    if is_forbidden(address):
        return NO_SERVER
    if is_loopback(address) and not hub.loopback_only:
        return "loopback addresses are allowed only while Ground Control itself listens on loopback only (--bind 127.0.0.1)"
    if hub.server_url is None and not is_own(address):
        return UNKNOWN_TO_SERVERS
    return None


def refused_unresolved(hub: HubAddress, host: str, jump: str | None) -> tuple[str, str] | None:
    """The field and the reason of a refusal that needs no DNS; None: not refused, or it depends on DNS."""
    for field, server in (("jump", jump), ("host", host)):
        if server is not None and is_address(server) and (why := refusal(hub, server)) is not None:
            return field, why
    if jump is not None and not is_address(host) and hub.server_url is None:
        return "host", UNKNOWN_TO_SERVERS
    return None


async def check_target(hub: HubAddress, host: str, jump: str | None = None) -> None:
    """Refuse a target before its deployment begins. A name that does not resolve fails later, in the deployment.

    Args:   jump: the jump host. A name behind it is resolved there, so the hub does not check it.
    Raises: TargetNotAllowed.
    """
    if jump is not None:
        await check_target(hub, jump)
        if not is_address(host):
            if hub.server_url is None:
                raise TargetNotAllowed(MESSAGES["target_not_allowed"].format(host=host, why=UNKNOWN_TO_SERVERS), field="host")
            return
    try:
        found = await addresses_of(host, RESOLVE_LIMIT_S)
    except (OSError, UnicodeError, TimeoutError):
        return
    for address in found:
        why = refusal(hub, address)
        if why is not None:
            raise TargetNotAllowed(MESSAGES["target_not_allowed"].format(host=host, why=why), field="host")
