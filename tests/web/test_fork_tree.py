"""The tree of blocks is placed so that lanes never collide, arrows meet their parents, and long runs take one row."""

from __future__ import annotations

import random
from itertools import pairwise

from moneyer.node.api.shapes.explore import TreeBlock
from moneyer.node.web.network.fork_tree import (
    BOX_HEIGHT,
    BOX_WIDTH,
    MAX_LABELS,
    MAX_LANES,
    NEVER_FOLDED,
    Label,
    Picture,
    draw,
)


def block(name: str, parent: str, height: int, *, main: bool = False, status: str = "") -> TreeBlock:
    return TreeBlock(
        hash=name,
        prev_hash=parent,
        height=height,
        status=status or ("active" if main else "side_branch"),
        main_chain=main,
        timestamp=height,
        work=f"{height:064x}",
        tx_count=1,
        miner=None,
    )


def main_chain(top: int, lowest: int = 0) -> list[TreeBlock]:
    return [block(f"m{h}", f"m{h - 1}", h, main=True) for h in range(top, lowest - 1, -1)]


def side(name: str, fork: str, first: int, count: int) -> list[TreeBlock]:
    names = [fork, *(f"{name}{n}" for n in range(count))]
    return [block(names[n + 1], names[n], first + n) for n in range(count)]


def drawn(blocks: list[TreeBlock], labels: dict[str, list[Label]] | None = None) -> Picture:
    return draw(sorted(blocks, key=lambda each: (-each.height, not each.main_chain)), labels or {})


def test_the_main_chain_stands_in_the_first_lane_and_the_newest_on_top() -> None:
    picture = drawn([*main_chain(5), *side("a", "m2", 3, 2)])
    boxes = {box.block.hash: box for box in picture.boxes}
    assert len({boxes[f"m{height}"].x for height in range(6)}) == 1
    assert [boxes[f"m{height}"].y for height in range(6)] == sorted((boxes[f"m{h}"].y for h in range(6)), reverse=True)
    assert boxes["a0"].x == boxes["a1"].x > boxes["m3"].x
    assert boxes["a0"].y == boxes["m3"].y
    assert boxes["m5"].is_tip


def test_a_branch_from_a_branch_has_a_lane_of_its_own() -> None:
    picture = drawn([*main_chain(6), *side("a", "m2", 3, 3), *side("b", "a0", 4, 1)])
    by_tip = {each.tip.hash: each for each in picture.branches}
    assert by_tip["a2"].lane != by_tip["b0"].lane
    assert (by_tip["a2"].fork_height, by_tip["b0"].fork_height) == (2, 3)


def test_branches_of_different_heights_share_a_lane() -> None:
    picture = drawn([*main_chain(9), *side("a", "m2", 3, 2), *side("b", "m4", 5, 2)])
    assert {each.lane for each in picture.branches} == {1}


def test_no_two_blocks_touch_and_none_lies_outside() -> None:
    rng = random.Random(12)
    blocks = main_chain(220, 20)
    for number in range(20):
        fork = rng.randrange(20, 218)
        blocks += side(f"s{number}-", f"m{fork}", fork + 1, rng.randrange(1, 6))
    picture = drawn(blocks)
    places = [(box.x, box.y) for box in picture.boxes]
    assert len(set(places)) == len(places)
    rows = sorted({y for _, y in places})
    assert all(below - above > BOX_HEIGHT for above, below in pairwise(rows))
    assert all(box.x + BOX_WIDTH <= picture.width and box.bottom <= picture.height for box in picture.boxes)


def test_a_long_run_without_a_fork_is_one_row_and_the_arrow_crosses_it() -> None:
    picture = drawn([*main_chain(60), *side("a", "m10", 11, 1)])
    folds = [(row.height, row.lowest) for row in picture.rows if row.count > 1]
    assert folds == [(60 - NEVER_FOLDED, 12), (9, 1)]
    heights = [box.block.height for box in picture.boxes if box.block.main_chain]
    assert heights == [*range(60, 60 - NEVER_FOLDED, -1), 11, 10, 0]
    arrows = {arrow.child: arrow for arrow in picture.arrows}
    assert not arrows[f"m{61 - NEVER_FOLDED}"].is_open
    assert not arrows["m10"].is_open
    assert "m0" not in arrows


def test_the_arrow_to_a_parent_below_the_picture_stays_open() -> None:
    picture = drawn([*main_chain(9, 5), *side("a", "m4", 5, 1)])
    assert {arrow.child for arrow in picture.arrows if arrow.is_open} == {"m5", "a0"}


def test_many_nodes_at_one_tip_are_counted() -> None:
    labels = [Label(f"node {number}", False, 0) for number in range(60)]
    (box,) = [box for box in drawn(main_chain(3), {"m3": labels}).boxes if box.is_tip]
    assert len(box.labels) == MAX_LABELS - 1
    assert box.more_labels == 60 - len(box.labels)
    (box,) = [box for box in drawn(main_chain(3), {"m3": labels[:MAX_LABELS]}).boxes if box.is_tip]
    assert (len(box.labels), box.more_labels) == (MAX_LABELS, 0)


def test_a_heavier_looking_branch_above_the_tip_is_drawn_too() -> None:
    picture = drawn([*main_chain(3), *side("a", "m2", 3, 4)])
    assert {box.block.hash for box in picture.boxes} >= {"a0", "a1", "a2", "a3"}
    assert next(box for box in picture.boxes if box.is_tip).block.hash == "m3"


def test_genesis_alone_is_a_picture() -> None:
    picture = drawn(main_chain(0))
    assert [box.block.hash for box in picture.boxes] == ["m0"]
    assert picture.arrows == ()


def test_more_branches_than_have_a_lane_are_counted_and_not_drawn() -> None:
    blocks = main_chain(9)
    for number in range(MAX_LANES + 5):
        blocks += side(f"s{number}-", "m7", 8, 1)
    picture = drawn(blocks)
    assert (len(picture.branches), picture.not_drawn) == (MAX_LANES + 5, 5)
    assert len([box for box in picture.boxes if not box.block.main_chain]) == MAX_LANES
    assert all(box.x + BOX_WIDTH <= picture.width for box in picture.boxes)
