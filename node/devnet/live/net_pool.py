"""Networks that are lent to tests, one after the other: started once for each kind, reset by a snapshot between two.

A kind is a graph and its options. A network that was lent comes back as it was used; it is reset when it is lent again
(chains, mempools, edges, hash rates; nodes that were stopped or killed are started), and replaced by a new one where
that fails. Used by one thread; each process (of pytest-xdist, say) has a pool of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ...core.errors import MoneyerError
from ..net.node_logs import log_path
from .live_network import Network
from .net_node import printed, printed_since

FRESH: Final = "fresh"
"""The name of the snapshot to which a network is reset."""
_MOST_IDLE: Final = 3
"""Networks that are kept for the next test; a node takes some 50 MB."""
_LONGEST_LOG: Final = 20_000
"""Characters of a node's log that a report has."""


@dataclass(eq=False)
class Lent:
    """What one test was lent."""

    networks: list[Network] = field(default_factory=list)
    _logs: list[tuple[str, Path, int]] = field(default_factory=list)
    """A title, the file, and its size when it was lent."""

    def add(self, network: Network) -> None:
        self.networks.append(network)
        which = f" of network {len(self.networks)}" if len(self.networks) > 1 else ""
        files = {f"node {node.name}": node.log_path for node in network}
        files["worker"] = log_path(network.data, "worker")
        self._logs += [(f"moneyer: {name}{which}", path, printed(path)) for name, path in files.items()]

    def logs(self) -> Iterator[tuple[str, str]]:
        """(title, text) of what each node, and the worker, have printed since; those that were quiet are left out."""
        for title, path, start in self._logs:
            text = printed_since(path, start)
            if text:
                cut = f"… {len(text) - _LONGEST_LOG} characters before\n" if len(text) > _LONGEST_LOG else ""
                yield title, cut + text[-_LONGEST_LOG:]


class NetPool:
    """See the top of this file."""

    def __init__(self) -> None:
        self._idle: list[tuple[object, Network]] = []
        """With their kinds, the one that was used last at the end."""

    @contextmanager
    def lend(self) -> Iterator[tuple[Lent, Any]]:
        """For one test: what it was lent, and the function that lends a network: `borrow(graph, **options)`."""
        lent = Lent()
        kinds: list[object] = []

        def borrow(graph: Any, **options: Any) -> Network:
            kind = (graph, *sorted(options.items()))
            network = self._ready(kind) or self._new(graph, options)
            kinds.append(kind)
            lent.add(network)
            return network

        try:
            yield lent, borrow
        finally:
            self._idle += zip(kinds, lent.networks, strict=True)
            while len(self._idle) > _MOST_IDLE:
                _end(self._idle.pop(0)[1])

    def close(self) -> None:
        """End all that run."""
        while self._idle:
            _end(self._idle.pop()[1])

    def _ready(self, kind: object) -> Network | None:
        """One of that kind, reset; None where there is none that can be."""
        while (place := next((i for i, (held, _) in enumerate(self._idle) if held == kind), None)) is not None:
            network = self._idle.pop(place)[1]
            try:
                _reset(network)
                return network
            except (MoneyerError, OSError):  # a test has broken it: a new one takes its place
                _end(network)
        return None

    def _new(self, graph: Any, options: dict[str, Any]) -> Network:
        network = Network(graph, **options).up()
        try:
            network.snapshot(FRESH)
        except BaseException:
            _end(network)
            raise
        return network


def _reset(network: Network) -> None:
    for node in network:
        if not node.is_running:
            node.start()
    network.restore(FRESH)
    network.wait_linked()


def _end(network: Network) -> None:
    with suppress(MoneyerError, OSError):
        network.down()
