"""`network.json`: the plan of a network that was made from a graph, as a file in the folder above its nodes' folders.

It stands this low because a node reads it too: its page shows the whole network that it belongs to. `node.devnet.net`
makes and writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from .config import NETWORK_FILE
from .core.errors import MoneyerError

MAX_BYTES: Final = 16_000_000
"""A larger file is refused before it is parsed: room for 10,000 nodes with some tens of edges each."""
MAX_NODES: Final = 10_000
RESERVED: Final = frozenset({"snapshots", "logs", "worker", "coin.toml", "network.json", "network.lock", "procfile"})
"""No names of nodes, in lower case: what else lies in a network's folder, and its worker."""
_MAX_NAME: Final = 64
"""Characters of a node's name; the graph's reader allows fewer."""
_VERSION: Final = 1


class BadNetwork(MoneyerError):
    """A folder's `network.json` is not what this program wrote there, or there is none."""

    code = "bad_network"


@dataclass(frozen=True, slots=True)
class PlannedNode:
    """A node of the plan."""

    name: str
    port: int
    """On 127.0.0.1."""
    folder: Path
    """Its data folder: that of the network, and its name."""
    miner: bool
    """Whether the network's worker mines for it."""
    hashes: float
    """Hashes a second that the worker spends for it; 0 where it does not mine."""
    mode: str | None
    """When the worker mines for it, as of `moneyer mining`; None: always, at `hashes`."""
    manual: bool
    """Whether it neither pushes nor pulls blocks unless told."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class PlannedEdge:
    """A connection of the plan, and its conditions now."""

    a: str
    b: str
    latency_ms: float = 0
    """Each way."""
    loss: float = 0
    """Share of messages that are lost, 0 to below 1."""
    rate: int | None = None
    """Bytes a second each way; None: unbounded."""
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class NetPlan:
    """A network from a graph. Its nodes and edges are fixed; the edges' conditions and hash rates change."""

    data: Path
    """The network's folder, absolute."""
    graph: str
    """The graph as it was asked for: `ring:6`, or a file's name."""
    nodes: tuple[PlannedNode, ...]
    edges: tuple[PlannedEdge, ...]
    is_mining: bool = True
    """Whether miners mine by themselves; else only what is asked for."""

    @property
    def names(self) -> list[str]:
        return [node.name for node in self.nodes]

    @property
    def coin_file(self) -> Path:
        return self.data / "coin.toml"

    def node(self, name: str) -> PlannedNode:
        """The node of that name. Raises KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def edges_of(self, name: str) -> Iterator[tuple[PlannedNode, PlannedEdge]]:
        """Each neighbour of a node, with the edge that leads there."""
        by_name = {node.name: node for node in self.nodes}
        for edge in self.edges:
            if name in (edge.a, edge.b):
                yield by_name[edge.b if edge.a == name else edge.a], edge

    def neighbours(self, name: str) -> list[str]:
        """The names of a node's neighbours."""
        return [node.name for node, _ in self.edges_of(name)]


Hashes = Annotated[float, msgspec.Meta(ge=0, le=1e18)]
"""A second, of a node's worker."""


class _NodeRow(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=_MAX_NAME)]
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)]
    miner: bool
    hashes: Hashes
    mode: Annotated[str, msgspec.Meta(max_length=_MAX_NAME)] | None
    manual: bool


class EdgeRow(msgspec.Struct, forbid_unknown_fields=True):
    """An edge as the file has it, within the bounds that a node takes (`p2p.peer.link_conditions`)."""

    a: str
    b: str
    latency_ms: Annotated[float, msgspec.Meta(ge=0, le=60_000)]
    loss: Annotated[float, msgspec.Meta(ge=0, lt=1)]
    rate: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None
    cut: bool


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    graph: Annotated[str, msgspec.Meta(max_length=4_096)]
    mining: bool
    nodes: Annotated[list[_NodeRow], msgspec.Meta(min_length=1, max_length=MAX_NODES)]
    edges: list[EdgeRow]


_DECODER: Final = msgspec.json.Decoder(_File)
"""Made here: msgspec is not safe where threads meet a type first (`node.system.decoding`)."""


def read_plan(data: Path) -> NetPlan:
    """The plan of a network's folder. Raises BadNetwork with the file's name, OSError."""
    data = data.absolute()
    path = data / NETWORK_FILE
    if not path.is_file():  # opening a pipe would wait
        raise BadNetwork(f"{data} holds no network: there is no {NETWORK_FILE} in it", path=str(path))
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise BadNetwork(f"{path} is too large to be a network's plan: is it another file?", path=str(path))
    try:
        held = _DECODER.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadNetwork(
            f"{path} cannot be read: {error}. `moneyer net up --graph … --data` another folder makes a new network",
            path=str(path),
        ) from None
    if held.version != _VERSION:
        raise BadNetwork(f"{path} is of version {held.version}, and this moneyer knows {_VERSION} only", path=str(path))
    nodes = tuple(
        PlannedNode(row.name, row.port, data / row.name, row.miner, row.hashes, row.mode, row.manual)
        for row in held.nodes
    )
    edges = tuple(PlannedEdge(row.a, row.b, row.latency_ms, row.loss, row.rate, row.cut) for row in held.edges)
    plan = NetPlan(data, held.graph, nodes, edges, held.mining)
    check_plan(plan)
    return plan


def check_plan(plan: NetPlan) -> None:
    """Raises BadNetwork where a plan's names are no folders of their own, or its edges lead nowhere."""
    path = plan.data / NETWORK_FILE
    seen: set[str] = set()
    for node in plan.nodes:
        wrong = _wrong_folder(node.name)
        if wrong is not None:
            raise BadNetwork(f"{path}: {json.dumps(node.name)} {wrong}", path=str(path), found=node.name)
        if node.name.casefold() in seen:
            raise BadNetwork(f"{path}: two nodes are named {node.name}, but for its case", path=str(path))
        seen.add(node.name.casefold())
    names = set(plan.names)
    for edge in plan.edges:
        if edge.a == edge.b or edge.a not in names or edge.b not in names:
            raise BadNetwork(f"{path}: there are no two nodes for the edge {edge.a}-{edge.b}", path=str(path))
    if len({node.port for node in plan.nodes}) < len(plan.nodes):
        raise BadNetwork(f"{path}: two nodes have the same port", path=str(path))


def _wrong_folder(name: str) -> str | None:
    """Why a name is no name of a folder, for the middle of a sentence; None where it is one."""
    if name.startswith(".") or "/" in name or "\\" in name or not name.isprintable() or len(name) > _MAX_NAME:
        return "is no name of a folder"
    if name.casefold() in RESERVED:
        return "is the name of something else in a network's folder"
    return None


def plan_json(plan: NetPlan) -> bytes:
    """The file's content: a line for each node and each edge, so that it can be read by a person."""
    nodes = [
        {
            "name": node.name,
            "port": node.port,
            "miner": node.miner,
            "hashes": node.hashes,
            "mode": node.mode,
            "manual": node.manual,
        }
        for node in plan.nodes
    ]
    edges = [
        {
            "a": edge.a,
            "b": edge.b,
            "latency_ms": edge.latency_ms,
            "loss": edge.loss,
            "rate": edge.rate,
            "cut": edge.is_cut,
        }
        for edge in plan.edges
    ]
    head = f'{{\n"version": {_VERSION},\n"graph": {_text(plan.graph)},\n"mining": {_text(plan.is_mining)},\n'
    return f'{head}"nodes": {_rows(nodes)},\n"edges": {_rows(edges)}\n}}\n'.encode()


def _rows(rows: list[dict[str, Any]]) -> str:
    return "[\n" + ",\n".join(f"  {_text(row)}" for row in rows) + "\n]" if rows else "[]"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
