"""Make a signed transfer. Pure: the signature's auxiliary randomness is passed in."""

from __future__ import annotations

from dataclasses import replace

from node.core.codec import sighash
from node.core.errors import BadAmount, BadReceiver, BadSequence
from node.core.keys import public_key, sign
from node.core.rules import check_transaction_in_isolation
from node.core.types import KEY_KIND, PAYLOAD_SIZE, Transfer


def payload_of(secret: bytes) -> bytes:
    """The 33-byte payload behind a 32-byte secret key. Raises ValueError outside 1..n-1."""
    return bytes([KEY_KIND]) + public_key(secret)


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
    unsigned = Transfer(payload_of(secret), receiver, amount, fee, sequence, memo, signature=bytes(64))
    check_transaction_in_isolation(unsigned)
    return replace(unsigned, signature=sign(secret, sighash(chain_id, unsigned), aux_rand))
