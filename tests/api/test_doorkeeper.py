"""Connections themselves are scarce: no address has more of them than its share, whatever it does with them."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections import Counter
from collections.abc import Iterator

import pytest

from moneyer.node.api.http.doorkeeper import Doorkeeper
from moneyer.node.system.shares import CONNECTIONS, Bound
from tests.api.test_crowds import post_a_transfer
from tests.api.test_idle_clients import linux
from tests.kit.running import RunningNode
from tests.kit.waiting import wait_until

pytestmark = linux

HOSTILE = "127.0.0.2"


@pytest.fixture(autouse=True)
def many_files() -> None:
    """The test's own process needs as many files as the callers that it plays."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 3 * CONNECTIONS.total:
        pytest.skip(f"{hard} open files are too few for this test")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def silent(node: RunningNode, source: str, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            sock = stack.enter_context(socket.socket())
            sock.settimeout(60)
            sock.bind((source, 0))
            sock.connect(("127.0.0.1", node.port))
            opened.append(sock)
        yield opened


def test_an_address_keeps_no_more_connections_than_its_share(fresh: RunningNode) -> None:
    """Those that send nothing are let go after five seconds anyhow: until then the node has to have looked."""

    def crowd(source: str) -> bool:
        with silent(fresh, source, CONNECTIONS.each + 200), contextlib.suppress(AssertionError):
            wait_until(lambda: source in fresh.log, 1.25, "a line about it")  # times four, as `wait_until` has it
            assert fresh.get("/v1/status").status == 200
            post_a_transfer(fresh)
            return True
        return False

    wait_until(lambda: crowd(HOSTILE), 60, "those over the share to be ended")
    assert f"an address may have {CONNECTIONS.each} now, and {HOSTILE} had" in fresh.log


def test_where_all_are_taken_each_address_keeps_less(node: RunningNode) -> None:
    """A small table: three addresses that keep within their shares are more than it has in all."""
    bound = Bound("connections", "a test's", total=24, each=16)
    keeper = Doorkeeper(node.port, bound)
    assert keeper.allowed(Counter({"a": 16, "b": 8})) == 16
    assert keeper.allowed(Counter({"a": 16, "b": 16})) == 8
    assert keeper.allowed(Counter({"a": 100, "b": 3, "c": 3})) == 16
    assert keeper.allowed(Counter({str(number): 1 for number in range(100)})) == 1
