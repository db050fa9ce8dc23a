"""Proof of work by plain hashlib, by which every engine is judged.

A file of its own because engines and `registry` both import it.
"""

from __future__ import annotations

from hashlib import sha256

NONCES = 2**32
"""Values that a header's nonce can take."""


def solves(header80: bytes, target: int, nonce: int) -> bool:
    """Whether the header with `nonce` meets `target`."""
    digest = sha256(sha256(header80[:76] + nonce.to_bytes(4, "little")).digest()).digest()
    return int.from_bytes(digest, "little") <= target
