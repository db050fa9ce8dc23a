"""The shapes of `/v1`: the only spelling of its JSON keys (`render.py` fills them from the node's own values).

Amounts in base units, times in whole Unix seconds, heights from genesis = 0.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

HASH_PATTERN = "^[0-9a-f]{64}$"
Hash = Annotated[str, Meta(pattern=HASH_PATTERN)]
Bits = Annotated[str, Meta(pattern="^[0-9a-f]{8}$")]
Hex = Annotated[str, Meta(pattern="^([0-9a-f]{2})*$")]
Address = Annotated[str, Meta(max_length=80)]
Units = Annotated[int, Meta(ge=0, le=2**53 - 1, description="base units")]
Count = Annotated[int, Meta(ge=0)]

encode = msgspec.json.Encoder().encode


class ErrorBody(Struct):
    code: str
    message: str
    details: dict[str, Any]


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
    """`node.core.coin.Coin.as_json`: exactly what the coin's digest is made of."""

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


class PoolTotals(Struct):
    """`min_fee`: the least fee of a transfer that this node takes, base units."""

    count: Count
    bytes: Count
    min_fee: Units


class WorkerStatus(Struct):
    alive: bool
    hashrate: float = 0.0
    """Hashes a second."""
    engine: str | None = None
    mode: str | None = None
    """When it mines; null where it has not said."""
    processes: Count = 0
    searching: bool = False
    share: float = 1.0
    """Of the time that it hashes: less than 1 with `--limit`, or on battery."""
    blocks: Count = 0
    """That it found since it began; `stale` others came too late."""
    stale: Count = 0
    stale_share: float = 0.0


class MinerView(Struct):
    """One user of the Stratum server. `work`: sum of its shares' difficulty; `last_share`: Unix seconds."""

    name: str
    hashrate: float
    accepted: Count
    stale: Count
    duplicate: Count
    low_difficulty: Count
    blocks: Count
    work: float
    last_share: Count | None
    connections: int


class StratumStatus(Struct):
    """The Stratum server and the miners that brought it most, as it said some seconds ago; shares since it began."""

    host: str
    port: Count
    connections: Count
    hashrate: float
    accepted: Count
    rejected: Count
    stale: Count
    blocks: Count
    miners: list[MinerView]


class MiningView(Struct):
    """`mode`: what the worker was told last, also while none runs; `stratum`: null where no server runs."""

    mode: str
    worker: WorkerStatus
    stratum: StratumStatus | None


class MiningTemplate(Struct):
    """An unsolved block. Hash `header` with other nonces, timestamps (`min_time` to `max_time`), bits `version_mask`
    of the version, or another `extra`: the coinbase is `coinbase_start`, the length of `extra` as one byte, `extra`;
    `branch` leads from its txid to the Merkle root. `transactions`: all of them, the coinbase first."""

    job: str
    height: Count
    header: Hex
    version: Count
    version_mask: Bits
    prev_hash: Hash
    merkle_root: Hash
    timestamp: Count
    min_time: Count
    max_time: Count
    bits: Bits
    target: Hash
    address: Address
    amount: Units
    coinbase_start: Hex
    extra: Hex
    branch: list[Hash]
    transactions: list[Hex]


class BlockOutcome(Struct):
    """What became of a block: `status` as for `/p2p/block`."""

    status: str
    hash: Hash
    height: Count | None


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
    worker: WorkerStatus
    syncing: bool
    sync: SyncStatus | None
    version: str


class Health(Struct):
    status: str
    height: Count


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
    """`kind` is `coinbase` (then sender, sequence, memo and signature are null) or `transfer`."""

    txid: Hash
    kind: str
    sender: Address | None
    receiver: Address
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


class BlockDetail(BlockSummary):
    confirmations: Count
    main_chain: bool
    transactions: list[TransactionView]


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
    accepted: bool
    code: str | None
    message: str


class PoolPage(Struct):
    count: Count
    bytes: Count
    transactions: list[TransactionView]


class Pending(Struct):
    incoming: Units
    outgoing: Units
    next_sequence: Count


class AccountView(Struct):
    address: Address
    balance: Units
    sequence: Count
    pending: Pending


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


class Job(Struct):
    job: str
    state: str
    wanted: Count
    mined: Count
    address: Address | None
    message: str
    last_hash: Hash | None
    created_at: Count
    updated_at: Count


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
