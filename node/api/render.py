"""From the node's own values to the shapes of `json.py`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from node.api.json import BlockDetail, BlockSummary, PeerView, TransactionView
from node.api.miningjson import Job
from node.core import codec
from node.core.address import encode_address
from node.core.coin import Coin
from node.core.hashing import show
from node.core.types import Block, Coinbase, Transaction
from node.store.blocks import BlockRow
from node.store.jobs import JobRow
from node.store.peers import PeerRow


@lru_cache(maxsize=8192)
def _address(hrp: str, payload: bytes) -> str:
    return encode_address(hrp, payload)


def address(coin: Coin, payload: bytes) -> str:
    """The address of a payload; kept, since one is 60 µs of arithmetic and pages name the same ones over and over."""
    return _address(coin.hrp, payload)


def work(number: int) -> str:
    """64 hex digits."""
    return f"{number:064x}"


def block_keys(coin: Coin, row: BlockRow) -> dict[str, Any]:
    """What `BlockSummary` and `BlockDetail` have in common."""
    return {
        "hash": show(row.block_hash),
        "height": row.height,
        "timestamp": row.header.timestamp,
        "bits": f"{row.header.bits:08x}",
        "nonce": row.header.nonce,
        "prev_hash": show(row.header.prev_hash),
        "merkle_root": show(row.header.merkle_root),
        "version": row.header.version,
        "work": work(row.work),
        "size": row.size,
        "tx_count": row.tx_count,
        "miner": address(coin, row.miner),
        "reward": row.reward,
        "fees": row.fees,
    }


def block_summary(coin: Coin, row: BlockRow) -> BlockSummary:
    return BlockSummary(**block_keys(coin, row))


def block_detail(coin: Coin, row: BlockRow, block: Block | None, tip_height: int) -> BlockDetail:
    """`block`: with its body, None where that is not kept (an invalid one)."""
    confirmations = tip_height - row.height + 1 if row.main_chain else 0
    place = (show(row.block_hash), row.height)
    transactions = [
        transaction_view(
            coin,
            each,
            status="confirmed" if row.main_chain else "side_branch",
            place=(*place, position),
            timestamp=row.header.timestamp,
            confirmations=confirmations,
        )
        for position, each in enumerate(block.transactions if block else ())
    ]
    return BlockDetail(
        **block_keys(coin, row), confirmations=confirmations, main_chain=row.main_chain, transactions=transactions
    )


def transaction_view(
    coin: Coin,
    transaction: Transaction,
    *,
    status: str,
    place: tuple[str, int, int] | None = None,
    timestamp: int | None = None,
    confirmations: int = 0,
) -> TransactionView:
    """`place`: (block hash as shown, height, position) of a transaction in a block, `timestamp` that block's."""
    block_hash, height, position = place or (None, None, None)
    common: dict[str, Any] = {
        "txid": show(codec.txid(transaction)),
        "receiver": address(coin, transaction.receiver),
        "amount": transaction.amount,
        "size": codec.transaction_size(transaction),
        "status": status,
        "block_hash": block_hash,
        "height": height,
        "position": position,
        "timestamp": timestamp,
        "confirmations": confirmations,
    }
    if isinstance(transaction, Coinbase):
        return TransactionView(
            kind="coinbase",
            sender=None,
            fee=0,
            sequence=None,
            memo=None,
            signature=None,
            extra=transaction.extra.hex(),
            **common,
        )
    return TransactionView(
        kind="transfer",
        sender=address(coin, transaction.sender),
        fee=transaction.fee,
        sequence=transaction.sequence,
        memo=transaction.memo.decode(),
        signature=transaction.signature.hex(),
        **common,
    )


def peer_view(row: PeerRow) -> PeerView:
    return PeerView(
        url=row.url,
        state=row.state,
        height=row.height,
        work=work(row.work),
        agent=row.agent,
        direction=row.direction,
        last_seen=row.last_seen,
        latency_ms=row.latency_ms,
        score=row.score,
    )


def job_view(coin: Coin, row: JobRow) -> Job:
    return Job(
        job=row.job_id,
        state=row.state,
        wanted=row.wanted,
        mined=row.mined,
        address=None if row.receiver is None else address(coin, row.receiver),
        message=row.message,
        last_hash=None if row.last_hash is None else show(row.last_hash),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
