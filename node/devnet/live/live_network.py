"""A network from a graph, for programs: `from moneyer import Network` (`docs/networks.md`).

with Network("ring:6") as net:
    net.split(["1", "2", "3"])
    net.mine("1", 2)
    net.mine("4", 3)
    net.heal()
    net.wait_one_tip()
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ...client.client import Amount, Client, Sent
from ...system.threads import in_threads
from ..net.control import Control, NotRunning
from ..net.plan import NetPlan, PlannedEdge, read_plan, write_plan
from . import edges, net_snapshots
from .errors import NodeDown
from .live_edges import AT_ONCE, change_edges, changing
from .net_node import NodeHandle
from .net_view import one_line, view
from .waits import wait_until

if TYPE_CHECKING:
    from ..graph.graph import NetworkGraph
    from .launcher import Launched

T = TypeVar("T")

WAIT_SECONDS = 30.0
"""For conditions."""


class Network:
    """Nodes, one for each vertex of a graph, linked by its edges and by nothing else.

    A context manager: the processes run within it. `Network.attach` is one that runs already. Its calls wait for what
    they do, never sleep, and raise MoneyerError with a sentence. It may be used by several threads.
    """

    def __init__(
        self,
        graph: str | Path | NetworkGraph | Mapping[str, Any] | Any = None,
        *,
        data: Path | str | None = None,
        port: int | None = None,
        block_time: int | None = None,
        mining: bool = False,
        coin: Path | str | None = None,
        seed: int | None = None,
        parts: bool = False,
    ) -> None:
        """`graph`: a shape such as `ring:6`, a file, a NetworkGraph, a graph of networkx, or a dict such as
        `{"a": ["b"]}`; None: the one that `data` holds, else `line:3`.
        `data`: its folder; None: one for the time that it runs. `port`: of the first node; None: any that are free.
        `block_time`: seconds, of its coin; 5 unless told. `mining`: whether nodes mine by themselves, so that a block
        comes each `block_time`; else only `mine` makes blocks, which are easy then. `coin`: a coin.toml. `seed`: of
        random graphs. `parts`: whether the graph may be in several parts."""
        self._graph = graph
        self._wishes: dict[str, Any] = {
            "data": None if data is None else Path(data),
            "port": port,
            "block_time": block_time,
            "is_mining": mining,
            "coin_file": None if coin is None else Path(coin),
            "seed": seed,
            "allow_parts": parts,
        }
        self._launched: Launched | None = None
        self._data: Path | None = None
        self._nodes: Mapping[str, NodeHandle] = MappingProxyType({})

    @classmethod
    def attach(cls, data: Path | str, *, client: type[Client] = Client) -> Self:
        """The network that runs on a folder (`moneyer net up`); it goes on when the `with` ends.

        Raises BadNetwork where none was made there, NotRunning where no node of it runs.
        """
        folder = Path(data).absolute()
        net = cls()
        net._open(folder, client)
        if not any(node.is_running for node in net):
            Control.find(folder)
        return net

    def up(self) -> Self:
        """Start it; all nodes answer and are linked when this returns. Raises BadGraph, NotStarted, NotRunning."""
        from .launcher import launch

        if self._data is not None:
            return self
        self._launched = launch(self._graph, **self._wishes)
        weakref.finalize(self, self._launched.end)  # at the latest when this program ends
        self._open(self._launched.data, Client)
        try:
            self.wait_linked()
        except BaseException:
            self.down()
            raise
        return self

    def down(self) -> None:
        """End its processes; a folder that was made for it alone is removed."""
        if self._launched is not None:
            self._launched.end()
            self._launched = None
        elif self._data is not None:
            Control.find(self._data).down()
        self._data = None

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._launched is not None:
            self.down()

    def _open(self, data: Path, client: type[Client]) -> None:
        self._data = data
        self._nodes = MappingProxyType(
            {node.name: NodeHandle(node, data, client=client) for node in read_plan(data).nodes}
        )

    # What there is

    @property
    def data(self) -> Path:
        """Its folder. Raises NotRunning before `up`."""
        if self._data is None:
            raise NotRunning("this network is not up: use it in a `with`, or call `up` first")
        return self._data

    @property
    def plan(self) -> NetPlan:
        """Its nodes and edges, as they stand now."""
        return read_plan(self.data)

    @property
    def nodes(self) -> Mapping[str, NodeHandle]:
        """Its nodes by name, in the graph's order."""
        return self._nodes

    def __getitem__(self, name: str) -> NodeHandle:
        """A node. Raises UnknownNode with the nearest name."""
        found = self._nodes.get(name)
        return found if found is not None else self._nodes[edges.node_of(self.plan, name).name]

    def __iter__(self) -> Iterator[NodeHandle]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    def __repr__(self) -> str:
        return f"<network of {len(self)} nodes{'' if self._data is None else f' on {self._data}'}>"

    @property
    def running(self) -> list[NodeHandle]:
        """The nodes that run now."""
        self.data  # noqa: B018 - raises where the network is not up
        return [node for node in self if node.is_running]

    def status(self) -> dict[str, Any]:
        """How its nodes and edges stand: as `moneyer net status --json`."""
        return view(self.plan, list(self))

    @property
    def parts(self) -> list[list[str]]:
        """The names of nodes that hang together by edges that are not cut."""
        return edges.parts(self.plan)

    # Edges

    def split(self, *groups: Collection[str]) -> list[PlannedEdge]:
        """Cut every edge between these groups of nodes; one group alone is split from all others."""
        wanted = edges.groups_of(self.plan, groups)
        return self._change(edges.between(self.plan, wanted), is_cut=True)

    def cut(self, a: str, b: str) -> PlannedEdge:
        """Cut the edge between two nodes: nothing passes over it any more when this returns."""
        return self._change([edges.edge_of(self.plan, a, b)], is_cut=True)[0]

    def heal(self, a: str | None = None, b: str | None = None) -> list[PlannedEdge]:
        """Heal one edge, the edges of one node, or all; those that were cut. Nodes link again at once."""
        plan = self.plan
        if a is not None and b is not None:
            chosen = [edges.edge_of(plan, a, b)]
        elif a is not None:
            name = edges.node_of(plan, a).name
            chosen = [edge for edge in plan.edges if name in (edge.a, edge.b)]
        else:
            chosen = list(plan.edges)
        healed = self._change(chosen, is_cut=False)
        return [now for was, now in zip(chosen, healed, strict=True) if was.is_cut]

    def delay(self, a: str, b: str, milliseconds: float) -> PlannedEdge:
        """What a message takes over an edge, one way, beside what it takes anyway."""
        return self._change([edges.edge_of(self.plan, a, b)], latency_ms=edges.latency(milliseconds))[0]

    def loss(self, a: str, b: str, share: float) -> PlannedEdge:
        """The share of an edge's messages that get lost and are sent again: 0.1 is a tenth."""
        return self._change([edges.edge_of(self.plan, a, b)], loss=edges.loss(share))[0]

    def rate(self, a: str, b: str, bytes_a_second: int | None) -> PlannedEdge:
        """How much passes over an edge, each way; None: as much as there is."""
        return self._change([edges.edge_of(self.plan, a, b)], rate=edges.rate(bytes_a_second))[0]

    def _change(self, chosen: Sequence[PlannedEdge], **changes: Any) -> list[PlannedEdge]:
        """The edges as they are then."""
        after = change_edges(self.data, list(self), chosen, **changes)
        return [edges.edge_of(after, edge.a, edge.b) for edge in chosen]

    # Nodes

    def hashrate(self, name: str, hashes: float) -> float:
        """Set the hashes a second that the worker spends for a node; those that it spent before.

        The worker follows within a second or two. In a network where nothing was mined until asked, this node alone
        mines then. Raises BadCut for what is no rate, and for a node that has no worker.
        """
        with changing(self.data) as plan:
            after, before = edges.with_hashes(plan, name, hashes)
            write_plan(after)
        return before

    def start(self, name: str) -> None:
        """Start a node that does not run; it answers when this returns."""
        self[name].start()

    def stop(self, name: str) -> None:
        """End a node in order."""
        self[name].stop()

    def kill(self, name: str) -> None:
        """End a node as a power cut does."""
        self[name].kill()

    def mine(self, name: str, blocks: int = 1, *, to: str | None = None) -> list[str]:
        """Mine blocks on a node at once; their hashes, oldest first. See `NodeHandle.mine`."""
        return self[name].mine(blocks, to=to)

    def send(
        self,
        sender: str,
        receiver: str,
        amount: Amount,
        *,
        node: str | None = None,
        fee: Amount | None = None,
        memo: str = "",
    ) -> Sent:
        """Send coins by a node (None: the first that runs), with the key of a name of its wallet (`alice`, `bob`)."""
        return self.chosen(node).send(sender, receiver, amount, fee=fee, memo=memo)

    def chosen(self, name: str | None = None) -> NodeHandle:
        """The node of that name; without one the first that runs. Raises UnknownNode, NodeDown."""
        if name is not None:
            return self[name]
        running = self.running
        if not running:
            raise NodeDown("no node of this network runs: `moneyer net start NODE` starts one")
        return running[0]

    # Waiting

    def wait_for(
        self, condition: Callable[[], T | None], timeout: float = WAIT_SECONDS, what: str = "what was waited for"
    ) -> T:
        """The first truthy value of `condition()`. Raises NotInTime, with the nodes' tips, after `timeout` seconds."""
        return wait_until(condition, timeout, what, lambda: one_line(self.status()))

    def wait_one_tip(self, timeout: float = WAIT_SECONDS, *, nodes: Collection[str] | None = None) -> str:
        """The tip, once the nodes that run (or those named) have the same one."""
        chosen = None if nodes is None else [self[name] for name in nodes]

        def tip() -> str | None:
            asked = self.running if chosen is None else chosen
            tips = set(in_threads(lambda node: node.tip, asked, AT_ONCE))
            return tips.pop() if len(tips) == 1 else None

        return self.wait_for(tip, timeout, "one tip on all nodes")

    def wait_height(self, height: int, timeout: float = WAIT_SECONDS, *, nodes: Collection[str] | None = None) -> None:
        """Until the nodes that run (or those named) have a chain of that height, or higher."""
        chosen = None if nodes is None else [self[name] for name in nodes]

        def reached() -> bool:
            asked = self.running if chosen is None else chosen
            return bool(asked) and all(at >= height for at in in_threads(lambda node: node.height, asked, AT_ONCE))

        self.wait_for(reached, timeout, f"height {height} on all nodes")

    def wait_transfer(
        self, txid: str, confirmations: int = 1, timeout: float = WAIT_SECONDS, *, nodes: Collection[str] | None = None
    ) -> None:
        """Until a transfer has its confirmations on the nodes that run (or those named); 0: until they know it."""
        from ...client.errors import Refused

        chosen = None if nodes is None else [self[name] for name in nodes]

        def has(node: NodeHandle) -> bool:
            try:
                return bool(node.client.transaction(txid)["confirmations"] >= confirmations)
            except Refused as error:
                if error.status != 404:
                    raise
                return False

        def all_have() -> bool:
            asked = self.running if chosen is None else chosen
            return bool(asked) and all(in_threads(has, asked, AT_ONCE))

        self.wait_for(all_have, timeout, f"transfer {txid[:12]}… with {confirmations} confirmations everywhere")

    def wait_linked(self, timeout: float = WAIT_SECONDS) -> None:
        """Until every edge that is not cut, between nodes that run, is linked."""

        plan = self.plan
        urls = {node.name: node.url for node in self.running}
        wanted = {name: set[str]() for name in urls}
        for edge in plan.edges:
            if not edge.is_cut and edge.a in urls and edge.b in urls:
                wanted[edge.a].add(urls[edge.b])
                wanted[edge.b].add(urls[edge.a])

        def linked() -> bool:
            missing = [self[name] for name, others in wanted.items() if others]
            found = in_threads(lambda node: wanted[node.name].issubset(node.peers), missing, AT_ONCE)
            for node, is_linked in zip(missing, found, strict=True):
                if is_linked:
                    del wanted[node.name]
            return not any(wanted.values())

        self.wait_for(linked, timeout, "a link on every edge")

    # Snapshots

    def snapshot(self, name: str) -> dict[str, Any]:
        """Keep all nodes' chains, mempools and peers, and the edges, as they are at one instant, under a name."""
        return net_snapshots.take(self.data, list(self), name)

    def restore(self, name: str) -> None:
        """Make all nodes and edges what they were at a snapshot. Nodes that do not run are restored too."""
        net_snapshots.restore(self.data, list(self), name)

    def snapshots(self) -> list[dict[str, Any]]:
        """The snapshots there are, oldest first."""
        return net_snapshots.listed(self.data)

    def remove_snapshot(self, name: str) -> None:
        """Delete one."""
        net_snapshots.remove(self.data, name)
