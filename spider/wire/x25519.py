"""X25519 (RFC 7748) in pure Python with the standard library only, for ephemeral keys. One operation takes a millisecond or two.

It does not run in constant time. A timing attack needs several uses of a key, and each key serves a single join.
"""

_PRIME = (1 << 255) - 19
_A24 = 121665
_BASE = (9).to_bytes(32, "little")


def public_key(private: bytes) -> bytes:
    """The public key of a private key (32 random bytes)."""
    return _multiply(private, _BASE)


def shared_secret(private: bytes, public: bytes) -> bytes:
    """The secret that both ends compute.

    Raises: ValueError: the peer's key is not 32 bytes, or a low-order point, for which every secret is zero.
    """
    if len(public) != 32:
        raise ValueError("a public key has 32 bytes")
    shared = _multiply(private, public)
    if not any(shared):
        raise ValueError("a public key of small order")
    return shared


def _multiply(scalar: bytes, point: bytes) -> bytes:
    if len(scalar) != 32:
        raise ValueError("a private key has 32 bytes")
    k = int.from_bytes(scalar, "little") & ~7 & ((1 << 255) - 1) | 1 << 254
    x1 = int.from_bytes(point, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for at in range(254, -1, -1):
        bit = k >> at & 1
        if swap != bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % _PRIME, b * b % _PRIME, d * a % _PRIME, c * b % _PRIME
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % _PRIME, x1 * (da - cb) ** 2 % _PRIME
        x2, z2 = aa * bb % _PRIME, e * (aa + _A24 * e) % _PRIME
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, _PRIME - 2, _PRIME) % _PRIME).to_bytes(32, "little")
