"""What a client asks of a node without a key; `client.Client` is this and what spends."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any
from urllib.parse import quote

from ..core.codec import show
from ..core.coin import Coin
from ..core.coinfile import coin_from_json
from ..core.errors import BadCoin
from . import arguments
from .events import PATIENCE, Events
from .transport import DEADLINE, Credential, Transport
from .walks import follow_blocks, walk_blocks, walk_pages

DEFAULT_URL = "http://127.0.0.1:5001"


class Reader:
    """Calls to one node. They raise NoAnswer and Refused, and never take longer than their deadline."""

    def __init__(self, url: str = DEFAULT_URL, *, token: str | Credential | None = None) -> None:
        """`token`: of `DATA/api.token`; sent only with calls that spend from the node's wallet, mine, or change its
        peers."""
        self._transport = Transport(url, token)
        self.url = self._transport.url

    def get(self, path: str, deadline: float = DEADLINE) -> Any:
        """The JSON that the node answers to GET `path`."""
        return self._transport.call("GET", path, None, deadline)

    def post(self, path: str, body: Any = None, deadline: float = DEADLINE) -> Any:
        """The JSON that the node answers to POST `path` with `body` as JSON."""
        return self._transport.call("POST", path, body, deadline)

    def put(self, path: str, body: Any = None, deadline: float = DEADLINE) -> Any:
        """The JSON that the node answers to PUT `path` with `body` as JSON."""
        return self._transport.call("PUT", path, body, deadline)

    def delete(self, path: str, deadline: float = DEADLINE) -> Any:
        """The JSON that the node answers to DELETE `path`."""
        return self._transport.call("DELETE", path, None, deadline)

    def _object(self, path: str, deadline: float = DEADLINE) -> dict[str, Any]:
        answer = self.get(path, deadline)
        if not isinstance(answer, dict):
            raise self._transport.nonsense()
        return answer

    def status(self, deadline: float = DEADLINE) -> dict[str, Any]:
        """`GET /v1/status`: coin, height, tip, mempool, peers, worker."""
        answer = self._object("/v1/status", deadline)
        if not isinstance(answer.get("coin"), dict) or not isinstance(answer.get("height"), int):
            raise self._transport.nonsense()
        return answer

    @cached_property
    def coin(self) -> Coin:
        """The node's coin, checked field by field. Raises BadCoin where it is not the one of the node's chain."""
        coin = coin_from_json(self._object("/v1/coin"))
        if show(coin.chain_id) != self.status().get("chain_id"):
            raise BadCoin(f"the node at {self.url} runs another chain than its coin makes: don't trust it")
        return coin

    def account(self, address: str) -> dict[str, Any]:
        """`balance`, `sequence` and `pending {incoming, outgoing, next_sequence}`; zeros for one never used."""
        return self._object(f"/v1/accounts/{segment(address, 'address')}")

    def history(self, address: str, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Confirmed transactions that touch an address, newest first; pages are fetched as they are needed."""
        path = f"/v1/accounts/{segment(address, 'address')}/transactions"
        return walk_pages(self._object, path, "transactions", arguments.most(limit))

    def account_assets(self, address: str, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """What an address holds of assets: `asset`, `symbol`, `decimals`, `amount` in units, in the order of issue.

        Anybody can send anybody assets, so there may be many. These calls about assets raise Refused (404) where the
        coin has rules 1.
        """
        path = f"/v1/accounts/{segment(address, 'address')}/assets"
        return walk_pages(self._object, path, "assets", arguments.most(limit), cursor="after")

    def assets(
        self, *, issuer: str | None = None, symbol: str | None = None, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Assets, the newest first; of one issuer (an address), or of one symbol. Only `id` tells two apart."""
        wanted = {"issuer": issuer, "symbol": symbol}
        asked = {name: arguments.text(text, name) for name, text in wanted.items() if text is not None}
        return walk_pages(self._object, "/v1/assets", "assets", arguments.most(limit), **asked)

    def asset(self, asset: str) -> dict[str, Any]:
        """One asset by its id. Raises Refused (404) where the main chain has none."""
        return self._object(f"/v1/assets/{segment(asset, 'asset')}")

    def holders(self, asset: str, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Who holds an asset, the largest first: `address`, and `amount` in units."""
        path = f"/v1/assets/{segment(asset, 'asset')}/holders"
        return walk_pages(self._object, path, "holders", arguments.most(limit))

    def asset_transactions(self, asset: str, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Confirmed transactions that issued, moved, minted or burned an asset, newest first."""
        path = f"/v1/assets/{segment(asset, 'asset')}/transactions"
        return walk_pages(self._object, path, "transactions", arguments.most(limit))

    def policy(self, text: str) -> dict[str, Any]:
        """What a contract's policy is that is written as text: `address`, `raw`, `tree`, `now`, `later`, `cautions`.

        Raises Refused for one that cannot be read or is not safe to use; `details.position` is the wrong character.
        """
        return self._posted("/v1/policies/encode", {"policy": arguments.text(text, "text", 8_192)})

    def decode_policy(self, raw: str) -> dict[str, Any]:
        """The same of a policy's bytes, in hex: a transaction's `policy`. `problem`: why nobody should use it."""
        return self._posted("/v1/policies/decode", {"raw": arguments.text(raw, "raw", 8_192)})

    def _posted(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.post(path, body)
        if not isinstance(answer, dict):
            raise self._transport.nonsense()
        return answer

    def transaction(self, txid: str) -> dict[str, Any]:
        """A transaction, confirmed or in the mempool. Raises Refused (404) for one that the node does not know."""
        return self._object(f"/v1/transactions/{segment(txid, 'txid')}")

    def block(self, block: str | int) -> dict[str, Any]:
        """A block by hash or height, with its transactions."""
        if not isinstance(block, str):
            block = str(arguments.whole(block, "block", 0, 2**32 - 1))
        return self._object(f"/v1/blocks/{segment(block, 'block')}")

    def blocks(self, start: int = 0, *, follow: bool = False, patience: float = PATIENCE) -> Iterator[dict[str, Any]]:
        """The main chain's blocks from height `start`, oldest first; with `follow` it listens for more, for ever.

        After a reorg it goes on with the blocks that took the place of those it gave. `patience`: as for `events`.
        """
        start = arguments.whole(start, "start", 0, 2**32 - 1)
        patience = arguments.seconds(patience, "patience")
        return follow_blocks(self, start, patience=patience) if follow else walk_blocks(self, start)

    def events(self, *, last_event_id: str | None = None, patience: float = PATIENCE) -> Events:
        """What happens on the node from now on, or behind an event, as an iterator (`GET /v1/events`).

        Listens when it returns. A connection that is cut is made again, behind the last event; where the node cannot
        tell all that came since, and where it has no room for one more who listens (then it is asked every 5 seconds),
        a `reset` says so. Raises Refused; NoAnswer at first, and later after `patience` seconds without the node.
        """
        if last_event_id is not None:
            arguments.event_id(last_event_id)
        return Events(self._transport, last_event_id, arguments.seconds(patience, "patience"))

    def mempool(self, limit: int = 1000) -> dict[str, Any]:
        """`count`, `bytes` and `transactions`, by fee per byte."""
        return self._object(f"/v1/mempool?limit={arguments.whole(limit, 'limit', 1, 1000)}")

    def peers(self) -> list[dict[str, Any]]:
        """The nodes that this node knows."""
        peers: list[dict[str, Any]] = self._object("/v1/peers")["peers"]
        return peers


def segment(text: str, name: str) -> str:
    """Text as a segment of a path. No id holds a slash; it is replaced, and the node refuses the result."""
    return quote(arguments.text(text, name).replace("/", "-"), safe="")
