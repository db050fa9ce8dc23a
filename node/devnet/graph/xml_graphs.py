"""Reads GraphML and GEXF, with the line of each element.

A document type is refused: it can define entities that grow beyond all memory or name other files, and neither format
needs one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NoReturn
from xml.parsers import expat

from ...system.words import quoted
from .attributes import Attributes, Value
from .graph import Place
from .raw_graph import RawEdge, RawGraph, RawNode, place_of

_MOST_ELEMENTS: Final = 500_000
_DEEPEST: Final = 50
"""Elements within elements; both formats need eight."""


@dataclass(slots=True)
class _Element:
    tag: str
    """Without its namespace."""
    attributes: dict[str, str]
    line: int
    text: str = ""
    children: list[_Element] = field(default_factory=list)

    def all(self, tag: str) -> Iterator[_Element]:
        return (child for child in self.children if child.tag == tag)

    def get(self, name: str, place: Place) -> str:
        """An attribute that it must have."""
        if name not in self.attributes:
            raise place.at(self.line).refuse(f"<{self.tag}> has no {name}")
        return self.attributes[name]


class _Tree:
    """Builds the tree of elements while expat reads."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._open: list[_Element] = []
        self._count = 0
        self._root: _Element | None = None

    def read(self, text: str) -> _Element:
        try:
            self._parser.Parse(text, True)
        except expat.ExpatError as error:
            raise self._place.at(error.lineno).refuse(
                f"it is no XML from here on ({expat.ErrorString(error.code)})"
            ) from None
        if self._root is None:  # pragma: no cover - expat refuses a document without an element
            raise self._place.refuse("it is empty")
        return self._root

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        line = self._parser.CurrentLineNumber
        self._count += 1
        if self._count > _MOST_ELEMENTS or len(self._open) >= _DEEPEST:
            raise self._place.at(line).refuse("it has more elements, or deeper ones, than a graph that can be run")
        plain = {name.rpartition(" ")[2]: value for name, value in attributes.items()}
        element = _Element(tag.rpartition(" ")[2], plain, line)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)

    def _end(self, _: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        self._open[-1].text += text

    def _refuse_doctype(self, *_: object) -> NoReturn:
        raise self._place.at(self._parser.CurrentLineNumber).refuse(
            "it has a DOCTYPE, which is not read: take that line out"
        )


def _root(text: str, tag: str, place: Place) -> tuple[_Element, _Element]:
    """The outer element and its one graph."""
    root = _Tree(place).read(text)
    if root.tag != tag:
        raise place.at(root.line).refuse(f"it begins with <{root.tag}> and not with <{tag}>: is it another format?")
    graphs = list(root.all("graph"))
    if len(graphs) != 1:
        raise place.at(graphs[1].line if graphs else root.line).refuse(
            f"it has {len(graphs)} graphs, and a network has one"
        )
    return root, graphs[0]


@dataclass(frozen=True, slots=True)
class _Key:
    """An attribute that a file declares."""

    name: str | None
    """None where it is one of a drawing program's own."""
    default: Value | None


# --- GraphML -----------------------------------------------------------------------------------------------------


def read_graphml(text: str, place: Place) -> RawGraph:
    """A graph in GraphML (http://graphml.graphdrawing.org). Raises BadGraph."""
    root, graph = _root(text, "graphml", place)
    keys: dict[str, dict[str, _Key]] = {"node": {}, "edge": {}}
    for key in root.all("key"):
        default = next(key.all("default"), None)
        value = None if default is None else Value(default.text.strip(), default.line)
        for kind in ("node", "edge"):
            if key.attributes.get("for", "all") in (kind, "all"):
                keys[kind][key.get("id", place)] = _Key(key.attributes.get("attr.name"), value)
    is_directed = graph.attributes.get("edgedefault") == "directed"
    nodes, edges = [], []
    for element in graph.children:
        if element.tag == "node":
            name = element.get("id", place)
            here = place_of(place, "node", name, element.line)
            nodes.append(RawNode(name, _graphml_values(element, keys["node"], here), element.line))
        elif element.tag == "edge":
            a, b = element.get("source", place), element.get("target", place)
            here = place_of(place, "edge", f"{a}-{b}", element.line)
            one_way = element.attributes.get("directed", str(is_directed)).lower() == "true"
            edges.append(RawEdge(a, b, _graphml_values(element, keys["edge"], here), element.line, one_way))
        elif element.tag == "hyperedge":
            raise place.at(element.line).refuse("it has a <hyperedge>, and a connection has two ends: use edges")
    return RawGraph(place, nodes, edges)


def _graphml_values(element: _Element, keys: dict[str, _Key], place: Place) -> Attributes:
    if next(element.all("graph"), None) is not None:
        raise place.refuse("it has a graph in it, and a node is one node")
    found = {key.name: key.default for key in keys.values() if key.name and key.default}
    for data in element.all("data"):
        key = keys.get(data.get("key", place))
        if key is None:
            raise place.at(data.line, place.name).refuse(
                f"<data> has the key {quoted(data.attributes['key'])}, and no <key> for a {element.tag} has that id"
            )
        if key.name:
            found[key.name] = Value(data.text.strip(), data.line)
    return found


# --- GEXF --------------------------------------------------------------------------------------------------------


def read_gexf(text: str, place: Place) -> RawGraph:
    """A graph in GEXF (https://gexf.net). A node is called by its attribute `name`, else its label, else its id."""
    _, graph = _root(text, "gexf", place)
    keys: dict[str, dict[str, _Key]] = {"node": {}, "edge": {}}
    for group in graph.all("attributes"):
        for each in group.all("attribute"):
            default = next(each.all("default"), None)
            value = None if default is None else Value(default.text.strip(), default.line)
            kind = keys.setdefault(group.attributes.get("class", ""), {})
            kind[each.get("id", place)] = _Key(each.get("title", place), value)
    is_directed = graph.attributes.get("defaultedgetype") == "directed"
    nodes, edges = [], []
    for element in (child for group in graph.all("nodes") for child in group.all("node")):
        name = element.get("id", place)
        here = place_of(place, "node", name, element.line)
        if next(element.all("nodes"), None) is not None:
            raise here.refuse("it has nodes in it, and a node is one node")
        values = _gexf_values(element, keys["node"], here)
        if element.attributes.get("label"):
            values = {"name": Value(element.attributes["label"], element.line), **values}
        nodes.append(RawNode(name, values, element.line))
    for element in (child for group in graph.all("edges") for child in group.all("edge")):
        a, b = element.get("source", place), element.get("target", place)
        here = place_of(place, "edge", f"{a}-{b}", element.line)
        kind_of_edge = element.attributes.get("type")
        one_way = is_directed if kind_of_edge is None else kind_of_edge == "directed"
        edges.append(RawEdge(a, b, _gexf_values(element, keys["edge"], here), element.line, one_way))
    return RawGraph(place, nodes, edges)


def _gexf_values(element: _Element, keys: dict[str, _Key], place: Place) -> dict[str, Value]:
    found = {key.name: key.default for key in keys.values() if key.name and key.default}
    for group in element.all("attvalues"):
        for each in group.all("attvalue"):
            wanted = each.attributes.get("for") or each.get("id", place)
            key = keys.get(wanted)
            if key is None or key.name is None:
                raise place.at(each.line, place.name).refuse(
                    f"<attvalue> is for {quoted(wanted)}, and no <attribute> of a {element.tag} has that id"
                )
            found[key.name] = Value(each.get("value", place), each.line)
    return found
