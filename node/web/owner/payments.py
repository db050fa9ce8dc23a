"""A payment from the node's wallet: what it costs, and sending it once."""

from __future__ import annotations

from dataclasses import dataclass

from ...api.calls.tutorial_wallet import send_as
from ...api.calls.v1_transactions import PoolQuery, pool, show_transaction
from ...api.http.errors import NotFound
from ...core import codec
from ...core.codec import TRANSFER_BASE, show
from ...core.errors import BadSequence, RuleError
from ...core.types import Spend, Transfer
from ...wallet.errors import KeyUsed
from ...wallet.private_files import locked
from ...wallet.sent import forget, keep, recall
from ..frame.pages import Visit, content_of

_LOOKED_AT = 1_000
"""Transfers of the mempool by which fees are chosen: those that pay most for a byte."""


@dataclass(frozen=True, slots=True)
class Payment:
    """What is to be paid. Amounts in base units, accounts as payloads."""

    sender: bytes
    receiver: bytes
    amount: int
    fee: int
    memo: bytes

    @classmethod
    def of(cls, spend: Spend) -> Payment:
        """What a signed transfer pays. Raises KeyUsed for another version, which no form of coins signs."""
        if not isinstance(spend, Transfer):
            raise KeyUsed(
                f"under this form's key something else was signed before (txid {show(codec.txid(spend))}): nothing was "
                "sent now. Begin a new one"
            )
        return cls(spend.sender, spend.receiver, spend.amount, spend.fee, spend.memo)


@dataclass(frozen=True, slots=True)
class Fees:
    """The fees that a sender chooses from, in base units."""

    least: int
    """The least that this node takes: 0 on a development network."""
    normal: int
    """Gets a transfer into the next block, as it looks now."""
    fast: int
    """More for each byte than nearly all that waits."""

    def of(self, speed: str) -> int:
        """`least`, `normal` or `fast`."""
        return {"least": self.least, "fast": self.fast}.get(speed, self.normal)


def fees(visit: Visit[object], memo_bytes: int) -> Fees:
    """Of a transfer, by what waits in the mempool now."""
    return fees_of_size(visit, TRANSFER_BASE + memo_bytes)


def fees_of_size(visit: Visit[object], size: int) -> Fees:
    """Of a transaction of so many bytes."""
    from ...client.client import least_fee, next_block_fee

    found, _ = content_of(visit.ask(pool, PoolQuery(limit=_LOOKED_AT)))
    waiting = [{"fee": each.fee, "size": each.size} for each in found.transactions]
    least = visit.node.config.min_fee
    normal = next_block_fee(waiting, found.bytes, size, max_block_bytes=visit.node.coin.max_block_bytes, least=least)
    fast = max(2 * normal, normal + 1)
    if waiting:
        one = waiting[len(waiting) // 10]  # nine of ten pay less for a byte
        fast = max(fast, -(-one["fee"] * size * 11 // (one["size"] * 10)) + 1)
    return Fees(least_fee(least, size), normal, fast)


def pay(visit: Visit[object], payment: Payment, key: str) -> str:
    """Sign and submit a payment; its txid. Under a `key` that was used, the same transfer is submitted again.

    The transfer is on the disk before it is submitted, so that a crash in between leads to no second one. Raises
    KeyUsed where something else was paid under the key, WalletError, RuleError, StoreUnavailable, OSError.
    """
    node = visit.node
    data, chain_id = node.config.data, node.coin.chain_id
    with locked(data):
        kept = recall(data, key, chain_id)
        if kept is not None:
            return _again(visit, payment, kept)
        secret = node.wallet.secret_for(payment.sender)
        try:
            accepted = send_as(
                node,
                visit.call.parts,
                secret,
                payment.sender,
                payment.receiver,
                payment.amount,
                payment.fee,
                payment.memo,
                signed=lambda transfer: keep(data, key, chain_id, transfer),
            )
        except RuleError:
            forget(data, key)
            raise
    return show(accepted.txid)


@dataclass(frozen=True, slots=True)
class Sent:
    """A transfer that was signed by a form."""

    txid: str
    payment: Payment
    arrived: bool
    """Whether it waits or is confirmed here: a disk that was full, or a kill, may have come in between."""


def sent_before(visit: Visit[object], key: str) -> Sent | None:
    """What was sent under a form's key; None where nothing was."""
    data = visit.node.config.data
    with locked(data):
        kept = recall(data, key, visit.node.coin.chain_id)
    if kept is None:
        return None
    txid = show(codec.txid(kept))
    try:
        visit.ask(show_transaction, txid=txid)
    except NotFound:
        return Sent(txid, Payment.of(kept), arrived=False)
    return Sent(txid, Payment.of(kept), arrived=True)


def _again(visit: Visit[object], payment: Payment, kept: Spend) -> str:
    txid = show(codec.txid(kept))
    if payment != Payment.of(kept):
        raise KeyUsed(
            f"this form was sent before, with other values (transfer {txid}): nothing more was sent. Begin a new one",
            txid=txid,
        )
    try:
        visit.node.mempool.accept_transfer(kept, replace=False)  # one that is known is no error
    except BadSequence:
        raise KeyUsed(
            f"what was signed by this form (transfer {txid}) can't be taken any more, because another transfer of the "
            "same account came first: it was not paid. Begin a new one",
            txid=txid,
        ) from None
    return txid
