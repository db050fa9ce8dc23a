"""A request to a peer is bounded in total time and total bytes."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from moneyer.node.core import codec
from moneyer.node.p2p.peer.connection import Transport
from moneyer.node.p2p.peer.errors import BadAnswer, PeerError, PeerTimeout, PeerUnreachable, TooLarge
from moneyer.node.p2p.peer.peer_client import PeerClient
from moneyer.node.p2p.peer.urls import parse_peer_url
from moneyer.node.p2p.peer.wire import MAX_JSON, MAX_MEMPOOL_BYTES, split_transfers
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.net.peers import HELLO, Serve, Wire, as_bytes, drip, flood, honest

OK = b"HTTP/1.1 200 OK\r\n"
LONG = 60
"""Seconds that no request here takes, however busy the machine is: what ends it is another bound."""
MEGABYTE = bytes(1 << 20)


def test_a_redirect_is_not_followed_nor_its_body_read(serve: Serve, chain: ChainBuilder) -> None:
    target = serve(honest(chain))
    head = f"HTTP/1.1 302 Found\r\nLocation: {target.url}/p2p/hello\r\n\r\n".encode()
    server = serve({HELLO: lambda _: flood(head, MEGABYTE)})
    with pytest.raises(BadAnswer, match="redirect"):
        PeerClient(server.url, LONG).hello()
    assert target.asked == []
    assert server.written < 64 << 20


def test_a_compressed_answer_is_refused_unread(serve: Serve) -> None:
    bomb = gzip.compress(bytes(50 << 20))
    server = serve({HELLO: as_bytes(bomb, Content_Encoding="gzip")})
    with pytest.raises(BadAnswer, match="compressed"):
        PeerClient(server.url, LONG).hello()
    assert server.headers[0]["Accept-Encoding"] == "identity"


def test_a_pool_of_more_than_any_node_hands_out_is_left(serve: Serve) -> None:
    server = serve({"GET /p2p/mempool": as_bytes(bytes(MAX_MEMPOOL_BYTES + 1))})
    with pytest.raises(TooLarge):
        PeerClient(server.url, LONG).mempool()


def test_of_a_pool_no_more_is_decoded_than_is_taken() -> None:
    coin, alice, bob = easy_coin(), key("alice"), key("bob")
    good = codec.encode_transaction(transfer(coin, alice, bob, 5))
    parts = split_transfers(good * 7 + b"\xff", 3, 1)
    assert [len(next(parts)) for _ in range(2)] == [3, 3]
    with pytest.raises(BadAnswer):
        next(parts)


@pytest.mark.parametrize(
    "head",
    [
        OK + b"Content-Length: 10000000000\r\n\r\n",
        OK + b"\r\n",
        OK + b"Content-Length: 9" + b"9" * 300 + b"\r\n\r\n",
    ],
)
def test_a_body_without_end_stops_at_the_cap(serve: Serve, head: bytes) -> None:
    server = serve({HELLO: lambda _: flood(head, MEGABYTE)})
    with pytest.raises((TooLarge, BadAnswer)):
        PeerClient(server.url, LONG).hello()
    assert server.written < 64 << 20


def test_chunks_without_end_stop_at_the_cap(serve: Serve) -> None:
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    server = serve({HELLO: lambda _: flood(OK + b"Transfer-Encoding: chunked\r\n\r\n", chunk)})
    with pytest.raises(TooLarge):
        PeerClient(server.url, LONG).hello()
    assert server.written < 64 << 20


@pytest.mark.parametrize("head", [OK + b"X-Long: ", OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"", b"\x00" * 100])
def test_a_line_without_end_is_given_up(serve: Serve, head: bytes) -> None:
    server = serve({HELLO: lambda _: flood(head, b"a" * 65_536)})
    with pytest.raises((BadAnswer, PeerUnreachable)):
        PeerClient(server.url, LONG).hello()
    assert server.written < 64 << 20


@pytest.mark.parametrize(
    "lie",
    [
        lambda: drip(OK + b"X-Slow: " + b"a" * 10_000),
        lambda: drip(OK + b"Content-Length: 10000\r\n\r\n" + b"a" * 10_000),
        lambda: drip(OK + b"\r\n" + b"a" * 10_000),
        lambda: drip(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 10_000),
        lambda: drip(iter(lambda: b"HTTP/1.1 100 Continue\r\n\r\n", b"")),
        lambda: lambda out, closing: closing.wait(),
    ],
    ids=["headers", "body", "body until close", "chunks", "100-continue", "silence"],
)
def test_a_peer_that_drips_meets_the_total_deadline(serve: Serve, lie: Callable[[], Wire]) -> None:
    server = serve({HELLO: lambda _: lie()})
    with pytest.raises(PeerTimeout):
        PeerClient(server.url, 0.4).hello()


def test_a_peer_that_never_reads_meets_the_total_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(PeerTimeout):
        PeerClient(f"http://127.0.0.1:{deaf.getsockname()[1]}", 0.4).push_block(bytes(30_000_000))


def test_a_slow_peer_holds_up_no_other(serve: Serve, chain: ChainBuilder) -> None:
    stuck = serve({HELLO: lambda _: drip(b"a" * 10_000)})

    def wait() -> None:
        with suppress(PeerError):
            PeerClient(stuck.url, 2 * LONG).hello()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    assert PeerClient(serve(honest(chain)).url, LONG).hello().height == 12
    assert waiting.is_alive()


def test_a_kept_connection_is_not_hurt_by_an_old_deadline(serve: Serve, chain: ChainBuilder) -> None:
    server = serve(honest(chain))
    transport = Transport(parse_peer_url(server.url))
    transport.exchange("GET", "/p2p/hello", cap=MAX_JSON, seconds=5)
    passed = threading.Event()
    passed.wait(5.2)
    transport.exchange("GET", "/p2p/hello", cap=MAX_JSON, seconds=LONG)
    assert server.connections == 1
    transport.close()


def test_many_deadlines_share_one_thread(serve: Serve) -> None:
    server = serve({HELLO: lambda _: lambda out, closing: closing.wait()})
    clients = [PeerClient(server.url, 0.4) for _ in range(20)]
    outcomes: list[str] = []

    def ask(client: PeerClient) -> None:
        try:
            client.hello()
        except PeerError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert outcomes == ["timeout"] * 20
    assert sum(thread.name == "deadlines" for thread in threading.enumerate()) == 1
