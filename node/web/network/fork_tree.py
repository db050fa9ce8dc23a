"""Places the tree of blocks in a picture: a row a height, the newest on top, the main chain in the first lane.

Each side branch has a lane of its own, the nearest that is free from its oldest block to its newest. A long run of
heights at which nothing forks is drawn as one row. Everything here is numbers; `templates/tree.html` draws them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from ...api.shapes.explore import TreeBlock

BOX_WIDTH: Final = 148
BOX_HEIGHT: Final = 46
LABEL_HEIGHT: Final = 24
"""Of one label below a block."""
MAX_LABELS: Final = 6
"""Labels below a block; of more, the last says how many are left out."""
_LANE: Final = 176
_GAP: Final = 34
_FOLDED: Final = 30
_LEFT: Final = 66
"""Room for the heights."""
_EDGE: Final = 10
MAX_LANES: Final = 24
"""Lanes beside the main chain that are drawn: anybody can make side branches where mining is easy."""
NEVER_FOLDED: Final = 6
"""The newest heights are always drawn."""
_SHORTEST_FOLD: Final = 3


@dataclass(frozen=True, slots=True)
class Label:
    """A node whose own tip a block is."""

    text: str
    is_self: bool
    colour: int


@dataclass(frozen=True, slots=True)
class Box:
    """A block in the picture. `x`, `y`: its upper left corner."""

    block: TreeBlock
    x: int
    y: int
    labels: tuple[Label, ...]
    more_labels: int
    """Nodes that have no label of their own, for there are too many."""
    is_tip: bool
    """Whether it is the main chain's newest."""

    @property
    def centre(self) -> int:
        return self.x + BOX_WIDTH // 2

    @property
    def bottom(self) -> int:
        return self.y + BOX_HEIGHT


@dataclass(frozen=True, slots=True)
class Arrow:
    """From a child to its parent, as an SVG path. `kind`: the child's status; `is_open`: the parent is not drawn."""

    child: str
    path: str
    kind: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One height at `y`, or a run of `count` heights without a fork, from `height` down."""

    height: int
    count: int
    y: int

    @property
    def lowest(self) -> int:
        return self.height - self.count + 1


@dataclass(frozen=True, slots=True)
class Branch:
    """Blocks off the main chain, the newest first, down to where they leave another branch."""

    blocks: tuple[TreeBlock, ...]
    lane: int

    @property
    def tip(self) -> TreeBlock:
        return self.blocks[0]

    @property
    def fork_height(self) -> int:
        """Of the parent that it shares with another branch."""
        return self.blocks[-1].height - 1


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn, in units of SVG."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    rows: tuple[Row, ...]
    branches: tuple[Branch, ...]
    """All, the newest fork first."""
    not_drawn: int
    """How many of them found no lane."""


def draw(blocks: Sequence[TreeBlock], labels: Mapping[str, Sequence[Label]]) -> Picture:
    """`blocks` as `/v1/tree` has them; `labels`: nodes by the hash of their own tip."""
    branches = branches_of(blocks)
    lanes = {each.hash: branch.lane for branch in branches for each in branch.blocks}
    blocks = [each for each in blocks if lanes.get(each.hash, 0) <= MAX_LANES]
    tip = next((each.hash for each in blocks if each.main_chain), None)
    rows, bottom = _rows(blocks, _unfolded(blocks, branches, labels), labels)
    y_of = {row.height: row.y for row in rows if row.count == 1}
    boxes = {
        each.hash: Box(
            block=each,
            x=_LEFT + lanes.get(each.hash, 0) * _LANE,
            y=y_of[each.height],
            labels=tuple(labels.get(each.hash, ())[: _room(labels.get(each.hash, ()))]),
            more_labels=len(labels.get(each.hash, ())) - _room(labels.get(each.hash, ())),
            is_tip=each.hash == tip,
        )
        for each in blocks
        if each.height in y_of
    }
    return Picture(
        width=_LEFT + max(lanes.get(each.hash, 0) for each in blocks) * _LANE + BOX_WIDTH + _EDGE,
        height=bottom,
        boxes=tuple(boxes.values()),
        arrows=tuple(_arrows(boxes, rows)),
        rows=tuple(rows),
        branches=tuple(sorted(branches, key=lambda each: (-each.fork_height, each.lane))),
        not_drawn=sum(each.lane > MAX_LANES for each in branches),
    )


def _room(labels: Sequence[Label]) -> int:
    return len(labels) if len(labels) <= MAX_LABELS else MAX_LABELS - 1


def branches_of(blocks: Sequence[TreeBlock]) -> list[Branch]:
    """The branches off the main chain with their lanes, from 1 on. The oldest fork has the first choice of lane."""
    beside = {each.hash: each for each in blocks if not each.main_chain}
    parents = {each.prev_hash for each in beside.values()}
    leaves = sorted(
        (each for each in beside.values() if each.hash not in parents), key=lambda each: -int(each.work, 16)
    )
    seen: set[str] = set()
    found: list[tuple[TreeBlock, ...]] = []
    for leaf in leaves:
        line: list[TreeBlock] = []
        at: TreeBlock | None = leaf
        while at is not None and at.hash not in seen:
            line.append(at)
            seen.add(at.hash)
            at = beside.get(at.prev_hash)
        found.append(tuple(line))
    ends: list[int] = []
    """The newest height of each lane so far."""
    placed: list[Branch] = []
    for branch in sorted(found, key=lambda each: (each[-1].height, each[-1].hash)):
        lane = next((number for number, end in enumerate(ends) if end < branch[-1].height), len(ends))
        ends[lane : lane + 1] = [branch[0].height]
        placed.append(Branch(branch, lane + 1))
    return placed


def _unfolded(
    blocks: Sequence[TreeBlock], branches: Iterable[Branch], labels: Mapping[str, Sequence[Label]]
) -> Collection[int]:
    """The heights that have a row of their own in any case."""
    heights = [each.height for each in blocks]
    kept = set(range(max(heights) - NEVER_FOLDED + 1, max(heights) + 1)) | {min(heights)}
    kept.update(each.height for each in blocks if not each.main_chain or each.hash in labels)
    kept.update(branch.fork_height for branch in branches)
    return kept


def _rows(
    blocks: Sequence[TreeBlock], unfolded: Collection[int], labels: Mapping[str, Sequence[Label]]
) -> tuple[list[Row], int]:
    """The rows from the top down, and where the last one ends."""
    most: dict[int, int] = {}
    for each in blocks:
        here = len(labels.get(each.hash, ()))
        most[each.height] = max(most.get(each.height, 0), min(here, MAX_LABELS))
    rows: list[Row] = []
    y = _EDGE
    for keep, group in groupby(sorted(most, reverse=True), key=lambda height: height in unfolded):
        run = list(group)
        if not keep and len(run) >= _SHORTEST_FOLD:
            rows.append(Row(run[0], len(run), y))
            y += _FOLDED + _GAP
            continue
        for height in run:
            rows.append(Row(height, 1, y))
            y += BOX_HEIGHT + LABEL_HEIGHT * most[height] + _GAP
    return rows, y


def _arrows(boxes: Mapping[str, Box], rows: Sequence[Row]) -> Iterable[Arrow]:
    """One for each block but genesis, to its parent; across a run that is drawn as one row, to what is below it."""
    by_height = {box.block.height: box for box in boxes.values() if box.block.main_chain}
    folds = {row.height: row for row in rows if row.count > 1}
    for box in boxes.values():
        child = box.block
        parent = boxes.get(child.prev_hash)
        if parent is None and child.main_chain and child.height - 1 in folds:
            parent = by_height.get(folds[child.height - 1].lowest - 1)
        if parent is None:
            if child.height > 0:
                yield Arrow(child.hash, f"M{box.centre},{box.bottom}v{_GAP - 8}", child.status, True)
            continue
        yield Arrow(child.hash, _path(box, parent), child.status, False)


def _path(child: Box, parent: Box) -> str:
    """Straight down in a lane; else down, across in the gap above the parent's row, and down to it."""
    x, end = child.centre, parent.y - 3
    if child.x == parent.x:
        return f"M{x},{child.bottom}V{end}"
    y, to = parent.y - _GAP // 2 - 2, parent.centre + BOX_WIDTH // 4
    bend = 8 if to < x else -8
    return f"M{x},{child.bottom}V{y - 8}Q{x},{y} {x - bend},{y}H{to + bend}Q{to},{y} {to},{y + 8}V{end}"
