"""The shapes of the tutorial's calls, in its words: `index` = height + 1, `proof`, `chain`; amounts in coins.

An amount is an exact JSON number: the digits that were sent are read, and the digits are written; no float.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from ...core import codec
from ...core.assets import asset_of
from ...core.codec import show
from ...core.coin import Coin, format_amount
from ...core.types import Block, Burn, Coinbase, Envelope, Transaction
from .fields import Count, Hash, Hex, Units
from .render import address

Coins = Annotated[Raw, Meta(extra_json_schema={"type": "number", "minimum": 0, "description": "coins"})]


def write_coins(units: int, decimals: int) -> Raw:
    """Base units as a JSON number of coins."""
    return Raw(format_amount(units, decimals).encode())


class TutorialTransaction(Struct):
    """`asset`, `units`: of a transaction that moves an asset, whose `amount` of coins is 0. A burn's receiver is
    `burned`."""

    sender: str
    receiver: str
    amount: Coins
    fee: Coins
    memo: str
    txid: Hash
    asset: Hex | UnsetType = UNSET
    units: Units | UnsetType = UNSET


class TutorialBlock(Struct):
    """`index` is the tutorial's count, from 1; `height` is what the log and `/v1` count by, from 0."""

    index: Annotated[int, Meta(ge=1)]
    height: Count
    timestamp: str
    proof: Count
    previous_hash: Hash
    hash: Hash
    transactions: list[TutorialTransaction]


class ChainPage(Struct, omit_defaults=True):
    """`length`: of the whole chain; `next`: the index that the next page begins `from`, where there is more."""

    chain: list[TutorialBlock]
    length: Count
    next: int | None = None


class MinedBlock(TutorialBlock):
    message: str = ""


class MiningJob(Struct):
    message: str
    job: str


class Validity(Struct):
    """`height` and `index`: of the tip, or of the block that is not valid."""

    valid: bool
    message: str
    index: Count
    height: Count


class AddTransactionBody(Struct):
    """`sender` and `receiver`: names of this node's wallet, or addresses; `amount` and `fee` in coins.

    `from` is taken for `sender`, `recipient` and `to` for `receiver`; other keys are left out.
    """

    spellings: ClassVar[Mapping[str, str]] = {
        "from": "sender",
        "to": "receiver",
        "recipient": "receiver",
        "reciever": "receiver",
    }
    """As copies of the tutorial have them, in any case (`Sender` too)."""
    sender: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    receiver: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    amount: Coins | UnsetType = UNSET
    fee: Coins | UnsetType = UNSET
    memo: Annotated[str, Meta(max_length=1_000)] = ""


class MadeAccount(Struct, omit_defaults=True):
    """An account that was made for this call, or given its first `coins`: by the faucet, in the block at `index`."""

    name: str
    address: str
    coins: Coins | UnsetType = UNSET
    index: Count | UnsetType = UNSET
    height: Count | UnsetType = UNSET


class AddedTransaction(Struct, omit_defaults=True):
    """`index` and `height`: of the next block. `made`: accounts that came to be by this call."""

    message: str
    index: Count
    height: Count
    txid: Hash
    made: list[MadeAccount] = []


NodeUrl = Annotated[str, Meta(max_length=1000, description="a node's URL, such as http://127.0.0.1:5002")]


class ConnectNodeBody(Struct):
    """`node`: URLs of nodes, or one URL. `nodes` is taken for `node`; other keys are left out."""

    spellings: ClassVar[Mapping[str, str]] = {"nodes": "node"}
    node: Annotated[
        Annotated[list[NodeUrl], Meta(max_length=64)] | NodeUrl | UnsetType | None,
        Meta(description="a list of at most 64 URLs, such as http://127.0.0.1:5002, or one of them"),
    ] = UNSET


class FailedNode(Struct):
    node: str
    code: str
    message: str


class ConnectedNodes(Struct, omit_defaults=True):
    """`nodes`: every node that is known now, as host:port; `failed`: those of this call that were not taken."""

    message: str
    nodes: list[str]
    failed: list[FailedNode] = []


class ReplacedChain(Struct, omit_defaults=True):
    """`asked`, `answered`: nodes."""

    message: str
    new_chain: list[TutorialBlock]
    asked: Count
    answered: Count
    next: int | None = None


def tutorial_block(coin: Coin, block: Block, block_hash: bytes, height: int) -> TutorialBlock:
    """A block of the main chain in the tutorial's words."""
    return TutorialBlock(
        index=height + 1,
        height=height,
        timestamp=datetime.fromtimestamp(block.header.timestamp, UTC).isoformat(),
        proof=block.header.nonce,
        previous_hash=show(block.header.prev_hash),
        hash=show(block_hash),
        transactions=[_transaction(coin, transaction) for transaction in block.transactions],
    )


def _transaction(coin: Coin, transaction: Transaction) -> TutorialTransaction:
    spend = None if isinstance(transaction, Coinbase) else transaction
    asset = asset_of(coin.chain_id, transaction) if isinstance(transaction, Envelope) else None
    return TutorialTransaction(
        sender="coinbase" if spend is None else address(coin, spend.sender),
        receiver="burned" if isinstance(transaction, Burn) else address(coin, transaction.receiver),
        amount=write_coins(transaction.amount if asset is None else 0, coin.decimals),
        fee=write_coins(0 if spend is None else spend.fee, coin.decimals),
        memo="" if spend is None else spend.memo.decode(),
        txid=show(codec.txid(transaction)),
        asset=UNSET if asset is None else asset.hex(),
        units=UNSET if asset is None else transaction.amount,
    )
