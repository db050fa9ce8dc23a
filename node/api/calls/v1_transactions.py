"""Transactions: looked up, proved, submitted, checked; and the mempool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct, field

from ...core import codec
from ...core.codec import branch_in, merkle_levels, sha256d, show
from ...core.coin import Coin
from ...core.errors import Locked, RuleError
from ...service import Node
from ...store import blocks, transactions
from ...store.errors import StoreDamaged
from ...store.unconfirmed import entries, order
from ...system.shares import DEAR_READS, LOOKS, WRITES
from ..endpoint import Binary, Call, OfChain, Reply, endpoint
from ..http.errors import NotFound, conflict
from ..parts.spend_bodies import SpendBody, parse_spend
from ..shapes.render import pool_view, stored_view
from ..shapes.v1 import Checked, PoolPage, Proof, Submitted, TransactionView
from .identify import parse_hash
from .v1_blocks import Limit

TRANSFER_LIMIT = 1_000_000
"""Bytes of a submitted transfer's JSON: more than any has, so that a wrong one is told what is wrong with it."""


class PoolQuery(Struct):
    limit: Limit = field(default=100)


@contextmanager
def _look(call: Call[object, object]) -> Iterator[None]:
    """While a call's transfer is looked at. Raises NoPlace, CallerGone."""
    flights = call.parts.flights
    with flights.work(call.flight, flights.places.of(LOOKS)):
        yield


@endpoint(
    "POST",
    "/v1/transactions",
    "Submit a signed transfer: 201, or 200 where it is known",
    reply=Submitted,
    status=201,
    also={200: Submitted},
    body=SpendBody,
    changes=True,
    errors=(409, 422),
    limit=TRANSFER_LIMIT,
)
def submit(node: Node, call: Call[None, SpendBody]) -> Reply:
    transfer = parse_spend(node.coin, call.body)
    try:
        accepted = node.mempool.accept_transfer(transfer, replace=call.body.replace, look=_look(call))
    except RuleError as error:
        raise conflict(error) from None
    return Reply(200 if accepted.known else 201, Submitted(show(accepted.txid), accepted.status))


@endpoint(
    "POST",
    "/v1/transactions/check",
    "Whether a signed transfer would be taken; changes nothing",
    reply=Checked,
    body=SpendBody,
    limit=TRANSFER_LIMIT,
    bound=WRITES,
)
def check(node: Node, call: Call[None, SpendBody]) -> Checked:
    transfer = parse_spend(node.coin, call.body)
    try:
        accepted = node.mempool.check_transfer(transfer, replace=call.body.replace, look=_look(call))
    except RuleError as error:
        locks = {name: error.details[name] for name in ("height", "time") if error.code == Locked.code}
        return Checked(accepted=False, code=error.code, message=error.message, **locks)
    return Checked(accepted=True, code=None, message=f"it would be taken, and be {accepted.status}")


@endpoint(
    "GET",
    "/v1/transactions/{txid}",
    "A transaction, confirmed or in the mempool",
    reply=TransactionView,
    errors=(404,),
    kept=True,
)
def show_transaction(node: Node, call: Call[None, None]) -> TransactionView | OfChain[TransactionView]:
    txid = parse_hash(call.path["txid"], "txid")
    with node.store.read() as conn:
        found = transactions.get(conn, txid)
        if found is not None:
            tip = blocks.tip_id(conn)
            return OfChain(confirmed_view(node.coin, found, tip.height), tip.block_hash)
        row = entries.get(conn, txid)
    if row is None:
        raise _no_transaction(txid)
    return pool_view(node.coin, row)


@endpoint(
    "GET",
    "/v1/transactions/{txid}/raw",
    "The transaction's bytes, as on the wire; its txid is their hash",
    reply=Binary("one transaction"),
    errors=(404,),
)
def raw_transaction(node: Node, call: Call[None, None]) -> bytes:
    txid = parse_hash(call.path["txid"], "txid")
    with node.store.read() as conn:
        found = transactions.get(conn, txid)
        row = entries.get(conn, txid) if found is None else None
    if found is not None:
        return found.raw
    if row is not None:
        return codec.encode_transaction(row.transfer)
    raise _no_transaction(txid)


def _no_transaction(txid: bytes) -> NotFound:
    return NotFound("this node knows no transaction of that txid", txid=show(txid))


def confirmed_view(coin: Coin, found: transactions.Confirmed, tip: int) -> TransactionView:
    """`tip`: height of the tip."""
    place = (show(found.block_hash), *found.place)
    return stored_view(coin, found.raw, "confirmed", place, found.timestamp, tip - found.place.height + 1)


@endpoint(
    "GET",
    "/v1/transactions/{txid}/proof",
    "A Merkle proof that a confirmed transaction stands in its block",
    reply=Proof,
    errors=(404,),
    bound=DEAR_READS,
)
def proof(node: Node, call: Call[None, None]) -> Proof:
    txid = parse_hash(call.path["txid"], "txid")
    trees = call.parts.merkle_trees
    with node.store.read() as conn:
        place = transactions.find(conn, txid)
        if place is None:
            raise NotFound("no confirmed transaction has that txid", txid=show(txid))
        row = blocks.by_height(conn, place.height)
        assert row is not None  # noqa: S101 - the place was read in the same snapshot
        tree = trees.get(row.block_hash)
        raws = transactions.of_block(conn, row.joined) if tree is None else []
    if tree is None:
        tree = merkle_levels([sha256d(raw) for raw in raws])
        if list(tree[-1]) != [row.header.merkle_root]:
            raise StoreDamaged(f"the body of block {show(row.block_hash)} is not the one of its header")
        trees.keep(row.block_hash, tree)
    return Proof(
        txid=show(txid),
        block_hash=show(row.block_hash),
        height=row.height,
        header=codec.encode_header(row.header).hex(),
        position=place.position,
        branch=[show(sibling) for sibling in branch_in(tree, place.position)],
    )


@endpoint(
    "GET",
    "/v1/mempool",
    "What waits for a block, by fee per byte",
    reply=PoolPage,
    query=PoolQuery,
    bound=DEAR_READS,
    kept=True,
)
def pool(node: Node, call: Call[PoolQuery, None]) -> PoolPage:
    with node.store.read() as conn:
        count, size = entries.totals(conn)
        rows = order.by_fee_rate(conn, call.query.limit)
    return PoolPage(count, size, [pool_view(node.coin, row) for row in rows])
