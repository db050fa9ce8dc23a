"""Whose lines are worked on when: a flood from some addresses is a part of the work, and no more."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from moneyer.worker.stratum.fair_queue import SLICE, FairQueue
from moneyer.worker.stratum.stratum_server import StratumConfig, StratumServer
from tests.kit.chains import easy_coin
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until

PING = b'{"id":1,"method":"mining.ping"}\n'
PINGS = 200
"""Of a flooding connection; their bytes fill most of what is read at once."""


class Pumped:
    """A server whose loop turns only while a test waits for something."""

    def __init__(self, data: Path) -> None:
        self.port = free_port()
        self._loop = asyncio.new_event_loop()
        self._server = StratumServer(StratumConfig(data, port=self.port), easy_coin())
        self._listener = self._loop.run_until_complete(self._server.listen())

    def until(self, condition: Callable[[], object], message: str) -> None:
        def look() -> object:
            self._loop.run_until_complete(asyncio.sleep(0))
            return condition()

        wait_until(look, 60, message)

    def close(self) -> None:
        self._listener.close()
        self._server.close()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


class Client:
    """`lines`: that came; `has_ended`: whether the server has closed."""

    def __init__(self, port: int, source: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 30, (source, 0))
        self.sock.setblocking(False)
        self.lines = 0
        self.has_ended = False

    def look(self) -> bool:
        """Read what is there; whether anything ever came."""
        with contextlib.suppress(BlockingIOError):
            while not self.has_ended:
                part = self.sock.recv(1 << 20)
                self.has_ended = not part
                self.lines += part.count(b"\n")
        return self.lines > 0

    def answers_wait(self) -> bool:
        return bool(select.select([self.sock], [], [], 0)[0])


def each_of(clients: list[Client], is_done: Callable[[Client], bool]) -> bool:
    """Every one is looked at, whatever another has still to come."""
    return sum(each.look() and is_done(each) for each in clients) == len(clients)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Pumped]:
    pumped = Pumped(tmp_path)
    yield pumped
    pumped.close()


def test_a_miner_elsewhere_waits_for_a_part_of_a_flood_and_no_line_of_it_is_lost(server: Pumped) -> None:
    with ExitStack() as stack:
        flooding = [Client(server.port, f"127.0.0.{66 + number % 2}") for number in range(60)]
        miner = Client(server.port, "127.0.0.9")
        everyone = [*flooding, miner]
        for each in everyone:
            stack.enter_context(each.sock)
            each.sock.send(PING)
        server.until(lambda: each_of(everyone, lambda _: True), "all to be taken")
        for each in flooding:
            assert each.sock.send(PING * PINGS) == len(PING) * PINGS
            each.sock.shutdown(socket.SHUT_WR)
        miner.sock.send(PING)
        server.until(miner.answers_wait, "the miner's answer")
        for each in flooding:
            each.look()
        answered = sum(each.lines - 1 for each in flooding)
        assert answered < len(flooding) * PINGS / 2
        server.until(lambda: each_of(flooding, lambda each: each.has_ended), "the rest")
        assert {each.lines for each in flooding} == {1 + PINGS}


def test_more_than_a_buffer_is_read_when_there_is_room_again(server: Pumped) -> None:
    with ExitStack() as stack:
        clients = [Client(server.port, "127.0.0.66") for _ in range(20)]
        for each in clients:
            stack.enter_context(each.sock)
            assert each.sock.send(PING * 3_000) == len(PING) * 3_000
        server.until(lambda: each_of(clients, lambda each: each.lines == 3_000), "every answer")


class Work:
    """Takes a whole slice of time by `clock`."""

    def __init__(self, address: str, done: list[str], clock: list[float]) -> None:
        self.address = address
        self._done = done
        self._clock = clock

    def work(self) -> None:
        self._done.append(self.address)
        self._clock[0] += SLICE


def test_addresses_have_their_turns_one_after_the_other() -> None:
    planned: list[Callable[[], None]] = []
    clock, done = [0.0], list[str]()
    turns = FairQueue(planned.append, lambda: clock[0])
    for address in ["a"] * 5 + ["b"] * 3 + ["c"]:
        turns.come(Work(address, done, clock))
    assert done == ["a"]  # what there was time for
    while planned:
        planned.pop(0)()
    assert done == ["a", "a", "b", "c", "a", "b", "a", "b", "a"]
