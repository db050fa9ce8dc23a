"""`GET /v1/stats`: figures along the chain, sampled on the server and exact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.chains import transfer
from tests.kit.running import ALICE, BOB, RunningNode, running

pytestmark = pytest.mark.both_databases

HEIGHT = 23


@pytest.fixture(scope="module")
def busy(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node whose blocks come at uneven times, with zero to four transfers each, and one branch beside them."""
    with running(tmp_path_factory.mktemp("busy") / "node") as node:
        for height in range(1, HEIGHT + 1):
            chain = node.chain
            first = chain.account(ALICE).sequence
            sent = [
                transfer(node.coin, ALICE, BOB, 1, height * 10 + number, first + number, b"m" * number)
                for number in range(height % 5)
            ]
            node.extend(transfers=sent, timestamp=chain.tip.header.timestamp + 3 + height % 7)
        side = node.chain.branch(7, "side")
        side.grow(3)
        assert set(node.take(side, 8)) == {"side_branch"}
        yield node


def told(node: RunningNode, query: str = "") -> Any:
    answer = node.get(f"/v1/stats{query}")
    assert answer.status == 200, answer.body
    return answer.json


def by_hand(node: RunningNode, start: int, step: int) -> dict[str, list[Any]]:
    """The same figures from every block."""
    blocks = {each["height"]: each for each in node.get("/v1/blocks?limit=1000").json["blocks"]}
    columns: dict[str, list[Any]] = {name: [] for name in told(node)["series"]}
    for low in range(start, HEIGHT, step):
        span = [blocks[height] for height in range(low + 1, low + step + 1)]
        seconds = span[-1]["timestamp"] - blocks[low]["timestamp"]
        work = int(span[-1]["work"], 16) - int(blocks[low]["work"], 16)
        columns["block_time"].append(seconds / step)
        columns["difficulty"].append(1.0)
        columns["hash_rate"].append(work / seconds)
        columns["transactions"].append(sum(each["tx_count"] - 1 for each in span))
        columns["fees"].append(sum(each["fees"] for each in span))
        columns["issued"].append(node.coin.issued(low + step))
        columns["size"].append(sum(each["size"] for each in span))
    return columns


@pytest.mark.parametrize(
    ("query", "start", "step"),
    [
        ("", 1, 1),
        ("?points=22", 1, 1),
        ("?points=10", 2, 3),
        ("?points=5", 3, 5),
        ("?points=1", 1, 22),
        ("?from=0", 0, 1),
        ("?from=0&points=4", 5, 6),
    ],
)
def test_each_point_covers_the_blocks_behind_the_one_before(
    busy: RunningNode, query: str, start: int, step: int
) -> None:
    found = told(busy, query)
    assert (found["from"], found["to"], found["step"]) == (start, HEIGHT, step)
    assert found["heights"] == list(range(start + step, HEIGHT + 1, step))
    assert found["timestamps"] == [busy.chain.blocks[height].header.timestamp for height in found["heights"]]
    assert found["series"] == by_hand(busy, start, step)


def test_only_the_series_that_are_asked_for_are_told(busy: RunningNode) -> None:
    found = told(busy, "?series=fees,%20size,fees&from=4&to=9&points=3")
    assert (found["from"], found["step"], found["heights"]) == (5, 2, [7, 9])
    assert list(found["series"]) == ["fees", "size"]
    assert told(busy, "?series=")["series"] == {}


def test_a_stretch_above_the_tip_ends_at_the_tip(busy: RunningNode) -> None:
    assert told(busy, "?from=20&to=4000000000")["heights"] == [21, 22, 23]
    empty = told(busy, "?from=4000000000")
    assert (empty["from"], empty["to"], empty["heights"], empty["series"]["fees"]) == (HEIGHT, HEIGHT, [], [])


def test_genesis_alone_has_no_points(fresh: RunningNode) -> None:
    found = told(fresh)
    assert (found["from"], found["to"], found["heights"], found["timestamps"]) == (0, 0, [], [])
    assert set(found["series"]) == {
        *("block_time", "difficulty", "hash_rate", "transactions", "fees", "issued", "size")
    }


def test_a_clock_that_stood_still_gives_no_hash_rate(fresh: RunningNode) -> None:
    for _ in range(4):
        fresh.extend()
    fresh.extend(timestamp=fresh.chain.tip.header.timestamp)
    fresh.extend(timestamp=fresh.chain.tip.header.timestamp - 1)
    found = told(fresh)["series"]
    assert found["block_time"] == [10, 10, 10, 0, -1]
    assert found["hash_rate"][3:] == [None, None]


def test_a_reorg_changes_the_figures(fresh: RunningNode) -> None:
    for _ in range(3):
        fresh.extend()
    before = fresh.get("/v1/stats?series=transactions&from=0")
    assert before.json["series"]["transactions"] == [0, 0, 0]
    side = fresh.chain.branch(1, "side")
    side.add([side.transfer(ALICE, BOB, 1, 1)])
    side.grow(2)
    fresh.take(side, 2)
    after = fresh.get("/v1/stats?series=transactions&from=0", {"If-None-Match": before.headers["etag"]})
    assert after.json["series"]["transactions"] == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("series=bloock_time", "did you mean block_time?"),
        ("series=x%00y", "there are block_time, difficulty"),
        ("points=0", "points"),
        ("points=501", "points"),
        ("from=9&to=3", "above to"),
        ("from=-1", "from"),
        ("to=4294967296", "to"),
        ("series=" + "fees," * 60, "series"),
    ],
)
def test_what_is_no_stretch_or_series_is_refused(node: RunningNode, query: str, word: str) -> None:
    answer = node.get(f"/v1/stats?{query}")
    assert answer.status == 400
    assert word in answer.json["error"]["message"]
