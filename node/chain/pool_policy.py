"""What the mempool asks of a spend before it takes it (`docs/protocol.md`, Mempool): sequence, claims, fee, funds.

Policy, not consensus: another node may think otherwise. Nothing here writes; `mempool` holds what passes.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from sqlalchemy import Connection

from ..core import codec, ledger
from ..core.assets import check_holding, check_issuer, check_max_supply
from ..core.codec import show
from ..core.coin import Coin
from ..core.errors import BadSequence, FeeTooLow, InsufficientFunds, MempoolFull, SequenceGap, UnknownAsset
from ..core.types import Burn, Mint, Payment, Spend
from ..store import blocks
from ..store.unconfirmed import claims
from ..store.unconfirmed.entries import SenderView

MAX_GAP: Final = 64
"""Sequences that a waiting transfer may be ahead of the sender's next one."""

MAX_OF_SENDER: Final = 5_000
"""Sequences from a sender's confirmed one on that the pool keeps: nearly a block of 1 MB full. What changes the state
of all that wait behind one transfer, as its eviction does, then takes less than 0.1 s of the write lock."""

FEE_PORTION: Final = 512
"""Bytes: the least fee, and the base unit by which a replacement pays more, are asked for each that was begun. Every
transfer of version 1 has one."""


class PoolPolicy:
    """The policy of one node: its coin, and the least fee that it asks (`min_fee`, base units)."""

    def __init__(self, coin: Coin, min_fee: int) -> None:
        self._coin = coin
        self._min_fee = min_fee

    def check(self, transfer: Spend, view: SenderView, conn: Connection | None, *, replace: bool) -> None:
        """Checks stage 5, in its order, against the account and what it has in the pool. Raises RuleError.

        `conn` sees all of the sender's that is in the pool; None where the spend claims nothing but the coin.
        """
        _check_sequence(transfer, view)
        if not replace and view.slot_txid is not None:
            raise BadSequence(
                f"a transfer with the sender's sequence {transfer.sequence} waits already: the next is {view.run_end}",
                expected=view.run_end,
                found=transfer.sequence,
            )
        asset = None if conn is None else self._check_claim(conn, transfer)
        self._check_fee(transfer, view)
        self._check_funds(transfer, view)
        if asset is not None and isinstance(transfer, Payment | Burn):
            check_holding(transfer, asset.held - asset.pool_amount)

    def _check_claim(self, conn: Connection, spend: Spend) -> claims.AssetView | None:
        """Checks heights and times against the next block, and that the asset is there and a mint of it allowed.

        Returns what is known of the asset, if the spend is of one. Raises RuleError.
        """
        claim = claims.claim_of(spend)
        if any(claim.locks):
            tip = blocks.tip(conn)
            median = partial(blocks.median_time_past_of, conn, tip.block_hash)
            ledger.check_locks(spend, ledger.BlockContext(self._coin.chain_id, tip.height + 1, median))
        if claim.asset is None:
            return None
        view = claims.view(conn, spend.sender, claim.asset, spend.sequence)
        if view is None:
            raise UnknownAsset("there is no confirmed asset of this id", found=claim.asset.hex())
        if isinstance(spend, Mint):
            check_issuer(spend, view.issuer)
            check_max_supply(spend, view.room - view.pool_mints)
        return view

    def _check_fee(self, transfer: Spend, view: SenderView) -> None:
        portions = -(-codec.transaction_size(transfer) // FEE_PORTION)
        least = self._min_fee * portions
        if transfer.fee < least:
            raise FeeTooLow(
                f"this node asks a fee of at least {self._coin.in_coins(least)}", expected=least, found=transfer.fee
            )
        if view.slot_txid is not None:
            least = max(view.slot_fee + portions, -(-view.slot_fee * 11 // 10))
            if transfer.fee < least:
                raise FeeTooLow(
                    f"another transfer has sequence {transfer.sequence}: "
                    f"to replace it takes a fee of at least {self._coin.in_coins(least)}",
                    expected=least,
                    found=transfer.fee,
                    replaces=show(view.slot_txid),
                )

    def _check_funds(self, transfer: Spend, view: SenderView) -> None:
        free = view.account.balance - (view.pool_cost - view.slot_cost)
        if transfer.cost > free:
            raise self.unfunded(transfer, view.account.balance, free)

    def unfunded(self, transfer: Spend, balance: int, free: int) -> InsufficientFunds:
        """The error of a spend that costs more than the sender has. `free`: of `balance`, what is not spoken for."""
        has, spendable, cost = map(self._coin.in_coins, (balance, free, transfer.cost))
        return InsufficientFunds(
            f"the sender has {has} confirmed, of which {spendable} are not spoken for; amount and fee are {cost}",
            expected=f"at most {free}",
            found=transfer.cost,
        )


def _check_sequence(transfer: Spend, view: SenderView) -> None:
    if transfer.sequence < view.account.sequence:
        raise BadSequence(
            f"the sender's sequence {transfer.sequence} is used: the next one is {view.account.sequence}",
            expected=view.run_end,
            found=transfer.sequence,
        )
    if transfer.sequence >= view.account.sequence + MAX_OF_SENDER:
        raise MempoolFull(
            f"the mempool keeps {MAX_OF_SENDER:,} transfers of a sender, and its next one to be confirmed is "
            f"{view.account.sequence}: wait for blocks",
            expected=f"below {view.account.sequence + MAX_OF_SENDER}",
            found=transfer.sequence,
        )
    if transfer.sequence > view.run_end + MAX_GAP:
        raise SequenceGap(
            f"the sender's next sequence is {view.run_end}: {transfer.sequence} is more than {MAX_GAP} ahead",
            expected=f"{view.run_end} to {view.run_end + MAX_GAP}",
            found=transfer.sequence,
        )
