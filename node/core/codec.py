"""The protocol's bytes: values and their encodings, hashes, Merkle trees, and hashes as text.

Encodings are canonical: each value has one, and every other byte string is `Malformed`. Hashes are SHA-256d and
BIP340's tagged hashes; Merkle root and proof are Bitcoin's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from .errors import Malformed
from .types import (
    HEADER_SIZE,
    LATEST_RULES,
    MAX_EXTRA,
    SIGNATURE_SIZE,
    Block,
    Burn,
    Coinbase,
    Header,
    Issue,
    Mint,
    Payment,
    Spend,
    Transaction,
    Transfer,
)


def sha256d(data: bytes) -> bytes:
    """SHA-256 of SHA-256, 32 bytes."""
    return sha256(sha256(data).digest()).digest()


def tag_prefix(tag: str) -> bytes:
    """The 64 bytes that a BIP340 tagged hash puts before the message."""
    return sha256(tag.encode()).digest() * 2


_HEADER: Final = struct.Struct("<I32s32sIII")
_COINBASE: Final = struct.Struct("<BI33sQB")
_TRANSFER: Final = struct.Struct("<B33s33sQQQB")
COINBASE_BASE: Final = _COINBASE.size
TRANSFER_BASE: Final = _TRANSFER.size + SIGNATURE_SIZE
MAX_TRANSFER: Final = TRANSFER_BASE + 255
"""No transfer that decodes is longer, in bytes."""
_ENVELOPE: Final = struct.Struct("<B33sQQ")
_PAYMENT: Final = struct.Struct("<33s32sQ")
_ISSUE: Final = struct.Struct("<33sQQBB")
_MINT: Final = struct.Struct("<32s33sQ")
_BURN: Final = struct.Struct("<32sQ")
_CONTENT_SIZE: Final = 32
_COINBASE_VERSION: Final = 0
TRANSFER_VERSION: Final = 1
_PAYMENT_VERSION, _ISSUE_VERSION, _MINT_VERSION, _BURN_VERSION = range(2, 6)
_LAST_VERSION: Final = {1: TRANSFER_VERSION, 2: _BURN_VERSION}
"""The highest version of a transaction, by the coin's rules."""
_LEAST_SPEND: Final = {1: TRANSFER_BASE, 2: _ENVELOPE.size + _BURN.size + 3}
SHORTEST_SPEND: Final = min(_LEAST_SPEND.values())
"""Bytes: no spend of any coin that decodes is shorter."""
_TEXTS: Final = 255 + 255
MAX_SPEND: Final = {
    1: MAX_TRANSFER,
    2: _ENVELOPE.size + _ISSUE.size + 1 + _CONTENT_SIZE + _TEXTS + 1 + 255 + 2 + 2**16 - 1,
}
"""No spend that decodes is longer, in bytes, by the coin's rules. The longest valid one of rules 2 has 4,968."""
INNER_NODE_SIZE: Final = 64
"""Bytes that no transaction may have: it could pass for an inner node of a Merkle tree."""
_TRANSFER_TAG: Final = tag_prefix("moneyer/transfer")
_TRANSACTION_TAG: Final = tag_prefix("moneyer/transaction")
_ASSET_TAG: Final = tag_prefix("moneyer/asset")


class Outline(NamedTuple):
    """A spend as its bytes and the fields that move the coin, base units: a quarter of the time of a `Transfer`."""

    txid: bytes
    sender: bytes
    receiver: bytes
    coin_amount: int
    fee: int
    sequence: int
    raw: bytes
    envelope: Payment | Issue | Mint | Burn | None = None
    """All of it, where its version is above 1."""


def least_spend(rules: int) -> int:
    """No spend that decodes under these rules is shorter, in bytes."""
    return _LEAST_SPEND[rules]


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
    if isinstance(transaction, Transfer):
        return encode_unsigned(transaction) + transaction.signature
    return encode_unsigned(transaction) + struct.pack("<H", len(transaction.witness)) + transaction.witness


def encode_unsigned(spend: Spend) -> bytes:
    """The bytes of a transfer before its signature; of an envelope, before the length of its witness."""
    if isinstance(spend, Transfer):
        return _encode_unsigned_transfer(spend)
    version, body = _versioned_body(spend)
    head = _ENVELOPE.pack(version, spend.sender, spend.fee, spend.sequence)
    return head + body + bytes([len(spend.memo)]) + spend.memo


def encode_body_of(envelope: Payment | Issue | Mint | Burn) -> bytes:
    """What an envelope does, as bytes; an issue's are the terms that its asset's id commits to."""
    return _versioned_body(envelope)[1]


def _versioned_body(envelope: Payment | Issue | Mint | Burn) -> tuple[int, bytes]:
    match envelope:
        case Payment():
            return _PAYMENT_VERSION, _PAYMENT.pack(envelope.receiver, envelope.asset, envelope.amount)
        case Issue():
            numbers = (envelope.amount, envelope.max_supply, envelope.decimals)
            symbol = _ISSUE.pack(envelope.receiver, *numbers, len(envelope.symbol)) + envelope.symbol
            return _ISSUE_VERSION, symbol + bytes([len(envelope.name)]) + envelope.name + envelope.content
        case Mint():
            return _MINT_VERSION, _MINT.pack(envelope.asset, envelope.receiver, envelope.amount)
        case Burn():
            return _BURN_VERSION, _BURN.pack(envelope.asset, envelope.amount)


def asset_id(chain_id: bytes, issue: Issue) -> bytes:
    """32 bytes that name one issue and its terms on one chain, for ever; fee and memo are not in it."""
    which = issue.sender + issue.sequence.to_bytes(8, "little")
    return sha256(_ASSET_TAG + chain_id + which + encode_body_of(issue)).digest()


def _encode_unsigned_transfer(transfer: Transfer) -> bytes:
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
    if isinstance(transaction, Transfer):
        return TRANSFER_BASE + len(transaction.memo)
    if isinstance(transaction, Coinbase):
        return COINBASE_BASE + len(transaction.extra)
    return _ENVELOPE.size + _body_size(transaction) + 1 + len(transaction.memo) + 2 + len(transaction.witness)


def _body_size(envelope: Payment | Issue | Mint | Burn) -> int:
    if isinstance(envelope, Issue):
        return _ISSUE.size + len(envelope.symbol) + 1 + len(envelope.name) + _CONTENT_SIZE
    return _BURN.size if isinstance(envelope, Burn) else _PAYMENT.size


def txid(transaction: Transaction) -> bytes:
    return sha256d(encode_transaction(transaction))


def sighash(chain_id: bytes, spend: Spend, chosen: bytes = b"") -> bytes:
    """The 32-byte digest that a spend's signatures sign, on the chain whose genesis hash is `chain_id`.

    `chosen`: of a sender that is a policy, the named leaves that are not keys (`policy.chosen_of`).
    """
    if isinstance(spend, Transfer):
        return sha256(_TRANSFER_TAG + chain_id + _encode_unsigned_transfer(spend)).digest()
    return sha256(_TRANSACTION_TAG + chain_id + encode_unsigned(spend) + chosen).digest()


def decode_transaction(raw: bytes, offset: int = 0, *, rules: int = LATEST_RULES) -> tuple[Transaction, int]:
    """The transaction that begins at `offset`, and the offset behind it. Raises Malformed.

    `rules`: the coin's, for bytes from elsewhere: it has no other versions of transactions. What this node stored was
    judged when it came.
    """
    if offset >= len(raw):
        raise Malformed("the bytes end before a transaction", offset=offset)
    version = raw[offset]
    if version == TRANSFER_VERSION:
        start = offset + _TRANSFER.size
        if start > len(raw):
            raise Malformed("the bytes end within a transfer", offset=offset)
        _, sender, receiver, amount, fee, sequence, length = _TRANSFER.unpack_from(raw, offset)
        middle = start + length
        end = middle + SIGNATURE_SIZE
        if end > len(raw):
            raise Malformed("the bytes end within a transfer", offset=offset)
        return Transfer(sender, receiver, amount, fee, sequence, raw[start:middle], raw[middle:end]), end
    if version == _COINBASE_VERSION:
        return _decode_coinbase(raw, offset)
    if version <= _LAST_VERSION[rules]:
        return _decode_envelope(raw, offset, version)
    raise Malformed("unknown transaction version", expected=f"0 to {_LAST_VERSION[rules]}", found=version)


def _decode_envelope(raw: bytes, offset: int, version: int) -> tuple[Payment | Issue | Mint | Burn, int]:
    try:
        _, sender, fee, sequence = _ENVELOPE.unpack_from(raw, offset)
        body, at = _decode_envelope_body(raw, offset + _ENVELOPE.size, version)
        memo, at = _short_text(raw, at)
        (length,) = struct.unpack_from("<H", raw, at)
    except (struct.error, IndexError):
        raise Malformed("the bytes end within a transaction", offset=offset) from None
    end = at + 2 + length
    if end > len(raw):
        raise Malformed("the bytes end within a transaction", offset=offset)
    common = (sender, fee, sequence, memo, raw[at + 2 : end])
    match version, body:
        case 2, (receiver, asset, amount):
            return Payment(*common, receiver, asset, amount), end
        case 3, (receiver, *terms):
            return Issue(*common, receiver, *terms), end
        case 4, (asset, receiver, amount):
            return Mint(*common, asset, receiver, amount), end
        case _, (asset, amount):
            return Burn(*common, asset, amount), end
    raise AssertionError(version)


def _decode_envelope_body(raw: bytes, at: int, version: int) -> tuple[tuple[Any, ...], int]:
    """The fields of a body, and the offset behind it. Raises struct.error or IndexError where the bytes end in it."""
    layout = {_PAYMENT_VERSION: _PAYMENT, _MINT_VERSION: _MINT, _BURN_VERSION: _BURN}.get(version)
    if layout is not None:
        return layout.unpack_from(raw, at), at + layout.size
    *numbers, length = _ISSUE.unpack_from(raw, at)
    at += _ISSUE.size
    symbol = raw[at : at + length]
    name, at = _short_text(raw, at + length)
    end = at + _CONTENT_SIZE
    if end > len(raw):
        raise IndexError
    return (*numbers, symbol, name, raw[at:end]), end


def _short_text(raw: bytes, at: int) -> tuple[bytes, int]:
    """Bytes behind their length (u8), and the offset behind them. Raises IndexError where the length is missing.

    Where the bytes end within them, so does what follows: each text is followed by a length.
    """
    start = at + 1
    end = start + raw[at]
    return raw[start:end], end


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
    if version != TRANSFER_VERSION or len(raw) != middle + SIGNATURE_SIZE:
        raise Malformed("these bytes are not one transfer", version=version, expected=TRANSFER_BASE + length)
    return sender, receiver, amount, fee, sequence, raw[_TRANSFER.size : middle], raw[middle:]


def decode_spend(raw: bytes, *, rules: int = LATEST_RULES) -> Spend:
    """A spend on its own. Raises Malformed, also for a coinbase and for trailing bytes. `rules`: the coin's."""
    transaction, end = decode_transaction(raw, rules=rules)
    if isinstance(transaction, Coinbase):
        raise Malformed("a coinbase cannot stand alone")
    if end != len(raw):
        raise Malformed("bytes follow the transaction", expected=end, found=len(raw))
    return transaction


def decode_spends(raw: bytes, *, rules: int = LATEST_RULES) -> list[Spend]:
    """Spends end to end, as `/p2p/transactions` carries them. Raises Malformed. `rules`: the coin's."""
    spends = []
    offset = 0
    while offset < len(raw):
        transaction, offset = decode_transaction(raw, offset, rules=rules)
        if isinstance(transaction, Coinbase):
            raise Malformed("a coinbase cannot stand alone")
        spends.append(transaction)
    return spends


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


def decode_body_and_txids(raw: bytes, *, rules: int = LATEST_RULES) -> tuple[tuple[Transaction, ...], list[bytes]]:
    """The same with their txids, for which nothing is encoded anew: a value has one encoding, so these bytes are it.

    `rules`: as of `decode_transaction`.
    """
    transactions, txids = [], []
    for transaction, start, end in _split(raw, rules):
        transactions.append(transaction)
        txids.append(sha256d(raw[start:end]))
    return tuple(transactions), txids


def outline(spend: Spend, txid: bytes) -> Outline:
    """`txid`: the spend's own, so that nothing is hashed again."""
    envelope = None if isinstance(spend, Transfer) else spend
    paid = (spend.coin_amount, spend.fee)
    return Outline(txid, spend.sender, spend.receiver, *paid, spend.sequence, encode_transaction(spend), envelope)


def outline_body(raw: bytes) -> tuple[Coinbase, bytes, list[Outline]]:
    """Coinbase, its txid and the outlines of the spends of a block that was connected once. Raises Malformed."""
    count, start = decode_count(raw)
    coinbase, offset = decode_transaction(raw, start)
    if not isinstance(coinbase, Coinbase):
        raise Malformed("a block begins with a coinbase", offset=start)
    coinbase_txid = sha256d(raw[start:offset])
    outlines = []
    try:
        for _ in range(count - 1):
            if raw[offset] != TRANSFER_VERSION:
                outlines.append(_outline_envelope(raw, offset))
                offset += len(outlines[-1].raw)
                continue
            _, sender, receiver, amount, fee, sequence, length = _TRANSFER.unpack_from(raw, offset)
            end = offset + TRANSFER_BASE + length
            whole = raw[offset:end]
            outlines.append(Outline(sha256d(whole), sender, receiver, amount, fee, sequence, whole))
            offset = end
    except (struct.error, IndexError) as error:
        raise Malformed("the bytes end within a transaction", offset=offset) from error
    if offset != len(raw):
        raise Malformed("bytes follow the last transaction, or it is cut off", expected=offset, found=len(raw))
    return coinbase, coinbase_txid, outlines


def _outline_envelope(raw: bytes, offset: int) -> Outline:
    spend, end = decode_transaction(raw, offset)
    if isinstance(spend, Coinbase):
        raise Malformed("behind the coinbase stands another one", offset=offset)
    return outline(spend, sha256d(raw[offset:end]))


def _split(raw: bytes, rules: int = LATEST_RULES) -> Iterator[tuple[Transaction, int, int]]:
    """Every transaction of a body, where it begins and ends. Raises Malformed, also for trailing bytes."""
    count, offset = decode_count(raw)
    for _ in range(count):
        transaction, end = decode_transaction(raw, offset, rules=rules)
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
