"""Networks from a graph: until they are up, their memory, and what they cost while nobody does anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.common import SHORT, Figure, below, folder, plain, report
from bench.process import processor_of
from moneyer.node.client.client import Client
from moneyer.node.client.errors import ClientError
from moneyer.node.devnet.net.begin import Begun, begin
from moneyer.node.network_file import NetPlan, read_plan
from tests.kit.system.ports import free_ports

ROUNDS = 2 if SHORT else 5
LARGE, NODES = "smallworld:20:4", 20
_IDLE_SECONDS = 5 if SHORT else 20
_LIMIT = 60.0


@dataclass(frozen=True, slots=True)
class Up:
    """A network that runs."""

    begun: Begun
    plan: NetPlan
    began: float
    """When its command was started (`time.perf_counter`)."""
    answered: float
    """Seconds until the command said that all nodes answer."""

    def processes(self) -> list[psutil.Process]:
        main = psutil.Process(self.begun.process.pid)
        return [main, *main.children(recursive=True)]

    def all(self, path: str) -> list[Any]:
        """Every node's answer; an empty one while a node has none."""

        def ask(url: str) -> Any:
            try:
                return Client(url).get(path)
            except ClientError:
                return {}

        with ThreadPoolExecutor(8) as threads:
            return list(threads.map(ask, [node.url for node in self.plan.nodes]))


@contextmanager
def up(graph: str, nodes: int, *options: str) -> Iterator[Up]:
    """`moneyer net up` on an empty folder."""
    with folder() as data:
        words = ["--graph", graph, "--port", str(free_ports(nodes)), "--data", str(data / "net"), *options]
        clock = time.perf_counter()
        begun = begin(words)
        try:
            yield Up(begun, read_plan(data / "net"), clock, time.perf_counter() - clock)
        finally:
            assert begun.process.stdin is not None
            begun.process.stdin.close()
            begun.process.wait(30)


def first_height() -> list[Figure]:
    """From the command to one block that every node of a ring has. The first block takes what chance wants: it is asked
    for, so that the figure is the network's."""
    answered, linked, agreed, spent = [], [], [], []
    for _ in range(ROUNDS):
        with up("ring:6", 6, "--no-mining") as network:
            answered.append(network.answered)
            wait(lambda network=network: all(each.get("peers") == 2 for each in network.all("/v1/status")))  # type: ignore[misc]
            linked.append(time.perf_counter() - network.began)
            Client(network.plan.nodes[0].url).post("/v1/mine", {"blocks": 1})
            wait(lambda network=network: {each.get("height") for each in network.all("/v1/status")} == {1})  # type: ignore[misc]
            agreed.append(time.perf_counter() - network.began)
            spent.append(processor_of(network.begun.process.pid))
    return [
        below("`net up --graph ring:6`, until all six answer", answered, "s", 5),
        plain("until each is linked with its neighbours", linked, "s"),
        below("until all six have the same block, which node 1 was asked for then", agreed, "s", 6),
        plain("the processor until then", spent, "s"),
    ]


def twenty() -> list[Figure]:
    with up(LARGE, NODES, "--no-mining") as network:
        wait(lambda: all(each.get("peers") for each in network.all("/v1/status")))
        time.sleep(1)
        sizes = memory(network.processes())
        idle = share_of_a_core(network)
        started, spent = network.answered, processor_of(network.begun.process.pid)
        processes = float(len(network.processes()))
    with up(LARGE, NODES) as network:
        wait(lambda: min(each.get("height", 0) for each in network.all("/v1/status")) > 0)
        busy = share_of_a_core(network)
    return [
        below(f"`net up --graph {LARGE}`, until all answer", [started], "s", 20),
        plain("the processor from the start to the end of this run", [spent], "s"),
        below("memory in all (PSS)", [sum(sizes.values())], "MB", 2_000),
        below("of a node, the largest", [max(size for name, size in sizes.items() if name.isdecimal())], "MB", 100),
        plain("of the worker", [sizes["worker"]], "MB"),
        plain("their processes", [processes], ""),
        below("processor in all while nothing happens, of a core", [100 * idle], "%", 20),
        below("with a block every 5 s", [100 * busy], "%", 20),
    ]


def memory(processes: list[psutil.Process]) -> dict[str, float]:
    """MB (PSS) by node, of the `worker` and of the `supervisor`."""
    sizes: dict[str, float] = {}
    for each in processes:
        words = each.cmdline()
        name = "supervisor" if "up" in words else "worker" if "worker" in words else Path(words[3]).name
        sizes[name] = sizes.get(name, 0.0) + each.memory_full_info().pss / 1e6
    return sizes


def share_of_a_core(network: Up) -> float:
    """What all its processes use of the processor, over some seconds."""
    before, clock = processor_of(network.begun.process.pid), time.perf_counter()
    time.sleep(_IDLE_SECONDS)
    return (processor_of(network.begun.process.pid) - before) / (time.perf_counter() - clock)


def wait(condition: Callable[[], object]) -> None:
    ends_at = time.monotonic() + _LIMIT
    while not condition():
        if time.monotonic() > ends_at:
            raise RuntimeError(f"not within {_LIMIT:.0f} s")
        time.sleep(0.05)


def main() -> None:
    report("net", [*first_height(), *twenty()])


if __name__ == "__main__":
    main()
