"""The shapes of `/v1`: the only spelling of its JSON keys (`render.py` fills them from the node's own values).

Amounts in base units, times in whole Unix seconds, heights from genesis = 0. Those of mining are in `mining.py`.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from .assets import HeldAsset
from .fields import Address, Bits, Count, Hash, Hex, Json, Units
from .mining import WorkerStatus


class ErrorBody(Struct):
    code: str
    message: str
    details: dict[str, Json]


class Error(Struct):
    """Every answer from 400 up."""

    error: ErrorBody


class CoinSummary(Struct):
    name: str
    symbol: str
    hrp: str
    decimals: Count
    block_time: Count


class CoinFields(Struct):
    """`node.core.coin.Coin.as_json`: exactly what the coin's digest is made of. `rules`: only where they are not 1."""

    name: str
    symbol: str
    hrp: str
    decimals: Count
    message: str
    timestamp: Count
    block_time: Count
    retarget: bool
    difficulty_window: Count
    pow_limit: Bits
    max_block_bytes: Count
    clock_tolerance: Count
    reward: Units
    halving_interval: Count
    max_supply: Units
    premine: list[Annotated[list[Address | Units], Meta(min_length=2, max_length=2)]]
    rules: Count | UnsetType = UNSET


class PoolTotals(Struct):
    """`min_fee`: the least fee of a transfer that this node takes, base units."""

    count: Count
    bytes: Count
    min_fee: Units


class SyncStatus(Struct):
    """A sync under way: headers, then blocks, are checked up to these heights; rates a second, lately."""

    headers_height: Count
    target_height: Count
    connected_height: Count
    blocks_per_second: float
    transfers_per_second: float
    peers: Count


class Status(Struct):
    coin: CoinSummary
    chain_id: Hash
    height: Count
    tip: Hash
    work: Hash
    bits: Bits
    difficulty: float
    issued: Units
    mempool: PoolTotals
    peers: Count
    """How many it knows; of these `peers_connected` answered when they were asked last."""
    peers_connected: Count
    role: str
    """What it does of one chain on several machines: all, api or peer."""
    speaks_to_peers: bool
    """Whether it speaks to other nodes; of several on one database one does."""
    speaker: str | None
    """The URL of the node that speaks to others in this one's place; null where this one does, or none."""
    worker: WorkerStatus
    syncing: bool
    sync: SyncStatus | None
    version: str
    lab: bool
    """Whether it is a node of an experiment, whose links are cut and whose chain goes back at its owner's word."""
    busy: list[str]
    """What callers were refused lately, for all places were taken: names of bounds."""


class Health(Struct):
    """`status`: ok, or failing where the node cannot do its work; `problem`: why. `peers`: of `known` ones `connected`
    answered when they were asked last, which makes no node fail."""

    status: str
    height: Count | None
    database: bool
    writer: bool
    peers: PeerCounts
    busy: list[str]
    problem: str | None


class PeerCounts(Struct):
    known: Count
    connected: Count


class BlockSummary(Struct):
    hash: Hash
    height: Count
    timestamp: Count
    bits: Bits
    nonce: Count
    prev_hash: Hash
    merkle_root: Hash
    version: Count
    work: Hash
    size: Count
    tx_count: Count
    miner: Address
    reward: Units
    fees: Units


class BlockPage(Struct):
    blocks: list[BlockSummary]


class TransactionView(Struct):
    """`kind` is `coinbase` (then sender, sequence, memo and signature are null) or `transfer`; under rules 2 also
    `payment`, `issue`, `mint`, `burn`: these have a `version`, a `witness` and an `asset`, and no signature.

    `amount`: base units of the coin, or units of `asset` where it is not null. A burn has no receiver.
    """

    txid: Hash
    kind: str
    sender: Address | None
    receiver: Address | None
    amount: Units
    fee: Units
    sequence: Count | None
    memo: str | None
    signature: Hex | None
    size: Count
    status: str
    block_hash: Hash | None
    height: Count | None
    position: Count | None
    timestamp: Count | None
    """Of the block."""
    confirmations: Count
    extra: Hex | None = None
    version: Count | UnsetType = UNSET
    """This and what follows: only of versions 2 to 5."""
    asset: Hex | UnsetType | None = UNSET
    """The id of the asset that is issued, moved, minted or burned; null: the coin."""
    witness: Hex | UnsetType = UNSET
    policy: Hex | UnsetType | None = UNSET
    """The sender's policy, where it is a contract: see `POST /v1/policies/decode`."""
    symbol: str | UnsetType = UNSET
    """This and what follows: only of an issue."""
    name: str | UnsetType = UNSET
    decimals: Count | UnsetType = UNSET
    content: Hex | UnsetType = UNSET
    max_supply: Units | UnsetType = UNSET


class BlockStanding(BlockSummary):
    """A block and where it stands, without its transactions. `next_hash`: the main chain's block above it."""

    confirmations: Count
    main_chain: bool
    status: str
    next_hash: Hash | None


class BlockDetail(BlockSummary):
    confirmations: Count
    main_chain: bool
    transactions: list[TransactionView]


class BlockTransactions(Struct):
    """`next`: the position to go on from; null behind the last one."""

    hash: Hash
    height: Count
    tx_count: Count
    transactions: list[TransactionView]
    next: Count | None


class NextBlock(Struct):
    """The block that would be mined now. `size`: bytes of the whole block, at most `max_block_bytes`;
    `least_fee_rate`, `most_fee_rate`: base units per byte that its transfers pay; null where it has none."""

    height: Count
    prev_hash: Hash
    bits: Bits
    difficulty: float
    tx_count: Count
    size: Count
    max_block_bytes: Count
    reward: Units
    fees: Units
    least_fee_rate: float | None
    most_fee_rate: float | None


class TipView(Struct):
    hash: Hash
    height: Count
    work: Hash
    status: str
    fork_height: Count


class Tips(Struct):
    tips: list[TipView]


class Proof(Struct):
    txid: Hash
    block_hash: Hash
    height: Count
    header: Hex
    position: Count
    branch: list[Hash]


class Submitted(Struct):
    txid: Hash
    status: str


class Checked(Struct):
    """`height`, `time`: of `locked`, the greatest that the spend asks of its block; 0 where it asks for none."""

    accepted: bool
    code: str | None
    message: str
    height: Count | UnsetType = UNSET
    time: Count | UnsetType = UNSET


class PoolPage(Struct):
    count: Count
    bytes: Count
    transactions: list[TransactionView]


class Pending(Struct):
    incoming: Units
    outgoing: Units
    next_sequence: Count


class AccountView(Struct):
    """Under rules 2 also the first 20 `assets` that it holds, and whether it holds `more` of them."""

    address: Address
    balance: Units
    sequence: Count
    pending: Pending
    assets: list[HeldAsset] | UnsetType = UNSET
    more: bool | UnsetType = UNSET


class History(Struct):
    transactions: list[TransactionView]
    next: str | None


class PeerView(Struct):
    url: str
    state: str
    height: Count
    work: Hash
    agent: str
    direction: str
    last_seen: Count | None
    latency_ms: Count | None
    score: int


class PeerPage(Struct):
    peers: list[PeerView]


class RemovedPeer(Struct):
    removed: str


class ReorgEvent(Struct):
    """`disconnected` blocks above `fork_height` left the main chain; `height` is the new tip's."""

    fork_height: Count
    disconnected: Count
    old_tip: Hash
    new_tip: Hash
    height: Count


class ResetEvent(Struct):
    """Some events are not told, of any kind: read again what you keep. `height` and `tip` as they are now."""

    reason: str
    height: Count
    tip: Hash


class SessionCode(Struct):
    """`url`: what a browser opens to sign in with the code. On an open development network there is nothing to sign
    in to: then `code` and `expires_in` are null."""

    code: str | None
    expires_in: Count | None
    url: str


class SessionView(Struct):
    """`expires_in`: seconds without a request after which the session ends; null where it has ended."""

    signed_in: bool
    expires_in: Count | None
