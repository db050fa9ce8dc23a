"""Make a signed transfer: `node.core.signing` with fresh randomness."""

from __future__ import annotations

import os

from node.core import signing
from node.core.types import Transfer


def sign_transfer(
    secret: bytes,
    chain_id: bytes,
    receiver: bytes,
    amount: int,
    fee: int,
    sequence: int,
    memo: bytes = b"",
    *,
    aux_rand: bytes | None = None,
) -> Transfer:
    """As `node.core.signing.sign_transfer`; `aux_rand`: fresh unless a vector says otherwise."""
    fresh = aux_rand or os.urandom(32)
    return signing.sign_transfer(secret, chain_id, receiver, amount, fee, sequence, memo, aux_rand=fresh)
