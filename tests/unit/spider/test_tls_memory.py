"""What a TLS session to the hub keeps in memory."""

from __future__ import annotations

import ssl
from asyncio import sslproto

from spider.websocket import TLS_READ_BYTES, _tls_context


def test_asyncio_reads_tls_by_small_pieces() -> None:
    """A private attribute: should a Python not have it any more, this says so, and nothing but memory is lost."""
    before = sslproto.SSLProtocol.max_size
    try:
        _tls_context(None)
        assert sslproto.SSLProtocol.max_size == TLS_READ_BYTES
    finally:
        sslproto.SSLProtocol.max_size = before


def test_a_pinned_hub_needs_no_authorities() -> None:
    pinned, signed = _tls_context(b"x" * 32), _tls_context(None)
    assert pinned.cert_store_stats()["x509_ca"] == 0
    assert (pinned.verify_mode, pinned.check_hostname) == (ssl.CERT_NONE, False)
    assert (signed.verify_mode, signed.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert pinned.minimum_version == signed.minimum_version == ssl.TLSVersion.TLSv1_2
