"""The shapes of what pages draw from: `/v1/tree` and its neighbours. Units are those of `v1.py`."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from .fields import Address, Count, Hash, Units


class TreeBlock(Struct):
    """`status`: active (on the main chain), side_branch, invalid. `miner`: null where no body was kept."""

    hash: Hash
    prev_hash: Hash
    height: Count
    status: str
    main_chain: bool
    timestamp: Count
    work: Hash
    tx_count: Count
    miner: Address | None


class Tree(Struct):
    """`truncated`: some blocks beside the main chain were left out, since there are too many."""

    blocks: list[TreeBlock]
    truncated: bool


class Series(Struct, omit_defaults=True):
    """A value a point, of those that were asked for; each is of the blocks behind the point before, up to this one.

    `block_time`: seconds a block, `hash_rate`: hashes a second, null where the clock did not go on. `transactions`
    (without coinbases), `fees` and `size` (bytes) are sums. `difficulty` and `issued` are as of the point's block.
    """

    block_time: list[float] | UnsetType = UNSET
    difficulty: list[float] | UnsetType = UNSET
    hash_rate: list[float | None] | UnsetType = UNSET
    transactions: list[Count] | UnsetType = UNSET
    fees: list[Count] | UnsetType = UNSET
    issued: list[Units] | UnsetType = UNSET
    size: list[Count] | UnsetType = UNSET


class Stats(Struct):
    """Columns of equal length. `from` to `to`: the heights that the points lie between; `step`: blocks a point."""

    from_: Count = field(name="from")
    to: Count
    step: Count
    heights: list[Count]
    timestamps: list[Count]
    series: Series


class RichAccount(Struct):
    """`share`: of all that is issued, in millionths, rounded down."""

    address: Address
    balance: Units
    sequence: Count
    share: Count


class Rich(Struct):
    """`accounts_count`: addresses that this node's chain has used, emptied ones too."""

    accounts: list[RichAccount]
    accounts_count: Count
    issued: Units


class Found(Struct):
    """`kind`: block, transaction, address or asset. `id`: its hash, txid, address or id. `url`: the path of its page.

    `height`: of a block, or of the block that it stands in. `status`: of a block as in `/v1/tree`, of a transaction as
    in `/v1/transactions/{txid}`; else null. `name`: of an address, told to the owner only. `symbol`: of an asset.
    """

    kind: str
    id: str
    url: str
    height: Count | None = None
    status: str | None = None
    name: str | None = None
    symbol: str | UnsetType = UNSET


class Search(Struct):
    """`looked_for`: what the text was taken for, each in a sentence. `truncated`: there is more than `results` has."""

    query: str
    results: list[Found]
    looked_for: list[str]
    truncated: bool


class NetworkNode(Struct):
    """`id`: its node_id, or its URL where that is not known. `state`: of a peer as in `/v1/peers`, else self or told:
    of a told one only peers tell. `lag`: blocks that it is behind the highest of this node and its connected peers.

    What is null is not known. All but the state is as the node itself, or for a told one a peer, says.
    """

    id: Annotated[str, Meta(max_length=200)]
    url: str | None
    is_self: bool
    state: str
    height: Count | None
    lag: Count | None
    tip: Hash | None
    work: Hash | None
    agent: str | None
    latency_ms: Count | None
    last_seen: Count | None


class NetworkLink(Struct):
    """`from` is linked with `to`; `mutual`: `to` with `from`, too, as far as this node is told."""

    from_: str = field(name="from")
    to: str
    mutual: bool


class Network(Struct):
    """This node first, then its peers, the connected ones before the others, then the nodes that these tell of."""

    nodes: list[NetworkNode]
    links: list[NetworkLink]
    best_height: Count
    truncated: bool


class GraphNode(Struct):
    """A node of the graph that this node belongs to. `state`: up, stopped (nothing listens there), silent.

    `lag`: blocks that it is behind the highest of them. What is null is not known.
    """

    name: str
    url: str
    is_self: bool
    mines: bool
    state: str
    height: Count | None
    lag: Count | None
    tip: Hash | None
    work: Hash | None


class GraphEdge(Struct):
    """A connection of the graph, with its conditions, which are the same in both directions.

    `state`: open; cut; down, where one of its nodes is not up.
    """

    from_: str = field(name="from")
    to: str
    state: str
    latency_ms: float
    loss: float
    rate: int | None


class NetworkGraph(Struct):
    """The network that was made from a graph: all its nodes, those too that are stopped or cut off. In its order."""

    graph: str
    nodes: list[GraphNode]
    edges: list[GraphEdge]
    best_height: Count
