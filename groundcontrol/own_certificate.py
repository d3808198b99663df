"""The certificate with which the hub terminates TLS itself (`--lan`).

Its key is derived from the fleet key and is never stored. Nodes pin the key, and it is the same after a restore and on a rebuilt hub.
The data folder stores the certificate, because browsers remember it.
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
from groundcontrol.lan import HOW_TO_CHANGE, LOOPBACK_NAMES, is_own, store_addresses, stored_addresses, write_private
from spider.wire import proof

FILE: Final = "lan-certificate.pem"
LIFETIME_S: Final = 800 * 86_400.0
"""Some systems refuse certificates of more than 825 days."""
RENEW_S: Final = 90 * 86_400.0
"""With less lifetime left, a start issues a new certificate."""
BACKDATED_S: Final = 86_400.0
"""How far the start of validity lies in the past, since clocks of browsers may be behind."""
WHY_BROWSERS_ASK: Final = "the browser asks once whether to trust this hub, because no authority has signed its certificate: continue only if it shows this fingerprint"
_PURPOSE: Final = b"stardust/v1/tls-key"
_GROUP_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of the group of P-256."""


class OwnCertificate(NamedTuple):
    """The certificate by which browsers and nodes identify the hub. Nothing in it is secret."""

    names: frozenset[str]
    """Addresses and host names, including the loopback names."""
    fingerprint: str
    """SHA-256 of the certificate, 64 hex digits: browsers show it."""
    pin: str
    """SHA-256 of the public key, 64 hex digits. Nodes, curl and `stardust --url` check it. It outlives the certificate."""
    expires_at: float
    """Unix seconds."""
    pem: bytes


def grouped(fingerprint: str) -> str:
    """A fingerprint to compare by eye: groups of four digits."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))


def private_key(fleet_key: bytes) -> ec.EllipticCurvePrivateKey:
    """The private key of every certificate of this fleet's hub, derived by FIPS 186-5, A.2.1."""
    wide = proof.hkdf(fleet_key, _PURPOSE, length=48)
    return ec.derive_private_key(int.from_bytes(wide, "big") % (_GROUP_ORDER - 1) + 1, ec.SECP256R1())


def read_certificate(data_dir: Path) -> OwnCertificate | None:
    """The stored certificate; None: there is none, or it is damaged.

    Raises: ConfigError: the file cannot be read.
    """
    path = data_dir / FILE
    try:
        return _described(x509.load_pem_x509_certificate(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError, ValueError, x509.ExtensionNotFound):
        return None
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}") from exc


def stored_or_issued(data_dir: Path, key: ec.EllipticCurvePrivateKey, addresses: Sequence[str], now: float) -> tuple[OwnCertificate, bool]:
    """The stored certificate if it has this key and these addresses and does not expire soon (`RENEW_S`); else a new one, which is stored.

    Returns: the certificate, and whether it is new.
    Raises:  ConfigError: the file cannot be read or written.
    """
    stored = read_certificate(data_dir)
    names = frozenset((*addresses, *LOOPBACK_NAMES))
    if stored is not None and stored.pin == _pin(key.public_key()) and stored.names == names and stored.expires_at - now > RENEW_S:
        return stored, False
    made = _described(_issue(key, addresses, now))
    try:
        write_private(data_dir / FILE, made.pem)
    except OSError as exc:
        raise ConfigError(f"{data_dir / FILE} cannot be written: {exc.strerror}") from exc
    return made, True


def server_context(certificate: OwnCertificate, key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
    """The hub's TLS context. OpenSSL reads keys only from files, so it gets a file in memory, outside of any folder."""
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
    """What a hub needs to terminate TLS itself."""

    config: Config
    """The configuration with the pin of the certificate."""
    context: ssl.SSLContext
    notices: list[str]
    """Lines for the console."""


def make_tls_end(config: Config, fleet_key: bytes, now: float) -> TlsEnd:
    """Store the addresses, and load or issue the certificate for them. This reads and writes files.

    Args:   config: its addresses are known (`Config.with_lan`).
    Raises: ConfigError: a file cannot be read or written.
    """
    addresses, before = config.lan or (), stored_addresses(config.data_dir)
    key = private_key(fleet_key)
    certificate, is_new = stored_or_issued(config.data_dir, key, addresses, now)
    if addresses != before:
        try:
            store_addresses(config.data_dir, addresses)
        except OSError as exc:
            raise ConfigError(f"the addresses cannot be stored in {config.data_dir}: {exc.strerror}") from exc
    made = config.with_lan(addresses, certificate.pin)
    notices = [f"reached at {url}" for url in (made.origin, *sorted(made.origins - {made.origin, *_loopback_origins(made)}))]
    notices.append(f"certificate (SHA-256){', new' if is_new else ''}: {grouped(certificate.fingerprint)}")
    notices.append(WHY_BROWSERS_ASK)
    if before and set(before) - set(addresses):
        notices.append(f"no longer reached at {', '.join(sorted(set(before) - set(addresses)))}: {what_nodes_need(made.node_url)}")
    notices += [f"{address} is not an address of this machine now; {HOW_TO_CHANGE}" for address in addresses if not is_own(address)]
    return TlsEnd(made, server_context(certificate, key), notices)


def what_nodes_need(url: str) -> str:
    """Advice for nodes that did not learn the hub's new address."""
    return (
        "nodes that have connected since then know the new address; any other node stays away until `stardust redeploy NODE`, or until"
        f" its /etc/stardust/spider.conf has {url} as url and stardust-spider is restarted; its pin stays valid"
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
