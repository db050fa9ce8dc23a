"""`Client.events` and what is built on it: on real nodes that are cut off, killed, started again, or full."""

from __future__ import annotations

import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.client.client import Client
from moneyer.node.client.errors import ClientError, NoAnswer, NotConfirmed
from moneyer.node.client.sse import Event
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.devnet.chaos import Proxy
from moneyer.node.system.shares import EVENT_STREAMS
from tests.kit.callers.events import listening
from tests.kit.running import ALICE, BOB, RunningNode, rich_coin, running
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    with running(tmp_path / "data", rich_coin()) as each:
        yield each


@pytest.fixture
def proxy(node: RunningNode) -> Iterator[Proxy]:
    each = Proxy(node.port)
    yield each
    each.close()


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def following(client: Client, start: int = 0) -> list[tuple[int, str]]:
    """Height and hash of each block as it is given, from now on."""
    given: list[tuple[int, str]] = []

    def work() -> None:
        with suppress(ClientError):  # its node ends with the test
            for block in client.blocks(start, follow=True, patience=300):
                given.append((block["height"], block["hash"]))

    in_thread(work)
    return given


def chain_of(node: RunningNode) -> list[tuple[int, str]]:
    return [(height, show(codec.block_hash(block.header))) for height, block in enumerate(node.chain.blocks)]


def listeners(node: RunningNode) -> int:
    lines = node.get("/metrics").body.decode().splitlines()
    return int(float(next(line.split()[-1] for line in lines if line.startswith("moneyer_event_clients "))))


def start_again(node: RunningNode) -> None:
    node.stop(signal.SIGKILL)
    node.start()
    node.wait_until_it_answers()


def test_events_come_as_the_node_tells_them(node: RunningNode) -> None:
    with Client(node.url).events() as events:
        sent = node.chain.transfer(ALICE, BOB, 5)
        node.extend(transfers=[sent])
        heard = list(islice(events, 2))
    assert [event.kind for event in heard] == ["block", "transaction"]
    assert heard[0].data == Client(node.url).get("/v1/blocks")["blocks"][0]
    assert heard[1].data["txid"] == show(codec.txid(sent))


def test_an_iterator_goes_on_behind_an_event(node: RunningNode) -> None:
    client = Client(node.url)
    with client.events() as events:
        node.extend()
        first = next(events)
    node.extend()
    node.extend()
    with client.events(last_event_id=first.id) as events:
        assert [event.data["height"] for event in islice(events, 2)] == [2, 3]
    with client.events(last_event_id="00000000-1") as events:
        assert next(events).kind == "reset"


def test_a_stream_that_is_cut_goes_on_without_a_missing_or_doubled_event(node: RunningNode, proxy: Proxy) -> None:
    heights: list[int] = []
    with Client(proxy.url).events() as events:
        for _ in range(4):
            node.extend()
            heights.append(next(events).data["height"])
            proxy.cut()
            node.extend()
            node.extend()
            proxy.heal()
            heights += [event.data["height"] for event in islice(events, 2)]
    assert heights == list(range(1, 13))


def test_followed_blocks_bear_a_node_that_is_killed_and_started_again(node: RunningNode) -> None:
    given = following(Client(node.url))
    for _ in range(3):
        for _ in range(3):
            node.extend()
        wait_until(lambda: len(given) == len(node.chain.blocks), 20, "every block before the cut")
        start_again(node)
        node.extend()
    wait_until(lambda: len(given) >= len(node.chain.blocks), 20, "every block behind the cut")
    assert given == chain_of(node), "none is missing, none is doubled"


def test_followed_blocks_bear_a_reorg_that_came_while_nobody_heard(node: RunningNode, proxy: Proxy) -> None:
    given = following(Client(proxy.url), 1)
    other = node.chain.branch(0, "other")
    for _ in range(3):
        node.extend()
    wait_until(lambda: len(given) == 3, 10, "the first branch")
    proxy.cut()
    other.grow(5)
    for raw in other.raw:
        assert node.push(raw).status == 200
    proxy.heal()
    wait_until(lambda: len(given) >= 8, 10, "the other branch")
    assert given[:3] == chain_of(node)[1:]
    assert (
        given[3:] == [(height, show(codec.block_hash(block.header))) for height, block in enumerate(other.blocks)][1:]
    )


def test_a_transfer_is_waited_for_while_its_node_is_started_again(node: RunningNode) -> None:
    client = Client(node.url)
    sent = client.send(ALICE.secret, BOB.payload, 7)
    found: list[dict[str, Any]] = []
    looks: list[Any] = []
    in_thread(lambda: found.append(client.wait_for(sent.txid, timeout=300, progress=looks.append)))
    wait_until(lambda: looks, 10, "its first look")  # it listens then too
    start_again(node)
    node.extend(transfers=[sent.transfer])
    wait_until(lambda: found, 20, "its first confirmation")
    assert found[0]["height"] == 1


def test_a_transfer_that_another_replaced_is_known_at_once(node: RunningNode) -> None:
    client = Client(node.url)
    first = client.send(ALICE.secret, BOB.payload, 1, fee=10)
    failed: list[str] = []

    def wait() -> None:
        with pytest.raises(NotConfirmed) as refused:
            client.wait_for(first.txid, timeout=300)
        failed.append(refused.value.message)

    in_thread(wait)
    wait_until(lambda: listeners(node) == 1, 10, "the waiter to listen")
    client.submit(node.chain.transfer(ALICE, BOB, 1, fee=100))
    wait_until(lambda: failed, 10, "the waiter to know")
    assert "took its place" in failed[0]


def test_a_full_node_is_asked_now_and_then_and_listened_to_when_there_is_room(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moneyer.node.client.events._POLL", 0.5)
    client = Client(node.url)
    with ExitStack() as others:
        for _ in range(EVENT_STREAMS.each):
            assert others.enter_context(listening(node.port)).status == 200
        events = client.events()
        assert next(events).kind == "reset"
        node.extend()
        told = next(events)
        assert (told.kind, told.data["height"]) == ("reset", 1)
        assert "no room" in told.data["reason"]
        given = following(client)
        wait_until(lambda: given == chain_of(node), 10, "what is there")
        node.extend()
        wait_until(lambda: given == chain_of(node), 20, "what came")
        assert next(events).data["height"] == 2
    node.extend()
    told = next(events)  # asked for once more, or listened to
    assert (told.kind in ("reset", "block"), told.data["height"]) == (True, 3)
    wait_until(lambda: listeners(node) == 2, 20, "both to listen")
    node.extend()
    wait_until(lambda: given == chain_of(node), 20, "all of it")
    events.close()


def test_it_ends_when_it_is_closed_wherever_it_waits(node: RunningNode) -> None:
    events = Client(node.url).events()
    heard: list[list[Event]] = []
    in_thread(lambda: heard.append(list(events)))
    wait_until(lambda: listeners(node) == 1, 10, "the stream")
    events.close()
    wait_until(lambda: heard, 10, "the end of the stream")
    assert heard == [[]]
    assert events.wait(0) is None


def test_one_that_nobody_has_any_more_listens_no_more(node: RunningNode) -> None:
    blocks = Client(node.url).blocks(follow=True)
    assert next(blocks)["height"] == 0
    assert listeners(node) == 1
    del blocks
    gc.collect()

    def noticed() -> bool:
        node.extend()  # by what it sends into the void
        return listeners(node) == 0

    wait_until(noticed, 20, "the node to notice")


def test_a_node_that_does_not_come_back_is_an_error_when_the_patience_is_over(tmp_path: Path) -> None:
    with running(tmp_path / "data", rich_coin()) as node:
        events = Client(node.url).events(patience=0.5)
        blocks = Client(node.url).blocks(follow=True, patience=0.5)
        next(blocks)
    with pytest.raises(NoAnswer, match="no node answers"):
        list(events)
    with pytest.raises(NoAnswer, match="no node answers"):
        next(blocks)
    with pytest.raises(NoAnswer):
        Client(node.url).events()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@contextmanager
def impostor(answer: bytes) -> Iterator[str]:
    """Sends the last byte of `answer` again and again."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    sock, _ = server.accept()
                    with sock, suppress(OSError):
                        sock.recv(65_536)
                        sock.sendall(answer)
                        while True:
                            sock.sendall(answer[-1:] * 65_536)

        in_thread(serve)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"data: 1",
        HEAD + b"data: {}\ndata: 11111111\n\n:",
        HEAD + b"event: block\ndata: [1]\n\n:",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nX: y",
    ],
    ids=["a line without an end", "no JSON", "no object", "a page", "no HTTP", "a head without an end"],
)
def test_what_is_no_nodes_answer_ends_in_a_sentence(answer: bytes) -> None:
    with impostor(answer) as url, pytest.raises(NoAnswer), Client(url).events(patience=0) as events:
        next(events)


def test_a_server_that_only_listens_is_not_waited_for_longer_than_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moneyer.node.client.events.DEADLINE", 1.0)
    monkeypatch.setattr("moneyer.node.client.sse.DEADLINE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(NoAnswer):
        Client(f"http://127.0.0.1:{server.getsockname()[1]}").events()
