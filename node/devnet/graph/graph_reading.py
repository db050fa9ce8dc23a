"""Reads a graph as a person names it: the one door of this room."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ...system.text import shown
from . import graph_files, named_shapes, raw_graph
from .graph import NetworkGraph, check_connected


def read_graph(text: str, *, allow_parts: bool = False, seed: int | None = None) -> NetworkGraph:
    """The graph of a named shape (`ring:6`) or of a file. Raises BadGraph, with the file, line and name that is wrong.

    `seed`: which of the random shapes; None is always the same one. `allow_parts`: it need not hang together.
    """
    shape = named_shapes.parse(text)
    file = None
    if shape is not None:
        graph = shape.make(seed)
    else:
        path = Path(text)
        with suppress(RuntimeError):  # no such person's home
            path = path.expanduser()
        file = shown(path, 200)
        graph = raw_graph.check(graph_files.read(path), shown(path.name, 100))
    if not allow_parts:
        check_connected(graph, file)
    return graph
