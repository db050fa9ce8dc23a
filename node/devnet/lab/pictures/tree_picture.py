"""Draws a block tree over height: a row for each branch, the nodes at their tips, and pale what no node follows.

Scenes stand one below the other (before the heal, after it); a block keeps its place and its colour in all of them.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from .canvas import COLOURS, DASHES, FAINT, INK, PAPER, QUIET, Canvas, width_of

_MARGIN: Final = 24
_LEFT: Final = 74
"""Before the first block: the word *height*."""
_TITLE: Final = 46
_WIDEST: Final = 1000
"""Pixels that the columns share."""
_MOST_STEP: Final = 104
_LEAST_STEP: Final = 16
_HASH_STEP: Final = 72
"""Columns as wide as this show hashes."""
_BOX: Final = 30
_PILL: Final = 19
_LEAST_PILL: Final = 90
"""Names that are this wide are always written."""
_NOTE: Final = 14
"""A line of a note."""
_NOTE_LINES: Final = 2
_GAP: Final = 14
"""Between rows."""
_CAPTION: Final = 26
_AXIS: Final = 26
_HASH_DIGITS: Final = 6
_MOST_BEFORE: Final = 7
"""Blocks that are shown of a chain that has no fork."""


def short(block_hash: str) -> str:
    """A hash's last digits, since its first are zeros: as pictures and experiments show it."""
    return f"…{block_hash[-_HASH_DIGITS:]}"


@dataclass(frozen=True, slots=True)
class TreeBlock:
    block_hash: str
    prev_hash: str
    height: int
    note: str = ""
    """Stands above it: what it pays, say."""


@dataclass(frozen=True, slots=True)
class TreeScene:
    """The blocks that there are at one moment, and the tip of each node's main chain."""

    caption: str
    blocks: Sequence[TreeBlock]
    """Each with its parent, from one block on; those below the first fork may be left out."""
    tips: Mapping[str, str]
    """Names of nodes, and hashes."""


def tree_picture(title: str, scenes: Sequence[TreeScene]) -> str:
    """The SVG document. `title` stands above it, and says what it shows to those who cannot see it."""
    places = _Places(scenes)
    canvas = Canvas()
    canvas.text(_MARGIN, _TITLE / 2, title, size=16, is_bold=True)
    y = float(_TITLE)
    for scene in scenes:
        y = _draw_scene(canvas, scene, places, y)
    width = _draw_legend(canvas, places, y)
    return canvas.document(max(width, places.width, _MARGIN * 2 + width_of(title, 16)), y + 34, title)


class _Places:
    """Where each block of any scene stands: a row and a branch, and a column, which is its height."""

    def __init__(self, scenes: Sequence[TreeScene]) -> None:
        self.blocks = {block.block_hash: block for scene in scenes for block in scene.blocks}
        """The tree of all scenes; of notes that of the last scene."""
        self.row: dict[str, int] = {}
        self.branch: dict[str, int] = {}
        self._place(_winner(scenes))
        forks = [
            block.height - 1
            for block in self.blocks.values()
            if block.prev_hash in self.blocks and self.branch[block.prev_hash] != self.branch[block.block_hash]
        ]
        heights = [block.height for block in self.blocks.values()] or [0]
        self.last = max(heights)
        before = min(forks) - 1 if forks else self.last - _MOST_BEFORE
        self.first = max(min(heights), before, 0)
        count = self.last - self.first + 1
        self.step = min(_MOST_STEP, max(_LEAST_STEP, _WIDEST / count))
        self.box = self.step * 0.74
        self.rows = max(self.row.values(), default=0) + 1
        self.has_notes = any(block.note for block in self.blocks.values())
        self.row_height = _BOX + _PILL + _GAP + (_NOTE * _NOTE_LINES if self.has_notes else 0)
        self.width = _LEFT + count * self.step + _MARGIN + 30

    def _place(self, winner: str | None) -> None:
        parents = {block.prev_hash for block in self.blocks.values()}
        leaves = [found for found in self.blocks if found not in parents]
        # A row is free again behind a branch that ended; the winner's row is its alone.
        ends: list[int] = []
        order = sorted(leaves, key=lambda leaf: winner is None or winner not in self._chain(leaf))
        for branch, leaf in enumerate(order):
            own = [found for found in self._chain(leaf) if found not in self.row]
            start, end = self.blocks[own[-1]].height, self.blocks[own[0]].height
            free = (row for row in range(1, len(ends)) if ends[row] < start - 1)
            row = next(free, len(ends))
            ends[row : row + 1] = [end]
            for found in own:
                self.row[found], self.branch[found] = row, branch

    def _chain(self, tip: str) -> list[str]:
        """A block and its ancestors, the newest first."""
        found = []
        while tip in self.blocks:
            found.append(tip)
            tip = self.blocks[tip].prev_hash
        return found

    def followed(self, tips: Iterable[str]) -> set[str]:
        """The blocks that are on the chain of some tip."""
        return {found for tip in set(tips) for found in self._chain(tip)}

    def x(self, height: int) -> float:
        """The left edge of a block of that height."""
        return _LEFT + (height - self.first) * self.step


def _winner(scenes: Sequence[TreeScene]) -> str | None:
    """The tip that most nodes have in the last scene; of equal ones the higher."""
    last = scenes[-1]
    heights = {block.block_hash: block.height for block in last.blocks}
    counts = Counter(last.tips.values())
    return max(counts, key=lambda tip: (counts[tip], heights.get(tip, 0)), default=None)


@dataclass(slots=True)
class _Row:
    """Where a scene's rows lie."""

    places: _Places
    top: float
    notes: int = field(init=False)

    def __post_init__(self) -> None:
        self.notes = _NOTE * _NOTE_LINES if self.places.has_notes else 0

    def y(self, block_hash: str) -> float:
        """The upper edge of a block."""
        return self.top + self.places.row[block_hash] * self.places.row_height + self.notes


def _draw_scene(canvas: Canvas, scene: TreeScene, places: _Places, top: float) -> float:
    """Returns where the next one begins."""
    canvas.text(_MARGIN, top + _CAPTION / 2, scene.caption, size=14)
    rows = _Row(places, top + _CAPTION)
    followed = places.followed(scene.tips.values())
    shown_blocks = [block for block in scene.blocks if block.height >= places.first]
    for block in shown_blocks:
        _draw_link(canvas, block, places, rows, block.block_hash in followed)
    for block in shown_blocks:
        _draw_block(canvas, block, places, rows, block.block_hash in followed)
    names: dict[str, list[str]] = {}
    for name, tip in scene.tips.items():
        names.setdefault(tip, []).append(name)
    for tip, there in names.items():
        if tip in places.row:
            _draw_pill(canvas, tip, there, places, rows)
    bottom = rows.top + places.rows * places.row_height
    canvas.line([(_LEFT - 8, bottom), (places.x(places.last) + places.step, bottom)], FAINT, width=1)
    canvas.text(_MARGIN, bottom + _AXIS / 2, "height", size=11, colour=QUIET)
    every = next(n for n in (1, 2, 5, 10, 20, 50, 100, 1_000, 10_000) if n * places.step >= 26 or n == 10_000)
    for height in range(places.first, places.last + 1):
        if height % every == 0:
            middle = places.x(height) + places.box / 2
            canvas.text(middle, bottom + _AXIS / 2, f"{height:,}", size=11, colour=QUIET, anchor="middle")
    return bottom + _AXIS + _GAP


def _draw_link(canvas: Canvas, block: TreeBlock, places: _Places, rows: _Row, is_followed: bool) -> None:
    """From a block to its parent; from the first column to what is not shown."""
    colour, dashes = (_colour(places, block), "") if is_followed else (QUIET, DASHES[2])
    x, y = places.x(block.height), rows.y(block.block_hash) + _BOX / 2
    parent = places.blocks.get(block.prev_hash)
    if parent is None or parent.height < places.first:
        if block.height > 0:
            canvas.line([(x - 16, y), (x, y)], colour, dashes=DASHES[2])
        return
    start, above = places.x(parent.height) + places.box, rows.y(parent.block_hash) + _BOX / 2
    middle = (start + x) / 2
    canvas.line([(start, above), (middle, above), (middle, y), (x, y)], colour, width=2, dashes=dashes)


def _draw_block(canvas: Canvas, block: TreeBlock, places: _Places, rows: _Row, is_followed: bool) -> None:
    x, y = places.x(block.height), rows.y(block.block_hash)
    colour = _colour(places, block)
    canvas.box(
        x,
        y,
        places.box,
        _BOX,
        fill=colour if is_followed else PAPER,
        border=colour if is_followed else QUIET,
        dashes="" if is_followed else DASHES[2],
        corner=min(5, places.box / 4),
        title=f"block {block.height:,}: {block.block_hash}",
    )
    middle = x + places.box / 2
    ink = PAPER if is_followed else QUIET
    if places.step >= _HASH_STEP:
        canvas.text(middle, y + _BOX / 2, short(block.block_hash), colour=ink, size=12, anchor="middle")
    if block.note and places.step >= _HASH_STEP:
        most = int((places.step * 1.25) / width_of("m", 11))
        lines = textwrap.wrap(block.note, most, max_lines=_NOTE_LINES, placeholder="…")
        for number, line in enumerate(reversed(lines)):
            above = y - _NOTE * (number + 0.5) - 1
            canvas.text(middle, above, line, colour=INK if is_followed else QUIET, size=11, anchor="middle")


def _draw_pill(canvas: Canvas, tip: str, names: Sequence[str], places: _Places, rows: _Row) -> None:
    """The names of the nodes whose tip it is, below the block; where they are too many for it, their number."""
    said = f"{'node' if len(names) == 1 else 'nodes'} {', '.join(names)}"
    if width_of(said, 11) > max(places.step * 2, _LEAST_PILL):
        said = f"{len(names)} nodes" if len(names) > 1 else names[0]
    width = width_of(said, 11) + 12
    block = places.blocks[tip]
    middle, top = places.x(block.height) + places.box / 2, rows.y(tip) + _BOX + 3
    colour = _colour(places, block)
    canvas.box(middle - width / 2, top, width, _PILL - 3, border=colour, corner=8)
    canvas.text(middle, top + (_PILL - 3) / 2, said, colour=colour, size=11, anchor="middle", is_bold=True)


def _colour(places: _Places, block: TreeBlock) -> str:
    return COLOURS[places.branch[block.block_hash] % len(COLOURS)]


def _draw_legend(canvas: Canvas, places: _Places, top: float) -> float:
    """Returns its right end."""
    y, x = top + 10, float(_MARGIN)
    canvas.box(x, y - 7, 22, 14, fill=COLOURS[0], border=COLOURS[0])
    said = "on the main chain of a node"
    canvas.text(x + 30, y, said, size=12)
    x += 30 + width_of(said, 12) + 16
    if len(places.followed(places.blocks)) and max(places.branch.values(), default=0):
        canvas.box(x, y - 7, 22, 14, border=QUIET, dashes=DASHES[2])
        said = "valid, but on no node's main chain"
        canvas.text(x + 30, y, said, size=12, colour=QUIET)
        x += 30 + width_of(said, 12) + 16
    return x
