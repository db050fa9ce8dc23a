"""The calls from node to node: each is bounded in time and bytes, its answer checked, its failure a PeerError."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from ...core.codec import show
from ...core.types import HEADER_SIZE
from . import wire
from .urls import PeerUrl, parse_peer_url
from .wire import OCTETS

if TYPE_CHECKING:
    from .conditioned import ConditionedLinks
    from .connection import Transport

HELLO_SECONDS: Final = 5.0
SHORT_SECONDS: Final = 10.0
BULK_SECONDS: Final = 30.0
"""Total deadlines: a hello, a small answer, one of up to some ten million bytes."""

_MAX_BLOCK_BYTES: Final = 32_000_000
_FRAMES: Final = 4 * wire.MAX_BLOCKS


class PeerClient:
    """A peer's `/p2p` over kept-alive connections; may be used by several threads.

    `deadline`: total seconds of each call, in place of the call's own; `node_id`: this node's, told with each call;
    `links`: the conditions of a laboratory's links.
    Every method raises PeerError.
    """

    def __init__(
        self,
        url: str | PeerUrl,
        deadline: float | None = None,
        *,
        max_block_bytes: int = _MAX_BLOCK_BYTES,
        node_id: str | None = None,
        links: ConditionedLinks | None = None,
    ) -> None:
        self.url = url if isinstance(url, PeerUrl) else parse_peer_url(url)
        self._deadline = deadline
        self._max_block_bytes = max_block_bytes
        self._node_id = node_id
        self._links = links

    @cached_property
    def _transport(self) -> Transport:
        # Here, not above: `requests` takes 0.06 s to import, and a node answers before it calls anybody.
        from .connection import Transport

        return Transport(self.url, self._node_id, self._links)

    def close(self) -> None:
        if "_transport" in vars(self):
            self._transport.close()

    def hello(self) -> wire.Hello:
        """What the peer says of itself. Whether it is a node of this coin, the caller checks (`PeerTable.greet`)."""
        return wire.parse_hello(self._get("/p2p/hello", wire.MAX_JSON, HELLO_SECONDS))

    def peers(self) -> wire.PeersAnswer:
        """URLs that the peer knows, neither parsed nor checked, and the nodes that it is linked with."""
        return wire.parse(self._get("/p2p/peers", 4 * wire.MAX_JSON, SHORT_SECONDS), wire.PeersAnswer)

    def headers(self, locator: Sequence[bytes]) -> list[bytes]:
        """Up to 2,000 headers of 80 bytes that follow the first hash of `locator` on the peer's main chain."""
        body = self._post(
            "/p2p/headers", wire.headers_request(locator), cap=wire.MAX_HEADERS * HEADER_SIZE, seconds=SHORT_SECONDS
        )
        return wire.split_headers(body)

    def blocks(self, hashes: Sequence[bytes]) -> list[bytes | None]:
        """Whole blocks in the order asked (at most 128), None for one that is not there; at least one, maybe not all.

        Whether each is the block asked for, the caller checks.
        """
        cap = wire.CUT_BYTES + self._max_block_bytes + _FRAMES
        body = self._post("/p2p/blocks", wire.blocks_request(hashes), cap=cap, seconds=BULK_SECONDS)
        return wire.split_blocks(body, len(hashes), self._max_block_bytes)

    def push_block(self, raw: bytes) -> str:
        """Hand over a new block; the status: extended, reorganized, side_branch, orphan or already_known."""
        body = self._post("/p2p/block", raw, kind=OCTETS, cap=wire.MAX_JSON, seconds=BULK_SECONDS)
        return wire.parse(body, wire.BlockAnswer).status

    def push_transactions(self, raw: bytes) -> wire.TransactionsAnswer:
        """Transfers end to end, a million bytes at most."""
        body = self._post("/p2p/transactions", raw, kind=OCTETS, cap=wire.MAX_TRANSACTIONS_ANSWER, seconds=BULK_SECONDS)
        return wire.parse(body, wire.TransactionsAnswer)

    def mempool(self) -> bytes:
        """The peer's mempool as bytes for `wire.split_transfers`: objects would take several times the memory."""
        return self._get("/p2p/mempool", wire.MAX_MEMPOOL_BYTES, BULK_SECONDS)

    def connect(self, own_url: str, chain_id: bytes, node_id: str) -> None:
        """Tell the peer where this node can be reached; it calls back to check."""
        request = {"url": own_url, "chain_id": show(chain_id), "node_id": node_id}
        self._post("/p2p/connect", json.dumps(request).encode(), cap=wire.MAX_JSON, seconds=SHORT_SECONDS)

    def _get(self, path: str, cap: int, seconds: float) -> bytes:
        return self._transport.exchange("GET", path, cap=cap, seconds=self._deadline or seconds)

    def _post(self, path: str, body: bytes, *, kind: str = "application/json", cap: int, seconds: float) -> bytes:
        return self._transport.exchange("POST", path, body=body, kind=kind, cap=cap, seconds=self._deadline or seconds)
