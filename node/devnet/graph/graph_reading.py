"""Reads a graph as a person names it: the one door of this room."""

from __future__ import annotations

from . import named_shapes
from .graph import BadGraph, NetworkGraph, check_connected


def read_graph(text: str, *, allow_parts: bool = False, seed: int | None = None) -> NetworkGraph:
    """The graph of a named shape (`ring:6`) or of a file. Raises BadGraph, with the file, line and name that is wrong.

    `seed`: which of the random shapes; None is always the same one. `allow_parts`: it need not hang together.
    """
    shape = named_shapes.parse(text)
    if shape is None:
        raise BadGraph(f"{text}: files are not read yet")
    graph = shape.make(seed)
    if not allow_parts:
        check_connected(graph)
    return graph
