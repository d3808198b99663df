"""A WebSocket client (RFC 6455) on asyncio streams: binary messages, no extensions, everything bounded.

The handshake is bounded in size and time. TLS is always verified, by the authorities that this host trusts or by a pinned public key. A frame
that a server must not send ends the connection with the code that the RFC names.
"""

import asyncio
import base64
import contextlib
import os
import socket
import ssl
from typing import Dict, Optional, Tuple

from spider.config import Proxy, Url
from spider.timeouts import wait_for
from spider.wire.certificates import is_pinned, untrusted
from spider.wire.proof import constant_time_equal
from spider.wire.rfc6455 import (
    CODE_ABNORMAL,
    CODE_NO_STATUS,
    CODE_NORMAL,
    OP_BINARY,
    OP_CLOSE,
    OP_PING,
    OP_PONG,
    FrameReader,
    Violation,
    accept_for,
    build_frame,
    close_payload,
    read_close,
)

CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
MAX_HEAD_BYTES = 16 * 1024
_READ_BYTES = 64 * 1024


class WebSocketError(Exception):
    """The connection cannot be established or used; the text is for people."""


class HandshakeRefused(WebSocketError):
    """The server's answer to the upgrade request is not acceptable.

    `status` is the HTTP status of the answer; 0: it has none. `retry_after_s` is its Retry-After in seconds; None: it names no seconds.
    """

    def __init__(self, reason: str, status: int = 0, retry_after_s: Optional[float] = None) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after_s = retry_after_s


class SocketClosed(WebSocketError):
    """The connection is closed. `code` and `reason` are those of the side that closed it; the code is 1006 if the connection was cut."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"closed with {code}" + (f" ({reason})" if reason else ""))
        self.code = code
        self.reason = reason


# -- the handshake ---------------------------------------------------------------------------------


def build_request(url: Url, key: bytes, subprotocol: str, agent: str) -> bytes:
    """The upgrade request, which offers no extension. `key` is the base64 text of 16 random bytes; `agent` is the User-Agent."""
    lines = (
        f"GET {url.path} HTTP/1.1",
        f"Host: {url.authority}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key.decode('ascii')}",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {subprotocol}",
        f"User-Agent: {agent}",
        "",
        "",
    )
    return "\r\n".join(lines).encode("ascii")


def check_response(head: bytes, key: bytes, subprotocol: str) -> None:
    """Check the server's answer to the request.

    Args:   head: everything up to the empty line. key, subprotocol: those of the request.
    Raises: HandshakeRefused: the answer is not the upgrade that was asked for.
    """
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or len(words[1]) != 3 or not (words[1].isascii() and words[1].isdigit()):
        raise HandshakeRefused("the server did not answer with HTTP/1.1")
    status = int(words[1])
    headers: Dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if line and (not colon or not name or name != name.strip()):
            raise HandshakeRefused("a broken HTTP header", status)
        name = name.lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    if status != 101:
        raise HandshakeRefused(f"the server answered {status} and no WebSocket", status, _seconds(headers.get("retry-after", "")))
    upgrades = [token.strip().lower() for token in headers.get("connection", "").split(",")]
    if headers.get("upgrade", "").lower() != "websocket" or "upgrade" not in upgrades:
        raise HandshakeRefused("the server did not switch to WebSocket", status)
    if not constant_time_equal(headers.get("sec-websocket-accept", "").encode("latin-1"), accept_for(key).encode("latin-1")):
        raise HandshakeRefused("the server's answer does not belong to this handshake", status)
    if headers.get("sec-websocket-extensions"):
        raise HandshakeRefused("the server chose an extension that was not offered", status)
    if headers.get("sec-websocket-protocol") != subprotocol:
        raise HandshakeRefused(f"the server does not support {subprotocol}", status)


def _seconds(text: str) -> Optional[float]:
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None


# -- TLS -------------------------------------------------------------------------------------------


def _tls_context(pin: Optional[bytes]) -> ssl.SSLContext:
    # With a pinned key no authorities are loaded, because they would take 0.9 MB of the agent.
    context = ssl.create_default_context() if pin is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if pin is not None:  # no authority has signed this hub's certificate: `_check_pin` checks its key right after the handshake
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _check_pin(writer: asyncio.StreamWriter, pin: bytes) -> None:
    try:
        pinned = is_pinned(_certificate(writer), pin)
    except ValueError as error:
        raise WebSocketError("the hub's certificate cannot be read") from error
    if not pinned:
        raise WebSocketError("the hub's key is not among those that are pinned in spider.conf")


def _certificate(writer: asyncio.StreamWriter) -> bytes:
    connection = writer.get_extra_info("ssl_object")
    certificate = connection.getpeercert(binary_form=True) if connection is not None else None
    return certificate or b""


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close the connection immediately, even if it is closing already."""
    with contextlib.suppress(AttributeError):  # of Python 3.11.0 to 3.11.2 if TLS was closed twice; asyncio then closes it within 30 s
        writer.transport.abort()


async def _distrust(url: Url, proxy: Optional[Proxy], error: OSError) -> WebSocketError:
    """Make the error about an untrusted certificate. To name the issuer, fetch the certificate once more over a connection that sends no
    data."""
    why = str(getattr(error, "verify_message", "") or error)
    try:
        _, writer = await _open(url, proxy, _tls_context(b""))
    except (OSError, ValueError, WebSocketError):
        return WebSocketError(f"{url.authority} cannot be reached: its certificate is not trusted here: {why}")
    message = untrusted(_certificate(writer), why)
    writer.transport.abort()
    return WebSocketError(
        f"{url.authority} cannot be reached: {message}. If this is the hub's, add its authority to those that this server trusts,"
        " or pin its key: tls_pin in spider.conf, --tls-pin of the hub"
    )


# -- the connection --------------------------------------------------------------------------------


class WebSocket:
    """An open connection. One task receives; any task may send."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = FrameReader()
        self._drains = asyncio.Lock()  # before Python 3.10 two tasks must not drain at the same time
        self._close_sent = False
        self._over: Optional[SocketClosed] = None

    def write(self, data: bytes) -> None:
        """Queue one binary message; `drain` waits until there is room for more.

        Raises: SocketClosed: the connection is closed, or this side has begun to close it.
        """
        if self._over is not None or self._close_sent:
            raise self._over or SocketClosed(CODE_ABNORMAL)
        self._writer.write(build_frame(OP_BINARY, data))

    async def drain(self) -> None:
        """Wait while too much queued data is unsent.

        Raises: SocketClosed: the connection failed.
        """
        try:
            async with self._drains:
                await self._writer.drain()
        except OSError as error:
            raise self._end(CODE_ABNORMAL, str(error)) from error

    async def send(self, data: bytes) -> None:
        """Send one binary message: `write` and `drain`.

        Raises: SocketClosed.
        """
        self.write(data)
        await self.drain()

    async def receive(self) -> bytes:
        """Wait for the next binary message. Pings are answered meanwhile.

        Raises: SocketClosed: the server closed the connection, it was cut, or the server sent a forbidden frame.
        """
        while self._over is None:
            message = await self._step()
            if message is not None:
                return message
        raise self._over

    async def _step(self) -> Optional[bytes]:
        try:
            frame = self._frames.next()
            if frame is None:
                data = await self._reader.read(_READ_BYTES)
                if not data:
                    raise self._end(CODE_ABNORMAL, "the connection was cut")
                self._frames.feed(data)
            elif frame.opcode == OP_BINARY:
                return frame.data
            elif frame.opcode == OP_PING:
                self._control(OP_PONG, frame.data)
                await self.drain()
            elif frame.opcode == OP_CLOSE:
                code, reason = read_close(frame.data)
                self._send_close(CODE_NORMAL if code == CODE_NO_STATUS else code, "")
                raise self._end(code, reason)
        except Violation as error:
            self._send_close(error.code, str(error))
            raise self._end(error.code, str(error)) from error
        except OSError as error:
            raise self._end(CODE_ABNORMAL, str(error)) from error
        return None

    async def close(self, code: int = CODE_NORMAL, reason: str = "", timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Close the connection with a close frame; takes at most twice `timeout_s`. Network errors are not raised."""
        self._send_close(code, reason)
        if self._over is None:
            self._over = SocketClosed(code, reason)
            try:
                await wait_for(timeout_s, self._until_closed())
            except (asyncio.TimeoutError, OSError, Violation):  # an answer of the server is not required
                _abort(self._writer)
        self._writer.close()
        try:
            await wait_for(timeout_s, self._writer.wait_closed())
        except (asyncio.TimeoutError, OSError):
            _abort(self._writer)

    def drop(self) -> None:
        """Close the connection without a close frame."""
        _abort(self._writer)

    async def _until_closed(self) -> None:
        while True:
            frame = self._frames.next()
            if frame is None:
                data = await self._reader.read(_READ_BYTES)
                if not data:
                    return
                self._frames.feed(data)
            elif frame.opcode == OP_CLOSE:
                return

    def _control(self, opcode: int, data: bytes) -> None:
        if not self._close_sent:
            self._writer.write(build_frame(opcode, data))

    def _send_close(self, code: int, reason: str) -> None:
        if not self._close_sent:
            self._control(OP_CLOSE, close_payload(code, reason))
            self._close_sent = True

    def _end(self, code: int, reason: str) -> SocketClosed:
        if self._over is None:
            self._over = SocketClosed(code, reason)
        return self._over


async def connect(
    url: Url, subprotocol: str, agent: str, pin: Optional[bytes] = None, proxy: Optional[Proxy] = None, timeout_s: float = CONNECT_TIMEOUT_S
) -> WebSocket:
    """Connect to the hub, through an HTTP proxy if there is one. With TLS, verify the hub's certificate. Then run the handshake.

    Args:   agent: the User-Agent. pin: SHA-256 of the hub's public key; of several allowed keys: concatenated. None: the certificate must be
            signed by an authority that this host trusts. timeout_s: limit of the whole call.
    Raises: HandshakeRefused: the server's answer is not acceptable; WebSocketError: the hub was not reached, not verified or too slow.
    """
    try:
        return await wait_for(timeout_s, _connect(url, subprotocol, agent, pin, proxy), drop=WebSocket.drop)
    except asyncio.TimeoutError as error:
        raise WebSocketError(f"{url.authority} did not answer within {timeout_s:.0f} s") from error


async def _tunnel(proxy: Proxy, url: Url) -> socket.socket:
    """A connection to the hub through an HTTP proxy (CONNECT). The proxy resolves the hub's name.

    Raises: OSError, WebSocketError.
    """
    loop = asyncio.get_event_loop()
    where = f"the proxy {proxy.host}:{proxy.port}"
    failed = OSError(f"{where} has no address")
    for family, kind, number, _, address in await loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, number)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
            host = f"[{url.host}]" if ":" in url.host else url.host
            await loop.sock_sendall(sock, f"CONNECT {host}:{url.port} HTTP/1.1\r\nHost: {host}:{url.port}\r\n\r\n".encode("ascii"))
            head = b""
            while b"\r\n\r\n" not in head:
                data = await loop.sock_recv(sock, 1024)
                head += data
                if not data or len(head) > MAX_HEAD_BYTES:
                    raise WebSocketError(f"{where} closed the connection before it answered")
            words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
            if len(words) < 2 or not words[0].startswith("HTTP/1.") or not (words[1].isascii() and words[1].isdigit()):
                raise WebSocketError(f"the server at {where[4:]} is not an HTTP proxy")
            if words[1].startswith("2") and not head.endswith(b"\r\n\r\n"):
                raise WebSocketError(f"{where} sent data before the hub was asked for any")
            if not words[1].startswith("2"):
                why = "asks for a password, which is not supported" if words[1] == "407" else f"answered {words[1][:3]}"
                raise WebSocketError(f"{where} {why}")
        except OSError as error:
            sock.close()
            failed = OSError(f"{where}: {error}")
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed


async def _open(url: Url, proxy: Optional[Proxy], context: Optional[ssl.SSLContext]) -> Tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    name = url.host if context else None
    if proxy is not None:
        return await asyncio.open_connection(sock=await _tunnel(proxy, url), ssl=context, server_hostname=name, limit=MAX_HEAD_BYTES)
    return await asyncio.open_connection(
        url.host, url.port, ssl=context, server_hostname=name, limit=MAX_HEAD_BYTES, happy_eyeballs_delay=0.25
    )


async def _connect(url: Url, subprotocol: str, agent: str, pin: Optional[bytes], proxy: Optional[Proxy]) -> WebSocket:
    context = _tls_context(pin) if url.secure else None
    try:
        reader, writer = await _open(url, proxy, context)
    except (OSError, ValueError) as error:  # ssl's errors are OSErrors; a name that cannot be encoded is a ValueError
        if isinstance(error, OSError) and getattr(error, "verify_code", None) is not None:
            raise await _distrust(url, proxy, error) from error
        raise WebSocketError(f"{url.authority} cannot be reached: {error}") from error
    try:
        if pin is not None and context is not None:
            _check_pin(writer, pin)
        key = base64.b64encode(os.urandom(16))
        writer.write(build_request(url, key, subprotocol, agent))
        head = await reader.readuntil(b"\r\n\r\n")
        check_response(head[:-4], key, subprotocol)
    except BaseException as error:
        writer.transport.abort()
        if isinstance(error, asyncio.LimitOverrunError):
            raise HandshakeRefused("the server's answer is too long to be one") from error
        if isinstance(error, (asyncio.IncompleteReadError, OSError)):
            raise WebSocketError(f"{url.authority} closed the connection before it answered") from error
        raise
    return WebSocket(reader, writer)
