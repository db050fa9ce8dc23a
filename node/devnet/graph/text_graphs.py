"""Reads edge lists, and JSON in the three ways that graphs are written in it.

An edge list has an edge a line, and `#` begins a comment:

    a b
    b c  latency_ms=300 loss=0.1
    "Al Ice" b  {'latency_ms': 5}      what networkx writes
    c  miner=false                     a node by itself, for its attributes

JSON is networkx's node-link data (`nodes`, `edges` or `links`), its adjacency data (`nodes`, `adjacency`), or plain:
`{"a": ["b", "c"], "b": {"c": {"latency_ms": 300}}}`, in which a-b may stand with a, with b, or with both.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from ...system.words import told
from .attributes import Attributes, Value
from .graph import Place
from .raw_graph import RawEdge, RawGraph, RawNode, place_of

_LONGEST_LINE: Final = 4096
_LONGEST_NUMBER: Final = 40
_WORDS: Final = re.compile(r'"([^"]*)"(?=\s|$)|([^\s"]\S*)|(")')
_PAIR: Final = re.compile(r'(\w+)=("?)(.*?)\2')
_WRITTEN: Final = (
    "a line is two names and what the edge has, as in: a b latency_ms=300 (a name with a space is put in quotes)"
)


def read_edge_list(text: str, place: Place) -> RawGraph:
    """Raises BadGraph."""
    nodes: dict[str, RawNode] = {}
    told_at: dict[str, int] = {}
    edges = []
    for number, line in enumerate(text.splitlines(), 1):
        here = place.at(number)
        names, attributes = _parts(line, here)
        for name in names:
            nodes.setdefault(name, RawNode(name, {}, number))
        if len(names) == 1:
            (name,) = names
            if name in told_at:
                raise place_of(place, "node", name, number).refuse(f"it is described in line {told_at[name]:,} already")
            told_at[name] = number
            nodes[name] = RawNode(name, attributes, number)
        elif names:
            edges.append(RawEdge(names[0], names[1], attributes, number))
    return RawGraph(place, list(nodes.values()), edges)


def _parts(line: str, place: Place) -> tuple[list[str], Attributes]:
    """The names of a line (none, one or two), and its attributes. Raises BadGraph."""
    if len(line) > _LONGEST_LINE:
        raise place.refuse(f"the line has more than {_LONGEST_LINE:,} characters: {_WRITTEN}")
    line = line.strip()
    names: list[str] = []
    while line and not line.startswith("#"):
        if line.startswith("{"):
            return _named(names, place), _literal(line, place)
        found = _WORDS.match(line)
        if found is None or found[3] or "=" in (found[2] or ""):
            break
        names.append(found[1] if found[1] is not None else found[2])
        line = line[found.end() :].lstrip()
    attributes: dict[str, Value] = {}
    while line and not line.startswith("#"):
        pair = re.match(r'(\w+)=("[^"]*"|[^\s"]*)(\s+|$)', line)
        if pair is None or pair[1] in attributes:
            raise place.refuse(_WRITTEN)
        attributes[pair[1]] = Value(pair[2].strip('"'), place.line)
        line = line[pair.end() :]
    return (_named(names, place) if names or attributes else []), attributes


def _named(names: list[str], place: Place) -> list[str]:
    if len(names) in (1, 2):
        return names
    raise place.refuse(_WRITTEN)


def _literal(text: str, place: Place) -> Attributes:
    """The attributes that networkx writes as a dict of Python's; only values are read, nothing is run."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise place.refuse("what stands in braces is no list of attributes, as in {'latency_ms': 300}")
    return {key: Value(value, place.line) for key, value in found.items()}


# --- JSON --------------------------------------------------------------------------------------------------------


class _Twice(ValueError):
    """A key stands twice in an object."""


def read_json(text: str, place: Place) -> RawGraph:
    """Raises BadGraph."""
    try:
        found = json.loads(text, object_pairs_hook=_object, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise place.at(error.lineno).refuse(f"it is no JSON from here on ({error.msg})") from None
    except _Twice as error:
        raise place.refuse(f"{error} stands twice in one object: leave one out") from None
    except RecursionError:
        raise place.refuse("lists in lists in lists: no graph is so deep") from None
    if not isinstance(found, dict):
        raise place.refuse(f'it must be an object, as in {{"a": ["b", "c"]}}, not {told(found)}')
    nodes = found.get("nodes")
    if isinstance(nodes, list) and not all(isinstance(each, str | int) for each in nodes):
        return _tables(found, nodes, place)
    if nodes == [] and {"edges", "links", "adjacency"} & found.keys():
        return RawGraph(place, [], [])
    return _plain(found, place)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _Twice(told(next(key for key in keys if keys.count(key) > 1)))
    return found


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else math.inf


def _id(value: Any, place: Place) -> str:
    """A name: text, or a whole number as text."""
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise place.refuse(f"a node's name must be text or a whole number, not {told(value)}")


def _values(row: Mapping[str, Any], without: set[str]) -> Attributes:
    return {key: Value(value) for key, value in row.items() if key not in without}


def _rows(found: Any, what: str, place: Place) -> list[dict[str, Any]]:
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise place.refuse(f"{what} must be a list of objects, not {told(found)}")
    return found


def _tables(found: dict[str, Any], listed: list[Any], place: Place) -> RawGraph:
    """networkx's node-link or adjacency data."""
    is_directed = bool(found.get("directed"))
    nodes = []
    for number, row in enumerate(_rows(listed, "nodes", place)):
        here = place.at(None, f"nodes[{number}]")
        if "id" not in row:
            raise here.refuse("it has no id")
        nodes.append(RawNode(_id(row["id"], here), _values(row, {"id"})))
    edges = []
    if "adjacency" in found:
        lists = found["adjacency"]
        if not isinstance(lists, list) or len(lists) != len(nodes):
            raise place.refuse("adjacency must be a list with a list for each node")
        for node, rows in zip(nodes, lists, strict=True):
            for row in _rows(rows, f"adjacency of {node.id}", place):
                here = place.at(None, f"adjacency of {node.id}")
                other = _id(row.get("id"), here)
                # Without a direction each edge stands with both of its ends; a loop only once.
                edges.append(RawEdge(node.id, other, _values(row, {"id", "key"}), is_directed=True))
        return RawGraph(place, nodes, edges)
    name = "edges" if "edges" in found else "links"
    for number, row in enumerate(_rows(found.get(name), name, place)):
        here = place.at(None, f"{name}[{number}]")
        a, b = (_id(row.get(end), here) for end in ("source", "target"))
        edges.append(RawEdge(a, b, _values(row, {"source", "target", "key"}), is_directed=is_directed))
    return RawGraph(place, nodes, edges)


def _plain(found: dict[str, Any], place: Place) -> RawGraph:
    """Names and their neighbours. Those that are named as neighbours only are nodes, too."""
    names: dict[str, None] = dict.fromkeys(found)
    edges = []
    for name, others in found.items():
        here = place_of(place, "node", name, None)
        if isinstance(others, Mapping):
            rows = list(others.items())
        elif isinstance(others, list):
            rows = [(each, {}) for each in others]
        else:
            raise here.refuse(f"its neighbours must be a list of names, or an object with one each, not {told(others)}")
        for other, attributes in rows:
            end = _id(other, here)
            if not isinstance(attributes, Mapping | None):
                raise here.refuse(f'{end} must have an object, as in {{"latency_ms": 300}}, not {told(attributes)}')
            names.setdefault(end)
            edges.append(RawEdge(name, end, _values(attributes or {}, set()), is_directed=True))
    return RawGraph(place, [RawNode(name, {}) for name in names], edges)
