"""Large answers: in pieces, so many at once, and not for as long as their client likes."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyer.node.api.http.inflight import Flights, Outgoing
from moneyer.node.api.http.large import LARGE, Large
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.p2p.peer import wire
from moneyer.node.system.shares import LARGE_ANSWERS, NoPlace
from tests.api.test_idle_clients import Door, linux
from tests.kit.chains import transfer
from tests.kit.running import ALICE, BOB, RunningNode, running
from tests.kit.waiting import wait_until

BLOCKS, TRANSFERS = 8, 3_200
"""7.6 MB: more than the kernel takes for a client that reads nothing."""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node with large blocks."""
    with running(tmp_path_factory.mktemp("full") / "node") as node:
        fill_with_large_blocks(node)
        yield node


def fill_with_large_blocks(node: RunningNode) -> None:
    for first in range(0, BLOCKS * TRANSFERS, TRANSFERS):
        sequences = range(first, first + TRANSFERS)
        node.extend(transfers=[transfer(node.coin, ALICE, BOB, 1, 0, each, b"x" * 140) for each in sequences])


def hashes(node: RunningNode) -> list[str]:
    return [show(codec.block_hash(block.header)) for block in node.chain.blocks[1:]]


@contextlib.contextmanager
def askers(node: RunningNode, count: int, source: str) -> Iterator[list[socket.socket]]:
    """`count` connections from `source` on which all blocks were asked for, and nothing is read."""
    body = json.dumps({"hashes": hashes(node)}).encode()
    head = "POST /p2p/blocks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            sock.settimeout(30)
            sock.bind((source, 0))
            sock.connect(("127.0.0.1", node.port))
            sock.sendall(f"{head}{len(body)}\r\n\r\n".encode() + body)
            opened.append(sock)
        yield opened


def test_a_large_answer_comes_whole_and_says_its_length(full: RunningNode) -> None:
    answer = full.post("/p2p/blocks", {"hashes": hashes(full)})
    assert int(answer.headers["content-length"]) == len(answer.body) > BLOCKS * TRANSFERS * 290
    assert wire.split_blocks(answer.body, BLOCKS, full.coin.max_block_bytes) == full.chain.raw
    assert "transfer-encoding" not in answer.headers


def test_one_large_answer_too_many_is_refused_until_another_is_over(full: RunningNode) -> None:
    each = LARGE_ANSWERS.each
    with askers(full, each + 4, "127.0.0.2") as opened:
        wait_until(lambda: len(select.select(opened, [], [], 0)[0]) == len(opened), 60, "all to be answered")
        starts = sorted(sock.recv(12) for sock in opened)
        assert starts == [b"HTTP/1.1 200"] * each + [b"HTTP/1.1 503"] * 4
        refused = full.call("POST", "/p2p/blocks", {"hashes": hashes(full)}, source="127.0.0.2")
        assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "busy", "1")
        assert full.call("POST", "/p2p/blocks", {"hashes": ["0" * 64]}, source="127.0.0.2").status == 200
        assert full.call("HEAD", f"/v1/blocks/{BLOCKS}/raw", source="127.0.0.2").status == 200
        assert full.post("/p2p/blocks", {"hashes": hashes(full)}).status == 200  # of another address
    wait_until(
        lambda: full.call("GET", f"/v1/blocks/{BLOCKS}/raw", source="127.0.0.2").status == 200, 10, "room to be made"
    )


@linux
def test_who_takes_a_large_answer_too_slowly_is_let_go(tmp_path: Path) -> None:
    door = Door()
    flights = Flights(door.port, deadline=20, large_seconds=0.5)
    flight = flights.begin("127.0.0.1")
    failed = threading.Event()

    with door.listener, door.visit() as (theirs, ours), door.visit() as (reading, quick):

        def send() -> None:
            with contextlib.closing(Outgoing(flights.in_pieces(flight, bytes(32_000_000)), flights, flight)) as pieces:
                try:
                    ours.settimeout(None)
                    for piece in pieces:
                        ours.sendall(piece)
                except OSError:
                    failed.set()

        threading.Thread(target=send, daemon=True).start()
        wait_until(lambda: not theirs.recv(1_200) or failed.is_set(), 20, "the slow one to be let go")
        wait_until(lambda: flights.count == 0, 5, "its answer to be over")
        wait_until(lambda: flights.cut, 5, "it to be counted")
        assert flights.cut == 1
        quick.sendall(b"still here")
        assert reading.recv(10) == b"still here"


def test_a_large_answer_ends_when_its_time_is_over() -> None:
    late = Large(bytes(LARGE), seconds=-1)
    with pytest.raises(StopIteration):
        next(late)
    in_time = Large(bytes(LARGE), seconds=60)
    assert sum(len(next(in_time)) for _ in range(LARGE // 65_536)) == LARGE
    with pytest.raises(StopIteration):
        next(in_time)


def test_one_address_does_not_take_all_the_large_answers() -> None:
    flights = Flights(1)
    first = [flights.begin("192.0.2.1") for _ in range(LARGE_ANSWERS.each)]
    for flight in first:
        flights.in_pieces(flight, bytes(LARGE))
    shares = flights.places.of(LARGE_ANSWERS)
    with pytest.raises(NoPlace):
        shares.take("192.0.2.1", wait_seconds=0)
    flights.in_pieces(flights.begin("192.0.2.2"), bytes(LARGE))
    flights.end(first[0])
    flights.in_pieces(flights.begin("192.0.2.1"), bytes(LARGE))
    assert shares.held_by("192.0.2.1") == LARGE_ANSWERS.each
