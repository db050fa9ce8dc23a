"""A network's folder before its processes start: locked; coin, folders, ports, plan and Procfile made or checked."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...config import NETWORK_LOCK, Config, has_plan
from ...core.coin import Coin
from ...core.errors import MoneyerError
from ...p2p.peer.link_conditions import write_conditions
from ...system import locks
from ...system.advice import typed
from ...system.files import write_whole
from ..addresses import HIGHEST, free_ports, taken
from ..coinfiles import COIN_FILE, make_once, place_coin, read_coin
from ..devcoin import BLOCK_TIME, development_coin
from ..procfile import FIRST_PORT, commands, render, this_moneyer
from ..running import is_running
from .control_server import remove_leftover
from .plan import (
    BadNetwork,
    NetPlan,
    link_conditions,
    new_plan,
    processes,
    read_plan,
    with_ports,
    write_plan,
)

if TYPE_CHECKING:
    from ..graph.graph import NetworkGraph


class NetworkUp(MoneyerError):
    """A network runs on the folder already."""

    code = "network_up"


class PortsTaken(MoneyerError):
    """Ports that a network would use are not to be had."""

    code = "ports_taken"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `moneyer net up` was asked for. None: as the folder has it, else as usual."""

    graph: NetworkGraph | None = None
    first_port: int | None = None
    any_port: bool = False
    coin_file: Path | None = None
    block_time: int | None = None
    retarget: bool = False
    is_mining: bool | None = None


def hold_folder(data: Path) -> locks.LockFile:
    """Take a network's folder, made where there is none. Raises NetworkUp, OSError."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        lock = locks.hold(data / NETWORK_LOCK)
    except locks.Held:
        raise NetworkUp(
            f"a network runs on {data} already: `moneyer net down --data {typed(data)}` ends it, or give another --data"
        ) from None
    _remove_old_socket(data / NETWORK_LOCK)
    return lock


def _remove_old_socket(path: Path) -> None:
    """Of a supervisor that was killed on this folder, which could not remove it."""
    try:
        if not path.is_file():  # opening a pipe would wait
            return
        with path.open("rb") as file:
            held = json.loads(file.read(4_096) or b"null")
    except (OSError, ValueError, RecursionError):
        return
    if isinstance(held, dict) and isinstance(held.get("socket"), str):
        remove_leftover(held["socket"])


def build(data: Path, wishes: Wishes) -> NetPlan:
    """The network of a folder that is held: as it was, or made as it is wished.

    Raises BadNetwork, NetworkUp, PortsTaken, BadCoin, OSError.
    """
    if has_plan(data):
        plan = _known(data, wishes)
        _check_not_running(plan)
        plan = _on_ports(plan, wishes)
    else:
        plan = _made(data, wishes)
    if wishes.is_mining is not None:
        plan = replace(plan, is_mining=wishes.is_mining)
    for node in plan.nodes:
        place_coin(plan.coin_file, node.folder)
        write_conditions(Config(node.folder).links_file, link_conditions(plan, node.name))
    procfile = render(commands(processes(plan), this_moneyer()))
    write_whole(plan.data / "Procfile", procfile.encode(), mode=0o600, durable=False)
    write_plan(plan)
    return plan


def _known(data: Path, wishes: Wishes) -> NetPlan:
    """The folder's network. Raises BadNetwork where another one is wished."""
    plan = read_plan(data)
    if wishes.graph is not None and not is_graph_of(plan, wishes.graph):
        raise BadNetwork(
            f"{data} holds another network ({plan.graph}, {len(plan.nodes)} nodes): leave --graph out to go on with "
            "it, give another --data, or remove that folder",
            found=plan.graph,
            expected=wishes.graph.text,
        )
    for option, is_given in (
        ("--coin", wishes.coin_file is not None),
        ("--block-time", wishes.block_time is not None and wishes.block_time != read_coin(plan.coin_file).block_time),
    ):
        if is_given:
            raise BadNetwork(f"{data} holds a network that has its coin: {option} goes with a new one, so give --data")
    return plan


def is_graph_of(plan: NetPlan, graph: NetworkGraph) -> bool:
    """Whether the plan was made from this graph; conditions of its edges may have changed since."""
    edges = {frozenset((edge.a, edge.b)) for edge in plan.edges}
    return list(graph.names) == plan.names and edges == {frozenset((edge.a, edge.b)) for edge in graph.edges}


def _made(data: Path, wishes: Wishes) -> NetPlan:
    if wishes.graph is None:
        raise BadNetwork(
            f"there is no network in {data} yet: say which with --graph, for example `moneyer net up --graph ring:6`"
        )
    for taken_by in ("node1", "wallet.json", "chain.db"):
        if (data / taken_by).exists():
            raise BadNetwork(
                f"{data} holds the data of a node or of `moneyer up`, and no network from a graph: give another --data"
            )
    ports = _ports(wishes.first_port or FIRST_PORT, len(wishes.graph.nodes), any_port=wishes.any_port)
    coin = _coin(data, wishes)
    return new_plan(data, wishes.graph, ports, coin)


def _coin(data: Path, wishes: Wishes) -> Coin:
    if wishes.coin_file is not None:
        if wishes.block_time is not None or wishes.retarget:
            raise BadNetwork("--block-time and --retarget are the development coin's: with --coin the file says both")
        return place_coin(wishes.coin_file, data)

    def make() -> Coin:
        return development_coin(int(time.time()), wishes.block_time or BLOCK_TIME, retarget=wishes.retarget)

    return make_once(data / COIN_FILE, make)


def _on_ports(plan: NetPlan, wishes: Wishes) -> NetPlan:
    """A known network on its own ports, or on others where those are asked for. Raises PortsTaken."""
    if wishes.first_port is not None or (wishes.any_port and taken(node.port for node in plan.nodes)):
        first = wishes.first_port or plan.nodes[0].port
        return with_ports(plan, _ports(first, len(plan.nodes), any_port=wishes.any_port))
    _check_free([node.port for node in plan.nodes])
    return plan


def _ports(first: int, count: int, *, any_port: bool) -> Sequence[int]:
    if first + count - 1 > HIGHEST:
        raise PortsTaken(f"{count} nodes from port {first} would need ports above {HIGHEST}: begin lower with --port")
    if any_port:
        found = free_ports(first, count)
        if len(found) < count:
            raise PortsTaken(f"there are only {len(found)} free ports from {first} on, and {count} are needed")
        return found
    ports = range(first, first + count)
    _check_free(ports)
    return ports


def _check_free(ports: Sequence[int]) -> None:
    busy = taken(ports)
    if busy:
        which = f"port {busy[0]} is" if len(busy) == 1 else f"ports {', '.join(map(str, busy[:10]))} are"
        raise PortsTaken(
            f"{which} taken by another program (is a network up already?): stop it, begin at another with --port, or "
            "let --any-port pass over it",
            found=busy[:10],
        )


def _check_not_running(plan: NetPlan) -> None:
    """By honcho, say, or singly: then it has the folder, and the supervisor could not start or end it."""
    for node in plan.nodes:
        if is_running(node.folder):
            raise NetworkUp(f"node {node.name} of {plan.data} is running already: stop it first, or use another --data")
