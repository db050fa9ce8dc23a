"""The door for mining tools: an unsolved block to search, and the way back for a solved one."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from ...core import codec, pow
from ...core.codec import show
from ...core.errors import BadAddress, Malformed
from ...core.signing import payable
from ...core.types import MAX_EXTRA, Block, Transaction
from ...service import Node
from ...system.shares import DELIVERIES
from ...wallet.keystore import MINER
from ..endpoint import Call, endpoint
from ..http.errors import BadField
from ..parts.templates import TemplateJob, Templates
from ..shapes.mining import BlockOutcome, MiningTemplate
from ..shapes.render import address

VERSION_MASK: Final = 0x1FFFE000
"""Bits of the version that miners may roll (BIP320)."""

Number = Annotated[int, Meta(ge=0, le=2**32 - 1)]


class TemplateQuery(Struct):
    address: Annotated[str, Meta(max_length=200)] | None = None
    """Who is paid; the node's own miner account where none is named."""


class SolvedBody(Struct, forbid_unknown_fields=True):
    """A solved block: `raw` alone (its bytes in hex), or a template's `job` and what was changed in it."""

    raw: str | UnsetType = UNSET
    job: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    nonce: Number | UnsetType = UNSET
    extra: Annotated[str, Meta(max_length=2 * MAX_EXTRA)] | UnsetType = UNSET
    timestamp: Number | UnsetType = UNSET
    version: Number | UnsetType = UNSET


@endpoint(
    "GET",
    "/v1/mining/template",
    "An unsolved block for a mining tool to search",
    reply=MiningTemplate,
    query=TemplateQuery,
    token=True,
)
def mining_template(node: Node, call: Call[TemplateQuery, None]) -> MiningTemplate:
    named = call.query.address
    receiver = node.wallet.payload_of(MINER) if named is None else payable(node.coin, named)
    if receiver is None:
        raise BadAddress(f"the wallet has no account {MINER}: name an address")
    job_id, job = call.parts.templates.make(receiver)
    coinbase, header = job.header()
    raw = codec.encode_transaction(coinbase)
    return MiningTemplate(
        job=job_id,
        height=coinbase.height,
        header=codec.encode_header(header).hex(),
        version=header.version,
        version_mask=f"{VERSION_MASK:08x}",
        prev_hash=show(header.prev_hash),
        merkle_root=show(header.merkle_root),
        timestamp=header.timestamp,
        min_time=job.base.template.parent.median_time_past + 1,
        max_time=int(time.time()) + node.coin.clock_tolerance,
        bits=f"{header.bits:08x}",
        target=f"{pow.decode_bits(header.bits):064x}",
        address=address(node.coin, receiver),
        amount=coinbase.amount,
        coinbase_start=raw[: codec.COINBASE_BASE - 1].hex(),
        extra=coinbase.extra.hex(),
        branch=[show(each) for each in job.base.branch],
        transactions=[raw.hex(), *(codec.encode_transaction(each).hex() for each in _transfers(job))],
    )


def _transfers(job: TemplateJob) -> tuple[Transaction, ...]:
    return job.base.template.block.transactions[1:]


@endpoint(
    "POST",
    "/v1/mining/submit",
    "A solved block: whole (raw), or as a template's job and what was changed in it",
    reply=BlockOutcome,
    body=SolvedBody,
    errors=(404, 422),
    changes=True,
    token=True,
    bound=DELIVERIES,
    limit=lambda coin: 2 * coin.max_block_bytes + 1_000,
)
def submit_solved(node: Node, call: Call[None, SolvedBody]) -> BlockOutcome:
    outcome = node.chain.accept_block(_solved(call.parts.templates, call.body), int(time.time()), remote=call.remote)
    return BlockOutcome(outcome.status, show(outcome.block_hash), outcome.height if outcome.height >= 0 else None)


def _solved(templates: Templates, body: SolvedBody) -> bytes:
    """The block that a body means. Raises BadField, NotFound."""
    if not isinstance(body.raw, UnsetType):
        if any(getattr(body, name) is not UNSET for name in ("job", "nonce", "extra", "timestamp", "version")):
            raise BadField("raw: give raw alone, or job and nonce without it", field="raw")
        return _from_hex(body.raw, "raw")
    if isinstance(body.job, UnsetType) or isinstance(body.nonce, UnsetType):
        missing = "job" if isinstance(body.job, UnsetType) else "nonce"
        raise BadField(f"{missing}: missing (a solved block is raw, or job and nonce)", field=missing)
    job = templates.find(body.job)
    extra = None if isinstance(body.extra, UnsetType) else _from_hex(body.extra, "extra")
    if extra is not None and codec.COINBASE_BASE + len(extra) == codec.INNER_NODE_SIZE:
        raise Malformed("a coinbase has no extra of 17 bytes: no transaction is 64 bytes long")
    coinbase, header = job.header(extra)
    header = replace(
        header,
        nonce=body.nonce,
        timestamp=header.timestamp if isinstance(body.timestamp, UnsetType) else body.timestamp,
        version=header.version if isinstance(body.version, UnsetType) else body.version,
    )
    return codec.encode_block(Block(header, (coinbase, *_transfers(job))))


def _from_hex(text: str, field: str) -> bytes:
    try:
        if not text or (text.isascii() and text.isalnum()):
            return bytes.fromhex(text)
    except ValueError:
        pass
    raise BadField(f"{field}: an even number of hex digits", field=field, expected="hex", found=text[:80])
