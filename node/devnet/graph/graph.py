"""What a network looks like: nodes, edges between them, and what a vertex or an edge may ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Final

from ...core.errors import MoneyerError

MOST_NODES: Final = 20_000
"""Vertices of a graph: twice what the largest simulation is asked to do. What a machine bears is for others to say."""
MOST_EDGES: Final = 200_000


class BadGraph(MoneyerError):
    """A graph that can be no network. `details`: `file`, `line` and `name`, where there are such."""

    code: ClassVar[str] = "bad_graph"


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A vertex."""

    name: str
    """Unique without regard to case; the name of its folder."""
    miner: bool = True
    hashrate: float | None = None
    """Its share of the network's work, relative to the other miners' shares; None where it has no own wish."""
    hashes: float | None = None
    """Or its hashes a second. A graph has shares or these, never both."""
    mode: str | None = None
    """When its worker mines, as `moneyer mining` takes it; None as the network is."""
    manual: bool = False
    """It neither pushes nor pulls blocks unless told."""


@dataclass(frozen=True, slots=True)
class EdgeSpec:
    """A connection; both ways are alike."""

    a: str
    b: str
    latency_ms: float = 0
    """Milliseconds that each message takes longer, one way."""
    loss: float = 0
    """Share of messages that are lost: from 0, below 1."""
    rate: int | None = None
    """Bytes a second; None without a bound."""


@dataclass(frozen=True)
class NetworkGraph:
    """The shape of a network: each name once, no loops, no two edges between the same nodes."""

    text: str
    """As it was asked for: `ring:6`, or the file's name."""
    nodes: tuple[NodeSpec, ...]
    edges: tuple[EdgeSpec, ...]
    _near: Mapping[str, list[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        near: dict[str, list[str]] = {node.name: [] for node in self.nodes}
        for edge in self.edges:
            near[edge.a].append(edge.b)
            near[edge.b].append(edge.a)
        object.__setattr__(self, "_near", near)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the nodes, in order."""
        return tuple(node.name for node in self.nodes)

    def neighbours(self, name: str) -> list[str]:
        """The nodes that it has an edge to, in the order of the edges. Raises KeyError."""
        return list(self._near[name])

    def components(self) -> list[list[str]]:
        """The parts that hang together, each in the nodes' order, the part with the first node first."""
        return parts_of(self.names, ((edge.a, edge.b) for edge in self.edges))

    @cached_property
    def shares(self) -> dict[str, float]:
        """Each miner's share of the network's work; together 1. Empty where nobody mines, or hashes are absolute.

        Where some miners have no share, the shares of the others are parts of 1, and these divide the rest equally.
        """
        miners = [node for node in self.nodes if node.miner]
        if not miners or any(node.hashes is not None for node in miners):
            return {}
        told = sum(node.hashrate or 0 for node in miners)
        silent = sum(node.hashrate is None for node in miners)
        rest = (1 - told) / silent if silent else 0
        whole = 1 if silent else told
        return {node.name: rest if node.hashrate is None else node.hashrate / whole for node in miners}


def parts_of(names: Iterable[str], edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The parts that hang together by `edges`, each in the order of `names`."""
    names = list(names)
    near: dict[str, list[str]] = {name: [] for name in names}
    for a, b in edges:
        near[a].append(b)
        near[b].append(a)
    part: dict[str, int] = {}
    count = 0
    for first in names:
        if first in part:
            continue
        part[first] = count
        waiting = [first]
        while waiting:
            for name in near[waiting.pop()]:
                if name not in part:
                    part[name] = count
                    waiting.append(name)
        count += 1
    found: list[list[str]] = [[] for _ in range(count)]
    for name in names:
        found[part[name]].append(name)
    return found


def check_connected(graph: NetworkGraph, file: str | None = None) -> None:
    """Raises BadGraph saying which parts there are, where not all nodes hang together."""
    parts = graph.components()
    if len(parts) < 2:
        return
    told = "; ".join(_listed(part) for part in parts[:4]) + ("; …" if len(parts) > 4 else "")
    raise BadGraph(
        f"{file or graph.text} is not connected: it has {len(parts):,} parts ({told}), and no block gets from one to "
        "another. Add edges between them, or allow it with --allow-parts",
        found=len(parts),
        **details_of(file),
    )


def _listed(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def details_of(file: str | None, line: int | None = None, name: str | None = None) -> dict[str, Any]:
    """What a program may read of a BadGraph: what is known of `file`, `line` and `name`."""
    return {key: value for key, value in (("file", file), ("line", line), ("name", name)) if value is not None}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something stands, for the sentence that refuses it."""

    file: str
    line: int | None = None
    name: str | None = None
    """`node a`, `edge a-b`."""

    def at(self, line: int | None, name: str | None = None) -> Place:
        return Place(self.file, line, name)

    def refuse(self, why: str) -> BadGraph:
        """The error: `ring.graphml, line 7: edge a-b: …`."""
        where = self.file if self.line is None else f"{self.file}, line {self.line:,}"
        return BadGraph(
            f"{where}: {f'{self.name}: ' if self.name else ''}{why}", **details_of(self.file, self.line, self.name)
        )
