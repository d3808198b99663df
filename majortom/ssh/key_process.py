"""The process that opens one private key. It may hang or run out of memory without harm to the hub.

Run by path, not imported. Standard input: JSON {key, passphrase, openssh}; standard output: JSON with the open key or {error}.
"""

from __future__ import annotations

import json
import resource
import sys

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

MAX_MEMORY_BYTES = 512 * 1024 * 1024
MAX_CPU_S = 10
MAX_INPUT_BYTES = 128 * 1024
MAX_RSA_BITS = 8192


def open_key(key: str, passphrase: str | None, *, openssh: bool) -> dict[str, object]:
    """Open a key file.

    Returns: the open key with `type` and `bits`, or `error`: wrong, type or unreadable.
    """
    data = key.strip().encode() + b"\n"
    secret = passphrase.encode() if passphrase else None
    try:
        load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
        private = load(data, secret)
    except UnsupportedAlgorithm:
        return {"error": "type", "type": "unknown"}
    except (ValueError, TypeError):
        return {"error": "wrong" if passphrase else "unreadable"}
    kind, bits, usable = describe(private)
    if not usable:
        return {"error": "type", "type": kind}
    text = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    return {"private": text.decode(), "type": kind, "bits": bits}


def describe(private: object) -> tuple[str, int, bool]:
    """Type and bits of a key, and whether such keys are supported."""
    match private:
        case ed25519.Ed25519PrivateKey():
            return "Ed25519", 256, True
        case ec.EllipticCurvePrivateKey():
            return "ECDSA", private.curve.key_size, private.curve.name in ("secp256r1", "secp384r1", "secp521r1")
        case rsa.RSAPrivateKey():
            return "RSA", private.key_size, private.key_size <= MAX_RSA_BITS
        case _:
            return type(private).__name__.replace("PrivateKey", "").strip("_"), 0, False


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    question = json.loads(sys.stdin.buffer.read(MAX_INPUT_BYTES))
    try:
        answer = open_key(question["key"], question["passphrase"], openssh=question["openssh"])
    except MemoryError:
        answer = {"error": "unreadable"}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
