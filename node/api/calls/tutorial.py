"""The calls of a beginner's tutorial, such as `/get_chain`: in its words, and in coins (`shapes.tutorial`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Final, cast

import msgspec
from msgspec import UNSET, Meta, Raw, Struct

from ...core.codec import show
from ...core.coin import parse_amount
from ...core.errors import BadAmount, RuleError
from ...p2p.peer.errors import PeerError
from ...p2p.peer.urls import MAX_URL, parse_peer_url
from ...p2p.sync.sync import ReplaceOutcome
from ...service import Node
from ...store import blocks, mining
from ...store.blocks import BlockRow
from ...store.engine import Store
from ...system.shares import BLOCK_WAITS, CHAIN_CHECKS, DEAR_READS, PEER_WAITS, WRITES, NoPlace
from ...system.text import shown
from ..endpoint import Call, Reply, endpoint
from ..http.errors import BadField, JobFailed, MissingFields, NoNode, conflict
from ..parts.spend_bodies import memo_bytes
from ..shapes.fields import encode
from ..shapes.render import address
from ..shapes.tutorial import (
    AddedTransaction,
    AddTransactionBody,
    ChainPage,
    ConnectedNodes,
    ConnectNodeBody,
    FailedNode,
    MadeAccount,
    MinedBlock,
    MiningJob,
    ReplacedChain,
    TutorialBlock,
    Validity,
    tutorial_block,
    write_coins,
)
from .tutorial_wallet import FirstUse, find_or_make, give_first_coins, send
from .v1_mining import await_job, await_worker, create_job

CHAIN_LIMIT: Final = 1_000
"""Blocks in an answer unless asked."""
CHAIN_BYTES: Final = 8_000_000
_LONGEST: Final = 40
"""Characters of an amount in coins; no amount that there is needs as many."""
_NUMBER: Final = re.compile(rb"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?")
MINE_SECONDS: Final = 30.0
"""After this the caller is told the job and no longer kept waiting."""


class ChainQuery(Struct):
    from_: Annotated[int, Meta(ge=1, le=2**32)] = msgspec.field(default=1, name="from")
    limit: Annotated[int, Meta(ge=1, le=10_000)] = CHAIN_LIMIT


def _page(store: Store, first: int, limit: int) -> tuple[list[TutorialBlock], int, int | None]:
    """Blocks from index `first` as rendered JSON (at most 8 MB, one at least), the chain's length, and what is next.

    One query, and nothing is rendered within its snapshot: on a rollback journal, whoever writes waits for readers.
    """
    coin = store.coin
    with store.read() as conn:
        length = blocks.tip(conn).height + 1
        found = _at_most(blocks.oldest_whole(conn, first - 1, limit), CHAIN_BYTES)
    rendered: list[msgspec.Raw] = []
    size = 0
    for row, raw in found:
        block = tutorial_block(coin, blocks.decode(raw, row.block_hash), row.block_hash, row.height)
        answer = encode(block)
        size += len(answer) + 1
        if size > CHAIN_BYTES - 1_000 and rendered:
            return cast("list[TutorialBlock]", rendered), length, row.height + 1
        rendered.append(msgspec.Raw(answer))
    following = found[-1][0].height + 2 if found else length + 1
    # As JSON they are what an answer holds; its type says of which shape.
    return cast("list[TutorialBlock]", rendered), length, following if following <= length else None


def _at_most(found: Iterator[tuple[BlockRow, bytes]], most: int) -> list[tuple[BlockRow, bytes]]:
    """The first blocks of `found`, until they are over `most` bytes: as JSON no block is shorter than on the wire."""
    taken, size = [], 0
    for row, raw in found:
        taken.append((row, raw))
        size += len(raw)
        if size > most:
            break
    return taken


@endpoint(
    "GET",
    "/get_chain",
    "The chain, oldest block first: 1,000 blocks unless asked",
    reply=ChainPage,
    query=ChainQuery,
    bound=DEAR_READS,
)
def get_chain(node: Node, call: Call[ChainQuery, None]) -> ChainPage:
    return ChainPage(*_page(node.store, call.query.from_, call.query.limit))


@endpoint(
    "GET POST",
    "/mine_block",
    "Mine one block with what waits in the mempool",
    reply=MinedBlock,
    also={202: MiningJob},
    errors=(503,),
    changes=True,
    token=True,
    bound=None,  # it waits in a place of its own
)
def mine_block(node: Node, call: Call[None, None]) -> MinedBlock | Reply:
    places = call.parts.flights.places
    try:
        place = places.of(BLOCK_WAITS).take(call.remote)
    except NoPlace:  # one more is told its job at once
        with places.of(WRITES).hold(call.remote):
            await_worker(node)
            job = create_job(node, 1, None)
    else:
        try:
            await_worker(node)
            job = await_job(node, create_job(node, 1, None).job_id, MINE_SECONDS, call)
        finally:
            place.release()
    if job.state == mining.FAILED:
        raise JobFailed(f"the block could not be mined: {job.message}", job=job.job_id)
    if job.last_hash is None:
        message = f"the worker is still at it: GET /v1/jobs/{job.job_id} tells how far it is"
        return Reply(202, MiningJob(message, job.job_id))
    with node.store.read() as conn:
        row = blocks.by_hash(conn, job.last_hash)
        if row is None:  # it was written with the job, but the node went back to a snapshot since
            raise JobFailed("the block was mined, and is gone with it: the node went back", job=job.job_id)
        block = tutorial_block(node.coin, blocks.load(conn, row.block_hash), row.block_hash, row.height)
    values = {name: getattr(block, name) for name in block.__struct_fields__}
    return MinedBlock(**values, message="congratulations, you just mined a block!")


@endpoint(
    "GET",
    "/is_valid",
    "Check every block from genesis; within a minute, and at the same tip, the last answer holds",
    reply=Validity,
    errors=(503,),
    same_site=True,
    bound=CHAIN_CHECKS,
)
def is_valid(node: Node, call: Call[None, None]) -> Validity:
    verdict = call.parts.chain_checks.verdict()
    height = verdict.height
    if verdict.problem is not None:
        return Validity(False, f"the chain is not valid: {verdict.problem}", height + 1, height)
    message = f"all good: every block up to index {height + 1} (height {height}) is valid"
    return Validity(True, message, height + 1, height)


def read_coins(number: Raw, field: str, decimals: int) -> int:
    """Base units of a JSON number of coins. Raises BadField."""
    raw = bytes(memoryview(number))
    if len(raw) > _LONGEST or not _NUMBER.fullmatch(raw):
        found = raw[:_LONGEST].decode("utf-8", "replace")
        quotes = ", without quotes" if raw.startswith(b'"') else ""
        raise BadField(
            f"{field} must be a number of coins such as 12.5{quotes}, not {shown(found)}",
            field=field,
            expected="a number from 0 up",
            found=found,
        )
    text = f"{Decimal(raw.decode()):f}"
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    try:
        return parse_amount(
            f"{whole.lstrip('0') or '0'}.{fraction}" if fraction else whole.lstrip("0") or "0", decimals
        )
    except BadAmount as error:
        raise BadField(f"{field}: {error.message}", field=field, **error.details) from None


@endpoint(
    "POST",
    "/add_transaction",
    "Send coins from an account of this node's wallet",
    reply=AddedTransaction,
    status=201,
    body=AddTransactionBody,
    changes=True,
    token=True,
    errors=(409, 422),
)
def add_transaction(node: Node, call: Call[None, AddTransactionBody]) -> AddedTransaction:
    body = call.body
    missing = [name for name in ("sender", "receiver", "amount") if getattr(body, name) is UNSET]
    if missing:
        raise MissingFields(f"some fields are missing: {', '.join(missing)}", missing=missing)
    amount = read_coins(body.amount, "amount", node.coin.decimals)  # type: ignore[arg-type] # not UNSET, see above
    fee = node.config.min_fee if body.fee is UNSET else read_coins(body.fee, "fee", node.coin.decimals)
    memo, first = memo_bytes(body.memo), FirstUse()
    sender = find_or_make(node, str(body.sender), "sender", first)
    receiver = find_or_make(node, str(body.receiver), "receiver", first)
    try:
        give_first_coins(node, call, str(body.sender), sender, amount + fee, first)
        accepted = send(node, call.parts, sender, receiver, amount, fee, memo)
    except RuleError as error:
        raise conflict(error) from None
    with node.store.read() as conn:
        height = blocks.tip(conn).height + 1
    message = f"transaction added in the block {height + 1}"
    return AddedTransaction(message, height + 1, height, show(accepted.txid), _made(node, first))


def _made(node: Node, first: FirstUse) -> list[MadeAccount]:
    made = []
    for name in dict.fromkeys([*first.made, *([first.paid[0]] if first.paid else [])]):
        account = MadeAccount(name, address(node.coin, node.wallet.payload_of(name) or b""))
        if first.paid and first.paid[0] == name:
            _, account_coins, height = first.paid
            account.coins = write_coins(account_coins, node.coin.decimals)
            account.index, account.height = height + 1, height
        made.append(account)
    return made


@endpoint(
    "POST",
    "/connect_node",
    "Connect this node to others",
    reply=ConnectedNodes,
    status=201,
    body=ConnectNodeBody,
    changes=True,
    token=True,
    bound=PEER_WAITS,
    peers=True,
)
def connect_node(node: Node, call: Call[None, ConnectNodeBody]) -> ConnectedNodes:
    given = call.body.node
    urls = [each for each in re.split(r"[,\s]+", given) if each] if isinstance(given, str) else given
    if urls is UNSET or not urls:
        raise NoNode('no node: name some, as in {"node": ["http://127.0.0.1:5002"]}', field="node")
    failed = [
        FailedNode(url[:MAX_URL], answer.code, answer.message)
        for url, answer in zip(urls, node.peers.add_many(urls), strict=True)
        if isinstance(answer, PeerError)
    ]
    count = len(urls) - len(failed)
    message = f"{count} of {len(urls)} nodes connected" if failed else "all the nodes are now connected"
    return ConnectedNodes(message, [parse_peer_url(row.url).host_port for row in node.peers.listed()], failed)


@endpoint(
    "GET POST",
    "/replace_chain",
    "Ask every peer now, and take the valid chain with the most work",
    reply=ReplacedChain,
    changes=True,
    token=True,
    bound=PEER_WAITS,
    peers=True,
)
def replace_chain(node: Node, call: Call[None, None]) -> ReplacedChain:
    replaced = node.sync.ask_everyone()
    chain, _, following = _page(node.store, 1, CHAIN_LIMIT)
    return ReplacedChain(_outcome(replaced), chain, replaced.asked, replaced.answered, following)


def _outcome(replaced: ReplaceOutcome) -> str:
    if replaced.asked and not replaced.answered:
        who = "the other node" if replaced.asked == 1 else f"any of the {replaced.asked} other nodes"
        return f"no answer from {who}: the chain stays as it was, and may not be the largest. Are they running?"
    return "nodes updated." if replaced.changed else "already largest chain"
