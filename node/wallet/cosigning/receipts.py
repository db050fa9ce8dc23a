"""Receipts: a co-signer's signature that he holds a contract, so that nobody pays into one that he could not spend.

Who signs has the policy (he computed its address from it) and the secret key. What is signed is a tagged hash that no
transaction has, so a receipt moves nothing; it names the chain and the address, and so is good for one contract.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec

from ...core.codec import show, tag_prefix
from ...core.coin import Coin
from ...core.signing import public_key, sign, verify
from ...system.decoding import prepare
from ...system.words import place_of
from ..walletfile import Hex32
from .errors import BadContractFile

_TAG: Final = tag_prefix("moneyer/receipt")
MAX_RECEIPT: Final = 4_096
"""Bytes of a receipt's file."""

Hex64 = Annotated[
    str, msgspec.Meta(pattern="^[0-9a-f]{128}$", max_length=128, description="128 hex digits, a signature")
]
AddressText = Annotated[str, msgspec.Meta(max_length=90, description="an address")]


class _ReceiptFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file."""

    format: Literal["moneyer-receipt"]
    version: Literal[1]
    chain_id: Hex32
    """As the API shows it."""
    address: AddressText
    """Of the contract."""
    key: Hex32
    """The co-signer's x-only public key."""
    signature: Hex64


prepare(_ReceiptFile)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One co-signer's word for one contract; its signature was checked."""

    payload: bytes
    """33 bytes: the contract's."""
    key: bytes
    signature: bytes


def receipt_digest(chain_id: bytes, payload: bytes) -> bytes:
    """The 32 bytes that a receipt signs. `chain_id`: the genesis hash, raw; `payload`: the contract's, 33 bytes."""
    return sha256(_TAG + chain_id + payload).digest()


def sign_receipt(coin: Coin, payload: bytes, secret: bytes) -> Receipt:
    """The receipt of the key behind `secret` for the contract at `payload`."""
    signature = sign(secret, receipt_digest(coin.chain_id, payload), os.urandom(32))
    return Receipt(payload, public_key(secret), signature)


def is_receipt(coin: Coin, payload: bytes, key: bytes, signature: bytes) -> bool:
    """Whether a signature is the receipt of this key for this contract."""
    return verify(key, receipt_digest(coin.chain_id, payload), signature)


def encode_receipt(coin: Coin, receipt: Receipt) -> bytes:
    """The file of a receipt."""
    held = _ReceiptFile(
        "moneyer-receipt",
        1,
        show(coin.chain_id),
        coin.address(receipt.payload),
        receipt.key.hex(),
        receipt.signature.hex(),
    )
    return msgspec.json.format(msgspec.json.encode(held), indent=2) + b"\n"


def decode_receipt(content: bytes, coin: Coin) -> Receipt:
    """The receipt in a file's bytes, its signature checked. Raises BadContractFile, BadAddress."""
    try:
        held = msgspec.json.decode(content, type=_ReceiptFile)
    except (msgspec.MsgspecError, RecursionError):
        raise BadContractFile(f"this is no receipt, or it is damaged ({place_of(_ReceiptFile, content)})") from None
    if held.chain_id != show(coin.chain_id):
        raise BadContractFile("this receipt is of another coin", expected=show(coin.chain_id), found=held.chain_id)
    receipt = Receipt(coin.payload(held.address), bytes.fromhex(held.key), bytes.fromhex(held.signature))
    if not is_receipt(coin, receipt.payload, receipt.key, receipt.signature):
        raise BadContractFile(
            "the signature of this receipt is wrong: it was changed, or made for another contract; ask for a new one"
        )
    return receipt
