"""From ready transfers to an unsolved block."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from . import codec
from .codec import merkle_root
from .coin import Coin
from .errors import NoTimestamp, RuleError
from .ledger import apply_transfer
from .types import HEADER_SIZE, MAX_EXTRA, Account, Block, Coinbase, Header, Transaction, Transfer

_COUNT_SIZE = 5  # CompactSize of any count that fits a block
_LAST_SECOND = 2**32 - 1
"""The highest Unix time that fits a header."""


@dataclass(frozen=True, slots=True)
class Parent:
    """What a template needs to know of the block that it builds on."""

    block_hash: bytes
    height: int
    median_time_past: int
    next_bits: int


FEE_RATE_SCALE = 100_000
"""Two rates f/s and g/t that differ do so by 1/(s·t) at least, and no valid transfer has over 296 bytes
(296² < 100,000): rounding never makes them equal. The highest, 2**53 · 100,000 / 156, fits a signed 64-bit column."""


def fee_rate(transfer: Transfer) -> int:
    """Base units a hundred thousand bytes, rounded down: what orders the mempool and a block."""
    return rate_of(transfer.fee, codec.transaction_size(transfer))


def rate_of(fee: int, size: int) -> int:
    """The same of a transfer of `size` bytes."""
    return fee * FEE_RATE_SCALE // size


def select_transfers(ready: Iterable[Transfer], accounts: Mapping[bytes, Account], room: int) -> list[Transfer]:
    """Ready transfers by fee per byte into at most `room` bytes, never breaking a sender's order.

    `ready` is in order of arrival (which breaks ties) and each sender's are in order of sequence; `accounts` holds
    their confirmed state. One that does not apply takes its sender's later ones with it.
    """
    queues: dict[bytes, list[tuple[int, Transfer]]] = {}
    for arrival, transfer in enumerate(ready):
        queues.setdefault(transfer.sender, []).append((arrival, transfer))
    heap: list[tuple[int, int, bytes, int]] = []

    def offer(sender: bytes, index: int) -> None:
        if index < len(queues[sender]):
            arrival, transfer = queues[sender][index]
            heapq.heappush(heap, (-fee_rate(transfer), arrival, sender, index))

    for sender in queues:
        offer(sender, 0)
    view = dict(accounts)
    chosen: list[Transfer] = []
    while heap:
        _, _, sender, index = heapq.heappop(heap)
        transfer = queues[sender][index][1]
        size = codec.transaction_size(transfer)
        if size > room:
            continue
        try:
            apply_transfer(view, transfer)
        except RuleError:
            continue
        chosen.append(transfer)
        room -= size
        if room < codec.TRANSFER_BASE:
            break
        offer(sender, index + 1)
    return chosen


def _checked(extra: bytes) -> bytes:
    """Raises ValueError for an `extra` whose coinbase no node would decode."""
    if len(extra) > MAX_EXTRA or codec.COINBASE_BASE + len(extra) == codec.INNER_NODE_SIZE:
        raise ValueError(f"extra has at most {MAX_EXTRA} bytes, and not 17: {len(extra)}")
    return extra


def timestamp_on(parent: Parent, now: int) -> int:
    """The timestamp of a block on `parent`: the clock's, or the first that the median allows.

    Raises NoTimestamp where it would be over 2**32 - 1.
    """
    if parent.median_time_past >= _LAST_SECOND:
        raise NoTimestamp(
            f"no block can follow block {parent.height}: its time would have to be after second {_LAST_SECOND}, the "
            "last that a header can hold",
            expected=f"at most {_LAST_SECOND}",
            found=parent.median_time_past + 1,
        )
    if now > _LAST_SECOND:
        raise NoTimestamp(
            f"this machine's clock is at second {now}, and a header holds times up to {_LAST_SECOND} (7 February "
            "2106): set the clock right",
            expected=f"at most {_LAST_SECOND}",
            found=now,
        )
    return max(now, parent.median_time_past + 1)


def build_template(
    coin: Coin,
    parent: Parent,
    ready: Iterable[Transfer],
    accounts: Mapping[bytes, Account],
    *,
    receiver: bytes,
    now: int,
    extra: bytes,
) -> Block:
    """An unsolved block (nonce 0) on `parent` that pays `receiver` (33-byte payload).

    `extra`: at most 100 bytes, and not 17. `now`: whole Unix seconds. The timestamp may lie beyond `clock_tolerance`
    on a chain that runs ahead of the clock: the miner waits then. Raises NoTimestamp.
    """
    transfers = select_transfers(ready, accounts, room_for_transfers(coin))
    return assemble(coin, parent, transfers, receiver=receiver, now=now, extra=extra)


def room_for_transfers(coin: Coin) -> int:
    """Bytes that a template leaves to transfers."""
    return coin.max_block_bytes - HEADER_SIZE - _COUNT_SIZE - codec.COINBASE_BASE - MAX_EXTRA


def assemble(
    coin: Coin,
    parent: Parent,
    transfers: Sequence[Transfer],
    *,
    receiver: bytes,
    now: int,
    extra: bytes,
    txids: Sequence[bytes] | None = None,
) -> Block:
    """`build_template` with transfers that are chosen already, and apply in this order. `txids`: theirs, if known."""
    timestamp = timestamp_on(parent, now)
    height = parent.height + 1
    reward = coin.subsidy(height) + sum(transfer.fee for transfer in transfers)
    coinbase = Coinbase(height, receiver, reward, _checked(extra))
    transactions: tuple[Transaction, ...] = (coinbase, *transfers)
    leaves = [codec.txid(coinbase), *(map(codec.txid, transfers) if txids is None else txids)]
    header = Header(
        version=1,
        prev_hash=parent.block_hash,
        merkle_root=merkle_root(leaves),
        timestamp=timestamp,
        bits=parent.next_bits,
        nonce=0,
    )
    return Block(header, transactions)


def with_extra(template: Block, extra: bytes) -> Block:
    """The same template with another `extra`, so that the nonces can be tried again."""
    coinbase = template.transactions[0]
    assert isinstance(coinbase, Coinbase)  # noqa: S101 - every template begins with one
    transactions: tuple[Transaction, ...] = (replace(coinbase, extra=_checked(extra)), *template.transactions[1:])
    root = merkle_root([codec.txid(transaction) for transaction in transactions])
    return Block(replace(template.header, merkle_root=root), transactions)
