"""Errors of a session."""


class ProtocolError(Exception):
    """The peer sent what the protocol does not allow. `close_code` is the WebSocket code to close the session with."""

    def __init__(self, reason: str, close_code: int = 4400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.close_code = close_code


class NotProven(ProtocolError):
    """The peer did not prove that it holds the session key."""


class PeerSilent(ProtocolError):
    """The peer has sent nothing for longer than `SILENCE_LIMIT_S`."""


class LocalProtocolError(Exception):
    """This end used the session wrongly: an error of this program, never of the peer."""


class SessionOver(LocalProtocolError):
    """This session can send nothing more. The message may be sent in the next one."""
