"""Senders who never give up, and what they were told: of a database whose processes and server are killed meanwhile."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from moneyer.node.chain.verify import verify_chain
from moneyer.node.core import codec
from moneyer.node.core.codec import unshow
from moneyer.node.core.coin import Coin
from moneyer.node.core.types import Block
from moneyer.node.store import blocks, transactions
from moneyer.node.store.unconfirmed import entries
from tests.kit.chains import ChainBuilder, Key, transfer
from tests.kit.nodes import NOW, Node
from tests.kit.running import RunningNode
from tests.kit.waiting import wait_until


class Senders:
    """A thread for each key, which sends one transfer after the other to any of the nodes until it is taken.

    A context manager: at its end they stop.
    """

    def __init__(self, coin: Coin, nodes: Callable[[], Sequence[RunningNode]], keys: Sequence[Key]) -> None:
        """`nodes`: those that run now."""
        self._coin, self._nodes, self._keys = coin, nodes, keys
        self._stop = threading.Event()
        self.taken: dict[bytes, str] = {}
        """txid -> what the node said of it: 201, or that it had it already."""
        self.refused: dict[str, int] = {}
        """How often a node said that it could not."""
        self.wrong: list[str] = []
        """Answers that should not come."""
        self._threads = [threading.Thread(target=self._send, args=(who,), daemon=True) for who in keys]

    def __enter__(self) -> Senders:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), "a request hangs"

    def wait_for_more(self, count: int = 5, timeout: float = 90) -> None:
        """Until so many more are taken than now."""
        wanted = len(self.taken) + count
        wait_until(lambda: len(self.taken) >= wanted or self.wrong, timeout, f"transfers to be taken: {self.refused}")
        assert not self.wrong

    def _send(self, sender: Key) -> None:
        random, sequence = Random(sender.name), 0
        while not self._stop.is_set():
            sent = transfer(self._coin, sender, self._keys[0], 1, 1, sequence)
            said = self._offer(random.choice(self._nodes()), codec.encode_transaction(sent))
            if said is None:
                self._stop.wait(0.05)
                continue
            self.taken[codec.txid(sent)] = said
            sequence += 1

    def _offer(self, node: RunningNode, raw: bytes) -> str | None:
        """What the node said; None where it is to be sent again."""
        try:
            answer = node.post("/v1/transactions", {"raw": raw.hex()})
        except (OSError, http.client.HTTPException):
            return None
        if answer.status in (200, 201, 202):
            return str(answer.status)
        if answer.code == "bad_sequence":  # taken before, by an answer that was lost, and in a block by now
            return answer.code
        self.refused[answer.code] = self.refused.get(answer.code, 0) + 1
        if answer.status not in (429, 503):
            self.wrong.append(f"{answer.status} {answer.body[:300]!r}")
        return None


def told_tip(node: RunningNode) -> bytes | None:
    """The tip that a node tells of, if it answers."""
    try:
        answer = node.get("/v1/status")
    except (OSError, http.client.HTTPException):
        return None
    return unshow(answer.json["tip"]) if answer.status == 200 else None


def hand_in_branch(node: Node, back: int = 2, more: int = 6) -> bool:
    """A branch that leaves the main chain below its tip and has `more` blocks more: what it drops waits again.

    Whether it took over; whoever mines meanwhile may be quicker.
    """
    tip = node.height
    fork = max(0, tip - back)
    branch = ChainBuilder(node.coin, f"branch at {tip}")
    for height in range(1, fork + 1):
        branch.append(_block(node, height))
    for _ in range(tip - fork + more):
        branch.add()
    node.chain.accept_blocks(branch.raw[fork:], NOW)
    row = node.row(codec.block_hash(branch.blocks[fork + 1].header))
    return row is not None and row.main_chain


def _block(node: Node, height: int) -> Block:
    with node.store.read() as conn:
        row = blocks.by_height(conn, height)
        assert row is not None
        return blocks.load(conn, row.block_hash)


def check(folder: Path, coin: Coin, database: str, taken: Sequence[bytes], tips: Sequence[bytes]) -> None:
    """All that was told is there: transfers in the chain or waiting, blocks in the tree; and the whole is right."""
    with Node(folder, coin, database_url=database) as node:
        verify_chain(node.store)
        with node.store.read() as conn:
            lost = [txid for txid in taken if not (entries.get(conn, txid) or transactions.find(conn, txid))]
            unknown = [tip for tip in set(tips) if blocks.by_hash(conn, tip) is None]
        assert not lost, f"{len(lost)} of {len(taken)} transfers"
        assert not unknown, f"{len(unknown)} of {len(tips)} blocks"
