"""Reads DOT, the language of GraphViz: https://graphviz.org/doc/info/lang.html

All of its grammar but what only draws: nodes, edges and chains of them, subgraphs as sets of nodes, defaults for those
that follow (`node [miner=false]`), quoted names, comments. Ports and HTML are passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ...system.text import shown
from ...system.words import quoted
from .attributes import Value
from .graph import MOST_EDGES, Place
from .raw_graph import RawEdge, RawGraph, RawNode

_TOKEN: Final = re.compile(
    r"""(?P<gap>\s+|//[^\n]*|\#[^\n]*|/\*.*?\*/)
    |(?P<sign>--|->|[{}\[\];,=:+])
    |(?P<word>[^\W\d]\w*|-?(?:\.\d+|\d+(?:\.\d*)?))
    |"(?P<quoted>(?:[^"\\]|\\.)*)"
    |(?P<html><[^<>]*>)""",
    re.VERBOSE | re.DOTALL,
)
_DEEPEST: Final = 50
"""Subgraphs within subgraphs."""


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int
    is_sign: bool = False
    is_word: bool = False
    """It may be a word of the language: `graph`, `node`, `edge`, … without quotes."""


def _tokens(text: str, place: Place) -> list[_Token]:
    found: list[_Token] = []
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise place.at(line).refuse(f"{quoted(text[at : at + 20].splitlines()[0])} is not DOT")
        kind = match.lastgroup
        if kind == "quoted":
            # A backslash before a line's end joins the lines.
            plain = re.sub(r"\\(\r?\n)", "", match["quoted"]).replace('\\"', '"')
            found.append(_Token(plain, line))
        elif kind != "gap":
            found.append(_Token(match[0], line, kind == "sign", kind == "word"))
        line += match[0].count("\n")
        at = match.end()
    return found


Values = dict[str, Value]


class _Reader:
    """Walks through the tokens; each method takes what it is named after."""

    def __init__(self, tokens: list[_Token], place: Place) -> None:
        self._tokens = tokens
        self._place = place
        self._at = 0
        self._is_strict = False
        self._is_directed = False
        self._node_values: Values = {}
        self._edge_values: Values = {}
        self.nodes: dict[str, RawNode] = {}
        self.edges: list[RawEdge] = []

    # --- tokens

    def _peek(self, *signs: str) -> bool:
        return self._at < len(self._tokens) and self._here.is_sign and self._here.text in signs

    @property
    def _here(self) -> _Token:
        return self._tokens[min(self._at, len(self._tokens) - 1)]

    def _word(self, *words: str) -> str | None:
        """A word of the language, in lower case, if it comes next."""
        if self._at < len(self._tokens) and self._here.is_word and self._here.text.lower() in words:
            self._at += 1
            return self._tokens[self._at - 1].text.lower()
        return None

    def _take(self, sign: str) -> None:
        if not self._peek(sign):
            raise self._wrong(f"here must stand {sign}")
        self._at += 1

    def _name(self) -> _Token:
        if self._at >= len(self._tokens) or self._here.is_sign:
            raise self._wrong("here must stand a name")
        token = self._tokens[self._at]
        self._at += 1
        text = token.text
        while self._peek("+"):
            self._at += 1
            text += self._name().text
        return _Token(text, token.line)

    def _wrong(self, why: str) -> Exception:
        if self._at >= len(self._tokens):
            return self._place.at(self._here.line).refuse(f"the file ends too early: {why}")
        return self._place.at(self._here.line).refuse(f"{why}, not {shown(self._here.text, 40)}")

    # --- statements

    def graph(self) -> None:
        self._is_strict = self._word("strict") is not None
        kind = self._word("graph", "digraph")
        if kind is None:
            raise self._wrong("it must begin with graph or digraph")
        self._is_directed = kind == "digraph"
        if not self._peek("{"):
            self._name()
        self._statements(0)
        if self._at < len(self._tokens):
            raise self._wrong("the file must end after the graph")

    def _statements(self, depth: int) -> list[str]:
        """What stands in braces; the nodes in it."""
        if depth > _DEEPEST:
            raise self._wrong(f"subgraphs can be {_DEEPEST} deep")
        self._take("{")
        outer = self._node_values, self._edge_values
        self._node_values, self._edge_values = dict(outer[0]), dict(outer[1])
        found: dict[str, None] = {}
        while not self._peek("}"):
            found.update(dict.fromkeys(self._statement(depth)))
            while self._peek(";", ","):
                self._at += 1
        self._take("}")
        self._node_values, self._edge_values = outer
        return list(found)

    def _statement(self, depth: int) -> list[str]:
        kind = self._word("graph", "node", "edge")
        if kind:
            values = self._values()
            if kind == "node":
                self._node_values |= values
            elif kind == "edge":
                self._edge_values |= values
            return []
        line = self._here.line
        before = self._at
        ends = [self._end(depth)]
        if self._at == before + 1 and self._peek("="):  # an attribute of the graph: `rankdir = LR`
            self._at += 1
            self._name()
            return []
        while self._peek("--", "->"):
            self._at += 1
            ends.append(self._end(depth))
        values = self._values() if self._peek("[") else {}
        names = [name for end in ends for name in end]
        is_node = len(ends) == 1 and not self._tokens[before].is_sign and self._tokens[before].text != "subgraph"
        for name in names:
            self._add(name, values if is_node else {}, line)
        for left, right in pairwise(ends):
            self._link(left, right, {**self._edge_values, **values}, line)
        return names

    def _add(self, name: str, values: Values, line: int) -> None:
        known = self.nodes.get(name)
        if known is None:
            self.nodes[name] = RawNode(name, {**self._node_values, **values}, line)
        elif values:
            self.nodes[name] = RawNode(name, {**known.attributes, **values}, known.line)

    def _link(self, left: list[str], right: list[str], values: Values, line: int) -> None:
        if len(self.edges) + len(left) * len(right) > MOST_EDGES:
            raise self._place.at(line).refuse(f"the graph has more than {MOST_EDGES:,} edges")
        self.edges.extend(RawEdge(a, b, values, line, self._is_directed, self._is_strict) for a in left for b in right)

    def _end(self, depth: int) -> list[str]:
        """One end of an edge: a node, or all nodes of a subgraph."""
        if self._word("subgraph"):
            if not self._peek("{"):
                self._name()
            return self._statements(depth + 1)
        if self._peek("{"):
            return self._statements(depth + 1)
        name = self._name().text
        while self._peek(":"):  # a port: where on the node's border the line is drawn
            self._at += 1
            self._name()
        return [name]

    def _values(self) -> Values:
        found: Values = {}
        while self._peek("["):
            self._at += 1
            while not self._peek("]"):
                word = self._name()
                value = "true"
                if self._peek("="):
                    self._at += 1
                    value = self._name().text
                found[word.text] = Value(value, word.line)
                while self._peek(";", ","):
                    self._at += 1
            self._take("]")
        return found


def read_dot(text: str, place: Place) -> RawGraph:
    """Raises BadGraph."""
    tokens = _tokens(text, place)
    if not tokens:
        raise place.refuse("it is empty")
    reader = _Reader(tokens, place)
    reader.graph()
    return RawGraph(place, list(reader.nodes.values()), reader.edges)
