"""BIP340 Schnorr keys and signatures, by libsecp256k1."""

from __future__ import annotations

from collections.abc import Iterable

from btclib_secp256k1 import keys as _keys
from btclib_secp256k1 import ssa, xonly


def public_key(secret: bytes) -> bytes:
    """The 32-byte x-only public key of a 32-byte secret. Raises ValueError outside 1..n-1."""
    return xonly.from_prvkey(secret)[0]


def is_secret(secret: bytes) -> bool:
    """Whether 32 bytes are a secret key (1..n-1)."""
    return len(secret) == 32 and _keys.prvkey_verify(secret)


def is_on_curve(key: bytes) -> bool:
    """Whether 32 bytes are the x of a point."""
    return len(key) == 32 and xonly.pubkey_verify(key)


def sign(secret: bytes, digest: bytes, aux_rand: bytes) -> bytes:
    """A 64-byte signature of a 32-byte digest; `aux_rand` is 32 bytes, fresh unless a vector says otherwise."""
    return ssa.sign(digest, secret, aux_rand)


def verify(key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) is by `key` (32 bytes) over `digest`; False for a key off the curve."""
    if len(key) != 32:  # the library would take 33 or 65 bytes too
        return False
    try:
        return ssa.verify(digest, key, signature)
    except ValueError:
        return False


def verify_many(checks: Iterable[tuple[bytes, bytes, bytes]]) -> list[bool]:
    """`verify` for each (key, digest, signature), in order. The C library releases the GIL, so threads help."""
    return [verify(*check) for check in checks]
