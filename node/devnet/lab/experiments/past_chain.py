"""A chain with virtual times: blocks whose timestamps lie in the past, made by the node's own builder, proof of work
included, and handed to real nodes, which judge them like any other block.

A week of blocks is made in a second; what the retarget does under a swing of hash rate need not be waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from .....worker.engines.hashlib_engine import HashlibEngine
from ....core import codec, pow, rules
from ....core.coinfile import coin_from_json
from ....core.errors import MoneyerError
from ....core.template import Parent, assemble
from ....core.types import Block, Header, Spend
from ....wallet.derive import development_key
from ...coinfiles import COIN_FILE, make_once
from ...devcoin import development_coin
from ..attack_ground import hand_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ....core.coin import Coin
    from ...live.net_node import NodeHandle

_SLICE: Final = 1 << 11
"""Nonces that are searched at once."""


class BlockNotTaken(MoneyerError):
    """A real node refused a block that the lab had built."""

    code = "block_not_taken"


class PastChain:
    """The main chain of a coin, block by block. `headers`: from the genesis block on."""

    def __init__(self, coin: Coin, receiver: str = "erin") -> None:
        """`receiver`: the development account that gets the rewards."""
        self.coin = coin
        self.headers: list[Header] = [coin.genesis.header]
        self._receiver = development_key(receiver).payload
        self._tip = coin.chain_id

    @property
    def height(self) -> int:
        return len(self.headers) - 1

    @property
    def context(self) -> rules.HeaderContext:
        """What the rules ask of the next header."""
        recent = [pow.TimedBits(header.timestamp, header.bits) for header in self.headers[-rules.span(self.coin) :]]
        return rules.context_of(self.coin, self.height + 1, recent)

    @property
    def work(self) -> int:
        """Hashes that the next block stands for."""
        return pow.block_work(pow.decode_bits(self.context.bits))

    def add(self, timestamp: int, spends: Sequence[Spend] = ()) -> bytes:
        """The bytes of a valid block with this timestamp (or the first that the median allows), on the last one.

        `spends`: what it holds; they apply in this order.
        """
        block = self.solved(timestamp, self.context.bits, spends)
        self.headers.append(block.header)
        self._tip = codec.block_hash(block.header)
        return codec.encode_block(block)

    def solved(self, timestamp: int, bits: int, spends: Sequence[Spend] = ()) -> Block:
        """A block on the last one that is solved for these bits, which need not be the right ones. It is not kept."""
        context = self.context
        parent = Parent(self._tip, self.height, context.median_time_past, bits)
        block = assemble(self.coin, parent, spends, receiver=self._receiver, now=timestamp, extra=b"")
        raw, target, search = codec.encode_header(block.header), pow.decode_bits(bits), HashlibEngine().search
        tried = (search(raw, target, start, _SLICE) for start in range(0, 1 << 32, _SLICE))
        nonce = next(found for found in tried if found is not None)  # such easy targets are met within some hundred
        return replace(block, header=replace(block.header, nonce=nonce))


def hand_all(node: NodeHandle, blocks: list[bytes]) -> None:
    """Hand a node blocks, oldest first. Raises BlockNotTaken at the first that it does not take."""
    for raw in blocks:
        answer = hand_in(node.url, raw)
        if answer.status != 200:
            raise BlockNotTaken(f"node {node.name} refused a block that is right: {answer.code}: {answer.message}")


@contextmanager
def past_coin(begin: int, change: Callable[[Coin], Coin], block_time: int, *, retarget: bool) -> Iterator[Path]:
    """The `coin.toml` of a development coin that began at `begin` (Unix seconds), for a `with`."""
    coin = change(development_coin(begin, block_time, retarget=retarget))
    with TemporaryDirectory(prefix="moneyer-coin-") as folder:
        path = Path(folder) / COIN_FILE
        make_once(path, lambda: coin_from_json(coin.as_json()))
        yield path
