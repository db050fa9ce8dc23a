"""Named shapes of a network: `ring:6`, `star:5`, `grid:3x4`, `random:20:4`; the nodes are called 1, 2, …"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ...system.text import shown
from ...system.words import nearest, quoted
from .graph import MOST_EDGES, MOST_NODES, BadGraph, EdgeSpec, NetworkGraph, NodeSpec, parts_of

_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_TRIES: Final = 100
"""Random graphs that are made until one is connected. Of four connections a node nearly all are."""
_REWIRED: Final = 0.2
"""Share of a small world's edges that lead far away. Watts and Strogatz: a few make all ways short."""

Pairs = Iterable[tuple[int, int]]
"""Edges between the nodes 1, 2, …"""


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape that was named, with its numbers."""

    text: str
    kind: str
    numbers: tuple[int, ...]

    def make(self, seed: int | None) -> NetworkGraph:
        """The graph. `seed` matters to random shapes only; None is the seed 0."""
        kind = KINDS[self.kind]
        count, edges = kind.size(*self.numbers)
        if count > MOST_NODES or edges > MOST_EDGES:
            raise BadGraph(
                f"{self.text} has {count:,} nodes and {edges:,} edges: a graph has {MOST_NODES:,} nodes and "
                f"{MOST_EDGES:,} edges at most",
                expected=MOST_NODES,
                found=count,
            )
        pairs = sorted((min(pair), max(pair)) for pair in kind.pairs(self, random.Random(seed or 0)))  # noqa: S311
        return NetworkGraph(
            self.text,
            tuple(NodeSpec(str(number)) for number in range(1, count + 1)),
            tuple(EdgeSpec(str(a), str(b)) for a, b in pairs),
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of shape."""

    example: str
    says: str
    """For the help: what it looks like."""
    least: int
    """Its smallest first number."""
    size: Callable[..., tuple[int, int]]
    """Its numbers -> nodes and edges."""
    pairs: Callable[[Shape, random.Random], Pairs]


def _ring(shape: Shape, _: random.Random) -> Pairs:
    (count,) = shape.numbers
    return ((number, number % count + 1) for number in range(1, count + 1))


def _star(shape: Shape, _: random.Random) -> Pairs:
    return ((1, number) for number in range(2, shape.numbers[0] + 1))


def _line(shape: Shape, _: random.Random) -> Pairs:
    return ((number, number + 1) for number in range(1, shape.numbers[0]))


def _complete(shape: Shape, _: random.Random) -> Pairs:
    (count,) = shape.numbers
    return ((a, b) for a in range(1, count) for b in range(a + 1, count + 1))


def _tree(shape: Shape, _: random.Random) -> Pairs:
    return ((number // 2, number) for number in range(2, shape.numbers[0] + 1))


def _grid(shape: Shape, _: random.Random) -> Iterator[tuple[int, int]]:
    rows, columns = shape.numbers
    for number in range(1, rows * columns + 1):
        if number % columns:
            yield number, number + 1
        if number + columns <= rows * columns:
            yield number, number + columns


def _random(shape: Shape, rng: random.Random) -> Pairs:
    count, degree = shape.numbers
    if degree >= count:
        raise _bad(shape, f"each of {count} nodes can have {count - 1} others at most, not {degree}")
    if count * degree % 2:
        raise _bad(
            shape,
            f"{count} nodes of {degree} connections each have {count * degree} ends, which is odd; an even number is "
            f"random:{count + 1}:{degree}" + (f" or random:{count}:{degree + 1}" if degree + 1 < count else ""),
        )
    if degree < 2 and count > 2:
        raise _bad(shape, "nodes of one connection each make pairs only; give each 3 or more")
    if degree == 2:
        raise _bad(shape, f"a connected graph of two connections each is a ring: ask for ring:{count}")
    import networkx

    for _ in range(_TRIES):
        pairs = [(a + 1, b + 1) for a, b in networkx.random_regular_graph(degree, count, seed=rng).edges]
        if _is_connected(count, pairs):
            return pairs
    raise _bad(shape, f"none of {_TRIES} such graphs was connected; give each node more connections")


def _small_world(shape: Shape, rng: random.Random) -> Pairs:
    count, degree = shape.numbers
    if degree % 2 or not 2 <= degree < count:
        raise _bad(
            shape,
            f"each node is first linked with as many on its left as on its right: the second number is even, from 2 to "
            f"{max(2, (count - 1) // 2 * 2)}, not {degree}",
        )
    import networkx

    for _ in range(_TRIES):
        pairs = [(a + 1, b + 1) for a, b in networkx.watts_strogatz_graph(count, degree, _REWIRED, seed=rng).edges]
        if _is_connected(count, pairs):
            return pairs
    raise _bad(shape, f"none of {_TRIES} such graphs was connected; give each node more connections")


def _is_connected(count: int, pairs: Pairs) -> bool:
    names = [str(number) for number in range(1, count + 1)]
    return len(parts_of(names, ((str(a), str(b)) for a, b in pairs))) == 1


KINDS: Final = {
    "ring": Kind("ring:6", "each linked with the next, the last with the first", 3, lambda n: (n, n), _ring),
    "star": Kind("star:5", "node 1 linked with all others", 1, lambda n: (n, n - 1), _star),
    "line": Kind("line:4", "each linked with the next", 1, lambda n: (n, n - 1), _line),
    "complete": Kind("complete:4", "each linked with each", 1, lambda n: (n, math.comb(n, 2)), _complete),
    "tree": Kind("tree:15", "each with two below it", 1, lambda n: (n, n - 1), _tree),
    "grid": Kind("grid:3x4", "rows and columns", 1, lambda rows, columns: (rows * columns, 2 * rows * columns), _grid),
    "random": Kind("random:20:4", "20 nodes, 4 connections each", 2, lambda n, d: (n, n * d // 2), _random),
    "smallworld": Kind(
        "smallworld:20:4", "a ring to the 4 nearest, some edges far", 3, lambda n, k: (n, n * k // 2), _small_world
    ),
}
"""Every shape, by its name."""
_TWO: Final = {"grid": "x", "random": ":", "smallworld": ":"}
"""What stands between the two numbers of those that have two."""


def parse(text: str) -> Shape | None:
    """The shape that `text` names; None where it can only be a file's name. Raises BadGraph where it is a wrong one."""
    if "/" in text:
        return None
    word, colon, rest = text.strip().partition(":")
    kind = word.strip().lower()
    if kind not in KINDS:
        if not colon:
            return None
        near = nearest(kind, KINDS)
        raise BadGraph(
            f"{quoted(text)} is no shape{f': did you mean {near}?' if near else '.'} The shapes are "
            f"{', '.join(each.example for each in KINDS.values())}; a file whose name has a colon is given with its "
            f"folder (./{shown(text, 40)})",
            name=shown(text, 40),
        )
    between = _TWO.get(kind)
    parts = re.split("[x×]", rest.lower()) if between == "x" else rest.split(":")
    shape = Shape(shown(text.strip(), 40), kind, ())
    if len(parts) != (2 if between else 1) or not all(_NUMBER.fullmatch(part) for part in parts):
        raise _bad(shape, f"it is written {KINDS[kind].example} ({KINDS[kind].says})")
    numbers = tuple(int(part) for part in parts)
    least = KINDS[kind].least
    if numbers[0] < least:
        raise _bad(shape, f"it has at least {least} node{'s' if least > 1 else ''}; two nodes are line:2")
    if numbers[-1] < 1:
        raise _bad(shape, f"a number is 0; it is written {KINDS[kind].example} ({KINDS[kind].says})")
    return Shape(f"{kind}:{(between or '').join(map(str, numbers))}", kind, numbers)


def _bad(shape: Shape, why: str) -> BadGraph:
    return BadGraph(f"{shape.text} is no {shape.kind}: {why}", name=shape.text)
