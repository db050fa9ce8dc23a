"""Fills the shapes of `/v1` (`shapes.v1`, `shapes.mining`) from the node's own values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from msgspec.structs import asdict

from ...core import codec
from ...core.address import encode_address
from ...core.assets import asset_of
from ...core.codec import sha256d, show, show_work
from ...core.coin import Coin
from ...core.policy import decode_witness
from ...core.types import (
    POLICY_KIND,
    Burn,
    Coinbase,
    Envelope,
    Issue,
    Mint,
    Payment,
    Transaction,
    Transfer,
)
from ...p2p.gossip.links import LinkSnapshot
from ...store import transactions
from ...store.assets.asset_pages import AssetRow, HeldAsset
from ...store.blocks import BlockRow
from ...store.mining import JobRow
from ...store.peers import PeerRow
from ...store.unconfirmed.entries import MempoolRow
from .assets import AssetSummary
from .assets import HeldAsset as HeldAssetView
from .mining import Job
from .v1 import BlockDetail, BlockSummary, PeerView, TransactionView

_TRANSFER = bytes([codec.TRANSFER_VERSION])


@lru_cache(maxsize=8192)
def _address(hrp: str, payload: bytes) -> str:
    return encode_address(hrp, payload)


def address(coin: Coin, payload: bytes) -> str:
    """The address of a payload. Kept: each takes 60 µs to compute, and pages name the same ones over and over."""
    return _address(coin.hrp, payload)


def block_summary(coin: Coin, row: BlockRow) -> BlockSummary:
    """A block without its transactions."""
    return BlockSummary(
        hash=show(row.block_hash),
        height=row.height,
        timestamp=row.header.timestamp,
        bits=f"{row.header.bits:08x}",
        nonce=row.header.nonce,
        prev_hash=show(row.header.prev_hash),
        merkle_root=show(row.header.merkle_root),
        version=row.header.version,
        work=show_work(row.work),
        size=row.size,
        tx_count=row.tx_count,
        miner=address(coin, row.miner),
        reward=row.reward,
        fees=row.fees,
    )


def block_detail(coin: Coin, row: BlockRow, raws: Sequence[bytes], tip_height: int) -> BlockDetail:
    """`raws`: its transactions as stored; none where the body is not kept (an invalid block)."""
    return BlockDetail(
        **asdict(block_summary(coin, row)),
        confirmations=confirmations(row, tip_height),
        main_chain=row.main_chain,
        transactions=transactions_of(coin, row, raws, tip_height),
    )


def transactions_of(
    coin: Coin, row: BlockRow, raws: Sequence[bytes], tip_height: int, start: int = 0
) -> list[TransactionView]:
    """Some transactions of a block, as stored; `start`: the position of the first."""
    count = confirmations(row, tip_height)
    status = "confirmed" if row.main_chain else "side_branch"
    block_hash = show(row.block_hash)
    return [
        stored_view(coin, raw, status, (block_hash, row.height, position), row.header.timestamp, count)
        for position, raw in enumerate(raws, start)
    ]


def confirmations(row: BlockRow, tip_height: int) -> int:
    """Of a block's transactions: the tip's block has one; off the main chain there are none."""
    return tip_height - row.height + 1 if row.main_chain else 0


def stored_view(
    coin: Coin, raw: bytes, status: str, place: tuple[str, int, int], timestamp: int, confirmations: int
) -> TransactionView:
    """`transaction_view` from a block's own bytes. A transfer's fields go from there into the view, as most are."""
    txid = sha256d(raw)
    if raw[:1] == _TRANSFER:
        sender, receiver, amount, fee, sequence, memo, signature = transactions.transfer_fields(raw)
        block_hash, height, position = place
        # By place: names take half as long again.
        return TransactionView(
            show(txid),
            "transfer",
            address(coin, sender),
            address(coin, receiver),
            amount,
            fee,
            sequence,
            memo,
            signature.hex(),
            len(raw),
            status,
            block_hash,
            height,
            position,
            timestamp,
            confirmations,
        )
    return transaction_view(
        coin,
        transactions.decode(raw),
        status=status,
        txid=txid,
        place=place,
        timestamp=timestamp,
        confirmations=confirmations,
    )


def transaction_view(
    coin: Coin,
    transaction: Transaction,
    *,
    status: str,
    txid: bytes,
    place: tuple[str, int, int] | None = None,
    timestamp: int | None = None,
    confirmations: int = 0,
) -> TransactionView:
    """`place`: (block hash as shown, height, position) of a transaction in a block, `timestamp` that block's."""
    block_hash, height, position = place or (None, None, None)
    coinbase = transaction if isinstance(transaction, Coinbase) else None
    spend = None if isinstance(transaction, Coinbase) else transaction
    receiver = None if isinstance(transaction, Burn) else address(coin, transaction.receiver)
    return TransactionView(
        txid=show(txid),
        kind=_KINDS[type(transaction)],
        sender=None if spend is None else address(coin, spend.sender),
        receiver=receiver,
        amount=transaction.amount,
        fee=0 if spend is None else spend.fee,
        sequence=None if spend is None else spend.sequence,
        memo=None if spend is None else spend.memo.decode(),
        signature=spend.signature.hex() if isinstance(spend, Transfer) else None,
        size=codec.transaction_size(transaction),
        status=status,
        block_hash=block_hash,
        height=height,
        position=position,
        timestamp=timestamp,
        confirmations=confirmations,
        extra=None if coinbase is None else coinbase.extra.hex(),
        **(_envelope_fields(coin, transaction) if isinstance(transaction, Envelope) else {}),
    )


_KINDS: Final[dict[type[Transaction], str]] = {
    Coinbase: "coinbase",
    Transfer: "transfer",
    Payment: "payment",
    Issue: "issue",
    Mint: "mint",
    Burn: "burn",
}
_VERSIONS: Final[dict[type[Transaction], int]] = {Payment: 2, Issue: 3, Mint: 4, Burn: 5}


def _envelope_fields(coin: Coin, spend: Payment | Issue | Mint | Burn) -> dict[str, Any]:
    """The fields of a `TransactionView` that only versions 2 to 5 have."""
    asset = asset_of(coin.chain_id, spend)
    found: dict[str, Any] = {
        "version": _VERSIONS[type(spend)],
        "asset": None if asset is None else asset.hex(),
        "witness": spend.witness.hex(),
        "policy": decode_witness(spend.witness)[0].hex() if spend.sender[0] == POLICY_KIND else None,
    }
    if isinstance(spend, Issue):
        found |= {
            "symbol": spend.symbol.decode(),
            "name": spend.name.decode(),
            "decimals": spend.decimals,
            "content": spend.content.hex(),
            "max_supply": spend.max_supply,
        }
    return found


def pool_view(coin: Coin, row: MempoolRow) -> TransactionView:
    """A transfer of the mempool."""
    return transaction_view(coin, row.transfer, status="ready" if row.ready else "waiting", txid=row.txid)


def asset_summary(coin: Coin, row: AssetRow) -> AssetSummary:
    """An asset as it stands at the tip."""
    return AssetSummary(
        id=row.asset.hex(),
        issuer=address(coin, row.issuer),
        symbol=row.symbol,
        name=row.name,
        decimals=row.decimals,
        content=row.content.hex(),
        max_supply=row.max_supply,
        minted=row.minted,
        burned=row.burned,
        height=row.height,
    )


def held_asset(held: HeldAsset) -> HeldAssetView:
    """What an account holds of one asset."""
    return HeldAssetView(held.asset.hex(), held.symbol, held.decimals, held.amount)


def peer_view(row: PeerRow, link: LinkSnapshot | None = None) -> PeerView:
    """`link`: what is known by now, where the peer is connected; the row holds what was written down."""
    if link is not None:
        last_seen = max(filter(None, (row.last_seen, link.heard_at)), default=None)
        row = replace(row, height=link.height, work=link.work, latency_ms=link.latency_ms, last_seen=last_seen)
    return PeerView(
        url=row.url,
        state=row.state,
        height=row.height,
        work=show_work(row.work),
        agent=row.agent,
        direction=row.direction,
        last_seen=row.last_seen,
        latency_ms=row.latency_ms,
        score=row.score,
    )


def job_view(coin: Coin, row: JobRow) -> Job:
    """A mining job, as far as it is."""
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
