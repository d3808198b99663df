"""A hub on another machine: its URL, a token, and the certificates or keys that are trusted."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator

import aiohttp

from groundcontrol.cli.client import UNTRUSTED, CliError, shown
from groundcontrol.cli.transport import PIECE_BYTES, TIMEOUT_S, Answer, Request
from spider.wire.certificates import PIN_BYTES, is_pinned, public_key_info, read_pins, untrusted

_TIMEOUT = aiohttp.ClientTimeout(total=TIMEOUT_S)
_STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S, sock_read=TIMEOUT_S)
"""The timeouts for an answer of any length: for the connection, and for each read of data."""


class RemoteTransport:
    """Sends requests over HTTPS (HTTP to this machine). It needs an event loop."""

    def __init__(self, url: str, token: str, ca: str | None, pin: str | None) -> None:
        self._url = url
        connector = aiohttp.TCPConnector(ssl=_trusted(ca, pin))
        self._http = aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {token}"}, connector=connector)

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session with its token and its trust."""
        return self._http

    async def ask(self, request: Request) -> Answer:
        async for answer in self._answers(request, _TIMEOUT, whole=True):
            return answer
        raise AssertionError("an answer has a status")

    def pieces(self, request: Request) -> AsyncIterator[Answer]:
        return self._answers(request, _STREAM_TIMEOUT, whole=False)

    async def close(self) -> None:
        await self._http.close()

    async def _answers(self, request: Request, limits: aiohttp.ClientTimeout, *, whole: bool) -> AsyncIterator[Answer]:
        try:
            async with self._http.request(
                request.method, request.path, params=request.params, data=request.body, headers=request.headers, timeout=limits
            ) as answer:
                yield Answer(answer.status, await answer.read() if whole else b"")
                if not whole:
                    async for piece in answer.content.iter_chunked(PIECE_BYTES):
                        yield Answer(answer.status, piece)
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch) as exc:
            raise await self._untrusted(exc) from exc
        except aiohttp.ClientError as exc:
            raise ConnectionError(str(exc) or type(exc).__name__) from exc

    async def _untrusted(self, exc: aiohttp.ClientConnectorCertificateError | aiohttp.ServerFingerprintMismatch) -> CliError:
        """The error for a certificate that is not trusted. To describe the certificate, this opens one more connection, without a request."""
        if isinstance(exc, aiohttp.ServerFingerprintMismatch):
            return CliError(f"the key of {self._url} has the SHA-256 {exc.got.hex()}, which is not one of --tls-pin", UNTRUSTED)
        error = exc.certificate_error
        why = str(getattr(error, "verify_message", "") or error)
        try:
            pem = await asyncio.to_thread(ssl.get_server_certificate, (exc.host, exc.port or 443), timeout=TIMEOUT_S)
            message = untrusted(ssl.PEM_cert_to_DER_cert(pem), why)
        except (OSError, ValueError):
            message = f"its certificate is not trusted here: {why}"
        remedy = "if it is your hub's, name its authority with --tls-ca FILE, or the SHA-256 of its key with --tls-pin"
        return CliError(f"{self._url}: {shown(message)}; {remedy}", UNTRUSTED)


class _KeyPin(aiohttp.Fingerprint):
    """Trusts public keys instead of authorities. aiohttp calls it once the connection is open, before any data is sent."""

    def __init__(self, pins: bytes) -> None:
        super().__init__(pins[:PIN_BYTES])
        self._pins = pins

    def check(self, transport: asyncio.Transport) -> None:
        """Raises: ServerFingerprintMismatch: the server has another key."""
        connection = transport.get_extra_info("ssl_object")
        if connection is None:
            return  # http:// to this machine
        certificate = connection.getpeercert(binary_form=True) or b""
        host, port = transport.get_extra_info("peername")[:2]
        try:
            if is_pinned(certificate, self._pins):
                return
            seen = hashlib.sha256(public_key_info(certificate)).digest()
        except ValueError:
            seen = b""
        raise aiohttp.ServerFingerprintMismatch(self._pins, seen, host, port)


def _trusted(ca: str | None, pin: str | None) -> ssl.SSLContext | aiohttp.Fingerprint | bool:
    """The certificates or keys that the hub's certificate is compared with; True: the authorities that this system trusts.

    Raises: CliError: they cannot be read.
    """
    if pin is not None:
        try:
            return _KeyPin(read_pins(pin.replace(":", "").lower()))
        except ValueError as exc:
            raise CliError(f"--tls-pin: {exc}") from exc
    if ca is not None:
        try:
            return ssl.create_default_context(cafile=ca)
        except OSError as exc:  # ssl's errors are subclasses of this one
            raise CliError(f"--tls-ca: {ca} cannot be used: {exc.strerror or exc}") from exc
    return True
