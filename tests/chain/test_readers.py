"""Who reads from a running node while its chain is reorganized sees one chain or the other, never a part of both."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from tests.kit.chains import ChainBuilder
from tests.kit.running import ALICE, BOB, CAROL, RunningNode, rich_coin, running
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.both_databases

COIN = rich_coin()
REORGS = 30


class Reader:
    """Asks one page again and again, and keeps what was wrong with an answer."""

    def __init__(self, node: RunningNode, path: str, wrong_with: Callable[[Any], str]) -> None:
        self.answers = 0
        self.wrong: list[str] = []
        self._node = node
        self._path = path
        self._wrong_with = wrong_with
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            answer = self._node.get(self._path)
            wrong = self._wrong_with(answer.json) if answer.status == 200 else f"{answer.status}: {answer.body!r}"
            self.answers += 1
            if wrong:
                self.wrong.append(f"{self._path}: {wrong}")

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)


def test_a_height_and_a_hash_that_are_read_belong_together_through_every_reorg(tmp_path: Path) -> None:
    one, other = ChainBuilder(COIN, "one"), ChainBuilder(COIN, "other")
    tips: set[tuple[int, str]] = {(0, show(one.tip_hash))}
    """Every block that was ever a tip."""

    def tip_is_wrong(answer: Any) -> str:
        return "" if (answer["height"], answer["tip"]) in tips else f"{answer['height']} {answer['tip']}"

    def blocks_are_wrong(answer: Any) -> str:
        rows = answer["blocks"]
        links = [row["prev_hash"] for row in rows[:-1]] == [row["hash"] for row in rows[1:]]
        return "" if links and (rows[0]["height"], rows[0]["hash"]) in tips else str(rows)

    def chain_is_wrong(answer: Any) -> str:
        rows = answer["chain"]
        links = [row["hash"] for row in rows[:-1]] == [row["previous_hash"] for row in rows[1:]]
        return "" if links and answer["length"] == len(rows) else str(rows)

    with running(tmp_path / "node", COIN) as node:
        readers = [
            Reader(node, "/v1/status", tip_is_wrong),
            Reader(node, "/p2p/hello", tip_is_wrong),
            Reader(node, "/v1/blocks", blocks_are_wrong),
            Reader(node, "/get_chain", chain_is_wrong),
        ]
        for number in range(REORGS):
            loser, winner = (one, other) if number % 2 else (other, one)
            while winner.height <= loser.height:
                winner.add([winner.transfer(ALICE, BOB if winner is one else CAROL, 1, 1)])
            tips.add((winner.height, show(winner.tip_hash)))
            asked = [reader.answers for reader in readers]
            statuses = [node.push(raw).json["status"] for raw in winner.raw[-2:]]
            assert statuses[-1] == ("reorganized" if number else "extended"), statuses
            wait_until(
                lambda asked=asked: all(r.answers > before for r, before in zip(readers, asked, strict=True)),  # type: ignore[misc]
                30,
                "every reader to look again",
            )
        for reader in readers:
            reader.stop()
        assert [wrong for reader in readers for wrong in reader.wrong] == []
        assert node.get("/v1/status").json["tip"] == show(codec.block_hash(winner.tip.header))
        assert node.get("/is_valid").json["valid"] is True
