"""The shapes of mining in `/v1`: the worker, the Stratum server, templates and jobs. Units as in `shapes.v1`."""

from __future__ import annotations

from msgspec import Struct

from .fields import Address, Bits, Count, Hash, Hex, Units


class WorkerStatus(Struct):
    """The workers of this chain that live, as one. Where there are several, on a server's database: `engine`, `mode`
    and `share` are those of one that searches, and the numbers are sums."""

    alive: bool
    count: Count = 1
    """How many."""
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
    """The Stratum server and the miners that brought it most, as it said some seconds ago; shares since it began.

    Where there are several, on a server's database: `host` and `port` are those of the first, the numbers are sums."""

    host: str
    port: Count
    connections: Count
    hashrate: float
    accepted: Count
    rejected: Count
    stale: Count
    blocks: Count
    miners: list[MinerView]
    servers: Count = 1
    """How many."""


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
