"""From ready spends to an unsolved block."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from . import codec
from .codec import merkle_root
from .coin import Coin
from .errors import NoTimestamp, RuleError
from .ledger import BlockContext, Ledger, apply_spend
from .types import HEADER_SIZE, MAX_EXTRA, Block, Coinbase, Header, Spend, Transaction

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


FEE_RATE_SCALE = 25_000_000
"""Two rates f/s and g/t that differ do so by 1/(s·t) at least, and no valid spend has over 4,968 bytes
(4,968² < 25,000,000): rounding never makes them equal."""
MAX_FEE_RATE = 2**63 - 1
"""What a column holds. Fees of more than 360,000 million base units a byte count as equal."""


def fee_rate(spend: Spend) -> int:
    """Base units per 25 million bytes, rounded down: what orders the mempool and a block."""
    return rate_of(spend.fee, codec.transaction_size(spend))


def rate_of(fee: int, size: int) -> int:
    """The same of a spend of `size` bytes."""
    return min(fee * FEE_RATE_SCALE // size, MAX_FEE_RATE)


def select_spends(ready: Iterable[Spend], ledger: Ledger, room: int, context: BlockContext) -> list[Spend]:
    """Ready spends by fee per byte into at most `room` bytes, never breaking a sender's order.

    `ready` is in order of arrival (which breaks ties) and each sender's are in order of sequence; `ledger` holds
    their confirmed state, and is not changed. One that does not apply takes its sender's later ones with it.
    """
    queues: dict[bytes, list[tuple[int, Spend]]] = {}
    for arrival, spend in enumerate(ready):
        queues.setdefault(spend.sender, []).append((arrival, spend))
    heap: list[tuple[int, int, bytes, int]] = []

    def offer(sender: bytes, index: int) -> None:
        if index < len(queues[sender]):
            arrival, spend = queues[sender][index]
            heapq.heappush(heap, (-fee_rate(spend), arrival, sender, index))

    for sender in queues:
        offer(sender, 0)
    view = ledger.copy()
    chosen: list[Spend] = []
    while heap:
        _, _, sender, index = heapq.heappop(heap)
        spend = queues[sender][index][1]
        size = codec.transaction_size(spend)
        if size > room:
            continue
        try:
            apply_spend(view, spend, context)
        except RuleError:
            continue
        chosen.append(spend)
        room -= size
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
    ready: Iterable[Spend],
    ledger: Ledger,
    *,
    receiver: bytes,
    now: int,
    extra: bytes,
) -> Block:
    """An unsolved block (nonce 0) on `parent` that pays `receiver` (33-byte payload).

    `extra`: at most 100 bytes, and not 17. `now`: whole Unix seconds. The timestamp may lie beyond `clock_tolerance`
    on a chain that runs ahead of the clock: the miner waits then. Raises NoTimestamp.
    """
    context = BlockContext(coin.chain_id, parent.height + 1, lambda: parent.median_time_past)
    spends = select_spends(ready, ledger, room_for_spends(coin), context)
    return assemble(coin, parent, spends, receiver=receiver, now=now, extra=extra)


def room_for_spends(coin: Coin) -> int:
    """Bytes that a template leaves to what is behind the coinbase."""
    return coin.max_block_bytes - HEADER_SIZE - _COUNT_SIZE - codec.COINBASE_BASE - MAX_EXTRA


def assemble(
    coin: Coin,
    parent: Parent,
    spends: Sequence[Spend],
    *,
    receiver: bytes,
    now: int,
    extra: bytes,
    txids: Sequence[bytes] | None = None,
) -> Block:
    """`build_template` with spends that are chosen already, and apply in this order. `txids`: theirs, if known."""
    timestamp = timestamp_on(parent, now)
    height = parent.height + 1
    reward = coin.subsidy(height) + sum(spend.fee for spend in spends)
    coinbase = Coinbase(height, receiver, reward, _checked(extra))
    transactions: tuple[Transaction, ...] = (coinbase, *spends)
    leaves = [codec.txid(coinbase), *(map(codec.txid, spends) if txids is None else txids)]
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
