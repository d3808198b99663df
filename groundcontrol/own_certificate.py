"""The certificate with which the hub ends TLS itself (`--lan`).

Its key is derived from the fleet key, so it is the same after a restore and on a hub that was built anew: nodes pin it, and they keep
knowing the hub. The key is never written anywhere. The certificate is kept in the data folder, because browsers remember it.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import os
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from groundcontrol.config import Config
from groundcontrol.core.errors import ConfigError
from groundcontrol.lan import HOW_TO_CHANGE, LOOPBACK_NAMES, is_own, keep_addresses, kept_addresses, write_private
from spider.wire import proof

FILE: Final = "lan-certificate.pem"
LIFETIME_S: Final = 800 * 86_400.0
"""Some systems refuse certificates of more than 825 days."""
RENEW_S: Final = 90 * 86_400.0
"""A start with less than this left issues it anew."""
BACKDATED_S: Final = 86_400.0
"""Clocks of browsers may be behind."""
WHY_BROWSERS_ASK: Final = "the browser asks once whether to trust this hub, because no authority has signed its certificate: go on only if it shows this fingerprint"
_PURPOSE: Final = b"stardust/v1/tls-key"
_GROUP_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256."""


class OwnCertificate(NamedTuple):
    """What identifies the hub to browsers and nodes; none of it is secret."""

    names: frozenset[str]
    """Addresses and host names, those of this machine alone among them."""
    fingerprint: str
    """SHA-256 of the certificate, 64 hex digits: browsers show it."""
    pin: str
    """SHA-256 of the public key, 64 hex digits: nodes, curl and `stardust --url` go by it. It outlives the certificate."""
    expires_at: float
    pem: bytes


def grouped(fingerprint: str) -> str:
    """A fingerprint to compare by eye: groups of four digits."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))


def private_key(fleet_key: bytes) -> ec.EllipticCurvePrivateKey:
    """The key of every certificate of this fleet's hub (FIPS 186-5, A.2.1: 128 bits more than needed, reduced)."""
    wide = proof.hkdf(fleet_key, _PURPOSE, length=48)
    return ec.derive_private_key(int.from_bytes(wide, "big") % (_GROUP_ORDER - 1) + 1, ec.SECP256R1())


def read_certificate(data_dir: Path) -> OwnCertificate | None:
    """The kept certificate; None: there is none, or it is damaged.

    Raises: ConfigError: it cannot be read.
    """
    path = data_dir / FILE
    try:
        return _described(x509.load_pem_x509_certificate(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError, ValueError, x509.ExtensionNotFound):
        return None
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}") from exc


def kept_or_issued(data_dir: Path, key: ec.EllipticCurvePrivateKey, addresses: Sequence[str], now: float) -> tuple[OwnCertificate, bool]:
    """The kept certificate if it is of this key, for these addresses and valid for long enough; else a new one, which is kept.

    Returns: the certificate, and whether it is new.
    Raises:  ConfigError: it cannot be read or written.
    """
    kept = read_certificate(data_dir)
    names = frozenset((*addresses, *LOOPBACK_NAMES))
    if kept is not None and kept.pin == _pin(key.public_key()) and kept.names == names and kept.expires_at - now > RENEW_S:
        return kept, False
    made = _described(_issue(key, addresses, now))
    try:
        write_private(data_dir / FILE, made.pem)
    except OSError as exc:
        raise ConfigError(f"{data_dir / FILE} cannot be written: {exc.strerror}") from exc
    return made, True


def server_context(certificate: OwnCertificate, key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
    """The TLS side of the hub. OpenSSL takes keys from files alone, so it gets one in memory, which no folder has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    plain = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = os.memfd_create("stardust-tls", os.MFD_CLOEXEC)
    try:
        os.write(file, plain + certificate.pem)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
    return context


class TlsEnd(NamedTuple):
    """All that a hub needs to end TLS itself."""

    config: Config
    """With the pin."""
    context: ssl.SSLContext
    notices: list[str]
    """For the console."""


def make_tls_end(config: Config, fleet_key: bytes, now: float) -> TlsEnd:
    """Fix the addresses, and take the certificate for them. This reads and writes files.

    Args:   config: its addresses are known (`Config.with_lan`).
    Raises: ConfigError.
    """
    addresses, before = config.lan or (), kept_addresses(config.data_dir)
    key = private_key(fleet_key)
    certificate, is_new = kept_or_issued(config.data_dir, key, addresses, now)
    if addresses != before:
        try:
            keep_addresses(config.data_dir, addresses)
        except OSError as exc:
            raise ConfigError(f"the addresses cannot be kept in {config.data_dir}: {exc.strerror}") from exc
    made = config.with_lan(addresses, certificate.pin)
    notices = [f"reached at {url}" for url in (made.origin, *sorted(made.origins - {made.origin, *_loopback_origins(made)}))]
    notices.append(f"certificate (SHA-256){', new' if is_new else ''}: {grouped(certificate.fingerprint)}")
    notices.append(WHY_BROWSERS_ASK)
    if before and set(before) - set(addresses):
        notices.append(f"no longer reached at {', '.join(sorted(set(before) - set(addresses)))}: {what_nodes_need(made.node_url)}")
    notices += [f"{one} is not an address of this machine now; {HOW_TO_CHANGE}" for one in addresses if not is_own(one)]
    return TlsEnd(made, server_context(certificate, key), notices)


def what_nodes_need(url: str) -> str:
    """What brings a node to a new address that the hub could not name to it."""
    return (
        "nodes that were connected since then have been told where to go; another one stays away until `stardust redeploy NODE`, or until"
        f" {url} stands as url in its /etc/stardust/spider.conf and stardust-spider was restarted; its pin stays right"
    )


def _issue(key: ec.EllipticCurvePrivateKey, addresses: Sequence[str], now: float) -> x509.Certificate:
    public = key.public_key()
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "Stardust"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, addresses[0][:64])]
    )
    begins, ends = (datetime.datetime.fromtimestamp(at, datetime.UTC) for at in (now - BACKDATED_S, now + LIFETIME_S))
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([_general_name(one) for one in (*addresses, *LOOPBACK_NAMES)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _loopback_origins(config: Config) -> set[str]:
    return {origin for origin in config.origins if (urlsplit(origin).hostname or "") in LOOPBACK_NAMES}


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _described(certificate: x509.Certificate) -> OwnCertificate:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return OwnCertificate(
        names=frozenset((*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        pin=_pin(certificate.public_key()),
        expires_at=certificate.not_valid_after_utc.timestamp(),
        pem=certificate.public_bytes(serialization.Encoding.PEM),
    )


def _pin(key: object) -> str:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return ""
    return hashlib.sha256(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)).hexdigest()
