"""Reading a certificate's key and issuer at both ends, also from damaged or hostile ones."""

from __future__ import annotations

import contextlib
import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from spider.wire import certificates
from tests.support.certificates import Certificate


class _Sample:
    """Any certificate, of an issuer of this name and organisation."""

    def __init__(self, common: str = "x" * 60, organisation: str = "") -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")]
        parts += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)] if organisation else []
        parts += [x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else []
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(x509.Name(parts))
        builder = builder.public_key(key.public_key()).serial_number(1)
        made = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(1)).sign(key, hashes.SHA256())
        self.der = made.public_bytes(serialization.Encoding.DER)


_SAMPLE = _Sample()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder: Path = tmp_path_factory.mktemp("certificate")
    return Certificate(folder)


def test_the_public_key_is_found_in_a_certificate(certificate: Certificate) -> None:
    assert certificates.public_key_info(certificate.der) == certificate.spki


@given(st.binary(max_size=200), st.integers(0, 600), st.integers(0, 255))
def test_a_broken_certificate_raises_only_valueerror(junk: bytes, where: int, value: int) -> None:
    wrong = bytearray(_SAMPLE.der)
    wrong[where % len(wrong)] = value
    for data in (junk, bytes(wrong), _SAMPLE.der[:where]):
        for read in (certificates.public_key_info, certificates.issuer_of):
            with contextlib.suppress(ValueError):
                read(data)
        assert certificates.untrusted(data, "why").isprintable()


@pytest.mark.parametrize(
    ("common", "organisation", "shown"),
    [
        ("Example Root", "Example Ltd", "Example Root, Example Ltd"),
        ("Grüße", "", "Grüße"),
        ("", "Example Ltd", "Example Ltd"),
        ("", "", ""),
        ("a\x1b[31mb\nc\u202e", "", "a[31mbc"),
    ],
)
def test_the_issuer_is_shown_without_control_characters(common: str, organisation: str, shown: str) -> None:
    assert certificates.issuer_of(_Sample(common, organisation).der) == shown


def test_a_key_is_pinned_among_several(certificate: Certificate) -> None:
    for pins in (certificate.pin, bytes(32) + certificate.pin, certificate.pin + bytes(32)):
        assert certificates.is_pinned(certificate.der, pins)
    other = certificate.pin[:31] + bytes([certificate.pin[31] ^ 1])
    for pins in (b"", bytes(32), other, bytes(16) + certificate.pin + bytes(16)):
        assert not certificates.is_pinned(certificate.der, pins)


@pytest.mark.parametrize("count", [1, 2, certificates.MAX_PINS])
def test_pins_are_written_with_commas_between(count: int) -> None:
    assert certificates.read_pins(", ".join(["ab" * 32] * count)) == b"\xab" * 32 * count
    assert certificates.read_pins(",".join(["ab" * 32] * count)) == b"\xab" * 32 * count


@pytest.mark.parametrize(
    "text", ["", "ab" * 31, "AB" * 32, "ab" * 64, "ab" * 32 + ",", "zz" * 32, ",".join(["ab" * 32] * 5), "ab" * 32 + " " + "ab" * 32]
)
def test_malformed_pin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="64 hex digits"):
        certificates.read_pins(text)
