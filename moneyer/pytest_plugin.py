"""Fixtures for tests of programs that use a coin: `moneyer_node`, `moneyer_network` (`docs/networks.md`).

pytest finds this file by its entry point (`pytest11`) wherever Moneyer is installed, so it loads nothing more until a
test asks for one of its fixtures.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from .node.devnet.live.live_network import Network
    from .node.devnet.live.net_node import NodeHandle
    from .node.devnet.live.net_pool import Lent, NetPool

_POOL: pytest.StashKey[NetPool] = pytest.StashKey()
_LENT: pytest.StashKey[Lent] = pytest.StashKey()


class MakeNetwork(Protocol):
    """The type of `moneyer_network`."""

    def __call__(self, nodes: int = 3, graph: Any = None, **options: Any) -> Network:
        """A network of `nodes` nodes, each linked with each, or of a graph (`ring:6`, a file).

        `options`: of `Network` (`block_time`, `mining`, `coin`).
        """


@pytest.fixture
def moneyer_network(request: pytest.FixtureRequest) -> Iterator[MakeNetwork]:
    """Networks for one test: `moneyer_network(nodes=3)`, `moneyer_network(graph="ring:6")`.

    Each is as new: the first of its kind is started, later tests get it reset. Ports and folders are its own.
    """
    with _pool(request.config).lend() as (lent, borrow):
        request.node.stash[_LENT] = lent

        def make(nodes: int = 3, graph: Any = None, **options: Any) -> Network:
            return borrow(f"complete:{nodes}" if graph is None else graph, **options)  # type: ignore[no-any-return]

        yield make


@pytest.fixture
def moneyer_node(moneyer_network: MakeNetwork) -> NodeHandle:
    """One node, with a worker that mines what it is asked for: `.client`, `.mine()`, `.send("alice", "bob", "2.5")`."""
    return next(iter(moneyer_network(nodes=1)))


def _pool(config: pytest.Config) -> NetPool:
    from .node.devnet.live.net_pool import NetPool

    if _POOL not in config.stash:
        config.stash[_POOL] = NetPool()
    return config.stash[_POOL]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails has what its nodes printed in its report."""
    report = yield
    lent = item.stash.get(_LENT, None)
    if lent is not None and report.failed:
        report.sections += lent.logs()
    return report


def pytest_unconfigure(config: pytest.Config) -> None:
    """The session is over, by its end, `-x` or Ctrl-C: so are its networks."""
    pool = config.stash.get(_POOL, None)
    if pool is not None:
        pool.close()
