"""The protocol's bytes: values and their encodings, hashes, Merkle trees, and hashes as text.

Encodings are canonical: each value has one, and every other byte string is `Malformed`. Hashes are SHA-256d and
BIP340's tagged hashes; Merkle root and proof are Bitcoin's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from .errors import Malformed
from .types import HEADER_SIZE, MAX_EXTRA, Block, Coinbase, Header, Transaction, Transfer


def sha256d(data: bytes) -> bytes:
    """SHA-256 of SHA-256, 32 bytes."""
    return sha256(sha256(data).digest()).digest()


def tag_prefix(tag: str) -> bytes:
    """The 64 bytes that a BIP340 tagged hash puts before the message."""
    return sha256(tag.encode()).digest() * 2


_HEADER: Final = struct.Struct("<I32s32sIII")
_COINBASE: Final = struct.Struct("<BI33sQB")
_TRANSFER: Final = struct.Struct("<B33s33sQQQB")
_SIGNATURE_SIZE: Final = 64
COINBASE_BASE: Final = _COINBASE.size
TRANSFER_BASE: Final = _TRANSFER.size + _SIGNATURE_SIZE
MAX_TRANSFER: Final = TRANSFER_BASE + 255
"""No transfer that decodes is longer, in bytes."""
_COINBASE_VERSION: Final = 0
TRANSFER_VERSION: Final = 1
INNER_NODE_SIZE: Final = 64
"""Bytes that no transaction may have: it could pass for an inner node of a Merkle tree."""
_TRANSFER_TAG: Final = tag_prefix("moneyer/transfer")


class Outline(NamedTuple):
    """A transfer as its bytes and the fields that move money, base units: a quarter of the time of a `Transfer`."""

    txid: bytes
    sender: bytes
    receiver: bytes
    amount: int
    fee: int
    sequence: int
    raw: bytes


def encode_header(header: Header) -> bytes:
    """80 bytes."""
    return _HEADER.pack(
        header.version, header.prev_hash, header.merkle_root, header.timestamp, header.bits, header.nonce
    )


def decode_header(raw: bytes) -> Header:
    """Header of exactly 80 bytes. Raises Malformed."""
    if len(raw) != HEADER_SIZE:
        raise Malformed("a header has 80 bytes", expected=HEADER_SIZE, found=len(raw))
    return Header(*_HEADER.unpack(raw))


def timestamp_of(raw: bytes) -> int:
    """The timestamp of a stored header's 80 bytes, Unix seconds, with nothing else decoded."""
    return int.from_bytes(raw[68:72], "little")


def block_hash(header: Header) -> bytes:
    return sha256d(encode_header(header))


def encode_transaction(transaction: Transaction) -> bytes:
    if isinstance(transaction, Coinbase):
        return (
            _COINBASE.pack(
                _COINBASE_VERSION,
                transaction.height,
                transaction.receiver,
                transaction.amount,
                len(transaction.extra),
            )
            + transaction.extra
        )
    return encode_unsigned(transaction) + transaction.signature


def encode_unsigned(transfer: Transfer) -> bytes:
    """The bytes of a transfer before its signature."""
    return (
        _TRANSFER.pack(
            TRANSFER_VERSION,
            transfer.sender,
            transfer.receiver,
            transfer.amount,
            transfer.fee,
            transfer.sequence,
            len(transfer.memo),
        )
        + transfer.memo
    )


def transaction_size(transaction: Transaction) -> int:
    """Bytes on the wire."""
    if isinstance(transaction, Coinbase):
        return COINBASE_BASE + len(transaction.extra)
    return TRANSFER_BASE + len(transaction.memo)


def txid(transaction: Transaction) -> bytes:
    return sha256d(encode_transaction(transaction))


def sighash(chain_id: bytes, transfer: Transfer) -> bytes:
    """The 32-byte digest that a transfer's signature signs, on the chain whose genesis hash is `chain_id`."""
    return sha256(_TRANSFER_TAG + chain_id + encode_unsigned(transfer)).digest()


def decode_transaction(raw: bytes, offset: int = 0) -> tuple[Transaction, int]:
    """The transaction that begins at `offset`, and the offset behind it. Raises Malformed."""
    if offset >= len(raw):
        raise Malformed("the bytes end before a transaction", offset=offset)
    version = raw[offset]
    if version == TRANSFER_VERSION:
        start = offset + _TRANSFER.size
        if start > len(raw):
            raise Malformed("the bytes end within a transfer", offset=offset)
        _, sender, receiver, amount, fee, sequence, length = _TRANSFER.unpack_from(raw, offset)
        middle = start + length
        end = middle + _SIGNATURE_SIZE
        if end > len(raw):
            raise Malformed("the bytes end within a transfer", offset=offset)
        return Transfer(sender, receiver, amount, fee, sequence, raw[start:middle], raw[middle:end]), end
    if version == _COINBASE_VERSION:
        return _decode_coinbase(raw, offset)
    raise Malformed("unknown transaction version", expected="0 or 1", found=version)


def _decode_coinbase(raw: bytes, offset: int) -> tuple[Coinbase, int]:
    start = offset + COINBASE_BASE
    if start > len(raw):
        raise Malformed("the bytes end within a coinbase", offset=offset)
    _, height, receiver, amount, length = _COINBASE.unpack_from(raw, offset)
    end = start + length
    if length > MAX_EXTRA:
        raise Malformed("extra is too long", expected=f"at most {MAX_EXTRA}", found=length)
    if end > len(raw):
        raise Malformed("the bytes end within a coinbase", offset=offset)
    if end - offset == INNER_NODE_SIZE:
        raise Malformed("no transaction may be 64 bytes long", found=INNER_NODE_SIZE)
    return Coinbase(height, receiver, amount, raw[start:end]), end


def transfer_fields(raw: bytes) -> tuple[bytes, bytes, int, int, int, bytes, bytes]:
    """The fields of a transfer on its own, in the order of `Transfer`, which takes as long again. Raises Malformed."""
    if len(raw) < TRANSFER_BASE:
        raise Malformed("the bytes end within a transfer", expected=TRANSFER_BASE, found=len(raw))
    version, sender, receiver, amount, fee, sequence, length = _TRANSFER.unpack_from(raw)
    middle = _TRANSFER.size + length
    if version != TRANSFER_VERSION or len(raw) != middle + _SIGNATURE_SIZE:
        raise Malformed("these bytes are not one transfer", version=version, expected=TRANSFER_BASE + length)
    return sender, receiver, amount, fee, sequence, raw[_TRANSFER.size : middle], raw[middle:]


def decode_transfer(raw: bytes) -> Transfer:
    """A transfer on its own. Raises Malformed, also for a coinbase and for trailing bytes."""
    transaction, end = decode_transaction(raw)
    if not isinstance(transaction, Transfer):
        raise Malformed("a coinbase cannot stand alone")
    if end != len(raw):
        raise Malformed("bytes follow the transfer", expected=end, found=len(raw))
    return transaction


def decode_transfers(raw: bytes) -> list[Transfer]:
    """Transfers end to end, as `/p2p/transactions` carries them. Raises Malformed."""
    transfers = []
    offset = 0
    while offset < len(raw):
        transaction, offset = decode_transaction(raw, offset)
        if not isinstance(transaction, Transfer):
            raise Malformed("a coinbase cannot stand alone")
        transfers.append(transaction)
    return transfers


def encode_count(count: int) -> bytes:
    """CompactSize, minimal form."""
    if count < 0xFD:
        return bytes([count])
    if count <= 0xFFFF:
        return b"\xfd" + count.to_bytes(2, "little")
    if count <= 0xFFFFFFFF:
        return b"\xfe" + count.to_bytes(4, "little")
    return b"\xff" + count.to_bytes(8, "little")


def decode_count(raw: bytes, offset: int = 0) -> tuple[int, int]:
    """A CompactSize at `offset`, and the offset behind it. Raises Malformed when truncated or not minimal."""
    if offset >= len(raw):
        raise Malformed("the bytes end before the count", offset=offset)
    first = raw[offset]
    if first < 0xFD:
        return first, offset + 1
    size = {0xFD: 2, 0xFE: 4, 0xFF: 8}[first]
    end = offset + 1 + size
    if end > len(raw):
        raise Malformed("the bytes end within the count", offset=offset)
    count = int.from_bytes(raw[offset + 1 : end], "little")
    if raw[offset:end] != encode_count(count):
        raise Malformed("the count is in a longer form than needed", found=count)
    return count, end


def encode_body(transactions: tuple[Transaction, ...]) -> bytes:
    return encode_count(len(transactions)) + b"".join(map(encode_transaction, transactions))


def decode_body(raw: bytes) -> tuple[Transaction, ...]:
    """Every transaction of a body. Raises Malformed, also for trailing bytes."""
    return tuple([transaction for transaction, _, _ in _split(raw)])


def decode_body_and_txids(raw: bytes) -> tuple[tuple[Transaction, ...], list[bytes]]:
    """The same with their txids, for which nothing is encoded anew: a value has one encoding, so these bytes are it."""
    transactions, txids = [], []
    for transaction, start, end in _split(raw):
        transactions.append(transaction)
        txids.append(sha256d(raw[start:end]))
    return tuple(transactions), txids


def outline(transfer: Transfer, txid: bytes) -> Outline:
    """`txid`: the transfer's own, so that nothing is hashed again."""
    raw = encode_transaction(transfer)
    paid = (transfer.amount, transfer.fee)
    return Outline(txid, transfer.sender, transfer.receiver, *paid, transfer.sequence, raw)


def outline_body(raw: bytes) -> tuple[Coinbase, bytes, list[Outline]]:
    """Coinbase, its txid and the outlines of the transfers of a block that was connected once. Raises Malformed."""
    count, start = decode_count(raw)
    coinbase, offset = decode_transaction(raw, start)
    if not isinstance(coinbase, Coinbase):
        raise Malformed("a block begins with a coinbase", offset=start)
    coinbase_txid = sha256d(raw[start:offset])
    outlines = []
    try:
        for _ in range(count - 1):
            version, sender, receiver, amount, fee, sequence, length = _TRANSFER.unpack_from(raw, offset)
            if version != TRANSFER_VERSION:
                raise Malformed("behind the coinbase stands no transfer", expected=TRANSFER_VERSION, found=version)
            end = offset + TRANSFER_BASE + length
            whole = raw[offset:end]
            outlines.append(Outline(sha256d(whole), sender, receiver, amount, fee, sequence, whole))
            offset = end
    except struct.error as error:
        raise Malformed("the bytes end within a transfer", offset=offset) from error
    if offset != len(raw):
        raise Malformed("bytes follow the last transaction, or it is cut off", expected=offset, found=len(raw))
    return coinbase, coinbase_txid, outlines


def _split(raw: bytes) -> Iterator[tuple[Transaction, int, int]]:
    """Every transaction of a body, where it begins and ends. Raises Malformed, also for trailing bytes."""
    count, offset = decode_count(raw)
    for _ in range(count):
        transaction, end = decode_transaction(raw, offset)
        yield transaction, offset, end
        offset = end
    if offset != len(raw):
        raise Malformed("bytes follow the last transaction", expected=offset, found=len(raw))


def encode_block(block: Block) -> bytes:
    return encode_header(block.header) + encode_body(block.transactions)


def decode_block(raw: bytes) -> Block:
    """A whole block. Raises Malformed."""
    return Block(decode_header(raw[:HEADER_SIZE]), decode_body(raw[HEADER_SIZE:]))


def show(block_hash_or_txid: bytes) -> str:
    """A hash as people see it: hex of the bytes reversed, so that work shows as leading zeros."""
    return block_hash_or_txid[::-1].hex()


def show_work(work: int) -> str:
    """Work as people and the API write it: 64 hex digits."""
    return f"{work:064x}"


def unshow(text: str) -> bytes:
    """Inverse of `show`. Raises ValueError unless `text` is 64 hex digits."""
    raw = bytes.fromhex(text)  # which passes over spaces
    if len(text) != 64 or len(raw) != 32:
        raise ValueError("a hash is 64 hex digits")
    return raw[::-1]


def _level_up(level: Sequence[bytes]) -> list[bytes]:
    if len(level) % 2:
        level = [*level, level[-1]]
    # `sha256d` written out: a call by name is a quarter of what a node of the tree costs.
    return [sha256(sha256(level[i] + level[i + 1]).digest()).digest() for i in range(0, len(level), 2)]


def merkle_root(txids: Sequence[bytes]) -> bytes:
    """Root over `txids` in block order; 32 zero bytes for none."""
    if not txids:
        return bytes(32)
    level: Sequence[bytes] = txids
    while len(level) > 1:
        level = _level_up(level)
    return level[0]


def merkle_levels(txids: Sequence[bytes]) -> list[Sequence[bytes]]:
    """Every level of the tree over `txids`, the leaves first, the root (alone on its level) last."""
    levels = [txids]
    while len(levels[-1]) > 1:
        levels.append(_level_up(levels[-1]))
    return levels


def branch_in(levels: Sequence[Sequence[bytes]], position: int) -> list[bytes]:
    """`merkle_branch` where the tree's levels are known."""
    branch = []
    for level in levels[:-1]:
        branch.append(level[min(position ^ 1, len(level) - 1)])
        position //= 2
    return branch


def merkle_branch(txids: Sequence[bytes], position: int) -> list[bytes]:
    """Sibling hashes from the leaf at `position` up to (without) the root."""
    return branch_in(merkle_levels(txids), position)


def merkle_root_of_branch(leaf: bytes, position: int, branch: Sequence[bytes]) -> bytes:
    """The root that `branch` proves for `leaf` at `position`."""
    for sibling in branch:
        leaf = sha256d(sibling + leaf if position % 2 else leaf + sibling)
        position //= 2
    return leaf
