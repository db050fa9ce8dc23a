"""BIP340 Schnorr keys and signatures, by libsecp256k1, and signed transfers. Pure: fresh randomness is passed in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from btclib_secp256k1 import keys as _keys
from btclib_secp256k1 import ssa, xonly

from .codec import sighash
from .coin import Coin
from .errors import BadAddress, BadAmount, BadReceiver, BadSequence
from .policy import Key, chosen_of, decode_witness
from .rules import check_transaction_in_isolation
from .types import KEY_KIND, LATEST_RULES, PAYLOAD_SIZE, POLICY_KIND, SIGNATURE_SIZE, Spend, Transfer

_KEPT_KEYS: Final = 4_096
"""Keys that are kept as points, about 1 MB. To compute the point is a fifth of a check, and senders come again."""


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
        return ssa._verify_(digest, _point(key), signature)
    except ValueError:
        return False


@lru_cache(maxsize=_KEPT_KEYS)
def _point(key: bytes) -> Any:
    """The library's own form of a 32-byte key. Raises ValueError for one off the curve."""
    return xonly.parse(key)


def verify_many(checks: Iterable[tuple[bytes, bytes, bytes]]) -> list[bool]:
    """`verify` for each (key, digest, signature), in order. The C library releases the GIL, so threads help."""
    return [verify(*check) for check in checks]


def signature_checks(chain_id: bytes, spend: Spend) -> list[tuple[bytes, bytes, bytes]]:
    """Each (key, digest, signature) that a spend must pass; of a policy one for each key that is named, maybe none.

    The spend passed the checks in isolation.
    """
    key = spend.sender[1:]
    if isinstance(spend, Transfer):
        return [(key, sighash(chain_id, spend), spend.signature)]
    if spend.sender[0] == KEY_KIND:
        return [(key, sighash(chain_id, spend), spend.witness)]
    _, shape, items = decode_witness(spend.witness)
    digest = sighash(chain_id, spend, chosen_of(shape, [item.index for item in items]))
    leaves = [(shape.leaves[item.index], item.data) for item in items]
    return [(leaf.key, digest, data) for leaf, data in leaves if isinstance(leaf, Key)]


def payload_of_key(key: bytes) -> bytes:
    """The 33-byte payload of a 32-byte x-only public key: what the key's address holds, on every coin."""
    return bytes([KEY_KIND]) + key


def payload_of(secret: bytes) -> bytes:
    """The 33-byte payload behind a 32-byte secret key. Raises ValueError outside 1..n-1."""
    return payload_of_key(public_key(secret))


def is_payable(payload: bytes) -> bool:
    """Whether a payload is of a kind that a coin can have and, of a key, on the curve: somebody can have its secret.

    Consensus looks at the kind only: whatever is paid to a key off the curve is lost. Of a contract's address nobody
    can tell whether there is a policy behind it. Whether this coin has such addresses is its rules' affair.
    """
    if len(payload) != PAYLOAD_SIZE:
        return False
    return payload[0] == POLICY_KIND or (payload[0] == KEY_KIND and is_on_curve(payload[1:]))


def payable(coin: Coin, address: str) -> bytes:
    """The payload of an address that may be paid (`is_payable`). Raises BadAddress."""
    payload = coin.payload(address)
    if not is_payable(payload):
        raise BadAddress("nobody can have the key of this address: what is sent there is lost", found=address)
    return payload


def sign_transfer(
    secret: bytes,
    chain_id: bytes,
    receiver: bytes,
    amount: int,
    fee: int,
    sequence: int,
    memo: bytes,
    *,
    aux_rand: bytes,
) -> Transfer:
    """A transfer of `amount` base units from the secret's owner to `receiver` (33-byte payload), signed for one chain.

    `chain_id`: the genesis hash, 32 raw bytes. `aux_rand`: 32 bytes, fresh unless a vector says otherwise.
    Raises the rule's error (BadAmount, BadMemo, …) for what no node would take: nothing of the kind gets signed.
    """
    if len(chain_id) != 32:
        raise ValueError("a chain_id is 32 bytes")
    if len(receiver) != PAYLOAD_SIZE:
        raise BadReceiver("the receiver is no payload", expected=f"{PAYLOAD_SIZE} bytes", found=len(receiver))
    if amount < 1 or fee < 0:
        raise BadAmount("an amount is at least 1 base unit and a fee at least 0", found=min(amount, fee))
    if sequence < 0:
        raise BadSequence("a sequence is at least 0", expected=0, found=sequence)
    unsigned = Transfer(payload_of(secret), receiver, amount, fee, sequence, memo, signature=bytes(SIGNATURE_SIZE))
    check_transaction_in_isolation(unsigned, LATEST_RULES)
    return replace(unsigned, signature=sign(secret, sighash(chain_id, unsigned), aux_rand))


def sign_spend(secret: bytes, chain_id: bytes, unsigned: Spend, *, aux_rand: bytes) -> Spend:
    """A spend of the secret's own account, signed for one chain. `unsigned`: its signature or witness is replaced.

    Raises the rule's error for what no node would take: nothing of the kind gets signed. ValueError for the spend of
    another account.
    """
    if unsigned.sender != payload_of(secret):
        raise ValueError("a spend is signed by its sender's secret")
    if isinstance(unsigned, Transfer):
        blank: Spend = replace(unsigned, signature=bytes(SIGNATURE_SIZE))
    else:
        blank = replace(unsigned, witness=bytes(SIGNATURE_SIZE))
    check_transaction_in_isolation(blank, LATEST_RULES)
    signature = sign(secret, sighash(chain_id, blank), aux_rand)
    return replace(blank, signature=signature) if isinstance(blank, Transfer) else replace(blank, witness=signature)
