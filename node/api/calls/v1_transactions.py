"""Transactions: looked up, proved, submitted, checked; and the mempool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from ...core import codec
from ...core.codec import branch_in, merkle_levels, sha256d, show
from ...core.coin import Coin
from ...core.errors import Malformed, RuleError
from ...core.types import MAX_MEMO, Transfer
from ...service import Node
from ...store import blocks, transactions
from ...store.errors import StoreDamaged
from ...store.unconfirmed import entries, order
from ...system.shares import DEAR_READS, LOOKS, WRITES
from ..endpoint import Binary, Call, OfChain, Reply, endpoint
from ..http.errors import BadField, MalformedTransfer, NotFound, conflict
from ..shapes.render import pool_view, stored_view
from ..shapes.v1 import Checked, PoolPage, Proof, Submitted, TransactionView
from .identify import parse_hash
from .v1_blocks import Limit

TRANSFER_LIMIT = 1_000_000
"""Bytes of a submitted transfer's JSON: more than any has, so that a wrong one is told what is wrong with it."""

# Anything that fits is handed to the rules, whose words are better; the bound is that of a signed 64-bit integer.
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class TransferBody(Struct, forbid_unknown_fields=True):
    """A signed transfer: `raw` alone (its bytes in hex), or every other field. Amounts in base units."""

    raw: Annotated[str, Meta(max_length=2 * codec.MAX_TRANSFER)] | UnsetType = UNSET
    sender: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    receiver: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    amount: Number | UnsetType = UNSET
    fee: Number | UnsetType = UNSET
    sequence: Number | UnsetType = UNSET
    signature: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    memo: Annotated[str, Meta(max_length=1_000)] = ""
    replace: bool = True
    """Whether it may take the place of a waiting one with its sequence; if not, that is 409 `bad_sequence`."""


class PoolQuery(Struct):
    limit: Limit = field(default=100)


def parse_transfer(coin: Coin, body: TransferBody) -> Transfer:
    """The transfer that a body means; no rule is checked. Raises BadField, BadAddress, MalformedTransfer."""
    if body.raw is not UNSET:
        if any(getattr(body, name) is not UNSET for name in _FIELDS) or body.memo:
            raise BadField("raw: give raw alone, or the fields without it", field="raw")
        return decode_raw(_from_hex(body.raw, "raw"))
    missing = [name for name in _FIELDS if getattr(body, name) is UNSET]
    if missing:
        raise BadField(
            f"{', '.join(missing)}: missing (a transfer has them all, or raw)", field=missing[0], missing=missing
        )
    return Transfer(
        sender=coin.payload(body.sender),  # type: ignore[arg-type] # none is UNSET here, nor below
        receiver=coin.payload(body.receiver),  # type: ignore[arg-type]
        amount=body.amount,  # type: ignore[arg-type]
        fee=body.fee,  # type: ignore[arg-type]
        sequence=body.sequence,  # type: ignore[arg-type]
        memo=memo_bytes(body.memo),
        signature=_signature(body.signature),  # type: ignore[arg-type]
    )


_FIELDS = ("sender", "receiver", "amount", "fee", "sequence", "signature")


def memo_bytes(memo: str) -> bytes:
    """A memo's bytes. Raises BadField over 140 of them."""
    raw = memo.encode()
    if len(raw) > MAX_MEMO:
        raise BadField(
            f"memo: {len(raw)} bytes of UTF-8, at most {MAX_MEMO}",
            field="memo",
            expected=f"at most {MAX_MEMO} bytes",
            found=len(raw),
        )
    return raw


def decode_raw(raw: bytes) -> Transfer:
    """Bytes as one transfer. Raises MalformedTransfer (400: unlike a block's, these were not understood at all)."""
    try:
        return codec.decode_spend(raw)
    except Malformed as error:
        raise MalformedTransfer(error.message, **error.details) from None


def _from_hex(text: str, name: str) -> bytes:
    try:
        if text and not text.isalnum():  # fromhex would skip spaces
            raise ValueError
        return bytes.fromhex(text)
    except ValueError:
        raise BadField(f"{name}: not hex", field=name, expected="hex digits, two a byte") from None


def _signature(text: str) -> bytes:
    raw = _from_hex(text, "signature")
    if len(raw) != 64:
        raise BadField("signature: 64 bytes, in hex", field="signature", expected="128 hex digits", found=len(text))
    return raw


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
    body=TransferBody,
    changes=True,
    errors=(409, 422),
    limit=TRANSFER_LIMIT,
)
def submit(node: Node, call: Call[None, TransferBody]) -> Reply:
    transfer = parse_transfer(node.coin, call.body)
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
    body=TransferBody,
    limit=TRANSFER_LIMIT,
    bound=WRITES,
)
def check(node: Node, call: Call[None, TransferBody]) -> Checked:
    transfer = parse_transfer(node.coin, call.body)
    try:
        accepted = node.mempool.check_transfer(transfer, replace=call.body.replace, look=_look(call))
    except RuleError as error:
        return Checked(accepted=False, code=error.code, message=error.message)
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
