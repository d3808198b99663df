"""Log-ins on their way through a provider. They are in memory: a restart of the hub costs those who are on their way one more click."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final, NamedTuple

from groundcontrol.access.oidc.errors import OidcFlowOver
from groundcontrol.access.oidc.model import Purpose
from groundcontrol.core.errors import TooManyRequests
from groundcontrol.core.ids import SessionId, UserId
from spider.clock import Clock

LIFE_S: Final = 600.0
MOST_FLOWS: Final = 20_000
MOST_OF_ADDRESS: Final = 50
MOST_OF_USER: Final = 10


class Flow(NamedTuple):
    """One log-in on its way."""

    state: str
    nonce: str
    verifier: str
    binder_hash: bytes
    """SHA-256 of the cookie of the browser that began, and alone may end it."""
    provider: str
    """The id of the provider."""
    provider_version: int
    purpose: Purpose
    return_to: str
    address_key: str
    started_at: float
    """Unix seconds."""
    begun: float
    """Monotonic."""
    session: SessionId | None = None
    """The session that asks for a link or a step-up."""
    user: UserId | None = None


class Flows:
    """The open flows. Each can be taken once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, Flow] = {}
        """Roughly in the order of their beginnings."""

    def begin(
        self, provider: str, version: int, purpose: Purpose, return_to: str, address_key: str,
        session: SessionId | None = None, user: UserId | None = None,
    ) -> tuple[Flow, str]:  # fmt: skip
        """Returns: the flow, and the cookie that binds it to the browser.

        Raises: TooManyRequests: too many are open, from this address, of this user or of all. Nobody's open flow ends for a new one.
        """
        self._forget()
        same = [flow.begun for flow in self._open.values() if flow.address_key == address_key]
        own = [flow.begun for flow in self._open.values() if user is not None and flow.user == user]
        if len(same) >= MOST_OF_ADDRESS or len(own) >= MOST_OF_USER or len(self._open) >= MOST_FLOWS:
            first = min(
                own if len(own) >= MOST_OF_USER else same if len(same) >= MOST_OF_ADDRESS else (f.begun for f in self._open.values())
            )
            wait_s = int(first + LIFE_S - self._clock.monotonic()) + 1
            raise TooManyRequests(
                "too many log-ins through a provider are under way: finish one of them, or try again later", retry_after_s=wait_s
            )
        binder = secrets.token_urlsafe(32)
        flow = Flow(
            state=secrets.token_urlsafe(32), nonce=secrets.token_urlsafe(32), verifier=secrets.token_urlsafe(48),
            binder_hash=_hash(binder), provider=provider, provider_version=version, purpose=purpose, return_to=return_to,
            address_key=address_key, started_at=self._clock.now(), begun=self._clock.monotonic(), session=session, user=user,
        )  # fmt: skip
        self._open[flow.state] = flow
        return flow, binder

    def take(self, state: str, binder: str) -> Flow:
        """Take a flow out. Only the browser that began it can, and only once.

        Raises: OidcFlowOver: there is no such flow, or it is over, or another browser began it.
        """
        self._forget()
        flow = self._open.get(state)
        if flow is None or not hmac.compare_digest(flow.binder_hash, _hash(binder)):
            raise OidcFlowOver(
                "this log-in is over, was finished already, or began in another browser: start it again from the log-in page"
            )
        del self._open[state]
        return flow

    def renew(self, flow: Flow) -> Flow:
        """Open a flow that was taken once more, under another state and until its first end, for a code of the second factor."""
        again = flow._replace(state=secrets.token_urlsafe(32))
        self._open = {again.state: again, **self._open}  # it is among the oldest
        return again

    def is_open(self, state: str) -> bool:
        return state in self._open

    def end_of_provider(self, provider: str) -> None:
        """End the flows of a provider that was changed."""
        self._open = {state: flow for state, flow in self._open.items() if flow.provider != provider}

    def _forget(self) -> None:
        since = self._clock.monotonic() - LIFE_S
        for state in [state for state, flow in self._open.items() if flow.begun <= since]:
            del self._open[state]


def challenge_of(verifier: str) -> str:
    """The PKCE challenge (S256) of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
