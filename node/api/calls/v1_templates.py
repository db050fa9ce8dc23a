"""The door for mining tools: an unsolved block to search, and the way back for a solved one."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cache, cached_property
from secrets import token_bytes, token_hex
from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from ...chain.accept import Template
from ...core import codec, pow
from ...core.errors import BadAddress, Malformed
from ...core.hashing import merkle_branch, merkle_root_of_branch, show
from ...core.types import MAX_EXTRA, Block, Coinbase, Header, Transaction
from ...system.shares import DELIVERIES
from ...wallet.keystore import MINER
from ..context import NodeContext
from ..http.endpoint import Call, endpoint
from ..http.errors import BadField, NotFound
from ..shapes.mining_shapes import BlockOutcome, MiningTemplate
from ..shapes.render import address
from .identify import payable

VERSION_MASK: Final = 0x1FFFE000
"""Bits of the version that miners may roll (BIP320)."""
_EXTRA_SIZE: Final = 16
_FRESH: Final = 2.0
"""Seconds for which a template is given out again, unless something was committed."""
_KEPT_BASES: Final = 8
_KEPT_JOBS: Final = 256

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


@dataclass(frozen=True, eq=False)
class _Base:
    """A template whose coinbase pays nobody yet."""

    number: int
    version: int
    """`data_version` that it fits."""
    built: float
    template: Template

    @cached_property
    def branch(self) -> list[bytes]:
        # The coinbase's own place plays no part in its branch.
        return merkle_branch([bytes(32), *self.template.txids], 0)


@dataclass(frozen=True)
class _Job:
    base: _Base
    coinbase: Coinbase

    def header(self, extra: bytes | None = None) -> tuple[Coinbase, Header]:
        """The coinbase with that `extra`, and the header that goes with it."""
        coinbase = self.coinbase if extra is None else replace(self.coinbase, extra=extra)
        root = merkle_root_of_branch(codec.txid(coinbase), 0, self.base.branch)
        return coinbase, replace(self.base.template.block.header, merkle_root=root)


class Templates:
    """The templates given out lately, so that a solution need not repeat them."""

    def __init__(self, node: NodeContext) -> None:
        self._node = node
        self._lock = threading.Lock()
        """Held for a look and a change of what is kept: whoever brings a solution waits for no template."""
        self._building = threading.Lock()
        self._bases: OrderedDict[int, _Base] = OrderedDict()
        self._jobs: OrderedDict[str, _Job] = OrderedDict()

    def make(self, receiver: bytes) -> tuple[str, _Job]:
        """A new job that pays `receiver`. Raises NoTimestamp or StoreUnavailable."""
        base = self._fresh()
        if base is None:
            # Who comes meanwhile wants the same one, and gets it.
            with self._building:
                base = self._fresh() or self._build()
        with self._lock:
            paid = base.template.block.transactions[0]
            assert isinstance(paid, Coinbase)  # noqa: S101 - every template begins with one
            job = _Job(base, Coinbase(paid.height, receiver, paid.amount, token_bytes(_EXTRA_SIZE)))
            job_id = token_hex(8)
            self._jobs[job_id] = job
            if len(self._jobs) > _KEPT_JOBS:
                self._jobs.popitem(last=False)
            return job_id, job

    def find(self, job_id: str) -> _Job:
        """Raises NotFound."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise NotFound("there is no such job, or no longer: ask for a new template", job=job_id)
        return job

    def _newest(self) -> _Base | None:
        with self._lock:
            return next(reversed(self._bases.values()), None)

    def _fresh(self) -> _Base | None:
        """The newest template, if nothing was committed since."""
        version, newest = self._node.store.data_version(), self._newest()
        if newest is not None and newest.version == version and time.monotonic() - newest.built < _FRESH:
            return newest
        return None

    def _build(self) -> _Base:
        version, now, newest = self._node.store.data_version(), time.monotonic(), self._newest()
        template = self._node.chain.template(bytes(33), int(time.time()), bytes(_EXTRA_SIZE))
        base = _Base(newest.number + 1 if newest else 0, version, now, template)
        with self._lock:
            self._bases[base.number] = base
            if len(self._bases) > _KEPT_BASES:
                _, old = self._bases.popitem(last=False)
                self._jobs = OrderedDict((name, job) for name, job in self._jobs.items() if job.base is not old)
        return base


@cache
def templates_of(node: NodeContext) -> Templates:
    return Templates(node)


@endpoint(
    "GET",
    "/v1/mining/template",
    "An unsolved block for a mining tool to search",
    reply=MiningTemplate,
    query=TemplateQuery,
    token=True,
)
def mining_template(node: NodeContext, call: Call) -> MiningTemplate:
    query: TemplateQuery = call.query
    receiver = node.wallet.payload_of(MINER) if query.address is None else payable(node.coin, query.address)
    if receiver is None:
        raise BadAddress(f"the wallet has no account {MINER}: name an address")
    job_id, job = templates_of(node).make(receiver)
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


def _transfers(job: _Job) -> tuple[Transaction, ...]:
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
    limit=lambda node: 2 * node.coin.max_block_bytes + 1_000,
)
def submit_solved(node: NodeContext, call: Call) -> BlockOutcome:
    outcome = node.chain.accept_block(_solved(node, call.body), int(time.time()), remote=call.remote)
    return BlockOutcome(outcome.status, show(outcome.block_hash), outcome.height if outcome.height >= 0 else None)


def _solved(node: NodeContext, body: SolvedBody) -> bytes:
    """The block that a body means. Raises BadField, NotFound."""
    if not isinstance(body.raw, UnsetType):
        if any(getattr(body, name) is not UNSET for name in ("job", "nonce", "extra", "timestamp", "version")):
            raise BadField("raw: give raw alone, or job and nonce without it", field="raw")
        return _from_hex(body.raw, "raw")
    if isinstance(body.job, UnsetType) or isinstance(body.nonce, UnsetType):
        missing = "job" if isinstance(body.job, UnsetType) else "nonce"
        raise BadField(f"{missing}: missing (a solved block is raw, or job and nonce)", field=missing)
    job = templates_of(node).find(body.job)
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
