"""Reads a graph as a person names it: the one door of this room."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ...system.text import shown
from ...system.words import told
from . import graph_files, named_shapes, raw_graph, text_graphs
from .graph import NetworkGraph, Place, check_connected

_MADE: Final = "the graph of this program"


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


def graph_of(made: Any, *, allow_parts: bool = False) -> NetworkGraph:
    """The graph that a program has made: one of networkx, or a dict as a JSON file has it (`{"a": ["b"]}`). Its nodes
    and edges have the attributes that a file's have. Raises BadGraph."""
    if isinstance(made, NetworkGraph):
        return made
    place = Place(_MADE)
    if all(hasattr(made, each) for each in ("is_directed", "nodes", "edges")):  # networkx need not be there
        made = {
            "directed": made.is_directed(),
            "nodes": [{**row, "id": name} for name, row in made.nodes(data=True)],
            "edges": [{**row, "source": a, "target": b} for a, b, row in made.edges(data=True)],
        }
    if not isinstance(made, Mapping):
        raise place.refuse(
            f"it must be a shape such as ring:6, a file, a graph of networkx or a dict, not {told(made)}"
        )
    try:
        text = json.dumps(made)
    except (TypeError, ValueError, RecursionError):
        raise place.refuse("its names and attributes must be text, numbers, true or false") from None
    graph = raw_graph.check(text_graphs.read_json(text, place), _MADE)
    if not allow_parts:
        check_connected(graph, _MADE)
    return graph
