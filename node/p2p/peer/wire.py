"""What nodes send each other: the JSON answers, checked, and the framing of headers, blocks and transfers.

The API (`node.api.calls.p2p_calls`) uses it too, so that both sides agree. Every string from a peer is bounded and of
a narrow alphabet.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from ...core import codec
from ...core.codec import show
from ...core.errors import Malformed
from ...core.types import HEADER_SIZE, Coinbase, Spend
from ...system.decoding import prepare
from .errors import BadAnswer, NewerProtocol

T = TypeVar("T")

PROTOCOL: Final = 1
OCTETS: Final = "application/octet-stream"
JSON: Final = "application/json"
NODE_HEADER: Final = "Moneyer-Node"
"""The header that carries the caller's node_id, so that nothing is sent back to where it came from."""
MAX_HEADERS: Final = 2000
"""Headers in one answer."""
MAX_BLOCKS: Final = 128
"""Hashes in one request for blocks."""
CUT_BYTES: Final = 8_000_000
"""An answer of blocks is cut before the block that would exceed this; the first block is sent whatever its size."""
MAX_NEIGHBOURS: Final = 100
"""Links that a peer tells of. It has 72 at most, unless `--outbound` says more."""
MAX_JSON: Final = 65_536
MAX_TRANSACTIONS_ANSWER: Final = 8_000_000
MAX_MEMPOOL_BYTES: Final = 8_000_000
"""What a node hands out of its mempool, the best-paying transfers first."""

Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="64 hex digits in lower case")]
"""As `node.core.codec.show` writes it."""
NodeId = Annotated[str, Meta(pattern="^[0-9A-Za-z_-]{8,64}$", description="8 to 64 of 0-9, A-Z, a-z, _ and -")]
Height = Annotated[int, Meta(ge=0, le=2**32 - 1)]


class Hello(msgspec.Struct, frozen=True):
    """`GET /p2p/hello`. `work`: 64 hex digits; `url`: where the node believes it can be reached, if anywhere.

    `rules`: the version of the rules of consensus by which it judges blocks; a node that says none has rules 1.
    `symbol`: of its coin, for a sentence about it: too short and plain to say anything else.
    """

    protocol: Annotated[int, Meta(ge=1, le=1_000_000)]
    chain_id: Hash
    node_id: NodeId
    height: Height
    tip: Hash
    work: Hash
    agent: Annotated[str, Meta(max_length=100, pattern=r"^[ -~]*$")] = ""
    url: Annotated[str, Meta(max_length=200, pattern=r"^[!-~]*$")] | None = None
    symbol: Annotated[str, Meta(max_length=12, pattern="^[A-Z0-9]*$")] = ""
    rules: Annotated[int, Meta(ge=1, le=1_000_000)] = 1

    @property
    def claimed_work(self) -> int:
        return int(self.work, 16)


class _Protocol(msgspec.Struct):
    protocol: Annotated[int, Meta(ge=1, le=1_000_000)]


class BlockAnswer(msgspec.Struct, frozen=True):
    """`POST /p2p/block`. `status`: extended, reorganized, side_branch, orphan or already_known."""

    status: Annotated[str, Meta(pattern="^[a-z_]{1,20}$")]


class Rejected(msgspec.Struct, frozen=True):
    txid: Hash
    code: Annotated[str, Meta(pattern="^[a-z_]{1,40}$")]


class TransactionsAnswer(msgspec.Struct, frozen=True):
    """`POST /p2p/transactions`. `accepted` as the peer sends it: a count, or the txids."""

    accepted: Height | Annotated[list[Hash], Meta(max_length=100_000)] = 0
    rejected: Annotated[list[Rejected], Meta(max_length=100_000)] = []


class Neighbour(msgspec.Struct, frozen=True):
    """A node that a peer is linked with, as the peer tells of it: hearsay, only ever shown."""

    node_id: NodeId
    url: Annotated[str, Meta(max_length=200, pattern=r"^[!-~]*$")]
    height: Height
    tip: Hash
    work: Hash
    agent: Annotated[str, Meta(max_length=100, pattern=r"^[ -~]*$")] = ""


class PeersAnswer(msgspec.Struct, frozen=True):
    """`GET /p2p/peers`. `peers`: URLs, still to be parsed and checked; `links`: with whom the peer is connected now."""

    peers: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=1000)]
    links: Annotated[list[Neighbour], Meta(max_length=MAX_NEIGHBOURS)] = []


prepare(_Protocol, Hello, BlockAnswer, TransactionsAnswer, PeersAnswer)


def parse_hello(body: bytes) -> Hello:
    """Raises BadAnswer; NewerProtocol where the peer speaks one that this node doesn't know."""
    protocol = parse(body, _Protocol).protocol
    if protocol > PROTOCOL:
        raise NewerProtocol(
            f"the peer speaks protocol {protocol}, this node {PROTOCOL}: update this node",
            expected=PROTOCOL,
            found=protocol,
        )
    return parse(body, Hello)


def parse(body: bytes, shape: type[T]) -> T:
    """A JSON answer as `shape`. Raises BadAnswer."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (ValueError, RecursionError):
        raise BadAnswer("the peer's answer is not what the protocol says") from None


def headers_request(locator: Sequence[bytes]) -> bytes:
    return json.dumps({"locator": [show(block_hash) for block_hash in locator]}).encode()


def blocks_request(hashes: Sequence[bytes]) -> bytes:
    return json.dumps({"hashes": [show(block_hash) for block_hash in hashes]}).encode()


def split_headers(body: bytes) -> list[bytes]:
    """Splits an answer into headers of 80 bytes, at most MAX_HEADERS. Raises BadAnswer."""
    if len(body) % HEADER_SIZE or len(body) > MAX_HEADERS * HEADER_SIZE:
        raise BadAnswer(f"the peer's headers are not at most {MAX_HEADERS} times {HEADER_SIZE} bytes")
    return [body[at : at + HEADER_SIZE] for at in range(0, len(body), HEADER_SIZE)]


def frame_blocks(blocks: Iterable[bytes | None]) -> bytes:
    """Frames each block as `u32 length · block` (length 0: not here), up to CUT_BYTES, one block at least."""
    framed = bytearray()
    for block in blocks:
        raw = block or b""
        if framed and len(framed) + 4 + len(raw) > CUT_BYTES:
            break
        framed += len(raw).to_bytes(4, "little") + raw
    return bytes(framed)


def split_blocks(body: bytes, asked: int, max_block_bytes: int) -> list[bytes | None]:
    """The inverse of `frame_blocks`: 1 to `asked` blocks, None for one that is not there. Raises BadAnswer."""
    blocks: list[bytes | None] = []
    at = 0
    while at < len(body):
        size = int.from_bytes(body[at : at + 4], "little")
        at += 4
        if len(blocks) == asked or size > max_block_bytes or at + size > len(body):
            raise BadAnswer("the peer sent more blocks than asked for, or cut one short")
        blocks.append(body[at : at + size] or None)
        at += size
    if asked and not blocks:
        raise BadAnswer("the peer sent none of the blocks asked for")
    return blocks


def split_transfers(body: bytes, most: int, coin_rules: int) -> Iterator[list[Spend]]:
    """Decodes transfers that stand end to end, up to `most` at a time and only when asked for. Raises BadAnswer.

    `coin_rules`: the coin's, 1 or 2.
    """
    at = 0
    while at < len(body):
        part: list[Spend] = []
        try:
            while at < len(body) and len(part) < most:
                transaction, at = codec.decode_transaction(body, at, rules=coin_rules)
                if isinstance(transaction, Coinbase):
                    raise Malformed("a coinbase cannot stand alone")
                part.append(transaction)
        except Malformed:
            raise BadAnswer("the peer's transfers are not what the protocol says") from None
        yield part
