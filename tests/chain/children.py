"""What the chain's tests run in processes of their own."""

from __future__ import annotations

from pathlib import Path

from moneyer.node.core.coin import Coin
from moneyer.node.core.errors import RuleError
from moneyer.node.store import accounts, blocks
from tests.kit.nodes import Node
from tests.kit.system.processes import Pipe


def accept_when_told(pipe: Pipe, folder: Path, coin: Coin) -> None:
    """Say "ready"; then accept each block that is sent, and answer with what became of it."""
    node = Node(folder, coin)
    pipe.send("ready")
    while True:
        raw = pipe.recv()
        try:
            pipe.send(node.offer(raw).status)
        except RuleError as error:
            pipe.send(error.code)


def read_until_told(pipe: Pipe, folder: Path, coin: Coin) -> None:
    """Say "ready", then read snapshots without end.

    Whenever it is told something, it reads one more, and answers with every (height, hash) that was the tip so far, and
    with what did not belong together. It ends at "stop".
    """
    node = Node(folder, coin)
    pipe.send("ready")
    tips, wrong, told = set(), [], ""
    while told != "stop":
        told = pipe.recv() if pipe.poll() else ""
        with node.store.read() as conn:
            tip = blocks.tip(conn)
            rows = blocks.newest_first(conn, None, 20)
            at_height = blocks.by_height(conn, tip.height)
            total = accounts.total(conn)
            above = blocks.by_height(conn, tip.height + 1)
        links = [row.header.prev_hash for row in rows[:-1]] == [row.block_hash for row in rows[1:]]
        heights = [row.height for row in rows] == list(range(tip.height, tip.height - len(rows), -1))
        if not (links and heights and at_height == rows[0] == tip and above is None):
            wrong.append(f"the chain at height {tip.height}")
        if total != coin.issued(tip.height):
            wrong.append(f"{total} base units at height {tip.height}")
        tips.add((tip.height, tip.block_hash))
        if told:
            pipe.send((tips, wrong))
