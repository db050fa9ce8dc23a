"""Signing: what comes out verifies, on one chain only, and nothing is signed that no node would take."""

from __future__ import annotations

from dataclasses import replace

import pytest

from moneyer.node.core.codec import sighash
from moneyer.node.core.errors import BadAmount, BadMemo, BadReceiver, BadSequence, MoneyerError
from moneyer.node.core.signing import verify
from moneyer.node.core.types import MAX_MONEY
from moneyer.node.wallet.derive import development_keys, random_key
from moneyer.node.wallet.keystore import sign_transfer

ALICE, BOB = (development_keys()[name] for name in ("alice", "bob"))
CHAIN = bytes(range(32))


def test_a_signed_transfer_verifies_on_its_own_chain_only() -> None:
    transfer = sign_transfer(ALICE.secret, CHAIN, BOB.payload, 5, 1, 0, "für dich".encode())
    assert (transfer.sender, transfer.receiver) == (ALICE.payload, BOB.payload)
    assert (transfer.amount, transfer.fee, transfer.sequence) == (5, 1, 0)
    assert verify(transfer.sender[1:], sighash(CHAIN, transfer), transfer.signature)
    assert not verify(transfer.sender[1:], sighash(bytes(32), transfer), transfer.signature)
    assert not verify(transfer.sender[1:], sighash(CHAIN, replace(transfer, amount=6)), transfer.signature)


def test_keys_of_either_parity_sign() -> None:
    for _ in range(16):
        key = random_key()
        transfer = sign_transfer(key.secret, CHAIN, BOB.payload, 1, 0, 0)
        assert verify(key.public_key, sighash(CHAIN, transfer), transfer.signature)


def test_the_same_randomness_gives_the_same_bytes_and_fresh_does_not() -> None:
    fixed = [sign_transfer(ALICE.secret, CHAIN, BOB.payload, 5, 1, 0, aux_rand=bytes(32)) for _ in range(2)]
    fresh = [sign_transfer(ALICE.secret, CHAIN, BOB.payload, 5, 1, 0) for _ in range(2)]
    assert fixed[0] == fixed[1]
    assert fresh[0].signature != fresh[1].signature


@pytest.mark.parametrize(
    ("amount", "fee", "sequence", "memo", "error"),
    [
        (0, 0, 0, b"", BadAmount),
        (-1, 5, 0, b"", BadAmount),
        (1, -1, 0, b"", BadAmount),
        (MAX_MONEY, 1, 0, b"", BadAmount),
        (2**63, 2**63, 0, b"", BadAmount),
        (1, 0, -1, b"", BadSequence),
        (1, 0, MAX_MONEY + 1, b"", BadSequence),
        (1, 0, 0, b"x" * 141, BadMemo),
        (1, 0, 0, b"\xff", BadMemo),
    ],
)
def test_what_no_node_would_take_is_not_signed(
    amount: int, fee: int, sequence: int, memo: bytes, error: type[MoneyerError]
) -> None:
    with pytest.raises(error):
        sign_transfer(ALICE.secret, CHAIN, BOB.payload, amount, fee, sequence, memo)


@pytest.mark.parametrize("receiver", [b"", bytes(32), b"\x02" + bytes(32), bytes(34)])
def test_a_receiver_that_is_no_payload_is_not_paid(receiver: bytes) -> None:
    with pytest.raises(BadReceiver):
        sign_transfer(ALICE.secret, CHAIN, receiver, 1, 0, 0)
