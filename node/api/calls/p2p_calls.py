"""What nodes ask each other. Shapes and framing are those of `node.p2p.peer.wire`, which the other side reads with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Final

from msgspec import Meta, Struct
from sqlalchemy import Connection

from .... import __version__
from ...chain.mempool import AT_ONCE, Accepted
from ...chain.outcomes import Extended, Orphan, Reorganized
from ...core import codec
from ...core.codec import show, show_work, unshow
from ...core.errors import Malformed, RuleError
from ...p2p.gossip.gossip import Caller
from ...p2p.peer import wire
from ...p2p.peer.urls import MAX_URL, parse_peer_url
from ...p2p.table.reach import own_url
from ...service import Node
from ...store import blocks
from ...store.peers import PeerRow
from ...store.unconfirmed import order
from ...system.network import is_loopback, unmapped
from ...system.shares import CALLBACKS, DEAR_READS, DELIVERIES
from ..endpoint import Binary, Call, endpoint
from ..http.errors import BadField, BlockOverCap, MalformedTransfer, NotTheCaller
from ..http.large import LARGE

MAX_LOCATOR: Final = 101
MAX_TRANSACTIONS: Final = 1_000_000
"""Bytes of transfers in one call."""
_SLACK: Final = 65_536
"""Bytes over the size limit of a block that are still read, so that a block a little too large meets the rule."""
_SHARED_PEERS: Final = 100


# A newer node may say more than these name: unlike those of people's requests, unknown keys are passed over.
class LocatorBody(Struct):
    """Hashes of the caller's main chain, newest first."""

    locator: Annotated[list[wire.Hash], Meta(max_length=MAX_LOCATOR)]


class BlocksBody(Struct):
    hashes: Annotated[list[wire.Hash], Meta(min_length=1, max_length=wire.MAX_BLOCKS)]


class ConnectBody(Struct):
    url: Annotated[str, Meta(min_length=1, max_length=MAX_URL)]
    chain_id: wire.Hash
    node_id: wire.NodeId


class Connected(Struct):
    url: str
    state: str


def agent() -> str:
    """The software and its version, as a hello names them."""
    return f"moneyer/{__version__}"


@endpoint("GET", "/p2p/hello", "Who this node is, and how far its chain has come", reply=wire.Hello, is_health=True)
def hello(node: Node, call: Call[None, None]) -> wire.Hello:
    with node.store.read() as conn:
        tip = blocks.tip(conn)
    return wire.Hello(
        protocol=wire.PROTOCOL,
        chain_id=show(node.coin.chain_id),
        node_id=node.node_id,
        height=tip.height,
        tip=show(tip.block_hash),
        work=show_work(tip.work),
        agent=agent(),
        url=own_url(node.config),
        symbol=node.coin.symbol,
        rules=node.coin.rules,
    )


@endpoint(
    "POST",
    "/p2p/connect",
    "The caller wants to be a peer; it is called back at its own address before it is believed",
    reply=Connected,
    body=ConnectBody,
    changes=True,
    errors=(403, 422, 503),
    bound=CALLBACKS,
)
def connect(node: Node, call: Call[None, ConnectBody]) -> Connected:
    url = parse_peer_url(call.body.url)
    if not _is_callers(url.host, call.remote):
        raise NotTheCaller(
            "name your own address: a node is called back only where it calls from", expected=call.remote
        )
    node.peers.offenders.check(call.remote)
    row: PeerRow = node.peers.add(url.url, inbound=True)
    return Connected(row.url, row.state)


def _is_callers(host: str, remote: str) -> bool:
    """Whether `host` is the address that a call came from; no name is looked up for a stranger."""
    if host == "localhost":
        return is_loopback(remote)
    try:
        return ip_address(host) == unmapped(ip_address(remote))
    except ValueError:
        return False


@endpoint(
    "GET",
    "/p2p/peers",
    "URLs of peers that this node knows and that answered; and the nodes that it is linked with",
    reply=wire.PeersAnswer,
)
def share_peers(node: Node, call: Call[None, None]) -> wire.PeersAnswer:
    rows = [row for row in node.peers.listed() if row.last_seen is not None]
    rows.sort(key=lambda row: row.last_seen or 0, reverse=True)
    links = [
        wire.Neighbour(live.node_id, url, live.height, show(live.tip), show_work(live.work), live.agent)
        for url, live in node.gossip.live().items()
        if live.tip
    ]
    return wire.PeersAnswer([row.url for row in rows[:_SHARED_PEERS]], links[: wire.MAX_NEIGHBOURS])


@endpoint(
    "POST",
    "/p2p/headers",
    "80-byte headers that follow the first locator hash found on the main chain, at most 2,000",
    reply=Binary("headers of 80 bytes, end to end"),
    body=LocatorBody,
    bound=DEAR_READS,
)
def headers(node: Node, call: Call[None, LocatorBody]) -> bytes:
    locator = [unshow(block_hash) for block_hash in call.body.locator]
    with node.store.read() as conn:
        return b"".join(blocks.headers_after(conn, locator, wire.MAX_HEADERS))


@endpoint(
    "POST",
    "/p2p/blocks",
    "Whole blocks in the order asked, cut after 8 MB, one at least",
    reply=Binary("for each: u32 length (little-endian; 0 where the block is not here), then the block"),
    body=BlocksBody,
    bound=DEAR_READS,
)
def send_blocks(node: Node, call: Call[None, BlocksBody]) -> bytes:
    hashes = call.body.hashes
    if len(set(hashes)) < len(hashes):
        raise BadField("hashes: each block is sent once: name each hash once", field="hashes")
    with node.store.read() as conn:
        answer = wire.frame_blocks(_gather(conn, call))
    if call.sender:
        node.gossip.fetched(Caller(call.sender, call.remote), list(map(unshow, hashes)))
    return answer


def _gather(conn: Connection, call: Call[None, BlocksBody]) -> Iterator[bytes | None]:
    """Yields the blocks. Once they make a large answer, takes a place for one; raises NoPlace before more is read."""
    size = 0
    for block_hash in call.body.hashes:
        raw = blocks.raw(conn, unshow(block_hash))
        size += len(raw or b"")
        if size >= LARGE:
            call.parts.flights.expect_large(call.flight)
        yield raw


@endpoint(
    "POST",
    "/p2p/block",
    "One new block",
    reply=wire.BlockAnswer,
    body=Binary("one block", BlockOverCap),
    changes=True,
    errors=(422,),
    limit=lambda coin: coin.max_block_bytes + _SLACK,
    bound=DELIVERIES,
)
def take_block(node: Node, call: Call[None, bytes]) -> wire.BlockAnswer:
    caller = Caller(call.sender, call.remote)
    node.peers.offenders.check(call.remote)
    if call.sender:  # a node: it has the block, and need not be sent it
        node.gossip.heard_block(caller, call.body)
    try:
        outcome = node.chain.accept_block(call.body, int(time.time()), remote=call.remote)
    except RuleError as error:
        node.peers.offenders.sent_block(call.remote, error)
        raise
    if isinstance(outcome, Orphan):
        node.gossip.heard_orphan(caller)
    elif isinstance(outcome, Extended | Reorganized):
        node.gossip.delivered(caller)
    return wire.BlockAnswer(outcome.status)


@endpoint(
    "POST",
    "/p2p/transactions",
    "Transfers end to end",
    reply=wire.TransactionsAnswer,
    body=Binary("signed transfers, end to end"),
    changes=True,
    limit=MAX_TRANSACTIONS,
    bound=DELIVERIES,
)
def take_transactions(node: Node, call: Call[None, bytes]) -> wire.TransactionsAnswer:
    node.peers.offenders.check(call.remote)
    caller = Caller(call.sender, call.remote)
    try:
        with node.mempool.computing:
            transfers = codec.decode_spends(call.body, rules=node.coin.rules)
            node.gossip.heard_transfers(caller, transfers)
    except Malformed as error:
        node.peers.offenders.sent_transfers(call.remote, [error.code])
        raise MalformedTransfer(error.message, **error.details) from None
    answers = [
        answer
        for start in range(0, len(transfers), AT_ONCE)
        for answer in node.mempool.accept_transfers(transfers[start : start + AT_ONCE])
    ]
    with node.mempool.computing:
        rejected = [
            wire.Rejected(show(codec.txid(transfer)), answer.code)
            for transfer, answer in zip(transfers, answers, strict=True)
            if isinstance(answer, RuleError)
        ]
    node.peers.offenders.sent_transfers(call.remote, [each.code for each in rejected])
    if any(isinstance(answer, Accepted) and not answer.known for answer in answers):
        node.gossip.delivered(caller)
    return wire.TransactionsAnswer(accepted=len(answers) - len(rejected), rejected=rejected)


@endpoint(
    "GET",
    "/p2p/mempool",
    "The mempool, best-paying first",
    reply=Binary("signed transfers, end to end"),
    bound=DEAR_READS,
)
def send_mempool(node: Node, call: Call[None, None]) -> bytes:
    parts, size = [], 0
    with node.store.read() as conn:
        for raw in order.raws_by_fee_rate(conn, wire.MAX_MEMPOOL_BYTES // codec.least_spend(node.coin.rules)):
            size += len(raw)
            if size > wire.MAX_MEMPOOL_BYTES:
                break
            parts.append(raw)
    return b"".join(parts)
