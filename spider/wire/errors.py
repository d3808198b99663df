"""What can go wrong in a session."""


class ProtocolError(Exception):
    """The peer sent what the protocol does not allow; `close_code` says how to end the session."""

    def __init__(self, reason: str, close_code: int = 4400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.close_code = close_code


class NotProven(ProtocolError):
    """The peer did not prove that it holds the session key."""


class PeerSilent(ProtocolError):
    """The peer has said nothing for longer than `SILENCE_LIMIT_S`."""


class LocalProtocolError(Exception):
    """This end used the session wrongly: a fault of this program, never of the peer."""


class SessionOver(LocalProtocolError):
    """Nothing more can be said in this session; the next one may take it."""
